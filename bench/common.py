"What the parts share: who measured, how to time side by side, how much memory, and made-up images."
from luminet_fa.all import *
import gc, itertools, os, platform, statistics, time
from luminet_fa.core import uses_tf32
from luminet_fa.data.cifar import cifar100_stats
from luminet_fa.run.ledger import hardware, source_commit, utc_now

def machine_info(kept=False):
    """The columns every row of a bench file starts with. Where a GPU takes products of float32 numbers in TF32, one more, float32, says so.
    malloc is 'kept' where glibc was told not to give freed memory back: by keep_memory, or by MALLOC_MMAP_THRESHOLD_ and MALLOC_TRIM_THRESHOLD_."""
    kept = kept or {'MALLOC_MMAP_THRESHOLD_', 'MALLOC_TRIM_THRESHOLD_'} <= set(os.environ)
    tf32 = dict(float32='tf32') if torch.cuda.is_available() and uses_tf32('cuda') else {}
    return dict(date=utc_now()[:10], commit=source_commit(), cpu=hardware('cpu').rpartition(', ')[0],
                cores=len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count(),
                gpu=hardware('cuda') if torch.cuda.is_available() else 'none', python=platform.python_version(), torch=torch.__version__,
                threads=torch.get_num_threads(), malloc='kept' if kept else '', **tf32)

def sync():
    if torch.cuda.is_available(): torch.cuda.synchronize()

def time_side_by_side(fns, n=50, warmup=5, clock=time.perf_counter, raw=False):
    """Median seconds per call of each function in the dict `fns` (no arguments), alternating in one process.
    A function that returns a float has measured itself, and that counts instead. Every round calls each function once, in an order that
    turns by one each round, so that a slow moment hits all alike.
    `clock=time.process_time` counts CPU seconds of the process instead: for one thread on a machine that others use as well.
    `raw` gives the list of each function's times, round by round."""
    names = list(fns)
    for _ in range(warmup):
        for f in fns.values(): f()
    times = {k: [] for k in names}
    for i in range(n):
        for k in names[i % len(names):] + names[:i % len(names)]:
            sync(); t0 = clock()
            own = fns[k]()
            sync(); times[k].append(own if isinstance(own, float) else clock() - t0)
    return times if raw else {k: statistics.median(v) for k, v in times.items()}

def peak_mb(f, device='cpu'):
    """Largest amount of memory, in 10**6 bytes, that tensors made by `f()` take at one moment; what existed before is not counted.
    On a CPU every allocation of torch's is followed by its profiler; scratch memory that oneDNN keeps to itself is not seen."""
    gc.collect()
    if torch.device(device).type == 'cuda':
        before = torch.cuda.memory_allocated(); torch.cuda.reset_peak_memory_stats(); f()
        return (torch.cuda.max_memory_allocated() - before)/1e6
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as prof: f(); gc.collect()
    events = sorted((e for e in prof.profiler.kineto_results.events() if e.name() == '[memory]'), key=lambda e: e.start_ns())
    return max(itertools.accumulate((e.nbytes() for e in events), initial=0))/1e6

def peak_flops(device, dtype, reps=5):
    "Operations per second of the largest matrix product that is worth timing: what nothing else on this machine is much above"
    n = 8192 if torch.device(device).type == 'cuda' else 2048
    a, b = (torch.randn(n, n, device=device).to(dtype) for _ in range(2))
    return 2*n**3/time_side_by_side({'mm': lambda: a @ b}, n=reps, warmup=2)['mm']

def made_up(n, size=32):
    "`n` made-up images of 100 classes, their labels, and the names of the classes"
    x = torch.randint(0, 256, (n, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return x, torch.arange(n) % 100, [str(i) for i in range(100)]

def image_dls(x, y, vocab, bs, device):
    "The package's loaders of such images, as for CIFAR-100; the first batch is for validation as well"
    return tensor_dls(x, y, x[:bs], y[:bs], vocab, *cifar100_stats, bs=bs, device=device, seed=0)

class Noise(ViewCache):
    "A cache whose rows are made up, so the teacher is not asked whether it would say the same"
    _rows = property(lambda self: None, lambda self, rows: None)

def noise_cache(teacher, bs, device):
    "A complete view cache of 50,000 made-up images, and its loaders"
    dls = image_dls(*made_up(50000), bs, device)
    vc = Noise(teacher, dls)
    vc.z.copy_(torch.randn(vc.z.shape[2], device=vc.z.device).half().expand_as(vc.z)); vc.filled[:] = True; vc.complete = True
    return vc, dls

def epoch(dl):
    "A function of no argument: take every batch of one epoch, touch the last"
    def f():
        for x, y in dl: pass
        x.sum().item()
    return f

def batches(dl):
    "Batches without end"
    while True: yield from dl
