"""Time of one whole training step with a teacher, side by side in one process.

    python bench/step.py                                  # prints
    python bench/step.py --save                           # and appends a row per way to bench/results/step.csv
    python bench/step.py --teacher resnet32 --student resnet8 --bs 128 --n 20

reference: a loop of one's own in float32, contiguous tensors, frozen teacher, the loss written out, torch's SGD.
student:   the same loop without a teacher.
callback:  a fastai `Learner` with `LumiNetCallback`, as a user has it: float32, contiguous.
callback, channels_last: with fastai's `ChannelsLast`.
callback, channels_last, bf16: inside bfloat16 autocast as well. On a CPU without bfloat16 instructions this is slower, not faster.
ratio is reference / this way: above 1, this way is faster. Medians of alternating calls; ratios carry over to other machines, times do not.
"""
import argparse, sys, warnings
from contextlib import nullcontext
from functools import partial
from pathlib import Path
import torch, torch.nn.functional as F

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent)]
warnings.filterwarnings('ignore')
from common import add_row, machine_info, time_side_by_side
from loss import written_out
from fastai.basics import CrossEntropyLossFlat, DataLoader, DataLoaders, Learner, OptimWrapper
from fastai.callback.channelslast import ChannelsLast
from luminet_fa.callback import LumiNetCallback
from luminet_fa.models.cifar import cifar_model


def sgd(params, **kw): return torch.optim.SGD(params, lr=.05, momentum=.9, weight_decay=5e-4, **kw)


def plain_loop(student, teacher, b):
    "One step of a hand-written loop; `teacher` None leaves distillation out"
    m, x, y = student.train(), *b
    t, opt = teacher.eval() if teacher else None, sgd(student.parameters())
    def step():
        z = m(x)
        l = 2*F.cross_entropy(z, y)
        if t is not None:
            with torch.no_grad(): z_t = t(x)
            l = l + written_out(z, z_t)
        opt.zero_grad(); l.backward(); opt.step()
    return step


def callback(student, teacher, b, channels_last=False, bf16=False):
    "One batch of a `Learner` in the middle of a fit: on `b`, or on the batch that the function is given"
    items = [(b[0][0], b[1][0])]
    dls = DataLoaders(DataLoader(items, bs=1), DataLoader(items, bs=1), device=b[0].device)
    cbs = [LumiNetCallback(teacher, ce_w=2.)] + ([ChannelsLast()] if channels_last else [])
    learn = Learner(dls, student, CrossEntropyLossFlat(), opt_func=partial(OptimWrapper, opt=torch.optim.SGD, momentum=.9, weight_decay=5e-4), lr=.05, cbs=cbs)
    cuda = b[0].is_cuda
    if bf16 and cuda: learn.to_bf16()
    learn.create_opt()
    learn.n_epoch, learn.n_iter, learn.epoch, learn.dl, learn.logger, learn.create_mbar = 1, 1000, 0, dls.train, print, False
    learn.remove_cbs(learn.cbs.filter(lambda o: type(o).__name__ == 'ProgressCallback'))
    for e in ('before_fit', 'before_epoch', 'before_train'): learn(e)
    def step(b=b):
        with torch.autocast('cpu', torch.bfloat16) if bf16 and not cuda else nullcontext(): learn.one_batch(0, b)
    return step


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--teacher', default='resnet32x4'); p.add_argument('--student', default='resnet8x4')
    p.add_argument('--bs', type=int, default=64)
    p.add_argument('--n', type=int, default=9, help='timed steps of each way')
    p.add_argument('--threads', type=int, default=None, help='CPU threads (default: as torch finds them)')
    p.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    p.add_argument('--no-bf16', action='store_true', help='leave the bf16 way out')
    p.add_argument('--save', action='store_true', help='append rows to bench/results/step.csv')
    a = p.parse_args()
    if a.threads: torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    x, y = torch.randn(a.bs, 3, 32, 32, device=a.device), torch.randint(0, 100, (a.bs,), device=a.device)
    new = lambda: cifar_model(a.student).to(a.device)
    teacher = cifar_model(a.teacher).to(a.device)
    ways = {'reference': plain_loop(new(), teacher, (x, y)), 'student': plain_loop(new(), None, (x, y)),
            'callback': callback(new(), teacher, (x, y)), 'callback, channels_last': callback(new(), teacher, (x, y), True)}
    if not a.no_bf16: ways['callback, channels_last, bf16'] = callback(new(), teacher, (x, y), True, True)
    t, info = time_side_by_side(ways, n=a.n, warmup=2), machine_info()
    for k, s in t.items():
        row = dict(**info, device=a.device, pair=f'{a.teacher}-{a.student}', bs=a.bs, n=a.n, way=k, ms=round(s*1e3, 1),
                   img_s=round(a.bs/s), ratio=round(t['reference']/s, 2))
        print(f"{k:30} {row['ms']:9.1f} ms {row['img_s']:7} img/s   ratio {row['ratio']:.2f}")
        if a.save: add_row('step.csv', row)


if __name__ == '__main__': main()
