"""Join what an ablation run stored with what statistics say of its table.

What takes long is kept in ``findings.json`` of the run folder. Neither torch nor ray is needed.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from evolve.ablation.costs import Costs, read_costs
from evolve.ablation.record import StoredRow, StoredTable
from evolve.analysis.class_deltas import COLUMNS as DELTA_COLUMNS
from evolve.analysis.class_deltas import class_deltas
from evolve.analysis.decisions import REGION
from evolve.analysis.judged_rows import judge_table
from evolve.analysis.phrases import listed, plural
from evolve.analysis.sequential import LOOKS, Looks, judge_looks
from evolve.errors import StoreError
from evolve.findings.cache import Cache
from evolve.findings.images import Resampled, resample
from evolve.findings.table_effects import design_effects, stored_design
from evolve.store.comparison import COLUMNS, ComparisonRecord, read_comparison
from evolve.store.folder import RunFolder, TrialFolder
from evolve.store.read import read_manifest

KIND, NAME, AUTO = "ablation", "table", "auto"
CLASS_COLUMNS = ("row", "title", "baseline")

_ENDED = ("COMPLETE", "FAIL")
_WAITING = {"value_val": math.nan, "value_test": math.nan, "epochs_done": 0}


@dataclass(frozen=True)
class TableRun:
    """What the manifest of an ablation run declares.

    Attributes
    ----------
    table : StoredTable
    objective, judged_on : str
    seeds : int or None
        Of each row; None where seeds come at looks.
    looks : tuple of int
        Numbers of seeds at which rows are judged; empty where `seeds` is given.
    region : float
        Differences in [0, 1] that are as good as none.
    is_over : bool
        Nothing more will be trained.
    """

    table: StoredTable
    objective: str
    judged_on: str
    seeds: int | None
    looks: tuple[int, ...]
    region: float = REGION
    is_over: bool = False

    @classmethod
    def of_manifest(cls, manifest: Mapping[str, Any], where: str = "") -> "TableRun":
        """What a manifest says.

        Raises
        ------
        StoreError
            If it is none of an ablation.
        """
        tree = manifest.get("table")
        if manifest.get("kind", KIND) != KIND or not isinstance(tree, dict):
            raise StoreError(
                "this run has no ablation table", where, "start one with 'evolve ablate'"
            )
        table = StoredTable.from_dict(tree, where)
        try:
            is_auto = manifest.get("seeds") == AUTO
            looks = tuple(int(n) for n in manifest.get("looks") or LOOKS) if is_auto else ()
            return cls(
                table,
                str(manifest.get("objective") or table.objective),
                str(manifest.get("judged_on") or "test"),
                None if is_auto else int(manifest["seeds"]),
                looks,
                float(REGION if manifest.get("region") is None else manifest["region"]),
                bool(manifest.get("over", False)),
            )
        except (KeyError, TypeError, ValueError) as error:
            what = f"the manifest does not say how the table is judged: {error}"
            raise StoreError(what, where) from error


@dataclass(frozen=True)
class TableFindings:
    """All that can be said of an ablation run from what is stored.

    Attributes
    ----------
    run : TableRun
    record : ComparisonRecord or None
        The trainings as they are stored; None before they begin.
    trainings : DataFrame
        As the record's, with those that are to come as WAITING.
    judged : DataFrame
        Of `judge_table`, or of `judge_looks` where seeds come at looks.
    class_deltas : DataFrame
        row, title, baseline, and the columns of `evolve.analysis.class_deltas`, for every row
        that has a baseline.
    no_classes : str
        Why classes of trainings are missing; empty if none are.
    effects : DataFrame
        Of `findings.table_effects.design_effects`.
    no_effects : str
        Why effects are missing; empty if none are, or the design has none.
    sentences : tuple of str
        The table in words, then each row of which there is something to say.
    unfinished : str
        How far the trainings are; empty when all have ended.
    images : int or None
        Images of the split; None where they have no part.
    no_images : str
        Why images have no part in some or all intervals; else empty.
    costs : Costs or None
    train_s : dict of row -> float
        Seconds of training and evaluation, mean of the complete trainings; NaN without one.
    """

    run: TableRun
    record: ComparisonRecord | None
    trainings: pd.DataFrame
    judged: pd.DataFrame
    class_deltas: pd.DataFrame
    no_classes: str
    effects: pd.DataFrame
    no_effects: str
    sentences: tuple[str, ...]
    unfinished: str
    images: int | None
    no_images: str
    costs: Costs | None
    train_s: Mapping[str, float]

    @property
    def table(self) -> StoredTable:
        """The table as it is shown."""
        return self.run.table

    @property
    def objective(self) -> str:
        """Metric that rows are judged by."""
        return self.run.objective

    @property
    def judged_on(self) -> str:
        """Split that rows are judged on: test or val."""
        return self.run.judged_on


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
    run = TableRun.of_manifest(manifest, str(place.manifest))
    record, cache = read_comparison(folder, NAME), Cache(place.findings)
    begun = [] if record is None else [record]
    drawn = resample(begun, manifest, data, cache, classes=True, kept_alone=not images)
    if images:
        cache.write()
    return _join(run, record, drawn, manifest.get("design"), read_costs(folder), images)


def _join(
    run: TableRun,
    record: ComparisonRecord | None,
    drawn: Resampled,
    design_tree: Any,
    costs: Costs | None,
    classes: bool,
) -> TableFindings:
    trainings = _with_waiting(run, record)
    values = drawn.by_row(trainings)
    judged = _judge(run, trainings, values, drawn.images)
    design, why_not = stored_design(design_tree)
    effects = pd.DataFrame()
    if design is not None:
        effects, why_not = design_effects(design, trainings, values, drawn.images)
    by_class = _class_frame(run, judged, trainings, drawn) if classes else _class_lines([])
    return TableFindings(
        run=run,
        record=record,
        trainings=trainings,
        judged=judged,
        class_deltas=by_class,
        no_classes=drawn.why_not if classes else "they were not asked for",
        effects=effects,
        no_effects=why_not,
        sentences=tuple(_sentences(judged)),
        unfinished=_unfinished(run, record, judged),
        images=drawn.images,
        no_images=drawn.why_not,
        costs=costs,
        train_s={row.key: _train_s(trainings, row.key) for row in run.table.rows},
    )


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
    return head | _WAITING | {"training": "", "state": "WAITING", "reason": "", "metrics": {}}


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
        return judge_table(trainings, rows, baselines, region=run.region, **how)
    looks = Looks(run.looks, region=run.region)
    return judge_looks(trainings, rows, baselines, looks, is_over=run.is_over, **how)


# -- classes -------------------------------------------------------------------------------


def _class_frame(
    run: TableRun, judged: pd.DataFrame, trainings: pd.DataFrame, drawn: Resampled
) -> pd.DataFrame:
    """Delta of each class for each row, from the seeds that the row is judged by."""
    samples = drawn.classes_by_row(trainings)
    values = {key: {name: one.value for name, one in by.items()} for key, by in samples.items()}
    again = {key: {name: one.resampled for name, one in by.items()} for key, by in samples.items()}
    limits = dict(zip(judged["row"], judged.get("look", judged["planned"]), strict=True))
    frames = []
    for row in run.table.rows:
        if row.key == row.baseline:
            continue
        most = limits[row.key] or math.inf  # before its first look a row has all of its seeds
        used = {key: by for key, by in values.items() if key[1] < most}
        found = class_deltas(used, row.baseline, row.key, resampled=again, images=drawn.holding)
        frames.append(found.assign(row=row.key, title=row.title, baseline=row.baseline))
    return _class_lines([frame for frame in frames if not frame.empty])


def _class_lines(frames: list[pd.DataFrame]) -> pd.DataFrame:
    columns = [*CLASS_COLUMNS, *DELTA_COLUMNS]
    if not frames:
        return pd.DataFrame(columns=columns)
    return pd.concat(frames, ignore_index=True)[columns]


# -- words ---------------------------------------------------------------------------------


def _sentences(judged: pd.DataFrame) -> Iterator[str]:
    """The whole table first; rows without a pair or a failure have nothing to say."""
    others = judged[judged["word"] != "baseline"]
    told = others[(others["pairs"] > 0) | (others["failed"] > 0)]
    if told.empty:
        return
    if len(others) > 1:
        yield _summary(Counter(others["word"]), len(others))
    yield from told["sentence"]


def _summary(words: Mapping[str, int], rows: int) -> str:
    each = {
        "helps": ("helps", "help"),
        "hurts": ("hurts", "hurt"),
        "no effect": ("has no effect", "have no effect"),
        "undecided": ("is undecided", "are undecided"),
        "failed": ("failed", "failed"),
    }
    said = [f"{words[word]} {each[word][words[word] > 1]}" for word in each if words.get(word)]
    return f"Of {rows} rows {listed(said)}."


def _unfinished(run: TableRun, record: ComparisonRecord | None, judged: pd.DataFrame) -> str:
    """How far the trainings are; rows may share one."""
    if record is None:
        return "No training has begun."
    states = record.trainings.drop_duplicates("training")["state"]
    ended, count = int(states.isin(_ENDED).sum()), len(states)
    so_far = f"{ended} of {plural(count, 'training')} of the table have ended"
    if run.is_over:
        return f"{so_far}, and no more will be trained." if ended < count else ""
    if ended < count:
        return f"{so_far}; what is said of rows may change."
    if run.seeds is None:
        wanting = int((judged["seeds"] > judged["planned"]).sum())
        if wanting:
            return f"{plural(wanting, 'row')} will get more seeds."
    return ""


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
