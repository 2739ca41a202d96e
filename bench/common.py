"""What the bench scripts share: who measured, how to time side by side, how much memory, how a row is kept.

    from common import machine_info, time_side_by_side, add_row
    t = time_side_by_side(dict(ours=f, theirs=g), n=200)    # seconds, medians, alternating
    add_row('loss.csv', dict(**machine_info(), shape='64x100', ours_ms=t['ours']*1e3))
"""
import datetime, functools, os, platform, statistics, subprocess, time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).resolve().parent/'results'


def _git(*args):
    try: r = subprocess.run(['git', *args], cwd=ROOT, capture_output=True, text=True)
    except OSError: return None
    return r.stdout.strip() if r.returncode == 0 else None


@functools.cache
def commit():
    """Short hash, with '-dirty' if anything else than the result tables (results/, bench/results/) is changed or untracked;
    'none' without a commit. The tables are left out, or the row of one script would make the next script's '-dirty'."""
    h = _git('rev-parse', '--short', 'HEAD')
    if not h: return 'none'
    return h + ('-dirty' if _git('status', '--porcelain', '--', '.', ':!bench/results', ':!results') else '')


def cpu_name():
    "The processor's own name, from /proc/cpuinfo where there is one"
    try:
        for l in Path('/proc/cpuinfo').read_text().splitlines():
            if l.startswith('model name'): return l.split(':', 1)[1].strip()
    except OSError: pass
    return platform.processor() or platform.machine()


def machine_info():
    """date, commit, cpu, cores, gpu, python, torch, threads, malloc: the columns every row of a bench file starts with.
    Where a GPU takes products of float32 numbers in TF32, one more, float32, says so.
    malloc is 'kept' where glibc was told not to give freed memory back (MALLOC_MMAP_THRESHOLD_ and MALLOC_TRIM_THRESHOLD_ in the environment)."""
    import torch
    from luminet_fa.core import uses_tf32
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    return dict(date=datetime.date.today().isoformat(), commit=commit(), cpu=cpu_name(), cores=cores,
                gpu=torch.cuda.get_device_name() if torch.cuda.is_available() else 'none',
                python=platform.python_version(), torch=torch.__version__, threads=torch.get_num_threads(),
                malloc='kept' if {'MALLOC_MMAP_THRESHOLD_', 'MALLOC_TRIM_THRESHOLD_'} <= set(os.environ) else '',
                **(dict(float32='tf32') if torch.cuda.is_available() and uses_tf32('cuda') else {}))


def _sync():
    import torch
    if torch.cuda.is_available(): torch.cuda.synchronize()


def time_side_by_side(fns, n=50, warmup=5, clock=time.perf_counter, raw=False):
    """Median seconds per call of each function in the dict `fns` (no arguments), alternating in one process.
    A function that returns a float has measured itself, and that counts instead. Every round calls each function once, in an order that turns by one each round, so that a slow moment hits all alike.
    `clock=time.process_time` counts CPU seconds of the process instead: for one thread on a machine that others use as well.
    `raw` gives the list of each function's times, round by round."""
    names = list(fns)
    for _ in range(warmup):
        for f in fns.values(): f()
    times = {k: [] for k in names}
    for i in range(n):
        for k in names[i % len(names):] + names[:i % len(names)]:
            _sync(); t0 = clock()
            own = fns[k]()
            _sync(); times[k].append(own if isinstance(own, float) else clock() - t0)
    return times if raw else {k: statistics.median(v) for k, v in times.items()}


def peak_mb(f, device='cpu'):
    """Largest amount of memory, in 10**6 bytes, that tensors made by `f()` take at one moment; what existed before is not counted.
    On a CPU every allocation of torch's is followed by its profiler; scratch memory that oneDNN keeps to itself is not seen."""
    import gc, torch
    gc.collect()
    if torch.device(device).type == 'cuda':
        before = torch.cuda.memory_allocated(); torch.cuda.reset_peak_memory_stats(); f()
        return (torch.cuda.max_memory_allocated() - before)/1e6
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as prof: f(); gc.collect()
    now = top = 0
    for e in sorted((e for e in prof.profiler.kineto_results.events() if e.name() == '[memory]'), key=lambda e: e.start_ns()):
        now += e.nbytes(); top = max(top, now)
    return top/1e6


def peak_flops(device, dtype, n=None, reps=5):
    "Operations per second of the largest matrix product that is worth timing: what nothing else on this machine is much above"
    import torch
    n = n or (8192 if torch.device(device).type == 'cuda' else 2048)
    a, b = (torch.randn(n, n, device=device).to(dtype) for _ in range(2))
    return 2*n**3/time_side_by_side({'mm': lambda: a @ b}, n=reps, warmup=2)['mm']


def epoch(dl):
    "A function of no argument: take every batch of one epoch, touch the last"
    def f():
        for x, y in dl: pass
        x.sum().item()
    return f


def batches(dl):
    "Batches without end"
    while True: yield from dl


def add_row(csv_name, row):
    "Append the dict `row` to bench/results/`csv_name`; new columns are added at the end, earlier rows leave them empty"
    from luminet_fa.run.ledger import append_row
    append_row(RESULTS/csv_name, row)
    return RESULTS/csv_name
