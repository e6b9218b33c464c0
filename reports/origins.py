"""Where the numbers of a run come from: each trial and final training, and how to repeat it.

Names of files are ours, so that nothing from outside becomes part of a link; what a link leads to
lies in the run folder.
"""

import math
import os
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from evolve.findings import Final, RowFinding
from evolve.store.folder import TrialFolder
from evolve.store.records import RunRecord
from reports.method import data_path, run_path
from reports.summary import STATE_WORDS, Summary
from reports.tables import (
    over_time,
    parameter_value,
    reason_text,
    row_anchor,
    trial_anchor,
    trial_row,
)
from reports.text import MISSING, clean, number, percent

MOST_TOLD = 120  # trials with an entry of their own; a page has room for no more


@dataclass(frozen=True)
class Training:
    """One training: what came of it, its files, and the command that repeats it."""

    about: str
    links: tuple[tuple[str, str], ...]
    command: str


@dataclass(frozen=True)
class Origin:
    """What stands behind the numbers of a trial, or of a row of a comparison.

    Attributes
    ----------
    anchor : str
        Id in the page.
    title, about : str
        Clean text.
    changes : tuple of (str, str, str)
        Key path, its value in the defaults, and here.
    trainings : tuple of Training
    """

    anchor: str
    title: str
    about: str
    changes: tuple[tuple[str, str, str], ...]
    trainings: tuple[Training, ...]


def trial_origins(run: RunRecord, summary: Summary, out: Path) -> tuple[Origin, ...]:
    """Each trial, of many those that stand out, the best and the last.

    Parameters
    ----------
    out : Path
        Folder of the page, from which links lead to files.
    """
    return tuple(_of_trial(run, summary, number, out) for number in told_trials(run, summary))


def told_trials(run: RunRecord, summary: Summary) -> list[int]:
    """Numbers of the trials that have an entry."""
    frame = run.trials
    if len(frame) <= MOST_TOLD:
        return [int(n) for n in frame["number"]]
    scores = (score for score in (summary.best, summary.default) if score is not None)
    best = frame[frame["state"] == "COMPLETE"].nlargest(MOST_TOLD // 2, "value")["number"]
    last = frame["number"].tail(MOST_TOLD // 4)
    return sorted({*map(int, best), *map(int, last), *(score.number for score in scores)})


def _of_trial(run: RunRecord, summary: Summary, trial: int, out: Path) -> Origin:
    row = trial_row(run, trial)
    value = float(row["value"])
    said = "" if math.isnan(value) else f", {summary.objective} {percent(value)} on val"
    reason = reason_text(run, trial, row["reason"])
    about = f"{STATE_WORDS[row['state']]}{said}{'; ' + reason if reason else ''}"
    folder = Path("trials") / f"{trial:05d}"
    epochs = f"{int(row['epochs_done'])} of {int(row['epochs'])} epochs, seed {int(row['seed'])}"
    return Origin(
        anchor=trial_anchor(trial),
        title=f"Trial {trial}",
        about=about,
        changes=_trial_changes(run, trial, row),
        trainings=(_training(run, folder, out, epochs),),
    )


def _trial_changes(
    run: RunRecord, trial: int, row: "pd.Series[Any]"
) -> tuple[tuple[str, str, str], ...]:
    recipe = run.recipes.get(trial)
    found = []
    for parameter in run.parameters:
        value = number(parameter_value(parameter, row))
        here = value if recipe is None else over_time(recipe, parameter.path)
        before = number(parameter.default)
        if here not in (before, MISSING):
            found.append((clean(parameter.path), before, here))
    return tuple(found)


def row_origins(run: RunRecord, final: Final | None, out: Path) -> tuple[Origin, ...]:
    """Each row of the final comparison with all its trainings."""
    if final is None or final.trainings.empty:
        return ()
    return tuple(
        Origin(
            anchor=row_anchor(number),
            title=clean(row.title),
            about=f"{clean(final.judged_on)}, every fresh seed",
            changes=_row_changes(run, row),
            trainings=tuple(_final_trainings(run, final, row.key, out)),
        )
        for number, row in enumerate(final.rows)
    )


def _row_changes(run: RunRecord, row: RowFinding) -> tuple[tuple[str, str, str], ...]:
    if row.trial is None or not (run.trials["number"] == row.trial).any():
        return ()
    return _trial_changes(run, row.trial, trial_row(run, row.trial))


def _final_trainings(run: RunRecord, final: Final, key: str, out: Path) -> Iterable[Training]:
    own = final.trainings[final.trainings["row"] == key]
    for one in own.to_dict("records"):
        test, val = percent(one["value_test"]), percent(one["value_val"])
        values = f"{test} on {final.judged_on}, {val} on val"
        state = STATE_WORDS.get(one["state"], clean(one["state"]).lower())
        said = values if one["state"] == "COMPLETE" else clean(one["reason"], longest=120)
        folder = inside(Path(one["folder"]), run.folder)
        yield _training(run, folder, out, clean(f"seed {one['seed']}: {state}, {said}"))


def _training(run: RunRecord, folder: Path | None, out: Path, about: str) -> Training:
    if folder is None:
        return Training(about, (), "")
    return Training(
        about,
        file_links(run.folder / folder, out),
        repeating(run_path(run), folder, data_path(run), run.manifest),
    )


def inside(folder: Path, run: Path) -> Path | None:
    """A folder from the run folder on; None if it lies elsewhere."""
    try:
        return folder.relative_to(run)
    except ValueError:
        return None


def file_links(folder: Path, out: Path) -> tuple[tuple[str, str], ...]:
    """Names of the files of a training that are there, and links from the folder of a page."""
    files = TrialFolder(folder)
    places = {
        "configuration": files.config,
        "log": files.log,
        "metrics": files.metrics,
        "weights": files.best,
        "detections": files.detections,
    }
    found = ((name, path) for name, path in places.items() if path.is_file())
    return tuple(
        (name, quote(Path(os.path.relpath(path, out)).as_posix())) for name, path in found
    )


def repeating(run: str, folder: Path, data: str, manifest: Mapping[str, Any]) -> str:
    """The shell command that trains the same again, with as many threads."""
    parts = ["evolve", "train", "--config", f"{run}/{folder.as_posix()}/config.yaml"]
    parts += ["--data", data]
    seed = manifest.get("seed")
    if isinstance(seed, int) and seed and data.endswith(".json"):
        parts += ["--split-seed", str(seed)]
    threads = _threads(manifest)
    if threads:
        parts += ["--threads", str(threads)]
    return clean(shlex.join([*parts, "--out", f"runs/again-{'-'.join(folder.parts[1:])}"]))


def _threads(manifest: Mapping[str, Any]) -> int:
    try:
        threads = manifest["outlook"]["placement"]["threads"]
    except (KeyError, TypeError):
        return 0
    return threads if isinstance(threads, int) else 0


def untold(run: RunRecord) -> str:
    """Which trials have no entry; empty if all have."""
    if len(run.trials) <= MOST_TOLD:
        return ""
    return (
        f"Of {len(run.trials):,} trials the {MOST_TOLD // 2} best, the last {MOST_TOLD // 4} and "
        "those that are named above have an entry; all have a folder, trials/NUMBER."
    )
