#!/usr/bin/env python
"""Open every page of the built site in a browser, as a reader would, and say what is wrong with it.

    python tools/browse_site.py                     # `_docs/` in headless Chromium; exit 1 with a list of what is wrong
    python tools/browse_site.py --shots DIR         # and keep a picture of each page: 1280 pixels wide in light and in dark mode, 400 pixels
    python tools/browse_site.py perception index    # only these pages
    python tools/browse_site.py --selftest          # break a copy of the home page in eleven ways: is each noticed?

Looked for on each page, 1280 and 400 pixels wide: errors in the console, requests that fail or leave this machine, pictures that do not
show or have no text that says what is in them, text or tables that reach out of the page, formulas that were not rendered, and text too faint to read (WCAG's contrast of 4.5, 3 for
large text) in light and in dark mode. At 1280 pixels no line of code, no output and no table may be wider than its box. Once, when all pages are read:
does the search find `perception`, can its answers be read in light and in dark mode, and does the switch for dark mode work?

Needs Playwright from PyPI (`pip install playwright`; no browser of its own) and a Chromium: Debian's package, or CHROMIUM=path.
"""
import argparse, functools, http.server, os, shutil, sys, tempfile, threading
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VIEWS = (1280, 'light'), (1280, 'dark'), (400, 'light')   # pixels, colour scheme; the colours are the same at any width

# What the page says about itself. Contrast is taken from the colours as computed, against the first opaque background behind the text.
LOOK = r'''whole => {
  const bad = [], doc = document.documentElement
  const wide = doc.scrollWidth - doc.clientWidth
  if (wide > 1) bad.push(`scrolls sideways by ${wide} px`)
  const tag = e => e.tagName.toLowerCase() + (e.className ? '.' + String(e.className).split(' ')[0] : '')
  const holds = e => /auto|scroll|hidden/.test(getComputedStyle(e).overflowX)        // what is inside scrolls there, or was meant to be cut
  const held = e => { for (let p = e.parentElement; p && p.tagName != 'MAIN'; p = p.parentElement) if (holds(p)) return true; return false }
  const out = [...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > doc.clientWidth + 1 && e.checkVisibility() && !e.closest('svg, .katex') && !held(e))
  if (out.length) bad.push('reaches out of the page: ' + out.slice(0, 2).map(tag).join(', '))
  if (whole) for (const e of document.querySelectorAll('main pre, main table')) {
    let cut = 0
    for (let p = e; p && p.tagName != 'MAIN' && e.checkVisibility(); p = p.parentElement) cut = Math.max(cut, p.scrollWidth - p.clientWidth)
    const lines = e.tagName == 'TABLE' ? [e.rows[0].textContent] : e.textContent.split('\n')
    if (cut > 1) bad.push(`${e.tagName == 'TABLE' ? 'a table' : 'a preformatted line'} is ${cut} px wider than its box: ` + lines.reduce((a, b) => b.length > a.length ? b : a).replace(/\s+/g, ' ').trim().slice(0, 60))
  }
  for (const i of document.images) if (!i.complete || !i.naturalWidth) bad.push('a picture does not show: ' + (i.getAttribute('src') || '').slice(0, 80))
  if (whole) for (const i of document.images) if (!(i.getAttribute('alt') || '').trim()) bad.push('a picture has no text (fig-alt): ' + (i.getAttribute('src') || '').slice(0, 40))
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  const lum = c => { const f = c.slice(0, 3).map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * f[0] + .7152 * f[1] + .0722 * f[2] }
  const rgba = s => { const m = s.match(/[\d.]+/g).map(Number); return m.length < 4 ? [...m.slice(0, 3), 1] : m }
  const over = (a, b) => [0, 1, 2].map(i => a[i] * a[3] + b[i] * (1 - a[3])).concat(1)
  const back = e => { const stack = []; for (; e; e = e.parentElement) { const c = rgba(getComputedStyle(e).backgroundColor); if (c[3] > 0) { stack.push(c); if (c[3] == 1) break } } return stack.reverse().reduce((b, c) => over(c, b), [255, 255, 255, 1]) }
  const faint = new Map()
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement, t = walk.currentNode.data.trim()
    if (!t || !e.checkVisibility({opacityProperty: true, visibilityProperty: true}) || e.closest('svg, .katex-mathml, script, style')) continue
    if (/\$\$|\\\(|\\\[/.test(t) && !e.closest('code, pre, .katex')) bad.push('a formula was not rendered: ' + t.slice(0, 60))
    const st = getComputedStyle(e), bg = back(e), l = [lum(over(rgba(st.color), bg)), lum(bg)].sort((a, b) => b - a)
    const need = parseFloat(st.fontSize) >= 24 || (parseFloat(st.fontSize) >= 18.6 && st.fontWeight >= 700) ? 3 : 4.5, c = (l[0] + .05) / (l[1] + .05)
    if (c < need - .02) { const k = st.color + ' on ' + bg.slice(0, 3).map(Math.round); if (!faint.has(k)) faint.set(k, `text is too faint (${c.toFixed(1)}): ${t.slice(0, 40)} [${k}]`) }
  }
  if (document.querySelector('.katex-error')) bad.push('a formula has an error: ' + document.querySelector('.katex-error').textContent.slice(0, 60))
  return bad.concat([...faint.values()])
}'''


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *a): pass


def serve(folder):
    "Address of a server of `folder`, which ends with the program"
    s = http.server.ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=s.serve_forever, daemon=True).start()
    return f'http://127.0.0.1:{s.server_port}'


def chromium():
    p = os.environ.get('CHROMIUM') or next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
    if not p: sys.exit("there is no Chromium: install Debian's package `chromium`, or set CHROMIUM=path")
    return p


class Reader:
    "A browser that reads pages and notes what is wrong"
    def __init__(self, pw, folder):
        self.folder, self.host = Path(folder), serve(folder)
        self.browser = pw.chromium.launch(executable_path=chromium(), args=['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--no-first-run'])

    def open(self, name, width, scheme='light'):
        "The page called `name`, and a list that fills with what goes wrong on it"
        ctx = self.browser.new_context(viewport=dict(width=width, height=900), color_scheme=scheme)
        page, bad = ctx.new_page(), []
        page.on('console', lambda m: m.type in ('error', 'warning') and bad.append(f'console: {m.text[:200]}'))
        page.on('pageerror', lambda e: bad.append(f'script: {str(e)[:200]}'))
        page.on('requestfailed', lambda r: bad.append(f'request failed: {r.url[:200]}'))
        page.on('request', lambda r: r.url.startswith((self.host, 'data:', 'blob:')) or bad.append(f'request to another host: {r.url[:200]}'))
        page.goto(f'{self.host}/{name}', wait_until='load')
        page.evaluate("for (const i of document.images) i.loading = 'eager'")
        page.wait_for_function('[...document.images].every(i => i.complete)')
        return page, bad

    def read(self, name, shots=None):
        "What is wrong with one page"
        found = []
        for width, scheme in VIEWS:
            page, bad = self.open(name, width, scheme)
            bad += page.evaluate(LOOK, (width, scheme) == VIEWS[0])
            if shots: page.screenshot(path=Path(shots)/f'{Path(name).stem}-{width}-{scheme}.png', full_page=True)
            page.context.close()
            found += [f'{name}, {width} px, {scheme}: {b}' for b in dict.fromkeys(bad)]
        return found

    def search(self, word, target, shots=None, page='index.html'):
        "What is wrong with the search, or with how its answers look; every answer is looked at, the one under the pointer too"
        found = []
        for scheme in ('light', 'dark'):
            p, bad = self.open(page, 1280, scheme)
            box = p.locator('.smalldocs-search input').first
            box.click(); box.type(word, delay=20)
            try:
                p.wait_for_selector(f'.smalldocs-search a[href*="{target}"]', timeout=5000)
                p.locator('.smalldocs-search a').nth(1).hover()
            except Exception: bad.append(f'the search for {word} does not lead to {target}')
            bad += p.evaluate(LOOK, False)
            if shots: p.screenshot(path=Path(shots)/f'search-{scheme}.png')
            p.context.close()
            found += [f'{page}, search, {scheme}: {b}' for b in dict.fromkeys(bad)]
        return found

    def dark(self):
        "What is wrong with the switch"
        page, bad = self.open('index.html', 1280)
        bg = lambda: page.evaluate("getComputedStyle(document.body).backgroundColor")
        a = bg()
        page.locator('.quarto-color-scheme-toggle').first.click(); page.wait_for_timeout(300)
        if bg() == a: bad.append('the switch for dark mode does nothing')
        page.context.close()
        return [f'index.html: {b}' for b in bad]


BROKEN = dict(picture=('<h1', '<img src="nowhere.png"><h1', 'does not show'), text=('<h1', '<img alt="" src="favicon.svg"><h1', 'has no text'), wide=('<h1', '<div style="width:3000px">x</div><h1', 'out of the page'), formula=('<h1', '<p>\\(x^2</p><h1', 'was not rendered'),
              faint=('<h1', '<p style="color:#ccc;background:#fff">faint</p><h1', 'too faint'), script=('<h1', '<script>nothing()</script><h1', 'nothing is not defined'),
              dark=('<h1', '<p style="color:#333">for daylight</p><h1', 'dark: text is too faint'), host=('<h1', '<img src="https://example.com/x.png"><h1', 'another host'),
              line=('<h1', f'<div style="overflow-x:auto"><pre style="white-space:pre !important">{"word "*60}</pre></div><h1', 'a preformatted line is'),
              table=('<h1', f'<div style="overflow-x:auto"><table><tr>{"<td>unbreakable</td>"*60}</tr></table></div><h1', 'a table is'))
FAINT_SEARCH = '</head>', '<style>.search-result-section { color: #ddd !important }</style></head>', 'search, light: text is too faint'


def selftest(pw, folder):
    "What was broken on purpose and not noticed"
    missed = []
    with tempfile.TemporaryDirectory() as tmp:
        shutil.copytree(folder, tmp, dirs_exist_ok=True)
        r, s = Reader(pw, tmp), (Path(tmp)/'index.html').read_text()
        for name, (old, new, says) in BROKEN.items():
            (Path(tmp)/'broken.html').write_text(s.replace(old, new, 1))
            if not any(says in b for b in r.read('broken.html')): missed.append(f'a page with a broken {name} passed')
        old, new, says = FAINT_SEARCH
        (Path(tmp)/'broken.html').write_text(s.replace(old, new, 1))
        if not any(says in b for b in r.search('perception', 'perception.html', page='broken.html')): missed.append('a search that cannot be read passed')
    return missed


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('pages', nargs='*', help='names without .html (default: all)')
    p.add_argument('--folder', default=ROOT/'_docs', type=Path)
    p.add_argument('--shots', help='folder for pictures')
    p.add_argument('--selftest', action='store_true')
    a = p.parse_args()
    from playwright.sync_api import sync_playwright
    names = [f'{n}.html' for n in a.pages] or sorted(f.relative_to(a.folder).as_posix() for f in a.folder.rglob('*.html'))
    if not names: sys.exit(f'no pages in {a.folder}: python tools/build_site.py')
    if a.shots: Path(a.shots).mkdir(parents=True, exist_ok=True)
    with sync_playwright() as pw:
        if a.selftest: bad = selftest(pw, a.folder); names = [*BROKEN, 'search']
        else:
            r = Reader(pw, a.folder)
            bad = [b for n in names for b in r.read(n, a.shots)]
            if not a.pages or 'index.html' in names: bad += r.search('perception', 'perception.html', a.shots) + r.dark()
    if bad: print('\n'.join(bad)); sys.exit(f'{len(bad)} things are wrong')
    print(f'{len(names)} broken pages, each of them noticed' if a.selftest else f'{len(names)} pages read, each as {" and ".join(f"{w} px {s}" for w, s in VIEWS)}: nothing wrong')


if __name__ == '__main__': main()
