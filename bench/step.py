"""One whole training step with a teacher, way by way. A part of bench/run.py.

reference: a loop of one's own in float32, contiguous tensors, frozen teacher, the loss written out, torch's SGD.
fasterai:  fastai with fasterai's KnowledgeDistillationCallback and its SoftTarget loss (KD), in float32: gradients flow into the teacher.
plain:     fastai with `LumiNetCallback(teacher)`, in float32, without anything that makes it faster.
fast:      `LumiNetCallback(teacher)` and `learn.to_fast(bf16=False)`: folded teacher, channels last, the fast loop, fused SGD.
bf16:      the same in bfloat16. On a CPU without instructions for it this is slower, not faster.
compiled:  the same with a compiled teacher, `speed='compile'`.
int8:      bf16 with a teacher in 8-bit integers, `speed='int8'`, on a CPU where torchao is.
student_compiled: bf16 with a compiled student beside the folded teacher, `to_fast(compile=True)`.
graph:     bf16 with student and teacher as CUDA graphs, `to_fast(graph=True)`. On a GPU.
bare:      a loop of one's own with the optimisations of `bf16`: what fastai costs is the difference. `bare32`: those of `fast`.
cached:    bf16 with logits from a complete view cache, as of CIFAR-100, in the place of the teacher. For images of 32 pixels.
student:   the loop of `bf16` without a teacher: what no distillation that trains this student on these images can fall below.
ratio is reference / this way: above 1, this way is faster. ms is the median of the timed calls, ms_min and ms_max are the fastest and the slowest.
"""
from luminet_fa.all import *
import itertools, statistics
from importlib.util import find_spec
from types import SimpleNamespace
from common import noise_cache, time_side_by_side
from loss import written_out

def networks(pair):
    "Functions that make the teacher and the student of 'teacher-student', and the size of their images"
    names = pair.split('-')
    cifar = all(n in cifar_models for n in names)
    return [partial(cifar_model, n, 100) if cifar else partial(imagenet_model, n, 200) for n in names], 32 if cifar else 64

def batch(bs, size, device, classes=100):
    torch.manual_seed(0)
    return torch.randn(bs, 3, size, size, device=device), torch.randint(0, classes, (bs,), device=device)

def in_a_fit(network, speed='fold'):
    "A function of a batch that asks `network` as a fit after `to_fast` does"
    t = network if isinstance(network, Teacher) else Teacher(network, speed=speed)
    t.begin_fit(SimpleNamespace(channels_last=True))
    return lambda *xb: t.on_batch(None, *xb)

def luminet(teacher, **kw): return LumiNetCallback(teacher, ce_w=2., **kw)
def sgd(params, **kw): return torch.optim.SGD(params, lr=.05, momentum=.9, weight_decay=5e-4, **kw)
def quiet(learn): learn.logger = noop; return learn.remove_cb(ProgressCallback)

def learner(dls, student, *cbs, fast=True, bf16=False, channels_last=None, fused=True, **kw):
    "A `Learner` with the optimiser of the recipes, after `to_fast` or as fastai makes it"
    opt = partial(opt_func('sgd', 5e-4), fused=fused)
    learn = Learner(dls, student, CrossEntropyLossFlat(), opt_func=opt, lr=.05, cbs=cbs, wd_bn_bias=True)
    return learn.to_fast(bf16, channels_last, verbose=False, **kw) if fast else learn

def middle_of_fit(learn, b):
    "A function that gives `learn` its next batch in the middle of a fit: `b`, or the one that the function is given"
    learn.create_opt()
    learn.n_epoch, learn.n_iter, learn.epoch, learn.dl, learn.create_mbar = 1, 10**5, 0, learn.dls.train, True
    for e in ('before_fit', 'before_epoch', 'before_train'): learn(e)
    def step(b=b): learn.one_batch(step.i, b); step.i += 1
    step.i = 0
    return step

def in_learner(student, b, *cbs, **kw):
    "One batch of a `Learner` for `student`: on `b`, or on the batch that the function is given"
    items = [(b[0][0], b[1][0])]
    dls = DataLoaders(DataLoader(items, bs=1), DataLoader(items, bs=1), device=b[0].device)
    return middle_of_fit(quiet(learner(dls, student, *cbs, **kw)), b)

def cached_step(student, teacher, bs, device):
    "One batch of a `Learner` that looks the teacher's logits up"
    cache, dls = noise_cache(teacher, bs, device)
    return middle_of_fit(quiet(learner(dls, student, luminet(cache), bf16=True)), next(iter(dls.train)))

def bare_loop(student, teacher, b, bf16):
    "A hand-written loop with everything that `to_fast` and `Teacher` do; on `b`, or on the batch that the function is given"
    m, t = student.to(memory_format=torch.channels_last).train(), in_a_fit(teacher)
    def step(b=b):
        x, y = b
        with torch.autocast(x.device.type, torch.bfloat16, enabled=bf16): z_t = t(x); z = m(x)
        z = z.float()
        l = 2*F.cross_entropy(z, y) + luminet_loss(z, z_t)
        l.backward(); step.opt.step(); step.opt.zero_grad()
    step.opt = sgd(m.parameters(), fused=True)
    return step

def plain_loop(student, teacher, b):
    "One step of a hand-written loop"
    m, t, (x, y), opt = student.train(), teacher.eval(), b, sgd(student.parameters(), fused=False)
    def step():
        z = m(x)
        with torch.no_grad(): z_t = t(x)
        l = 2*F.cross_entropy(z, y) + written_out(z, z_t)
        opt.zero_grad(); l.backward(); opt.step()
    return step

def fasterai_cb(teacher):
    "fasterai's callback with its own loss for logits"
    from fasterai.distill.distillation_callback import KnowledgeDistillationCallback
    from fasterai.distill.losses import SoftTarget
    return KnowledgeDistillationCallback(teacher, SoftTarget)

def calibrated(step):
    "`step` after the batches by which the ranges of integers are chosen"
    for _ in range(12): step()
    return step

def ways(pair, bs, device, only=None):
    "The ways to take a step, by name"
    (T, S), size = networks(pair)
    b, teacher = batch(bs, size, device), T().to(device)
    def new(): return S().to(device)
    make = dict(reference=lambda: plain_loop(new(), teacher, b),
                plain=lambda: in_learner(new(), b, luminet(teacher, speed=None), fast=False, fused=False),
                fast=lambda: in_learner(new(), b, luminet(teacher)),
                bf16=lambda: in_learner(new(), b, luminet(teacher), bf16=True),
                compiled=lambda: in_learner(new(), b, luminet(teacher, speed='compile'), bf16=True),
                student_compiled=lambda: in_learner(new(), b, luminet(teacher), bf16=True, compile=True),
                bare32=lambda: bare_loop(new(), teacher, b, False),
                bare=lambda: bare_loop(new(), teacher, b, True),
                student=lambda: in_learner(new(), b, bf16=True))
    if torch.device(device).type == 'cuda': make['graph'] = lambda: in_learner(new(), b, luminet(teacher), bf16=True, graph=True)
    if size == 32: make['cached'] = lambda: cached_step(new(), teacher, bs, device)
    if find_spec('torchao') and torch.device(device).type == 'cpu':
        make['int8'] = lambda: calibrated(in_learner(new(), b, luminet(teacher, speed='int8'), bf16=True))
    if find_spec('fasterai'): make['fasterai'] = lambda: in_learner(new(), b, fasterai_cb(T().to(device)), fast=False, fused=False)
    return {k: f() for k, f in make.items() if not only or k in only}

def rows(a):
    for pair, bs in itertools.product(a.pairs, a.bs or [64, 256, 1024]):
        n = a.n or {64: 9, 1024: 3}.get(bs, 5)
        all_t = time_side_by_side(ways(pair, bs, a.device, a.ways), n=n, warmup=2 if bs < 1000 else 1, raw=True)
        t = {k: statistics.median(v) for k, v in all_t.items()}
        for k, s in t.items():
            row = dict(device=a.device, pair=pair, size=networks(pair)[1], bs=bs, n=n, way=k, ms=round(s*1e3, 2), img_s=round(bs/s))
            row |= {f'ms_{f.__name__}': round(f(all_t[k])*1e3, 2) for f in (min, max)}
            yield row | (dict(ratio=round(t['reference']/s, 2)) if 'reference' in t else {})
