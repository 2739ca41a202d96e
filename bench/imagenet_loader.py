"""ImageNet: images per second and core, one thread, in CPU time. A part of bench/run.py, which measures it only where it is named.

    python bench/run.py imagenet_loader --save                  # made-up JPEG files of 500x375
    python bench/run.py imagenet_loader --path DIR --size 64    # class folders train/ and val/, for example ImageNet itself

Whole loaders, from the files or the store to a normalised training batch, in epochs over the same `--images` files:
fastai:      item transforms as users write them: RandomResizedCrop and FlipItem on PIL images, Normalize on the batch.
torchvision: decode_jpeg to a tensor, v2.RandomResizedCrop, RandomHorizontalFlip, ToDtype and Normalize for each image.
store:       `imagenet_dls` on a store of bare pixels, the package's loader. store_jpeg: on a store of JPEGs of quality 95.
Ways to crop and resize a batch that the store has, without flip and normalisation, all with the same boxes:
kernel:      torch's antialiased uint8 kernel for each crop (what `store` does). pillow: Pillow's resize with a box for each crop.
matmul:      the same filter for the whole batch as two matrix products, which a GPU could do as well.
grid_sample: F.grid_sample for the whole batch on squares; not antialiased.
roi_align:   torchvision.ops.roi_align for the whole batch on squares, four samples for each pixel.
For these `diff` is the mean absolute difference from torchvision's RandomResizedCrop on the stored image, in 1/255.

One timed call is an epoch, for the ways a batch. `build_img_s` is the store's own making, once. `x_fastai` is how many times faster than
fastai a loader is; wanted of `store`: 2 at least. A first epoch is not counted. ImageNet's files, of 110 kB, take longer to decode than these.
"""
from fastai.vision.all import *
from luminet_fa.all import *
import shutil, sys, tempfile, time
import torchvision, torchvision.transforms.v2 as T
from sklearn.datasets import load_sample_images
from torchvision.datasets import ImageFolder
from torchvision.io import ImageReadMode, decode_jpeg, read_file
from torchvision.transforms.v2 import functional as TF
from luminet_fa.data.imagenet import N_RAND, crop_boxes, resized_crop
from common import epoch, time_side_by_side

def made_up(folder, n):
    "JPEG files of 500x375 in class folders: parts of two photographs that come with scikit-learn"
    photos, rng = [Image.fromarray(o) for o in load_sample_images().images], np.random.default_rng(0)
    for i in range(n):
        p = folder/f'class{i % 8}'; p.mkdir(parents=True, exist_ok=True)
        w = int(rng.integers(400, 560)); h = w*3//4
        x, y = int(rng.integers(0, 640 - w)), int(rng.integers(0, 427 - h))
        photos[i % 2].crop((x, y, x + w, y + h)).resize((500, 375), Image.BICUBIC).save(p/f'{i:05d}.JPEG', quality=95)

def some(src, folder, n):
    "A part of the class folders `src`, taken evenly, copied to `folder`; of val only classes that train has there"
    files, train = [p.relative_to(src) for p in sorted(src.rglob('*')) if p.suffix.lower() in ('.jpeg', '.jpg')], folder.parent/'train'
    if not files: sys.exit(f'error: no JPEG files in {src}')
    if train.is_dir(): files = [p for p in files if (train/p.parts[0]).is_dir()]
    for i in np.linspace(0, len(files) - 1, min(n, len(files))).astype(int):
        (folder/files[i]).parent.mkdir(parents=True, exist_ok=True); shutil.copy(src/files[i], folder/files[i])

def loaders(folder, files, stores, bs, size):
    "The loaders by name, after checking that their batches agree"
    block = DataBlock((ImageBlock, CategoryBlock), get_y=parent_label, splitter=IndexSplitter([]),
                      item_tfms=[RandomResizedCrop(size, min_scale=.08), FlipItem()], batch_tfms=Normalize.from_stats(*imagenet_stats))
    norm = T.ToDtype(torch.float32, scale=True), T.Normalize(*imagenet_stats)
    tfm = T.Compose([T.RandomResizedCrop(size, antialias=True), T.RandomHorizontalFlip(), *norm])
    decoded = ImageFolder(folder, tfm, loader=lambda f: decode_jpeg(read_file(f), ImageReadMode.RGB))
    dls = dict(fastai=block.dataloaders(files, bs=bs, num_workers=0, device='cpu').train,
               torchvision=torch.utils.data.DataLoader(decoded, bs, shuffle=True, drop_last=True))
    dls |= {k: imagenet_dls(s.folder, bs=bs, size=size, seed=0, device='cpu', workers=0).train for k, s in stores.items()}
    firsts = {k: next(iter(v))[0] for k, v in dls.items()}
    ref = firsts['store']
    for k, x in firsts.items():
        assert x.shape == ref.shape and x.dtype == torch.float32 and abs(x.mean() - ref.mean()) < .5, f'{k} gives other batches'
    return dls

def kernel(src, boxes, size): return torch.cat([resized_crop(a, b, size) for a, b in zip(src, boxes.tolist())])
def pillow(src, boxes, size):
    def one(a, t, l, h, w): return np.asarray(Image.fromarray(a).resize((size, size), Image.BILINEAR, box=(l, t, l + w, t + h)))
    return torch.from_numpy(np.stack([one(a, *b) for a, b in zip(src, boxes.tolist())])).permute(0, 3, 1, 2)

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

def grid_sample(sq, frac, size):
    t, l, h, w = frac.T; th = torch.zeros(len(sq), 2, 3)
    th[:, 0, 0], th[:, 1, 1], th[:, 0, 2], th[:, 1, 2] = w, h, 2*l + w - 1, 2*t + h - 1
    grid = F.affine_grid(th, (len(sq), 3, size, size), align_corners=False)
    return F.grid_sample(sq.float(), grid, align_corners=False, padding_mode='border')

def roi_align(sq, frac, size):
    t, l, h, w = frac.T*sq.shape[-1]
    b = torch.stack([torch.arange(len(sq)).float(), l, t, l + w, t + h], 1)
    return torchvision.ops.roi_align(sq.float(), b, size, sampling_ratio=2, aligned=True)

def crops(tr, bs, side, size):
    "The ways by name, on the first images of the stored split `tr`, and torchvision's crops of the same boxes"
    src = [tr[i] for i in range(min(bs, len(tr)))]
    hw, chw = tr.hw[:len(src)], [torch.from_numpy(a).permute(2, 0, 1) for a in src]
    boxes = crop_boxes(hw, torch.rand(len(src), N_RAND))
    sq, frac = torch.stack([TF.resize(x, [side, side], antialias=True) for x in chw]), boxes/torch.cat([hw, hw], 1)   # squeezed to squares
    ref = torch.stack([TF.resized_crop(x, *b, [size, size], antialias=True) for x, b in zip(chw, boxes.tolist())]).float()
    ways = {f: (src, boxes) for f in (kernel, pillow, matmul)} | {f: (sq, frac) for f in (grid_sample, roi_align)}
    return {f.__name__: partial(f, *o, size) for f, o in ways.items()}, ref

def measure(a, tmp):
    bs, n, side, files = (a.bs or [32])[0], a.n or 5, a.resize or round(a.size*8/7), tmp/'files'
    for s, k in (('train', a.images), ('val', 8)): some(Path(a.path)/s, files/s, k) if a.path else made_up(files/s, k)
    paths = sorted(p for p in (files/'train').rglob('*') if p.is_file())
    common = dict(size=a.size, store=side, bs=bs, images=len(paths), data=Path(a.path).name if a.path else 'made up', n=n, threads=1)
    t0 = time.process_time()
    st = build_store(files, tmp/'store', size=side, workers=1, progress=False)
    build = (len(paths) + len(st['val']))/(time.process_time() - t0)
    stores = dict(store=st, store_jpeg=build_store(files, tmp/'jpeg', size=side, quality=95, workers=1, progress=False))
    dls = loaders(files/'train', paths, stores, bs, a.size)
    t = time_side_by_side({k: epoch(v) for k, v in dls.items()}, n=n, warmup=1, clock=time.process_time)
    kb = {k: sum(o['bytes'] for o in s.chunks)/sum(o['n'] for o in s.chunks)/1e3 for k, s in stores.items()}
    for k, s in t.items():
        yield dict(what='loader', name=k, img_s=round(len(paths)//bs*bs/s), x_fastai=round(t['fastai']/s, 2),
                   kb_image=round(kb.get(k, sum(p.stat().st_size for p in paths)/len(paths)/1e3), 1),
                   build_img_s=round(build) if k == 'store' else '', **common)
    ways, ref = crops(st['train'], bs, side, a.size)
    t = time_side_by_side(ways, n=n, warmup=1, clock=time.process_time)
    for k, s in t.items():
        yield dict(what='crop', name=k, img_s=round(len(ref)/s), diff=round((ways[k]().float() - ref).abs().mean().item(), 2), **common)

def rows(a):
    torch.set_num_threads(1); torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as tmp: yield from measure(a, Path(tmp))
