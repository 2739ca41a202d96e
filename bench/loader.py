"""Images per second of the CIFAR loader beside the usual PIL pipeline, in one process, alternating.

    python bench/loader.py                     # made-up 32x32 images; prints
    python bench/loader.py --path DIR          # CIFAR-100 itself, in any layout that `load_cifar100` knows
    python bench/loader.py --save              # and appends a row to bench/results/loader.csv

ours:        `tensor_dls`: pad 4, crop, flip, normalise, a whole batch at a time.
pil_0/pil_2: a dataset of PIL images with torchvision's RandomCrop(32, padding=4), RandomHorizontalFlip, ToTensor and Normalize, in torch's
             DataLoader with 0 or 2 workers (persistent, so that starting them is not counted).
One timed call is an epoch over `--images` images; medians of `--n` of them. Ratios carry over to other machines, times do not.
`x_pil_0` and `x_pil_2` are how many times faster ours is. Wanted: 4 at least.
"""
import argparse, sys
from pathlib import Path
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms as T

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent)]
from common import add_row, epoch, machine_info, time_side_by_side
from luminet_fa.data.cifar import cifar100_stats, load_cifar100
from luminet_fa.data.tensor import tensor_dls


class PILDataset(Dataset):
    "As torchvision's CIFAR100: pixels in memory, a PIL image per item, then the transforms"
    def __init__(self, x, y):
        self.x, self.y = x.permute(0, 2, 3, 1).contiguous().numpy(), y.tolist()
        self.tfm = T.Compose([T.RandomCrop(32, padding=4), T.RandomHorizontalFlip(), T.ToTensor(), T.Normalize(*cifar100_stats)])
    def __len__(self): return len(self.y)
    def __getitem__(self, i): return self.tfm(Image.fromarray(self.x[i])), self.y[i]


def images(path, n):
    "`n` images and labels: of CIFAR-100, or made up"
    if not path: return torch.randint(0, 256, (n, 3, 32, 32), dtype=torch.uint8), torch.arange(n) % 100, [str(i) for i in range(100)]
    x, y, _, _, vocab = load_cifar100(path)
    i = torch.randperm(len(x))[:n]
    return x[i], y[i], vocab


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--path', default=None, help='CIFAR-100 in any known layout (default: made-up images)')
    p.add_argument('--images', type=int, default=6400, help='images in an epoch')
    p.add_argument('--bs', type=int, default=64, help='images in a batch')
    p.add_argument('--n', type=int, default=9, help='timed epochs of each loader')
    p.add_argument('--threads', type=int, default=None, help='CPU threads (default: as torch finds them)')
    p.add_argument('--device', default='cpu', help='where ours makes its batches; the PIL pipeline makes them on the CPU')
    p.add_argument('--save', action='store_true', help='append a row to bench/results/loader.csv')
    a = p.parse_args()
    if a.threads: torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    x, y, vocab = images(a.path, a.images)
    ours = tensor_dls(x, y, x[:1000], y[:1000], vocab, *cifar100_stats, bs=a.bs, device=a.device).train
    pil = {w: DataLoader(PILDataset(x, y), a.bs, shuffle=True, drop_last=True, num_workers=w, persistent_workers=w > 0) for w in (0, 2)}
    (xo, _), (xp, _) = next(iter(ours)), next(iter(pil[0]))
    assert xo.shape == xp.shape and xo.dtype == xp.dtype and (xo.mean().cpu() - xp.mean()).abs() < .2, 'the two pipelines differ'
    t = time_side_by_side({'ours': epoch(ours), 'pil_0': epoch(pil[0]), 'pil_2': epoch(pil[2])}, n=a.n, warmup=2)
    n = len(ours)*a.bs
    row = dict(bs=a.bs, images=n, data='cifar100' if a.path else 'made up', device=a.device, epochs=a.n,
               **{f'{k}_img_s': round(n/v) for k, v in t.items()},
               **{f'x_{k}': round(t[k]/t['ours'], 2) for k in ('pil_0', 'pil_2')})
    print('  '.join(f'{k}={v}' for k, v in row.items()))
    if a.save: print(f"row added to {add_row('loader.csv', {**machine_info(), **row})}")


if __name__ == '__main__': main()
