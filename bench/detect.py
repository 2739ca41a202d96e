"""A detector's training step with a teacher, beside the student's alone, in time and in memory. A part of bench/run.py.

student: a step of `detect_learner`. luminet: the same with `LumiNetDetectCallback`. teacher: its body, pooling and box head at the student's
regions of that batch, without gradients: what nobody who asks it can do without. All in float32, on made-up images of the recipe's size.
ratio is luminet / (student + teacher): 1 would mean that the callback costs nothing of its own. For memory all three are the largest amount
that a step takes at one moment, the weights not counted; the teacher's comes on top of the student's activations.
"""
from luminet_fa.all import *
import tempfile
from luminet_fa.detect import tapped
from luminet_fa.roi import RoILogits
from common import peak_mb, time_side_by_side
from step import middle_of_fit, quiet

def batch(bs, size, device, boxes=3):
    "Made-up images and boxes"
    g, (h, w) = torch.Generator().manual_seed(0), size
    at = torch.rand(bs, boxes, 2, generator=g)*torch.tensor([w, h])*.5
    boxes = torch.cat([at, at + torch.tensor([w, h])*(.1 + .3*torch.rand(bs, boxes, 2, generator=g))], 2).to(device)
    labels = torch.randint(1, 7, boxes.shape[:2], generator=g).to(device)
    targets = [dict(image_id=tensor([i]), boxes=b, labels=l) for i, (b, l) in enumerate(zip(boxes, labels))]
    return list(torch.rand(bs, 3, h, w, generator=g).to(device)), targets

def step(dls, make, b, *cbs): return middle_of_fit(quiet(detect_learner(dls, make(), cbs=cbs)), b)

def rows(a):
    for name, size in [('coco/lite2-lite0', (144, 192)), ('coco/resnet50-mobilenet_v2', (240, 320))][:1 if a.quick else 2]:
        r, bs, n = get_recipe(name), (a.bs or [8])[0], a.n or 7
        def net(k, kw): return partial(detector, k, 7, **{**kw, 'body': None, 'size': size[0], 'max_size': size[1]})
        S, T = net(r.student, r.net), net(r.teacher, r.teacher_net)
        b, small = batch(bs, size, a.device), shapes_folder(Path(tempfile.mkdtemp())/'shapes', 8, 8)
        dls = coco_dls(small, bs=2, device=a.device)
        dls.c, t = 7, T().eval().to(a.device)
        student, asked = S().to(a.device).train(), RoILogits(t)
        with tapped(student) as tap: student(*b)
        args = tap.images.tensors, tap.boxes, tap.images.image_sizes, (student.transform.image_mean, student.transform.image_std), b[0]
        def teacher():
            with torch.no_grad(): asked(*args)
        fns = dict(student=step(dls, S, b), luminet=step(dls, S, b, LumiNetDetectCallback(t)), teacher=teacher)
        said = dict(device=a.device, pair=name, size='x'.join(map(str, size)), bs=bs, regions=len(tap.logits), n=n)
        s = time_side_by_side(fns, n=n, warmup=2)
        for what, unit, v in ('time', 'ms', {k: o*1e3 for k, o in s.items()}), ('memory', 'MB', {k: peak_mb(f, a.device) for k, f in fns.items()}):
            yield dict(**said, what=what, unit=unit, **{k: round(o, 1) for k, o in v.items()}, ratio=round(v['luminet']/(v['student'] + v['teacher']), 3))
