"""ImageNet: how fast images can be loaded, and how fast a student can be taught.

    python bench/imagenet.py loader                      # made-up JPEG files of 500x375; prints
    python bench/imagenet.py loader --path DIR           # class folders train/ and val/, for example ImageNet itself
    python bench/imagenet.py loader --path DIR --size 64 # for small images
    python bench/imagenet.py loader --save               # and appends rows to bench/results/imagenet.csv
    python bench/imagenet.py step --bf16 --bs 256 1024             # teacher, student, whole step; on random pixels
    python bench/imagenet.py step --bf16 --bs 256 --store STORE    # and with batches of a store made by luminet_store
    python bench/imagenet.py step --bf16 --bs 256 --compile        # and with student and teacher compiled

loader: images per second and core, side by side in one process, one thread each. Whole loaders, from the files or the store to a normalised training batch, in epochs over the same `--images` files:
fastai:      item transforms as users write them: RandomResizedCrop and FlipItem on PIL images, Normalize on the batch.
torchvision: decode_jpeg to a tensor, v2.RandomResizedCrop, RandomHorizontalFlip, ToDtype and Normalize for each image.
store:       `imagenet_dls` on a store of bare pixels, the package's loader.
store_jpeg:  `imagenet_dls` on a store of JPEGs of quality 95.
Ways to crop and resize a batch that the store has, without flip and normalisation, all with the same boxes:
kernel:      torch's antialiased uint8 kernel for each crop (what `store` does).
pillow:      Pillow's resize with a box for each crop.
matmul:      the same filter for the whole batch as two matrix products, which a GPU could do as well.
grid_sample: F.grid_sample for the whole batch on squares; not antialiased.
roi_align:   torchvision.ops.roi_align for the whole batch on squares, four samples for each pixel.
For these `diff` is the mean absolute difference from torchvision's RandomResizedCrop on the stored image, in 1/255.

One timed call is an epoch, for the ways a batch; medians of `--n` of them. `build_img_s` is the store's own making, once. `x_fastai` is how many times faster than fastai a loader is. Wanted of `store`: 2 at least.
Images per second are per second of CPU time, in one thread. Everything is in the page cache when it is timed (a first epoch is not
counted), so the speed of the disk is not in it. The made-up files are of 75 kB, ImageNet's of 110 kB: those take longer to decode.
Ratios carry over to other machines, times do not.

step: one pair's training step and its parts, alternating in one process, channels_last, medians of `--n`, all with the same images.
teacher:  its forward pass, frozen and without gradients.
student:  forward, cross-entropy, backward, SGD; no teacher.
step:     a `Learner` with `LumiNetCallback` and `ChannelsLast`, one batch in the middle of a fit.
loader:   a batch of the store, cropped, flipped, normalised, on the device.
step+loader: both, as in a fit, so that the loader's threads may work ahead.
compiled: `step` with both networks through torch.compile; compiling is not timed, it is printed apart.
`gflop` is what an image costs, counted by torch, two for each multiplication with its addition. `bound_img_s` is the largest matrix product of
this device, timed in the same process and type, divided by it: nothing faster can be had from this arithmetic, and `share` is the part reached.
"""
import argparse, os, shutil, sys, tempfile, time
from pathlib import Path
if 'loader' in sys.argv[1:2]:
    for o in ('OMP_NUM_THREADS', 'MKL_NUM_THREADS'): os.environ[o] = '1'
import numpy as np, torch, torch.nn.functional as F, torchvision
import torchvision.transforms.v2 as T
from PIL import Image
from torchvision.io import ImageReadMode, decode_jpeg, read_file
from torchvision.transforms.v2 import functional as TF

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent)]
from common import add_row, batches, epoch, machine_info, peak_flops, time_side_by_side
from fastai.vision.all import (CategoryBlock, DataBlock, FlipItem, ImageBlock, IndexSplitter, Normalize, RandomResizedCrop, imagenet_stats, parent_label)
from luminet_fa.data.imagenet import N_RAND, crop_boxes, imagenet_dls, resized_crop
from luminet_fa.data.store import build_store
from luminet_fa.models.imagenet import imagenet_model


# ---------------------------------------------------------------- data

def made_up(d, n_train, n_val=8, classes=8):
    "JPEG files of 500x375 in class folders: parts of two photographs that come with scikit-learn"
    from sklearn.datasets import load_sample_images
    photos, rng = [Image.fromarray(o) for o in load_sample_images().images], np.random.default_rng(0)
    for s, n in (('train', n_train), ('val', n_val)):
        for i in range(n):
            p = d/s/f'class{i % classes}'; p.mkdir(parents=True, exist_ok=True)
            w = int(rng.integers(400, 560)); h = w*3//4
            x, y = int(rng.integers(0, 640 - w)), int(rng.integers(0, 427 - h))
            photos[i % 2].crop((x, y, x + w, y + h)).resize((500, 375), Image.BICUBIC).save(p/f'{i:05d}.JPEG', quality=95)
    return d


def some(src, d, n_train, n_val=8):
    "A part of the class folders `src`, taken evenly, copied to `d`"
    for s, n in (('train', n_train), ('val', n_val)):
        files = sorted(p for p in (Path(src)/s).rglob('*') if p.suffix.lower() in ('.jpeg', '.jpg'))
        if not files: sys.exit(f'error: no JPEG files in {Path(src)/s}')
        # train first, so that val can be held to its classes
        if s == 'val': files = [p for p in files if (d/'train'/p.relative_to(Path(src)/s).parts[0]).is_dir()]
        for p in [files[i] for i in np.linspace(0, len(files) - 1, min(n, len(files))).astype(int)]:
            q = d/s/p.relative_to(Path(src)/s); q.parent.mkdir(parents=True, exist_ok=True); shutil.copy(p, q)
    return d


# ---------------------------------------------------------------- whole loaders

def fastai_dl(files, bs, size):
    block = DataBlock((ImageBlock, CategoryBlock), get_y=parent_label, splitter=IndexSplitter([]),
                      item_tfms=[RandomResizedCrop(size, min_scale=.08), FlipItem()], batch_tfms=Normalize.from_stats(*imagenet_stats))
    return block.dataloaders(files, bs=bs, num_workers=0, device='cpu').train


class Files(torch.utils.data.Dataset):
    "JPEG files through torchvision's decoder and v2 transforms"
    def __init__(self, files, size):
        names = sorted({f.parent.name for f in files})
        self.files, self.y = [str(f) for f in files], [names.index(f.parent.name) for f in files]
        self.tfm = T.Compose([T.RandomResizedCrop(size, antialias=True), T.RandomHorizontalFlip(), T.ToDtype(torch.float32, scale=True), T.Normalize(*imagenet_stats)])
    def __len__(self): return len(self.files)
    def __getitem__(self, i): return self.tfm(decode_jpeg(read_file(self.files[i]), ImageReadMode.RGB)), self.y[i]


# ---------------------------------------------------------------- ways to crop and resize

def kernel(src, boxes, size): return torch.cat([resized_crop(a, b, size) for a, b in zip(src, boxes.tolist())])

def pillow(src, boxes, size):
    ims = [Image.fromarray(a).resize((size, size), Image.BILINEAR, box=(l, t, l + w, t + h)) for a, (t, l, h, w) in zip(src, boxes.tolist())]
    return torch.from_numpy(np.stack([np.asarray(o) for o in ims])).permute(0, 3, 1, 2)

def _weights(n, out, most):
    "Antialiased bilinear weights (B,out,most) that resize the first `n` of `most` pixels to `out`"
    n = n[:, None, None].float(); s = n/out
    k = torch.arange(most)[None, None]
    w = (1 - ((k + .5 - (torch.arange(out)[None, :, None] + .5)*s)/s.clamp(min=1)).abs()).clamp(min=0)*(k < n)
    return w/w.sum(-1, keepdim=True)

def matmul(src, boxes, size):
    H, W = boxes[:, 2].max().item(), boxes[:, 3].max().item()
    x = torch.zeros(len(src), H, W, 3, dtype=torch.uint8)
    for o, a, (t, l, h, w) in zip(x, src, boxes.tolist()): o[:h, :w] = torch.from_numpy(a[t:t + h, l:l + w])
    wy, wx = _weights(boxes[:, 2], size, H), _weights(boxes[:, 3], size, W)
    y = torch.bmm(wy, x.flatten(2).float()).view(-1, size, W, 3)
    return torch.einsum('bjw,biwc->bcij', wx, y)

def squares(src, size):
    "The stored images squeezed to squares, (B,3,size,size): what a whole-batch sampler needs"
    return torch.stack([TF.resize(torch.from_numpy(a).permute(2, 0, 1), [size, size], antialias=True) for a in src])

def grid_sample(sq, frac, size):
    t, l, h, w = frac.T; th = torch.zeros(len(sq), 2, 3)
    th[:, 0, 0], th[:, 1, 1], th[:, 0, 2], th[:, 1, 2] = w, h, 2*l + w - 1, 2*t + h - 1
    return F.grid_sample(sq.float(), F.affine_grid(th, (len(sq), 3, size, size), align_corners=False), align_corners=False, padding_mode='border')

def roi_align(sq, frac, size):
    t, l, h, w = frac.T*sq.shape[-1]
    b = torch.stack([torch.arange(len(sq)).float(), l, t, l + w, t + h], 1)
    return torchvision.ops.roi_align(sq.float(), b, size, sampling_ratio=2, aligned=True)


# ---------------------------------------------------------------- the bench

def loader(a):
    torch.set_num_threads(1); torch.manual_seed(0)
    with tempfile.TemporaryDirectory(dir=a.tmp) as tmp:
        tmp = Path(tmp)
        d = some(a.path, tmp/'files', a.images) if a.path else made_up(tmp/'files', a.images)
        files = sorted(p for p in (d/'train').rglob('*') if p.is_file())
        n_files, kb = len(files), sum(p.stat().st_size for p in files)/len(files)/1e3
        t0 = time.process_time()
        st = build_store(d, tmp/'store', size=a.resize, workers=1, progress=False)
        build = (n_files + len(st['val']))/(time.process_time() - t0)
        jp = build_store(d, tmp/'jpeg', size=a.resize, quality=95, workers=1, progress=False)
        kw = dict(bs=a.bs, size=a.size, seed=0, device='cpu', workers=0)
        dls = dict(fastai=fastai_dl(files, a.bs, a.size), torchvision=torch.utils.data.DataLoader(Files(files, a.size), a.bs, shuffle=True, drop_last=True),
                   store=imagenet_dls(st.folder, **kw).train, store_jpeg=imagenet_dls(jp.folder, **kw).train)
        firsts = {k: next(iter(v))[0] for k, v in dls.items()}
        for k, x in firsts.items():
            assert x.shape == firsts['store'].shape and x.dtype == torch.float32 and abs(x.mean() - firsts['store'].mean()) < .5, f'{k} gives other batches'
        t = time_side_by_side({k: epoch(v) for k, v in dls.items()}, n=a.n, warmup=1, clock=time.process_time)
        n = len(files)//a.bs*a.bs
        gb = {k: sum(o['bytes'] for o in s.chunks)/sum(v['n'] for v in s.meta['splits'].values())/1e3 for k, s in (('store', st), ('store_jpeg', jp))}
        common = dict(size=a.size, store=a.resize, bs=a.bs, images=n_files, data=a.name or ('made up' if not a.path else Path(a.path).name), n=a.n, threads=1)
        rows = [dict(what='loader', name=k, img_s=round(n/v), x_fastai=round(t['fastai']/v, 2), kb_image=round(gb.get(k, kb), 1), build_img_s=round(build) if k == 'store' else '', **common) for k, v in t.items()]

        tr = st['train']; src = [tr[i] for i in range(min(a.bs, len(tr)))]
        boxes = crop_boxes(tr.hw[:len(src)], torch.rand(len(src), N_RAND))
        sq, hw = squares(src, a.resize), tr.hw[:len(src)]
        frac = boxes/torch.cat([hw, hw], 1)
        ways = dict(kernel=lambda: kernel(src, boxes, a.size), pillow=lambda: pillow(src, boxes, a.size), matmul=lambda: matmul(src, boxes, a.size),
                    grid_sample=lambda: grid_sample(sq, frac, a.size), roi_align=lambda: roi_align(sq, frac, a.size))
        ref = torch.stack([TF.resized_crop(torch.from_numpy(o).permute(2, 0, 1), *b, [a.size, a.size], antialias=True) for o, b in zip(src, boxes.tolist())]).float()
        t = time_side_by_side(ways, n=a.n, warmup=1, clock=time.process_time)
        rows += [dict(what='crop', name=k, img_s=round(len(src)/v), diff=round((ways[k]().float() - ref).abs().mean().item(), 2), **common) for k, v in t.items()]
    for r in rows: print('  '.join(f'{k}={v}' for k, v in r.items() if k not in common))
    print('  '.join(f'{k}={v}' for k, v in common.items()))
    if a.save:
        for r in rows: p = add_row('imagenet.csv', {**machine_info(), **r})
        print(f'{len(rows)} rows added to {p}')


# ---------------------------------------------------------------- the step

def flops(f):
    "Floating point operations of one call"
    from torch.utils.flop_counter import FlopCounterMode
    with FlopCounterMode(display=False) as c: f()
    return c.get_total_flops()


def step_parts(teacher, student, b, bf16):
    "Teacher's forward pass, and a student's step without one, on the batch `b`"
    from step import in_learner
    amp = lambda: torch.autocast(b[0].device.type, torch.bfloat16, cache_enabled=False, enabled=bf16)
    teacher, student, x = (o.to(memory_format=torch.channels_last) for o in (teacher.eval(), student, b[0]))
    def forward():
        with torch.no_grad(), amp(): teacher(x)
    return forward, in_learner(student, None, b, bf16=bf16)


def step(a):
    from step import in_learner
    if a.threads: torch.set_num_threads(a.threads)
    device, dtype = torch.device(a.device), torch.bfloat16 if a.bf16 else torch.float32
    torch.manual_seed(0)
    top, info, rows = peak_flops(device, dtype), machine_info(), []
    def net(name): return imagenet_model(name, a.classes).to(device)
    for bs in a.bs:
        b = torch.randn(bs, 3, a.size, a.size, device=device), torch.randint(0, a.classes, (bs,), device=device)
        teacher = net(a.teacher)
        forward, alone = step_parts(teacher, net(a.student), b, a.bf16)
        whole = in_learner(net(a.student), teacher, b, bf16=a.bf16)
        ways, cost = dict(teacher=forward, student=alone, step=whole), dict(teacher=flops(forward), student=flops(alone))
        cost['step'] = cost['teacher'] + cost['student']
        if a.store:
            it = batches(imagenet_dls(a.store, bs=bs, size=a.size, device=device, seed=0).train)
            real = in_learner(net(a.student), teacher, next(it), bf16=a.bf16)
            ways |= {'loader': lambda: next(it), 'step+loader': lambda: real(next(it))}; cost['step+loader'] = cost['step']
        if a.compile:
            ways['compiled'] = in_learner(torch.compile(net(a.student)), teacher, b, speed='compile', bf16=a.bf16); cost['compiled'] = cost['step']
            t0 = time.perf_counter(); ways['compiled'](); print(f'compiling took {time.perf_counter() - t0:.0f} s')
        t = time_side_by_side(ways, n=a.n, warmup=2)
        for k, s in t.items():
            g = cost.get(k, 0)/bs/1e9
            rows.append(dict(what='step', name=k, pair=f'{a.teacher}-{a.student}', bs=bs, size=a.size, dtype='bf16' if a.bf16 else 'float32', n=a.n, ms=round(s*1e3, 2), img_s=round(bs/s, 1),
                             **(dict(gflop=round(g, 3), bound_img_s=round(top/g/1e9, 1), share=round(g*1e9*bs/s/top, 3)) if g else {})))
            print('  '.join(f'{k}={v}' for k, v in rows[-1].items()), flush=True)
    print(f'largest matrix product, {rows[0]["dtype"]}: {top/1e12:.2f} TFLOP/s')
    if a.save:
        for r in rows: p = add_row('imagenet.csv', {**info, 'device': a.device, **r})
        print(f'{len(rows)} rows added to {p}')


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = p.add_subparsers(dest='what', required=True)
    l = sub.add_parser('loader', help='images per second and core of several loaders', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    l.add_argument('--path', default=None, help='class folders train/ and val/ (default: made-up JPEG files of 500x375)')
    l.add_argument('--name', default=None, help="what to call the data in the table (default: the folder's name)")
    l.add_argument('--images', type=int, default=256, help='files to run over')
    l.add_argument('--bs', type=int, default=32, help='images in a batch')
    l.add_argument('--size', type=int, default=224, help='size of the training images')
    l.add_argument('--resize', type=int, default=None, help='shorter side of the store (default: 8/7 of the size, 256 for 224; at most that of the images is used)')
    l.add_argument('--n', type=int, default=5, help='timed epochs of each loader')
    l.add_argument('--tmp', default=None, help='where to put copies and stores while it runs')
    l.add_argument('--save', action='store_true', help='append rows to bench/results/imagenet.csv')
    t = sub.add_parser('step', help='teacher, student and whole step', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    t.add_argument('--teacher', default='resnet34'); t.add_argument('--student', default='resnet18')
    t.add_argument('--bs', type=int, nargs='+', default=[32], help='batch sizes')
    t.add_argument('--size', type=int, default=224, help='height and width of the images')
    t.add_argument('--classes', type=int, default=1000)
    t.add_argument('--store', default=None, help='a store made by luminet_store, for the ways with a loader')
    t.add_argument('--bf16', action='store_true', help='bfloat16 autocast')
    t.add_argument('--compile', action='store_true', help='also with torch.compile')
    t.add_argument('--threads', type=int, default=None, help='CPU threads (default: as torch finds them)')
    t.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    t.add_argument('--n', type=int, default=9, help='timed calls of each way')
    t.add_argument('--save', action='store_true', help='append rows to bench/results/imagenet.csv')
    a = p.parse_args()
    if a.what == 'step': return step(a)
    a.resize = a.resize or round(a.size*8/7)
    loader(a)


if __name__ == '__main__': main()
