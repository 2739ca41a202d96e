#!/usr/bin/env python3
"""A machine with an NVIDIA GPU, simulated, for the tests.

    python tools/sim_gpu/run.py              # all checks, a line each: 'ok ...' or 'FAIL ...'; exit 1 when one fails
    python tools/sim_gpu/run.py COMMAND...   # any command with a GPU in the machine, such as nbdev_test --path nbs/25_rescale.ipynb

Real: torch's own allocator for CUDA, its streams and events, autograd on its threads, autocast, GradScaler, fused optimizers, DDP.
Simulated: the CUDA runtime and driver (device.c and nothing.c; memory is the host's), the arithmetic (simgpu.py: operators are computed on
the CPU, with its rounding and its random numbers; devices are checked; launches and host synchronizations are counted), and CUDA graphs (a
capture refuses synchronizations; a replay runs its operators again on the same memory, and counts as one launch).
Not simulated: time, TF32, the kernels' own limits and errors, NCCL (gloo is in its place), cuDNN, Triton and what it compiles.

SIM_GPUS is how many there are (1), SIM_GPU_CAPABILITY the first number of their compute capability (9; 7 has no bfloat16), SIM_GPU_BYTES
the memory of all together (8 GiB). Where gcc or the CUDA wheel of torch is missing, or this torch does not load the device, it says
'skipped: ...' and ends with 0."""
import glob, os, re, shutil, subprocess, sys, tempfile
from importlib.util import find_spec
from pathlib import Path

here = Path(__file__).resolve().parent
repo = here.parent.parent
# words of CUDA's headers that only nvcc knows; the wheels leave out the files that say so
nothing = '__host__ __device__ __cudart_builtin__ __device_builtin__ __device_builtin_texture_type__ __device_builtin_surface_type__ CUDARTAPI'
words = [*(f'{o}=' for o in nothing.split()), '__location__(a)=', '__forceinline__=inline', '__specialization_static=static',
         '__align__(n)=__attribute__((aligned(n)))', '__builtin_align__(n)=__align__(n)']

def build(folder):
    "The device as a library in `folder`; a sentence where that cannot be"
    torch = find_spec('torch')
    if torch is None: return 'torch is not installed'
    if not shutil.which('gcc'): return 'there is no gcc'
    found = glob.glob(str(Path(torch.origin).parent.parent/'nvidia'/'*'/'include'/'cuda_runtime_api.h'))
    if not found: return "torch's CUDA wheels are not installed"
    include = Path(found[0]).parent
    for f in include.glob('*.h'):                                           # an empty file for each that is left out
        for name in re.findall(r'#\s*include\s+["<](crt/[\w.]+)[">]', f.read_text(errors='replace')):
            if not (include/name).exists(): (folder/'crt').mkdir(exist_ok=True); (folder/name).touch()
    gcc = ['gcc', '-O1', '-fPIC', '-shared', '-w', '-Wl,-soname,libcuda.so.1', *(f'-D{w}' for w in words), f'-I{folder}', f'-I{include}']
    made = subprocess.run([*gcc, here/'device.c', here/'nothing.c', '-o', folder/'libcuda.so.1'], capture_output=True, text=True)
    return f'gcc does not compile it: {made.stderr.splitlines()[0]}' if made.returncode else ''

def environment(folder):
    "The variables of a process that has the device"
    path = os.pathsep.join([str(here), str(repo), *filter(None, [os.environ.get('PYTHONPATH')])])
    ours = {'LD_PRELOAD': str(folder/'libcuda.so.1'), 'PYTHONPATH': path, 'PYTHONWARNINGS': 'ignore'}
    return {'SIM_GPUS': '1', 'OMP_NUM_THREADS': '1', **os.environ, **ours}

def loads(env):
    "A sentence where this torch does not run on the device"
    code = """import torch
x = torch.ones(3, device='cuda', requires_grad=True); (x*x).sum().backward(); assert x.grad.cpu().tolist()==[2.]*3
print(torch.cuda.get_device_name())"""
    p = subprocess.run([sys.executable, '-c', code], env=env, capture_output=True, text=True)
    return '' if p.stdout.strip()=='Simulated GPU' else f"this torch does not load the device: {(p.stderr.strip() or p.stdout.strip())}"

def notebooks(env):
    "The notebooks' own tests, as they are; whether they passed"
    p = subprocess.run(['nbdev_test'], env=env, cwd=repo/'nbs', capture_output=True, text=True)
    bad = re.findall(r'^\t(\S+)$', p.stderr.partition('nbdev Tests Failed On The Following Notebooks:')[2], re.M)
    good = p.returncode==0 and p.stdout.startswith('Success')
    what = "the notebooks' tests with a GPU in the machine"
    if not good: print(p.stderr[-20000:])
    print(f"ok    {what}" if good else f"FAIL  {what}: {' '.join(bad) or 'nbdev_test did not get as far'}", flush=True)
    return good

if __name__=='__main__':
    with tempfile.TemporaryDirectory() as d:
        env = environment(Path(d))
        why = build(Path(d)) or loads(env)
        if why: print(f'skipped: {why}'); sys.exit()
        if sys.argv[1:]: sys.exit(subprocess.run(sys.argv[1:], env=env).returncode)
        checks = subprocess.run([sys.executable, here/'checks.py'], env=env).returncode
        sys.exit(not (notebooks(env) and checks==0))
