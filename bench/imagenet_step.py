"""ImageNet: what a training step and its parts cost. A part of bench/run.py, which measures it only where it is named.

    python bench/run.py imagenet_step --dtype bf16 --bs 256 1024                       # on random pixels
    python bench/run.py imagenet_step --dtype bf16 --bs 256 --compile --store STORE    # and compiled, and with batches of a store

All with the same images, channels last, in the middle of a fit; of `--pairs` those of ImageNet's networks.
teacher: its forward pass, frozen and without gradients.      student: forward, cross-entropy, backward, SGD; no teacher.
step:    a `Learner` with `LumiNetCallback` after `to_fast`.  compiled: with both networks compiled, whose time is printed apart.
loader:  a batch of the store, cropped, flipped, normalised, on the device.
step+loader: both, as in a fit, so that the loader's threads may work ahead.
`gflop` is what an image costs, counted by torch, two for each multiplication with its addition. `bound_img_s` is the largest matrix product
of this device, timed in the same process and type, divided by it: nothing faster can be had, and `share` is the part reached.
"""
from luminet_fa.all import *
import itertools, time
from torch.utils.flop_counter import FlopCounterMode
from common import batches, peak_flops, time_side_by_side
from step import batch, in_learner, luminet, networks

def flops(f):
    "Floating point operations of one call"
    with FlopCounterMode(display=False) as c: f()
    return c.get_total_flops()

def forward(teacher, x, bf16):
    "A function of no argument: the teacher's forward pass on `x`"
    teacher, x = (o.to(memory_format=torch.channels_last) for o in (teacher.eval(), x))
    def f():
        with torch.no_grad(), torch.autocast(x.device.type, torch.bfloat16, cache_enabled=False, enabled=bf16): teacher(x)
    return f

def ways(a, names, bs, bf16):
    "The ways by name, and what a call of each costs in floating point operations, where it computes"
    def net(name): return imagenet_model(name, a.classes).to(a.device)
    def whole(student, b, **kw): return in_learner(student, b, luminet(teacher, **kw), bf16=bf16)
    b, teacher = batch(bs, a.size, a.device, a.classes), net(names[0])
    fns = dict(teacher=forward(teacher, b[0], bf16), student=in_learner(net(names[1]), b, bf16=bf16))
    cost = {k: flops(f) for k, f in fns.items()}
    fns['step'], cost['step'] = whole(net(names[1]), b), sum(cost.values())
    if a.store:
        it = batches(imagenet_dls(a.store, bs=bs, size=a.size, device=a.device, seed=0).train)
        real = whole(net(names[1]), next(it))
        fns |= {'loader': lambda: next(it), 'step+loader': lambda: real(next(it))}
        cost['step+loader'] = cost['step']
    if a.compile:
        fns['compiled'], cost['compiled'] = whole(torch.compile(net(names[1])), b, speed='compile'), cost['step']
        t0 = time.perf_counter(); fns['compiled'](); print(f'  compiling took {time.perf_counter() - t0:.0f} s')
    return fns, cost

def rows(a):
    pairs, n = [p for p in a.pairs if networks(p)[1] != 32], a.n or 9
    for pair, bs, dt in itertools.product(pairs, a.bs or [32], a.dtype or ['float32']):
        top = peak_flops(a.device, torch.bfloat16 if dt == 'bf16' else torch.float32)
        fns, cost = ways(a, pair.split('-'), bs, dt == 'bf16')
        for k, s in time_side_by_side(fns, n=n, warmup=2).items():
            row = dict(what='step', name=k, pair=pair, bs=bs, size=a.size, dtype=dt, n=n, ms=round(s*1e3, 2), img_s=round(bs/s, 1))
            if g := cost.get(k, 0)/bs: row |= dict(gflop=round(g/1e9, 3), bound_img_s=round(top/g, 1), share=round(g*bs/s/top, 3))
            yield dict(row, device=a.device)
