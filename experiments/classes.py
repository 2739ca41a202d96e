#!/usr/bin/env python3
"""LumiNet's weight for fewer classes: alpha = 33*(C/100)**.25 against 33, on C classes of CIFAR-100.

    python experiments/classes.py --path DIR --parts 0 --seeds 0 1 2 3 4 --save results        # what the tuning page shows, half an hour on one core

The same command goes on where it was interrupted.

A part is C classes that a fixed permutation draws; no class is in two of them. Each part has a teacher of its own, trained on the images that are
not held out, and everything is measured on those that are, so that no test image is used. Both weights get three rates, the recipe's, its
half and its double, with a seed that no result uses, and beyond while the best stands at an edge; the rate with the best mean over the
parts is the weight's own. Then it is run on every part with the other seeds.
"""
import sys, warnings
from pathlib import Path
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
warnings.filterwarnings('ignore')
warnings.filterwarnings('always', message='.*could not be written')
from luminet_fa.all import *
from dataclasses import replace
from detect import line
from luminet_fa.data.cifar import _write_cache, load_cifar100
from luminet_fa.run.cli import _arg, _program, _seeds, _words
from luminet_fa.run.ledger import append_row

RECIPE, CHOOSE = 'cifar100/resnet32-resnet8', 100

def part(path, C, k, out):
    "A folder with the `k`-th `C` classes of the data in `path`"
    out = Path(out)/f'{C}-classes-{k}'
    if (out/'cifar100-train.npz').exists(): return out
    x, y, xt, yt, vocab = load_cifar100(path)
    mine = torch.randperm(len(vocab), generator=torch.Generator().manual_seed(0))[k*C:(k+1)*C].sort().values
    out.mkdir(parents=True, exist_ok=True)
    def own(x, y):
        y, keep = torch.searchsorted(mine, y).numpy(), torch.isin(y, mine)
        return x[keep].permute(0, 2, 3, 1).numpy(), y[keep]
    _write_cache(out, dict(train=own(x, y), test=own(xt, yt)), [vocab[i] for i in mine.tolist()])
    return out

@call_parse
@delegates(RunOptions, but=['fresh', 'sync', 'compile', 'trust', 'bars', 'channels_last', 'cbs', 'holdout', 'ledger', 'out', 'minutes'])
def main(
    classes:int=10,   # C, classes of a part
    parts:_arg('parts', nargs='+')='0 1 2', # which of them
    rates:_arg('rates', nargs='+')=None, # rates of 33 and of the rule's weight (default: choose them)
    epochs:int=12,    # of each student
    pretrain:int=20,  # of each teacher
    bs:int=64,        # batch size
    holdout:int=50,   # images per class to measure on
    seeds:_arg('seeds', nargs='+')='0 1 2', # of the results
    out:str='runs/classes', # folder for checkpoints, weights and rows
    save:str=None,    # folder of the tracked tables, which get the rows as well
    **kwargs
):
    "Compare two weights of LumiNet's term on a few classes"
    r, alphas = get_recipe(RECIPE), (33., round(33*(classes/100)**.25, 1))
    said = f'python experiments/classes.py --path DIR --classes {classes} --epochs {epochs} --pretrain {pretrain} --bs {bs} --holdout {holdout}'
    if kwargs.get('images'): said += f" --images {kwargs['images']}"
    def run(k, seeds, alpha, lr):
        res = run_recipe(replace(r, lr=.2), ['luminet'], seeds, epochs, pretrain, bs=bs, settings=dict(alpha=alpha, lr=lr), holdout=holdout,
                         out=f'{out}/part{k}', bars=False, **dict(kwargs, path=part(kwargs['path'], classes, k, out), verbose=1))
        own = res.rows.query("method=='luminet'")
        for row in own.drop(columns='times', errors='ignore').to_dict('records'):
            row = {c: None if v != v else v for c, v in row.items()} | dict(command=said, holdout=holdout, classes=classes, part=k)
            if save: append_row(Path(save)/f'{r.data}-classes.csv', row)
        return own.top1.mean()
    def rate(alpha):
        found, best = line(lambda i: np.mean([run(k, [CHOOSE], alpha, .2*2**i) for k in _seeds(parts)]), (0, -1, 1))
        print(f'alpha {alpha:g}:', *(f'lr {.2*2**i:g} {top1:.2f}' for i, top1 in sorted(found.items())), flush=True)
        return .2*2**best
    with _program(dict(kwargs, out=out)):
        own = [float(o) for o in _words(rates)] if rates else [rate(a) for a in alphas]
        for k in _seeds(parts):
            for alpha, lr in zip(alphas, own): print(f'part {k}, alpha {alpha:g}, lr {lr:g}: {run(k, _seeds(seeds), alpha, lr):.2f} %', flush=True)
