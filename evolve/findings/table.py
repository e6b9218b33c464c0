"""Join what an ablation run stored with what statistics say of its table.

What takes long is kept in ``findings.json`` of the run folder. Neither torch nor ray is needed.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from evolve.ablation.costs import Costs, read_costs
from evolve.ablation.record import StoredRow
from evolve.analysis.class_deltas import COLUMNS as DELTA_COLUMNS
from evolve.analysis.class_deltas import class_deltas
from evolve.analysis.judged_rows import judge_table
from evolve.analysis.sequential import Looks, judge_looks
from evolve.findings.cache import Cache
from evolve.findings.images import Resampled, resample
from evolve.findings.table_effects import design_effects, stored_design
from evolve.findings.table_records import TableFindings, TableRun
from evolve.findings.table_words import sentences_of, unfinished_of
from evolve.store.comparison import COLUMNS, TABLE, ComparisonRecord, read_comparison
from evolve.store.folder import RunFolder, TrialFolder
from evolve.store.read import read_manifest

__all__ = ["TableFindings", "TableRun", "find_table", "training_s"]

CLASS_COLUMNS = ("row", "title", "baseline", *DELTA_COLUMNS[1:])
_NO_CLASSES = pd.DataFrame(columns=list(CLASS_COLUMNS))

_WAITING = {"value_val": math.nan, "value_test": math.nan, "epochs_done": 0, "taken_from": ""}


def find_table(folder: Path, data: str | None = None, *, images: bool = True) -> TableFindings:
    """All that can be said of an ablation run, finished or not.

    Parameters
    ----------
    folder : Path
        Of the run.
    data : str, optional
        Where its data lie now, as for ``--data``.
    images : bool
        Without them no detections are read, there are no classes, and images have a part in
        intervals only where an earlier call has kept it: quick enough to be asked after every
        training.

    Raises
    ------
    StoreError
        If the folder holds no such run, or what it holds cannot be read.
    """
    place = RunFolder.open(folder)
    manifest = read_manifest(place)
    run = TableRun.of_manifest(manifest, folder)
    record, cache = read_comparison(folder, TABLE), Cache(place.findings)
    begun = [] if record is None else [record]
    drawn = resample(begun, manifest, data, cache, classes=True, kept_alone=not images)
    if images:
        cache.write()
    return _join(run, record, drawn, manifest, folder, read_costs(place.costs), images)


def _join(
    run: TableRun,
    record: ComparisonRecord | None,
    drawn: Resampled,
    manifest: dict[str, Any],
    folder: Path,
    costs: Costs | None,
    classes: bool,
) -> TableFindings:
    trainings = _with_waiting(run, record)
    values = drawn.by_row(trainings)
    judged = _judge(run, trainings, values, drawn.images)
    design, why_not = stored_design(manifest.get("design"))
    effects = pd.DataFrame()
    if design is not None:
        effects, why_not = design_effects(design, trainings, values, drawn.images, run.alpha)
    by_class = _class_frame(run, judged, trainings, drawn) if classes else _NO_CLASSES
    found = TableFindings(
        folder=folder,
        manifest=manifest,
        run=run,
        record=record,
        trainings=trainings,
        judged=judged,
        class_deltas=by_class,
        no_classes=drawn.why_not if classes else "they were not asked for",
        effects=effects,
        no_effects=why_not,
        sentences=(),
        unfinished=unfinished_of(run, record, judged),
        images=drawn.images,
        no_images=drawn.why_not,
        costs=costs,
        train_s={row.key: _train_s(trainings, row.key) for row in run.table.rows},
    )
    said = sentences_of(judged, is_provisional=found.is_provisional)
    return replace(found, sentences=tuple(said))


def _with_waiting(run: TableRun, record: ComparisonRecord | None) -> pd.DataFrame:
    """Trainings of the record, and for rows without any those that they are to have."""
    stored = pd.DataFrame(columns=list(COLUMNS)) if record is None else record.trainings
    known = set(stored["row"])
    count = run.looks[0] if run.seeds is None else run.seeds
    seeds = () if record is None else record.plan.seeds
    lines = [
        _waiting(row, index, seeds[index] if index < len(seeds) else None)
        for row in run.table.rows
        if row.key not in known
        for index in range(count)
    ]
    if not lines:
        return stored
    made = pd.DataFrame(lines, columns=list(COLUMNS))
    return made if stored.empty else pd.concat([stored, made], ignore_index=True)


def _waiting(row: StoredRow, index: int, seed: int | None) -> dict[str, Any]:
    head = {"row": row.key, "title": row.title, "seed_index": index, "seed": seed}
    told = {"training": "", "state": "WAITING", "reason": "", "log": (), "metrics": {}}
    return head | _WAITING | told


def _judge(
    run: TableRun, trainings: pd.DataFrame, values: Mapping[Any, Any], images: int | None
) -> pd.DataFrame:
    rows = [row.key for row in run.table.rows]
    baselines = {row.key: row.baseline for row in run.table.rows}
    how: dict[str, Any] = {
        "metric": run.objective,
        "split": run.judged_on,
        "also": run.table.metrics,
        "image_values": values,
        "images": images,
    }
    if run.seeds is not None:
        return judge_table(trainings, rows, baselines, region=run.region, alpha=run.alpha, **how)
    looks = Looks(run.looks, run.alpha, run.region)
    return judge_looks(trainings, rows, baselines, looks, is_over=run.is_over, **how)


# -- classes -------------------------------------------------------------------------------


def _class_frame(
    run: TableRun, judged: pd.DataFrame, trainings: pd.DataFrame, drawn: Resampled
) -> pd.DataFrame:
    """Delta of each class for each row, from the seeds that the row is judged by."""
    samples = drawn.classes_by_row(trainings)
    values = {key: {name: one.value for name, one in by.items()} for key, by in samples.items()}
    again = {key: {name: one.resampled for name, one in by.items()} for key, by in samples.items()}
    limits = {
        row: look or math.inf  # before its first look a row has all of its seeds
        for row, look in zip(judged["row"], judged.get("look", judged["planned"]), strict=True)
    }
    baselines = {row.key: row.baseline for row in run.table.rows if row.key != row.baseline}
    found = class_deltas(values, baselines, limits=limits, resampled=again, images=drawn.holding)
    titles = {row.key: row.title for row in run.table.rows}
    return found.assign(title=found["row"].map(titles), baseline=found["row"].map(baselines))[
        list(CLASS_COLUMNS)
    ]


# -- costs ---------------------------------------------------------------------------------


def _train_s(trainings: pd.DataFrame, row: str) -> float:
    own = trainings[(trainings["row"] == row) & (trainings["state"] == "COMPLETE")]
    seconds = [training_s(Path(folder)) for folder in own["folder"]]
    return float(pd.Series(seconds, dtype=float).mean())


def training_s(folder: Path) -> float:
    """Seconds that a training and its evaluations took; NaN if it does not say."""
    epochs = [row.get("metrics") for row in TrialFolder(folder).read_metrics()]
    spent = [
        each.get("train_time_s", math.nan) + each.get("eval_time_s", math.nan)
        for each in epochs
        if isinstance(each, dict)
    ]
    return math.fsum(spent) if spent else math.nan
