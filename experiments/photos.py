#!/usr/bin/env python3
"""A small network from nothing on photographs in class folders, taught by a network that was trained on ImageNet: alone, KD and LumiNet.

    python experiments/photos.py clothing --path DIR --teacher timm:tf_efficientnet_lite2=FILE --student timm:mobilenetv3_small_050 \\
        --size 128 --epochs 30 --save results
    python experiments/photos.py tiny --path DIR --teacher timm:tf_efficientnet_lite2=FILE --student resnet18 --size 64 --at 192 \\
        --epochs 12 --rates .001 .001 .001 --save results

DIR holds what `luminet_store` takes: `train`, a folder to validate on, and perhaps `test`, each with a folder for each class. The same command goes
on where it was interrupted. FILE has the weights of a network for the classes in DIR, or for ImageNet's if the folders are called by their WordNet ids; or it is a
learner of yours (.pkl), whose code is run.

Training pictures are mirrored and not cropped, so each has two views. The teacher is asked once for both and never again: a student with a
teacher takes the time of one without. Rates are chosen for each method with a seed that no result uses, on the validation pictures, or where there
is no `test` on a tenth of the training pictures; every method begins with the same three rates and goes on while the best stands at an edge.
Results are of `test`, else of the validation pictures, at the last epoch.
"""
import sys, warnings
from pathlib import Path
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
warnings.filterwarnings('ignore')
warnings.filterwarnings('always', message='.*could not be written')
from luminet_fa.all import *
from dataclasses import replace
from functools import lru_cache, partial
from detect import line
from luminet_fa.data.sets import DataSet, data_sets
from luminet_fa.data.imagenet import Images
from luminet_fa.data.store import Store, build_store
from luminet_fa.data.tensor import hold_out
from luminet_fa.models.all import classes_in, stats_of
from luminet_fa.models.core import read_weights
from luminet_fa.run.cli import _arg, _program, _seeds, _words
from luminet_fa.run.ledger import append_row
from luminet_fa.teacher import match_classes

CHOOSE, STATS = 100, ([.5]*3, [.5]*3)

@lru_cache
def pictures(store, split, size):
    "The squares in the middle of a split's photographs, (N,3,size,size), and their labels"
    o = Store(store)[split]
    return Images(o).read(torch.arange(len(o)), size, size), o.y

def photo_dls(path, bs=64, size=64, device=None, seed=None, holdout=0, drop_last=True, valid='val'):
    "Loaders of mirrored pictures of the store `path`, validated on its split `valid`"
    (x, y), (xv, yv) = pictures(path, 'train', size), pictures(path, valid, size)
    if holdout: x, y, xv, yv = hold_out(x, y, holdout)
    return tensor_dls(x, y, xv, yv, Store(path).vocab, *STATS, bs=bs, pad=0, device=device, seed=seed, drop_last=drop_last)

def use(valid):
    "From now on runs on photographs validate on this split"
    data_sets['photos'] = DataSet(partial(photo_dls, valid=valid), 0, sized=True, needs='pass path')

def teacher_of(word, vocab, at):
    "The Teacher that NAME=FILE says, for these classes, asked at `at` pixels"
    name, _, file = word.partition('=')
    if file.endswith('.pkl'): t = Teacher(file, weights_only=False)
    else:
        weights = read_weights(file)
        t = Teacher(weights, make_model(name, classes_in(name, weights)))
        if classes_in(name, weights) != len(vocab):
            from timm.data import ImageNetInfo
            t.vocab = ImageNetInfo().label_names()
    if t.vocab is not None: t.class_map = torch.tensor(match_classes(vocab, t.vocab))
    t.tfm = InputMap(STATS, t.stats or stats_of(name), at)
    return name, t

@call_parse
@delegates(RunOptions, but=['fresh', 'sync', 'compile', 'cache', 'trust', 'bars', 'channels_last', 'cbs', 'holdout', 'ledger', 'out'])
def main(
    name:str,         # what the rows call it
    teacher:str=None, # NAME=FILE of weights, or of an exported learner whose author you trust
    student:str='resnet18', # network, which starts from random weights
    size:int=64,      # height and width of the student's pictures, pixels
    at:int=None,      # of the teacher's (default: the student's)
    epochs:int=12,    # of each student
    bs:int=64,        # batch size
    labels:float=1.,  # share of the training pictures whose labels are used; the student alone has as many steps all the same
    start:str=None,   # file of weights that the student starts from (default: random ones)
    methods:_arg('methods', nargs='+')='alone kd luminet', # methods
    rates:_arg('rates', nargs='+')=None, # a rate for each method (default: choose them)
    seeds:_arg('seeds', nargs='+')='0 1 2', # of the results
    out:str='runs/photos', # folder for checkpoints, weights and rows
    save:str=None,    # folder of the tracked tables, which get the rows of the results as well
    **kwargs
):
    "Compare students of a network that knows ImageNet, on photographs"
    path, ms = kwargs['path'], _words(methods)
    with _program(dict(kwargs, out=out)):
        if not (path and teacher): raise InputError("pass path, and teacher as NAME=FILE")
        st = build_store(path, f'{out}/{name}-{size}', size=size, progress=False)
        last = 'test' if len(st['test']) else 'val'
        use(last)
        net, t = teacher_of(teacher, st.vocab, at or size)
        r = replace(get_recipe('folder'), name=f'photos/{name}', data='photos', teacher=net, student=student, epochs=epochs, bs=bs, size=size,
                    labels=labels, net=dict(body=start) if start else {}, teacher_net={}, source='ours; rates chosen on other pictures than results are of')
        said = f'python experiments/photos.py {name} --path DIR --teacher {net}=FILE --student {student} --size {size} --epochs {epochs} --bs {bs}'
        said += ''.join(f' --{k} {v}' for k, v, usual in (('at', at, None), ('labels', labels, 1.), ('start', start and 'FILE', None)) if v != usual)
        def run(m, seed, lr):
            choose = seed == CHOOSE
            use('val' if choose else last)
            n = round(epochs/labels) if m == 'alone' else epochs
            res = run_recipe(r, [m], [seed], n, settings=dict(lr=lr), teacher=t, holdout=.1 if choose and last == 'val' else 0, cache=f'{out}/views',
                             out=f'{out}/{name}', bars=False, **dict(kwargs, path=st.folder, verbose=1))
            row = res.rows.query("method!='teacher'").drop(columns='times', errors='ignore').iloc[-1].to_dict()
            row = {c: None if v != v else v for c, v in row.items()} | dict(command=said)
            if save and not choose: append_row(Path(save)/'photos.csv', row)
            return row['top1']
        def rate(m):
            found, best = line(lambda i: run(m, CHOOSE, 1e-3*2**i), (0, -1, 1))
            print(f'{m}:', *(f'lr {1e-3*2**i:g} {top1:.2f}' for i, top1 in sorted(found.items())), flush=True)
            return 1e-3*2**best
        own = dict(zip(ms, map(float, _words(rates)))) if rates else {m: rate(m) for m in ms}
        for s in _seeds(seeds):
            for m in ms: print(f'{m}, seed {s}, lr {own[m]:g}: {run(m, s, own[m]):.2f} %', flush=True)
