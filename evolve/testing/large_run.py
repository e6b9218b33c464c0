"""A made-up run of thousands of trials, as if it had been trained: quick to make, slow to read.

The study is written in bulk: Optuna's own way takes some fifty transactions a trial.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import distribution_to_json
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.study import StudyDirection
from optuna.trial import TrialState

from evolve.search.genetic import DEFAULT, ORIGIN, PARENTS
from evolve.space import Space
from evolve.store.folder import RunFolder, to_line
from evolve.store.manifest import FORMAT
from evolve.store.study import (
    FAILURE_ATTR,
    METRICS_ATTR,
    STUDY_NAME,
    open_storage,
    sqlite_url,
)

EPOCHS = 5
EPOCH_S = 6.0
_BEGIN = datetime(2026, 5, 9, 10, tzinfo=UTC)
_SHARES = {"COMPLETE": 0.4, "PRUNED": 0.52, "FAIL": 0.08}
_FAILURES = (
    ("diverged", "the loss is not finite"),
    ("oom", "CUDA out of memory"),
    ("killed", "its process died (signal 9)"),
)
_GENES = dict[str, Any]


@dataclass(frozen=True)
class _Trial:
    """One made-up trial; `curve` has its AP after each epoch."""

    number: int
    state: str
    params: _GENES
    curve: tuple[float, ...]
    began: datetime
    failure: tuple[str, str] | None = None

    @property
    def ended(self) -> datetime | None:
        if self.state == "RUNNING":
            return None
        return self.began + timedelta(seconds=EPOCH_S * len(self.curve) + 1)

    def metrics(self, epoch: int) -> dict[str, float]:
        """Metrics after an epoch, as a detector gives them."""
        ap = self.curve[epoch - 1]
        overlaps = {"AP": ap, "AP50": min(1.0, 1.5 * ap), "AP75": 0.8 * ap}
        sizes = {"APs": math.nan, "APm": 0.9 * ap, "APl": min(1.0, 1.1 * ap)}
        losses = {"loss": 10 - 9 * ap, "loss_box": 2 - ap, "loss_obj": 3 - ap, "loss_cls": 1 - ap}
        times = {"lr": 0.01 / epoch, "train_time_s": 0.8 * EPOCH_S, "eval_time_s": 0.2 * EPOCH_S}
        return overlaps | sizes | losses | times


def make_large_run(
    path: Path, space: Space, trials: int = 10_000, *, running: int = 2, seed: int = 0
) -> RunFolder:
    """Make the folder of a run that was interrupted just before its end.

    Parameters
    ----------
    path : Path
        Of the folder; must not hold a run.
    space : Space
        Its parameters must be unconditional.
    trials : int
        Of them 40 % are complete, about half were stopped early and some failed.
    running : int
        The last ones, which are not finished.
    seed : int
    """
    folder = RunFolder.create(path)
    folder.write_json(folder.manifest, _manifest(path.name, space, trials, seed))
    made = list(_make(space, trials, running, seed))
    _store(folder, space, made)
    for trial in made:
        place = folder.trial(trial.number)
        place.path.mkdir()
        lines = (to_line(_row(trial, epoch)) for epoch in range(1, len(trial.curve) + 1))
        place.metrics.write_text("".join(lines), encoding="utf-8")
    return folder


def _manifest(name: str, space: Space, trials: int, seed: int) -> dict[str, Any]:
    tree = space.to_dict()
    return {
        "format": FORMAT,
        "name": name,
        "command": "evolve.testing.large_run",
        "created": _BEGIN.isoformat(),
        "objective": space.objective,
        "seed": seed,
        "sampler": space.sampler,
        "scheduler": space.scheduler,
        "engine": "inline",
        "trainer": "curve",
        "trials": trials,
        "workers": 2,
        "confirm": "0",
        "storage": None,
        "space": tree,
        "train": {**tree["train"], "epochs": EPOCHS},
        "data": {"path": "curve-0", "name": "curve-0"},
        "judged_on": "val",
        "test_opened": False,
        "versions": {},
        "hardware": {"cpu": "made up", "cores": 2, "memory_gb": 8.0, "gpus": []},
        "git": {},
    }


def _make(space: Space, count: int, running: int, seed: int) -> Iterator[_Trial]:
    rng = np.random.default_rng(seed)
    names = list(space.defaults())
    genes = rng.random((count, len(names)))
    weights = rng.dirichlet(np.full(len(names), 0.4))
    best = rng.uniform(0.2, 0.8, len(names))
    plateaus = 0.55 * np.exp(-6 * ((genes - best) ** 2 @ weights)) + rng.normal(0, 0.01, count)
    states = rng.choice(list(_SHARES), count, p=list(_SHARES.values()))
    states[count - running :] = "RUNNING"
    states[0] = "COMPLETE"
    for number in range(count):
        state = str(states[number])
        params = _params(space, genes[number]) if number else space.defaults()
        yield _Trial(
            number,
            state,
            params,
            _curve(plateaus[number], _length(state, rng)),
            _BEGIN + timedelta(seconds=EPOCH_S * EPOCHS * (number // 2)),
            _FAILURES[int(rng.integers(len(_FAILURES)))] if state == "FAIL" else None,
        )


def _length(state: str, rng: np.random.Generator) -> int:
    return EPOCHS if state == "COMPLETE" else int(rng.integers(3, EPOCHS))


def _curve(plateau: float, epochs: int) -> tuple[float, ...]:
    values = (plateau * (1 - math.exp(-4 * e / EPOCHS)) for e in range(1, epochs + 1))
    return tuple(float(np.clip(value, 0, 1)) for value in values)


def _params(space: Space, genes: NDArray[np.float64]) -> _GENES:
    return {p.path: _value(p, float(u)) for p, u in zip(space.parameters, genes, strict=True)}


def _value(parameter: Any, place: float) -> Any:
    """Value at a place in [0, 1) of the range."""
    if parameter.choices is not None:
        return parameter.choices[int(place * len(parameter.choices))]
    low, high = float(parameter.low), float(parameter.high)
    log = parameter.scale == "log"
    value = low * (high / low) ** place if log else low + place * (high - low)
    return round(value) if parameter.kind == "int" else value


def _row(trial: _Trial, epoch: int) -> dict[str, Any]:
    metrics = trial.metrics(epoch)
    return {
        "number": trial.number,
        "epoch": epoch,
        "epochs": EPOCHS,
        "objective": metrics["AP"],
        "metrics": metrics,
        "class_ap": {f"digit {digit}": metrics["AP"] for digit in range(5)},
        "time": (trial.began + timedelta(seconds=EPOCH_S * epoch)).timestamp(),
    }


def _store(folder: RunFolder, space: Space, trials: Sequence[_Trial]) -> None:
    storage = open_storage(sqlite_url(folder.study))
    assert isinstance(storage, RDBStorage)
    study = storage.create_new_study([StudyDirection.MAXIMIZE], STUDY_NAME)
    with storage.engine.begin() as connection:
        for table, rows in _tables(study, space, trials):
            connection.execute(table.__table__.insert(), rows)
    storage.remove_session()
    storage.engine.dispose()


def _tables(study: int, space: Space, trials: Sequence[_Trial]) -> Iterator[tuple[Any, Any]]:
    """Rows of each of Optuna's tables; a trial's id is its number and one."""
    yield models.TrialModel, [_head(study, trial) for trial in trials]
    kinds = space.distributions()
    texts = {name: distribution_to_json(kind) for name, kind in kinds.items()}
    yield (
        models.TrialParamModel,
        [
            {
                "trial_id": trial.number + 1,
                "param_name": name,
                "param_value": kinds[name].to_internal_repr(value),
                "distribution_json": texts[name],
            }
            for trial in trials
            for name, value in trial.params.items()
        ],
    )
    yield (
        models.TrialValueModel,
        [
            {
                "trial_id": trial.number + 1,
                "objective": 0,
                "value": trial.curve[-1],
                "value_type": models.TrialValueModel.TrialValueType.FINITE,
            }
            for trial in trials
            if trial.state == "COMPLETE"
        ],
    )
    kind = models.TrialIntermediateValueModel.TrialIntermediateValueType.FINITE
    yield (
        models.TrialIntermediateValueModel,
        [
            {
                "trial_id": trial.number + 1,
                "step": epoch,
                "intermediate_value": value,
                "intermediate_value_type": kind,
            }
            for trial in trials
            for epoch, value in enumerate(trial.curve, start=1)
        ],
    )
    yield (
        models.TrialUserAttributeModel,
        [
            {"trial_id": trial.number + 1, "key": key, "value_json": json.dumps(value)}
            for trial in trials
            for key, value in _attrs(trial).items()
        ],
    )


def _head(study: int, trial: _Trial) -> dict[str, Any]:
    """What Optuna keeps of a trial itself; its columns of times are in UTC."""
    return {
        "trial_id": trial.number + 1,
        "number": trial.number,
        "study_id": study,
        "state": TrialState[trial.state],
        "datetime_start": trial.began.replace(tzinfo=None),
        "datetime_complete": trial.ended and trial.ended.replace(tzinfo=None),
    }


def _attrs(trial: _Trial) -> dict[str, Any]:
    pair = [trial.number - 2, trial.number - 1]
    born = {ORIGIN: "crossover", PARENTS: pair} if trial.number > 20 else {ORIGIN: "random"}
    attrs = born if trial.number else {ORIGIN: DEFAULT}
    if trial.failure is not None:
        kind, what = trial.failure
        log = [f"{_BEGIN.isoformat()} ERROR evolve.engine.trial line {n}" for n in range(20)]
        return attrs | {
            FAILURE_ATTR: {"type": kind, "what": what, "where": "", "mend": "", "log": log}
        }
    if trial.state == "RUNNING":
        return attrs
    metrics = trial.metrics(len(trial.curve))
    stored = {key: None if math.isnan(value) else value for key, value in metrics.items()}
    return attrs | {METRICS_ATTR: stored}
