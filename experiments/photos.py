#!/usr/bin/env python3
"""A small network from nothing on photographs in class folders, taught by a network that was trained on ImageNet: alone, KD and LumiNet.

    python experiments/photos.py clothing --path DIR --teacher timm:tf_efficientnet_lite2=FILE --student timm:mobilenetv3_small_050 \\
        --size 128 --epochs 30 --save results
    python experiments/photos.py tiny --path DIR --teacher timm:tf_efficientnet_lite2=FILE --student resnet18 --size 64 --at 192 \\
        --epochs 12 --rates .001 .001 .001 --save results

DIR holds `train` and one or two of `validation`, `valid`, `val` and `test`, each with a folder for each class. The same command goes on where it
was interrupted. FILE has the weights of a network for the classes in DIR, or for ImageNet's if the folders are called by their WordNet ids; or it is a
learner of yours (.pkl), whose code is run.

Training pictures are mirrored and not cropped, so each has two views. The teacher is asked once for both and never again: a student with a
teacher takes the time of one without. Rates are chosen for each method with a seed that no result uses, on the first of the folders to validate
on, or where there is no second on a tenth of the training pictures; every method begins with the same three rates and goes on while the best
stands at an edge. Results are of the last folder, at the last epoch.
"""
import sys, warnings
from pathlib import Path
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
warnings.filterwarnings('ignore')
warnings.filterwarnings('always', message='.*could not be written')
from luminet_fa.all import *
from functools import lru_cache, partial
from detect import line
from luminet_fa.data.sets import DataSet, data_sets
from luminet_fa.data.imagenet import centre_crop
from luminet_fa.data.store import read_image
from luminet_fa.data.tensor import hold_out
from luminet_fa.models.all import classes_in, stats_of
from luminet_fa.models.core import read_weights
from luminet_fa.run.cli import _arg, _program, _seeds, _words
from luminet_fa.run.ledger import append_row
from luminet_fa.run.recipes import Recipe
from luminet_fa.teacher import match_classes

CHOOSE, STATS = 100, ([.5]*3, [.5]*3)
METHODS = dict(alone={}, kd=dict(T=4., ce_w=.1, kd_w=.9, warmup=0), luminet=dict(alpha=None, T=4., ce_w=1., warmup=1/12))

def parts(path):
    "The folders to validate on, in the order of their use"
    found = [o for o in ('validation', 'valid', 'val', 'test') if (Path(path)/o).is_dir()]
    if not found or not (Path(path)/'train').is_dir(): raise InputError(f"{path} has no folder train, or none to validate on")
    return found

@lru_cache
def pictures(folder, size):
    "The photographs of class folders as (N,3,size,size), labels and names"
    files = sorted(Path(folder).glob('*/*'))
    vocab = sorted({f.parent.name for f in files})
    x = torch.cat([centre_crop(np.array(read_image(f)[0]), size, size) for f in files])
    return x, torch.tensor([vocab.index(f.parent.name) for f in files]), vocab

def photo_dls(path, bs=64, size=64, device=None, seed=None, holdout=0, drop_last=True, valid='test'):
    "Loaders of mirrored pictures, validated on the folder `valid`"
    (x, y, vocab), (xv, yv, names) = pictures(Path(path)/'train', size), pictures(Path(path)/valid, size)
    if names != vocab: raise InputError(f"{path}: train and {valid} have other classes")
    if holdout: x, y, xv, yv = hold_out(x, y, holdout)
    return tensor_dls(x, y, xv, yv, vocab, *STATS, bs=bs, pad=0, device=device, seed=seed, drop_last=drop_last)

def use(valid): data_sets['photos'] = DataSet(partial(photo_dls, valid=valid), 0, sized=True, needs='pass path')

def teacher_of(word, path, at):
    "The Teacher that NAME=FILE says, for the classes in `path`, asked at `at` pixels"
    name, _, file = word.partition('=')
    vocab = sorted(o.name for o in (Path(path)/'train').iterdir() if o.is_dir())
    tfm = InputMap(STATS, stats_of(name), at)
    if file.endswith('.pkl'):
        t = Teacher(file, weights_only=False, teacher_tfm=tfm)
        t.class_map = torch.tensor(match_classes(vocab, t.vocab))
        return name, t
    weights = read_weights(file)
    c, cm = classes_in(name, weights), None
    if c != len(vocab):
        from timm.data import ImageNetInfo
        cm = match_classes(vocab, ImageNetInfo().label_names())
    return name, Teacher(load_teacher(weights, arch=make_model(name, c)), class_map=cm, teacher_tfm=tfm)

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
    methods:_arg('methods', nargs='+')=' '.join(METHODS), # methods
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
        first, last = parts(path)[0], parts(path)[-1]
        use(last)
        net, t = teacher_of(teacher, path, at or size)
        r = Recipe(f'photos/{name}', 'photos', net, student, METHODS, epochs=epochs, bs=bs, lr=1e-3, wd=.01, opt='adamw', size=size, labels=labels,
                   net=dict(body=start) if start else {}, source='ours; rates chosen on other pictures than results are of')
        said = f'python experiments/photos.py {name} --path DIR --teacher {net}=FILE --student {student} --size {size} --epochs {epochs} --bs {bs}'
        said += ''.join(f' --{k} {v}' for k, v, usual in (('at', at, None), ('labels', labels, 1.), ('start', start and 'FILE', None)) if v != usual)
        def run(m, seed, lr):
            choose = seed == CHOOSE
            use(first if choose else last)
            n = round(epochs/labels) if m == 'alone' else epochs
            res = run_recipe(r, [m], [seed], n, settings=dict(lr=lr), teacher=t, holdout=.1 if choose and first == last else 0, cache=f'{out}/views',
                             out=f'{out}/{name}', bars=False, **dict(kwargs, verbose=1))
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
