"""What a step of distillation costs, and each piece of it: everything side by side in one process, alternating, warmed up, medians.

    python bench/run.py                          # everything; on two cores about half an hour
    python bench/run.py loss loop                # some of: peak loss teacher step loop loader cache memory
    python bench/run.py --save                   # and append the rows to bench/results/*.csv
    python bench/run.py step --pairs resnet32x4-resnet8x4 --bs 64 --n 9
    python bench/run.py --quick                  # the smallest of everything: does it run?
    pip install --no-deps --target FOLDER fasterai && python bench/run.py step --fasterai FOLDER     # with fasterai's callback beside ours

At the end the wanted figures stand beside those measured. Ratios carry over to other machines, times do not; nothing else should run
meanwhile. The parts are in the files of the same names: `loss.py`, `step.py` (also memory), `teacher.py`, `loop.py`, `loader.py`, `cache.py`.
On a GPU (`--device cuda`) the clocks are synchronised around each call. ImageNet's loaders and steps at 224 pixels: bench/imagenet.py.
"""
import argparse, sys, time, warnings
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent)]
warnings.filterwarnings('ignore')
import torch
from common import add_row, machine_info, peak_flops

PAIRS = ['resnet32x4-resnet8x4', 'resnet32-resnet8', 'resnet34-resnet18']
N = {64: 9, 256: 5, 1024: 3}            # timed steps by batch size, where --n is not given
WHAT = 'peak loss teacher step loop loader cache memory'.split()


def peak(a):
    for dt in (torch.float32, torch.bfloat16):
        yield 'peak.csv', dict(device=a.device, dtype=str(dt).split('.')[1].replace('bfloat16', 'bf16'), gflop_s=round(peak_flops(a.device, dt, reps=3 if a.quick else 15)/1e9))


def loss(a):
    import loss as m
    for (B, C), n in m.SHAPES.items():
        if a.quick and B*C > 1e6: continue
        yield 'loss.csv', m.measure(B, C, 3 if a.quick else a.n or n, a.device)


def teacher(a):
    import teacher as m
    for p in a.pairs:
        for r in m.measure(p, a.bs[0], 1 if a.quick else a.n or 9, a.device): yield 'teacher.csv', r


def step(a):
    import step as m
    for p in a.pairs:
        for bs in a.bs:
            for r in m.measure(p, bs, 1 if a.quick else a.n or N.get(bs, 5), a.device, a.ways): yield 'step.csv', r


def loop(a):
    import loop as m
    for r in m.parts(1 if a.quick else a.n or 15, a.device): yield 'loop.csv', r
    for r in m.profile(a.device): yield 'loop.csv', r
    for p, n in (('resnet32-resnet8', 200), ('resnet32x4-resnet8x4', 45)):
        if p not in a.pairs: continue
        for bf16 in (d == 'bf16' for d in a.dtypes):
            for r in m.measure(p, a.bs[0], 1 if a.quick else a.n or n, a.device, bf16): yield 'loop.csv', {'what': 'learner', **r}


def loader(a):
    import loader as m
    yield 'loader.csv', m.measure(a.path, 640 if a.quick else 6400, a.bs[0], 1 if a.quick else a.n or 9, a.device)


def cache(a):
    import cache as m
    for r in m.measure('resnet32-resnet8', a.bs[0], 1 if a.quick else a.n or 9, a.device, 2 if a.quick else 40, True): yield 'cache.csv', r


def memory(a):
    import step as m
    for p in a.pairs:
        for bf16 in (False, True): yield 'memory.csv', m.memory(p, a.bs[0], a.device, bf16)
    if a.quick: return
    for bs in (16, 32): yield 'memory.csv', m.memory('resnet34-resnet18', bs, a.device, True, size=224)


# ---------------------------------------------------------------- what is wanted

def wanted(rows):
    "Lines of (what, wanted, measured, met?) for whatever was measured"
    def get(csv, **kw): return next((r for c, r in rows if c == csv and all(r.get(k) == v for k, v in kw.items())), None)
    def line(what, r, col, want, most=False, f=lambda v: v):
        if r is None: return
        v = f(r[col]); yield f"{what:62} {'at most' if most else 'at least'} {want:5}   measured {v:8.2f}   {'yes' if (v <= want if most else v >= want) else 'NO'}"
    for shape, w in (('64x100', 1.4), ('256x1000', 1.8), ('1024x21843', 1.7)): yield from line(f'loss {shape}: written out / ours', get('loss.csv', shape=shape), 'ratio', w)
    yield from line('loss 256x1000: ours / KD', get('loss.csv', shape='256x1000'), 'ratio_to_kd', 1.4, True)
    s = lambda way, pair='resnet32x4-resnet8x4': get('step.csv', pair=pair, bs=64, way=way)
    yield from line('step resnet32x4-resnet8x4, 64: reference / ours, float32', s('fast'), 'ratio', 1.3)
    yield from line('step resnet32x4-resnet8x4, 64: reference / ours, bfloat16', s('bf16'), 'ratio', 2.4)
    if s('fasterai') and s('fast'): yield from line('step resnet32x4-resnet8x4, 64: fasterai / ours, float32', dict(v=s('fasterai')['ms']/s('fast')['ms']), 'v', 2.2)
    for pair, most in (('resnet32-resnet8', 5), ('resnet32x4-resnet8x4', 1)):
        for dt in ('float32', 'bf16'):
            fast, bar = (get('loop.csv', pair=pair, dtype=dt, way=w) for w in ('fast', 'fast+bar'))
            yield from line(f'loop {pair}, {dt}: over the bare loop, %', fast, 'over_pct', most, True)
            if bar: yield from line('     with a progress bar: further points', dict(v=bar['over_pct'] - fast['over_pct']), 'v', 3, True)
    yield from line('loader: ours / PIL in the same process', get('loader.csv'), 'x_pil_0', 4)
    yield from line('step with the view cache / student alone', get('cache.csv', way='cached'), 'x_student', 1.1, True)
    for c, r in rows:
        if c == 'memory.csv': yield from line(f"memory {r['pair']}, {r['bs']} of {r['size']} px, {r['dtype']}: ours / (student + teacher's weights)", r, 'ratio', 1.1, True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('what', nargs='*', default=WHAT, help=f'parts to measure: {" ".join(WHAT)} (default: all)')
    p.add_argument('--pairs', nargs='+', default=PAIRS, help=f'teacher-student (default: {" ".join(PAIRS)})')
    p.add_argument('--bs', type=int, nargs='+', default=[64, 256, 1024], help='batch sizes of the steps; the other parts take the first')
    p.add_argument('--ways', nargs='+', help='only these ways to take a step (step.py lists them); reference is needed for ratios')
    p.add_argument('--dtypes', nargs='+', default=['float32', 'bf16'], choices=['float32', 'bf16'], help='of the loop')
    p.add_argument('--n', type=int, help='timed calls of each way (default: fewer for what takes longer)')
    p.add_argument('--path', help='CIFAR-100 in any known layout, for the loader (default: made-up images)')
    p.add_argument('--fasterai', metavar='FOLDER', help='where fasterai is, if it is not installed')
    p.add_argument('--threads', type=int, help='CPU threads (default: as torch finds them)')
    p.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    p.add_argument('--quick', action='store_true', help='the smallest of everything')
    p.add_argument('--save', action='store_true', help='append rows to bench/results/*.csv')
    a = p.parse_args()
    if bad := set(a.what) - set(WHAT): p.error(f'unknown part {" ".join(sorted(bad))}; there are: {" ".join(WHAT)}')
    if a.threads: torch.set_num_threads(a.threads)
    if a.fasterai: sys.path.append(a.fasterai)
    if a.quick: a.bs = [8]
    info, rows = machine_info(), []
    print('  '.join(f'{k}={v}' for k, v in info.items()), flush=True)
    for w in a.what:
        t0 = time.monotonic()
        print(f'\n{w}', flush=True)
        for csv, r in globals()[w](a):
            rows.append((csv, r)); print('  ' + '  '.join(f'{k}={v}' for k, v in r.items()), flush=True)
            if a.save: add_row(csv, {**info, **r})
        print(f'  {time.monotonic() - t0:.0f} s', flush=True)
    print('\n' + '\n'.join(wanted(rows)))


if __name__ == '__main__': main()
