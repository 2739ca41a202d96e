"""A batch taken in parts: memory and time of a step of distillation with `micro_bs`. A part of bench/run.py.

The step is that of `to_fast`, the teacher comes as a Teacher that is folded. peak_mb is what tensors take at most while three steps are taken,
weights and optimiser included. ratio is the time of a step in parts / that of the whole batch (micro_bs is empty): 4/3 would be one more
forward pass of a student whose backward pass takes twice the forward's time, and no teacher.
"""
from luminet_fa.all import *
from common import peak_mb, time_side_by_side
from step import batch, in_learner, luminet, networks

def measure(pair, bs, parts, device, dtype, n):
    "A row for the whole batch, and one for each size of its parts"
    (T, S), size = networks(pair)
    def steps(micro_bs):
        b, cb = batch(bs, size, device), luminet(Teacher(T().to(device), speed='fold'), micro_bs=micro_bs)
        return in_learner(S().to(device), b, cb, bf16=dtype == 'bf16')
    def memory(micro_bs):
        def f():
            step = steps(micro_bs)
            for _ in range(3): step()
        return peak_mb(f, device)
    mb = {k: memory(k) for k in (None, *parts)}
    s = time_side_by_side({k: steps(k) for k in mb}, n=n, warmup=2)
    return [dict(device=device, pair=pair, size=size, bs=bs, dtype=dtype, micro_bs=k, peak_mb=round(v, 1), ms=round(s[k]*1e3, 1),
                 ratio=round(s[k]/s[None], 3)) for k, v in mb.items()]

def rows(a):
    bs = (a.bs or [256])[0]
    for pair in a.pairs:
        for dt in a.dtype or ['float32', 'bf16']:
            yield from measure(pair, bs, [o for o in (128, 64, 32) if o < bs] or [bs//2], a.device, dt, a.n or 9)
