"""Training with a view cache beside the student alone, by the epoch. A part of bench/run.py.

Made-up images, as many as CIFAR-100 has, and a complete table of 162 views each (1.6 GB in memory), so that looking up costs what it costs
there; an epoch is cut short after 40 batches. x_student is this way / the student alone: below 1.1 is wanted for the cache.
"""
from luminet_fa.all import *
from common import noise_cache, time_side_by_side
from loop import in_fit
from step import learner, networks

PAIR = 'resnet32-resnet8'

def rows(a):
    (T, S), bs, batches, n = networks(PAIR)[0], (a.bs or [64])[0], 2 if a.quick else 40, a.n or 9
    teacher = T().eval().to(a.device)
    vc, dls = noise_cache(teacher, bs, a.device)
    for dt in a.dtype or ['bf16']:
        def fit(*cbs):
            short = ShortEpochCallback((batches - 1)/len(dls.train)); short.order = 100        # behind everything else in a batch
            return in_fit(learner(dls, S().to(a.device), *cbs, short, bf16=dt == 'bf16', channels_last=True))
        t = time_side_by_side(dict(student=fit(), cached=fit(LumiNetCallback(vc)), live=fit(LumiNetCallback(teacher))), n=n, warmup=1)
        for k, s in t.items():
            yield dict(device=a.device, pair=PAIR, bs=bs, dtype=dt, batches=batches, n=n, way=k, ms=round(s*1e3/batches, 3),
                       img_s=round(bs*batches/s), x_student=round(s/t['student'], 3))
