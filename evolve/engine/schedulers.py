"""Ray Tune's schedulers, driven by either engine and rebuilt from the store.

Ray names trials at random and forgets the scheduler's state when a run stops. `StableScheduler`
puts the trial's number in the name's place and replays stored results, so decisions after a
restart are those of an undisturbed run.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler

from evolve.errors import SpaceError, nearest

SPARED = 3  # the trial of the defaults and two more, before a rung can tell anything
OBJECTIVE = "objective"
TIME = "epoch"


def decisive(row: dict[str, Any]) -> dict[str, Any]:
    """Time and objective of a trial's row; empty where a scheduler has no say.

    That is after the last epoch, and where there is a failure or no value.
    """
    value = row.get(OBJECTIVE, math.nan)
    if not math.isfinite(value) or row[TIME] == row["epochs"]:
        return {}
    return {TIME: row[TIME], OBJECTIVE: value}


@dataclass(frozen=True)
class TrialRef:
    """What a scheduler of Ray's needs to know of a trial."""

    trial_id: str
    config: dict[str, Any]

    @classmethod
    def of(cls, number: int) -> "TrialRef":
        """Reference to the trial of this number."""
        return cls(f"{number:05d}", {"number": number})


class StableScheduler(FIFOScheduler):
    """A scheduler of Ray's under stable trial names, with the first three trials spared.

    Trial 0, of the defaults, is what all others are compared with, so it is never stopped; nor
    are the next two, as the best third of one or two values is whatever came first. Their values
    count in the rungs all the same.

    Parameters
    ----------
    inner : TrialScheduler
        Decides from `epoch` and `objective` of each result.
    """

    def __init__(self, inner: TrialScheduler) -> None:
        super().__init__()
        self._inner = inner
        self._added: set[int] = set()

    def add(self, number: int) -> None:
        """Make a trial known; a second time changes nothing."""
        if number not in self._added:
            self._added.add(number)
            self._inner.on_trial_add(None, TrialRef.of(number))

    def goes_on(self, number: int, result: dict[str, Any]) -> bool:
        """Take a result in; whether the trial should continue."""
        decision = self._inner.on_trial_result(None, TrialRef.of(number), result)
        return bool(decision == TrialScheduler.CONTINUE) or number < SPARED

    def replay(self, results: Iterable[tuple[int, dict[str, Any]]]) -> set[int]:
        """Take stored results in, oldest first; the trials that should have been stopped."""
        stopped = set()
        for number, result in results:
            self.add(number)
            if not self.goes_on(number, result):
                stopped.add(number)
        return stopped

    # What follows is Ray Tune's side of the same.

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:  # noqa: ARG002
        """Make a Ray trial known by its number."""
        self.add(trial.config["number"])

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:  # noqa: ARG002
        """Decide on a Ray trial."""
        goes_on = self.goes_on(trial.config["number"], result)
        return str(TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP)

    def debug_string(self) -> str:
        """What the inner scheduler says of itself."""
        return str(self._inner.debug_string())


def _no_scheduler(_: int) -> TrialScheduler:
    return FIFOScheduler()


def rungs(epochs: int) -> tuple[int, int]:
    """Epochs of ASHA's first rung, and after which there is none.

    The first comes after a tenth of the training (the part that arXiv:2004.10934 sec. 4.1 searched
    with), but not before epoch 6, or three tenths of a training too short for that: until then
    the AP of a detector says little. In the last third stopping saves too little.
    """
    first = max(round(0.1 * epochs), min(6, max(1, round(0.3 * epochs))))
    return first, max(first, round(0.67 * epochs))


def _asha(epochs: int) -> TrialScheduler:
    """ASHA (arXiv:1810.05934): at each rung the best third goes on; the next is thrice as far."""
    first, last = rungs(epochs)
    return AsyncHyperBandScheduler(
        time_attr=TIME,
        metric=OBJECTIVE,
        mode="max",
        grace_period=first,
        max_t=last,
        reduction_factor=3,
        brackets=1,
        stop_last_trials=False,
    )


SCHEDULERS: dict[str, Callable[[int], TrialScheduler]] = {"asha": _asha, "none": _no_scheduler}


def build_scheduler(name: str, epochs: int) -> StableScheduler:
    """A scheduler by name for trainings of `epochs`; a SpaceError names the known ones."""
    if name not in SCHEDULERS:
        raise SpaceError(f"unknown scheduler '{name}'", "scheduler", nearest(name, SCHEDULERS))
    return StableScheduler(SCHEDULERS[name](epochs))
