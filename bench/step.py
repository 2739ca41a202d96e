"""One whole training step with a teacher, way by way. A part of bench/run.py, which says how to call it.

reference: a loop of one's own in float32, contiguous tensors, frozen teacher, the loss written out, torch's SGD.
fasterai:  fastai with fasterai's KnowledgeDistillationCallback and its SoftTarget loss (KD), in float32: gradients flow into the teacher.
plain:     fastai with `LumiNetCallback(teacher)`, in float32, without anything that makes it faster.
fast:      `LumiNetCallback(teacher)` and `learn.to_fast(bf16=False)`: folded teacher, channels last, the fast loop, fused SGD.
bf16:      the same in bfloat16. On a CPU without instructions for it this is slower, not faster.
compiled:  the same with a compiled teacher, `speed='compile'`.
bare:      a loop of one's own with the optimisations of `bf16`: what fastai costs is the difference. `bare32`: those of `fast`.
student:   the loop of `bf16` without a teacher: what no distillation that trains this student on these images can fall below.
ratio is reference / this way: above 1, this way is faster.
"""
import tempfile
from functools import partial
from pathlib import Path
from types import SimpleNamespace
import torch, torch.nn.functional as F
from common import peak_mb, time_side_by_side
from loss import written_out
from fastai.basics import CrossEntropyLossFlat, DataLoader, DataLoaders, Learner
from fastai.callback.channelslast import ChannelsLast
from fastai.callback.progress import ProgressCallback
from luminet_fa.callback import LumiNetCallback
from luminet_fa.losses import luminet_loss
from luminet_fa.models.cifar import cifar_model, cifar_models
from luminet_fa.models.imagenet import imagenet_model
from luminet_fa.run.schedules import opt_func
from luminet_fa.speed import BFloat16
from luminet_fa.teacher import Teacher
from safetensors.torch import save_file


def in_a_fit(network, speed='fold'):
    "A function of a batch that asks `network` as a fit after `to_fast` does"
    t = Teacher(network, speed=speed)
    t.begin_fit(SimpleNamespace(channels_last=True))
    return lambda *xb: t.on_batch(None, *xb)


def sgd(params, **kw): return torch.optim.SGD(params, lr=.05, momentum=.9, weight_decay=5e-4, **kw)


def plain_loop(student, teacher, b, fused=False):
    "One step of a hand-written loop; `teacher` None leaves distillation out"
    m, x, y = student.train(), *b
    t, opt = teacher.eval() if teacher else None, sgd(student.parameters(), fused=fused)
    def step():
        z = m(x)
        l = 2*F.cross_entropy(z, y)
        if t is not None:
            with torch.no_grad(): z_t = t(x)
            l = l + written_out(z, z_t)
        opt.zero_grad(); l.backward(); opt.step()
    return step


def bare_loop(student, teacher, b, bf16):
    "A hand-written loop with everything that `to_fast` and `Teacher` do; on `b`, or on the batch that the function is given"
    m, t = student.to(memory_format=torch.channels_last).train(), in_a_fit(teacher) if teacher else None
    opt, amp = sgd(m.parameters(), fused=True), partial(torch.autocast, b[0].device.type, torch.bfloat16, enabled=bf16)
    def step(b=b):
        x, y = b
        with amp():
            z_t = t(x) if t else None
            z = m(x)
        z = z.float()
        l = 2*F.cross_entropy(z, y)
        if t: l = l + luminet_loss(z, z_t)
        l.backward(); opt.step(); opt.zero_grad()
    step.opt = opt
    return step


def _learner(student, b, cbs, fast, bf16, channels_last):
    items = [(b[0][0], b[1][0])]
    dls = DataLoaders(DataLoader(items, bs=1), DataLoader(items, bs=1), device=b[0].device)
    opt = partial(opt_func('sgd', 5e-4), **({} if fast else dict(fused=False)))
    learn = Learner(dls, student, CrossEntropyLossFlat(), opt_func=opt, lr=.05, cbs=cbs, wd_bn_bias=True)
    if fast: return learn.to_fast(bf16, channels_last, verbose=False)
    return learn.add_cbs(([BFloat16()] if bf16 else []) + ([ChannelsLast()] if channels_last else []))


def in_learner(student, teacher, b, speed='auto', fast=True, bf16=False, channels_last=None, cb=None):
    "One batch of a `Learner` in the middle of a fit: on `b`, or on the batch that the function is given"
    cbs = [] if teacher is None else [cb or LumiNetCallback(teacher, ce_w=2., **({} if isinstance(teacher, Teacher) else dict(speed=speed)))]
    return middle_of_fit(_learner(student, b, cbs, fast, bf16, channels_last), b)


def middle_of_fit(learn, b, bar=False):
    "A function that gives `learn` its next batch: `b`, or the one that the function is given"
    learn.create_opt()
    learn.n_epoch, learn.n_iter, learn.epoch, learn.dl, learn.logger, learn.create_mbar = 1, 10**5, 0, learn.dls.train, print, bar
    if not bar: learn.remove_cbs(learn.cbs.filter(lambda o: isinstance(o, ProgressCallback)))
    for e in ('before_fit', 'before_epoch', 'before_train'): learn(e)
    def step(b=b): learn.one_batch(step.i, b); step.i += 1
    step.i = 0
    return step


def fasterai_cb(teacher):
    "fasterai's callback with its own loss for logits, or None where fasterai is not installed"
    try:
        from fasterai.distill.distillation_callback import KnowledgeDistillationCallback
        from fasterai.distill.losses import SoftTarget
    except ImportError: return None
    return KnowledgeDistillationCallback(teacher, SoftTarget)


def networks(pair):
    "Functions that make the teacher and the student of 'teacher-student', and the size of their images"
    names = pair.split('-')
    cifar = all(n in cifar_models for n in names)
    return [partial(cifar_model, n, 100) if cifar else partial(imagenet_model, n, 200) for n in names], 32 if cifar else 64


def batch(bs, size, classes, device):
    torch.manual_seed(0)
    return torch.randn(bs, 3, size, size, device=device), torch.randint(0, classes, (bs,), device=device)


def ways(pair, bs, device, only=None):
    "The ways to take a step, by name"
    (T, S), size = networks(pair)
    b = batch(bs, size, 100, device)
    teacher = T().to(device)
    new = lambda: S().to(device)
    make = dict(reference=lambda: plain_loop(new(), teacher, b),
                plain=lambda: in_learner(new(), teacher, b, speed=None, fast=False),
                fast=lambda: in_learner(new(), teacher, b),
                bf16=lambda: in_learner(new(), teacher, b, bf16=True),
                compiled=lambda: in_learner(new(), teacher, b, speed='compile', bf16=True),
                bare32=lambda: bare_loop(new(), teacher, b, False),
                bare=lambda: bare_loop(new(), teacher, b, True),
                student=lambda: in_learner(new(), None, b, bf16=True))
    if cb := fasterai_cb(T().to(device)): make['fasterai'] = lambda: in_learner(new(), teacher, b, fast=False, cb=cb)
    return {k: f() for k, f in make.items() if not only or k in only}


def measure(pair, bs, n, device, only=None):
    "A row for each way"
    w = ways(pair, bs, device, only)
    t = time_side_by_side(w, n=n, warmup=2 if bs < 1000 else 1)
    for k, s in t.items():
        yield dict(device=device, pair=pair, size=networks(pair)[1], bs=bs, n=n, way=k, ms=round(s*1e3, 2), img_s=round(bs/s),
                   **(dict(ratio=round(t['reference']/s, 2)) if 'reference' in t else {}))


def memory(pair, bs, device, bf16, size=None):
    """Peak memory of reading the teacher, building the student and taking three steps; the same for the student alone. The teacher comes as a
    file, so that nobody else holds its weights; a module that the caller goes on holding (`held_mb`) is in memory beside the folded copy."""
    (T, S), own = networks(pair)
    size, t = size or own, T()
    def run(distil):
        def f():
            b = batch(bs, size, 100, device)
            step = in_learner(S().to(device), distil and distil(), b, bf16=bf16)
            for _ in range(3): step()
        return peak_mb(f, device)
    with tempfile.TemporaryDirectory() as d:
        f = Path(d)/'teacher.safetensors'
        save_file(t.state_dict(), f)
        alone, ours, held = run(None), run(lambda: Teacher(f, arch=t)), run(lambda: T().to(device))
    w = sum(o.nbytes for o in (*t.parameters(), *t.buffers()))/1e6
    return dict(device=device, pair=pair, size=size, bs=bs, dtype='bf16' if bf16 else 'float32', student_mb=round(alone, 1), teacher_weights_mb=round(w, 1), ours_mb=round(ours, 1),
                held_mb=round(held, 1), ratio=round(ours/(alone+w), 3))
