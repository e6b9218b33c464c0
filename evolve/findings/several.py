"""Several runs beside each other: what each ended with, measured how, and how far apart.

Values are compared where they were measured alike: the same data, classes, split and metric.
Those that differ in less, such as the input size, stand there with a mark; of runs that have
nothing in common there is no comparison.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from evolve.analysis.deltas import Delta
from evolve.analysis.intervals import LEVEL
from evolve.errors import ReportError, StoreError
from evolve.findings.join import find
from evolve.findings.records import Final, Findings
from evolve.findings.table import find_table
from evolve.findings.table_records import TableFindings
from evolve.protocol import UNLIKE, Protocol, differing, in_words, marks, protocol_of
from evolve.store.folder import RunFolder
from evolve.store.manifest import ABLATION, kind_of
from evolve.store.read import read_manifest, read_run
from evolve.store.records import RunRecord

_METRICS = ("AP", "AP50", "AP75")


@dataclass(frozen=True)
class Line:
    """What one configuration of a run was measured at.

    Attributes
    ----------
    run : int
        Place of its run.
    key, title : str
        As its run calls it.
    is_lead : bool
        Whether it is what its run ended with: the winner, or the best row.
    values : tuple of float
        Objective of each complete training, in [0, 1].
    metrics : dict of str -> float
        Means over them; NaN where unknown.
    delta : Delta or None
        To the defaults or the baseline of its run; None for these.
    word : str
        What its run says of it; empty if nothing.
    protocol : Protocol
    mark : str
        Empty, or the sign of a note: measured otherwise than most.
    """

    run: int
    key: str
    title: str
    is_lead: bool
    values: tuple[float, ...]
    metrics: dict[str, float]
    delta: Delta | None
    word: str
    protocol: Protocol
    mark: str = ""

    @property
    def mean(self) -> float:
        """Of the values; NaN without one."""
        return float(np.mean(self.values)) if self.values else math.nan

    @property
    def sd(self) -> float:
        """Of the values; NaN below two."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else math.nan


@dataclass(frozen=True)
class OneRun:
    """A run among others.

    Attributes
    ----------
    folder : Path
    name, kind : str
    manifest : dict
    trainings : int
        That ended with a value.
    device_s : float
        Seconds of all trainings; NaN where unknown.
    sentence : str
        The verdict of the run alone.
    unfinished : str
    history : DataFrame
        trial, hours (of trainings, one after the other) and best (so far, in [0, 1], on val, of
        complete trials) of an evolution; empty of an ablation.
    """

    folder: Path
    name: str
    kind: str
    manifest: dict[str, Any]
    trainings: int
    device_s: float
    sentence: str
    unfinished: str
    history: pd.DataFrame


@dataclass(frozen=True)
class Apart:
    """How far apart what two runs ended with is: the second less the first."""

    first: Line
    second: Line
    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class Several:
    """Runs beside each other.

    Attributes
    ----------
    runs : tuple of OneRun
    lines : tuple of Line
        Those of each run together, in the order of the runs.
    notes : tuple of str
        What the marks of lines mean.
    apart : tuple of Apart
        Of each two runs whose leads were measured alike.
    """

    runs: tuple[OneRun, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...]
    apart: tuple[Apart, ...]


def find_several(folders: Sequence[Path], data: str | None = None) -> Several:
    """What several runs have to say beside each other.

    Raises
    ------
    StoreError
        If a folder holds no run, or two are the same.
    ReportError
        If no two of the runs were measured alike, or a run has no complete training.
    """
    _check_different(folders)
    found = [_read(place, folder, data) for place, folder in enumerate(folders)]
    runs, each = [one for one, _ in found], [lines for _, lines in found]
    _check_alike(runs, each)
    lines = [line for own in each for line in own]
    signs, notes = marks({n: line.protocol for n, line in enumerate(lines)})
    marked = tuple(Line(**{**vars(line), "mark": signs[n]}) for n, line in enumerate(lines))
    return Several(tuple(runs), marked, tuple(notes), tuple(_all_apart(marked)))


def _check_different(folders: Sequence[Path]) -> None:
    seen: dict[Path, Path] = {}
    for folder in folders:
        before = seen.setdefault(folder.resolve(), folder)
        if before is not folder:
            raise StoreError("the same run is named twice", str(folder), "name each run once")


def _read(place: int, folder: Path, data: str | None) -> tuple[OneRun, list[Line]]:
    manifest = read_manifest(RunFolder.open(folder))
    if kind_of(manifest) == ABLATION:
        table = find_table(folder, data)
        run, lines = _of_table(place, folder, manifest, table)
    else:
        record = read_run(folder)
        run, lines = _of_run(place, record, find(folder, data, record))
    if not any(line.values for line in lines):
        raise ReportError(
            "the run has no complete training, so there is nothing to compare",
            str(folder),
            "let it go on with `evolve resume`, or leave it out",
        )
    return run, lines


def _check_alike(runs: Sequence[OneRun], each: Sequence[Sequence[Line]]) -> None:
    """Refuse runs of which no two have lines that can be compared."""
    for first, second in combinations(each, 2):
        if any(_are_comparable(a.protocol, b.protocol) for a in first for b in second):
            return
    names = [
        name for name in differing(each[0][0].protocol, each[1][0].protocol) if name in UNLIKE
    ]
    between = " and ".join(str(run.folder) for run in runs[:2])
    raise ReportError(
        f"the runs were measured on nothing in common: they differ in {in_words(names)}",
        between,
        "compare runs on the same data, judged on the same split by the same metric",
    )


def _are_comparable(first: Protocol, second: Protocol) -> bool:
    return not set(differing(first, second)) & set(UNLIKE)


# -- evolutions ----------------------------------------------------------------------------


def _of_run(place: int, run: RunRecord, found: Findings) -> tuple[OneRun, list[Line]]:
    final = found.final
    if final is not None and any(row.judged.count for row in final.rows):
        lines = _final_lines(place, run, final)
        sentence, unfinished = final.sentence, final.unfinished
    else:
        lines, sentence = _search_lines(place, run), "No fresh seeds yet: values of the search."
        unfinished = "" if final is None else final.unfinished
    complete = run.trials["state"] == "COMPLETE"
    one = OneRun(
        folder=run.folder,
        name=_name(run.manifest, run.folder),
        kind="evolution",
        manifest=run.manifest,
        trainings=int(complete.sum()) + sum(len(line.values) for line in lines if final),
        device_s=_device_s(run, found),
        sentence=sentence,
        unfinished=unfinished,
        history=history_of(run.trials),
    )
    return one, lines


def _device_s(run: RunRecord, found: Findings) -> float:
    if found.cost is None:
        return float(run.trials["wall_time_s"].sum(min_count=1))
    final = found.cost.final
    return found.cost.search.held_s + (0.0 if final is None else final.held_s)


def history_of(trials: pd.DataFrame) -> pd.DataFrame:
    """Best value so far by trial, and by hours of trainings one after the other."""
    frame = trials.sort_values("number")
    best = frame["value"].where(frame["state"] == "COMPLETE").astype(float).cummax()
    hours = frame["wall_time_s"].astype(float).fillna(0).cumsum() / 3600
    made = pd.DataFrame({"trial": frame["number"], "hours": hours, "best": best.ffill()})
    return made.dropna(subset=["best"]).reset_index(drop=True)


def _final_lines(place: int, run: RunRecord, final: Final) -> list[Line]:
    protocol = protocol_of(run.manifest, split=final.judged_on)
    word = "" if final.verdict is None else final.verdict.word
    default = final.rows[0].key
    return [
        Line(
            run=place,
            key=row.key,
            title=row.title,
            is_lead=row.key == (final.winner or default),
            values=tuple(v for v in row.values if not math.isnan(v)),
            metrics={name: float(row.metrics.get(name, math.nan)) for name in _METRICS},
            delta=row.delta,
            word=word if row.key == final.winner != default else "",
            protocol=protocol,
        )
        for row in final.rows
    ]


def _search_lines(place: int, run: RunRecord) -> list[Line]:
    """The defaults and the best trial, as the search alone has them."""
    protocol = protocol_of(run.manifest, split="val")
    frame = run.trials[(run.trials["state"] == "COMPLETE") & run.trials["value"].notna()]
    if frame.empty:
        return []
    best = int(frame["number"].iloc[int(frame["value"].to_numpy().argmax())])
    shown = frame[frame["number"].isin([0, best])]
    return [
        Line(
            run=place,
            key=f"trial-{one['number']}",
            title="the defaults" if one["number"] == 0 else f"trial {one['number']}",
            is_lead=one["number"] == best,
            values=(float(one["value"]),),
            metrics={name: float(one.get(name, math.nan)) for name in _METRICS},
            delta=None,
            word="",
            protocol=protocol,
        )
        for one in shown.to_dict("records")
    ]


# -- ablations -----------------------------------------------------------------------------


def _of_table(
    place: int, folder: Path, manifest: dict[str, Any], found: TableFindings
) -> tuple[OneRun, list[Line]]:
    protocol = protocol_of(manifest, split=found.judged_on, metric=found.objective)
    complete = found.trainings[found.trainings["state"] == "COMPLETE"]
    by_row = dict(iter(complete.groupby("row", sort=False)))
    judged = {one["row"]: one for one in found.judged.to_dict("records")}
    means = {key: float(own["value_test"].mean()) for key, own in by_row.items()}
    lead = max(means, key=lambda key: means[key]) if means else ""
    lines = [
        Line(
            run=place,
            key=row.key,
            title=row.title,
            is_lead=row.key == lead,
            values=tuple(map(float, by_row[row.key]["value_test"])) if row.key in by_row else (),
            metrics=_table_metrics(by_row.get(row.key), found.judged_on),
            delta=None if row.key == row.baseline else _judged_delta(judged.get(row.key)),
            word=str((judged.get(row.key) or {}).get("word", "")),
            protocol=protocol,
        )
        for row in found.table.rows
    ]
    one = OneRun(
        folder=folder,
        name=_name(manifest, folder),
        kind="ablation",
        manifest=manifest,
        trainings=len(complete),
        device_s=math.fsum(
            found.train_s[row.key] * len(by_row[row.key])
            for row in found.table.rows
            if row.key in by_row
        ),
        sentence=found.sentences[0] if found.sentences else "",
        unfinished=found.unfinished,
        history=pd.DataFrame(columns=["trial", "hours", "best"]),
    )
    return one, lines


def _table_metrics(own: pd.DataFrame | None, split: str) -> dict[str, float]:
    prefix = "" if split == "val" else f"{split}/"
    rows = [] if own is None else list(own["metrics"])
    values = {name: [row.get(prefix + name, math.nan) for row in rows] for name in _METRICS}
    return {name: float(np.mean(found)) if found else math.nan for name, found in values.items()}


def _judged_delta(line: Mapping[Any, Any] | None) -> Delta | None:
    if line is None or math.isnan(line["delta"]):
        return None
    mean, low, high = (float(line[name]) for name in ("delta", "low", "high"))
    return Delta(mean, math.nan, int(line["pairs"]), line["source"], low=low, high=high)


def _name(manifest: dict[str, Any], folder: Path) -> str:
    return str(manifest.get("name") or folder.resolve().name)


# -- apart ---------------------------------------------------------------------------------


def _all_apart(lines: Iterable[Line]) -> Iterable[Apart]:
    leads = [line for line in lines if line.is_lead]
    for first, second in combinations(leads, 2):
        if first.protocol == second.protocol:
            yield apart(first, second)


def apart(first: Line, second: Line) -> Apart:
    """Difference of two means with an interval over the seeds: Welch's t of two samples.

    Seeds of different runs are not pairs. Images have no part in it: both are measured on the
    same, so what an image favours it favours in both, more or less.

    References
    ----------
    Welch (1947), Biometrika 34: the generalization of Student's problem.
    """
    difference = second.mean - first.mean
    parts = [np.var(one.values, ddof=1) / len(one.values) if len(one.values) > 1 else math.nan
             for one in (first, second)]  # fmt: skip
    variance = sum(parts)
    if not variance > 0:
        return Apart(first, second, difference, math.nan, math.nan)
    unsure = sum(
        part**2 / (len(one.values) - 1) for part, one in zip(parts, (first, second), strict=True)
    )
    reach = special.stdtrit(variance**2 / unsure, (1 + LEVEL) / 2) * math.sqrt(variance)
    return Apart(first, second, difference, difference - reach, difference + reach)
