"""A teacher's forward pass, way by way. A part of bench/run.py.

plain, channels_last, folded (channels last as well), compiled (folded and channels last as well): `Teacher` in a fit, with speed None, 'fold' and 'compile'
cached: `ViewCache.lookup` in a table as large as CIFAR-100's, 50,000 images x 162 views, filled with noise.
Each but `cached` in float32 and in bfloat16 autocast. ratio is plain float32 / this way.
"""
import copy, torch
from common import time_side_by_side
from step import in_a_fit, networks
from luminet_fa.data.cifar import cifar100_stats
from luminet_fa.data.tensor import tensor_dls
from luminet_fa.cache import ViewCache


class Noise(ViewCache):
    "A cache whose rows are made up, so the teacher is not asked whether it would say the same"
    _rows = property(lambda self: None, lambda self, rows: None)


def noise_cache(teacher, bs, n, device):
    "A complete view cache of `n` made-up images, and its loaders"
    x, y = torch.randint(0, 256, (n, 3, 32, 32), dtype=torch.uint8), torch.arange(n) % 100
    dls = tensor_dls(x, y, x[:bs], y[:bs], [str(i) for i in range(100)], *cifar100_stats, bs=bs, device=device, seed=0)
    vc = Noise(teacher, dls)
    vc.z.copy_(torch.randn(vc.z.shape[2], device=vc.z.device).half().expand_as(vc.z)); vc.filled[:] = True; vc.complete = True
    return vc, dls


def measure(pair, bs, n, device):
    "A row for each way"
    (T, _), size = networks(pair)
    m = T().eval().to(device)
    x, ways = torch.randn(bs, 3, size, size, device=device), {}
    last = copy.deepcopy(m).to(memory_format=torch.channels_last)
    def ask(t, amp):
        def f():
            with torch.autocast(x.device.type, torch.bfloat16, enabled=amp): t(x)
        f(); return f
    for amp in (False, True):
        for k, net, speed in (('plain', m, None), ('channels_last', last, None), ('folded', m, 'fold'), ('compiled', m, 'compile')):
            ways[k, 'bf16' if amp else 'float32'] = ask(in_a_fit(net, speed), amp)
    if size == 32:
        vc, dls = noise_cache(m, bs, 50000, device)
        i, v = torch.randint(0, 50000, (bs,), device=device), torch.randint(0, 162, (bs,), device=device)
        ways['cached', 'float16'] = lambda: vc.lookup(i, v)
    t = time_side_by_side(ways, n=n, warmup=2)
    for (k, dt), s in t.items():
        yield dict(device=device, net=pair.split('-')[0], size=size, bs=bs, n=n, way=k, dtype=dt, ms=round(s*1e3, 3), img_s=round(bs/s), ratio=round(t['plain', 'float32']/s, 2))
