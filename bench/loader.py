"""Images per second of the CIFAR loader beside the usual PIL pipeline. A part of bench/run.py, which says how to call it.

ours:        `tensor_dls`: pad 4, crop, flip, normalise, a whole batch at a time.
pil_0/pil_2: a dataset of PIL images with torchvision's RandomCrop(32, padding=4), RandomHorizontalFlip, ToTensor and Normalize, in torch's
             DataLoader with 0 or 2 workers (persistent, so that starting them is not counted).
One timed call is an epoch. `x_pil_0` and `x_pil_2` are how many times faster ours is. Wanted: 4 at least.
"""
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms as T
from common import epoch, image_dls, made_up, time_side_by_side
from luminet_fa.data.cifar import cifar100_stats, load_cifar100

class PILDataset(Dataset):
    "As torchvision's CIFAR100: pixels in memory, a PIL image per item, then the transforms"
    def __init__(self, x, y):
        self.x, self.y = x.permute(0, 2, 3, 1).contiguous().numpy(), y.tolist()
        self.tfm = T.Compose([T.RandomCrop(32, padding=4), T.RandomHorizontalFlip(), T.ToTensor(), T.Normalize(*cifar100_stats)])
    def __len__(self): return len(self.y)
    def __getitem__(self, i): return self.tfm(Image.fromarray(self.x[i])), self.y[i]

def rows(a):
    "One row: images per second of the three loaders, after checking that their batches agree"
    bs, n, images = (a.bs or [64])[0], a.n or 9, 640 if a.quick else 6400
    torch.manual_seed(0)
    x, y, *_, vocab = load_cifar100(a.path) if a.path else made_up(images)
    i = torch.randperm(len(x))[:images]
    ours = image_dls(x[i], y[i], vocab, bs, a.device).train
    pil = {w: DataLoader(PILDataset(x[i], y[i]), bs, shuffle=True, drop_last=True, num_workers=w, persistent_workers=w > 0) for w in (0, 2)}
    (xo, _), (xp, _) = next(iter(ours)), next(iter(pil[0]))
    assert xo.shape == xp.shape and xo.dtype == xp.dtype and (xo.mean().cpu() - xp.mean()).abs() < .2, 'the two pipelines differ'
    t = time_side_by_side(dict(ours=epoch(ours), pil_0=epoch(pil[0]), pil_2=epoch(pil[2])), n=n, warmup=2)
    row = dict(bs=bs, images=len(ours)*bs, data='cifar100' if a.path else 'made up', device=a.device, epochs=n)
    row |= {f'{k}_img_s': round(len(ours)*bs/s) for k, s in t.items()}
    yield row | {f'x_{k}': round(s/t['ours'], 2) for k, s in t.items() if k != 'ours'}
