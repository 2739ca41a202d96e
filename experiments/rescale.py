#!/usr/bin/env python3
"""What may be done to a finished student's logits, compared: accuracy, calibration error and cross-entropy on images that nothing was fitted to.

    python experiments/rescale.py digits --seeds 0 1 2 3 4 5 --save results
    python experiments/rescale.py cifar100/resnet56-resnet20 --path DIR --teacher FILE --student FILE --save results
    python experiments/rescale.py folder --path STORE --runs FOLDER --teacher NAME=FILE --student NAME --size 128 --seeds 0 1 2 --save results

Half of CIFAR's test images, 50 of each class, are fitted to (part A), and the other half is reported (B). Of the digits 300 training images are
left out of all training and fitted to, and the 355 test images are reported. For a folder of photographs, STORE is what `luminet_distill` made
of it, FOLDER holds its finished students, the validation images are fitted to and the test images reported.
`seen` are images that the teacher was trained on. A row per map.
The lengths, rates and batches of the digits' networks are this program's own; the tracked recipe of the digits does not enter.
"""
import argparse, sys, warnings
from dataclasses import replace
from itertools import islice
from pathlib import Path
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
warnings.filterwarnings('ignore')
from luminet_fa.all import *
from luminet_fa.data.imagenet import ImageData, Images
from luminet_fa.data.store import Store
from luminet_fa.data.tensor import rank_in_class
from luminet_fa.losses import distill_methods
from luminet_fa.metrics import reliability_bins
from luminet_fa.models.all import stats_of
from luminet_fa.rescale import _centred, _fit, _moments, _nearest, _ridge
from luminet_fa.run.ledger import append_row, hardware, source_commit, utc_now
from luminet_fa.run.schedules import opt_func
from luminet_fa.speed import keep_memory

def logits(nets, batches):
    "Name of each network -> its logits over batches, in float64, and the labels"
    out = {k: [] for k in (*nets, 'y')}
    with torch.no_grad():
        for x, y in batches:
            for k, net in nets.items(): out[k].append(net.eval()(x.as_subclass(Tensor)).double())
            out['y'].append(y.as_subclass(Tensor))
    return {k: torch.cat(v) for k, v in out.items()}

def affine(a, b): return lambda z: a*_centred(z)+b

def moments(z_s, z_t): return affine(*_moments(_centred(z_s), _centred(z_t)))

def one_scale(z_s, z_t): return affine(*_nearest(_centred(z_s), z_t.softmax(1)))

def temperature(z, y):
    "The factor of the logits that is best on labelled images"
    t = torch.linspace(-1.5, 1.5, 121).exp()
    t = t[torch.stack([F.cross_entropy(z*o, y) for o in t]).argmin()]
    return lambda z: t*z

def figures(z, y):
    "Top-1 in percent, calibration error over 15 bins of equal width, what chance alone makes of it, and cross-entropy"
    _, conf, acc, n = reliability_bins(z, y, logits=True)
    floor, most = calibration_floor(z, logits=True)
    ece = ((conf-acc).abs()*n).sum()/n.sum()
    return dict(top1=100*(z.argmax(1)==y).double().mean(), ece=ece, floor=floor, floor_most=most, nll=F.cross_entropy(z, y))

def maps(s, t, y, few):
    "Maps as name, images, whether their labels are used, and function, from logits of images that the teacher has seen and of others"
    yield 'nothing', 0, False, lambda z: z
    yield 'moments, seen', len(s['seen']), False, moments(s['seen'], t['seen'])
    yield 'match_scale, seen', len(s['seen']), False, affine(*_fit(s['seen'], t['seen']))
    order = torch.randperm(len(y['fit']), generator=torch.Generator().manual_seed(0))
    for n in (*few, len(order)):
        a, b, labels = (o['fit'][order[:n]] for o in (s, t, y))
        yield 'moments', n, False, moments(a, b)
        yield 'match_scale', n, False, affine(*_fit(a, b))
        yield 'match_scale with a tenth of the penalty', n, False, affine(*_fit(a, b, _ridge/10))
        yield 'one scale and the penalty', n, False, one_scale(a, b)
        yield 'temperature', n, True, temperature(a, labels)

def digits(seed):
    "Networks by name, the teacher first, and batches by part; the students are made here"
    def dls(**kw): return digits_dls(holdout=30, seed=seed, device='cpu', **kw)
    every, few = dls(bs=64), dls(bs=25, n_per_class=10)
    def fitted(width, data, epochs, lr, *cbs):
        set_seed(seed)
        learn = Learner(data, small_cnn(width), opt_func=opt_func('sgd'), wd_bn_bias=True, cbs=cbs)
        with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(epochs, lr)
        return learn.model
    teacher = fitted(32, every, 10, .1)
    def lumi(**kw): return LumiNetCallback(teacher, **kw)
    nets = {'teacher': teacher, 'no labels, 8 epochs': fitted(8, every, 8, .1, lumi(ce_w=0)),
            'no labels, 40 epochs': fitted(8, every, 40, .1, lumi(ce_w=0)),
            'labels, 3 epochs': fitted(8, every, 3, .1, lumi()), 'labels, 40 epochs': fitted(8, every, 40, .1, lumi()),
            '100 labels, 30 epochs': fitted(8, few, 30, .03, lumi(ce_w=2.)),
            'KD, 100 labels, 30 epochs': fitted(8, few, 30, .03, DistillCallback(teacher, KDLoss(T=4.)))}
    return nets, dict(seen=dls(pad=0).train.new(shuffle=False, drop_last=False), fit=every.valid, report=digits_dls(device='cpu').valid)

def cifar(r, a):
    "As `digits`, of networks that are given"
    dls = make_dls(r, a.path, device='cpu', images=5000)
    nets = {n: load_teacher(f, arch=make_model(m, dls.c)) for n, f, m in (('teacher', a.teacher, r.teacher), ('published', a.student, r.student))}
    return nets, dict(seen=dls.train.new(shuffle=False, drop_last=False), test=dls.valid)

def folder(r, a, seed):
    "As `digits`, of the finished students of a run and its teacher"
    name, _, file = a.teacher.partition('=')
    r = replace(r, student=a.student, size=a.size)
    dls, st = make_dls(r, a.path, device='cpu'), Store(a.path)
    stats = stats_of(a.student)
    def part(o): return dls.valid.new(ImageData(Images(o), o.y, st.vocab, *stats))
    def net(name, file): return load_teacher(file, arch=make_model(name, dls.c))
    runs = {f.name.partition('-s')[0]: f for f in sorted(Path(a.runs).glob(f'*-s{seed}.safetensors'))}
    nets = {'teacher': nn.Sequential(InputMap(stats, stats_of(name)), net(name, file))}
    nets |= {f'{a.student}, {distill_methods[m].label}': net(a.student, f) for m, f in runs.items() if m!='teacher'}
    return nets, dict(seen=part(st['train']), fit=dls.valid, report=part(st['test']))

def answers(nets, parts):
    "Part -> network -> logits; test images that nobody has divided become 50 of each class to fit to, and the others"
    z = {k: logits(nets, dl) for k, dl in parts.items()}
    if 'test' not in z: return z
    fit = rank_in_class(z['test']['y'])<50
    return dict(seen=z['seen'], **{k: {n: v[i] for n, v in z['test'].items()} for k, i in (('fit', fit), ('report', ~fit))})

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument('recipe', help='digits, folder, or the pair of the CIFAR-100 networks')
    p.add_argument('--path', help='folder of CIFAR-100, or a store')
    for k in ('teacher', 'student'): p.add_argument(f'--{k}', help=f"file of the {k}'s weights; for a folder its name, and the teacher's is NAME=FILE")
    p.add_argument('--runs', help='for a folder: where its runs put their weights')
    p.add_argument('--size', type=int, help='for a folder: height and width of the images, pixels')
    p.add_argument('--seeds', type=int, nargs='+', default=[0])
    p.add_argument('--logits', help='folder that keeps the logits of one pair, and has them the next time')
    p.add_argument('--save', help='folder of the tracked tables')
    a = p.parse_args()
    keep_memory()
    r = get_recipe(a.recipe)
    of_folder = lambda: f" --path STORE --runs FOLDER --teacher {a.teacher.partition('=')[0]}=FILE --student {a.student} --size {a.size}"
    table, few, of, options = dict(
        digits=('digits', [100], lambda: digits(seed), str),
        folder=('photos', [100], lambda: folder(r, a, seed), of_folder),
        cifar100=('cifar100', [100, 500], lambda: cifar(r, a), lambda: ' --path DIR --teacher FILE --student FILE'))[r.data]
    said = f"python experiments/rescale.py {r.name}{options()}"
    for seed in a.seeds:
        file = a.logits and Path(a.logits)/f'{r.data}-s{seed}.pt'
        z = torch.load(file) if file and file.exists() else answers(*of())
        if file:
            file.parent.mkdir(parents=True, exist_ok=True)
            torch.save(z, file)
        t, y = ({k: v[n] for k, v in z.items()} for n in ('teacher', 'y'))
        for net in [n for n in z['fit'] if n!='y']:
            s = {k: v[net] for k, v in z.items()}
            for name, n, labels, f in islice(maps(s, t, y, few), 1 if net=='teacher' else None):
                row = dict(date=utc_now(), recipe=r.name, student=net, seed=seed, map=name, images=n, labels=labels)
                row |= {k: round(float(v), 4) for k, v in figures(f(s['report']), y['report']).items()}
                print(*row.values(), flush=True)
                row |= dict(hardware=hardware('cpu'), torch=torch.__version__, commit=source_commit(), command=f'{said} --seeds {seed}')
                if a.save: append_row(Path(a.save)/f'{table}-rescale.csv', row)

if __name__ == '__main__': main()
