#!/usr/bin/env python3
"""Run the next open rows of the CIFAR-100 table, in a limited time, and go on from there the next time.

    python bench/campaign.py --path DIR                        # on a GPU: the next rows, ten minutes at most
    python bench/campaign.py --path DIR --plan                 # only say what is done, begun and open
    python bench/campaign.py --path DIR --mini                 # a miniature of the same on a CPU, in about a minute
    python bench/campaign.py --path DIR --epochs 60 --bs 512 --minutes 30

The rows, in this order: the teachers, resnet32x4 and wrn_40_2 first; then for each pair whose teacher is there the student by LumiNet,
by KD and alone, resnet32x4 -> resnet8x4 first; then the same with the next seed. A row that is finished is never run again, also by a later
commit; one that was begun by the same commit goes on from its last epoch. A run stops after the epoch behind which the next one would not fit into the time.

Everything lies under --out: checkpoints, weights, a table of the rows (results.csv), teachers as float16 with their cards (weights/). With
--ledger results the rows go into the tracked table as well. The table is printed last.
"""
import argparse, io, sys, time, warnings
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
warnings.filterwarnings('ignore')
warnings.filterwarnings('always', message='.*could not be written')
import pandas as pd, torch
from fastai.callback.core import Callback
from luminet_fa.core import one_line_errors
from luminet_fa.run.ledger import source_commit, hardware, table_text
from luminet_fa.run.recipes import recipes, teachers
from luminet_fa.run.pretrain import read_card, teacher_recipe, train_teacher
from luminet_fa.run.checkpoint import load_run
from luminet_fa.run.job import Job

FIRST = ['resnet32x4', 'wrn_40_2', 'resnet56', 'vgg13', 'resnet110', 'ResNet50']
METHODS = ['luminet', 'kd', 'alone']


def comparable(settings):
    "The part of a run's settings that is known before data and teacher are, and that another commit does not change"
    return {k: v for k, v in settings.items() if k not in ('data', 'teacher', 'commit')}


class OutOfTime(Exception): "Not the result of a fault: the next epoch would end after the deadline"


class Deadline(Callback):
    "Stop after the epoch behind which the next one would not fit; the checkpoint is written by then"
    order = 66
    def __init__(self, at): self.at, self.slowest = at, 0.
    def before_epoch(self): self.t0 = time.monotonic()
    def after_epoch(self):
        now = time.monotonic()
        self.slowest = max(self.slowest, now-self.t0)
        if self.epoch+1 < self.learn.n_epoch and now+1.2*self.slowest > self.at: raise OutOfTime("the next epoch would end after the deadline")


class Campaign:
    def __init__(self, a):
        self.a, self.out, self.at, self.commit = a, Path(a.out), time.monotonic()+60*a.minutes, source_commit()
        self.names = a.teachers or [t for t in FIRST if t in teachers]
        self.pairs = a.pairs or sorted((r.name for r in recipes.values() if r.data == 'cifar100' and 'kd' in r.published), key=lambda n: (FIRST.index(recipes[n].teacher), n != 'cifar100/resnet32x4-resnet8x4'))

    def job_args(self):
        a = self.a
        return dict(out=self.out, ledger=a.ledger, device=a.device, dtype=a.dtype, verbose=1, bars=False, cbs=[Deadline(self.at)], images=a.images)

    def fit_to(self, r):
        "Recipe `r` at this campaign's length and batch size; the rates grow with the batch"
        k = self.a.bs/r.bs if self.a.bs else 1
        own = {m: {**s, **({'lr': s['lr']*k} if 'lr' in s else {})} for m,s in r.methods.items()}
        return replace(r, epochs=self.a.epochs, pretrain=self.a.epochs, schedule=self.a.schedule, bs=int(r.bs*k), lr=r.lr*k, teacher_lr=r.teacher_lr*k, methods=own)

    def job(self, r, m): return Job(r, path=self.a.path, commit=self.commit, methods=[m], cache=self.a.cache, **self.job_args())

    def weights(self, name):
        "The teacher of this campaign's settings, from whichever commit; None where there is none"
        want = comparable(self.job(self.fit_to(teacher_recipe(name)), 'teacher').settings('teacher', 0))
        return next((f for f in sorted((self.out/'weights').glob(f'{name}-s0*.safetensors')) if comparable(read_card(f).get('run', {})) == want), None)

    def rows(self):
        "What there is to do: (kind, recipe, method, seed)"
        for n in self.names: yield 'teacher', self.fit_to(teacher_recipe(n)), 'teacher', 0
        for s in self.a.seeds:
            for p in self.pairs:
                for m in METHODS: yield 'student', self.fit_to(recipes[p]), m, s

    def state(self, kind, r, m, s):
        taught = self.weights(r.teacher)
        if kind == 'student' and not taught: return 'waits for its teacher'
        j = self.job(r, m)
        want = comparable(j.settings(m, s))
        for word, ext in (('done', 'safetensors'), ('begun', 'ckpt')):
            if any(comparable(load_run(f)['settings']) == want for f in j.folder.glob(f'{m}-s{s}*.{ext}')): return word if taught else 'begun'
        return 'open'

    def run(self, kind, r, m, s):
        print(f'{r.name} {m} seed {s}', flush=True)
        if kind == 'teacher':
            c = read_card(train_teacher(r, self.out/'weights', s, path=self.a.path, **self.job_args()))
            return print(f"  {c['arch']} as float16: {c['top1']:.2f} % (published {c['published_top1']})", flush=True)
        j = self.job(r, m)
        j.check_files([(m, s)])
        j.use_teacher(self.weights(r.teacher))
        j.record(j.fit(m, s)['row'])

    def table(self):
        f = self.out/'results.csv'
        if not f.exists(): return print('no row is finished yet')
        d = pd.read_csv(io.StringIO(table_text(f)))
        print(d['recipe method seed epochs schedule bs lr top1 best_top1 teacher_top1 ece seconds img_s dtype hardware'.split()].to_string(index=False))

    def go(self):
        ran = 0
        for row in self.rows():
            st = self.state(*row)
            if st in ('done', 'waits for its teacher'): continue
            if ran and time.monotonic() > self.at-30: break
            try: self.run(*row); ran += 1
            except OutOfTime: print('  out of time: the same command goes on from here', flush=True); break
        self.table()

    def plan(self):
        for row in self.rows(): print(f'{self.state(*row):22} {row[1].name:34} {row[2]:8} seed {row[3]}')


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument('--path', help='folder of CIFAR-100')
    p.add_argument('--out', default='runs/campaign', help='folder for checkpoints, weights and rows')
    p.add_argument('--minutes', type=float, default=9., help='time for this call')
    p.add_argument('--epochs', type=int, default=240)
    p.add_argument('--schedule', default='onecycle')
    p.add_argument('--bs', type=int, help="batch size; the recipe's rates grow in proportion (default: the recipe's)")
    p.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    p.add_argument('--teachers', nargs='+', help='networks to train as teachers (default: the six)')
    p.add_argument('--pairs', nargs='+', help='recipes (default: all thirteen)')
    p.add_argument('--images', type=int, default=0, help='train on so many images; 0: all')
    p.add_argument('--cache', help="'memory' or a folder: look the teacher's logits up by view")
    p.add_argument('--ledger', help='folder of the tracked tables')
    p.add_argument('--device')
    p.add_argument('--dtype', help='float32, bf16 or fp16 (default: bf16 where the machine has instructions for it)')
    p.add_argument('--plan', action='store_true', help='say what is done, begun and open, and stop')
    p.add_argument('--mini', action='store_true', help='resnet32 -> resnet8, two epochs on 512 images')
    a = p.parse_args()
    if a.mini: a.epochs, a.images, a.seeds, a.teachers, a.pairs, a.out = 2, 512, [0], ['resnet32'], ['cifar100/resnet32-resnet8'], a.out+'-mini'
    c = Campaign(a)
    with one_line_errors(a.path, a.out, a.ledger, a.cache, interrupted='the same command goes on from the last finished epoch'):
        if a.plan: return c.plan()
        print(hardware(a.device or ('cuda' if torch.cuda.is_available() else 'cpu')), '| torch', torch.__version__, flush=True)
        c.go()


if __name__ == '__main__': main()
