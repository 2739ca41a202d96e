#!/usr/bin/env python
"""A folder of pictures becomes a student that ships, and the student works where this package is not.

    python tools/ship.py make DIR       # pictures, and weights of a teacher and a student, for `luminet_distill folder`
    python tools/ship.py with DIR       # what `luminet_fa.predict` says of a photograph, into DIR/said.json
    python tools/ship.py without DIR    # fastai's learner and the program of the model card, where luminet_fa cannot be imported, say the same

.ci/run types the command between the first two, and takes the package away before the third.
"""
import json, os, sys, warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path = [p for p in sys.path if Path(p or '.').resolve() not in (HERE, HERE.parent)]   # what is installed, not the source tree
warnings.filterwarnings('ignore')
what, root = sys.argv[1], Path(sys.argv[2]).resolve()
photo, student, said = root/'photos/test/red/000.png', root/'runs/photos-student', root/'said.json'

if what == 'make':
    import torch
    from luminet_fa.models.all import make_model
    from luminet_fa.test_utils import toy_photos
    toy_photos(root/'photos', dict(train=16, val=4, test=4))
    for name, seed in (('large.pth', 0), ('small.pth', 1)):             # of seven other classes: both are fine-tuned
        torch.manual_seed(seed); torch.save(make_model('timm:test_resnet', 7).state_dict(), root/name)
elif what == 'with':
    from luminet_fa.predict import predict
    name, _, p = predict(student, photo)
    said.write_text(json.dumps([name, p.tolist()]))
else:
    try: import luminet_fa; sys.exit(f'{luminet_fa.__file__} can be imported')
    except ModuleNotFoundError: pass
    import numpy as np
    from fastai.learner import load_learner
    name, p = json.loads(said.read_text())
    learn = load_learner(student/'export.pkl')
    with learn.no_bar(): here, _, q = learn.predict(photo)
    code = (student/'README.md').read_text().split('```python\n')[1].split('```')[0].replace('photo.jpg', str(photo))
    os.chdir(student); ns = {}; exec(code, ns)
    off = abs(q.numpy()-p).max(), abs(ns['p']-p).max()
    assert (here, ns['cfg']['vocab'][int(np.argmax(ns['p']))]) == (name, name) and max(off) < 1e-4, (off, p, q, ns['p'])
    assert not [m for m in sys.modules if m.startswith('luminet_fa')]
    print(f'{name}: fastai off by {off[0]:.0e}, ONNX by {off[1]:.0e}')
