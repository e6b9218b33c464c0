"""A stored comparison as plain frames: rows, each trained with the same seeds.

The plan of a comparison, `comparison.json` in its folder, names its rows and seeds and the
training of each pair. The trainings are trials of a study of their own in the run's storage. A
training that two rows have in common is there once; one that another comparison of the run has
done stays in that one's folder. A row may have the first of the seeds alone.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna.trial import FrozenTrial, TrialState

from evolve.errors import StoreError
from evolve.store.folder import ComparisonFolder, RunFolder, TrialFolder, write_json
from evolve.store.read import read_manifest, stored_trials
from evolve.store.study import METRICS_ATTR, failure_of

if TYPE_CHECKING:
    import pandas as pd

FINAL = "final"
PATH = "path"
TABLE = "table"
PRETRAIN = "pretrain"  # the classifiers whose backbones the detectors of a table start from
TRAINING_ATTR = "evolve:training"
ROW_ATTR = "evolve:row"
SEED_INDEX_ATTR = "evolve:seed_index"
SEED_ATTR = "evolve:seed"
FOLDER_ATTR = "evolve:folder"  # from the run folder on; of a training taken over from another
TAKEN_ATTR = "evolve:taken_from"  # run that has done a training, where it was not this one

COLUMNS = (
    *("row", "title", "seed_index", "seed", "training", "state", "reason", "log", "taken_from"),
    *("value_val", "value_test", "metrics", "epochs_done", "folder"),
)


@dataclass(frozen=True)
class RowRecord:
    """One row of a comparison.

    Attributes
    ----------
    key, title : str
    config : dict
        Training configuration; its seed is replaced in each training.
    trainings : tuple of str
        What the training with each of its seeds, the first of the plan's, is known by.
    trial : int or None
        Trial of the search that the row is a candidate from.
    search_value : float or None
        Value of that trial: the objective on val, from one training.
    after : tuple of str
        Training of another comparison of the run whose backbone each of them starts from; empty
        if none does.
    """

    key: str
    title: str
    config: dict[str, Any]
    trainings: tuple[str, ...]
    trial: int | None = None
    search_value: float | None = None
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class PlanRecord:
    """What is compared.

    Attributes
    ----------
    name : str
        Of the folder.
    title : str
        What the comparison is called.
    objective : str
    judged_on : str
        Split whose values are compared: test, or val where the data have no test split.
    seeds : tuple of int
    rows : tuple of RowRecord
    """

    name: str
    title: str
    objective: str
    judged_on: str
    seeds: tuple[int, ...]
    rows: tuple[RowRecord, ...]

    def write(self, folder: ComparisonFolder) -> None:
        """Write the plan, in one step."""
        folder.path.mkdir(parents=True, exist_ok=True)
        write_json(folder.plan, asdict(self))

    @classmethod
    def read(cls, folder: ComparisonFolder) -> "PlanRecord":
        """The plan in a folder; a StoreError if it cannot be read."""
        try:
            tree = json.loads(folder.plan.read_text(encoding="utf-8"))
            rows = tuple(
                RowRecord(
                    **{
                        **row,
                        "trainings": tuple(row["trainings"]),
                        "after": tuple(row.get("after", ())),
                    }
                )
                for row in tree.pop("rows")
            )
            return cls(**{**tree, "seeds": tuple(tree["seeds"]), "rows": rows})
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            what = f"the plan of the comparison cannot be read: {error}"
            raise StoreError(
                what, str(folder.plan), "delete it; the run writes it anew"
            ) from error

    def cells(self) -> Iterator[tuple[RowRecord, int]]:
        """Every row with the index of its every seed; all rows of a seed before the next seed."""
        for index in range(len(self.seeds)):
            for row in self.rows:
                if index < len(row.trainings):
                    yield row, index


@dataclass(frozen=True)
class ComparisonRecord:
    """A comparison read from its run, finished or not.

    Attributes
    ----------
    plan : PlanRecord
    trainings : DataFrame, one row for each row and seed, seeds of the first row first
        row, title (text), seed_index, seed (int), training (text, equal where two rows share
        one), state (COMPLETE, FAIL, RUNNING, or WAITING if
        it has not begun), reason (of a failure, else empty), log (tuple of text, the last lines
        before a failure), taken_from (name of the run that has done it, empty if this one),
        value_val (objective on val after the last epoch, NaN if none), value_test (objective on
        the split that is judged on, NaN if none), metrics (dict of str -> float, those of that
        split with its name before them, as ``test/AP``; NaN where unmeasurable), epochs_done
        (int), folder (Path; two rows that share a training share its folder).
    """

    plan: PlanRecord
    trainings: "pd.DataFrame"

    @property
    def judged_on(self) -> str:
        """Split whose values are compared: test or val."""
        return self.plan.judged_on

    @property
    def rows(self) -> tuple[RowRecord, ...]:
        """The rows in their order, the defaults first."""
        return self.plan.rows

    def of_row(self, key: str) -> "pd.DataFrame":
        """Trainings of a row, in the order of the seeds."""
        return self.trainings[self.trainings["row"] == key]

    @property
    def is_complete(self) -> bool:
        """Whether all trainings have ended."""
        return bool(self.trainings["state"].isin(("COMPLETE", "FAIL")).all())

    def winner(self) -> RowRecord | None:
        """The row with the highest mean objective on val; None if no training is complete.

        It is chosen on val, so that what is said of it on test is not flattered by the choice. A
        row that failed with some seeds stands behind those that did not; of equals the first
        wins, which are the defaults.
        """
        ranks = {row.key: self._rank(row.key) for row in self.rows}
        best = max(self.rows, key=lambda row: ranks[row.key])
        return best if ranks[best.key][0] else None

    def _rank(self, key: str) -> tuple[int, float]:
        values = self.of_row(key)["value_val"].dropna()
        return len(values), float(values.mean()) if len(values) else -math.inf


def read_comparison(path: Path, name: str = FINAL) -> ComparisonRecord | None:
    """Read a comparison from the folder of its run; None if it was not begun.

    Raises
    ------
    StoreError
        If the folder holds no run, or what it holds cannot be read.
    """
    run = RunFolder.open(path)
    folder = run.comparison(name)
    if not folder.plan.is_file():
        return None
    plan = PlanRecord.read(folder)
    trials = stored_trainings(run, name)
    import pandas as pd  # half a second, which a run without a comparison is spared

    records = [_record(plan, row, index, trials, folder) for row, index in _by_row(plan)]
    return ComparisonRecord(plan, pd.DataFrame(records, columns=list(COLUMNS)))


def _by_row(plan: PlanRecord) -> Iterator[tuple[RowRecord, int]]:
    return ((row, index) for row in plan.rows for index in range(len(row.trainings)))


def stored_trainings(run: RunFolder, name: str) -> dict[str, FrozenTrial]:
    """Trials of a comparison by their training."""
    trials = stored_trials(run, read_manifest(run), name)
    return {trial.user_attrs[TRAINING_ATTR]: trial for trial in trials}


def folder_of(trial: FrozenTrial, comparison: ComparisonFolder) -> TrialFolder:
    """Folder of a training that a comparison has stored."""
    attrs = trial.user_attrs
    if FOLDER_ATTR in attrs:
        return TrialFolder(comparison.path.parent / attrs[FOLDER_ATTR])
    return comparison.training(attrs[ROW_ATTR], attrs[SEED_INDEX_ATTR])


def _record(
    plan: PlanRecord,
    row: RowRecord,
    index: int,
    trials: dict[str, FrozenTrial],
    folder: ComparisonFolder,
) -> dict[str, Any]:
    training = row.trainings[index]
    trial = trials.get(training)
    head = {
        "row": row.key,
        "title": row.title,
        "seed_index": index,
        "seed": plan.seeds[index],
        "training": training,
    }
    if trial is None:
        return {**head, **_nothing(), "folder": folder.training(row.key, index).path}
    place = folder_of(trial, folder)
    failure = failure_of(trial)
    stored = trial.user_attrs.get(METRICS_ATTR, {})
    metrics = {key: math.nan if value is None else value for key, value in stored.items()}
    value = trial.value if trial.state == TrialState.COMPLETE else None
    value_val = math.nan if value is None else value
    judged = metrics.get(f"{plan.judged_on}/{plan.objective}", math.nan)
    return {
        **head,
        "state": trial.state.name,
        "reason": f"{failure['type']}: {failure['what']}" if failure else "",
        "log": tuple(map(str, failure.get("log") or ())),
        "taken_from": str(trial.user_attrs.get(TAKEN_ATTR, "")),
        "value_val": value_val,
        "value_test": value_val if plan.judged_on == "val" else judged,
        "metrics": metrics,
        "epochs_done": len(place.read_metrics()),
        "folder": place.path,
    }


def _nothing() -> dict[str, Any]:
    """What is known of a training that has not begun."""
    none = {"value_val": math.nan, "value_test": math.nan, "metrics": {}, "epochs_done": 0}
    return {"state": "WAITING", "reason": "", "log": (), "taken_from": "", **none}
