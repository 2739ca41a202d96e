#!/usr/bin/env python3
"""What `match_scale` does to finished CIFAR-100 students: accuracy and calibration on the test set, before and after.

    luminet_distill cifar100/resnet32-resnet8 --methods luminet kd --seeds 0 --epochs 5 --path DIR --teacher FILE --out FOLDER
    python experiments/rescale.py --path DIR --teacher FILE --run FOLDER --save results

The scale is measured on the training images as the loader gives them, with its crops and flips and without their labels; figures are of the
test set, in float32. A row per student.
"""
import argparse, sys, warnings
from pathlib import Path
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
warnings.filterwarnings('ignore')
from luminet_fa.all import *
from luminet_fa.run.ledger import append_row, hardware, source_commit, utc_now

def figures(model, dls):
    "Top-1 in percent, calibration error over 15 bins, and cross-entropy"
    learn = Learner(dls, model, CrossEntropyLossFlat(), metrics=[accuracy, ExpectedCalibrationError()])
    with learn.no_bar(): nll, acc, ece = learn.validate()
    return dict(top1=round(acc*100, 2), ece=round(ece, 4), nll=round(nll, 4))

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    for k in ('path', 'device'): p.add_argument(f'--{k}', help=docments(RunOptions)[k].split(' (default')[0])
    p.add_argument('--teacher', required=True, help="file of the teacher's weights")
    p.add_argument('--recipe', default='cifar100/resnet32-resnet8')
    p.add_argument('--run', default='runs', help='the --out of luminet_distill')
    p.add_argument('--seeds', type=int, nargs='+', default=[0])
    p.add_argument('--methods', nargs='+', default=['luminet', 'kd'])
    p.add_argument('--save', help='folder of the tracked tables')
    a = p.parse_args()
    r, root = get_recipe(a.recipe), Path(a.run)/a.recipe.replace('/', '-')
    dls = make_dls(r, a.path, device=a.device)
    def network(file, arch): return load_teacher(file, arch=make_model(arch, dls.c), device=dls.device)
    ledger, t = read_ledger(Path(a.run)/'results.csv').query('recipe==@r.name'), network(a.teacher, r.teacher)
    teacher, of_teacher = Teacher(t), figures(t, dls)
    print('teacher', of_teacher)
    said = f"python experiments/rescale.py --path DIR --teacher {a.teacher if a.teacher.startswith('weights/') else 'FILE'}"
    for seed, m in [(s, m) for s in a.seeds for m in a.methods]:
        net = network(root/f'{m}-s{seed}.safetensors', r.student)
        before, after = figures(net, dls), figures(match_scale(net, teacher, dls, progress=sys.stderr.isatty()), dls)
        print(m, seed, before, '->', after, flush=True)
        run = ledger.query('method==@m and seed==@seed').iloc[-1]
        row = dict(date=utc_now(), recipe=r.name, method=m, seed=seed, epochs=int(run.epochs), **before)
        row |= {f'{k}_rescaled': v for k, v in after.items()} | {f'teacher_{k}': v for k, v in of_teacher.items()}
        row |= dict(hardware=hardware(dls.device), torch=torch.__version__, commit=source_commit(), trained_by=run.command,
                    command=f'{said} --recipe {r.name} --run FOLDER --seeds {seed} --methods {m}')
        if a.save: append_row(Path(a.save)/f'{r.data}-rescale.csv', row)

if __name__ == '__main__': main()
