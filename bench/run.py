"""What a step of distillation costs, and each piece of it: everything side by side in one process, alternating, warmed up, medians.

    python bench/run.py                          # everything but ImageNet's parts; on two cores about half an hour
    python bench/run.py loss loop                # some of: peak loss teacher step loop loader cache memory micro detect kernels imagenet_loader imagenet_step photos
    python bench/run.py --save                   # and append the rows to bench/results/*.csv
    python bench/run.py step --pairs resnet32x4-resnet8x4 --bs 64 --n 9
    python bench/run.py --keep                   # with memory kept, as to_fast keeps it on a CPU; without the option nobody's is
    python bench/run.py --quick                  # the smallest of everything: does it run?
    pip install --no-deps --target FOLDER fasterai && python bench/run.py step --fasterai FOLDER     # with fasterai's callback beside ours

Ratios carry over to other machines, times do not; nothing else should run meanwhile. Each part is a file of its name here, which says what
it measures. On a GPU the clocks are synchronised around each call. The page of results on speed holds the rows against what is wanted.
"""
import argparse, importlib, os, sys, time, warnings
from pathlib import Path
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
warnings.filterwarnings('ignore')
import torch
from common import machine_info
from luminet_fa.run.ledger import append_row
from luminet_fa.speed import keep_memory

PAIRS = ['resnet32x4-resnet8x4', 'resnet32-resnet8', 'resnet34-resnet18']
USUAL = 'peak loss teacher step loop loader cache memory micro detect'.split()
PARTS = [*USUAL, 'kernels', 'imagenet_loader', 'imagenet_step', 'photos']

def options():
    "The command line"
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('what', nargs='*', default=USUAL, help=f'parts to measure: {" ".join(PARTS)}')
    p.add_argument('--pairs', nargs='+', default=PAIRS, help=f'teacher-student (default: {" ".join(PAIRS)})')
    p.add_argument('--bs', type=int, nargs='+', help='batch sizes of the steps; the other parts take the first (default: as the part says)')
    p.add_argument('--ways', nargs='+', help='only these ways to take a step (step.py lists them); reference is needed for ratios')
    p.add_argument('--dtype', nargs='+', choices=['float32', 'bf16'], help='of loop, cache, memory, imagenet_step (default: as they say)')
    p.add_argument('--n', type=int, help='timed calls of each way (default: fewer for what takes longer)')
    p.add_argument('--path', help='loader: CIFAR-100 in any known layout; imagenet_loader: class folders (default: made-up images)')
    p.add_argument('--images', type=int, default=256, help='files that imagenet_loader runs over')
    p.add_argument('--size', type=int, default=224, help='height and width of the images of the ImageNet parts')
    p.add_argument('--resize', type=int, help='shorter side in the store of imagenet_loader (default: 8/7 of the size)')
    p.add_argument('--classes', type=int, default=1000, help='of imagenet_step')
    p.add_argument('--store', help='a store made by luminet_store, for the ways of imagenet_step with a loader')
    p.add_argument('--compile', action='store_true', help='imagenet_step also with torch.compile')
    p.add_argument('--fasterai', metavar='FOLDER', help='where fasterai is, if it is not installed')
    p.add_argument('--threads', type=int, help='CPU threads (default: as torch finds them)')
    p.add_argument('--keep', action='store_true', help='let the C library keep freed memory from the start (keep_memory)')
    p.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    p.add_argument('--quick', action='store_true', help='the smallest of everything')
    p.add_argument('--save', action='store_true', help='append rows to bench/results/*.csv')
    p.add_argument('--to', type=Path, default=HERE/'results', metavar='FOLDER', help='append them there instead')
    a = p.parse_args()
    if bad := set(a.what) - set(PARTS): p.error(f'unknown part {" ".join(sorted(bad))}; there are: {" ".join(PARTS)}')
    if a.quick: a.bs, a.n = [8], 1
    return a

def words(row): return '  '.join(f'{k}={v}' for k, v in row.items())

def main():
    a = options()
    if a.fasterai: sys.path.append(a.fasterai)
    if a.threads: torch.set_num_threads(a.threads)
    if not a.keep: os.environ.setdefault('MALLOC_TRIM_THRESHOLD_', '131072')      # glibc's own: to_fast leaves memory alone
    info, threads = machine_info(a.keep and keep_memory()), torch.get_num_threads()
    print(words(info))
    for part in a.what:
        print(f'\n{part}', flush=True)
        t0 = time.monotonic()
        for r in importlib.import_module(part).rows(a):
            print('  ' + words(r), flush=True)
            if a.save: append_row(a.to/f"{part.split('_')[0]}.csv", {**info, **r})
        torch.set_num_threads(threads)
        print(f'  {time.monotonic() - t0:.0f} s', flush=True)

if __name__ == '__main__': main()
