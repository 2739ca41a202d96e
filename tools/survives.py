"""Kill runs, flip bits, cut files, fill disks, and count what was lost. The page "What it survives" prints the counts.

    python tools/survives.py                      # all of it, about ten minutes on two cores
    python tools/survives.py --quick              # a tenth of the numbers, about a minute
    python tools/survives.py --only kills disks   # some of it
    python tools/survives.py --out results/survives.csv      # keep the counts, in the place of older ones of the same name

Exit status 1 where anything was lost. Needs a POSIX system; a real full disk needs the right to mount one (root, or user namespaces)."""
import argparse, contextlib, io, os, random, signal, subprocess, sys, tempfile, time, warnings
from pathlib import Path

os.environ.update(OMP_NUM_THREADS='1', MPLBACKEND='Agg')
import numpy as np, pandas as pd, torch
from counts import count, keep
from luminet_fa.run.ledger import append_row, table_text
from luminet_fa.models.small import small_model
from luminet_fa.run.recipes import get_recipe
from luminet_fa.teacher import load_teacher
from luminet_fa.run.checkpoint import load_run
from luminet_fa.run.experiment import run_recipe
from luminet_fa.data.digits import digits_dls
from luminet_fa.cache import ViewCache, fingerprint
from luminet_fa.models.all import make_model
from luminet_fa.models.core import read_weights
from luminet_fa.run.cli import luminet_distill
from luminet_fa.test_utils import toy_photos

torch.set_num_threads(1)
warnings.simplefilter('ignore')
rng = np.random.default_rng(0)


def small_run(out, teacher, **kw):
    "A LumiNet student of six epochs on 128 digits, about a second"
    recipe = get_recipe('digits', epochs=6, bs=32, seeds=(0,))
    return run_recipe(recipe, methods=['luminet'], teacher=teacher, images=128, device='cpu', verbose=0, bars=False, out=out, **kw)


def child(f):
    "Start `f` in a process of its own, which inherits what is imported; its id. This process must not have computed with torch before"
    pid = os.fork()
    if pid: return pid
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try: f()
        except SystemExit as e: os._exit(e.code if isinstance(e.code, int) else 1)
        except BaseException: os._exit(1)
    os._exit(0)


def ended(pid): return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def rows(out): return pd.read_csv(io.StringIO(table_text(Path(out)/'results.csv')))


def kills(tmp, n):
    "Runs that are killed at random moments and started again until they end"
    teacher = small_model('cnn32')
    t0 = time.perf_counter()
    assert ended(child(lambda: small_run(tmp/'whole', teacher))) == 0
    took, done, bad, runs = time.perf_counter()-t0, 0, 0, 0
    weights = fingerprint(load_run(tmp/'whole'/'digits'/'luminet-s0.safetensors')['weights'])
    while done < n:
        out, runs = tmp/f'killed{runs}', runs+1
        while True:                                    # of one run; at most five kills, so that it comes to its end
            pid = child(lambda: small_run(out, teacher))
            time.sleep(took*random.Random(done).random())
            os.kill(pid, signal.SIGKILL)
            if ended(pid) == 0: break
            done += 1
            if done >= n or done % 5 == 0:
                pid = child(lambda: small_run(out, teacher))
                if ended(pid): bad += 1
                break
        try:
            same = fingerprint(load_run(out/'digits'/'luminet-s0.safetensors')['weights']) == weights
            bad += not (same and len(rows(out)) == 1 and rows(out).top1[0] == rows(tmp/'whole').top1[0])
        except Exception: bad += 1
    return 'kill -9 at a random moment of a run', done, done-bad, f'{runs} runs; each ended with the weights of a run in one piece, to the bit, and with one row'


def photos(tmp):
    "What `luminet_distill folder` needs: pictures, and weights of other classes for teacher and student; its arguments"
    torch.manual_seed(0)
    torch.save(make_model('timm:test_resnet', 7).state_dict(), tmp/'seven.pth')
    return dict(recipe='folder', path=str(toy_photos(tmp/'photos')), student='timm:test_resnet', start=f'{tmp}/seven.pth',
                teacher=f'timm:test_resnet={tmp}/seven.pth', size=32, bs=8, epochs=3, pretrain=3, settings='lr=0.005', methods='luminet', seeds='0', device='cpu')


def folders(tmp, n):
    "Photographs to a student that ships, stopped at random moments by Ctrl-C or a kill; the same command until it ends"
    kw = photos(tmp)
    def run(out): return child(lambda: luminet_distill(**kw, out=str(out)))
    def shipped(out): return fingerprint(read_weights(out/'photos-student'/'student.safetensors'))
    t0 = time.perf_counter()
    assert ended(run(tmp/'whole')) == 0
    took, right, held, stops, at = time.perf_counter()-t0, shipped(tmp/'whole'), 0, 0, random.Random(0)
    for k in range(n):
        out, codes = tmp/f'stopped{k}', []
        for sig in (signal.SIGINT, signal.SIGKILL)*2:
            pid = run(out)
            time.sleep(took*at.random())
            os.kill(pid, sig)
            codes.append((sig, ended(pid)))
        stops += sum(c != 0 for _, c in codes)
        told = all(c in (0, 130) for sig, c in codes if sig == signal.SIGINT)
        held += told and ended(run(out)) == 0 and shipped(out) == right and len(rows(out)) == len(rows(tmp/'whole'))
    return 'a folder of photographs, stopped by Ctrl-C or a kill', n, held, f'{stops} stops; the same command ended each with the same student in its folder, to the bit'


def flips(tmp, n):
    "Files with one flipped bit: refused, or read as they were"
    teacher = small_model('cnn32')
    small_run(tmp/'run', teacher)
    finished = tmp/'run'/'digits'/'luminet-s0.safetensors'
    weights = tmp/'teacher.pth'; torch.save(teacher.state_dict(), weights)
    ckpt = tmp/'c.ckpt'; torch.save(dict(settings={}, model=teacher.state_dict(), opt=dict(a=torch.randn(3000))), ckpt)
    def net(f): return load_teacher(f, small_model('cnn32')).state_dict()
    for what, file, read in (('checkpoint', ckpt, load_run), ('finished run', finished, load_run), ('file of weights (.pth)', weights, net)):
        whole, right = file.read_bytes(), fingerprint(read(file), 16)
        refused = other = 0
        for i in rng.integers(0, 8*len(whole), n):
            b = bytearray(whole); b[i//8] ^= 1 << int(i % 8)
            f = file.with_stem('flipped'); f.write_bytes(b)
            try: other += fingerprint(read(f), 16) != right
            except Exception: refused += 1
        yield f'one flipped bit in a {what}', n, n-other, f'{refused} refused, {n-refused-other} read as they were, {other} read as something else'


def cuts(tmp, n):
    "Files cut short at a random place"
    teacher = small_model('cnn32')
    small_run(tmp/'cut', teacher)
    finished = tmp/'cut'/'digits'/'luminet-s0.safetensors'
    ckpt = tmp/'cut.ckpt'; torch.save(dict(settings={}, model=teacher.state_dict()), ckpt)
    for what, file in (('checkpoint', ckpt), ('finished run', finished)):
        whole, silent = file.read_bytes(), 0
        for i in rng.integers(0, len(whole), n):
            f = file.with_stem('cut'); f.write_bytes(whole[:i])
            try: load_run(f); silent += 1
            except Exception: pass
        yield f'a {what} cut short', n, n-silent, 'refused by name'


def caches(tmp, n):
    "View caches that are harmed between two runs"
    dls = digits_dls(bs=32, seed=0, device='cpu', n_per_class=5)
    teacher = small_model('cnn8')
    right = ViewCache(teacher, dls).build(progress=False).z.clone()
    held = again = 0
    for k in range(n):
        out = tmp/f'cache{k}'
        ViewCache(teacher, dls, out).build(progress=False)
        table, sums = next(out.glob('*.f16')), next(out.glob('*.sums'))
        b = bytearray(table.read_bytes())
        if k % 4 == 0: i = int(rng.integers(0, 8*len(b))); b[i//8] ^= 1 << i % 8; table.write_bytes(b)
        if k % 4 == 1: table.write_bytes(b[:int(rng.integers(0, len(b)))])
        if k % 4 == 2: table.unlink()
        if k % 4 == 3: sums.write_bytes(sums.read_bytes()[:int(rng.integers(0, sums.stat().st_size))])
        c = ViewCache(teacher, dls, out)
        again += int((~c.filled).sum())
        held += bool(((c.build(progress=False).z-right).float().abs() <= 2e-3*right.float().abs().max()).all())
    return 'a view cache with a flipped bit, cut short, without its table, or with cut checksums', n, held, f'the same answers afterwards; {again:,} rows computed again'


def disks(tmp, n):
    "Runs on a disk of a random size, which is full before the end"
    import safetensors.torch; safetensors.torch.save_file(small_model('cnn32').state_dict(), tmp/'t.safetensors')
    yield full_disks(tmp, n, 120, dict(methods='luminet', seeds='0', epochs=3, images=128, teacher=f'{tmp}/t.safetensors', device='cpu'),
                     'a disk that is full before the run is done')
    yield full_disks(tmp, n, 3000, photos(tmp), 'a disk that is full before a folder of photographs is done')


def full_disks(tmp, n, most, kw, what):
    "`n` calls of luminet_distill with `kw` on disks of up to `most` blocks"
    disk, held, refused = tmp/'disk', 0, 0
    disk.mkdir(exist_ok=True)
    for k in range(n):
        size = int(rng.integers(4, most))*4096
        code = f"""
import os, subprocess, sys
subprocess.run(['mount','-t','tmpfs','-o','size={size}','none','{disk}'], check=True)
sys.path.insert(0, {str(Path(__file__).parent)!r})
import survives, torch
torch.manual_seed(0)
from luminet_fa.run.cli import luminet_distill
open('{disk}/filler', 'wb').write(b'x'*{size//2 if k % 2 else 0})
luminet_distill(**{kw!r}, out='{disk}/runs')"""
        (tmp/'kept').mkdir(exist_ok=True)
        words = ([] if os.getuid() == 0 and not os.environ.get('NO_ROOT') else ['unshare', '-Urm'])
        p = subprocess.run([*(words or ['unshare', '-m']), sys.executable, '-c', code], capture_output=True, text=True, env={**os.environ, 'TMPDIR': str(tmp/'kept')})
        said = (p.stdout+p.stderr).strip()
        if 'mount' in said and 'CalledProcessError' in said: return what, 0, 0, 'no disk could be mounted here'
        told = p.returncode == 1 and ('MB free' in said or 'could not be written' in said or 'No space left' in said)
        refused += 'MB free' in said
        held += told or p.returncode == 0 and 'LumiNet' in said
        if not (told or p.returncode == 0): print(said[-1500:])
    return what, n, held, f'{refused} refused before the first epoch; of the others none ended with status 0 unless everything was kept'


def writers(tmp, n):
    "Processes that write to one table at the same time"
    pids = [child(lambda i=i: [append_row(tmp/'t.csv', dict(writer=i, row=k)) for k in range(n)]) for i in range(8)]
    codes = [ended(p) for p in pids]
    there = len(pd.read_csv(tmp/'t.csv').drop_duplicates())
    return 'rows written by eight processes at once', 8*n, there if not any(codes) else 0, 'all in one table'


parts = dict(kills=(kills, 120), folders=(folders, 20), flips=(flips, 300), cuts=(cuts, 100), caches=(caches, 40), disks=(disks, 20), writers=(writers, 40))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--quick', action='store_true'); p.add_argument('--out'); p.add_argument('--only', nargs='+', choices=parts, default=[*parts])
    a = p.parse_args()
    found = []
    for k in (o for o in parts if o in a.only):                     # kills come first: see child
        f, n = parts[k]
        with tempfile.TemporaryDirectory() as d:
            res = f(Path(d), max(2, n//10) if a.quick else n)
            for what, tried, held, note in ([res] if isinstance(res, tuple) else res):
                print(f'{"ok  " if held == tried else "LOST"}  {what}: {held} of {tried}; {note}', flush=True)
                found.append(count(what, tried, held, note))
    if a.out: keep(a.out, found)
    sys.exit(any(o['held'] < o['tried'] for o in found))


if __name__ == '__main__': main()
