"""Where the time of a training step goes, by torch's profiler: the operators that take most, of a whole step with its teacher. A part of bench/run.py.

Of the ways `bf16` and, on a GPU, `graph` of step.py. us is an operator's own time in a step, on the GPU where there is one; calls is how
often it runs in a step. Operators that the profiler follows are slower than others, so the sum is more than a step takes.
"""
from luminet_fa.all import *
from step import networks, ways

def rows(a, steps=5, most=15):
    bs, cuda = (a.bs or [64])[0], torch.device(a.device).type == 'cuda'
    kinds = [torch.profiler.ProfilerActivity.CPU] + [torch.profiler.ProfilerActivity.CUDA]*cuda
    for pair in a.pairs:
        for way, f in ways(pair, bs, a.device, ['bf16', 'graph']).items():
            for _ in range(3): f()
            with torch.profiler.profile(activities=kinds) as prof:
                for _ in range(steps): f()
            def own(e): return e.self_device_time_total if cuda else e.self_cpu_time_total
            for e in sorted(prof.key_averages(), key=own, reverse=True)[:most]:
                yield dict(device=a.device, pair=pair, size=networks(pair)[1], bs=bs, n=steps, way=way, kernel=e.key, us=round(own(e)/steps, 1), calls=round(e.count/steps, 2))
