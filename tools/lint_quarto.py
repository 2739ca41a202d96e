#!/usr/bin/env python
"""Compare the site's configuration and its pages with Quarto's schema, without Quarto.

    python tools/build_site.py             # writes the pages as Quarto gets them, into `_proc/`
    python tools/lint_quarto.py            # exit 1 with a list of what the schema does not allow
    python tools/lint_quarto.py --selftest # wrong values are planted, and each must be found

The schema is Quarto's own; panache (`pip install panache-cli pyyaml`) carries it and reads Markdown, so what it is given here is

- `_quarto.yml` with its metadata files merged into it, as Quarto merges them,
- the options of `format: html` once more as the head of a page, the place where panache looks at them,
- every page of `_proc/` as Markdown: its head, and the options `#| ...` of its cells.

It judges values, by their type and from lists of words. A key that the schema does not know passes: Quarto itself leaves most places open
to keys of extensions.
"""
import copy, json, re, subprocess, sys, tempfile
from pathlib import Path
import yaml

ROOT = Path(__file__).resolve().parent.parent

def merge(into, new):
    "`new` merged into `into` as Quarto does it: maps key by key, lists one after the other"
    for k,v in new.items():
        if isinstance(v, dict) and isinstance(into.get(k), dict): merge(into[k], v)
        elif isinstance(v, list) and isinstance(into.get(k), list): into[k] += v
        else: into[k] = v

def config():
    nbs = ROOT/'nbs'
    cfg = yaml.safe_load((nbs/'_quarto.yml').read_text())
    for name in cfg['metadata-files']: merge(cfg, yaml.safe_load((nbs/name).read_text()))
    return cfg

def markdown(nb):
    "The processed notebook `nb` as Quarto's Markdown"
    cells = [(c['cell_type'], ''.join(c['source'])) for c in json.loads(nb.read_text())['cells']]
    return '\n\n'.join(f'```{{python}}\n{src}\n```' if kind == 'code' else src for kind,src in cells) + '\n'

def head(options): return f'---\n{yaml.safe_dump(options, sort_keys=False)}---\n\ntext\n'

def lint(cfg, pages):
    "What Quarto's schema does not allow in the configuration `cfg` and in `pages` (name -> Markdown), a line each"
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        (tmp/'_quarto.yml').write_text(yaml.safe_dump(cfg, sort_keys=False))
        for name,text in {'format-html': head(cfg['format']['html']), **pages}.items(): (tmp/f'{name}.qmd').write_text(text)
        exe = Path(sys.executable).with_name('panache')
        res = subprocess.run([exe, 'lint', '--message-format', 'short', '--flavor', 'quarto', '_quarto.yml', '.'],
                             cwd=tmp, capture_output=True, text=True)
        if res.returncode not in (0, 1): sys.exit(f'panache failed:\n{res.stdout}{res.stderr}')
        return [o.replace(f'{tmp}/', '') for o in res.stdout.splitlines() if re.search(r'\[(quarto-schema|yaml)-', o)]

def selftest():
    "Wrong values, one at a time: each must be found"
    def at(*path):
        def plant(cfg, value):
            for k in path[:-1]: cfg = cfg[k]
            cfg[path[-1]] = value
        return plant
    plants = [(at('website', 'repo-actions'), ['issues']), (at('website', 'page-navigation'), 'yes please'),
              (at('website', 'sidebar', 'style'), 'dockd'), (at('website', 'sidebar', 'collapse-level'), 'one'),
              (at('website', 'navbar', 'search'), 'up'), (at('format', 'html', 'toc-depth'), 'two'),
              (at('format', 'html', 'code-copy'), 'sometimes'), (at('format', 'html', 'grid', 'body-width'), [3])]
    missed = []
    for plant,value in plants:
        cfg = copy.deepcopy(config())
        plant(cfg, value)
        if not lint(cfg, {}): missed.append(f'in the configuration: {value!r}')
    for text in ('---\ntoc: 3\n---\n', '```{python}\n#| echo: 7\n1\n```\n', '---\ntitle: [\n---\n'):
        if not lint(config(), dict(page=text)): missed.append(f'on a page: {text!r}')
    print('\n'.join(f'not found: {o}' for o in missed) or f'{len(plants)+3} planted mistakes, all found')
    return len(missed)

def main():
    if sys.argv[1:] == ['--selftest']: return selftest()
    pages = {p.stem: markdown(p) for p in (ROOT/'_proc').rglob('*.ipynb')}
    if not pages: sys.exit('no pages in _proc/: python tools/build_site.py writes them')
    found = lint(config(), pages)
    print('\n'.join(found) or f"the configuration and {len(pages)} pages are within Quarto's schema")
    return len(found)

if __name__ == '__main__': sys.exit(1 if main() else 0)
