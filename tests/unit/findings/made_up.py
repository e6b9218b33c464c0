"""A stored run and its comparison as literal frames, without any training."""

import math
from pathlib import Path

import pandas as pd

from evolve.space import Space
from evolve.space.parameter import Parameter
from evolve.store.comparison import COLUMNS, ComparisonRecord, PlanRecord, RowRecord
from evolve.store.records import RunRecord
from model.config import TrainConfig

LR = Parameter("optimizer.lr", "float", 0.002, "log", 1e-4, 0.1)
MOMENTUM = Parameter("optimizer.momentum", "float", 0.9, "linear", 0.8, 0.98)
SPACE = Space("s", "", "AP", 6, "genetic", "none", TrainConfig(), (LR, MOMENTUM))
TRIALS = [  # lr, momentum, value: lr is all that counts
    (0.002, 0.90, 0.30),
    (0.004, 0.85, 0.34),
    (0.020, 0.95, 0.42),
    (0.001, 0.93, 0.26),
    (0.010, 0.82, 0.39),
    (0.030, 0.97, 0.43),
]


def make_run(trials=TRIALS, folder=Path("runs/x"), **manifest):
    rows = [
        {
            "number": number,
            "state": "FAIL" if value is None else "COMPLETE",
            "value": math.nan if value is None else value,
            "params.optimizer.lr": lr,
            "params.optimizer.momentum": momentum,
        }
        for number, (lr, momentum, value) in enumerate(trials)
    ]
    tree = {"objective": "AP", "space": SPACE.to_dict(), "trainer": "curve", "seed": 0}
    return RunRecord(folder, tree | manifest, (), pd.DataFrame(rows), pd.DataFrame())


def make_record(values, *, name="final", split="test", folder=Path("runs/x"), **rows):
    """A comparison from ``key=[value on test, ...]``; val is 0.1 above; None is waiting."""
    rows = {"default": values} | rows
    keys = [key.replace("_", "-") for key in rows]
    seeds = tuple(range(100, 100 + len(values)))
    plan = PlanRecord(
        name, "final comparison", "AP", split, seeds,
        tuple(_row(key, len(seeds)) for key in keys),
    )  # fmt: skip
    cells = [
        _cell(key, index, value, split, folder / name)
        for key, several in zip(keys, rows.values(), strict=True)
        for index, value in enumerate(several)
    ]
    return ComparisonRecord(plan, pd.DataFrame(cells, columns=list(COLUMNS)))


def _row(key, seeds):
    trial = int(key.rpartition("-")[2]) if key.startswith("trial-") else None
    value = None if trial is None else TRIALS[trial][2]
    title = "the defaults" if key == "default" else key.replace("-", " ")
    trainings = tuple(f"{key}/{index}" for index in range(seeds))
    return RowRecord(key, title, {}, trainings, trial, value)


def _cell(key, index, value, split, folder):
    metrics = {} if value is None else {"AP": value + 0.1, "loss": 1.0, f"{split}/AP": value}
    return {
        "row": key,
        "title": "the defaults" if key == "default" else key.replace("-", " "),
        "seed_index": index,
        "seed": 100 + index,
        "training": f"{key}/{index}",
        "state": "WAITING" if value is None else "COMPLETE",
        "reason": "",
        "value_val": math.nan if value is None else value + 0.1,
        "value_test": math.nan if value is None else value,
        "metrics": metrics,
        "epochs_done": 0 if value is None else 5,
        "folder": folder / key / str(index),
    }
