"""What is left of a budget, and what trainings cost of it."""

import math
from dataclasses import dataclass, replace

from evolve.budget import Budget

MARGIN = 1.15  # of an expected time that is kept free


@dataclass(frozen=True)
class Allowance:
    """A budget, and what a training takes of it while it runs.

    Attributes
    ----------
    budget : Budget or None
        None is without end.
    workers : int
        Trainings at once.
    cpus, gpus : float
        Of each training.
    wall_before, trained_before : float
        Seconds of the clock, and of trainings, that were spent before the present phase.
    """

    budget: Budget | None
    workers: int
    cpus: float = 1.0
    gpus: float = 0.0
    wall_before: float = 0.0
    trained_before: float = 0.0

    def left(self, wall_s: float, trained_s: float) -> float:
        """What is left after so much of this phase, in seconds of the budget's clock."""
        if self.budget is None:
            return math.inf
        if self.budget.of == "wall":
            return self.budget.seconds - self.wall_before - wall_s
        return self.budget.seconds - self._share * (self.trained_before + trained_s)

    def after(self, wall_s: float, trained_s: float) -> "Allowance":
        """What a phase that follows so much of this one may spend."""
        return replace(
            self,
            wall_before=self.wall_before + wall_s,
            trained_before=self.trained_before + trained_s,
        )

    def cost(self, trainings: int, seconds: float) -> float:
        """Of so many trainings of so many seconds each, in seconds of the budget's clock."""
        if math.isnan(seconds) or self.budget is None or not trainings:
            return 0.0
        if self.budget.of == "wall":
            return math.ceil(trainings / self.workers) * seconds
        return trainings * seconds * self._share

    @property
    def _share(self) -> float:
        assert self.budget is not None
        return self.gpus if self.budget.of == "gpu" else self.cpus
