#!/usr/bin/env python
"""Write README.md from the index notebook, or check that it is up to date.

    python tools/make_readme.py            # write README.md and README_files/
    python tools/make_readme.py --check    # compare byte for byte; exit 1 with a diff when they differ

README.md is nbconvert's Markdown of `nbs/index.ipynb` after nbdev has processed it (hidden cells gone, doc links in). `nbdev_readme`
does the same with Quarto; this needs none, and gives the same bytes on every machine. What is added to nbconvert's text: nbdev's front
matter becomes the title and the sentence under it, links to pages of the site become links to the notebooks behind them, so that they work
in any checkout, links to files under `nbs/` get their path in the repository, an output is taken as Markdown where it has that, pandas'
tables are written as Markdown, and a picture's text is its cell's `#| fig-alt`. It runs no code of the notebook.

The package must be installed (`pip install -e '.[dev]'`): nbdev finds the targets of doc links through its entry point.
"""
import difflib, html, importlib.metadata, json, os, re, sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAME = 'README'

def need_installed(lib):
    "nbdev links only symbols of installed packages; without them the text would silently differ"
    eps = {e.name for e in importlib.metadata.entry_points(group='nbdev')}
    if lib not in eps: sys.exit(f"{lib} is not installed in this environment, so no doc link can be made: pip install -e '.[dev]'")

def processed_index(cfg):
    "The index notebook as nbdev's site processing leaves it, with its front matter apart"
    from execnb.nbio import read_nb
    from nbdev.processors import FilterDefaults
    os.environ['IN_TEST'] = '1'    # as nbdev does while it processes: no export from here
    nb = read_nb(cfg.nbs_path/cfg.readme_nb)
    FilterDefaults()(nb)
    front = getattr(nb, 'frontmatter_', {})
    cells = [c for c in nb.cells if c.cell_type != 'raw']
    return front, cells

def apply_options(cell):
    "Carry out the `#|` options that say what to show, and drop their lines; returns the cell's `fig-alt`, or None to leave the cell out"
    opts = dict(re.findall(r'^#\|\s*([\w-]+):\s*(.*?)\s*$', cell.source, re.M))
    cell.source = re.sub(r'^#\|.*\n?', '', cell.source, flags=re.M).strip('\n')
    if opts.get('include') == 'false': return None
    if opts.get('echo') == 'false': cell.metadata['transient'] = {'remove_source': True}
    if opts.get('output') == 'false': cell.outputs = []
    return opts.get('fig-alt', '').strip('"\'')

def table(m):
    "A table of pandas as Markdown"
    rows = [[html.unescape(re.sub(r'<[^>]+>', '', c).strip()) for c in re.findall(r'<t[hd][^>]*>(.*?)</t[hd]>', r, re.S)] for r in re.findall(r'<tr.*?>(.*?)</tr>', m[0], re.S)]
    rows.insert(1, ['---'] + ['--:']*(len(rows[0])-1))
    return '\n'.join(f"| {' | '.join(r)} |" for r in rows) + '\n\n'

def as_markdown(data):
    "The representations of one output, with Markdown in the place of HTML"
    if 'text/markdown' in data: return {k:v for k,v in data.items() if k != 'text/html'}
    text = ''.join(data.get('text/html', ''))
    if '<table' not in text: return data
    text = re.sub(r'</?div[^>]*>|<style.*?</style>|</?p>', '', text, flags=re.S)
    return {**{k:v for k,v in data.items() if k != 'text/html'}, 'text/markdown': re.sub(r'<table.*?</table>', table, text, flags=re.S).strip()}

def blank_lines(s):
    "At most one empty line at a time, with nothing on it: nbconvert leaves many"
    return re.sub(r'\n{3,}', '\n\n', re.sub(r'^[ \t]+$', '', s, flags=re.M))

def fix_links(md, cfg, root=ROOT):
    "Point links to pages, notebooks and files at the repository; code is left alone"
    from nbdev.doclinks import _nbpath2html
    base, nbs = cfg.doc_host + cfg.doc_baseurl, cfg.nbs_path
    source = {_nbpath2html(p.relative_to(nbs)).as_posix(): p for p in nbs.rglob('*.ipynb')} | {'changelog.qmd': root/'CHANGELOG.md'}
    def one(m):
        pre, target, frag = m.groups()
        name = target.removeprefix(f'{base}/')
        file = source.get(name, nbs/name)
        if not file.exists(): return m[0]
        return pre + os.path.relpath(file, root) + (frag or '')*(file.suffix == '.md')       # a notebook's headings have no anchors there
    pat = re.compile(rf'(\]\(|\b(?:src|href)=")(?!#|README_files/|(?!{re.escape(base)}/)(?:\w+:|//))([^)"\s#]+)(#[^)"\s]*)?')
    parts = re.split(r'(^```.*?^```[ ]*$|`[^`\n]+`)', md, flags=re.M|re.S)
    return ''.join(p if i%2 else blank_lines(pat.sub(one, p)) for i,p in enumerate(parts))

def render():
    "The README's files: {path relative to the root: bytes}"
    import nbformat
    from nbconvert import MarkdownExporter
    from nbdev.config import get_config
    cfg = get_config(path=ROOT)
    need_installed(cfg.lib_name)
    front, cells = processed_index(cfg)
    kept, alts = [], []
    for c in cells:
        alt = apply_options(c) if c.cell_type == 'code' else ''
        for o in c.get('outputs', []):
            if 'data' in o: o['data'] = as_markdown(o['data'])
        if alt is not None: kept.append(c); alts.append(alt)
    keys = 'cell_type metadata source outputs execution_count'.split()
    plain = dict(nbformat=4, nbformat_minor=4, metadata={'language_info': {'name': 'python'}}, cells=[{k:c[k] for k in keys if k in c} for c in kept])
    nb = nbformat.reads(json.dumps(plain), as_version=4)
    body, res = MarkdownExporter().from_notebook_node(nb, resources=dict(unique_key=NAME, output_files_dir=f'{NAME}_files'))
    def alt(m): return f'![{alts[int(m[2])] or "figure"}]({m[1]}'
    body = re.sub(rf'!\[\w+\]\(({NAME}_files/{NAME}_(\d+)_)', alt, body)
    head = f"# {front.get('title', cfg.title)}\n\n" + (f"> {front['description']}\n\n" if front.get('description') else '')
    body = fix_links(head + body, cfg).strip() + '\n'
    return {f'{NAME}.md': body.encode(), **{k: bytes(v) for k,v in res['outputs'].items()}}

def on_disk():
    "The same files as they are in the tree, strays in README_files/ included"
    fs = [ROOT/f'{NAME}.md', *sorted((ROOT/f'{NAME}_files').glob('*'))]
    return {f.relative_to(ROOT).as_posix(): f.read_bytes() for f in fs if f.is_file()}

def differences(want, have):
    "What a reader needs to see: a diff of the text, one line for each picture"
    out = []
    for k in sorted(want.keys() | have.keys()):
        a, b = have.get(k), want.get(k)
        if a == b: continue
        if k.endswith('.md') and a is not None and b is not None:
            lines = [o.decode(errors='replace').splitlines() for o in (a, b)]
            out += difflib.unified_diff(*lines, f'{k} (in the tree)', f'{k} (from the index)', lineterm='')
        else: out.append(f"{k}: {'missing in the tree' if a is None else 'not in the index any more' if b is None else 'differs'}")
    return out

def main(args):
    if set(args) - {'--check'}: sys.exit(__doc__)
    want, have = render(), on_disk()
    diff = differences(want, have)
    if args:
        if want != have: print('\n'.join(diff)); sys.exit(f'{NAME}.md is not what nbs/index.ipynb gives: run `python tools/make_readme.py`')
        return print(f'{NAME}.md is up to date')
    for k in have.keys() - want.keys(): (ROOT/k).unlink()
    for k,v in want.items():
        (ROOT/k).parent.mkdir(exist_ok=True)
        if have.get(k) != v: (ROOT/k).write_bytes(v)
    print(f"wrote {', '.join(sorted(want))}" if diff else f'{NAME}.md was up to date')

if __name__ == '__main__': main(sys.argv[1:])
