#!/usr/bin/env python3
"""Detectors on a few hundred photographs: choose rate and weight of each method on held-out training images, then run them all with three seeds.

    python experiments/detect.py --path DIR --bodies BODIES --choose                  # into runs/detect, and with --ledger results into coco-trials.csv
    python experiments/detect.py --path DIR --bodies BODIES --ledger results          # what was chosen: the rows of the table

DIR is in COCO's format; BODIES holds tf_efficientnet_lite0.safetensors and tf_efficientnet_lite2.safetensors, the classification networks under timm's
names. --minutes ends with status 75 where there is more to do, and the same command goes on; --plan says which runs it would make.

To choose, every method gets the recipe's full length on the training images that are not held out, with one seed that no result uses, and a teacher
that has not seen the held-out ones either. First three rates, the recipe's, its half and its double; a student alone, which has no weight, gets two
more between them. Then at the best rate half and double the weight of the distillation term. While the best stands at an edge of what was tried, the
next step beyond it is tried as well. The best is the one with the highest AP in the last epoch; AP50 and AP75 are printed beside it.

Then the teacher is trained on all training images, and of every method three students. The student alone runs a second time with --more epochs,
which takes about the time of a distilled run, and LumiNet a second time with the regions of the foreground alone.
"""
import json, sys, warnings
from pathlib import Path
from time import monotonic
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
warnings.filterwarnings('ignore')
warnings.filterwarnings('always', message='.*could not be written')
from luminet_fa.all import *
from luminet_fa.core import PathError, write_atomic
from luminet_fa.run.checkpoint import Diverged, OutOfTime
from luminet_fa.run.cli import _arg, _program, _seeds, _words
from luminet_fa.run.options import as_words

POWERS = dict(alone={}, kd=dict(kd_w=1), dkd=dict(alpha=1, beta=1), luminet=dict(alpha=.5))    # LumiNet's alpha is squared in its loss

def settings(r, m, i, j):
    "Settings of method `m` with 2**i times the recipe's rate and 2**j times the weight of its term"
    new = dict(lr=r.lr*2**i) | {k: r.methods[m][k]*2**(j*p) for k, p in POWERS[m].items()}
    return {k: float(f'{v:.4g}') for k, v in new.items()}

def line(run, steps):
    "Results at `steps` of one setting, and beyond while the best stands at an edge; and the best step"
    found = {o: run(o) for o in steps}
    while True:
        best, width = max(found, key=found.get), min(b-a for a, b in zip(sorted(found), sorted(found)[1:]))
        beyond = best+width*((best == max(found))-(best == min(found)))
        if beyond in found: return found, best
        found[beyond] = run(beyond)

def best_point(m, run):
    "Steps of rate and weight by the rule above; `run` gives the AP at a point"
    _, i = line(lambda i: run(i, 0), (0, -1, 1) if POWERS[m] else (0, -1, 1, -.5, .5))
    return i, line(lambda j: run(i, j), (0, -1, 1))[1] if POWERS[m] else 0

def search(r, m, run):
    "The best settings of method `m`; prints all that were tried"
    found = {}
    def ap(*p):
        if p not in found: found[p] = run(m, settings(r, m, *p))
        return found[p]['AP']
    best = best_point(m, ap)
    for p, o in sorted(found.items(), key=lambda o: -o[1]['AP']):
        print(f'{m:8}', *(f'{k} {v:5.1f}' for k, v in o.items()), *as_words(settings(r, m, *p)), '<-'*(p == best), flush=True)
    return settings(r, m, *best)

def lines(chosen, more):
    "Method, what else is set, and settings of each line of the table"
    for m, s in chosen.items(): yield m, {}, s
    if 'alone' in chosen: yield 'alone', dict(epochs=more), chosen['alone']
    if 'luminet' in chosen: yield 'luminet', {}, chosen['luminet'] | dict(only='foreground')

@call_parse
@delegates(RunOptions, but=['fresh', 'sync', 'compile', 'cache', 'trust', 'bars', 'verbose', 'channels_last', 'cbs', 'holdout', 'out'])
def main(
    recipe:str='coco/lite2-lite0', # whose methods to run
    methods:_arg('methods', nargs='+')=' '.join(POWERS), # methods
    choose:bool=False, # choose rates and weights, and keep them in OUT/chosen.json
    holdout:int=8,     # choose by so many training images times the number of classes
    epochs:int=None,   # of every run (default: the recipe's)
    pretrain:int=None, # of the teacher (default: the recipe's)
    more:int=11,       # epochs of the student alone at equal time
    seeds:_arg('seeds', nargs='+')='0 1 2', # of the results
    out:str='runs/detect', # folder for checkpoints, weights and rows
    minutes:float=None,# time for this call (default: no limit)
    plan:bool=False,   # print the commands of the results, and stop
    **kwargs
):
    "Choose rates and weights of detectors on held-out images, or run what was chosen"
    end, file, r = monotonic()+60*(minutes or float('inf')), Path(out)/'chosen.json', get_recipe(recipe)
    def run(m, s, where, seeds, **kw):
        left = (end-monotonic())/60
        if left <= 0: raise OutOfTime('the next run has not begun')
        return run_recipe(recipe, [m], seeds, settings=s, out=f'{out}/{where}', verbose=1, bars=False, minutes=left if minutes else None,
                          **dict(epochs=epochs, pretrain=pretrain) | kwargs | kw)
    def trial(m, s):
        try: res = run(m, s, 'choose', [100], holdout=holdout)
        except Diverged: return dict(AP=0., AP50=0., AP75=0.)
        return res.rows[res.rows.method == m].rename(columns=dict(top1='AP'))[['AP', 'AP50', 'AP75']].iloc[0].to_dict()
    with _program(dict(kwargs, out=out)):
        if choose: return write_atomic(file, json.dumps({m: search(r, m, trial) for m in _words(methods)}, indent=1).encode())
        if not file.exists(): raise PathError(f'there is no {file}: run with --choose first')
        chosen = {m: s for m, s in json.loads(file.read_text()).items() if m in _words(methods)}
        for m, kw, s in lines(chosen, more):
            if plan: print('luminet_distill', recipe, '--path DIR --bodies BODIES --methods', m, '--seeds', *_seeds(seeds), *(f'--{k} {v}' for k, v in kw.items()), '--settings', *as_words(s))
            else: print(run(m, s, 'run', _seeds(seeds), **kw))
