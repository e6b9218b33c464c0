"""Where the time of a run's workers went, from its journals and the epochs of its trainings."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from evolve.analysis.spent import worker_time
from evolve.findings.records import Findings
from evolve.store.comparison import ComparisonRecord
from evolve.store.folder import RunFolder, TrialFolder
from evolve.store.records import RunRecord

SEARCH, FINAL = "search", "final comparison"

_TIMES = ("train_time_s", "eval_time_s")


def with_spending(found: Findings, run: RunRecord, record: ComparisonRecord | None) -> Findings:
    """Findings whose cost tells what the workers did, where anything was written down."""
    cost = found.cost
    if cost is None:
        return found
    frames = [worker_time(cost.search, *_of_search(run)).assign(part=SEARCH)]
    if cost.final is not None and record is not None:
        frames.append(worker_time(cost.final, *_of_final(run, record)).assign(part=FINAL))
    return replace(found, cost=replace(cost, spent=pd.concat(frames, ignore_index=True)))


def _of_search(run: RunRecord) -> tuple[float, float]:
    """Seconds of training and evaluation, each epoch counted where it was trained."""
    epochs = run.epochs
    if not set(_TIMES) <= set(epochs.columns):
        return 0.0, 0.0
    taken_over = epochs["number"].map({n: _last_of_others(r) for n, r in run.recipes.items()})
    own = epochs[~(epochs["epoch"] <= taken_over.astype(float))]
    return float(own[_TIMES[0]].sum()), float(own[_TIMES[1]].sum())


def _last_of_others(recipe: Mapping[str, Any]) -> int:
    """Last epoch that a trial took over from others."""
    return max((int(one["epoch"]) for one in recipe["lineage"]), default=0)


def _of_final(run: RunRecord, record: ComparisonRecord) -> tuple[float, float]:
    """The same of the trainings that the comparison did itself."""
    home = RunFolder(run.folder).comparison(record.plan.name).path
    folders = {Path(folder) for folder in record.trainings["folder"]}
    rows = [
        row["metrics"]
        for folder in sorted(folders)
        if folder.is_relative_to(home)
        for row in TrialFolder(folder).read_metrics()
    ]
    frame = pd.DataFrame(rows, columns=list(_TIMES), dtype=float)
    return float(frame[_TIMES[0]].sum()), float(frame[_TIMES[1]].sum())
