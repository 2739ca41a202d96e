"""Time of one distillation loss, forward and backward, side by side in one process.

    python bench/loss.py                  # prints
    python bench/loss.py --save           # and appends one row per shape to bench/results/loss.csv

written_out: mean, variance, root, softmax and `F.kl_div(log_softmax, softmax, reduction='batchmean')`, as one would write the formula.
luminet:     `luminet_loss` of the package, with its checks, the way a user calls it.
kd:          plain KD, the least any logit distillation costs.
ratio is written_out / luminet: above 1, ours is faster. Medians of alternating calls; ratios carry over to other machines, times do not.
"""
import argparse, sys
from pathlib import Path
import torch, torch.nn.functional as F

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent)]
from common import add_row, machine_info, time_side_by_side
from luminet_fa.losses import luminet_loss

SHAPES = (64, 100), (256, 1000), (512, 1000)


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
    "Median ms of the three losses and the ratio, after checking that the first two agree"
    torch.manual_seed(0)
    z_s, z_t = torch.randn(B, C, device=device, requires_grad=True), torch.randn(B, C, device=device)
    torch.testing.assert_close(written_out(z_s, z_t), luminet_loss(z_s, z_t), rtol=1e-4, atol=1e-3)
    fns = dict(written_out=written_out, luminet=luminet_loss, kd=kd)
    t = time_side_by_side({k: step(f, z_s, z_t) for k, f in fns.items()}, n=n, warmup=max(10, n//10))
    return dict(shape=f'{B}x{C}', **{f'{k}_ms': round(v*1e3, 4) for k, v in t.items()},
                ratio=round(t['written_out']/t['luminet'], 2), ratio_to_kd=round(t['luminet']/t['kd'], 2))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--n', type=int, default=300, help='timed calls of each function')
    p.add_argument('--threads', type=int, default=None, help='CPU threads (default: as torch finds them)')
    p.add_argument('--device', default='cpu', help='cpu or cuda')
    p.add_argument('--save', action='store_true', help='append rows to bench/results/loss.csv')
    a = p.parse_args()
    if a.threads: torch.set_num_threads(a.threads)
    info = machine_info()
    for B, C in SHAPES:
        row = dict(**info, device=a.device, n=a.n, **measure(B, C, a.n, a.device))
        print({k: v for k, v in row.items() if k not in info})
        if a.save: print('->', add_row('loss.csv', row))


if __name__ == '__main__': main()
