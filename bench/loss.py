"""Time and memory of one distillation loss, forward and backward. A part of bench/run.py, which says how to call it.

written_out: mean, variance, root, softmax and `F.kl_div(log_softmax, softmax, reduction='batchmean')`, as one would write the formula.
luminet:     `luminet_loss` of the package, with its checks, the way a user calls it.
kd:          plain KD, the least any logit distillation costs. ce: cross-entropy, for scale.
ratio is written_out / luminet: above 1, ours is faster. *_mb: largest memory that the call's tensors take at one moment.
"""
from luminet_fa.all import *
from common import peak_mb, time_side_by_side

SHAPES = {(64, 100): 300, (256, 1000): 60, (1024, 21843): 5}        # timed calls

def kl(s, t, T): return F.kl_div(F.log_softmax(s/T, dim=1), F.softmax(t/T, dim=1), reduction='batchmean')
def kd(z_s, z_t, T=4.): return T**2*kl(z_s, z_t.detach(), T)

def written_out(z_s, z_t, alpha=33., T=4., eps=1e-5):
    def h(z): return (z - z.mean(0, keepdim=True))/torch.sqrt(z.var(0, keepdim=True, unbiased=False) + eps)
    return alpha**2*kl(h(z_s), h(z_t.detach()), T)

def rows(a):
    "A row for each shape: median ms of each loss, the ratios, and the memory, after checking that the first two losses agree"
    for (B, C), n in SHAPES.items():
        if a.quick and B*C > 1e6: continue
        n = a.n or n
        torch.manual_seed(0)
        z_s, z_t = torch.randn(B, C, device=a.device, requires_grad=True), torch.randn(B, C, device=a.device)
        y = torch.randint(0, C, (B,), device=a.device)
        torch.testing.assert_close(written_out(z_s, z_t), luminet_loss(z_s, z_t), rtol=1e-4, atol=1e-3)
        def step(loss): z_s.grad = None; loss(z_s, z_t).backward()
        losses = dict(written_out=written_out, luminet=luminet_loss, kd=kd, ce=lambda z, _: F.cross_entropy(z, y))
        fns = {k: partial(step, f) for k, f in losses.items()}
        t = time_side_by_side(fns, n=n, warmup=max(2, min(50, n//3)))
        yield dict(device=a.device, shape=f'{B}x{C}', n=n, **{f'{k}_ms': round(v*1e3, 4) for k, v in t.items()},
                   ratio=round(t['written_out']/t['luminet'], 2), ratio_to_kd=round(t['luminet']/t['kd'], 2),
                   **{f'{k}_mb': round(peak_mb(f, a.device), 2) for k, f in fns.items()})
