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
from luminet_fa.quantize import agreement
from luminet_fa.run.ledger import append_row, hardware, source_commit, utc_now
from luminet_fa.speed import keep_memory

def means(rows): return {k: round(sum(o[k] for o in rows)/len(rows), 6) for k in rows[0]}

def compared(t, batches):
    "Means over batches of what `agreement` says of the integers, and the accuracy of both"
    def one(x, y):
        z, z_ref = t.on_batch(None, x), t(x)                        # in int8, as in a fit; in float32, as always else
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
    t = Teacher(load_teacher(teacher, arch=make_model(arch, dls.c)), speed='int8')
    t.begin_fit(None)
    for _, (x, _) in zip(range(10), dls.train): t.on_batch(None, x)
    if not t.int8: raise SystemExit('it stays in float32')
    for part, n, o in (('train', 640, t.int8), ('test', len(dls.valid_ds)//64*64, compared(t, dls.valid))):
        row = dict(date=utc_now(), teacher=arch, part=part, images=n, **o)
        print(row, flush=True)
        row |= dict(hardware=hardware('cpu'), torch=torch.__version__, commit=source_commit(),
                    command=f'python experiments/int8.py {arch} --path DIR --teacher FILE')
        if save: append_row(Path(save)/'cifar100-int8.csv', row)
