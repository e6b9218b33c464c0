from dataclasses import replace

import pandas as pd
import pytest

from evolve.analysis.ledger import make_ledger
from evolve.findings.records import Cost, Findings
from evolve.findings.spent import FINAL, SEARCH, with_spending
from tests.unit.findings.made_up import make_record, make_run

EVENTS = [
    {"event": "begin", "at": 0.0, "number": 0},
    {"event": "end", "at": 10.0, "number": 0, "state": "COMPLETE"},
]


def test_each_epoch_counts_where_it_was_trained(tmp_path):
    epochs = pd.DataFrame(
        [(0, 1, 2.0, 0.5), (0, 2, 2.0, 0.5), (1, 1, 9.0, 9.0), (1, 2, 1.0, 0.25)],
        columns=["number", "epoch", "train_time_s", "eval_time_s"],
    )
    recipe = {"root": 0, "params": {}, "changes": {}, "lineage": [{"epoch": 1, "number": 0}]}
    run = replace(make_run(folder=tmp_path), epochs=epochs, recipes={1: recipe})
    record = make_record([0.3], folder=tmp_path)
    folder = record.trainings["folder"].iloc[0]
    folder.mkdir(parents=True)
    line = '{"epoch": 1, "metrics": {"train_time_s": 3.0, "eval_time_s": 1.0}}\n'
    (folder / "metrics.jsonl").write_text(line)
    ledger = make_ledger(EVENTS)
    found = Findings("AP", None, None, None, "", "", cost=Cost(ledger, ledger))
    spent = with_spending(found, run, record).cost.spent
    rows = spent.set_index(["part", "kind"])["seconds"]
    assert rows[SEARCH].to_dict() == pytest.approx(
        {"train": 5, "evaluate": 1.25, "start": 3.75, "held": 0, "lost": 0, "idle": float("nan")},
        nan_ok=True,
    )
    assert (rows[FINAL]["train"], rows[FINAL]["evaluate"]) == pytest.approx((3, 1))


def test_without_journals_nothing_is_told():
    found = Findings("AP", None, None, None, "", "")
    assert with_spending(found, make_run(), None) is found
