"""A training step of one network on made-up photographs, after `to_fast(bf16=False)`, without a teacher. A part of bench/run.py, which
measures it only where it is named. Its tensors are large, so run it twice, once with --keep: the rows say in `malloc` which was which.

    python bench/run.py photos --save; python bench/run.py photos --keep --save
"""
from luminet_fa.all import *
import itertools
from common import time_side_by_side
from step import batch, in_learner

NETS = 'timm:tf_efficientnet_lite0', 'mobilenet_v3_small', 'resnet18'

def rows(a):
    for net, bs in itertools.product(NETS, a.bs or [64]):
        n, size = a.n or 7, min(a.size, 128)
        f = in_learner(imagenet_model(net, 10), batch(bs, size, a.device, 10), bf16=False)
        s = time_side_by_side({net: f}, n=n, warmup=2)[net]
        yield dict(net=net, bs=bs, size=size, dtype='float32', n=n, ms=round(s*1e3, 2), img_s=round(bs/s, 1), device=a.device)
