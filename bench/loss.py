"""Time and memory of one distillation loss, forward and backward. A part of bench/run.py, which says how to call it.

written_out: mean, variance, root, softmax and `F.kl_div(log_softmax, softmax, reduction='batchmean')`, as one would write the formula.
luminet:     `luminet_loss` of the package, with its checks, the way a user calls it.
kd:          plain KD, the least any logit distillation costs. ce: cross-entropy, for scale.
ratio is written_out / luminet: above 1, ours is faster. *_mb: largest memory that the call's tensors take at one moment.
"""
import torch, torch.nn.functional as F
from common import peak_mb, time_side_by_side
from luminet_fa.losses import luminet_loss

SHAPES = {(64, 100): 300, (256, 1000): 60, (1024, 21843): 5}        # and how many timed calls


def written_out(z_s, z_t, alpha=33., T=4., eps=1e-5):
    z_t = z_t.detach()
    m_s, v_s = z_s.mean(0, keepdim=True), z_s.var(0, keepdim=True, unbiased=False)
    m_t, v_t = z_t.mean(0, keepdim=True), z_t.var(0, keepdim=True, unbiased=False)
    h_s, h_t = (z_s - m_s)/torch.sqrt(v_s + eps), (z_t - m_t)/torch.sqrt(v_t + eps)
    return alpha**2*F.kl_div(F.log_softmax(h_s/T, dim=1), F.softmax(h_t/T, dim=1), reduction='batchmean')


def kd(z_s, z_t, T=4.):
    return T**2*F.kl_div(F.log_softmax(z_s/T, dim=1), F.softmax(z_t.detach()/T, dim=1), reduction='batchmean')


def step(loss, z_s, z_t):
    "A function of no argument: one forward and backward pass"
    def f():
        z_s.grad = None
        loss(z_s, z_t).backward()
    return f


def measure(B, C, n, device):
    "One row: median ms of each loss, the ratios, and the memory, after checking that the first two losses agree"
    torch.manual_seed(0)
    z_s, z_t = torch.randn(B, C, device=device, requires_grad=True), torch.randn(B, C, device=device)
    y = torch.randint(0, C, (B,), device=device)
    torch.testing.assert_close(written_out(z_s, z_t), luminet_loss(z_s, z_t), rtol=1e-4, atol=1e-3)
    fns = {k: step(f, z_s, z_t) for k, f in dict(written_out=written_out, luminet=luminet_loss, kd=kd, ce=lambda a, b: F.cross_entropy(a, y)).items()}
    t = time_side_by_side(fns, n=n, warmup=max(2, min(50, n//3)))
    return dict(device=device, shape=f'{B}x{C}', n=n, **{f'{k}_ms': round(v*1e3, 4) for k, v in t.items()},
                ratio=round(t['written_out']/t['luminet'], 2), ratio_to_kd=round(t['luminet']/t['kd'], 2), **{f'{k}_mb': round(peak_mb(f, device), 2) for k, f in fns.items()})
