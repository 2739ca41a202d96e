#!/usr/bin/env python
"""Smoke test of an installed wheel: run it where the source tree cannot be imported, with the Python the wheel is installed in.

    cd /tmp && /path/to/env/bin/python /path/to/luminet_fa/tools/smoke.py

Imports every module, then does what a user does first: `from luminet_fa.all import *` and one fit with the callback, on a toy.
Notebook tests run the cells; this runs the modules, with whatever fastai and fastcore pip picked.
"""
import importlib, importlib.metadata, pkgutil, sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path = [p for p in sys.path if Path(p or '.').resolve() not in (HERE, HERE.parent)]   # Python puts this script's folder first
import luminet_fa

home = Path(luminet_fa.__file__).resolve().parent
assert home.parent.name == 'site-packages', f'imported from {home}, not from an installed wheel'
assert luminet_fa.__version__ == importlib.metadata.version('luminet_fa')

mods = sorted(m.name for m in pkgutil.walk_packages(luminet_fa.__path__, 'luminet_fa.'))
for m in mods: importlib.import_module(m)

from fastai.basics import *
from luminet_fa.all import *

class Toy(Module):
    "A small network with BatchNorm: without it a teacher in training mode would go unnoticed"
    def __init__(self, nh): self.layers = nn.Sequential(nn.Linear(8, nh), nn.BatchNorm1d(nh), nn.ReLU(), nn.Linear(nh, 3))
    def forward(self, x): return self.layers(x)

torch.manual_seed(0)
x = torch.randn(256, 8)
y = (x @ torch.randn(8, 3)).argmax(1)
dls = DataLoaders.from_dsets(list(zip(x[:192], y[:192])), list(zip(x[192:], y[192:])), bs=32, num_workers=0)
teacher = Toy(64)
def quiet_fit(learn, n_epoch, lr):
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(n_epoch, lr)

quiet_fit(Learner(dls, teacher, loss_func=nn.CrossEntropyLoss()), 3, 1e-2)
before = {k: v.clone() for k,v in teacher.state_dict().items()}

learn = Learner(dls, Toy(8), loss_func=nn.CrossEntropyLoss(), metrics=accuracy, cbs=LumiNetCallback(teacher))
def valid_loss():
    with learn.no_bar(): return learn.validate()[0]

first = valid_loss()
quiet_fit(learn, 3, 1e-2)
assert valid_loss() < first, 'the student did not learn'
assert 'kd_loss' in learn.recorder.metric_names, learn.recorder.metric_names
assert all(torch.equal(before[k], v) for k,v in teacher.state_dict().items()), 'the teacher changed'

versions = ' '.join(f'{o} {importlib.metadata.version(o)}' for o in ('luminet_fa', 'fastai', 'fastcore', 'torch'))
print(f'{len(mods)} modules imported, toy fitted: {versions}')
