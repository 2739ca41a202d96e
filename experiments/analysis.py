#!/usr/bin/env python3
"""What LumiNet's parts and numbers do: the fits and the measurements behind the page `Analysis`.

    python experiments/analysis.py fits --path DIR --teacher FILE --dtype bf16 --cache FOLDER --save results       # about an hour
    python experiments/analysis.py fits --path DIR --teacher FILE --list             # the 37 fits, and which are done
    python experiments/analysis.py fits --path DIR --teacher FILE --mini             # four steps of each, to see that they run
    python experiments/analysis.py students --path DIR --teacher FILE --run FOLDER --save results     # from what luminet_distill left

`fits` trains the student of --recipe once for every variant, with one seed, and measures it on held-out training images: nobody should
choose a setting by the test set, so this page does not offer one. Every fit leaves its row, is never run twice, and goes on from its last
epoch; --fits runs some of them only, so that several processes can share the work. `students` reads finished students of the same recipe
and keeps what the page draws: reliability bins, correlations between the classes, and a t-SNE of the features.
"""
import argparse, io, json, sys, warnings
from pathlib import Path
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
warnings.filterwarnings('ignore')
warnings.filterwarnings('always', message='.*could not be written')
from luminet_fa.all import *
from dataclasses import replace
from luminet_fa.core import one_line_errors, pick, write_atomic
from luminet_fa.metrics import reliability_bins
from luminet_fa.run.ablation import VariantLoss, class_correlation, penultimate
from luminet_fa.run.job import Job
from luminet_fa.run.ledger import append_row, hardware, source_commit, table_text, utc_now

THEN = dict(alone=dict(lr=.8), kd=dict(lr=.8, kd_w=1.8), luminet=dict(lr=.4, alpha=33.))     # the CPU recipe's settings when the page's fits were made
PARTS = dict(over='batch', centre=True, scale=True, group=0)        # of perception, as VariantLoss takes them

def fits(r):
    "Name -> (experiments it belongs to, method, settings, changes of the recipe); `r` is the recipe they start from"
    L, K, out = r.methods['luminet'], r.methods['kd'], {}
    a, T = L['alpha'], L['T']
    def add(exps, name, method='perception', settings=(), **changes):
        out[name] = exps, method, (L | PARTS if method == 'perception' else r.methods[method]) | dict(settings), changes
    add('ablation weight warmup batch group optimiser', 'luminet')
    parts = {'none': dict(over='none'), 'batch-no-scale': dict(scale=False), 'batch-no-centre': dict(centre=False), 'batch': {},
             'classes': dict(over='classes'), 'batch+classes': dict(over='batch+classes')}
    for alpha in (a, T):
        for name, kw in parts.items():
            if (alpha, name) == (a, 'batch'): continue              # that is LumiNet itself
            add('ablation weight' if name == 'batch' else 'ablation', f'{name}-alpha{alpha:g}', settings=dict(kw, alpha=alpha))
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
    for m, method in (('luminet', 'perception'), ('alone', 'alone')):
        add('optimiser', f'{m}-nesterov', method, opt='nesterov')
        for lr in (2e-3, 8e-3): add('optimiser', f'{m}-adamw-lr{lr:g}', method, dict(lr=lr), opt='adamw', wd=.05)
    return out

class VariantJob(Job):
    "A job whose method 'perception' is LumiNet with some of its parts"
    def method_cbs(self, method, dls):
        if method != 'perception': return super().method_cbs(method, dls)
        s = self.recipe.method(method)
        loss = VariantLoss(**{k: s[k] for k in ('alpha', 'T', *PARTS)})
        return [DistillCallback(self.asked(method, dls), loss, ce_w=s['ce_w'], warmup=s['warmup'])]

def command(a, *names, **more):
    "What to type for the same rows, without local folders: the options called `names` that are set, and `more`"
    words = [f'--{k} {v}' for k, v in ({k: getattr(a, k) for k in names} | more).items() if v]
    teacher = a.teacher if a.teacher.startswith('weights/') else 'FILE'
    return ' '.join([f'python experiments/analysis.py {a.what} --path DIR --teacher {teacher}', *words])

def run_fits(a):
    base = replace(get_recipe(a.recipe), epochs=a.epochs, seeds=(a.seed,))
    base = replace(base, methods={m: s | THEN.get(m, {}) for m, s in base.methods.items()})
    todo, teacher = fits(base), None
    def state(n): return 'done' if any((Path(a.out)/n).rglob('*.safetensors')) else 'open'
    if a.list: return print('\n'.join(f'{state(n):5} {n:28} {exps}' for n, (exps, *_) in todo.items()))
    names = a.fits or list(todo)
    for n in names: pick(todo, n, 'fit')
    said = command(a, 'recipe', 'epochs', 'holdout', 'seed', 'images', 'dtype', cache=a.cache and 'FOLDER')
    tables = [Path(a.out)/'fits.csv', *([Path(a.save)/f'{base.data}-analysis.csv'] if a.save else [])]
    for f in tables: table_text(f, missing=True)                     # what cannot be read is told of before anything is trained
    opts = {k: getattr(a, k) for k in 'path device dtype cache holdout images'.split()} | dict(verbose=0, bars=False)
    for i, n in enumerate(names):
        exps, method, s, changes = todo[n]
        j = VariantJob(replace(base, methods={method: s}, **changes), teacher, [method], commit=source_commit(), out=Path(a.out)/n, **opts)
        if not teacher: j.use_teacher(a.teacher); teacher = j.teacher
        row = dict(j.fit(method, a.seed)['row'], command=said, experiments=exps, fit=n)
        for f in tables: append_row(f, row)
        print(f"[{i+1}/{len(names)}] {n:28} {row['top1']:.2f} %, {row['seconds']:.0f} s", flush=True)

def run_students(a):
    from sklearn.manifold import TSNE
    r = get_recipe(a.recipe)
    dls, root = make_dls(r, a.path, device=a.device), Path(a.run)/r.name.replace('/', '-')
    files = {m: f for m in distill_methods if (f := Path(a.teacher) if m == 'teacher' else root/f'{m}-s{a.seed}.safetensors').exists()}
    shown, out = torch.arange(0, dls.c, dls.c//10), {}
    for m, f in files.items():
        net = load_teacher(f, arch=make_model(r.teacher if m == 'teacher' else r.student, dls.c), device=dls.device)
        z, feat, y = (torch.cat(o).cpu() for o in zip(*((*penultimate(net, x), y) for x, y in dls.valid)))
        k = torch.isin(y, shown)
        _, conf, acc, n = reliability_bins(z, y)
        xy = TSNE(random_state=0, init='pca', perplexity=min(30, (k.sum().item()-1)//3)).fit_transform(feat[k].numpy())
        top1 = (z.argmax(1) == y).float().mean().item()*100
        print(f'{m:8} {top1:.2f} %', flush=True)
        new = dict(conf=(conf, 'f4'), acc=(acc, 'f4'), n=(n, 'i4'), corr=(class_correlation(z), 'f2'), xy=(xy, 'f2'), y=(y[k], 'u1'),
                   top1=(top1, 'f4'))
        out |= {f'{m}_{k}': np.asarray(v).astype(t) for k, (v, t) in new.items()}
    meta = dict(recipe=r.name, seed=a.seed, networks=list(files), classes=[str(dls.vocab[i]) for i in shown.tolist()], n=len(y),
                date=utc_now(), commit=source_commit(), hardware=hardware(dls.device), command=command(a, 'recipe', 'seed', run='FOLDER'))
    buf = io.BytesIO(); np.savez_compressed(buf, meta=np.array(json.dumps(meta)), **out)
    dest = Path(a.save or a.out)/f'{r.data}-students.npz'
    if not write_atomic(dest, buf.getvalue()): sys.exit(f'error: {dest} could not be written')
    print(dest, f'{len(buf.getvalue())/1e3:.0f} kB')

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument('what', choices=['fits', 'students'])
    p.add_argument('--teacher', required=True, help="file of the teacher's weights")
    p.add_argument('--recipe', default='cifar100/resnet32-resnet8')
    for k, v in dict(path='', out='runs/analysis', holdout=100, images=0, cache='', device='', dtype='float32').items():
        p.add_argument(f'--{k}', type=type(v), default=None if v == '' else v, help=docments(RunOptions)[k].split(' (default')[0])
    p.add_argument('--save', help='folder of the tracked tables')
    for k, v in dict(epochs=3, seed=0).items(): p.add_argument(f'--{k}', type=int, default=v)
    p.add_argument('--fits', nargs='+', help='some of the fits')
    p.add_argument('--run', default='runs', help='students: the --out of luminet_distill')
    p.add_argument('--list', action='store_true', help='say which fits there are and which are done, and stop')
    p.add_argument('--mini', action='store_true', help='one epoch on 512 images')
    a = p.parse_args()
    if a.mini: a.epochs, a.images, a.holdout, a.out = 1, 512, 1, a.out+'-mini'
    with one_line_errors(a.path, a.teacher, a.out, a.save, a.run, a.cache, interrupted='the same command goes on from the last epoch'):
        (run_fits if a.what == 'fits' else run_students)(a)

if __name__ == '__main__': main()
