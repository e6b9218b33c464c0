"""How long trainings take, from what a journal tells."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from evolve.store.journal import read_journal


class Pace:
    """Seconds that trainings have run, and of an epoch in the mean, starting up included.

    Attributes
    ----------
    spent : dict of int -> float
        Seconds that each training has held its workers, those that were lost in a kill included.
    expected_s : float
        Seconds of an epoch as long as none has ended; NaN if nothing is known.
    """

    def __init__(self) -> None:
        self.spent: dict[int, float] = {}
        self.expected_s = math.nan
        self._began: dict[int, float] = {}
        self._epochs = 0
        self._total = 0.0
        self._last = 0.0

    def begin(self, number: int, at: float) -> None:
        """A training goes on."""
        self._began[number] = self._last = at

    def epoch(self, number: int, at: float) -> None:
        """It has finished an epoch."""
        self._book(number, at)
        if number in self._began:
            self._began[number] = at
        self._epochs += 1

    def leave(self, number: int, at: float) -> None:
        """It has stopped, for now or for good."""
        self._book(number, at)
        self._began.pop(number, None)

    def replay(self, events: Iterable[dict[str, Any]]) -> None:
        """Take in the events of a journal."""
        for event in events:
            kind, at, number = event["event"], event["at"], event.get("number", -1)
            if kind == "session":  # whatever ran before was killed where the last event stands
                for running in list(self._began):
                    self.leave(running, self._last)
            elif kind == "begin":
                self.begin(number, at)
            elif kind == "epoch":
                self.epoch(number, at)
            elif kind in ("leave", "end", "retry"):
                self.leave(number, at)

    def _book(self, number: int, at: float) -> None:
        seconds = max(0.0, at - self._began.get(number, at))
        self.spent[number] = self.spent.get(number, 0.0) + seconds
        self._total += seconds
        self._last = at

    @property
    def epoch_s(self) -> float:
        """Seconds of an epoch; before the first, what is expected."""
        return self._total / self._epochs if self._epochs else self.expected_s

    def total_s(self, at: float) -> float:
        """Seconds of all trainings, those of running ones up to now included."""
        return self._total + sum(max(0.0, at - began) for began in self._began.values())


def read_pace(journal: Path) -> Pace:
    """How long the trainings of a journal have taken so far."""
    pace = Pace()
    pace.replay(read_journal(journal))
    return pace


def spent(journal: Path) -> tuple[float, float]:
    """Seconds of the clock and of trainings that are in a journal so far."""
    events, pace = list(read_journal(journal)), Pace()
    pace.replay(events)
    wall_s = max((event["at"] for event in events), default=0.0)
    return wall_s, pace.total_s(wall_s)
