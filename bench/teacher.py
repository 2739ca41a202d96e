"""A teacher's forward pass, way by way. A part of bench/run.py.

plain, channels_last, folded, compiled, int8: `Teacher` in a fit, with speed None, None, 'fold', 'compile' and 'int8'; all but the first with
channels last. int8 is on CPUs alone, and has one type; it is calibrated by ten batches before.
cached: `ViewCache.lookup` in a table as large as CIFAR-100's, 50,000 images x 162 views, filled with noise.
Each but `cached` and `int8` in float32 and in bfloat16 autocast. ratio is plain float32 / this way.
"""
from luminet_fa.all import *
import copy
from common import noise_cache, time_side_by_side
from step import in_a_fit, networks

def ways(m, x):
    "(way, type) -> a function that asks the network `m` about the batch `x`"
    last = copy.deepcopy(m).to(memory_format=torch.channels_last)
    def ask(t, amp, first=1):
        def f():
            with torch.autocast(x.device.type, torch.bfloat16, enabled=amp): t(x)
        for _ in range(first): f()
        return f
    nets = dict(plain=(m, None), channels_last=(last, None), folded=(m, 'fold'), compiled=(m, 'compile'))
    out = {(k, dt): ask(in_a_fit(*o), dt == 'bf16') for dt in ('float32', 'bf16') for k, o in nets.items()}
    if x.device.type != 'cpu': return out
    t = Teacher(m, speed='int8')
    new = ask(in_a_fit(t), False, 11)
    return out | {('int8', 'int8'): new} if t.int8 else out          # made-up weights may agree too little

def rows(a):
    bs, n = (a.bs or [64])[0], a.n or 9
    for pair in a.pairs:
        (T, _), size = networks(pair)
        m = T().eval().to(a.device)
        fns = ways(m, torch.randn(bs, 3, size, size, device=a.device))
        if size == 32:
            i, v = (torch.randint(0, k, (bs,), device=a.device) for k in (50000, 162))
            fns['cached', 'float16'] = partial(noise_cache(m, bs, a.device)[0].lookup, i, v)
        t = time_side_by_side(fns, n=n, warmup=2)
        for (k, dt), s in t.items():
            yield dict(device=a.device, net=pair.split('-')[0], size=size, bs=bs, n=n, way=k, dtype=dt,
                       ms=round(s*1e3, 3), img_s=round(bs/s), ratio=round(t['plain', 'float32']/s, 2))
