#!/usr/bin/env python3
"""What LumiNet's parts and numbers do: the fits and the measurements behind the page `What the method does, measured`.

    python bench/analysis.py fits --path DIR --teacher FILE --dtype bf16 --cache FOLDER --save results       # 37 short fits; about an hour on two cores
    python bench/analysis.py fits --path DIR --teacher FILE --list                                     # what they are, and which are done
    python bench/analysis.py students --path DIR --teacher FILE --run FOLDER --save results            # from the weights that luminet_distill left
    python bench/analysis.py fits --path DIR --teacher FILE --mini                                     # four steps of each, to see that they run

`fits` trains the student of --recipe once for every variant, with one seed, and measures it on held-out training images: nobody should choose
a setting by the test set, so this page does not offer one. Every fit leaves its row, is never run twice, and goes on from its last epoch;
--fits runs some of them only, so that several processes can share the work. `students` reads finished students of the same recipe and keeps
what the page draws: reliability bins, correlations between the classes, and a t-SNE of the features.
"""
import argparse, io, json, sys, warnings
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
warnings.filterwarnings('ignore')
warnings.filterwarnings('always', message='.*could not be written')
import numpy as np, torch
from luminet_fa.run.analysis import VariantLoss, class_correlation, penultimate
from luminet_fa.callback import DistillCallback
from luminet_fa.core import one_line_errors
from luminet_fa.run.ledger import append_row, hardware, source_commit, table_text, write_atomic, utc_now
from luminet_fa.losses import distill_methods
from luminet_fa.metrics import reliability_bins
from luminet_fa.run.recipes import get_recipe, make_dls
from luminet_fa.teacher import load_teacher
from luminet_fa.models.all import make_model
from luminet_fa.run.job import Job


def fits(r):
    "Name -> (experiments it belongs to, method, settings, changes of the recipe); `r` is the recipe they start from"
    L, K, out = r.methods['luminet'], r.methods['kd'], {}
    a, T = L['alpha'], L['T']
    def add(exps, name, method='perception', settings=None, **changes):
        s = {**L, 'over': 'batch', 'centre': True, 'scale': True, 'group': 0} if method == 'perception' else dict(r.methods[method])
        out[name] = (exps, method, {**s, **(settings or {})}, changes)
    add('ablation weight warmup batch group optimiser', 'luminet')
    for alpha in (a, T):
        for over, kw in (('none', {}), ('batch', dict(scale=False)), ('batch', dict(centre=False)), ('batch', {}), ('classes', {}), ('batch+classes', {})):
            if alpha == a and over == 'batch' and not kw: continue
            add('ablation weight' if over == 'batch' and not kw else 'ablation', f"{over}{''.join(f'-no-{k}' for k in kw)}-alpha{alpha:g}", settings=dict(over=over, alpha=alpha, **kw))
    for k in (.25, .5, 2.): add('weight', f'alpha{a*k:g}', settings=dict(alpha=a*k))
    for k in (.5, 2.): add('weight', f'alpha{a*k:g}-T{T*k:g}', settings=dict(alpha=a*k, T=T*k))
    for w in (0., 1/3, 1.): add('warmup', f'warmup{w:.2f}', settings=dict(warmup=w))
    for bs in (16, 64, 512):
        k = (bs/r.bs)**.5
        add('batch', f'luminet-bs{bs}', settings=dict(lr=L.get('lr', r.lr)*k), bs=bs)
        add('batch', f'kd-bs{bs}', 'kd', dict(lr=K.get('lr', r.lr)*k), bs=bs)
    add('batch', 'kd', 'kd')
    for g in (4, 16, 64): add('group', f'group{g}', settings=dict(group=g))
    add('optimiser', 'alone', 'alone')
    for m in ('luminet', 'alone'):
        k = 'perception' if m == 'luminet' else m
        add('optimiser', f'{m}-nesterov', k, opt='nesterov')
        for lr in (2e-3, 8e-3): add('optimiser', f'{m}-adamw-lr{lr:g}', k, dict(lr=lr), opt='adamw', wd=.05)
    return out


class VariantJob(Job):
    "A job whose method 'perception' is LumiNet with some of its parts"
    def method_cbs(self, method, dls):
        if method != 'perception': return super().method_cbs(method, dls)
        s = self.recipe.method(method)
        loss = VariantLoss(**{k: s[k] for k in ('alpha', 'T', 'over', 'centre', 'scale', 'group')})
        return [DistillCallback(self.asked(method, dls), loss, ce_w=s['ce_w'], warmup=s['warmup'])]


def teacher_name(a): return a.teacher if a.teacher.startswith('weights/') else 'FILE'

def run_fits(a):
    base = replace(get_recipe(a.recipe), epochs=a.epochs, seeds=(a.seed,))
    todo = fits(base)
    if a.fits and (bad := set(a.fits)-set(todo)): sys.exit(f"unknown fits {', '.join(sorted(bad))}; there are: {', '.join(todo)}")
    done = lambda n: any((Path(a.out)/n).rglob('*.safetensors'))
    if a.list: return print('\n'.join(f"{'done' if done(n) else 'open':5} {n:28} {e}" for n, (e, *_) in todo.items()))
    cmd = f"python bench/analysis.py fits --path DIR --teacher {teacher_name(a)} --recipe {a.recipe} --epochs {a.epochs} --holdout {a.holdout}" + (f' --seed {a.seed}' if a.seed else '') \
          + (f' --images {a.images}' if a.images else '') + f' --dtype {a.dtype}' + (' --cache FOLDER' if a.cache else '')
    names, known = a.fits or list(todo), {}
    tables = [Path(a.out)/'fits.csv'] + ([Path(a.save)/f'{base.data}-analysis.csv'] if a.save else [])
    for f in tables: table_text(f, missing=True)                     # what cannot be read is told of before anything is trained
    for i, n in enumerate(names):
        exps, method, s, changes = todo[n]
        r = replace(base, methods={method: s}, **changes)
        j = VariantJob(r, path=a.path, out=Path(a.out)/n, device=a.device, dtype=a.dtype, cache=a.cache, holdout=a.holdout, images=a.images,
                       verbose=0, bars=False, commit=source_commit(), methods=[method], **known)
        if not known: j.use_teacher(a.teacher); known = dict(teacher=j.teacher)
        row = dict(j.fit(method, a.seed)['row'], command=cmd, experiments=exps, fit=n)
        for f in tables: append_row(f, row)
        print(f"[{i+1}/{len(names)}] {n:28} {row['top1']:.2f} %, {row['seconds']:.0f} s", flush=True)


def measure(model, dl, keep):
    "Logits and labels of all images, features of those whose class is in `keep`"
    zs, ys, fs, fy = [], [], [], []
    for x, y in dl:
        z, f = penultimate(model, x)
        k = torch.isin(y, keep)
        zs.append(z.float()); ys.append(y); fs.append(f[k].float()); fy.append(y[k])
    return map(torch.cat, (zs, ys, fs, fy))

def run_students(a):
    from sklearn.manifold import TSNE
    r = get_recipe(a.recipe)
    dls = make_dls(r, a.path, device=a.device)
    root = Path(a.run)/r.name.replace('/', '-')
    files = {'teacher': (r.teacher, a.teacher), **{m: (r.student, root/f'{m}-s{a.seed}.safetensors') for m in distill_methods if m != 'teacher'}}
    files = {m: v for m, v in files.items() if Path(v[1]).exists()}
    keep, out = torch.arange(0, dls.c, dls.c//10), {}
    for m, (arch, f) in files.items():
        z, y, feat, fy = measure(load_teacher(f, arch=make_model(arch, dls.c), device=dls.device), dls.valid, keep.to(dls.device))
        _, conf, acc, n = reliability_bins(z, y)
        xy = TSNE(random_state=0, init='pca', perplexity=min(30, (len(feat)-1)//3)).fit_transform(feat.cpu().numpy())
        out |= {f'{m}_conf': conf.numpy().astype('f4'), f'{m}_acc': acc.numpy().astype('f4'), f'{m}_n': n.numpy().astype('i4'),
                f'{m}_corr': class_correlation(z).cpu().numpy().astype('f2'), f'{m}_xy': xy.astype('f2'), f'{m}_y': fy.cpu().numpy().astype('u1'),
                f'{m}_top1': np.float32((z.argmax(1) == y).float().mean().item()*100)}
        print(f'{m:8} {out[f"{m}_top1"]:.2f} %', flush=True)
    meta = dict(recipe=r.name, seed=a.seed, networks=list(files), classes=[str(dls.vocab[i]) for i in keep.tolist()], n=len(y), date=utc_now(),
                commit=source_commit(), hardware=hardware(dls.device), command=f'python bench/analysis.py students --path DIR --teacher {teacher_name(a)} --recipe {r.name} --seed {a.seed} --run FOLDER')
    buf = io.BytesIO(); np.savez_compressed(buf, meta=np.array(json.dumps(meta)), **out)
    dest = Path(a.save or a.out)/f'{r.data}-students.npz'
    if not write_atomic(dest, buf.getvalue()): sys.exit(f'error: {dest} could not be written')
    print(dest, f'{len(buf.getvalue())/1e3:.0f} kB')


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument('what', choices=['fits', 'students'])
    p.add_argument('--path', required=True, help='folder of CIFAR-100')
    p.add_argument('--teacher', required=True, help="file of the teacher's weights")
    p.add_argument('--recipe', default='cifar100/resnet32-resnet8')
    p.add_argument('--out', default='runs/analysis', help='folder for checkpoints, weights and rows')
    p.add_argument('--save', help='folder of the tracked tables')
    p.add_argument('--epochs', type=int, default=3)
    p.add_argument('--seed', type=int, default=0)
    p.add_argument('--holdout', type=int, default=100, help='training images per class to measure on')
    p.add_argument('--images', type=int, default=0, help='train on so many images; 0: all but those')
    p.add_argument('--fits', nargs='+', help='some of the fits')
    p.add_argument('--run', default='runs', help='students: the --out of luminet_distill')
    p.add_argument('--cache', help="'memory' or a folder: look the teacher's logits up by view")
    p.add_argument('--device')
    p.add_argument('--dtype', default='float32')
    p.add_argument('--list', action='store_true', help='say which fits there are and which are done, and stop')
    p.add_argument('--mini', action='store_true', help='one epoch on 512 images')
    a = p.parse_args()
    if a.mini: a.epochs, a.images, a.holdout, a.out = 1, 512, 1, a.out+'-mini'
    with one_line_errors(a.path, a.teacher, a.out, a.save, a.run, a.cache, interrupted='the same command goes on from the last finished epoch'):
        (run_fits if a.what == 'fits' else run_students)(a)


if __name__ == '__main__': main()
