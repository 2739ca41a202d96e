"""What fastai's loop costs over a hand-written one with the same optimisations, and where it goes. A part of bench/run.py.

Each way takes the next batch of one loader in turn, with a one-cycle schedule; loader and teacher are the same for all.

bare:  a hand-written loop: folded teacher, channels last, fused SGD, torch's OneCycleLR.
fast:  `Learner.to_fast` with `LumiNetCallback`.          fast+bar: with fastai's progress bar, written to nowhere.
stock: the same teacher, layout and optimiser in fastai's own loop.
over_pct is this way / bare - 1 in percent, the median over the rounds of one batch each.

`parts` takes networks of a few hundred weights, so that nothing but the loop is left, and switches one thing on after the other; `profile`
adds up what Python's profiler finds in the fast loop there, by source file.
"""
import contextlib, cProfile, os, pstats, statistics, time
from functools import partial
import torch, torch.nn as nn, torch.nn.functional as F
from common import batches, time_side_by_side
from step import bare_loop, in_a_fit, middle_of_fit, networks, sgd
from fastai.basics import Callback, CrossEntropyLossFlat, DataLoaders, Learner, noop
from fastai.callback.channelslast import ChannelsLast
from fastai.callback.core import CancelValidException
from fastai.callback.progress import ProgressCallback
from fastai.callback.schedule import ParamScheduler, combined_cos
from luminet_fa.callback import LumiNetCallback
from luminet_fa.data.cifar import cifar100_stats
from luminet_fa.data.tensor import tensor_dls
from luminet_fa.run.schedules import opt_func
from luminet_fa.speed import BFloat16, FastEvents, LossOnDevice
from luminet_fa.losses import luminet_loss


class Clock(Callback):
    "Seconds of the training part; the validation part is left out"
    order = -1000
    def before_train(self): self.t0 = time.perf_counter()
    def after_train(self):
        if torch.cuda.is_available(): torch.cuda.synchronize()
        self.s = time.perf_counter() - self.t0
    def before_validate(self): raise CancelValidException


def in_fit(learn):
    "A function that fits one epoch by one cycle, and returns the seconds of its training part"
    clock = Clock(); learn.add_cb(clock)
    def f():
        with open(os.devnull, 'w') as o, contextlib.redirect_stdout(o): learn.fit_one_cycle(1, .05)
        return clock.s
    return f


def quiet(learn):
    learn.remove_cb(ProgressCallback); learn.logger = noop
    return learn


def measure(pair, bs, n, device, bf16):
    "A row for each way"
    (T, S), size = networks(pair)
    g = torch.Generator().manual_seed(0)
    x, y = torch.randint(0, 256, (bs*20, 3, size, size), dtype=torch.uint8, generator=g), torch.arange(bs*20) % 100
    dls = tensor_dls(x, y, x[:bs], y[:bs], [str(i) for i in range(100)], *cifar100_stats, bs=bs, device=device, seed=0)
    teacher, it = T().to(device), batches(dls.train)
    def learner(fast, bar=False):
        l = Learner(dls, S().to(device), CrossEntropyLossFlat(), opt_func=opt_func('sgd', 5e-4), wd_bn_bias=True, cbs=[LumiNetCallback(teacher), ParamScheduler(dict(lr=combined_cos(.25, .002, .05, 5e-7)))])
        l = l.to_fast(bf16, True, verbose=False) if fast else l.add_cbs([ChannelsLast()] + ([BFloat16()] if bf16 else []))
        return middle_of_fit(l, next(it), bar)
    bare = bare_loop(S().to(device), teacher, next(it), bf16)
    sched = torch.optim.lr_scheduler.OneCycleLR(bare.opt, .05, total_steps=10**5, cycle_momentum=False)
    def by_hand(b): bare(b); sched.step()
    ways = dict(bare=by_hand, stock=learner(False), fast=learner(True))
    with open(os.devnull, 'w') as o, contextlib.redirect_stdout(o):
        ways['fast+bar'] = learner(True, True)
        t = time_side_by_side({k: (lambda f=f: f(next(it))) for k, f in ways.items()}, n=n, warmup=3, raw=True)
    for k in ways:
        yield dict(device=device, pair=pair, bs=bs, dtype='bf16' if bf16 else 'float32', n=n, way=k, ms=round(statistics.median(t[k])*1e3, 3),
                   over_pct=round(100*statistics.median(a/b - 1 for a, b in zip(t[k], t['bare'])), 2))


# ---------------------------------------------------------------- the loop by itself

class OneBatch:
    "A loader that gives the same batch `n` times"
    def __init__(self, b, n): self.b, self.n_batches, self.n, self.bs, self.device = b, n, n*len(b[0]), len(b[0]), b[0].device
    def __iter__(self): return iter([self.b]*self.n_batches)
    def __len__(self): return self.n_batches
    def to(self, device): return self


def _tiny(device):
    net = lambda: nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 5)).to(device)
    torch.manual_seed(0)
    dl = OneBatch((torch.randn(16, 8, device=device), torch.randint(0, 5, (16,), device=device)), 200)
    teacher = net()
    def learner(*cbs, fused=True, distil=True):
        opt = partial(opt_func('sgd', 5e-4), fused=fused)
        return quiet(Learner(DataLoaders(dl, dl), net(), F.cross_entropy, opt_func=opt, wd_bn_bias=True, cbs=[*([LumiNetCallback(teacher)] if distil else []), *cbs]))
    def bare(distil):
        m, t = net().train(), in_a_fit(teacher)
        opt = sgd(m.parameters(), fused=True); sched = torch.optim.lr_scheduler.OneCycleLR(opt, .05, total_steps=10**9)
        def f():
            for x, y in dl:
                z = m(x); l = F.cross_entropy(z, y)
                if distil: l = l + luminet_loss(z, t(x))
                l.backward(); opt.step(); opt.zero_grad(); sched.step()
        return f
    return dl, learner, bare


def parts(n, device):
    "A row for each piece of the loop: microseconds per step, networks included"
    dl, learner, bare = _tiny(device)
    ways = {'bare, no teacher': bare(False), 'bare': bare(True), 'stock, no teacher': in_fit(learner(fused=False, distil=False)), 'stock': in_fit(learner(fused=False)), '+ fused SGD': in_fit(learner()),
            '+ FastEvents': in_fit(learner(FastEvents())), '+ LossOnDevice': in_fit(learner(FastEvents(), LossOnDevice()))}
    t = time_side_by_side(ways, n=n, warmup=2)
    for k, s in t.items(): yield dict(device=device, what='parts', way=k, us=round(s/len(dl)*1e6, 1), n=n)


def profile(device):
    "A row for each source file: microseconds per step in it, in the fast loop"
    dl, learner, _ = _tiny(device)
    f = in_fit(learner(FastEvents(), LossOnDevice())); f()
    with cProfile.Profile() as p: f()
    by = {}
    for (file, _, fn), (_, _, tt, _, _) in pstats.Stats(p).stats.items():
        parts = file.replace('\\', '/').split('/')
        pkg = next((q for q in ('luminet_fa', 'fastai', 'fastcore', 'torch') if q in parts), None)
        k = f"{pkg}/{'/'.join(parts[len(parts)-parts[::-1].index(pkg):])}" if pkg else ('torch, compiled' if 'torch' in fn else 'Python built-ins' if file == '~' else 'other')
        if pkg == 'torch': k = 'torch/*.py'
        by[k] = by.get(k, 0.) + tt
    for k, s in sorted(by.items(), key=lambda o: -o[1])[:14]: yield dict(device=device, what='profile', way=k, us=round(s/len(dl)*1e6, 1), n=1)
