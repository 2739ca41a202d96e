#!/usr/bin/env python3
"""One turn of the campaign on a GPU machine that is lent for minutes and has no network.

    python experiments/turn.py OUT --path DIR --wheels WHEELS --back FOLDER --minutes 9

The turn installs the wheels in WHEELS that the machine's Python lacks, and takes up what FOLDER holds of the turn before. It measures the
ladder of a training step and a profile, once. Then it runs the next open rows of experiments/campaign.py, until MINUTES after its own start.
In OUT it leaves what the next turn and this repository want, no file larger than MB: rows, weights, checkpoints, measurements.
OUT of one turn is FOLDER of the next. The exit status is 75 while rows are open. Options after -- go to the campaign, for instance
-- --teachers resnet32x4 --pairs cifar100/resnet32x4-resnet8x4 --graph --cache memory.
"""
import argparse, os, shutil, subprocess, sys, tempfile, time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

start = time.monotonic()
repo = Path(__file__).resolve().parent.parent
packing = 20            # seconds kept for the last steps
ladder = 'reference plain fast bf16 graph compiled cached student'.split()

def install(wheels, target):
    "Install the wheels that this Python lacks into `target`"
    def lacks(f):
        try: version(f.name.split('-')[0]); return False
        except PackageNotFoundError: return True
    new = [f for f in sorted(wheels.glob('*.whl')) if lacks(f)]
    if not new: return print('no wheel is missing', flush=True)
    subprocess.run([sys.executable, '-m', 'pip', 'install', '-q', '--no-index', '--no-deps', '--target', target, *new], check=True)
    print('installed:', *(f.name for f in new), flush=True)

def pack(src, out, most):
    "Copy the files below `src` to `out`, in numbered parts where they are larger than `most` bytes"
    for f in filter(Path.is_file, sorted(src.rglob('*'))):
        to = out/f.relative_to(src)
        to.parent.mkdir(parents=True, exist_ok=True)
        if f.stat().st_size<=most: shutil.copy(f, to); continue
        with open(f, 'rb') as o:
            for i,part in enumerate(iter(lambda: o.read(most), b'')): to.with_name(f'{to.name}.part{i:03d}').write_bytes(part)

def unpack(src, out):
    "What `pack` has made of a folder"
    for f in filter(Path.is_file, sorted(src.rglob('*'))):                       # parts come in their order
        to = out/f.relative_to(src)
        to.parent.mkdir(parents=True, exist_ok=True)
        if to.suffix[:5]!='.part': shutil.copy(f, to); continue
        with open(to.with_suffix(''), 'wb' if to.suffix=='.part000' else 'ab') as o: o.write(f.read_bytes())

def left(minutes): return 60*minutes-packing-(time.monotonic()-start)

def call(env, seconds, *args):
    "The exit status of a script of this repository. Where it takes too long it is ended as by Ctrl-C, so that it keeps what it has: 75"
    print('$', *args, flush=True)
    p = subprocess.Popen([sys.executable, *map(str, args)], cwd=repo, env=env)
    try: return p.wait(max(seconds, 1))
    except subprocess.TimeoutExpired: p.terminate()
    try: p.wait(packing/2)
    except subprocess.TimeoutExpired: p.kill(); p.wait()
    return 75

def measure(env, runs, a):
    "The first measurements, whole; each is tried in one turn only"
    size = ['--quick', '--pairs', 'resnet32-resnet8'] if a.quick else ['--bs', 64, '--pairs', 'resnet32x4-resnet8x4']
    for part in ('step','kernels'):
        done = runs/'bench'/f'{part}.csv'
        tried = done.with_suffix('.tried')
        if done.exists() or tried.exists(): continue
        done.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory() as d:
            rc = call(env, left(a.minutes)/2, 'bench/run.py', part, '--save', '--to', d, *size, '--ways', *ladder)
            if not rc: shutil.move(Path(d)/done.name, done); continue
        tried.write_text(f'exit status {rc}\n')
        print(f'{part} was not measured: exit status {rc}', flush=True)

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('out', type=Path, help='folder that comes back')
    p.add_argument('--path', required=True, help='folder of CIFAR-100')
    p.add_argument('--wheels', type=Path, help='folder of wheels')
    p.add_argument('--back', type=Path, help='what came back from the turn before')
    p.add_argument('--minutes', type=float, default=9, help='for all of it, from now on (9)')
    p.add_argument('--mb', type=float, default=15, help='largest file that may come back, 10**6 bytes (15)')
    p.add_argument('--no-measure', action='store_true', help='only the campaign')
    p.add_argument('--quick', action='store_true', help='the smallest measurements')
    at = sys.argv.index('--') if '--' in sys.argv else len(sys.argv)
    a,campaign = p.parse_args(sys.argv[1:at]),sys.argv[at+1:]
    if a.out.exists() and any(a.out.iterdir()): p.error(f'{a.out} is not empty: the files of two turns would mix')
    with tempfile.TemporaryDirectory() as d:
        site,runs = Path(d)/'site',Path(d)/'runs'
        site.mkdir(); runs.mkdir()
        if a.wheels: install(a.wheels, site)
        if a.back: unpack(a.back, runs)
        env = os.environ | {'PYTHONPATH': os.pathsep.join(filter(None, [str(repo), str(site), os.environ.get('PYTHONPATH')]))}
        try:
            if not a.no_measure: measure(env, runs, a)
            runs_of = 'experiments/campaign.py','--path',Path(a.path).resolve(),'--out',runs/'campaign'
            rc = call(env, left(a.minutes), *runs_of, '--minutes', max(left(a.minutes), 0)/60, *campaign)
        finally: pack(runs, a.out, int(1e6*a.mb))
    print(f'{sum(f.is_file() for f in a.out.rglob("*"))} files in {a.out}, after {time.monotonic()-start:.0f} s', flush=True)
    sys.exit(rc)

if __name__=='__main__': main()
