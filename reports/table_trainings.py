"""The trainings behind the rows of a table: what was changed, their files, how to repeat one."""

import os
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import numpy as np

from evolve.ablation.record import StoredRow
from evolve.analysis.phrases import change
from evolve.findings.table import TableFindings
from evolve.store.folder import TrialFolder
from evolve.store.manifest import flatten
from reports.method import typed_data, typed_path
from reports.summary import STATE_WORDS
from reports.text import clean, percent

MOST_CURVES = 16
MOST_POINTS = 30  # of a curve: its panel is small
LONGEST_CHANGE = 160
FILES = ("config.yaml", "log.txt", "metrics.jsonl", "last.pt")

_WORDS = STATE_WORDS | {"WAITING": "waiting"}


@dataclass(frozen=True)
class TrainingView:
    """One training; `links` are names of files and where they lie, from the page on."""

    seed_index: int
    seed: str
    state: str
    val: str
    judged: str
    reason: str
    origin: str
    links: tuple[tuple[str, str], ...]
    command: str


@dataclass(frozen=True)
class RowView:
    """A row; `changes` are key paths with what they were in its baseline and are here."""

    key: str
    anchor: str
    title: str
    baseline: str
    changes: tuple[tuple[str, str], ...]
    knows_changes: bool
    trainings: tuple[TrainingView, ...]


@dataclass(frozen=True)
class RowCurve:
    """Objective on val after each epoch in percent: mean, least and most over the seeds."""

    key: str
    title: str
    seeds: int
    epochs: tuple[float, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class Behind:
    """All that a report reads from the folders of trainings."""

    rows: tuple[RowView, ...]
    curves: tuple[RowCurve, ...]


def read_behind(found: TableFindings, out: Path) -> Behind:
    """What lies behind the rows, for a page in the folder `out`."""
    return Behind(tuple(_rows(found, out)), tuple(_curves(found)))


# -- rows ----------------------------------------------------------------------------------


def anchors(found: TableFindings) -> dict[str, str]:
    """What each row is called on the page."""
    made: dict[str, str] = {}
    for place, row in enumerate(found.table.rows):
        name = f"row-{re.sub(r'[^A-Za-z0-9._-]+', '-', row.key)}"
        made[row.key] = f"{name}-{place}" if name in made.values() else name
    return made


def _rows(found: TableFindings, out: Path) -> Iterator[RowView]:
    configs, names = _configs(found), anchors(found)
    places = Places(found, out)
    titles = {row.key: clean(row.title) for row in found.table.rows}
    for row in found.table.rows:
        own, base = configs.get(row.key), configs.get(row.baseline)
        yield RowView(
            key=row.key,
            anchor=names[row.key],
            title=titles[row.key],
            baseline="" if row.key == row.baseline else titles.get(row.baseline, ""),
            changes=tuple(_changes(base, own)) if own and base else (),
            knows_changes=bool(own and base),
            trainings=tuple(_trainings(found, row, places)),
        )


def _configs(found: TableFindings) -> dict[str, dict[str, Any]]:
    """Configurations by row, each with that of the classifier that it starts from."""
    stored = found.manifest.get("rows")
    known: dict[str, dict[str, Any]] = {}
    for key, one in (stored if isinstance(stored, dict) else {}).items():
        if isinstance(one, dict) and isinstance(one.get("config"), dict):
            before = one.get("pretrain")
            known[key] = one["config"] | ({"pretrain": before} if before else {})
    for row in () if found.record is None else found.record.rows:
        if row.config:
            known.setdefault(row.key, row.config)
    return known


def _changes(base: Mapping[str, Any], own: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    old, new = flatten(dict(base)), flatten(dict(own))
    for key in dict.fromkeys([*old, *new]):
        if key != "seed" and old.get(key) != new.get(key):
            text = change(old.get(key), new.get(key)).replace("->", "\u2192")
            yield clean(key), clean(text, longest=LONGEST_CHANGE)


def _trainings(found: TableFindings, row: StoredRow, places: "Places") -> Iterator[TrainingView]:
    own = found.trainings[found.trainings["row"] == row.key].sort_values("seed_index")
    for one in cast("list[dict[str, Any]]", own.to_dict("records")):
        yield TrainingView(
            seed_index=int(one["seed_index"]),
            seed="" if _is_none(one["seed"]) else str(int(one["seed"])),
            state=_WORDS.get(str(one["state"]), clean(one["state"], longest=20)),
            val=percent(one["value_val"]),
            judged=percent(one["value_test"]),
            reason=clean(one["reason"], longest=300),
            origin=places.origin(one),
            links=tuple(places.links(one)),
            command=places.command(one),
        )


def _is_none(value: Any) -> bool:
    return value is None or value != value  # NaN, where others of the column have one


class Places:
    """Where the files of trainings lie, as seen from a report, and from a shell.

    Parameters
    ----------
    found : TableFindings
    out : Path
        Folder of the report.
    """

    def __init__(self, found: TableFindings, out: Path) -> None:
        self._manifest, self._out = found.manifest, out.resolve()
        self._run, self._typed = found.folder.resolve(), typed_path(found.folder)
        first = found.trainings[found.trainings["training"] != ""].drop_duplicates("training")
        self._first = dict(zip(first["training"], first["row"], strict=True))
        self._titles = {row.key: row.title for row in found.table.rows}

    def origin(self, one: Mapping[str, Any]) -> str:
        """Whose training it is, if not this row's own."""
        first = self._first.get(one["training"], one["row"])
        if first != one["row"]:
            return f"the same training as that of {clean(self._titles.get(first, first))}"
        taken = clean(one["taken_from"], longest=80)
        return f"taken over from the run {taken}" if taken else ""

    def links(self, one: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Files that are there, and inside the run."""
        for name in FILES:
            path = self._inside(one, name)
            if path is not None:
                yield name, quote(Path(os.path.relpath(path, self._out)).as_posix())

    def typed(self, one: Mapping[str, Any], name: str) -> str:
        """A file as one would type it; empty if it is not there."""
        path = self._inside(one, name)
        if path is None:
            return ""
        return clean(f"{self._typed}/{path.relative_to(self._run).as_posix()}")

    def command(self, one: Mapping[str, Any]) -> str:
        """What trains the same again; empty for what has not begun or needs no training."""
        config = self.typed(one, "config.yaml")
        if not config or self._manifest.get("trainer", "detector") != "detector":
            return ""
        words = ["evolve", "train", "--config", config, "--data", typed_data(self._manifest)]
        seed, threads = self._manifest.get("seed"), self._threads()
        words += ["--split-seed", str(seed)] if isinstance(seed, int) and seed else []
        words += ["--threads", str(threads)] if threads else []
        words += ["--out", f"runs/again-{clean(one['row'])}-{int(one['seed_index'])}"]
        return shlex.join(words)

    def _threads(self) -> int:
        """Threads of each training, on which the last digits of sums depend; 0 if unknown."""
        try:
            return int(self._manifest["outlook"]["placement"]["threads"])
        except (KeyError, TypeError, ValueError):
            return 0

    def _inside(self, one: Mapping[str, Any], name: str) -> Path | None:
        folder = one.get("folder")
        if not isinstance(folder, Path):  # of a training that has none yet
            return None
        path = (folder / name).resolve()
        return path if path.is_relative_to(self._run) and path.is_file() else None


# -- curves --------------------------------------------------------------------------------


def _curves(found: TableFindings) -> Iterator[RowCurve]:
    for row in _with_curves(found):
        own = found.trainings[
            (found.trainings["row"] == row.key) & (found.trainings["state"] == "COMPLETE")
        ]
        each = [_epochs(Path(folder)) for folder in own["folder"]]
        each = [one for one in each if len(one) > 1]
        if each:
            yield _curve(row, each)


def _with_curves(found: TableFindings) -> list[StoredRow]:
    """Rows of a picture: of very many the baselines, and those that differ most from them."""
    rows = found.table.rows
    if len(rows) <= MOST_CURVES:
        return list(rows)
    sizes = dict(zip(found.judged["row"], found.judged["delta"].abs().fillna(0.0), strict=True))
    ranked = sorted(rows, key=lambda row: (row.key != row.baseline, -sizes.get(row.key, 0.0)))
    picked = {row.key for row in ranked[:MOST_CURVES]}
    return [row for row in rows if row.key in picked]


def _epochs(folder: Path) -> dict[int, float]:
    """Objective in percent by epoch."""
    values = {}
    for row in TrialFolder(folder).read_metrics():
        value, epoch = row.get("objective"), row.get("epoch")
        if isinstance(value, int | float) and isinstance(epoch, int) and value == value:
            values[epoch] = 100.0 * value
    return values


def _curve(row: StoredRow, each: list[dict[int, float]]) -> RowCurve:
    epochs = sorted(set.intersection(*(set(one) for one in each)))
    if len(epochs) > MOST_POINTS:
        places = np.linspace(0, len(epochs) - 1, MOST_POINTS).round().astype(int)
        epochs = [epochs[place] for place in places]
    values = np.array([[one[epoch] for epoch in epochs] for one in each]).reshape(len(each), -1)
    ends = (values.mean(axis=0), values.min(axis=0), values.max(axis=0))
    mean, low, high = (tuple(end.tolist()) for end in ends)
    title = clean(row.title, longest=40)
    return RowCurve(row.key, title, len(each), tuple(map(float, epochs)), mean, low, high)
