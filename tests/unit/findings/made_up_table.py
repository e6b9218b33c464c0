"""Folders of ablation runs, put together by the store's own functions without any training."""

import gzip
import json

import numpy as np
from optuna.trial import TrialState, create_trial

from evolve.ablation.designs import make_design
from evolve.ablation.record import StoredRow, StoredTable
from evolve.ablation.rows import plan_rows
from evolve.ablation.table import load_table
from evolve.analysis.image_bootstrap import ap
from evolve.analysis.matching import load_detections, match, truth_of
from evolve.store.comparison import (
    ROW_ATTR,
    SEED_ATTR,
    SEED_INDEX_ATTR,
    TRAINING_ATTR,
    PlanRecord,
    RowRecord,
)
from evolve.store.folder import RunFolder, to_line
from evolve.store.study import (
    FAILURE_ATTR,
    METRICS_ATTR,
    open_own_storage,
    open_study,
    sqlite_url,
)
from model.data.coco import load_dataset
from tests.tiny_data import write_tiny_coco

FIRST_SEED = 100
RUNNING = "RUNNING"


def a_table(rows, *, name="mine", metrics=("AP", "AP50"), **changes):
    """A table of (key, marks, baseline) rows."""
    stored = tuple(
        StoredRow(key, f"+ {key}" if marks else key, marks, marks, {}, baseline)
        for key, marks, baseline in rows
    )
    marks = {one: one for row in stored for one in row.marks}
    given = {
        "name": name, "title": "Mine", "description": "", "objective": "AP", "metrics": metrics,
        "columns": marks, "value_columns": (), "baseline": rows[0][0], "rows": stored,
    }  # fmt: skip
    return StoredTable(**(given | changes))


def design_table(kind, ingredients, **options):
    """A design's table, and how a manifest tells it."""
    design = make_design(kind, ingredients, **options)
    rows = [(row.key, tuple(sorted(row.on)), design.baseline) for row in design.rows]
    tree = {"kind": kind, "ingredients": list(ingredients), "options": options}
    return a_table(rows, design=kind), tree


def bundled_table(name):
    return StoredTable.of_plan(plan_rows(load_table(name)))


PLAIN = a_table([("base", (), "base"), ("S", ("S",), "base"), ("M", ("M",), "base")])


def make_folder(path, table=PLAIN, seeds=3, **manifest):
    """A run that has not begun."""
    folder = RunFolder.create(path)
    tree = {
        "kind": "ablation", "table": table.to_dict(), "design": None, "seeds": seeds,
        "looks": None, "region": 0.002, "objective": "AP", "judged_on": "test", "seed": 0,
        "data": {}, "train": {}, "trainer": "curve", "over": False,
    }  # fmt: skip
    folder.write_json(folder.manifest, tree | manifest)
    return folder


def train(folder, values, table=PLAIN, split="test", seeds=None):
    """Store trainings by row: a value, None if it waits, RUNNING, or why it failed."""
    count = seeds or max(map(len, values.values()))
    numbers = tuple(range(FIRST_SEED, FIRST_SEED + count))
    place = folder.comparison("table")
    rows = [
        RowRecord(row.key, row.title, {}, tuple(f"{row.key}/{i}" for i in range(count)))
        for row in table.rows
        if row.key in values
    ]
    PlanRecord("table", "table", table.objective, split, numbers, tuple(rows)).write(place)
    study = open_study(open_own_storage(sqlite_url(folder.study)), name="evolve-table")
    for key, each in values.items():
        for index, value in enumerate(each):
            if value is not None:
                study.add_trial(_trial(key, index, value, table, split))
                _write_metrics(place.training(key, index).path, index)
    return folder


def _trial(key, index, value, table, split):
    attrs = {
        TRAINING_ATTR: f"{key}/{index}",
        ROW_ATTR: key,
        SEED_INDEX_ATTR: index,
        SEED_ATTR: FIRST_SEED + index,
    }
    if value == RUNNING:
        return create_trial(state=TrialState.RUNNING, user_attrs=attrs)
    if isinstance(value, str):
        failure = {"type": "oom", "what": value}
        return create_trial(state=TrialState.FAIL, user_attrs=attrs | {FAILURE_ATTR: failure})
    prefix = "" if split == "val" else f"{split}/"
    metrics = {prefix + name: value + 0.1 * i for i, name in enumerate(table.metrics)}
    own = {table.objective: value if split == "val" else value + 0.05}
    return create_trial(
        state=TrialState.COMPLETE,
        value=own[table.objective],
        user_attrs=attrs | {METRICS_ATTR: own | metrics},
    )


def _write_metrics(path, index):
    """Three epochs of 20 seconds and a little each."""
    path.mkdir(parents=True, exist_ok=True)
    spent = {"train_time_s": 15.0 + index, "eval_time_s": 5.0}
    rows = [{"epoch": epoch, "metrics": spent} for epoch in (1, 2, 3)]
    (path / "metrics.jsonl").write_text("".join(map(to_line, rows)))


# -- with detections -----------------------------------------------------------------------


def make_detected(path, shares, table=PLAIN, images=12, **manifest):
    """A run on a tiny data set whose rows find the truths of each class in these shares.

    ``shares``: row -> [(share of red, share of green) of each seed].
    """
    data = write_tiny_coco(path / "set", {"train": 2, "val": 2, "test": images})
    dataset = load_dataset(data)
    count = max(map(len, shares.values()))
    given = {
        "seeds": count,
        "trainer": "detector",
        "train": {"task": "detect"},
        "data": {"path": str(data), "digest": dataset.digest},
    }
    folder = make_folder(path / "run", table, **(given | manifest))
    values = {
        key: [
            _detect(folder.comparison("table").training(key, i).path, dataset, share, i)
            for i, share in enumerate(each)
        ]
        for key, each in shares.items()
    }
    return train(folder, values, table)


def _detect(path, dataset, shares, seed):
    """Store detections of a share of the truths of each class; their AP."""
    rng = np.random.default_rng(seed)
    records, found = dataset.splits["test"], []
    for record in records:
        luck = rng.random(len(record.labels))  # the same for all rows
        seen = [i for i, label in enumerate(record.labels) if luck[i] < shares[int(label)]]
        found.append(
            {
                "image_id": record.image_id,
                "boxes_xyxy_px": [record.boxes_xyxy_px[i].tolist() for i in seen],
                "scores": [0.5 + 0.4 * float(luck[i]) for i in seen],
                "labels": [int(record.labels[i]) for i in seen],
            }
        )
    path.mkdir(parents=True, exist_ok=True)
    file = path / "detections-test.json.gz"
    file.write_bytes(gzip.compress(json.dumps({"images": found}).encode()))
    matches = match(truth_of(records, dataset.classes), load_detections(file))
    return float(ap(matches, np.ones((1, len(records)), np.int64))["AP"][0])
