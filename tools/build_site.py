#!/usr/bin/env python
"""Build the documentation site into `_docs/` in pure Python, and check every link, anchor and picture in it.

    python tools/build_site.py             # build, then check; exit 1 with a list of what is wrong
    python tools/build_site.py --check     # check the `_docs/` that is there

The published site is made by Quarto (`nbdev_docs`, in .github/workflows/deploy.yaml). Quarto is a program of its own that pip cannot
install, and `nbdev_docs` and `nbdev_proc_nbs` try to install it as root. This script uses the parts of nbdev that need no Quarto
(`proc_nbs`, the same processing of notebooks) and lets smalldocs read the `_quarto.yml`, so that anyone, and every test run, can build
the pages and see that they hold together. After smalldocs it

- names the pages as nbdev's doc links expect (`perception.html`, `models.cifar.html`, not `00_perception.html`),
- makes absolute links to the published site relative, so that the folder works anywhere, also from disk,
- puts KaTeX from npm beside the pages and drops the theme's web fonts: a page loads nothing from another host.

The package must be installed (`pip install -e '.[dev]'`): nbdev finds the targets of doc links through its entry point. Needs npm.
"""
import html, os, posixpath, re, shutil, subprocess, sys, tarfile, tempfile
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(Path(__file__).parent))
from make_readme import need_installed

KATEX = re.compile(r'https://cdn\.jsdelivr\.net/npm/katex@([\d.]+)/dist')

# ---------------------------------------------------------------- building

def build(cfg):
    "From notebooks to `_docs/`; returns what smalldocs warned about"
    from nbdev.quarto import refresh_quarto_yml
    from nbdev.serve import proc_nbs
    from nbdev.doclinks import _nbpath2html
    os.environ['PYTHONPATH'] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get('PYTHONPATH')]))
    os.environ['PYTHONWARNINGS'] = 'ignore'
    refresh_quarto_yml()
    try: proc = proc_nbs(str(cfg.nbs_path), n_workers=min(os.cpu_count(), 8), force=True)
    except Exception as e:
        sys.exit(f'{e}\n\nTo document a symbol nbdev runs the exported cells and every cell that holds an import (whatever its flags), and no other. '
                 'Move the imports of the cell named above to the top of its notebook.')
    exe = Path(sys.executable).with_name('smalldocs')
    res = subprocess.run([exe, 'render', '--quiet', proc], capture_output=True, text=True)
    if res.returncode: sys.exit(f'smalldocs failed:\n{res.stdout}{res.stderr}')
    out = cfg.config_path/cfg.doc_path.name
    shutil.rmtree(out, ignore_errors=True)
    shutil.move(proc/out.name, out)
    nbs = [p.relative_to(proc) for p in proc.rglob('*.ipynb')]
    names = {p.with_suffix('.html').as_posix(): _nbpath2html(p).as_posix() for p in nbs}
    rename_pages(out, names, cfg.doc_host + cfg.doc_baseurl)
    own_katex(out)
    no_web_fonts(out)
    (out/'.nojekyll').touch()
    return [o for o in res.stderr.splitlines() if not re.search('output-file|keep-md|commonmark|html.grid', o)]   # nbdev's options for Quarto

def rename_pages(out, names, base):
    "Give each page the name nbdev links to, and bring links, the search index and the sitemap along"
    if len(set(names.values())) < len(names): sys.exit(f'two notebooks give the same page: {names}')
    for old, new in names.items():
        if old != new: (out/old).rename(out/new)
    ids = {new: Page((out/new).read_text()).ids for new in names.values()}
    def known(path, frag):
        "nbdev also links methods and `exporti` symbols, which no page shows: then the class, or the page, is meant"
        while frag and path in ids and frag not in ids[path]: frag = frag.rpartition('.')[0]
        return frag
    def local(url, page):
        "The link as it is written on `page`: relative, to the page's final name"
        path, hash, frag = url.partition('#')
        if path == base or path.startswith(base + '/'):
            path = path[len(base):].lstrip('/') or 'index.html'
            frag = known(path, frag)
            hash = '#' if frag else ''
            path = posixpath.relpath(path, posixpath.dirname(page) or '.')
        if re.match(r'\w+:|//', path): return url
        full = posixpath.normpath(posixpath.join(posixpath.dirname(page), path))
        if full in names: path = posixpath.relpath(names[full], posixpath.dirname(page) or '.')
        return path + hash + frag
    for f in out.rglob('*.html'):
        page = f.relative_to(out).as_posix()
        s = re.sub(r'\b(href|src)="([^"]*)"', lambda m: f'{m[1]}="{local(m[2], page)}"', f.read_text())
        f.write_text(s)
    for old, new in names.items():
        for f in (out/'search.json', out/'sitemap.xml'):
            if f.exists(): f.write_text(re.sub(rf'(?<=["/]){re.escape(old)}(?=["#<])', new, f.read_text()))

def own_katex(out):
    "Put the KaTeX that smalldocs asks a CDN for beside the pages: its scripts, its style sheet and its fonts, from npm"
    pages = {f: f.read_text() for f in out.rglob('*.html')}
    versions = {v for s in pages.values() for v in KATEX.findall(s)}
    for v in versions:
        with tempfile.TemporaryDirectory() as tmp:
            subprocess.run(['npm', 'pack', f'katex@{v}', '--silent', '--pack-destination', tmp], check=True, stdout=subprocess.DEVNULL)
            with tarfile.open(next(Path(tmp).glob('*.tgz'))) as t: t.extractall(tmp, filter='data')
            src, dst = Path(tmp)/'package', out/'site_libs/katex'
            shutil.copytree(src/'dist/fonts', dst/'fonts', dirs_exist_ok=True)
            (dst/'contrib').mkdir(exist_ok=True)
            for o in ('katex.min.css', 'katex.min.js', 'contrib/auto-render.min.js'): shutil.copy(src/'dist'/o, dst/o)
            shutil.copy(src/'LICENSE', dst/'LICENSE')
    for f,s in pages.items():
        up = posixpath.relpath('site_libs/katex', f.parent.relative_to(out).as_posix())
        f.write_text(KATEX.sub(up, s))

def no_web_fonts(out):
    "Bootswatch themes import their font from Google; styles.css names fonts every system has"
    for f in (out/'site_libs').rglob('*.css'):
        s = f.read_text()
        if '@import url(http' in s: f.write_text(re.sub(r'@import url\(https?:[^)]*\);?', '', s))

# ---------------------------------------------------------------- checking

VERBATIM = 'code', 'pre', 'script', 'style', 'textarea'   # what stands here is not prose

class Page(HTMLParser):
    "What a page offers (ids), what it asks for (links, and things the browser loads by itself), and text that should have become a link"
    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.loads, self.pics, self.h1, self.raw, self.inside = set(), [], [], [], False, [], 0
        self.feed(text)
    def handle_endtag(self, tag): self.inside -= tag in VERBATIM
    def handle_data(self, data):
        if not self.inside: self.raw += re.findall(r'\S*\]\([^)\s]+\)', data)
    def handle_starttag(self, tag, attrs):
        self.inside += tag in VERBATIM
        a = dict(attrs)
        self.ids |= {a[k] for k in ('id','name') if a.get(k)}
        self.h1 |= tag == 'h1'
        if tag == 'a' and a.get('href') is not None: self.links.append(a['href'])
        elif tag == 'link' and a.get('href'): self.loads.append(a['href'])
        elif a.get('src') is not None: (self.pics if tag == 'img' else self.loads).append(a['src'])

def check(cfg):
    "Everything wrong with the site, one line each"
    out, bad = cfg.config_path/cfg.doc_path.name, []
    pages = {f.relative_to(out).as_posix(): Page(f.read_text()) for f in sorted(out.rglob('*.html'))}
    if not pages: return [f'no pages in {out}']
    gh = f"{cfg.git_url}/blob/{cfg.branch}/"
    for name, p in pages.items():
        if not p.h1: bad.append(f'{name}: no title')
        for url in p.links:
            if url.startswith(gh): bad += source_link(name, url[len(gh):])
            elif url.startswith(cfg.doc_host + cfg.doc_baseurl): bad.append(f'{name}: {url} leaves this copy of the site')
            elif not re.match(r'\w+:|//', url): bad += local_link(out, pages, name, url)
        for url in p.loads + p.pics:
            if url.startswith('data:'): continue
            if re.match(r'\w+:|//', url): bad.append(f'{name}: loads {url} from another host')
            else: bad += local_link(out, pages, name, url)
        bad += [f'{name}: prints {o} instead of a link' for o in p.raw]
        if any(not o for o in p.pics): bad.append(f'{name}: a picture without a source')
    for f in [*out.rglob('*.css'), *out.rglob('*.html')]:
        text = f.read_text()
        if f.suffix == '.html': text = '\n'.join(re.findall(r'<style[^>]*>(.*?)</style>', text, re.S) + re.findall(r'''import[^<;]*['"](https?:[^'"]*)''', text))
        for url in re.findall(r'url\(\s*["\']?([^"\')]+)|^(https?:\S+)', text, re.M):
            url = html.unescape(''.join(url)).split('?')[0].split('#')[0]
            where = f.relative_to(out).as_posix()
            if re.match(r'https?:|//', url): bad.append(f'{where}: loads {url} from another host')
            elif url and not url.startswith('data:') and not (f.parent/unquote(url)).is_file(): bad.append(f'{where}: {url} is missing')
    return bad + not_in_sidebar(cfg)

def local_link(out, pages, name, url):
    "What is wrong with a link from the page `name` to a file or an anchor of the site"
    path, _, frag = url.partition('#')
    full = posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(path.split('?')[0]))) if path else name
    if full.endswith('/') or (out/full).is_dir(): full = posixpath.join(full, 'index.html')
    if not (out/full).is_file(): return [f'{name}: {url} leads nowhere']
    if frag and full in pages and unquote(frag) not in pages[full].ids: return [f'{name}: {url} has no such anchor']
    return []

def source_link(name, rest):
    "A `source` link names a file of the repository and a line in it"
    path, _, line = rest.partition('#L')
    f = ROOT/path
    if not f.exists(): return [f'{name}: source link to {path}, which is not in the repository']
    if line and not (line.isdigit() and int(line) <= len(f.read_text().splitlines())): return [f'{name}: source link to line {line} of {path}']
    return []

def not_in_sidebar(cfg):
    "The sidebar is written by hand: every notebook must be in it, once, and nothing else"
    listed = re.findall(r'^[^#]*?(\S+\.ipynb)\s*$', (cfg.nbs_path/'sidebar.yml').read_text(), re.M)
    there = {p.relative_to(cfg.nbs_path).as_posix() for p in cfg.nbs_path.rglob('*.ipynb') if not re.search(r'(^|/)[._]', p.relative_to(cfg.nbs_path).as_posix())}
    return ([f'sidebar.yml: {o} is missing from it' for o in sorted(there - set(listed))] +
            [f'sidebar.yml: {o} does not exist' for o in listed if o not in there] +
            [f'sidebar.yml: {o} stands in it twice' for o in sorted({o for o in listed if listed.count(o) > 1})])

def main(args):
    if set(args) - {'--check'}: sys.exit(__doc__)
    os.chdir(ROOT)
    from nbdev.config import get_config
    cfg = get_config(path=ROOT)
    if not args:
        need_installed(cfg.lib_name)
        for w in build(cfg): print(w)
    bad = check(cfg)
    out = cfg.config_path/cfg.doc_path.name
    if bad: print('\n'.join(bad)); sys.exit(f'{len(bad)} things are wrong with {out.name}')
    print(f'{len(list(out.rglob("*.html")))} pages in {out.name}: every link, anchor and picture is there')

if __name__ == '__main__': main(sys.argv[1:])
