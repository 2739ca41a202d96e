"""What fastai's loop costs over a hand-written one with the same optimisations, and where it goes. A part of bench/run.py.

Each way takes the next batch of one loader in turn, with a one-cycle schedule; loader and teacher are the same for all.
bare:  a hand-written loop: folded teacher, channels last, fused SGD, torch's OneCycleLR.
fast:  `Learner.to_fast` with `LumiNetCallback`.          fast+bar: with fastai's progress bar, written to nowhere.
stock: the same teacher, layout and optimiser in fastai's own loop.
over_pct is this way / bare - 1 in percent, the median over the rounds of one batch each; the page of results says what is wanted.
`parts` takes networks of a few hundred weights, so that nothing but the loop is left, and switches one thing on after the other; `profile`
adds up what Python's profiler finds in the fast loop there, by source file.
"""
from luminet_fa.all import *
import contextlib, cProfile, os, pstats, re, statistics, time
from collections import Counter
from luminet_fa.speed import BFloat16, FastEvents, LossOnDevice
from common import batches, image_dls, made_up, sync, time_side_by_side
from step import bare_loop, in_a_fit, learner, middle_of_fit, networks, quiet, sgd

PAIRS = {'resnet32-resnet8': 200, 'resnet32x4-resnet8x4': 45}        # timed calls
NOWHERE = open(os.devnull, 'w')

class Clock(Callback):
    "Seconds of the training part; the validation part is left out"
    order = -1000
    def before_train(self): self.t0 = time.perf_counter()
    def after_train(self): sync(); self.s = time.perf_counter() - self.t0
    def before_validate(self): raise CancelValidException

def in_fit(learn):
    "A function that fits one epoch by one cycle, and returns the seconds of its training part"
    clock = Clock(); quiet(learn).add_cb(clock)
    def f():
        with contextlib.redirect_stdout(NOWHERE): learn.fit_one_cycle(1, .05)
        return clock.s
    return f

def whole(pair, bs, n, device, dtype):
    "A row for each way"
    (T, S), size = networks(pair)
    teacher, dls = T().to(device), image_dls(*made_up(bs*20, size), bs, device)
    it, fast = batches(dls.train), dict(bf16=dtype == 'bf16', channels_last=True)
    def fai(*cbs, bar=False, **kw):
        cycle = ParamScheduler(dict(lr=combined_cos(.25, .002, .05, 5e-7)))
        learn = learner(dls, S().to(device), LumiNetCallback(teacher), cycle, *cbs, **kw)
        return middle_of_fit(learn if bar else quiet(learn), next(it))
    bare = bare_loop(S().to(device), teacher, next(it), fast['bf16'])
    sched = torch.optim.lr_scheduler.OneCycleLR(bare.opt, .05, total_steps=10**5, cycle_momentum=False)
    def by_hand(b): bare(b); sched.step()
    ways = dict(bare=by_hand, stock=fai(ChannelsLast(), *[BFloat16()]*fast['bf16'], fast=False), fast=fai(**fast))
    with contextlib.redirect_stdout(NOWHERE):
        ways['fast+bar'] = fai(bar=True, **fast)
        t = time_side_by_side({k: (lambda f=f: f(next(it))) for k, f in ways.items()}, n=n, warmup=3, raw=True)
    for k, s in t.items():
        over = statistics.median(x/y - 1 for x, y in zip(s, t['bare']))
        yield dict(device=device, what='learner', pair=pair, bs=bs, dtype=dtype, n=n, way=k,
                   ms=round(statistics.median(s)*1e3, 3), over_pct=round(100*over, 2))

class OneBatch:
    "A loader that gives the same batch `n` times"
    def __init__(self, b, n): self.bs, self.all, self.n, self.device = len(b[0]), [b]*n, n*len(b[0]), b[0].device
    def __iter__(self): return iter(self.all)
    def __len__(self): return len(self.all)
    def to(self, device): return self

class Tiny:
    "Networks of a few hundred weights, a teacher, and epochs of one batch"
    def __init__(self, device):
        torch.manual_seed(0)
        self.device, b = device, (torch.randn(16, 8, device=device), torch.randint(0, 5, (16,), device=device))
        self.dl, self.teacher = OneBatch(b, 200), self.net()
    def net(self): return nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 5)).to(self.device)
    def fit(self, *cbs, fused=True, distil=True):
        "An epoch of fastai's"
        cbs, opt = [LumiNetCallback(self.teacher)]*distil + [*cbs], partial(opt_func('sgd', 5e-4), fused=fused)
        return in_fit(Learner(DataLoaders(self.dl, self.dl), self.net(), F.cross_entropy, opt_func=opt, wd_bn_bias=True, cbs=cbs))
    def bare(self, distil=True):
        "An epoch by hand"
        m, t = self.net().train(), in_a_fit(self.teacher)
        opt = sgd(m.parameters(), fused=True)
        sched = torch.optim.lr_scheduler.OneCycleLR(opt, .05, total_steps=10**9)
        def f():
            for x, y in self.dl:
                z = m(x); l = F.cross_entropy(z, y)
                if distil: l = l + luminet_loss(z, t(x))
                l.backward(); opt.step(); opt.zero_grad(); sched.step()
        return f

def parts(tiny, n):
    "A row for each piece of the loop: microseconds per step, networks included"
    ways = {'bare, no teacher': tiny.bare(False), 'bare': tiny.bare(), 'stock, no teacher': tiny.fit(fused=False, distil=False),
            'stock': tiny.fit(fused=False), '+ fused SGD': tiny.fit(), '+ FastEvents': tiny.fit(FastEvents()),
            '+ LossOnDevice': tiny.fit(FastEvents(), LossOnDevice())}
    t = time_side_by_side(ways, n=n, warmup=2)
    for k, s in t.items(): yield dict(device=tiny.device, what='parts', way=k, us=round(s/len(tiny.dl)*1e6, 1), n=n)

def source(file, fn):
    "Where a function of the profiler's is from: the file within its package, or what it is instead"
    m = re.fullmatch(r'.*/(luminet_fa|fastai|fastcore|torch)(/.*)', file.replace('\\', '/'))
    if m: return 'torch/*.py' if m[1] == 'torch' else m[1] + m[2]
    return 'torch, compiled' if 'torch' in fn else 'Python built-ins' if file == '~' else 'other'

def profile(tiny):
    "A row for each source file: microseconds per step in it, in the fast loop"
    f, by = tiny.fit(FastEvents(), LossOnDevice()), Counter(); f()
    with cProfile.Profile() as p: f()
    for (file, _, fn), (_, _, s, _, _) in pstats.Stats(p).stats.items(): by[source(file, fn)] += s
    for k, s in by.most_common(14): yield dict(device=tiny.device, what='profile', way=k, us=round(s/len(tiny.dl)*1e6, 1), n=1)

def rows(a):
    yield from parts(Tiny(a.device), a.n or 15)
    yield from profile(Tiny(a.device))
    for pair, n in PAIRS.items():
        for dt in (a.dtype or ['float32', 'bf16']) if pair in a.pairs else ():
            yield from whole(pair, (a.bs or [64])[0], a.n or n, a.device, dt)
