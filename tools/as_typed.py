"""Type what a reader of the guides sees, page by page, in a new process and an empty folder of a clone.

    python tools/as_typed.py              # all guides, without their slow cells: about four minutes on two cores
    python tools/as_typed.py --slow       # with them: about half an hour
    python tools/as_typed.py 50 62        # some of them, by the beginning of their names
    python tools/as_typed.py --selftest   # a page whose visible cell needs a hidden one is noticed

A reader sees neither cells with `#| hide` or `#| echo: false` nor what they define or import. `nbdev_test` runs them all, so it cannot tell.
Prints a line for each page; exit status 1 where one did not run."""
import argparse, json, os, subprocess, sys, tempfile

from check_notebooks import NBS, is_code, is_seen, src


def seen(nb, slow):
    "Sources of the code cells that a reader sees, of the slow ones if `slow`"
    left_out = 'eval: *false', 'export', 'cuda', *['slow']*(not slow)
    return [src(c) for c in nb['cells'] if is_seen(c) and not is_code(c, *left_out)]


def typed(cells):
    "Run `cells` one after the other; the traceback of the first that fails, else nothing"
    program = '''import json, sys, matplotlib; matplotlib.use('agg')
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for s in json.load(sys.stdin):
    if not shell.run_cell(s).success: print('in the cell:', s, sep='\\n'); sys.exit(1)'''
    with tempfile.TemporaryDirectory(dir=NBS.parent, prefix='typed-') as d:            # some pages read the clone's tables
        env = os.environ | dict(OMP_NUM_THREADS=os.environ.get('OMP_NUM_THREADS', '1'))
        r = subprocess.run([sys.executable, '-c', program], input=json.dumps(cells), cwd=d, env=env, capture_output=True, text=True)
    return (r.stdout+r.stderr)[-3000:] if r.returncode else ''


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('names', nargs='*'); p.add_argument('--slow', action='store_true'); p.add_argument('--selftest', action='store_true')
    a = p.parse_args()
    if a.selftest:
        def page(hidden): return dict(cells=[dict(cell_type='code', source=s) for s in ([hidden+'x = 1'], ['assert x == 1'])])
        right = typed(seen(page(''), False)) == '' and 'NameError' in typed(seen(page('#| hide\n'), False))
        return print('a missing name is noticed' if right else 'FAIL  a missing name is not noticed') or sys.exit(not right)
    pages, bad = [f for f in sorted(NBS.glob('[56]*.ipynb')) if not a.names or f.name.startswith(tuple(a.names))], 0
    for f in pages:
        why = typed(seen(json.loads(f.read_text()), a.slow))
        bad += bool(why)
        print(f'{"FAIL " if why else "ok   "} {f.name}', why, sep='\n' if why else '', flush=True)
    sys.exit(bad > 0 or not pages)


if __name__ == '__main__': main()
