#!/usr/bin/env python3
"""How near a CIFAR-100 teacher in 8-bit integers is to the same in float32, on the training crops that calibrate it and on all test images.

    python experiments/int8.py resnet56 --path DIR --teacher FILE --save results

DIR holds CIFAR-100, FILE the teacher's weights. Both parts are asked in batches of 64; the last incomplete batch of the test images is left out.
"""
import sys, warnings
from pathlib import Path
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
warnings.filterwarnings('ignore')
from luminet_fa.all import *
from fastcore.script import call_parse
from luminet_fa.fold import speed_up
from luminet_fa.models.core import load_weights, read_weights
from luminet_fa.quantize import Int8, agreement
from luminet_fa.run.ledger import append_row, hardware, source_commit, utc_now
from luminet_fa.speed import keep_memory

def means(rows): return {k: round(sum(o[k] for o in rows)/len(rows), 6) for k in rows[0]}

def compared(m, batches):
    "Means over batches of what `agreement` says of the integers, and the accuracy of both"
    def one(x, y):
        z, z_ref = m(x), m.model(x)
        return agreement(z, z_ref) | {k: 100*(o.argmax(1)==y).float().mean().item() for k, o in dict(top1=z, top1_float=z_ref).items()}
    return means([one(x, y) for x, y in batches if len(x)==64])

@call_parse
def main(
    arch:str,          # the teacher's name
    path:str=None,     # folder of CIFAR-100
    teacher:str=None,  # file of its weights
    save:str=None,     # folder of the tracked table
):
    "Agreement of a teacher in int8 with itself"
    keep_memory()
    dls = cifar_dls(path, bs=64, val_bs=64, device='cpu', seed=0)
    net = load_weights(make_model(arch, dls.c), read_weights(teacher), teacher).eval()
    plain = lambda dl: ((x.as_subclass(Tensor), y.as_subclass(Tensor)) for x, y in dl)
    with torch.no_grad():
        m = Int8(speed_up(net, next(plain(dls.train))[0], layout=True))
        for _, (x, _) in zip(range(m.n), plain(dls.train)): m(x)
        if not m.found: raise SystemExit('it stays in float32')
        on = dict(train=m.found, test=compared(m, plain(dls.valid)))
    for part, o in on.items():
        row = dict(date=utc_now(), teacher=arch, part=part, images=m.n*64 if part=='train' else len(dls.valid_ds)//64*64, **o)
        print(row, flush=True)
        row |= dict(hardware=hardware('cpu'), torch=torch.__version__, commit=source_commit(),
                    command=f'python experiments/int8.py {arch} --path DIR --teacher FILE')
        if save: append_row(Path(save)/'cifar100-int8.csv', row)
