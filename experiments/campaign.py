#!/usr/bin/env python3
"""Run the next open rows of the CIFAR-100 table, in a limited time, and go on from there the next time.

    python experiments/campaign.py --path DIR      # nine minutes at most; --plan only says what is done, --mini is a miniature for a CPU

The rows, in this order: the teachers; then, for each pair whose teacher is there, the student by LumiNet, KD and DKD, and alone; then the
same with the next seed. A finished row is not run again, also not by a later commit. Where the time is up, the exit status is 75, as of luminet_distill.
"""
import sys, warnings
from dataclasses import replace
from pathlib import Path
from time import monotonic
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
warnings.filterwarnings('ignore')
warnings.filterwarnings('always', message='.*could not be written')
from luminet_fa.all import *
from luminet_fa.run.checkpoint import OutOfTime, load_run
from luminet_fa.run.cli import _arg, _program, _words
from luminet_fa.run.job import Job
from luminet_fa.run.pretrain import teacher_recipe
from luminet_fa.run.recipes import recipes

TEACHERS = ['resnet32x4', 'wrn_40_2', 'resnet56', 'vgg13', 'resnet110', 'ResNet50']
PAIRS = sorted((r.name for r in recipes.values() if r.data == 'cifar100' and 'kd' in r.published), key=lambda n: TEACHERS.index(recipes[n].teacher))
COLUMNS = 'recipe method seed epochs schedule bs lr top1 best_top1 teacher_top1 ece seconds img_s dtype hardware'.split()

def fit(r, epochs, schedule, bs):
    "Recipe `r` at another length and batch size; the rates grow with the batch"
    k = bs/r.bs if bs else 1
    own = {m: s | ({'lr': s['lr']*k} if 'lr' in s else {}) for m, s in r.methods.items()}
    return replace(r, epochs=epochs, pretrain=epochs, schedule=schedule, bs=int(r.bs*k), lr=r.lr*k, teacher_lr=r.teacher_lr*k, methods=own)

def find(r, m, s, opts, files, read=lambda f: load_run(f)['settings']):
    "The file that holds a row, by whichever commit"
    def known(settings): return {k: v for k, v in settings.items() if k not in ('data', 'teacher', 'commit')}
    want = known(Job(r, **opts).settings(m, s))
    return next((f for f in sorted(files) if known(read(f)) == want), None)

def look(r, net, m, s, opts):
    "What there is of a row, and the file of its teacher, which recipe `net` trains"
    folder = Job(r, **opts).folder
    taught = find(net, 'teacher', 0, opts, folder.parent.glob(f'weights/{r.teacher}-s0*.safetensors'), lambda f: read_card(f).get('run', {}))
    done, begun = (find(r, m, s, opts, folder.glob(f'{m}-s{s}*.{e}')) for e in ('safetensors', 'ckpt'))
    if m != 'teacher' and not taught: return 'waits for its teacher', None
    return 'done' if done and taught else 'begun' if done or begun else 'open', taught

def go(rows, plan, opts):
    "Run what is open in `rows`, each with the recipe of its teacher, or only say what there is"
    end, opts = monotonic()+60*opts['minutes'], dict(opts, verbose=1, bars=False)
    for r, net, m, s in rows:
        state, teacher = look(r, net, m, s, opts)
        if plan: print(f'{state:22} {r.name:34} {m:8} seed {s}')
        if plan or state not in ('begun', 'open'): continue
        opts['minutes'] = (end-monotonic())/60
        if opts['minutes'] <= 0: raise OutOfTime('the next row has not begun')
        print(f'{r.name} {m} seed {s}', flush=True)
        if m == 'teacher': train_teacher(r, f"{opts['out']}/weights", s, **opts)
        else: run_recipe(r, [m], [s], teacher=teacher, **opts)

@call_parse
@delegates(RunOptions, but=['fresh', 'sync', 'compile', 'holdout', 'trust', 'verbose', 'bars', 'channels_last', 'cbs'])
def main(
    out:str='runs/campaign', # folder for checkpoints, weights and rows
    minutes:float=9.,        # time for this call
    epochs:int=240,          # of every run
    schedule:str='onecycle', # onecycle, or paper for the benchmark's step decay
    bs:int=0,                # batch size; the recipe's rates grow in proportion; 0: the recipe's
    seeds:_arg('seeds', nargs='+')='0 1 2', # seeds
    teachers:_arg('networks to train as teachers', nargs='+')=TEACHERS, # networks to train as teachers
    pairs:_arg('recipes', nargs='+')=PAIRS, # recipes
    plan:bool=False,         # say what is done, begun and open, and stop
    mini:bool=False,         # resnet32 -> resnet8, two epochs on 512 images
    **kwargs
):
    "Run the next open rows of the CIFAR-100 table, in a limited time"
    if mini: out, epochs, seeds, teachers, pairs, kwargs['images'] = f'{out}-mini', 2, '0', ['resnet32'], ['cifar100/resnet32-resnet8'], 512
    def fitted(r): return fit(r, epochs, schedule, bs)
    rows = [(*[fitted(teacher_recipe(n))]*2, 'teacher', 0) for n in _words(teachers)]
    rows += [(fitted(recipes[p]), fitted(teacher_recipe(recipes[p].teacher)), m, int(s))
             for s in _words(seeds) for p in _words(pairs) for m in ('luminet', 'kd', 'dkd', 'alone')]
    with _program(dict(kwargs, out=out)):
        try: go(rows, plan, dict(kwargs, out=out, minutes=minutes))
        finally:
            if not plan and (f := Path(out)/'results.csv').exists(): print(pd.read_csv(f)[COLUMNS].to_string(index=False))
