"""Findings of tables, made of values without any store; some with files of their trainings."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evolve.ablation.costs import Costs, RowCost
from evolve.ablation.designs import make_design
from evolve.ablation.record import StoredRow, StoredTable
from evolve.analysis.judged_rows import judge_table
from evolve.findings.table import TableFindings, TableRun
from evolve.findings.table_effects import design_effects
from evolve.findings.table_words import sentences_of, unfinished_of
from evolve.store.comparison import COLUMNS, ComparisonRecord, PlanRecord, RowRecord
from evolve.store.folder import to_line

FIRST_SEED = 100
RESAMPLES, IMAGES = 60, 400
DATA = {
    "path": "cells", "name": "cells", "digest": "sha256:0f4ac1", "classes": ["red", "white"],
    "images": {"train": 120, "val": 20, "test": 40}, "notes": ["2 boxes outside were dropped"],
}  # fmt: skip
TRAIN = {"model": "yolov4-nano", "image_size": 96, "epochs": 8, "batch_size": 8, "seed": 0}

Value = float | str | None


def a_table(keys: Sequence[str], **changes: Any) -> StoredTable:
    """A baseline and a row for each key, with a check mark."""
    marks = [(), *((key,) for key in keys[1:])]
    rows = tuple(
        StoredRow(key, f"+ {key}" if on else key, on, on, {}, keys[0])
        for key, on in zip(keys, marks, strict=True)
    )
    given: dict[str, Any] = {
        "name": "mine", "title": "Bag of mine", "description": "Made up.", "objective": "AP",
        "metrics": ("AP", "AP50"), "columns": {key: key for key in keys[1:]}, "value_columns": (),
        "baseline": keys[0], "rows": rows,
    }  # fmt: skip
    return StoredTable(**(given | changes))


def design_table(kind: Any, ingredients: Sequence[str]) -> StoredTable:
    """The table of a design."""
    design = make_design(kind, list(ingredients))
    rows = tuple(
        StoredRow(row.key, row.title, tuple(sorted(row.on)), tuple(sorted(row.on)), {},
                  design.baseline)
        for row in design.rows
    )  # fmt: skip
    columns = {one: one for one in ingredients}
    return a_table(["base"], rows=rows, baseline=design.baseline, design=kind, columns=columns)


def make_found(
    folder: Path,
    values: Mapping[str, Sequence[Value]],
    table: StoredTable | None = None,
    **changes: Any,
) -> TableFindings:
    """Findings of trainings by row: a value on test, None if it waits, or why it failed."""
    table = table or a_table(list(values))
    count = max(map(len, values.values()))
    manifest = _manifest(table, count) | changes.pop("manifest", {})
    run = TableRun.of_manifest(manifest, folder)
    record = _record(folder, table, values)
    frame, draws = record.trainings, _draws(record.trainings)
    rows = [row.key for row in table.rows]
    judged = judge_table(
        frame, rows, {row.key: row.baseline for row in table.rows}, also=table.metrics,
        image_values=draws, images=IMAGES,
    )  # fmt: skip
    effects, no_effects = pd.DataFrame(), ""
    if table.design:
        names = list(table.columns)
        effects, no_effects = design_effects(
            make_design(table.design, names),
            frame,
            draws,
            IMAGES,  # type: ignore[arg-type]
        )
    found = TableFindings(
        folder=folder, manifest=manifest, run=run, record=record, trainings=frame, judged=judged,
        class_deltas=pd.DataFrame(), no_classes="", effects=effects, no_effects=no_effects,
        sentences=tuple(sentences_of(judged)), unfinished=unfinished_of(run, record, judged),
        images=IMAGES, no_images="", costs=_costs(rows), train_s=dict.fromkeys(rows, 63.0),
    )  # fmt: skip
    return replace(found, **changes)


def _manifest(table: StoredTable, seeds: int) -> dict[str, Any]:
    rows = {
        row.key: {"config": TRAIN | {"loss": {"box": "mse" if not row.on else row.on[-1]}},
                  "pretrain": None}
        for row in table.rows
    }  # fmt: skip
    return {
        "kind": "ablation", "table": table.to_dict(), "design": None, "seeds": seeds,
        "looks": None, "region": 0.002, "objective": "AP", "judged_on": "test", "seed": 0,
        "data": DATA, "train": TRAIN, "trainer": "detector", "rows": rows, "over": False,
        "created": "2026-01-02T03:04:05+00:00", "outlook": {"placement": {"threads": 2}},
        "versions": {"evolve": "1.0", "torch": "2.9.0"}, "command": "evolve ablate --table mine",
    }  # fmt: skip


def _record(
    folder: Path, table: StoredTable, values: Mapping[str, Sequence[Value]]
) -> ComparisonRecord:
    count = max(map(len, values.values()))
    seeds = tuple(range(FIRST_SEED, FIRST_SEED + count))
    rows = tuple(
        RowRecord(row.key, row.title, {}, tuple(f"{row.key}/{i}" for i in range(count)))
        for row in table.rows
    )
    plan = PlanRecord("table", table.title, "AP", "test", seeds, rows)
    cells = [
        _cell(folder, row, index, value)
        for row in table.rows
        for index, value in enumerate(values[row.key])
    ]
    return ComparisonRecord(plan, pd.DataFrame(cells, columns=list(COLUMNS)))


def _cell(folder: Path, row: StoredRow, index: int, value: Value) -> dict[str, Any]:
    done, failed = isinstance(value, float), isinstance(value, str)
    number = value if isinstance(value, float) else math.nan
    return {
        "row": row.key, "title": row.title, "seed_index": index, "seed": FIRST_SEED + index,
        "training": f"{row.key}/{index}",
        "state": "COMPLETE" if done else "FAIL" if failed else "WAITING",
        "reason": f"diverged: {value}" if failed else "",
        "log": ("epoch 1", f"stopped: {value}") if failed else (),
        "taken_from": "", "value_val": number + 0.01, "value_test": number,
        "metrics": {"test/AP": number, "test/AP50": number + 0.2} if done else {},
        "epochs_done": 8 if done else 0, "folder": folder / "table" / row.key / str(index),
    }  # fmt: skip


def _draws(frame: pd.DataFrame) -> dict[tuple[str, int], Any]:
    """Each value with the luck of images, much the same for all trainings."""
    luck = 0.01 * np.random.default_rng(0).normal(size=RESAMPLES)
    own = np.random.default_rng(1)
    return {
        (row, int(index)): value + luck + 0.002 * own.normal(size=RESAMPLES)
        for row, index, value in zip(
            frame["row"], frame["seed_index"], frame["value_test"], strict=True
        )
    }


def _costs(rows: Sequence[str]) -> Costs:
    return Costs(
        "a processor", "batch 1, 200 timed, NMS within",
        {key: RowCost(1.0e6 + 1e4 * n, 0.9, 12.5 + n, 14.0) for n, key in enumerate(rows)},
    )  # fmt: skip


def write_files(found: TableFindings, epochs: int = 8) -> TableFindings:
    """Files of the complete trainings: configuration, log, and a learning curve."""
    done = found.trainings[found.trainings["state"] == "COMPLETE"]
    for folder, value in zip(done["folder"], done["value_val"], strict=True):
        place = Path(str(folder))
        place.mkdir(parents=True, exist_ok=True)
        (place / "config.yaml").write_text("model: yolov4-nano\n")
        (place / "log.txt").write_text("began\n")
        lines = [
            {"epoch": n, "objective": value * (1 - math.exp(-4 * n / epochs))}
            for n in range(1, epochs + 1)
        ]
        (place / "metrics.jsonl").write_text("".join(map(to_line, lines)))
    return found


def values_of(means: Mapping[str, float], seeds: int, spread: float = 0.004) -> dict[str, Any]:
    """Values of rows that share the luck of their seeds and have some of their own."""
    rng = np.random.default_rng(3)
    shared = spread * rng.normal(size=seeds)
    own = 0.4 * spread
    return {
        key: (mean + shared + own * rng.normal(size=seeds)).tolist() for key, mean in means.items()
    }
