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

from evolve.confirm import Confirm
from evolve.errors import EvolveError
from evolve.objectives import cost_of
from evolve.store.comparison import (
    FINAL,
    PRETRAIN,
    ROW_ATTR,
    SEED_INDEX_ATTR,
    TABLE,
    ComparisonRecord,
    folder_of,
    read_comparison,
    stored_trainings,
)
from evolve.store.folder import ComparisonFolder, RunFolder, TrialFolder
from evolve.store.journal import JournalTail, why_left
from evolve.store.manifest import ABLATION, RUN, kind_of
from evolve.store.read import read_manifest, stored_trials
from evolve.store.study import (
    METRICS_ATTR,
    attempts_of,
    cost_value,
    epochs_of,
    failure_of,
    first_value,
)

LOG_LINES = 3  # of a failure
PRETRAINING = "pre-training"

State = Literal["running", "interrupted", "done"]


@dataclass(frozen=True)
class RunningTrial:
    """A trial that runs, or was running when its run was interrupted; its last value or NaN."""

    name: str
    epoch: int
    epochs: int
    value: float


@dataclass(frozen=True)
class FrontPoint:
    """A trial that no other dominates: its first objective, and its second."""

    trial: int
    value: float
    cost: float


@dataclass(frozen=True)
class Failures:
    """Trials that failed for one type of reason, and what the last of them said and logged."""

    type: str
    count: int
    last_trial: int
    last: str
    log: tuple[str, ...] = ()


@dataclass(frozen=True)
class Retries:
    """Trials that were tried again after one type of failure.

    `remedies` counts what was done each time; `log` has the last lines of the last one.
    """

    type: str
    count: int
    remedies: dict[str, int]
    last_trial: int
    last: str
    log: tuple[str, ...]


@dataclass(frozen=True)
class FinalStatus:
    """How far a final comparison is; trainings that rows share are counted once.

    `closed` tells why it ends before all are trained; empty if it does not.
    """

    judged_on: str
    trainings: int
    ended: int
    states: dict[str, int]
    closed: str = ""

    @property
    def over(self) -> bool:
        """Whether nothing is left to be trained."""
        begun = sum(count for state, count in self.states.items() if state != "WAITING")
        return self.ended == (begun if self.closed else self.trainings)


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
        What it is at, or was when it was interrupted: search, final comparison or done; of an
        ablation pre-training, table or done.
    state : str
        running if a process holds the run, else done or interrupted.
    pid : int or None
        Of that process; 0 if it does not say.
    here : bool
        Whether a process of that number lives on this machine.
    running : tuple of RunningTrial
    paused : tuple of RunningTrial
        Trials that wait to be continued or stopped.
    search_closed : str
        Why the search ends before all trials that were asked for: budget or no gain; else empty.
    failures : tuple of Failures
        The most frequent first.
    retries : tuple of Retries
        Of trials of the search, whatever became of them; the most frequent first.
    epochs_per_hour : float or None
        Of all workers since the process took the run; None if none runs or no epoch has ended.
    seconds_left : float or None
        Until the phase ends, at that pace.
    final : FinalStatus or None
        Final comparison, or the rows of an ablation; None before it begins.
    pretrain : FinalStatus or None
        Classifiers that rows of an ablation start from.
    kind : str
        run or ablation.
    warm_start : list of dict
        Earlier studies that the run began with: names, and how many trials of them.
    cost : str
        Second objective; empty if there is none.
    front : tuple of FrontPoint
        Of a search with two objectives, the cheapest first.
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
    paused: tuple[RunningTrial, ...]
    search_closed: str
    failures: tuple[Failures, ...]
    retries: tuple[Retries, ...]
    epochs_per_hour: float | None
    seconds_left: float | None
    final: FinalStatus | None
    warm_start: list[dict[str, Any]]
    pretrain: FinalStatus | None = None
    kind: str = RUN
    cost: str = ""
    front: tuple[FrontPoint, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON types; null for a value that a trial does not have."""
        tree = asdict(self)
        for one in (*tree["running"], *tree["paused"]):
            one["value"] = None if math.isnan(one["value"]) else one["value"]
        return tree

    def without_clock(self) -> "Status":
        """Copy without what changes while nothing happens."""
        return replace(self, epochs_per_hour=None, seconds_left=None)


class _Driven:
    """What a journal says of the present: who waits, and whether more is to come."""

    def __init__(self, path: Path) -> None:
        self._tail = JournalTail(path)
        self._waiting: set[int] = set()
        self._stopped: set[int] = set()  # with their run, to go on when it does
        self._closed = ""

    def read(self) -> tuple[frozenset[int], str]:
        """Numbers that wait to go on, and why no more is begun before all is; empty if it is."""
        events, anew = self._tail.new()
        if anew:
            self._waiting, self._stopped, self._closed = set(), set(), ""
        for event in events:
            self._take(event)
        return frozenset(self._waiting), self._closed

    def _take(self, event: dict[str, Any]) -> None:
        kind, number = event["event"], event.get("number", -1)
        if kind == "close":
            why = str(event.get("why", ""))
            self._closed = "" if why == "trials" else why
        elif kind == "open":
            self._closed = ""
        elif kind == "session":
            self._waiting |= self._stopped
            self._stopped.clear()
        elif kind == "leave":
            said = "pause" if number in self._waiting else ""
            is_pause = why_left(event, said) == "paused"
            (self._waiting if is_pause else self._stopped).add(number)
        elif kind in ("moved", "retry") or event.get("says") == "pause":
            self._waiting.add(number)
        elif kind in ("begin", "epoch", "end"):
            self._waiting.discard(number)
            self._stopped.discard(number)


class StatusReader:
    """Reads the status of a run again and again; what does not change any more is read once.

    Parameters
    ----------
    path : Path
        Of the run folder.
    """

    def __init__(self, path: Path) -> None:
        self.folder = RunFolder.open(path)
        self._ended: list[FrozenTrial] = []  # all before the first that runs
        self._next = 0
        self._search = _Driven(self.folder.journal)
        self._kind = kind_of(read_manifest(self.folder))
        names = (TABLE, PRETRAIN) if self._kind == ABLATION else (FINAL,)
        self._driven = {name: _Driven(self.folder.comparison(name).journal) for name in names}

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
        trials = [] if self._kind == ABLATION else self._trials(manifest)
        waiting, closed = self._search.read()
        parts = {name: self._part(name, manifest) for name in self._driven}
        final, *rest = [part.status for part in parts.values()]
        pretrain = rest[0] if rest else None
        trainings = [trial for part in parts.values() for trial in part.trainings]
        states = dict(Counter(trial.state.name for trial in trials))
        if self._kind == ABLATION:
            phase = _phase_of_table(manifest, final, pretrain)
        else:
            phase = _phase(states, manifest, final, trials, closed)
        paused = _begun(folder, manifest, [t for t in trials if t.number in waiting])
        running = [
            *_begun(folder, manifest, [t for t in trials if t.number not in waiting]),
            *(one for part in parts.values() for one in part.running),
        ]
        pace, left = None, None
        if pid is not None:
            since = folder.lock_file.stat().st_mtime
            pace = _pace([*trials, *trainings], running, since, now)
            now_at = pretrain if phase == PRETRAINING else final
            left = _seconds_left(manifest, phase, trials, running, now_at, pace, closed)
        best = _best(trials)
        told = trials or trainings
        return Status(
            run=str(manifest.get("name", folder.path.name)),
            objective=manifest.get("objective"),
            asked=manifest.get("trials"),
            states=states,
            best=None if best is None else first_value(best),
            best_trial=None if best is None else best.number,
            trial_seconds=round(sum(map(_seconds, told)), 1),
            phase=phase,
            state="running" if pid is not None else "done" if phase == "done" else "interrupted",
            pid=pid,
            here=bool(pid) and _lives(pid or 0),
            running=tuple(one for one, _ in running),
            paused=tuple(one for one, _ in paused),
            search_closed=closed,
            failures=_failures(told if self._kind == ABLATION else trials),
            retries=_retries(told if self._kind == ABLATION else trials),
            epochs_per_hour=None if pace is None else round(3600 * pace, 2),
            seconds_left=None if left is None else round(left, 1),
            final=final,
            warm_start=[
                {"name": prior["name"], "trials": len(prior["trials"])}
                for prior in manifest.get("warm_start", ())
            ],
            pretrain=pretrain,
            kind=self._kind,
            cost=cost_of(manifest),
            front=_front(trials),
        )

    def _part(self, name: str, manifest: dict[str, Any]) -> "_Part":
        """How far one comparison is."""
        record = read_comparison(self.folder.path, name)
        waiting, closed = self._driven[name].read()
        if record is None:
            return _Part(None, (), [])
        trainings = tuple(stored_trainings(self.folder, name).values())
        begun = [trial for trial in trainings if trial.number not in waiting]
        running = _begun_finals(self.folder.comparison(name), manifest, record, begun)
        return _Part(_final(record, closed), trainings, running)

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


@dataclass(frozen=True)
class _Part:
    """One comparison: its status, its trainings, and those under way with their epochs."""

    status: FinalStatus | None
    trainings: tuple[FrozenTrial, ...]
    running: list[tuple[RunningTrial, list[dict[str, Any]]]]


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
    closed: str,
) -> str:
    running = states.get("RUNNING", 0)
    asked = manifest.get("trials") or 0
    if running if closed else sum(states.values()) - running < asked:
        return "search"
    if final is not None:
        return "done" if final.over else "final comparison"
    # without a trial beside the defaults there is nothing to compare
    any_candidate = any(t.state == TrialState.COMPLETE and t.number > 0 for t in trials)
    return "final comparison" if any_candidate and _confirms(manifest) else "done"


def _phase_of_table(
    manifest: dict[str, Any], table: FinalStatus | None, pretrain: FinalStatus | None
) -> str:
    if manifest.get("ended"):
        return "done"
    return PRETRAINING if table is None and pretrain is not None else "table"


def _confirms(manifest: dict[str, Any]) -> bool:
    try:
        return bool(Confirm.parse(manifest.get("confirm", "0")))
    except EvolveError:
        return False


def _final(record: ComparisonRecord, closed: str) -> FinalStatus:
    trainings = record.trainings.drop_duplicates("training")
    states = {str(state): int(n) for state, n in trainings["state"].value_counts().items()}
    ended = states.get("COMPLETE", 0) + states.get("FAIL", 0)
    return FinalStatus(record.judged_on, len(trainings), ended, states, closed)


def _best(trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
    complete = [t for t in trials if t.state == TrialState.COMPLETE and t.values]
    return max(complete, key=lambda t: (first_value(t), -t.number), default=None)


def _front(trials: Sequence[FrozenTrial]) -> tuple[FrontPoint, ...]:
    """Complete trials of a search with two objectives that no other dominates, cheapest first."""
    found = [
        FrontPoint(trial.number, trial.values[0], cost)
        for trial in trials
        if trial.state == TrialState.COMPLETE and (cost := cost_value(trial)) is not None
    ]
    kept: list[FrontPoint] = []
    for one in sorted(found, key=lambda point: (point.cost, -point.value, point.trial)):
        equal = kept and (kept[-1].value, kept[-1].cost) == (one.value, one.cost)
        if equal or not kept or one.value > kept[-1].value:
            kept.append(one)
    return tuple(kept)


def _failures(trials: Sequence[FrozenTrial]) -> tuple[Failures, ...]:
    failed = [(failure_of(t), t) for t in trials if t.state == TrialState.FAIL]
    counts = Counter(failure.get("type", "error") for failure, _ in failed)
    last = {failure.get("type", "error"): (failure, trial) for failure, trial in failed}
    return tuple(
        Failures(
            kind, count, last[kind][1].number, str(last[kind][0].get("what", "")),
            _log(last[kind][0]),
        )
        for kind, count in counts.most_common()
    )  # fmt: skip


def _log(failure: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(line) for line in (failure.get("log") or ())[-LOG_LINES:])


def _retries(trials: Sequence[FrozenTrial]) -> tuple[Retries, ...]:
    found = [(one, trial.number) for trial in trials for one in attempts_of(trial)]
    counts = Counter(one.get("type", "error") for one, _ in found)
    return tuple(_retries_of(kind, found) for kind, _ in counts.most_common())


def _retries_of(kind: str, found: Sequence[tuple[dict[str, Any], int]]) -> Retries:
    own = [(one, number) for one, number in found if one.get("type", "error") == kind]
    last, number = own[-1]
    return Retries(
        type=kind,
        count=len({number for _, number in own}),
        remedies=dict(Counter(str(one.get("remedy", "again")) for one, _ in own)),
        last_trial=number,
        last=str(last.get("what", "")),
        log=_log(last),
    )


def _begun(
    folder: RunFolder, manifest: dict[str, Any], trials: Sequence[FrozenTrial]
) -> list[tuple[RunningTrial, list[dict[str, Any]]]]:
    """Those of the trials that have not ended, each with its epochs so far."""
    epochs = int(manifest.get("train", {}).get("epochs", 0))
    return [
        _with_epochs(f"trial {trial.number}", folder.trial(trial.number), epochs)
        for trial in trials
        if trial.state == TrialState.RUNNING
    ]


def _begun_finals(
    comparison: ComparisonFolder,
    manifest: dict[str, Any],
    record: ComparisonRecord,
    trainings: Sequence[FrozenTrial],
) -> list[tuple[RunningTrial, list[dict[str, Any]]]]:
    """The same of a comparison."""
    epochs = int(manifest.get("train", {}).get("epochs", 0))
    return [
        _with_epochs(_name(record, trial), folder_of(trial, comparison), epochs)
        for trial in trainings
        if trial.state == TrialState.RUNNING
    ]


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
    if epoch_s and (epochs := epochs_of(trial)):
        return float(epoch_s * epochs)
    return trial.duration.total_seconds() if trial.duration else 0.0


# -- pace ----------------------------------------------------------------------------------

_Running = Sequence[tuple[RunningTrial, list[dict[str, Any]]]]


def _pace(
    trials: Sequence[FrozenTrial], running: _Running, since: float, now: float
) -> float | None:
    """Epochs a second of all workers since a time; None if there was none."""
    ended = [epochs_of(trial) for trial in trials if _ended_at(trial) >= since]
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
    closed: str = "",
) -> float | None:
    """Until the phase ends; finished trials tell how many epochs a trial takes."""
    if pace is None or phase == "done":
        return None
    whole = float(manifest.get("train", {}).get("epochs", 0))
    if phase == "search":
        lengths = [epochs_of(t) for t in trials if t.state.is_finished()]
        per_trial = sum(lengths) / len(lengths) if lengths else whole
        unbegun = 0 if closed else max(0, (manifest.get("trials") or 0) - len(trials))
    elif final is not None:
        per_trial = whole
        left = final.trainings - final.ended - final.states.get("RUNNING", 0)
        unbegun = 0 if final.closed else left
    else:
        return None
    # one that outlived the usual length will run to its end
    rest = sum(
        (per_trial if one.epoch < per_trial else one.epochs) - one.epoch for one, _ in running
    )
    return (unbegun * per_trial + rest) / pace
