#!/usr/bin/env python3
"""Choose the rate and the weight of each method on held-out images, for every method by the same search.

    python experiments/search.py --path DIR --teacher FILE --cache FOLDER            # --methods kd: one of them, so that several processes can share
    python experiments/search.py --recipe digits --teacher FILE --seeds 100 101 102 103 104    # single runs on digits are noisy: the mean of five

Each method starts with nine runs of the recipe's full length: three rates times three weights of its distillation term, each half and double
of the middle one, which for the rate is twice the recipe's; a student alone has no weight and tries nine rates, half as far apart. Then the search goes on while a neighbour of the best
run, at half or double its rate or weight, has not been tried: so no choice stands at the edge of what was tried. The seeds are such as no result
uses. The teacher must not have seen the held-out images; without --teacher it is trained on the others first.
"""
import sys, warnings
from pathlib import Path
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
warnings.filterwarnings('ignore')
warnings.filterwarnings('always', message='.*could not be written')
from luminet_fa.all import *
from itertools import product
from luminet_fa.run.checkpoint import Diverged
from luminet_fa.run.cli import _arg, _program, _seeds, _words

WEIGHTS = dict(alone={}, kd=dict(kd_w=.9), luminet=dict(alpha=33.), dkd=dict(beta=8.), lskd=dict(kd_w=9.), dist=dict(beta=2., gamma=2.))

def settings(m, i, j, rate):
    "Settings of method `m` at a point of its grid: `i` steps of the rate and `j` of the weight from the middle"
    return dict(lr=round(rate*2**(i if WEIGHTS[m] else i/2), 4)) | {k: w*2.**j for k, w in WEIGHTS[m].items()}

def search(m, run):
    "The accuracy `run(i, j)` at every point that the rule asks for"
    found = {}
    todo = [*product((0, -1, 1), repeat=2)] if WEIGHTS[m] else [(i, 0) for i in range(-4, 5)]
    while todo:
        for p in todo: found[p] = run(*p)
        i, j = max(found, key=found.get)
        near = [(i-1, j), (i+1, j)] + ([(i, j-1), (i, j+1)] if WEIGHTS[m] else [])
        todo = [p for p in near if p not in found]
    return found

@call_parse
@delegates(RunOptions, but=['fresh', 'sync', 'compile', 'trust', 'bars', 'channels_last', 'cbs', 'holdout', 'out'])
def main(
    recipe:str='cifar100/resnet32-resnet8', # whose methods to look at
    methods:_arg('methods', nargs='+')=' '.join(WEIGHTS), # methods
    teacher:str=None, # weights of a teacher that has not seen the held-out images (default: train it)
    epochs:int=None,  # of every run (default: the recipe's)
    seeds:_arg('seeds', nargs='+')='100', # each setting is run with all of them, and its mean counts
    holdout:int=50,   # images per class to choose by
    out:str='runs/search', # folder for checkpoints, weights and rows
    **kwargs
):
    "Choose rates and weights on held-out images"
    kwargs = dict(kwargs, holdout=holdout, verbose=kwargs.get('verbose') or 1, bars=False)
    with _program(dict(kwargs, out=out)):
        r = get_recipe(recipe)
        for m in _words(methods):
            def run(i, j):
                s = settings(m, i, j, 2*r.lr)
                try: res = run_recipe(recipe, [m], _seeds(seeds), epochs=epochs, settings=s, teacher=teacher, out=f'{out}/{m}', **kwargs)
                except Diverged: return 0.
                return 0. if res.stopped else res.rows.query('method==@m').top1.mean()
            found = search(m, run)
            for p, top1 in sorted(found.items(), key=lambda o: -o[1]): print(f'{m:8} {top1:.2f} %', settings(m, *p, 2*r.lr), flush=True)
