"""What a run has cost: who held workers for how long, from what its driver wrote down.

A training holds a worker from its beginning until it leaves, ends, or fails and is tried again;
what was killed with its driver held it until the last thing that the journal tells. Frames in,
frames out; times are seconds of work, by the driver's clock.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from evolve.store.journal import why_left

COLUMNS = ("number", "state", "held_s", "device_s", "lost_s", "epochs", "segments", "pauses",
           "interrupts", "kills", "retries", "by_type")  # fmt: skip
SESSION_COLUMNS = ("session", "wall_s", "held_s", "idle")
NEVER_ENDED = "RUNNING"


@dataclass(frozen=True)
class Devices:
    """What trainings hold of a machine.

    Attributes
    ----------
    kind : str
        GPU or core.
    share : float
        Of each training, in that unit.
    alone : float
        Of one that ran out of memory, and has since been alone on its device.
    workers : int
        Trainings at once.
    """

    kind: str
    share: float
    alone: float
    workers: int


@dataclass(frozen=True)
class Ledger:
    """What the trainings of one journal have cost.

    Attributes
    ----------
    trials : DataFrame, a line a training that ever began, by number
        number, state (COMPLETE, PRUNED, FAIL, or RUNNING if it has not ended), held_s (seconds
        that it held a worker), device_s (the same times its share of GPU or cores; NaN where that
        is unknown), lost_s (of held_s what came after its last whole epoch when it failed or was
        killed), epochs (finished, those done again included), segments (times that it held a
        worker), pauses (times that its scheduler let it wait), interrupts (times that it stopped
        with the run, its checkpoint written), kills (times that it ended with its driver),
        retries (failures that it was tried again after), by_type (those, as text).
    sessions : DataFrame, a line a session of the driver
        session (from 1), wall_s, held_s, idle (share of its workers' time that no training held;
        NaN where the workers are unknown).
    devices : Devices or None
    """

    trials: pd.DataFrame
    sessions: pd.DataFrame
    devices: Devices | None

    @property
    def wall_s(self) -> float:
        """Seconds of work of all sessions."""
        return float(self.sessions["wall_s"].sum())

    @property
    def held_s(self) -> float:
        """Seconds that workers were held, of all trainings together."""
        return float(self.trials["held_s"].sum())

    @property
    def device_s(self) -> float:
        """The same in seconds of a GPU or a core; NaN where that is unknown."""
        return float(self.trials["device_s"].sum(skipna=False)) if len(self.trials) else 0.0

    @property
    def lost_s(self) -> float:
        """Seconds whose work was thrown away."""
        return float(self.trials["lost_s"].sum())

    @property
    def idle(self) -> float:
        """Share of all workers' time that no training held; NaN where unknown."""
        return _idle(self.held_s, self.wall_s, self.devices)

    def spent(self) -> dict[str, tuple[int, float]]:
        """Trainings and seconds by their state."""
        grouped = self.trials.groupby("state", sort=True)["held_s"]
        return {str(state): (int(own.count()), float(own.sum())) for state, own in grouped}

    def retried(self) -> tuple[int, float]:
        """Trainings that were tried again, whatever became of them, and their seconds."""
        own = self.trials[self.trials["retries"] > 0]
        return len(own), float(own["held_s"].sum())

    def costliest(self, most: int) -> pd.DataFrame:
        """The trainings that held workers longest, longest first."""
        return self.trials.sort_values(
            ["held_s", "number"], ascending=[False, True], kind="stable"
        ).head(most)


def devices_of(manifest: Mapping[str, Any]) -> Devices | None:
    """What trainings hold, as the manifest tells; None where it does not."""
    outlook = manifest.get("outlook")
    place = outlook.get("placement") if isinstance(outlook, dict) else None
    try:
        assert isinstance(place, dict)
        workers, gpus = int(place["workers"]), int(place["gpus"])
        if gpus:
            share = float(place["gpus_per_trial"])
            return Devices("GPU", share, max(1.0, share), workers)
        return Devices("core", float(place["threads"]), float(place["cpus"]), workers)
    except (AssertionError, KeyError, TypeError, ValueError):
        return None


def make_ledger(events: Iterable[Mapping[str, Any]], devices: Devices | None = None) -> Ledger:
    """Ledger of the events of a journal, in their order.

    Parameters
    ----------
    events : iterable of mapping
        As `evolve.store.journal.read_journal` gives them.
    devices : Devices, optional
    """
    book = _Book(devices)
    for event in events:
        book.take(event)
    book.close()
    lines = [book.lines[number].row(devices) for number in sorted(book.lines)]
    trials = pd.DataFrame(lines, columns=list(COLUMNS))
    sessions = [
        (number, wall_s, held_s, _idle(held_s, wall_s, devices))
        for number, (wall_s, held_s) in enumerate(book.sessions, start=1)
    ]
    return Ledger(trials, pd.DataFrame(sessions, columns=list(SESSION_COLUMNS)), devices)


def _idle(held_s: float, wall_s: float, devices: Devices | None) -> float:
    if devices is None or not wall_s or not devices.workers:
        return math.nan
    return min(1.0, max(0.0, 1 - held_s / (wall_s * devices.workers)))


@dataclass
class _Line:
    """What one training has cost so far."""

    number: int
    state: str = NEVER_ENDED
    held_s: float = 0.0
    alone_s: float = 0.0
    lost_s: float = 0.0
    epochs: int = 0
    segments: int = 0
    pauses: int = 0
    interrupts: int = 0
    said: str = ""
    kills: int = 0
    types: list[str] = field(default_factory=list)

    def row(self, devices: Devices | None) -> tuple[Any, ...]:
        kinds = {kind: self.types.count(kind) for kind in self.types}
        text = ", ".join(f"{kind} {count}" for kind, count in kinds.items())
        device_s = math.nan
        if devices is not None:
            shared_s = self.held_s - self.alone_s
            device_s = shared_s * devices.share + self.alone_s * devices.alone
        return (self.number, self.state, self.held_s, device_s, self.lost_s, self.epochs,
                self.segments, self.pauses, self.interrupts, self.kills, len(self.types),
                text)  # fmt: skip


class _Book:
    """Adds events up."""

    def __init__(self, devices: Devices | None) -> None:
        self.lines: dict[int, _Line] = {}
        self.sessions: list[tuple[float, float]] = []
        self._devices = devices
        self._open: dict[int, tuple[float, float]] = {}  # since its beginning, and its last epoch
        self._last = self._began = 0.0
        self._held = 0.0

    def take(self, event: Mapping[str, Any]) -> None:
        kind, at, number = event["event"], float(event["at"]), event.get("number")
        if kind == "session":
            self.close(killed=True)
            self._began, self._held = at, 0.0
        elif number is not None:
            self._of_training(str(kind), at, int(number), event)
        self._last = max(self._last, at)

    def close(self, *, killed: bool = False) -> None:
        """End the session where its last event stands; what has not ended then was killed."""
        for number in list(self._open):
            self.lines[number].kills += killed
            self._leave(number, self._last, lost=killed)
        if self._last > self._began or self._held:
            self.sessions.append((self._last - self._began, self._held))

    def _of_training(self, kind: str, at: float, number: int, event: Mapping[str, Any]) -> None:
        line = self.lines.setdefault(number, _Line(number))
        if kind == "begin":
            line.said = ""
            self._open.setdefault(number, (at, at))
            line.segments += 1
        elif kind == "epoch":
            line.epochs += 1
            line.said = str(event.get("says", "pause"))
            if number in self._open:
                self._open[number] = self._open[number][0], at
        elif kind == "retry":
            self._leave(number, at, lost=True)
            line.types.append(str(event.get("type", "error")))
        elif kind == "leave":
            is_pause = why_left(event, line.said) == "paused"
            line.pauses += is_pause
            line.interrupts += not is_pause
            self._leave(number, at)
        elif kind == "end":
            line.state = str(event.get("state", NEVER_ENDED))
            self._leave(number, at, lost=line.state == "FAIL")

    def _leave(self, number: int, at: float, *, lost: bool = False) -> None:
        if number not in self._open:
            return
        began, epoch = self._open.pop(number)
        line, held_s = self.lines[number], max(0.0, at - began)
        line.held_s += held_s
        line.lost_s += max(0.0, at - epoch) if lost else 0.0
        line.alone_s += held_s if "oom" in line.types else 0.0
        self._held += held_s
