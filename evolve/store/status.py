"""How far a run is, from its folder alone: read and never touched, whoever drives it."""

import math
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC
from pathlib import Path
from typing import Any, Literal

from optuna.trial import FrozenTrial, TrialState

from evolve.errors import EvolveError
from evolve.space.confirm import Confirm
from evolve.store.comparison import (
    FINAL,
    ROW_ATTR,
    SEED_INDEX_ATTR,
    ComparisonRecord,
    folder_of,
    read_comparison,
    stored_trainings,
)
from evolve.store.folder import RunFolder, TrialFolder
from evolve.store.read import read_manifest, stored_trials
from evolve.store.study import METRICS_ATTR, failure_of

State = Literal["running", "interrupted", "done"]


@dataclass(frozen=True)
class RunningTrial:
    """A trial that runs, or was running when its run was interrupted; its last value or NaN."""

    name: str
    epoch: int
    epochs: int
    value: float


@dataclass(frozen=True)
class Failures:
    """Trials that failed for one type of reason, and what the last of them said."""

    type: str
    count: int
    last_trial: int
    last: str


@dataclass(frozen=True)
class FinalStatus:
    """How far a final comparison is; trainings that rows share are counted once."""

    judged_on: str
    trainings: int
    ended: int
    states: dict[str, int]


@dataclass(frozen=True)
class Status:
    """How far a run is.

    Attributes
    ----------
    run : str
    objective : str or None
    asked : int or None
        Trials that the search should hold in the end.
    states : dict of str -> int
        Trials of the search by state.
    best : float or None
    best_trial : int or None
    trial_seconds : float
        Time in trials that have ended, about: epochs times the length of each trial's last one.
    phase : str
        search, final comparison or done: what it is at, or was when it was interrupted.
    state : str
        running if a process holds the run, else done or interrupted.
    pid : int or None
        Of that process; 0 if it does not say.
    here : bool
        Whether a process of that number lives on this machine.
    running : tuple of RunningTrial
    failures : tuple of Failures
        The most frequent first.
    epochs_per_hour : float or None
        Of all workers since the process took the run; None if none runs or no epoch has ended.
    seconds_left : float or None
        Until the phase ends, at that pace.
    final : FinalStatus or None
        None before it begins.
    warm_start : list of dict
        Earlier studies that the run began with: names, and how many trials of them.
    """

    run: str
    objective: str | None
    asked: int | None
    states: dict[str, int]
    best: float | None
    best_trial: int | None
    trial_seconds: float
    phase: str
    state: State
    pid: int | None
    here: bool
    running: tuple[RunningTrial, ...]
    failures: tuple[Failures, ...]
    epochs_per_hour: float | None
    seconds_left: float | None
    final: FinalStatus | None
    warm_start: list[dict[str, Any]]

    def to_dict(self) -> dict[str, Any]:
        """JSON types; null for a value that a trial does not have."""
        tree = asdict(self)
        for one in tree["running"]:
            one["value"] = None if math.isnan(one["value"]) else one["value"]
        return tree

    def without_clock(self) -> "Status":
        """Copy without what changes while nothing happens."""
        return replace(self, epochs_per_hour=None, seconds_left=None)


class StatusReader:
    """Reads the status of a run again and again; trials that have ended are read once.

    Parameters
    ----------
    path : Path
        Of the run folder.
    """

    def __init__(self, path: Path) -> None:
        self.folder = RunFolder.open(path)
        self._ended: list[FrozenTrial] = []  # all before the first that runs
        self._next = 0

    def read(self, now: float | None = None) -> Status:
        """How far the run is; `now` in Unix seconds.

        Raises
        ------
        StoreError
            If its study cannot be opened.
        """
        folder, now = self.folder, time.time() if now is None else now
        pid = folder.holder()  # first: what is found ended afterwards is no interruption
        manifest = read_manifest(folder)
        trials = self._trials(manifest)
        record = read_comparison(folder.path)
        trainings = [] if record is None else list(stored_trainings(folder, FINAL).values())
        final = None if record is None else _final(record)
        states = dict(Counter(trial.state.name for trial in trials))
        phase = _phase(states, manifest, final, trials)
        running = _running(folder, manifest, record, trials, trainings)
        pace, left = None, None
        if pid is not None:
            since = folder.lock_file.stat().st_mtime
            pace = _pace([*trials, *trainings], running, since, now)
            left = _seconds_left(manifest, phase, trials, running, final, pace)
        best = _best(trials)
        return Status(
            run=str(manifest.get("name", folder.path.name)),
            objective=manifest.get("objective"),
            asked=manifest.get("trials"),
            states=states,
            best=None if best is None else best.value,
            best_trial=None if best is None else best.number,
            trial_seconds=round(sum(map(_seconds, trials)), 1),
            phase=phase,
            state="running" if pid is not None else "done" if phase == "done" else "interrupted",
            pid=pid,
            here=bool(pid) and _lives(pid or 0),
            running=tuple(one for one, _ in running),
            failures=_failures(trials),
            epochs_per_hour=None if pace is None else round(3600 * pace, 2),
            seconds_left=None if left is None else round(left, 1),
            final=final,
            warm_start=[
                {"name": prior["name"], "trials": len(prior["trials"])}
                for prior in manifest.get("warm_start", ())
            ],
        )

    def _trials(self, manifest: dict[str, Any]) -> list[FrozenTrial]:
        new = stored_trials(self.folder, manifest, whole=False, first=self._next)
        trials = [trial for trial in new if trial.state != TrialState.WAITING]
        found = [*self._ended, *trials]
        for trial in new:
            if not trial.state.is_finished():
                break
            self._ended.append(trial)
            self._next = trial.number + 1
        return found


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it is another user's
    return True


def _phase(
    states: dict[str, int],
    manifest: dict[str, Any],
    final: FinalStatus | None,
    trials: Sequence[FrozenTrial],
) -> str:
    if sum(states.values()) - states.get("RUNNING", 0) < (manifest.get("trials") or 0):
        return "search"
    if final is not None:
        return "done" if final.ended == final.trainings else "final comparison"
    # without a trial beside the defaults there is nothing to compare
    any_candidate = any(t.state == TrialState.COMPLETE and t.number > 0 for t in trials)
    return "final comparison" if any_candidate and _confirms(manifest) else "done"


def _confirms(manifest: dict[str, Any]) -> bool:
    try:
        return bool(Confirm.parse(manifest.get("confirm", "0")))
    except EvolveError:
        return False


def _final(record: ComparisonRecord) -> FinalStatus:
    trainings = record.trainings.drop_duplicates("training")
    states = {str(state): int(n) for state, n in trainings["state"].value_counts().items()}
    ended = states.get("COMPLETE", 0) + states.get("FAIL", 0)
    return FinalStatus(record.judged_on, len(trainings), ended, states)


def _best(trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
    complete = [t for t in trials if t.state == TrialState.COMPLETE and t.value is not None]
    return max(complete, key=lambda t: (t.value, -t.number), default=None)


def _failures(trials: Sequence[FrozenTrial]) -> tuple[Failures, ...]:
    failed = [(failure_of(t), t) for t in trials if t.state == TrialState.FAIL]
    counts = Counter(failure.get("type", "error") for failure, _ in failed)
    last = {failure.get("type", "error"): (failure, trial) for failure, trial in failed}
    return tuple(
        Failures(kind, count, last[kind][1].number, str(last[kind][0].get("what", "")))
        for kind, count in counts.most_common()
    )


def _running(
    folder: RunFolder,
    manifest: dict[str, Any],
    record: ComparisonRecord | None,
    trials: Sequence[FrozenTrial],
    trainings: Sequence[FrozenTrial],
) -> list[tuple[RunningTrial, list[dict[str, Any]]]]:
    """What runs, each with its epochs so far."""
    epochs = int(manifest.get("train", {}).get("epochs", 0))
    places = [
        (f"trial {trial.number}", folder.trial(trial.number))
        for trial in trials
        if trial.state == TrialState.RUNNING
    ]
    if record is not None:
        comparison = folder.comparison(FINAL)
        places += [
            (_name(record, trial), folder_of(trial, comparison))
            for trial in trainings
            if trial.state == TrialState.RUNNING
        ]
    return [_with_epochs(name, place, epochs) for name, place in places]


def _with_epochs(
    name: str, place: TrialFolder, epochs: int
) -> tuple[RunningTrial, list[dict[str, Any]]]:
    rows = place.read_metrics()
    if not rows:
        return RunningTrial(name, 0, epochs, math.nan), []
    last = rows[-1]
    value = float(last.get("objective", math.nan))
    return RunningTrial(name, last["epoch"], last.get("epochs", epochs), value), rows


def _name(record: ComparisonRecord, trial: FrozenTrial) -> str:
    titles = {row.key: row.title for row in record.rows}
    key, index = trial.user_attrs[ROW_ATTR], trial.user_attrs[SEED_INDEX_ATTR]
    return f"{titles.get(key, key)}, seed {index + 1} of {len(record.plan.seeds)}"


def _seconds(trial: FrozenTrial) -> float:
    """Time that a trial took, about; its stored length has the pauses between two sessions."""
    metrics = trial.user_attrs.get(METRICS_ATTR, {})
    epoch_s = (metrics.get("train_time_s") or 0.0) + (metrics.get("eval_time_s") or 0.0)
    if epoch_s and trial.intermediate_values:
        return float(epoch_s * len(trial.intermediate_values))
    return trial.duration.total_seconds() if trial.duration else 0.0


# -- pace ----------------------------------------------------------------------------------

_Running = Sequence[tuple[RunningTrial, list[dict[str, Any]]]]


def _pace(
    trials: Sequence[FrozenTrial], running: _Running, since: float, now: float
) -> float | None:
    """Epochs a second of all workers since a time; None if there was none."""
    ended = [len(trial.intermediate_values) for trial in trials if _ended_at(trial) >= since]
    under_way = sum(row.get("time", 0.0) >= since for _, rows in running for row in rows)
    epochs = sum(ended) + under_way
    return epochs / (now - since) if epochs and now > since else None


def _ended_at(trial: FrozenTrial) -> float:
    """Unix seconds; minus infinity for a trial that runs."""
    end = trial.datetime_complete
    return -math.inf if end is None else end.astimezone(UTC).timestamp()


def _seconds_left(
    manifest: dict[str, Any],
    phase: str,
    trials: Sequence[FrozenTrial],
    running: _Running,
    final: FinalStatus | None,
    pace: float | None,
) -> float | None:
    """Until the phase ends; finished trials tell how many epochs a trial takes."""
    if pace is None or phase == "done":
        return None
    whole = float(manifest.get("train", {}).get("epochs", 0))
    if phase == "search":
        lengths = [len(t.intermediate_values) for t in trials if t.state.is_finished()]
        per_trial = sum(lengths) / len(lengths) if lengths else whole
        unbegun = max(0, (manifest.get("trials") or 0) - len(trials))
    elif final is not None:
        per_trial = whole
        unbegun = final.trainings - final.ended - final.states.get("RUNNING", 0)
    else:
        return None
    # one that outlived the usual length will run to its end
    rest = sum(
        (per_trial if one.epoch < per_trial else one.epochs) - one.epoch for one, _ in running
    )
    return (unbegun * per_trial + rest) / pace
