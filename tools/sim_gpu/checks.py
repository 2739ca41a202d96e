"""What must hold on a GPU, seen on the simulated one: run.py prepares the machine and runs this file.

Each check prints a line, 'ok ...' or 'FAIL ...'. A check that something does not happen is followed by one in which
it is made to happen."""
import os, subprocess, sys, tempfile, zipfile
from pathlib import Path
import matplotlib; matplotlib.use('Agg')
import safetensors.torch, torch
from torch import nn
from fastai.basics import *
from fastai.callback.training import GradientAccumulation, GradientClip
from fastai.vision.all import ClassificationInterpretation, Interpretation, load_learner
from luminet_fa.all import *
from luminet_fa.core import InputError, exact_float32
from luminet_fa.data.cifar import cifar100_stats
from luminet_fa.data.store import build_store
from luminet_fa.distributed import processes
from luminet_fa.run.job import Job
from luminet_fa.run.schedules import step_decay
from luminet_fa.test_utils import log_of, tiny_cifar
from PIL import Image
import copy                                           # fastai exports a function of this name
from simgpu import SimGPU
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

repo = Path(__file__).resolve().parents[2]
gpu = next(o for o in _get_current_dispatch_mode_stack() if isinstance(o, SimGPU))
failed = 0
def check(what, good, seen=''):
    "Print one line, and count"
    global failed
    failed += not good
    print(f"FAIL  {what}: {seen}" if not good else f"ok    {what}{f' ({seen})'.splitlines()[0] if seen else ''}", flush=True)

# ---- a run of the digits, as luminet_distill does it
def digits(device, out, **kw):
    "The weights and the rows of a short run, at a learning rate at which roundings do not grow"
    res = run_recipe('digits', methods=['alone','luminet'], seeds=[0], epochs=2, pretrain=2, settings=dict(lr=1e-3), out=out,
                     device=device, verbose=0, bars=False, **kw)
    return {f.stem: safetensors.torch.load_file(f) for f in Path(out).glob('digits/*.safetensors')},res.rows

def tolerance(steps, bs):
    "Each step rounds float32 sums of as many products as a batch of 8x8 images has pixels"
    return steps*(bs*64)**.5*torch.finfo(torch.float32).eps

def apart(a, b):
    "Largest difference between two sets of weights, as a share of the largest weight of its tensor"
    assert a.keys()==b.keys()
    return max(((a[k]-b[k]).abs().max()/a[k].abs().max().clamp(min=1e-12)).item() for k in a if a[k].is_floating_point())

def check_digits(tmp):
    "Operators are computed by the CPU's code and draw its random numbers, so a run on the GPU is the CPU's to rounding"
    teacher = digits('cpu', tmp/'teacher')[0]['teacher-s0']
    same = dict(teacher=teacher, channels_last=False)     # to_fast would choose another layout for each
    (cpu,_),(cuda,rows) = (digits(d, tmp/d, **same) for d in ('cpu','cuda'))
    off,tol = max(apart(cpu[k], cuda[k]) for k in cpu),tolerance((rows.images//rows.bs*rows.epochs).max(), rows.bs.max())
    good = off<=tol and len(cpu)==2
    check(f'a run of the digits gives the weights that the CPU gives, within {tol:.1g}', good, f'{off:.1g} of the largest')
    said = [*rows.hardware.unique(), *rows.dtype.unique()]
    check('its rows name the GPU, and TF32', said==['Simulated GPU','tf32'], ', '.join(said))
    graphs = digits('cuda', tmp/'graphs', graph=True, **same)
    off = max(apart(cuda[k], graphs[0][k]) for k in cuda)
    commands = [*graphs[1].command]
    check('with --graph they are the same to the last bit, and the rows say how', off==0 and all('--graph' in c for c in commands), f'{off:.1g} apart; {commands[-1]}')
    with exact_float32(): check('where TF32 is off, they say float32', Job(get_recipe('digits'), device='cuda').dtype=='float32')

# ---- host synchronizations
def small(c=10):
    "A network for the digits"
    return nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
                         nn.Linear(32, c))

def learner(cbs=(), device='cuda', net=small, **kw):
    "A student of the digits with its teacher"
    set_seed(0); teacher,student = net().eval(),net()
    sgd = partial(OptimWrapper, opt=torch.optim.SGD, momentum=.9)
    cbs = [LumiNetCallback(teacher, speed='fold', **kw), *cbs]
    learn = Learner(digits_dls(bs=64, device=device, seed=0), student, opt_func=sgd, metrics=accuracy, cbs=cbs)
    learn.logger = noop
    return learn.remove_cb(ProgressCallback)

class Steps(Callback):
    "Count the synchronizations of nine steps: from the end of the first to the tenth, whose loss is shown"
    order = 200
    def after_batch(self):
        if self.training and self.iter==0: gpu.reset()
        if self.training and self.iter==9: self.syncs,self.launches = +gpu.syncs,sum(gpu.launches.values())

# ---- what a step launches, and CUDA graphs
def pair_learner(bf16, graph, schedule='onecycle', epochs=1, teacher='resnet32x4', student='resnet8x4', batches=11, cbs=(), opt=None):
    "A student of CIFAR's size with a teacher from a file, on made-up images"
    with tempfile.TemporaryDirectory() as d:
        set_seed(0); safetensors.torch.save_file(cifar_model(teacher, 100).state_dict(), f'{d}/t.safetensors')
        t = Teacher(f'{d}/t.safetensors', cifar_model(teacher, 100))
    g,n = torch.Generator().manual_seed(0),batches*8
    x,y = torch.randint(0, 256, (n,3,32,32), dtype=torch.uint8, generator=g),torch.arange(n)%100
    dls = tensor_dls(x, y, x[:8], y[:8], [*map(str, range(100))], *cifar100_stats, bs=8, device='cuda', seed=0)
    set_seed(1); opt = opt or partial(opt_func('sgd', 5e-4), fused=True)
    learn = Learner(dls, cifar_model(student, 100), opt_func=opt, cbs=[LumiNetCallback(t), *cbs], wd_bn_bias=True)
    learn.logger = noop; learn.remove_cb(ProgressCallback)
    learn.to_fast(bf16, channels_last=True, graph=graph, verbose=False)
    if schedule=='onecycle': learn.fit_one_cycle(epochs, .01)
    else: learn.fit(epochs, .01, cbs=ParamScheduler(dict(lr=step_decay(.01, [.5]))))
    return learn

def check_launches():
    "For the torch that is printed: it decides how many operators make a step"
    for graph,most in ((False,235),(True,60)):
        steps = Steps(); pair_learner(True, graph, cbs=[steps])
        n = steps.launches/9
        check(f'a bf16 step of resnet32x4 to resnet8x4 launches at most {most}, {"with" if graph else "without"} graphs, and waits for nothing',
              n<=most and not steps.syncs, steps.syncs or f'{n:.0f}, torch {torch.__version__}')

class Stops(Callback):
    "Ctrl-C in the fourth batch"
    def after_batch(self):
        if self.training and self.iter==3: raise KeyboardInterrupt

def check_interrupted():
    "What an interrupted fit leaves is not what the next one runs"
    nets = []
    for graph in (False,True):
        learn = learner([stops := Stops()]).to_fast(bf16=False, graph=graph, verbose=False)
        try: learn.fit(1, .01)
        except KeyboardInterrupt: learn.remove_cb(stops)
        set_seed(3); learn.model,learn.opt = small().cuda(),None
        learn.fit(1, .01); nets.append(learn.model.state_dict())
    check('after an interrupted fit another network is recorded', all(torch.equal(a.cpu(), b.cpu()) for a,b in zip(*(o.values() for o in nets))))

def check_refused(tmp):
    try: run_recipe('shapes', device='cuda', graph=True, out=tmp/'refused'); said = 'nothing'
    except InputError as e: said = str(e)
    check('a graph of a detector is refused before anything is trained', 'not recorded: leave graph out' in said and not (tmp/'refused').exists(), said)

class Freezes(Callback):
    "BatchNorms in eval mode from the second epoch on"
    order = 50
    def before_train(self):
        if self.epoch: [m.eval() for m in self.model.modules() if isinstance(m, nn.BatchNorm2d)]

def check_graphs():
    "A fit with graphs against one without: equal to the last bit, since the simulator repeats the same operators"
    pair = dict(teacher='resnet20', student='resnet8', batches=5, epochs=2)
    cases = [(f'{"bf16" if b else "float32"}, {s}', b, dict(schedule=s)) for b in (False,True) for s in ('onecycle','decay')]
    cases += [("fastai's Adam", False, dict(opt=Adam)), ('accumulated gradients', False, dict(cbs=[GradientAccumulation(16)])),
              ('clipped gradients', True, dict(cbs=[GradientClip(.1)])), ('frozen BatchNorms', False, dict(cbs=[Freezes()]))]
    for what,bf16,kw in cases:
        (one,_),(two,lines) = (log_of(lambda: pair_learner(bf16, g, **pair, **copy.deepcopy(kw))) for g in (False,True))
        same = all(torch.equal(a.cpu(), b.cpu()) for a,b in zip(one.model.state_dict().values(), two.model.state_dict().values()))
        rows = [[str(v) for v in o.recorder.values] for o in (one,two)]
        check(f'a fit with graphs is one without: {what}', same and rows[0]==rows[1] and not lines, lines or f'{len(one.recorder.losses)} steps')
    class Asks(nn.Module):
        def forward(self, x): return x if x.sum()>0 else x+1
    student = nn.Sequential(Asks(), *small())
    def fit(graph):
        learn = learner(net=lambda: copy.deepcopy(student)); learn.to_fast(bf16=False, graph=graph, verbose=False); learn.fit(1, .01); return learn
    (one,_),(two,lines) = (log_of(lambda: fit(g)) for g in (False,True))
    same = all(torch.equal(a.cpu(), b.cpu()) for a,b in zip(one.model.state_dict().values(), two.model.state_dict().values()))
    good = same and {o.split(': ')[0] for o in lines}=={'CUDA graph'} and any('network runs without it' in o for o in lines)
    check('a network that waits for the GPU trains without its graph, and is told of', good, lines)

# ---- loaders and caches that do not wait
def check_loaders(tmp):
    "ImageNet's loader and the table of the teacher's logits, in the middle of a fit"
    def learner_of(dls, teacher, c):
        learn = Learner(dls, nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, c)), CrossEntropyLossFlat(), lr=.01,
                        opt_func=partial(OptimWrapper, opt=torch.optim.SGD), cbs=[LumiNetCallback(teacher, speed='fold' if isinstance(teacher, nn.Module) else 'auto')])
        learn.logger = noop
        return learn.remove_cb(ProgressCallback).to_fast(False, verbose=False)
    def seen(learn): learn.add_cb(steps := Steps()); learn.fit(1); return steps.syncs
    rng = np.random.default_rng(0)
    for split,n in (('train',24),('val',4)):
        for c in 'abc':
            (d := tmp/'folders'/split/c).mkdir(parents=True)
            for i in range(n): Image.fromarray(rng.integers(0, 256, (48,48,3), dtype=np.uint8)).save(d/f'{i}.jpg')
    build_store(tmp/'folders', tmp/'store', size=40, progress=False)
    class Pageable(Callback):
        def before_batch(self): self.learn.xb = (self.x+torch.ones(1).to(self.x.device),)
    def imagenet(*cbs):
        learn = learner_of(imagenet_dls(tmp/'store', bs=4, size=32, device='cuda', seed=0), cifar_model('resnet8', 3).eval().cuda(), 3); learn.add_cbs(cbs)
        return seen(learn)
    s = imagenet(); check("no host synchronization in nine steps with ImageNet's loader", not s, s)
    s = imagenet(Pageable()); check('a copy of memory that is not pinned is found', s.total()==9, s)
    x,y = torch.randint(0, 256, (88,3,32,32), dtype=torch.uint8),torch.arange(88)%10
    def dls(): return tensor_dls(x, y, x[:8], y[:8], [*map(str, range(10))], *cifar100_stats, bs=8, pad=0, device='cuda', seed=0)
    teacher = cifar_model('resnet8', 10).eval().cuda()
    for where,folder in (('in memory', None),('in a file', tmp/'views')):
        data = dls(); cache = ViewCache(teacher, data, folder, bring=True)
        filling,full = seen(learner_of(data, cache, 10)),seen(learner_of(data, cache.build(progress=False), 10))
        if folder is None: check('a cache that is being filled waits twice a step', filling.total()==18, filling)
        check(f'no host synchronization in nine steps with a complete cache {where}', not full and cache.z.is_cuda, full)

class AsksTheLoss(Callback):
    "What costs a synchronization in each step"
    def after_batch(self): self.learn.loss.item()

class OnTheCPU(Callback):
    "A tensor that was forgotten on the CPU"
    def after_pred(self): self.learn.pred = self.pred+torch.zeros(self.pred.shape[1])

def syncs(*cbs, **kw):
    "`Steps` after an epoch of a learner that is made fast with `kw`"
    steps = Steps(); learner([steps, *cbs]).to_fast(verbose=False, **kw).fit(1, .05)
    return steps

def check_syncs():
    for name,kw in (('to_fast()', {}), ('to_fast(bf16=False)', dict(bf16=False))):
        s = syncs(**kw)
        seen = s.syncs or f'{s.launches/9:.0f} operators a step'
        check(f'no host synchronization in nine steps of {name}', not s.syncs and s.launches>0, seen)
    s = syncs(AsksTheLoss())
    good = s.syncs.total()==9 and all('_local_scalar_dense' in k for k in s.syncs)
    check('one that is planted in each step is found', good, f'{s.syncs.total()} times')
    try: syncs(OnTheCPU()); said = 'nothing'
    except RuntimeError as e: said = str(e)
    check('a tensor that was left on the CPU stops the fit', 'at least two devices, cpu and cuda:0' in said, said.splitlines()[-1][:70])

# ---- tensors on two devices, and numpy of a GPU's
def tried(what, f):
    "A check that `f` runs, and returns nothing that is false"
    try: got = f()
    except Exception as e: return check(what, False, f'{type(e).__name__}: {e}')
    check(what, got is None or bool(got), '' if got else got)

def check_devices(tmp):
    learn = learner(); learn.path = tmp; dls,ds = learn.dls,learn.dls.valid.dataset
    with learn.no_bar(): learn.fit(1)
    x,y,net,cb = ds.x[:12],ds.y[:12],learn.model,learn.lumi_net
    pad = dls.train.dataset.padded(4)
    tried('images that are on cuda:0 stay there, padded, when cuda is asked for', lambda: dls.train.dataset.to('cuda').padded(4) is pad)
    tried('and so does a network', lambda: load_teacher(net, device='cuda') is net)
    for name,items in dict(names=(x, ['3']*12), numbers=(x, [3]*12), tensors=(x, [*y]), mixed=(x.cpu(), y), data=ds[:12]).items():
        tried(f'test_dl with labels: {name}', lambda: len(learn.get_preds(dl=dls.test_dl(items, with_labels=True))[1])==12)
    for cls in (Interpretation, ClassificationInterpretation):
        i = cls.from_learner(learn)
        tried(f'{cls.__name__}: plot_top_losses', lambda: i.plot_top_losses(4) and None)
        tried(f'{cls.__name__}: show_results', lambda: i.show_results([0,1]))
    learn.export('e.pkl')
    tried('load_learner onto the GPU', lambda: load_learner(tmp/'e.pkl', cpu=False).predict(x[0])[0] in dls.vocab)
    cpu_dls,cpu_net = digits_dls(bs=64, device='cpu', seed=0),copy.deepcopy(net).cpu()
    for name,s,t,d in (('batches', net, small(), cpu_dls), ('student', cpu_net, small().cuda(), dls), ('teacher', net, small(), dls)):
        tried(f'match_scale with its {name} on the CPU', lambda: match_scale(s, t, d, progress=False) and None)
    batch,networks = (ds.x[:8].cpu().float(), ds.y[:8].cpu()),dict(gpu=net, cpu=cpu_net, numpy=lambda o: o.numpy())
    tried('both_views of a batch on the CPU', lambda: {o.device.type for o in cb.both_views(batch)}=={'cpu'})
    tried('compare_networks on both', lambda: len(compare_networks(networks, x.float(), n=1))==3)
    tried('plot_idea', lambda: plot_idea(net(x.float()), net(x.float())+1) and None)

# ---- less than the newest GPU
def old_gpu(tmp):
    "In a process of its own, whose GPU has neither bfloat16 nor TF32"
    tmp = Path(tmp); learn = learner().to_fast(verbose=False)
    changed = [k for k in ('mixed_precision','channels_last') if hasattr(learn, k)]
    check('without bfloat16 to_fast() leaves float32 and the layout', not changed, changed)
    job = Job(get_recipe('digits'), device='cuda', out=tmp/'job', verbose=0, bars=False)
    check('and so does a recipe', not hasattr(job.learner('alone', 0), 'channels_last') and job.dtype=='float32', job.dtype)
    weights,rows = digits('cuda', tmp/'fp16', dtype='fp16')
    finite = all(o.isfinite().all() for w in weights.values() for o in w.values())
    check('fp16 trains, and its rows say so', finite and set(rows.dtype)=={'fp16'}, set(rows.dtype))
    class Stop(Callback):
        order = 70
        def after_epoch(self):
            if self.epoch==0: raise KeyboardInterrupt
    try: digits('cuda', tmp/'again', dtype='fp16', teacher=weights['teacher-s0'], cbs=[Stop()])
    except KeyboardInterrupt: pass
    whole,again = (digits('cuda', tmp/o, dtype='fp16', teacher=weights['teacher-s0'])[0] for o in ('whole','again'))
    off = max(apart(whole[k], again[k]) for k in whole)
    check('a stopped fp16 run goes on with its scale', off==0, f'{off:.1g} apart')
    return failed>0

def program(what, args, expect, **env):
    "Check what a program says with other GPUs in the machine"
    env = {**os.environ, 'GLOO_SOCKET_IFNAME': 'lo', **env}
    p = subprocess.run([sys.executable, *map(str, args)], capture_output=True, text=True, env=env)
    good = expect(p)
    check(what, good, f'exit code {p.returncode}' if good else (p.stdout+p.stderr)[-3000:])

def told(p):
    "Did it end with one line about memory?"
    lines = [l for l in p.stderr.splitlines() if l.startswith('error: CUDA out of memory') and 'Lower the batch size' in l]
    return p.returncode==1 and len(lines)==1 and 'Traceback' not in p.stderr

def check_programs(tmp):
    def passed(p): print(p.stdout, end='', flush=True); return p.returncode==0
    program('a GPU without bfloat16', [__file__, 'old_gpu', tmp], passed, SIM_GPU_CAPABILITY='7')
    distill = tmp/'distill.py'; distill.write_text("from luminet_fa.run.cli import distill_main; distill_main()")
    args = 'digits --device cuda --epochs 1 --pretrain 1 --methods luminet --seeds 0 --images 128'.split()
    # in the forward pass: what the simulator raises in autograd's own thread can abort Python at its end
    large = tmp/'large.py'; large.write_text(f"""from dataclasses import replace
from luminet_fa.core import one_line_errors
from luminet_fa.run.experiment import get_recipe, run_recipe
r = replace(get_recipe('digits'), bs=512, images=0)
with one_line_errors(): run_recipe(r, device='cuda', out={str(tmp/'full')!r}, verbose=0, bars=False)""")
    program('out of memory is one line that says what to lower', [large], told, SIM_GPU_BYTES=f'{1<<21}')
    torchrun = ['-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2']
    def both(p): return p.returncode==0 and pd.read_csv(tmp/'two'/'results.csv').processes.eq(2).all()
    program('luminet_distill in two processes', [*torchrun, distill, *args, '--out', tmp/'two'], both, SIM_GPUS='2')

def check_turn(tmp):
    "A campaign on a lent machine: install, run, bring back, go on"
    tmp.mkdir()
    tiny_cifar(tmp/'tiny', n=6)
    (wheels := tmp/'wheels').mkdir()
    with zipfile.ZipFile(wheels/'luminet_probe-0-py3-none-any.whl', 'w') as z:
        info = 'luminet_probe-0.dist-info'
        z.writestr(f'{info}/METADATA', 'Metadata-Version: 2.1\nName: luminet_probe\nVersion: 0\n')
        z.writestr(f'{info}/WHEEL', 'Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n'); z.writestr(f'{info}/RECORD', '')
    def turn(out, minutes, *more, stop=()):
        args = [repo/'experiments'/'turn.py', tmp/out, '--path', tmp/'tiny', '--minutes', minutes, '--mb', .5, '--quick', *more]
        args += ['--', '--mini', '--device', 'cuda', '--graph', '--cache', 'memory', *stop]
        return subprocess.run([sys.executable, *map(str, args)], capture_output=True, text=True)
    def kept(out): return {f.name for f in (tmp/out).rglob('teacher-s0.ckpt.part*')}
    one = turn('one', 20, '--wheels', wheels, '--no-measure', stop=['--minutes', .05])       # the campaign stops after an epoch
    late = turn('late', .4, '--no-measure', '--back', tmp/'one')                            # four seconds: it has not begun
    two = turn('two', 20, '--back', tmp/'one')
    check('a campaign that takes too long is ended, and nothing is lost', late.returncode==75 and kept('late')==kept('one')!=set(), (late.returncode, len(kept('late'))))
    check('a folder that is not empty is refused', turn('one', 20).returncode==2)
    check('a turn installs what is missing', 'installed: luminet_probe' in one.stdout, one.stdout[-2000:]+one.stderr[-2000:] if one.returncode!=75 else '')
    check('it stops in its time and says that rows are left, and the next one finishes them', (one.returncode,two.returncode)==(75,0), (one.returncode, two.returncode, two.stderr[-2000:] if two.returncode else ''))
    files = [f for o in ('one','two') for f in (tmp/o).rglob('*') if f.is_file()]
    large = max(f.stat().st_size for f in files)
    parts = sum('.part' in f.name for f in files)
    check('no file is larger than it may be, and a larger one comes in parts', large<=.5e6 and parts>1, f'{large} bytes, {parts} parts')
    bench = {f.stem: pd.read_csv(f) for f in (tmp/'two'/'bench').glob('*.csv')}
    check('ladder and profile come back', {*bench}=={'step','kernels'} and {'graph','compiled','cached'}<={*bench['step'].way}, [*bench])
    rows = pd.concat(map(pd.read_csv, (tmp/'two').rglob('results.csv')))
    went_on = rows[rows.method=='teacher'].resumed.astype(float).tolist()
    check('the rows of both turns come back, and the teacher went on where it stopped', len(rows)==5 and went_on==[1.], [*rows.method, went_on])

# ---- several GPUs
def plain(c=10):
    "A network without BatchNorm, whose statistics would be those of a process"
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, c))

def worker(out):
    "One process of several: train its part of each batch on its own GPU"
    learn = learner(net=plain, sync=True)
    made = str(learn.dls.train.dataset.x.device)                        # before anything has been told which GPU is whose
    learn.dls = share_dls(learn.dls)
    with shared_ctx(learn): learn.fit(2, .05)
    rank,world = processes()
    where = {made, *(str(o.device) for o in (*learn.model.parameters(), learn.dls.train.dataset.x, learn.dls.valid.dataset.x))}
    torch.save(dict(world=world, where=where, weights={k: v.cpu() for k,v in learn.model.state_dict().items()}), Path(out)/f'{rank}.pth')

def check_processes(tmp):
    "Two processes with a GPU each against one"
    kept = []
    for n in (1,2):
        out = tmp/f'{n}'; out.mkdir()
        torchrun = [sys.executable, '-m', 'torch.distributed.run', '--standalone', f'--nproc_per_node={n}']
        p = subprocess.run([*torchrun, __file__, 'worker', out],
                           capture_output=True, text=True, env={**os.environ, 'SIM_GPUS': str(n), 'GLOO_SOCKET_IFNAME': 'lo'})
        if p.returncode: return check(f'{n} processes run', False, (p.stdout+p.stderr)[-4000:])
        kept.append([torch.load(out/f'{i}.pth') for i in range(n)])
    (one,),two = kept
    where = [(o['world'], *o['where']) for o in two]
    check('of two processes that ask for cuda each has its own GPU', where==[(2,'cuda:0'), (2,'cuda:1')], where)
    off,tol = max(apart(one['weights'], o['weights']) for o in two),tolerance(2*22, 64)                  # two epochs of 22 batches of 64
    check(f'two GPUs give the weights that one gives, within {tol:.1g}', off<=tol, f'{off:.1g} of the largest')

if __name__=='__main__':
    if sys.argv[1:]: sys.exit(dict(worker=worker, old_gpu=old_gpu)[sys.argv[1]](sys.argv[2]))
    with tempfile.TemporaryDirectory() as d:
        check_digits(Path(d))
        check_syncs()
        check_launches()
        check_graphs()
        check_interrupted()
        check_refused(Path(d))
        check_loaders(Path(d)/'loaders')
        check_devices(Path(d))
        check_programs(Path(d))
        check_turn(Path(d)/'turn')
        check_processes(Path(d))
    sys.exit(failed>0)
