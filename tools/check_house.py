#!/usr/bin/env python
"""Hold the package to the rules it is built by.

    python tools/check_house.py              # exit 1 with a list of what breaks a rule
    python tools/check_house.py --selftest   # a broken rule of each kind is found

- nothing outside `run/` imports `run/`, except `all.py`: a reader of the method never meets the runs;
- no module imports one that imports it, directly or by others;
- no line of the package has more than 140 characters;
- half of the exported cells have at most 9 lines, nine in ten at most 25;
- no sentence of an error stands in two places;
- nothing is defined twice: the first of two would be dead.
"""
import ast, json, re, statistics, sys, tempfile
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WIDTH, MEDIAN, P90 = 140, 9, 25

def modules(package):
    "Name within the package -> its file"
    return {'.'.join(f.relative_to(package).with_suffix('').parts): f for f in sorted(package.rglob('*.py')) if f.name not in ('_modidx.py', '__init__.py')}

def imports(name, tree, package):
    "Names within the package that a module imports"
    for o in ast.walk(tree):
        if isinstance(o, ast.Import): full = [a.name for a in o.names]
        elif isinstance(o, ast.ImportFrom):
            above = f'{package}.{name}'.split('.')[:-o.level] if o.level else []
            full = ['.'.join(above + [o.module]*bool(o.module))]
            if full == [package]: full = [f'{package}.{a.name}' for a in o.names]       # from . import run
        else: continue
        yield from (f.partition('.')[2] for f in full if f.startswith(package + '.'))

def circles(graph):
    "A list of names for each way that leads back to its start"
    done = set()
    def visit(name, way):
        if name in way: yield way[way.index(name):] + [name]
        elif name not in done:
            for o in graph.get(name, ()): yield from visit(o, way + [name])
            done.add(name)
    for name in graph: yield from visit(name, [])

def sentences(tree):
    "Line and fixed words of each error that is raised with words"
    for o in ast.walk(tree):
        if isinstance(o, ast.Raise) and isinstance(o.exc, ast.Call) and o.exc.args:
            words = ''.join(c.value for c in ast.walk(o.exc.args[0]) if isinstance(c, ast.Constant) and isinstance(c.value, str))
            if len(words) > 12: yield o.lineno, words

def defined(tree):
    "Line and name of each function and class at the top, with the class that a patched one goes into"
    for o in tree.body:
        if isinstance(o, ast.ClassDef): yield o.lineno, o.name
        elif isinstance(o, ast.FunctionDef):
            own = any('patch' in ast.unparse(d) for d in o.decorator_list) and o.args.args
            yield o.lineno, (f'{ast.unparse(o.args.args[0].annotation)}.' if own else '') + o.name

def package_problems(package):
    "What breaks a rule in the package's modules"
    trees = {n: ast.parse(f.read_text()) for n,f in modules(package).items()}
    graph = {n: sorted({o for o in imports(n, t, package.name)}) for n,t in trees.items()}
    for n,there in graph.items():
        if n != 'all' and not n.startswith('run.'): yield from (f'{n} imports {o}: nothing outside run/ does, except all' for o in there if o.split('.')[0] == 'run')
    yield from (f"a circle of imports: {' -> '.join(c)}" for c in circles(graph))
    said = defaultdict(list)
    for n,t in trees.items():
        for line,words in sentences(t): said[words].append(f'{n}:{line}')
    yield from (f"one sentence in {', '.join(places)}: {words[:80]}" for words,places in said.items() if len(places) > 1)
    for n,t in trees.items():
        places = defaultdict(list)
        for line,name in defined(t): places[name].append(str(line))
        yield from (f"{n} defines {name} in lines {' and '.join(lines)}" for name,lines in places.items() if len(lines) > 1)
    for n,f in modules(package).items():
        for i,l in enumerate(f.read_text().splitlines(), 1):
            if len(l) > WIDTH and not l.startswith('__all__'): yield f'{n}:{i} has {len(l)} characters'

def cell_problems(folder):
    "What breaks a rule in the exported cells"
    sizes = []
    for f in folder.glob('*.ipynb'):
        for c in json.loads(f.read_text())['cells']:
            src = ''.join(c['source'])
            if c['cell_type'] == 'code' and re.search(r'^#\|\s*exporti?s?\b', src, re.M): sizes.append(len([l for l in src.splitlines() if l.strip() and not l.startswith('#|')]))
    median, p90 = statistics.median(sizes), statistics.quantiles(sizes, n=10)[8]
    if median > MEDIAN or p90 > P90: yield f'exported cells: median {median:g} lines, at most {MEDIAN}; nine in ten within {p90:g}, at most {P90}'

def selftest():
    "Plant one fault of each kind"
    good = {'a.py': "import re\n", 'run/__init__.py': '', 'run/job.py': "from ..a import re\n", 'all.py': "from .run.job import re\n"}
    bad = {'b.py': "from .run.job import re\n", 'c.py': "from pack.run import job\n", 'd.py': "def f():\n    import pack.run.job\n",
           'k.py': "from . import run\n", 'e.py': "from .g import x\n", 'g.py': "from .e import x\n", 'h.py': f"x = '{'x'*140}'\n",
           'i.py': "raise ValueError(f'there are no {1} apples')\n", 'j.py': "raise ValueError(f'there are no {2} apples')\n",
           'l.py': "def f(): pass\ndef f(): pass\n", 'm.py': "@patch\ndef f(self:A): pass\n@patch\ndef f(self:B): pass\n@patch\ndef f(self:A): pass\n"}
    with tempfile.TemporaryDirectory() as tmp:
        package = Path(tmp)/'pack'
        def found(files):
            for n,s in files.items(): (package/n).parent.mkdir(parents=True, exist_ok=True); (package/n).write_text(s)
            return list(package_problems(package))
        assert found(good) == [], found(good)
        for names,words in ((['b.py'], 'b imports run.job'), (['c.py'], 'c imports run'), (['d.py'], 'd imports run.job'), (['k.py'], 'k imports run'), (['e.py','g.py'], 'a circle of imports: e -> g -> e'),
                            (['h.py'], 'h:1 has 146 characters'), (['i.py','j.py'], 'one sentence in i:1, j:1'),
                            (['l.py'], 'l defines f in lines 1 and 2'), (['m.py'], 'm defines A.f in lines 2 and 6')):
            lines = found({n: bad[n] for n in names})
            assert len(lines) == 1 and lines[0].startswith(words), (words, lines)
            for n in names: (package/n).unlink()
    print('every planted fault is found')

if __name__ == '__main__':
    if sys.argv[1:] == ['--selftest']: selftest()
    elif sys.argv[1:]: sys.exit(__doc__)
    else:
        bad = [*package_problems(ROOT/'luminet_fa'), *cell_problems(ROOT/'nbs')]
        if bad: print('\n'.join(bad)); sys.exit(1)
        print('the package keeps its rules')
