"""Asking a training to stop within an epoch."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Halt:
    """Whether a training is to stop, and where it leaves what it has done.

    It is asked before the first mini-batch of an epoch and after every update of the weights,
    never while the network is measured. As soon as it is wanted, a checkpoint is written to
    `path` in one step and `model.errors.Halted` is raised. A training that is halted from the
    start trains nothing and writes all the same, so that there is always a checkpoint to continue
    from; whoever halts sees to it that a training gets on at all.

    Attributes
    ----------
    wanted : callable
        Asked often, so it must be cheap: the `is_set` of an event, a look at a flag.
    path : Path
        May be the very checkpoint that the training is continued from.
    """

    wanted: Callable[[], bool]
    path: Path
