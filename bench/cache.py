"""Training with a view cache beside the student alone, by the epoch. A part of bench/run.py.

Made-up images, as many as CIFAR-100 has, and a complete table of 162 views each (1.6 GB in memory), so that looking up costs what it costs there;
an epoch is cut short after `batches`. x_student is this way / the student alone: below 1.1 is wanted for the cache.
"""
from common import time_side_by_side
from loop import in_fit, quiet
from step import networks
from teacher import noise_cache
from fastai.basics import Callback, CrossEntropyLossFlat, Learner
from fastai.callback.core import CancelTrainException
from luminet_fa.callback import LumiNetCallback
from luminet_fa.run.schedules import opt_func


class Until(Callback):
    "End an epoch after `n` batches"
    order = 100
    def __init__(self, n): self.n = n
    def after_batch(self):
        if self.learn.training and self.learn.iter+1 == self.n: raise CancelTrainException


def measure(pair, bs, n, device, batches, bf16):
    "A row for each way"
    T, S = networks(pair)[0]
    teacher = T().eval().to(device)
    vc, dls = noise_cache(teacher, bs, 50000, device)
    def learner(*cbs):
        return in_fit(quiet(Learner(dls, S().to(device), CrossEntropyLossFlat(), opt_func=opt_func('sgd', 5e-4), wd_bn_bias=True, cbs=[*cbs, Until(batches)]).to_fast(bf16, True, verbose=False)))
    ways = dict(student=learner(), cached=learner(LumiNetCallback(vc)), live=learner(LumiNetCallback(teacher)))
    t = time_side_by_side(ways, n=n, warmup=1)
    for k, s in t.items():
        yield dict(device=device, pair=pair, bs=bs, dtype='bf16' if bf16 else 'float32', batches=batches, n=n, way=k, ms=round(s*1e3/batches, 3), img_s=round(bs*batches/s), x_student=round(s/t['student'], 3))
