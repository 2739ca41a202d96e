#!/usr/bin/env python
"""Run the notebooks' plain tests with the fastai and fastcore that pip picks today.

    python tools/newest.py                    # all notebooks, in the environment this Python belongs to
    python tools/newest.py 33_run.job.ipynb     # some

nbdev 2 needs fastcore 1, so `nbdev_test` never meets the fastcore 2 that a user has. This runs the same cells without nbdev, each notebook in
its own process, and leaves out the cells that need nbdev itself. It prints `ok` or `FAIL` for each notebook, and exits with 1 when one failed.
"""
import configparser, json, os, re, subprocess, sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
settings = configparser.RawConfigParser(); settings.read(ROOT/'settings.ini')
LEFT_OUT = {*settings['DEFAULT']['tst_flags'].split(), 'eval: false'}

def is_tested(src): return 'make_readme' not in src and not LEFT_OUT & set(re.findall(r'^#\|\s*(.*?)\s*$', src, re.M))

def run_cells(path):
    "Run the tested cells of the notebook `path` in this process"
    from IPython.core.interactiveshell import InteractiveShell
    shell = InteractiveShell.instance()
    for cell in json.loads(path.read_text())['cells']:
        src = ''.join(cell['source'])
        if cell['cell_type'] != 'code' or not is_tested(src): continue
        src = re.sub(r'^from nbdev\S* import show_doc$', 'def show_doc(*args, **kwargs): pass', src, flags=re.M)
        if not shell.run_cell(src, silent=True).success: sys.exit(f'in cell {cell["id"]}')

if sys.argv[1:2] == ['--one']: run_cells(Path(sys.argv[2]).resolve())
else:
    failed = 0
    env = os.environ | dict(PYTHONPATH=str(ROOT), IN_TEST='1', MPLBACKEND='agg')
    for path in [ROOT/'nbs'/o for o in sys.argv[1:]] or sorted((ROOT/'nbs').glob('[0-9]*.ipynb')):
        res = subprocess.run([sys.executable, __file__, '--one', str(path)], cwd=path.parent, env=env, text=True, errors='replace',
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        print('ok   ' if res.returncode == 0 else 'FAIL ', path.name, flush=True)
        if res.returncode: failed += 1; print(res.stdout[-4000:])
    sys.exit(failed > 0)
