#!/usr/bin/env python
"""Make hostile files of every kind that SECURITY.md speaks of, try each against the library, and count what it held.

    python tools/hostile.py                              # a line for each kind; exit 1 when one got through
    python tools/hostile.py --out results/survives.csv   # put the counts into the table as well, in the place of this script's older rows
    python tools/hostile.py --only picture               # the kinds with this word in their names

Each case runs in a process of its own, which is killed after 20 seconds and may take 0.7 GB more than it had: a file that hangs, crashes or
fills the memory has got through, like one that runs code or is read where it should be refused. Nothing is downloaded and all files are made
in a temporary folder. It takes less than a minute on one core, and needs a system with fork, such as Linux.
"""
import argparse, cloudpickle, html, io, itertools, json, os, pickle, re, resource, shutil, signal, socket, struct, sys, tempfile, time, warnings
from pathlib import Path
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault('OMP_NUM_THREADS', '1')
import numpy as np, torch
from PIL import Image, UnidentifiedImageError
from counts import count, keep
from luminet_fa.callback import LumiNetCallback
from luminet_fa.core import InputError
from luminet_fa.data.cifar import load_cifar100
from luminet_fa.data import store
from luminet_fa.data.store import Store, build_store, read_image, scan_images
from luminet_fa.data.tensor import as_images
from luminet_fa.metrics import TeacherAgreement
from luminet_fa.models.imagenet import imagenet_model
from luminet_fa.run.report import provenance, summarise
from luminet_fa.ship import load_student, model_card, save_student
from luminet_fa.teacher import Teacher, check_teacher, load_teacher
from luminet_fa.test_utils import toy_dls, toy_learner, toy_model
from luminet_fa.run.experiment import run_recipe
from luminet_fa.models.core import load_weights, read_weights

SECONDS, MORE_MB = 20, 700
root = Path(tempfile.mkdtemp(prefix='hostile-'))
kinds = {}

def kind(what, how):
    "Register a generator of (name of the case, function that raises where something got through)"
    def add(f): kinds[what] = how,f; return f
    return add

def refused(f, *names, exc=InputError):
    "`f` raises an error that a user can read and that has `names` in it"
    try: f()
    except exc as e: lost = [n for n in names if n not in str(e)]
    else: raise AssertionError('it was accepted')
    assert not lost, f'the error does not name {lost[0]}'

def alone(f):
    "Run `f` in a process of its own; '' where it held, else what happened"
    r,w = os.pipe(); pid = os.fork()
    if not pid:
        os.close(r); says = ''
        had = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            with open(os.devnull, 'w') as null: os.dup2(null.fileno(), 1); os.dup2(null.fileno(), 2); warnings.simplefilter('ignore'); f()
            more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss-had)//1000
            if more>MORE_MB: says = f'it took {more} MB'
        except BaseException as e: says = f'{type(e).__name__}: {str(e)[:150]}'
        os.write(w, ascii(says).encode()[1:-1] if says else b''); os._exit(bool(says))
    os.close(w); end = time.time()+SECONDS
    while not (done := os.waitpid(pid, os.WNOHANG))[0]:
        if time.time()>end: os.kill(pid, signal.SIGKILL); os.waitpid(pid, 0); os.close(r); return f'it hung for {SECONDS} s'
        time.sleep(.005)
    with os.fdopen(r) as o: says = o.read()
    return f'it died of signal {-done[1]}' if os.WIFSIGNALED(done[1]) else says

def new(name):
    "A new folder"
    d = root/name; n = 0
    while d.exists(): n += 1; d = root/f'{name}-{n}'
    d.mkdir(parents=True); return d

def pictures(d):
    "Class folders with 4 small pictures each"
    rng = np.random.default_rng(0)
    for s,c,i in itertools.product(('train','val','test'), ('cat','dog'), range(4)):
        (d/s/c).mkdir(parents=True, exist_ok=True); Image.fromarray(rng.integers(0, 255, (32,32,3), dtype=np.uint8)).save(d/s/c/f'{i}.png')
    return d

def named_in_report(d, name, at='train/cat'):
    "A store of folder `d` is built, and its report names the file; without the others' consent it is refused by name"
    shown = f'{at}/{name}'
    refused(lambda: build_store(d, new('store'), size=16, progress=False), shown)
    st = build_store(d, new('store'), size=16, max_bad=50, progress=False)
    assert any(shown in o for v in st.report.values() for o in v), 'the report does not name it'
    assert len(st['train'])==8, 'it is in the store'

class Evil(torch.nn.Module):
    "Its pickle makes the file `ran`"
    def __init__(self, ran): super().__init__(); self.ran = ran
    def __reduce__(self): return exec, (f"open({str(self.ran)!r}, 'w').close()",)

@kind('code in a file of weights', 'read or refused without running it')
def code():
    sd = toy_model(8).state_dict(); d = new('code')
    entries = dict(read_weights=read_weights, load_teacher=lambda f: load_teacher(f, toy_model(8)), Teacher=lambda f: Teacher(f, toy_model(8)), check_teacher=lambda f: check_teacher(f, toy_dls()),
        LumiNetCallback=lambda f: LumiNetCallback(f, arch=toy_model(8)), set_teacher=lambda f: LumiNetCallback(toy_model(8)).set_teacher(f), TeacherAgreement=TeacherAgreement,
        imagenet_model=lambda f: imagenet_model('MobileNetV1', 4, f), run_recipe=lambda f: run_recipe('digits', teacher=str(f), epochs=1, images=64, methods=['kd'], seeds=[0], out=new('runs'), verbose=0, bars=False))
    def write(how, f, ran):
        evil = Evil(ran)
        if how=='whole': torch.save(evil, f)
        elif how=='beside weights': torch.save({'model': sd, 'x': evil}, f)
        elif how=='old format': torch.save({'model': sd, 'x': evil}, f, _use_new_zipfile_serialization=False)
        elif how=='bare pickle': f.write_bytes(pickle.dumps(evil))
        else: learn = toy_learner(toy_model(8)); learn.made = evil; torch.save(learn, f, pickle_module=cloudpickle)
    def case(how, suffix, entry):
        f = d/f'{how}-{entry}{suffix}'.replace(' ', '-'); ran = Path(f'{f}.ran'); write(how, f, ran)
        try: entries[entry](f)
        except InputError as e: assert f.name in str(e), 'the error does not name the file'
        assert not ran.exists(), 'its code ran'
    for how in ('whole','beside weights','old format','bare pickle','learner'):
        for suffix in ('.pkl','.pth'): yield f'{how}, {suffix}',lambda how=how,suffix=suffix: case(how, suffix, 'read_weights')
    for entry in entries: yield f'given to {entry}',lambda entry=entry: case('whole', '.pkl', entry)

@kind('weights without end', 'refused or read in seconds')
def endless():
    d = new('endless'); loop = []; loop.append(loop); both = {}; both['a'] = both['b'] = both
    double = [torch.zeros(1)]; nested = {'w': torch.zeros(1)}
    for _ in range(60): double = [double, double]
    for _ in range(300): nested = [nested]
    for name,o in dict(loop=loop, mapping=both, double=double, nested=nested).items():
        torch.save(o, d/f'{name}.pth'); yield name,lambda name=name: refused(lambda: load_weights(toy_model(8), read_weights(d/f'{name}.pth')))

@kind('other formats named as pictures', 'refused by name')
def formats():
    im = Image.new('RGB', (24,24), (200,10,10))
    for fmt,suffix in itertools.product(('EPS','PDF','PPM','ICO','PCX','TGA','JPEG2000'), ('.jpg','.png','.tif')):
        def case(fmt=fmt, suffix=suffix):
            d = pictures(new('formats')); f = d/'train/cat'/f'x{suffix}'; im.save(f, format=fmt)
            named_in_report(d, f.name); refused(lambda: read_image(f), f.name, exc=UnidentifiedImageError); refused(lambda: as_images(f, (3,24,24)), f.name, exc=UnidentifiedImageError)
            refused(lambda: load_cifar100(d), f.name)
        yield f'{fmt} as {suffix}',case

def special(how, f):
    "A file that is no regular one"
    if how=='pipe': os.mkfifo(f)
    elif how=='socket': socket.socket(socket.AF_UNIX).bind(str(f))
    else: f.symlink_to('/dev/zero' if how=='device' else 'nowhere')

@kind('pipes, sockets and devices', 'refused or left out by name')
def specials():
    def folder(how):
        d = pictures(new('s')); special(how, d/'train/cat/x.png'); named_in_report(d, 'x.png'); refused(lambda: load_cifar100(d), 'train/cat/x.png')
    def student(how, name):
        d = new('st'); learn = toy_learner(toy_model(8)); save_student(learn, d); (d/name).unlink(); special(how, d/name); refused(lambda: load_student(d, toy_model(8)), name)
    def stored(how, name):
        d = new('out'); build_store(pictures(new('in')), d, size=16, progress=False); (d/name).unlink(); special(how, d/name); refused(lambda: Store(d)['train'])
    def cifar(how, name, other):
        d = new('c'); (d/other).write_bytes(pickle.dumps({}) if other=='train' else b''); special(how, d/name)
        refused(lambda: load_cifar100(d))
    for how in ('pipe','socket','device','link to nowhere'):
        yield f'{how} among images',lambda how=how: folder(how)
        for n in ('student.safetensors','config.json'): yield f'{how} as {n}',lambda how=how,n=n: student(how, n)
        for n in ('store.json','train-00000.json','train-00000.bin'): yield f'{how} as {n}',lambda how=how,n=n: stored(how, n)
        for n,o in (('train','test'),('test','train'),('cifar100-test.npz','cifar100-train.npz')): yield f'{how} as {n} of CIFAR-100',lambda how=how,n=n,o=o: cifar(how, n, o)
    def open_(f): special('pipe', f); refused(lambda: read_weights(f), f.name); refused(lambda: load_teacher(f, toy_model(8)), f.name)
    for suffix in ('.pth','.pkl','.safetensors'): yield f'pipe as {suffix}',lambda suffix=suffix: open_(new('w')/f'x{suffix}')
    def image(f): special('pipe', f); refused(lambda: read_image(f), f.name); refused(lambda: as_images(f, (3,8,8)), f.name)
    yield 'pipe as a picture',lambda: image(new('p')/'x.png')

def header(fmt, w, h):
    "A small file of a picture of `w` by `h` pixels"
    if fmt=='PNG': f = io.BytesIO(); Image.new('1', (w,h)).save(f, 'PNG'); return f.getvalue()
    if fmt=='GIF': return b'GIF89a'+struct.pack('<HHBBB', w,h,0x80,0,0)+bytes(6)+b','+struct.pack('<HHHHBB', 0,0,w,h,0,2)+b'\2\x44\1\0;'
    if fmt=='BMP': return struct.pack('<2sIHHIIiiHHIIiiII', b'BM', 54,0,0,54, 40,w,h,1,24,0,0,0,0,0,0)
    if fmt=='JPEG': return b'\xff\xd8\xff\xc0'+struct.pack('>HBHHB', 17,8,h,w,3)+bytes([1,34,0,2,17,1,3,17,1])+b'\xff\xd9'
    tags = [(256,4,1,w),(257,4,1,h),(258,3,1,8),(259,3,1,1),(262,3,1,1),(273,4,1,200),(277,3,1,1),(278,4,1,h),(279,4,1,8)]
    return b'II*\0'+struct.pack('<IH', 8, len(tags))+b''.join(struct.pack('<HHII', *o) for o in tags)+bytes(100)

@kind('pictures of extreme size', 'left out by name, from the header')
def extremes():
    for fmt,(w,h) in itertools.product(('PNG','GIF','BMP','JPEG','TIFF'), ((13000,13000), (1,6000), (20000,8), (60000,60000))):
        if (fmt,w)==('PNG',60000): continue                              # to write it takes what is to be shown not to be taken
        def case(fmt=fmt, w=w, h=h):
            d = pictures(new('e')); f = d/'train/cat/x.png'; f.write_bytes(header(fmt, w, h)); named_in_report(d, 'x.png')
            st = build_store(d, new('store'), size=16, max_bad=50, progress=False)
            assert 'train/cat/x.png' in st.report.get('extreme', ()), f'not by its size: {dict(st.report)}'
            refused(lambda: read_image(f), 'x.png'); refused(lambda: as_images(f, (3,24,24)), 'x.png')
        yield f'{fmt} of {w}x{h}',case

@kind('odd names', 'used, or refused by name, and printed on one line')
def names():
    odd = [b'caf\xe9', b'two\nlines', b'\x1b[2Jgone', b'back\rwards', b'tab\tbed', '\u202egnp'.encode(), b'\xff\xfe', '\u2028x'.encode()]
    def image(n):
        d = pictures(new('n')); os.rename(os.fsencode(d/'train/cat/0.png'), os.fsencode(d/'train/cat')+b'/'+n+b'.png')
        (d/'val/cat/1.png').unlink(); shutil.copy(d/'train/cat/1.png', os.fsencode(d/'val/cat')+b'/'+n+b'.txt')
        st = build_store(d, new('store'), size=16, progress=False); assert os.fsdecode(b'train/cat/'+n+b'.png') in Store(st.folder)['train'].names and len(st['train'])==8
        says = str(st.report); assert len(says.splitlines())==1 and says.isprintable(), 'the report cannot be printed'; says.encode()
    def folder(n):
        d = pictures(new('n')); os.rename(os.fsencode(d/'train/cat'), os.fsencode(d/'train')+b'/'+n); os.rename(os.fsencode(d/'val/cat'), os.fsencode(d/'val')+b'/'+n)
        try: build_store(d, new('store'), size=16, progress=False)
        except InputError as e: assert 'to be renamed' in str(e) and all(l.isprintable() for l in str(e).splitlines())
        else: raise AssertionError('it was accepted')
    for n in odd: yield f'image {n!r}',lambda n=n: image(n); yield f'class {n!r}',lambda n=n: folder(n)

@kind('links', 'left out by name; those within the folder are followed')
def links():
    outside = pictures(new('outside'))
    for what,name,to in (('a picture elsewhere','x.png',outside/'train/cat/0.png'), ('a text elsewhere','x.png','/etc/passwd'), ('a folder elsewhere','x',outside/'train'), ('the root of the machine','x','/'),
                         ('nothing','x.png','nowhere'), ('itself','x.png','x.png')):
        def case(name=name, to=to): d = pictures(new('l')); (d/'train/cat'/name).symlink_to(to); named_in_report(d, name); refused(lambda: load_cifar100(d), f'train/cat/{name}')
        yield f'to {what}',case
    for to in ('.','..','../..','../../..','../../train/cat'):
        def case(to=to): d = pictures(new('l')); (d/'train/cat/x').symlink_to(to); v,f,r = scan_images(d); assert len(f['train'])==8 and (r.get('loop') or r.get('outside'))==['train/cat/x']
        yield f'to {to}',case
    def doubling():
        d = pictures(new('l')); (d/'pool/0').mkdir(parents=True)
        for i in range(1, 40): (d/f'pool/{i}').mkdir(); [(d/f'pool/{i}/{k}').symlink_to(f'../{i-1}') for k in 'ab']
        (d/'train/cat/x').symlink_to('../../pool/39'); assert len(scan_images(d)[1]['train'])==8
    yield 'that double 39 times',doubling
    def split(): d = pictures(new('l')); shutil.rmtree(d/'val'); (d/'val').symlink_to(outside/'val'); refused(lambda: scan_images(d), f'{d}/val')
    yield 'a split elsewhere',split
    def within(): d = pictures(new('l')); (d/'train/dog/x.png').symlink_to('../cat/0.png'); (d/'train/elk').symlink_to('cat'); (root/'alias').symlink_to(d); assert len(scan_images(root/'alias')[1]['train'])==13
    yield 'within the folder',within

@kind('a store that names other files', 'refused')
def stores():
    secret = new('secret')/'secret.bin'; secret.write_bytes(b'secret'*500)
    def case(change):
        d = new('out'); build_store(pictures(new('in')), d, size=16, progress=False)
        m = json.loads((d/'store.json').read_text()); c = m['splits']['train'][0]; change(d, m, c); (d/'store.json').write_text(json.dumps(m))
        refused(lambda: Store(d)['train'][0], exc=InputError)
    for n in (str(secret), '/etc/passwd', os.path.relpath(secret, root/'out'), '../../../../etc/passwd', 'train-00000.bin/../../secret/secret.bin', 'val-00000.bin\0', '', '.', None, 3):
        def change(d, m, c, n=n): c.update(file=n); n and isinstance(n, str) and '\0' not in n and os.path.isfile(d/n) and c.update(bytes=os.path.getsize(d/n))
        yield f'{n!r}',lambda change=change: case(change)
    for f in ('train-00000.bin','train-00000.json'):
        def change(d, m, c, f=f): (d/f).unlink(); (d/f).symlink_to(secret); c.update(bytes=os.path.getsize(d/'train-00000.bin'))
        yield f'{f} as a link',lambda change=change: case(change)
    for o in ({}, [], 3, {'version':3}, {'version':3, 'splits':[]}): 
        def broken(o=o): d = new('b'); (d/'store.json').write_text(json.dumps(o)); refused(lambda: Store(d))
        yield f'store.json {o}',broken

@kind("pickles of CIFAR-100", 'refused by name, nothing called')
def cifar():
    head = b'\x80\x02}(U\x0bfine_labels]U\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01'
    def array(kind, shape=b'K\x02\x85', state=b'', data=b'\x89U\x02\xfa\xfb', end=b'tbu.'): return head+shape+b'cnumpy\ndtype\nU'+bytes([len(kind)])+kind+b'K\x00K\x01\x87Rq\x01'+state+data+end
    grow = b'(K\x03U\x01|NNNJ\xff\xff\xff\x7fK\x01K\x00tb'               # each element is said to have 2 GB after all, once the array is there
    bad = dict(code=pickle.dumps(Evil('/nowhere/ran')), system=pickle.dumps({'data':np.array([Evil('/nowhere/ran')])}), objects=array(b'O8'), pointers=array(b'O8', data=b'\x89]q\x02K\x01a'), void=array(b'V1'),
        grown=array(b'V1', end=b'tb0h\x01'+grow+b'u.'), refcounted=array(b'O8', shape=b'K\x02M\x00\x0c\x86', state=b'(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb', data=b'\x89T\x00\xc0\x00\x00'+b'A'*49152), shape=array(b'u1', shape=b'J\xff\xff\xff\x7f\x85'),
        floats=pickle.dumps({'data':np.zeros((2,3072)), 'fine_labels':[0,1]}), table=b'\x80\x02}r\xff\xff\xff\x7f.', load=b'\x80\x02cnumpy\nload\nU\x0b/etc/passwd\x85R.', text=b'hello', empty=b'')
    def case(data, at):
        d = new('p')
        for s in ('train','test'): (d/s).write_bytes(pickle.dumps({'data':np.zeros((2,3072), np.uint8), 'fine_labels':[0,1]}))
        (d/'meta').write_bytes(pickle.dumps({'fine_label_names':['a','b']})); (d/at).write_bytes(data); refused(lambda: str(load_cifar100(d)), at)
    bad['names'] = bad['refcounted'].replace(b'U\x04data', b'U\x10fine_label_names')
    for n,o in bad.items():
        for at in ('train','meta'): yield f'{n} in {at}',lambda o=o,at=at: case(o, at)

@kind('names in tables and configs', 'shown as text')
def tables():
    evils = ['<script>alert(1)</script>', '<img src=x onerror=alert(1)>', '![x](http://evil.example/pixel)', '[x](javascript:alert(1))', 'a`</code><b>', 'x | y | z', 'a\n\n# title\n\n<b>', '</td><td><iframe>', '\\<b>', '&lt;b&gt;']
    def rows(m): return [dict(recipe='digits', teacher='t', student='s', method=o, seed=s, epochs=1, schedule='onecycle', bs=1, lr=1, wd=0, settings='', top1=90+s, best_top1=90, teacher_top1=90, seconds=1, images=1,
                              dtype='float32', holdout=0, commit=m, hardware=m, command=m) for o in (m,'kd') for s in (0,1)]
    def plain(md, quoted=True): md = re.sub('`[^`\n]*`|^    .*$', '', md, flags=re.M) if quoted else md; assert not re.search(r'<(?!/?(details|summary)\b)|!?\[[^\]]*\]\(|^# t', md, re.M), md
    def case(m):
        s = summarise(rows(m)); md = s._repr_markdown_(); plain(md, False); h = s._repr_html_()
        assert not re.search('<(?!/?(table|thead|tbody|tr|th|td|p)\\b)', h) and h.count('<td>')==8, 'HTML'
        assert m in html.unescape(h) or '\n' in m or '\\' in m; assert md.count('|')==24 and len(md.splitlines())==6, 'Markdown table'
        plain(provenance(rows(m))._repr_markdown_())
        cfg = dict(network=m, parameters=3, vocab=['a'], mean=None, std=None, input=[dict(shape=[m], dtype=m)], distillation=dict(loss=m, ce_w=m, kd_w=m, warmup=.1))
        card = model_card('x', cfg, {m: .5}, 'digits', row=rows(m)[0]); plain(card); assert len(card.splitlines())==len(model_card('x', cfg | dict(network='a'), {'a': .5}, 'digits', row=rows('a')[0]).splitlines())
    for m in evils: yield repr(m),lambda m=m: case(m)

@kind('configs of a student', 'refused, before a network is made')
def configs():
    learn = toy_learner(toy_model(8)); good = save_student(learn, new('student')); cfg = json.loads((good/'config.json').read_text())
    many = [str(i) for i in range(200_000)]
    for n,kw in {'wide':dict(arch='cnn60000'), 'wider':dict(arch='cnn'+'9'*12), 'widest':dict(arch='cnn'+'9'*5000), 'large':dict(arch='vit_h_14'), 'larger':dict(arch='regnet_y_128gf'), 'many classes':dict(arch='resnet50', vocab=many),
                 'many more':dict(arch='cnn8', vocab=many), 'the Hub':dict(arch='timm:hf-hub:somebody/network'), 'a number':dict(arch=3), 'a list':dict(arch=['cnn8']), 'no vocabulary':dict(arch='cnn8', vocab={'a':1}), 'files':dict(files=3)}.items():
        def case(kw=kw): d = shutil.copytree(good, new('c')/'d'); (d/'config.json').write_text(json.dumps({**cfg, **kw})); refused(lambda: load_student(d))
        yield n,case

@kind('two builds of one store at once', 'both end well')
def twins():
    def build(src, out, wait):
        encode = store._encode
        def slow(*args): time.sleep(.02); return encode(*args)
        store._encode = slow
        while wait and not any(out.glob('.*.bin')): time.sleep(.002)                 # the first one is in the middle of a file
        assert len(build_store(src, out, size=16, chunk=2, workers=1, progress=False)['train'])==8
    def case():
        src,out,pids = pictures(new('two')),new('two-out'),[]
        for wait in (False,True):
            if not (pid := os.fork()):
                try: build(src, out, wait); os._exit(0)
                except BaseException: os._exit(1)
            pids.append(pid)
        assert not any(os.waitpid(p, 0)[1] for p in pids), 'one died'
        assert Store(out).verify(progress=False)==[]
    for i in range(12): yield f'try {i+1}',case

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0]); p.add_argument('--out', type=Path); p.add_argument('--only', default='')
    a = p.parse_args(); torch.set_num_threads(1); rows,through = [],0
    for what,(how,cases) in kinds.items():
        if a.only not in what: continue
        ends = [(n, alone(f)) for n,f in cases()]; lost = [(n, o) for n,o in ends if o]
        print(f'{what}: {len(ends)-len(lost)} of {len(ends)} {how}', flush=True)
        for n,o in lost: print(f'    {ascii(n)}: {o}', flush=True)
        rows.append(count(what, len(ends), len(ends)-len(lost), how)); through += len(lost)
    if a.out: keep(a.out, rows)
    print(f"{sum(r['tried'] for r in rows)} cases, {through} got through")
    return bool(through) or not rows

if __name__=='__main__':
    try: sys.exit(main())
    finally: shutil.rmtree(root, ignore_errors=True)
