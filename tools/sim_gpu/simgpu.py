"""The simulated device: `SimGPU` computes every operator of a 'cuda' tensor on the CPU, on that tensor's own memory.

It refuses tensors of two devices and a generator of the other device as CUDA does, and counts: `launches` by operator, and `syncs`, the
moments in which the host would wait for the device, by operator and line. It needs the library of device.c to be
preloaded; run.py does that."""
import collections, ctypes, traceback
import torch, torch._tensor_str
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map

torch.backends.cudnn.enabled = False                # its kernels are not there
aten = torch.ops.aten

# what allocates or only looks at shapes runs as it is: torch's allocator for CUDA is the real one
_native = {aten.empty.memory_format, aten.empty_strided.default, aten.empty_like.default, aten.new_empty.default, aten.new_empty_strided.default,
           aten.detach.default, aten.alias.default, aten.view.default, aten._reshape_alias.default, aten._unsafe_view.default, aten.lift_fresh.default,
           aten.set_.source_Storage, aten.set_.source_Storage_storage_offset, aten.resize_.default, aten.is_same_size.default,
           aten.is_pinned.default, aten._pin_memory.default, aten.record_stream.default}
# operators that may be given tensors of both devices
_two_devices = {'copy_', '_to_copy', '_foreach_copy_', 'index', '_unsafe_index', 'index_put_', '_index_put_impl_'}
# operators whose result, or its size, the host has to wait for
_waits = {'_local_scalar_dense', 'item', 'is_nonzero', 'equal', 'allclose', 'nonzero', 'masked_select', 'bincount', 'repeat_interleave',
          '_unique2', 'unique_consecutive', 'unique_dim'}

def on_cpu(t):
    "A CPU tensor on the memory of the simulated tensor `t`"
    memory = t.untyped_storage(); n = memory.nbytes()
    base = torch.frombuffer((ctypes.c_char*n).from_address(memory.data_ptr()), dtype=torch.uint8) if n else torch.empty(0, dtype=torch.uint8)
    r = torch.empty(0, dtype=t.dtype).set_(base.untyped_storage(), t.storage_offset(), t.size(), t.stride())
    if t.is_conj(): r = r.conj()
    return torch._neg_view(r) if t.is_neg() else r

def _is_view(func):
    "Does `func` only look at the memory of its arguments?"
    rets = func._schema.returns
    return bool(rets) and all(r.alias_info is not None and not r.alias_info.is_write for r in rets)

def _in_place(func):
    "Does `func` write into its first argument and return it?"
    rets = func._schema.returns
    return len(rets)==1 and rets[0].alias_info is not None and rets[0].alias_info.is_write

def _site():
    "The line of the library, or of fastai, that called, newest first"
    files = ('luminet_fa/', 'fastai/', 'torchmetrics/', 'tools/sim_gpu/checks.py')
    fs = [f for f in traceback.extract_stack() if any(o in f.filename for o in files)]
    return ' <- '.join(f"{f.filename.split('site-packages/')[-1].split('luminet_fa/')[-1]}:{f.lineno}" for f in fs[:-3:-1])

class SimGraph:
    "In the place of `torch.cuda.CUDAGraph`: the operators of a capture, to be run again on the same memory"
    gpu = tape = None                                                            # the device, and the graph that is being captured
    def __init__(self, *args, **kwargs): self.steps,self.kept = [],[]
    def capture_begin(self, *args, **kwargs): SimGraph.tape = self
    def capture_end(self): SimGraph.tape = None
    def add(self, func, args, kwargs, outs, *kept): self.steps.append((func, args, kwargs, outs)); self.kept.append(kept)
    def replay(self):
        "As one launch"
        self.gpu.launches['graph'] += 1
        with _disable_current_modes():
            for func,args,kwargs,outs in self.steps:
                new = tree_leaves(func(*args, **kwargs))
                for i,o in outs: o.copy_(new[i])

class SimGPU(TorchDispatchMode):
    "Inside it, tensors on 'cuda' work"
    def __init__(self): super().__init__(); self.reset()
    def reset(self):
        "Count from 0"
        self.launches,self.syncs = collections.Counter(),collections.Counter()
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        flat = tree_leaves((args, kwargs))
        tensors = [o for o in flat if isinstance(o, torch.Tensor)]
        ours = [o for o in tensors if o.is_cuda]
        asked = None if kwargs.get('device') is None else torch.device(kwargs['device'])
        if not ours and (asked is None or asked.type!='cuda'): return func(*args, **kwargs)
        if any(o.is_meta for o in tensors) or (asked is not None and asked.type=='meta'): return func(*args, **kwargs)   # nothing to compute
        if func in _native or _is_view(func): return func(*args, **kwargs)
        op = func._schema.name.split('::')[1]
        want = asked or (args[0] if op=='copy_' else ours[0]).device
        _check(op, args, flat, tensors, want)
        why = _sync(op, args, kwargs, asked)
        if why and SimGraph.tape: raise RuntimeError(f'operation not permitted when stream is capturing ({why} at {_site()})')
        if why: self.syncs[f'{why} at {_site()}'] += 1
        elif not SimGraph.tape: self.launches[op] += 1
        return _compute(func, args, kwargs, flat, want)

def _check(op, args, flat, tensors, want):
    "Refuse what CUDA refuses"
    for g in flat:
        if isinstance(g, torch.Generator) and g.device.type!=want.type:
            raise RuntimeError(f"Expected a '{want.type}' device type for generator but found '{g.device.type}' ({op} at {_site()})")
    found = sorted({str(t.device) for t in tensors if t.ndim})
    if len(found)>1 and op not in _two_devices:
        raise RuntimeError(f"Expected all tensors to be on the same device, but found at least two devices, {' and '.join(found)}! ({op} at {_site()})")
    if 'index' in op and op in _two_devices and not args[0].is_cuda and any(i is not None and i.is_cuda for i in args[1]):
        raise RuntimeError(f"indices should be either on cpu or on the same device as the indexed tensor (cpu) ({op} at {_site()})")

def _sync(op, args, kwargs, asked):
    "Why the host waits for the device in this operator, '' where it does not"
    if op in _waits: return op
    if op in ('index', 'index_put_', '_index_put_impl_'):
        some = [i for i in args[1] if i is not None]
        if any(i.dtype in (torch.bool, torch.uint8) for i in some): return f'{op} with a mask'
        return f'{op} with indices on the CPU' if any(not i.is_cuda for i in some) else ''
    if op=='copy_': to,src,async_ = args[0].device,args[1],args[2] if len(args)>2 else kwargs.get('non_blocking', False)
    elif op=='_to_copy' and asked is not None: to,src,async_ = asked,args[0],kwargs.get('non_blocking', False)
    else: return ''
    if to==src.device or (async_ and (to.type!='cuda' or src.is_pinned())): return ''
    return f'copy {src.device.type} to {to.type}'

def _compute(func, args, kwargs, flat, want):
    "The operator on the CPU; its results on the device `want`"
    seen,back = {},{}
    def down(o):
        if isinstance(o, torch.device): return torch.device('cpu')
        if isinstance(o, torch.Generator): return None                       # torch's own one for the CPU takes its place
        if not (isinstance(o, torch.Tensor) and o.is_cuda): return o
        if id(o) not in seen: seen[id(o)] = on_cpu(o); back[id(seen[id(o)])] = o
        return seen[id(o)]
    def up(o):
        if not isinstance(o, torch.Tensor) or any(o is a for a in flat): return o
        if id(o) in back: return back[id(o)]
        if want.type=='cpu': return o
        r = torch.empty_strided(o.size(), o.stride(), dtype=o.dtype, device=want)
        if o.numel(): on_cpu(r).copy_(o)
        return r
    kw = tree_map(down, kwargs)
    if kw.get('pin_memory'): kw['pin_memory'] = False
    lower = tree_map(down, args)
    out = func(*lower, **kw)
    res = args[0] if _in_place(func) and isinstance(out, torch.Tensor) else tree_map(up, out)
    if SimGraph.tape:
        made = [(i,on_cpu(o)) for i,o in enumerate(tree_leaves(res)) if isinstance(o, torch.Tensor) and o.is_cuda and not any(o is a for a in flat)]
        SimGraph.tape.add(func, lower, kw, made, flat, res)
    return res

def _str(self, *, tensor_contents=None):
    "torch prints a tensor with all modes off: print the memory"
    if not self.is_cuda or tensor_contents is not None: return _torch_str(self, tensor_contents=tensor_contents)
    return _torch_str(on_cpu(self.detach()).clone())[:-1]+f", device='{self.device}')"

_torch_str,torch._tensor_str._str = torch._tensor_str._str,_str

def _no_mode(export):
    "`export` without the device: torch's older exporter fails under any mode, even one that does nothing. So a network is exported from the CPU"
    def exported(*args, **kwargs):
        with _disable_current_modes(): return export(*args, **kwargs)
    return exported

def everywhere():
    "Switch it on for good in this thread, with gloo in the place of NCCL"
    import torch.distributed as dist
    mode,init = SimGPU(),dist.init_process_group
    SimGraph.gpu,torch.cuda.CUDAGraph,torch.cuda.graphs.CUDAGraph = mode,SimGraph,SimGraph
    def gloo(backend=None, *args, device_id=None, **kwargs): return init('gloo', *args, **kwargs)
    dist.init_process_group = dist.distributed_c10d.init_process_group = gloo
    torch.onnx.export = _no_mode(torch.onnx.export)
    return mode.__enter__()
