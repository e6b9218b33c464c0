"""The family of errors a user can meet; none of them reaches a user as a traceback."""

from model.errors import ModelError, nearest

__all__ = [
    "CardError",
    "EvolveError",
    "ReportError",
    "SpaceError",
    "StoreError",
    "TableError",
    "TrialError",
    "nearest",
]


MAKE_ROOM = "make room, then go on with 'evolve resume': nothing finished is lost"


class EvolveError(ModelError):
    """Base of all errors raised in `evolve` and `reports`: what, where, mend."""


class SpaceError(EvolveError):
    """A search space file that cannot be used."""


class TableError(EvolveError):
    """An ablation table, or one of the paper's own tables, that cannot be used."""


class StoreError(EvolveError):
    """A run folder or study that cannot be opened, or belongs to something else."""


class RunError(EvolveError):
    """A run that has to stop, though nothing is wrong with what it was asked for."""


class WriteError(RunError, StoreError):
    """A store that cannot be written any more."""


class CardError(EvolveError):
    """A study card, or another source of a warm start, that cannot be made or used."""


class ReportError(EvolveError):
    """A report that cannot be made."""


class TrialError(EvolveError):
    """A trial that failed.

    `what` is the reason, `where` the run and trial, `mend` what to do; raised `from` its cause.
    """
