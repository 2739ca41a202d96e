"""The table of what was tried and what held, which survives.py and hostile.py write and the page "What it survives" prints"""
import io
from pathlib import Path
import pandas as pd
from luminet_fa.core import write_atomic
from luminet_fa.run.ledger import source_commit, table_text, utc_now

def count(what, tried, held, note): return dict(what=what, tried=tried, held=held, note=note, commit=source_commit(), date=utc_now())

def keep(file, found):
    "Put the counts into the table in `file`, in the place of older ones of the same name"
    text = table_text(file, missing=True)
    old = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False).to_dict('records') if text.strip() else []
    new = [o for o in old if o['what'] not in {f['what'] for f in found}] + found
    if not write_atomic(Path(file), pd.DataFrame(new).to_csv(index=False).encode()): raise SystemExit(f'{file} could not be written')
