#!/usr/bin/env python3
"""A small recurrent network that a larger one teaches, on the sentences of SST-2: alone, KD and LumiNet.

    python experiments/sst2.py --path DIR --ledger results      # what the page on tables and text shows, an hour on one core

DIR holds `train.tsv` and `dev.tsv` of GLUE's SST-2, with the columns `sentence` and `label`. The same command goes on where it was interrupted:
a fit whose row is in OUT is not done again.

The teacher is an AWD-LSTM of two layers with 256 units, the student has one layer with 32. Both read the same words and learn from the same
phrases. Rates are chosen for each method with a seed that no result uses, on 5,000 phrases that nobody learnt from; every method begins with
the same three rates and goes on while the best stands at an edge. (SST-2's phrases are parts of its sentences, so these 5,000 are easier than
new sentences are.) Results are of the 872 sentences of `dev.tsv`, at the last epoch.
"""
import sys, warnings
from pathlib import Path
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
warnings.filterwarnings('ignore')
import pandas as pd
from fastai.text.all import *
from fastcore.script import call_parse
import fastai, time, torch
from detect import line
from luminet_fa.callback import distill_cbs
from luminet_fa.core import InputError, PathError, pick, replacing
from luminet_fa.run.cli import _arg, _program, _seeds, _words
from luminet_fa.run.ledger import append_row, hardware, source_commit, utc_now

CHOOSE, HELD = 100, 5000
SIZES = dict(teacher=dict(n_hid=256, n_layers=2, emb_sz=128), student=dict(n_hid=32, n_layers=1, emb_sz=32))
METHODS = dict(alone={}, kd=dict(T=4., ce_w=.1, kd_w=.9, warmup=0), luminet=dict(alpha=round(33*(2/100)**.25, 1), T=4., ce_w=1., warmup=1/12))

def read(path):
    "Phrases to learn from, to choose by and to report on, in one table"
    def one(name):
        f = Path(path)/name
        if not f.exists(): raise PathError(f"there is no {f}: SST-2 has train.tsv and dev.tsv")
        t = pd.read_csv(f, sep='\t', quoting=3)
        if {'sentence', 'label'}-{*t.columns}: raise InputError(f"{f} has no columns sentence and label")
        return t.assign(sentence=t.sentence.str.strip(), label=t.label.map({0: 'negative', 1: 'positive'}))
    train, dev = one('train.tsv').drop_duplicates('sentence').sample(frac=1, random_state=0), one('dev.tsv')
    held = min(HELD, len(train)//5)
    parts = zip((train[held:], train[:held], dev), ('train', 'held', 'dev'))
    return pd.concat([o.assign(part=k) for o, k in parts], ignore_index=True)

def loaders(path, bs):
    "Loaders of what is learnt from, with the phrases to choose by as `valid`; and one of the sentences to report on"
    t = read(path)
    own = t[t.part != 'dev'].assign(valid=t.part == 'held')
    dls = TextDataLoaders.from_df(own, text_col='sentence', label_col='label', valid_col='valid', bs=bs, device='cpu', num_workers=0, seed=0)
    return dls, dls.test_dl(t[t.part == 'dev'].rename(columns=dict(sentence='text')), with_labels=True)

@call_parse
def main(
    path:str='.',       # folder with train.tsv and dev.tsv
    methods:_arg('methods', nargs='+')=' '.join(METHODS), # methods
    seeds:_arg('seeds', nargs='+')='0 1 2', # of the results
    epochs:int=3,       # of each student
    pretrain:int=4,     # of the teacher
    bs:int=64,          # batch size
    out:str='runs/sst2',# folder for the teacher and all rows
    ledger:str=None,    # folder of the tracked table, which gets the rows of the results as well
):
    "Compare students of one teacher on SST-2"
    table, said = Path(out)/'rows.csv', f'python experiments/sst2.py --path DIR --epochs {epochs} --pretrain {pretrain} --bs {bs}'
    Path(out).mkdir(parents=True, exist_ok=True)
    with _program(dict(path=path, out=out, ledger=ledger)):
        for m in _words(methods): pick(METHODS, m, 'method')
        dls, dev = loaders(path, bs)
        def learner(who, seed, cbs=()):
            set_seed(seed)
            return text_classifier_learner(dls, AWD_LSTM, pretrained=False, config=awd_lstm_clas_config | SIZES[who], drop_mult=.3,
                                           metrics=accuracy, cbs=[*cbs])
        def fitted(learn, n, lr, seed):
            set_seed(seed)
            with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(n, lr)
            return learn
        def top1(learn, dl=None):
            with learn.no_bar(): loss, acc = learn.validate(dl=dl)[:2]
            return round(100*acc, 2), round(loss, 4)
        teacher, file = learner('teacher', 0), Path(out)/f'teacher-{pretrain}.pth'
        if file.exists(): teacher.model.load_state_dict(torch.load(file, weights_only=True))
        else:
            fitted(teacher, pretrain, 5e-3, 0)
            with replacing(file) as tmp: torch.save(teacher.model.state_dict(), tmp)
        taught, held = top1(teacher, dev)[0], top1(teacher)[0]
        print(f'teacher: {taught:.2f} % of {dev.n} sentences, {held:.2f} % of {len(dls.valid_ds):,} held-out phrases', flush=True)
        def run(m, seed, lr):
            s = METHODS[m]
            key = dict(recipe='sst2', method=m, seed=seed, epochs=epochs, bs=bs, lr=lr, teacher_top1=taught, images=len(dls.train_ds))
            if table.exists():
                for row in pd.read_csv(table).to_dict('records'):
                    if all(row[k] == v for k, v in key.items()): return row
            learn = learner('student', seed, distill_cbs(m, teacher, **s))
            t0 = time.time(); fitted(learn, epochs, lr, seed); seconds = time.time()-t0
            (acc, loss), (chosen, _) = top1(learn, dev), top1(learn)
            row = key | dict(date=utc_now(), teacher='AWD-LSTM 2x256', student='AWD-LSTM 1x32', schedule='onecycle', top1=acc, valid_loss=loss,
                held_top1=chosen, tested=dev.n, settings=' '.join(f'{k}={v:g}' for k, v in s.items()), seconds=round(seconds, 1), dtype='float32',
                hardware=hardware(dls.device), torch=torch.__version__, fastai=fastai.__version__, commit=source_commit(), command=said)
            append_row(table, row)
            if ledger and seed != CHOOSE: append_row(Path(ledger)/'sst2.csv', row)
            print(f'{m:8} seed {seed} lr {lr:g}: {acc:.2f} %, held out {chosen:.2f} %, {seconds:.0f} s', flush=True)
            return row
        best = {m: 1e-2*2**line(lambda i: run(m, CHOOSE, 1e-2*2**i)['held_top1'], (0, -1, 1))[1] for m in _words(methods)}
        for s in _seeds(seeds):
            for m in best: run(m, s, best[m])
