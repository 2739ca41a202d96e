#!/usr/bin/env python
"""Look for what a green `nbdev_test` does not show, in every notebook under `nbs/`.

    python tools/check_notebooks.py          # exit 1 with a list of what is wrong
    python tools/check_notebooks.py --fix    # first mend what can be mended, as below; then export again

- a saved output of type error: the reader sees a traceback;
- noise in a saved output: progress bars, warnings, paths of the machine on which the cell ran;
- text in the title cell beside the title and its `>` sentence: nbdev turns that cell into front matter and drops the rest
  (`--fix` gives it a cell of its own);
- an import in a cell that is neither exported nor the hidden import cell at the top: to document symbols nbdev runs the exported cells and
  every cell that holds an import, whatever its flags, without the cells before it that it needs (`--fix` moves it to the import cell);
- a linked name in backticks in a docment: nbdev writes the link's Markdown into the signature it shows (`--fix` takes the backticks away);
- a linked name in backticks in the text of a link: nbdev puts a link into the link, and the outer one prints as raw text;
- a name in a cell that the reader sees, which only hidden cells define: what is shown must run as it stands;
- in the guides and on the home page, a line of visible code of more than 96 characters: the page would cut or wrap it;
- `pip install luminet_fa`: the package is on no index, so from a clone it is `pip install .`;
- `skip_exec`: nbdev reports such a notebook as passed without running it.
"""
import ast, builtins, importlib, json, os, re, sys, warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from make_readme import need_installed

NBS = Path(__file__).resolve().parent.parent/'nbs'

def src(cell): return ''.join(cell['source'])

def split_title(s):
    "A title cell as nbdev reads it, and the lines it would lose"
    keep, lost = [], []
    for l in s.splitlines():
        head = not lost and (not l.strip() or re.match(r'#\s|>\s|-\s+[\w-]+:', l))
        (keep if head else lost).append(l)
    return '\n'.join(keep).strip(), '\n'.join(lost).strip('\n')

def title_cell(nb): return next((i for i,c in enumerate(nb['cells']) if c['cell_type'] == 'markdown' and re.search(r'^#\s+\S', src(c), re.M)), None)

def is_code(cell, *flags): return cell['cell_type'] == 'code' and (not flags or re.search(rf"^#\|\s*({'|'.join(flags)})\b", src(cell), re.M))

def is_seen(cell):
    "Does a reader see the code of `cell`?"
    return is_code(cell) and not is_code(cell, 'hide', 'echo: *false')

NOISE = {'a progress bar': r'<progress|progress-bar|█', 'a warning': r'\b[A-Z]\w*Warning\b',
         'a path of this machine': r'(?<![\w.:/~<])/(?:root|home|tmp|work|Users|private|var|opt|usr|mnt|media|srv|data)/[\w.\-]+|\b[A-Z]:\\\w'}

def noise(cell):
    "What a saved output shows that says nothing to a reader"
    for o in cell.get('outputs', []):
        texts = [o.get('text', ''), *(v for k,v in o.get('data', {}).items() if k.startswith('text/'))]
        text = '\n'.join(''.join(t) for t in texts)
        if o.get('name') == 'stderr': yield 'text on stderr', text.strip()[:60]
        for what,pat in NOISE.items():
            if m := re.search(pat, text): yield what, text[max(m.start()-20, 0):m.end()+40].strip()

def parse(s):
    try: return ast.parse(re.sub(r'^\s*[%!].*$', 'pass', s, flags=re.M)).body
    except SyntaxError: return []

def is_import(o): return isinstance(o, (ast.Import, ast.ImportFrom))

def import_cell(nb):
    "The hidden cell at the top with the imports of the tests"
    return next((c for c in nb['cells'] if is_code(c, 'hide', 'code-fold') and any(map(is_import, parse(src(c))))), None)

def stray_imports(nb):
    "Cells nbdev would run for an import they hold"
    if not any(is_code(c, 'export', 'exports') for c in nb['cells']): return
    for i,c in enumerate(nb['cells']):
        if not is_code(c) or is_code(c, 'export', 'exports', 'exporti', 'eval:') or c is import_cell(nb): continue
        body = parse(src(c))
        if any(is_import(n) for o in body for n in ast.walk(o)) and not all(map(is_import, body)): yield i,c,body

def linked_comments(nb, lookup):
    "Comments of exported cells in which nbdev would put a link"
    for i,c in enumerate(nb['cells']):
        if not is_code(c, 'export', 'exports'): continue
        for n,l in enumerate(src(c).splitlines()):
            comment = l.partition('#')[2]
            if not l.startswith('#|') and any(lookup(m) for m in re.findall(r'`([^`\s]+?)(?:\(\))?`', comment)): yield i,n,l

def double_links(s, lookup):
    "Links of a Markdown cell in whose text nbdev would put another one"
    return [m[0] for m in re.finditer(r'(?<!!)\[([^\[\]]*)\]\([^)\s]+\)', s) if any(lookup(o) for o in re.findall(r'`([^`\s]+?)(?:\(\))?`', m[1]))]

def names_of(module):
    "What `from module import *` brings"
    with warnings.catch_warnings(): warnings.simplefilter('ignore'); o = importlib.import_module(module)
    return getattr(o, '__all__', [n for n in dir(o) if n[0] != '_'])

def binds(nodes):
    "Names that the code in `nodes` makes known, wherever in it"
    for n in nodes:
        if isinstance(n, ast.Import): yield from ((a.asname or a.name).split('.')[0] for a in n.names)
        elif isinstance(n, ast.ImportFrom):
            for a in n.names: yield from names_of(n.module) if a.name == '*' else [a.asname or a.name]
        elif isinstance(n, (ast.FunctionDef, ast.ClassDef, ast.ExceptHandler)): yield n.name
        elif isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store): yield n.id
        elif isinstance(n, ast.arg): yield n.arg

def unknown_names(nb):
    "Names in visible cells that neither a visible cell before them nor an exported one defines"
    def nodes_of(c): return [n for o in parse(src(c)) for n in ast.walk(o)]
    flags = 'export', 'exporti', 'exports'
    known = {*dir(builtins), 'display', 'get_ipython', '__file__', *(n for c in nb['cells'] if is_code(c, *flags) for n in binds(nodes_of(c)))}
    for i,c in enumerate(nb['cells']):
        if not is_seen(c) or is_code(c, *flags): continue
        nodes = nodes_of(c)
        known.update(binds(nodes))
        yield from ((i, n) for n in sorted({n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}-known))

GUIDE,WIDTH = r'\d\d_tutorial|index',96      # names of the notebooks that are read from top to bottom; characters that fit into a page's column

def long_lines(nb):
    "Lines of code that a reader sees, in cells and in fences of text, and that do not fit into the column"
    for i,c in enumerate(nb['cells']):
        if is_code(c): seen = [src(c)]*is_seen(c)
        else: seen = re.findall(r'^```.*?^```', src(c), re.M|re.S)
        yield from ((i, l) for s in seen for l in s.splitlines() if len(l)>WIDTH and not l.startswith('#|'))

def problems(nb, lookup, name=''):
    "What is wrong with one notebook, as short lines"
    out = []
    if re.match(GUIDE, name): out += [f'cell {i}: {len(l)} characters, more than {WIDTH}: {l[:60]}...' for i,l in long_lines(nb)]
    for i,c in enumerate(nb['cells']):
        if any(o.get('output_type') == 'error' for o in c.get('outputs', [])): out.append(f'cell {i}: a saved error')
        out += [f'cell {i} ({c.get("id")}): its output shows {what}: {text!r}' for what,text in dict(noise(c)).items()]
        if c['cell_type'] == 'markdown': out += [f'cell {i}: a link inside a link: {o}' for o in double_links(src(c), lookup)]
        if m := re.search(r'pip install (?:-\S+ )*[\'"]?luminet_fa\b.{0,20}', src(c)): out.append(f'cell {i} ({c.get("id")}): {m[0]}: the package is on no index')
    t = title_cell(nb)
    if t is None: out.append('no title')
    elif split_title(src(nb['cells'][t]))[1]: out.append(f'cell {t}: nbdev drops the text under the title; --fix gives it a cell of its own')
    out += [f'cell {i}: an import below the top; nbdev runs this cell, alone, to document the notebook' for i,*_ in stray_imports(nb)]
    out += [f'cell {i}: nbdev turns the backticks into a link inside the signature: {l.strip()}' for i,_,l in linked_comments(nb, lookup)]
    out += [f'cell {i}: the reader sees the name {n}, and only a hidden cell defines it' for i,n in unknown_names(nb)]
    if any('skip_exec' in src(c) for c in nb['cells'] if c['cell_type'] != 'code'): out.append('skip_exec: nbdev would pass it without running it')
    return out

def fix_title(nb):
    t = title_cell(nb)
    keep, lost = split_title(src(nb['cells'][t])) if t is not None else ('', '')
    if not lost: return
    cell = nb['cells'][t]
    new = {**cell, 'source': lost.splitlines(keepends=True)}
    if 'id' in cell: new['id'] = cell['id'][:6] + '01'
    cell['source'] = keep.splitlines(keepends=True)
    nb['cells'].insert(t+1, new)

def fix_imports(nb):
    "Move top-level imports to the import cell; one inside a function is left for its author"
    top = import_cell(nb)
    if top is None: return
    for i,c,body in list(stray_imports(nb)):
        lines, moved = src(c).splitlines(), []
        for o in reversed([o for o in body if is_import(o)]):
            here = lines[o.lineno-1:o.end_lineno]
            if here[-1].rstrip().endswith(ast.unparse(o)) and here[0].startswith(('import', 'from')):   # nothing else on the line
                moved[:0] = here
                del lines[o.lineno-1:o.end_lineno]
        have = src(top).splitlines()
        last = max(o.end_lineno for o in parse(src(top)) if is_import(o))
        have[last:last] = [o for o in moved if o not in have]
        c['source'], top['source'] = ('\n'.join(o).splitlines(keepends=True) for o in (lines, have))

def fix_comments(nb, lookup):
    for i,n,l in list(linked_comments(nb, lookup)):
        lines = src(nb['cells'][i]).splitlines()
        code, hash, comment = lines[n].partition('#')
        lines[n] = code + hash + re.sub(r'`([^`\s]+?)(\(\))?`', lambda m: m[1] + (m[2] or '') if lookup(m[1]) else m[0], comment)
        nb['cells'][i]['source'] = '\n'.join(lines).splitlines(keepends=True)

def main(args):
    if set(args) - {'--fix'}: sys.exit(__doc__)
    os.chdir(NBS)
    from nbdev.config import get_config
    from nbdev.doclinks import NbdevLookup
    need_installed(get_config().lib_name)
    lookup = NbdevLookup().doc
    files = sorted(p for p in NBS.rglob('*.ipynb') if not re.search(r'/[._]', p.relative_to(NBS.parent).as_posix()))
    bad = []
    for f in files:
        nb = json.loads(f.read_text())
        if args:
            fix_title(nb); fix_imports(nb); fix_comments(nb, lookup)
            if nb != json.loads(f.read_text()):
                f.write_text(json.dumps(nb, indent=1, ensure_ascii=False, sort_keys=True) + '\n')
                print(f'mended {f.name}')
        bad += [f'{f.relative_to(NBS.parent)}: {o}' for o in problems(nb, lookup, f.name)]
    if bad: print('\n'.join(bad)); sys.exit(1)
    print(f'{len(files)} notebooks: no saved error or noise, titles, imports and links in order')

if __name__ == '__main__': main(sys.argv[1:])
