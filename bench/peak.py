"The largest matrix product of the device: what a network's arithmetic can be at best. A part of bench/run.py."
import torch
from common import peak_flops

def rows(a):
    for k, dt in dict(float32=torch.float32, bf16=torch.bfloat16).items():
        yield dict(device=a.device, dtype=k, gflop_s=round(peak_flops(a.device, dt, a.n or 15)/1e9))
