"""Peak memory of distilling beside that of the student alone. A part of bench/run.py.

Measured while the teacher is read, the student is built and three steps are taken. The teacher comes as a file, so that nobody else holds
its weights; a module that the caller goes on holding (`held_mb`) is in memory beside the folded copy.
ratio is ours / (student alone + the teacher's weights): at most 1.1 is wanted.
"""
from luminet_fa.all import *
import tempfile
from safetensors.torch import save_file
from common import peak_mb
from step import batch, in_learner, luminet, networks

def measure(pair, bs, device, dtype, size=None):
    "One row"
    (T, S), own = networks(pair)
    size, t = size or own, T()
    def peak(teacher):
        def f():
            b, student = batch(bs, size, device), S().to(device)
            step = in_learner(student, b, *([luminet(teacher())] if teacher else []), bf16=dtype == 'bf16')
            for _ in range(3): step()
        return peak_mb(f, device)
    with tempfile.TemporaryDirectory() as d:
        f = Path(d)/'teacher.safetensors'
        save_file(t.state_dict(), f)
        alone, ours, held = peak(None), peak(lambda: Teacher(f, arch=t)), peak(lambda: T().to(device))
    w = sum(o.nbytes for o in (*t.parameters(), *t.buffers()))/1e6
    return dict(device=device, pair=pair, size=size, bs=bs, dtype=dtype, student_mb=round(alone, 1), teacher_weights_mb=round(w, 1),
                ours_mb=round(ours, 1), held_mb=round(held, 1), ratio=round(ours/(alone+w), 3))

def rows(a):
    for pair in a.pairs:
        for dt in a.dtype or ['float32', 'bf16']: yield measure(pair, (a.bs or [64])[0], a.device, dt)
    for bs in () if a.quick else (16, 32): yield measure('resnet34-resnet18', bs, a.device, 'bf16', size=224)
