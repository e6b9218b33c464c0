"""Errors of the detector and its trainer.

Every error says three things: what is wrong, where, and how to mend it. All arguments are
positional and reach `Exception.args`, so an error survives pickling between processes.
"""

import difflib
from collections.abc import Iterable

from model.harmless import printable_message


class ModelError(Exception):
    """Base of all errors raised in `model`.

    Parameters
    ----------
    what : str
        One sentence without a final stop.
    where : str
        A file with line and column, a key path, or an image; empty where there is no place.
    mend : str
        What the user can do; empty where nothing is known.
    """

    def __init__(self, what: str, where: str = "", mend: str = "") -> None:
        super().__init__(what, where, mend)
        self.what = what
        self.where = where
        self.mend = mend

    def __str__(self) -> str:
        parts = [f"{type(self).__name__}: {self.what}"]
        if self.where:
            parts.append(f"  at   {self.where}")
        if self.mend:
            parts.append(f"  mend {self.mend}")
        return "\n".join(map(printable_message, parts))  # names in it may be anybody's


class DataError(ModelError):
    """The data set cannot be read or makes no sense."""


class ConfigurationError(ModelError):
    """A training configuration that no detector can be built or trained from."""


class CheckpointError(ModelError):
    """A checkpoint that is missing, torn, or belongs to another configuration."""


class Diverged(ModelError):  # noqa: N818  (the field's word for it)
    """The loss became non-finite or exploded.

    `what` names the cause, `where` the epoch and step.
    """


class Halted(ModelError):  # noqa: N818  (it is no fault)
    """A training that was halted as was wanted; it goes on from its checkpoint.

    Parameters
    ----------
    path : str
        The checkpoint.
    epoch : int
        Finished epochs.
    done, steps : int
        How much of the next epoch is done: mini-batches, of so many.
    """

    def __init__(self, path: str, epoch: int, done: int, steps: int) -> None:
        where = f"epoch {epoch + 1}, after step {done} of {steps}"
        super().__init__("the training was halted", where, f"continue it from {path}")
        self.args = (path, epoch, done, steps)  # what it is made from again after pickling
        self.path = path
        self.epoch = epoch
        self.done = done
        self.steps = steps


LISTED = 24


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint that names the nearest known word, then the others if they are not too many.

    Parameters
    ----------
    word : str
        What the user wrote.
    known : iterable of str
        What would have been understood.
    """
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=3, cutoff=0.5)
    if close and len(names) > LISTED:
        return "did you mean " + " or ".join(f"'{name}'" for name in close) + "?"
    listed = ", ".join(names[:LISTED]) if names else "none"
    if len(names) > LISTED:
        listed += f" and {len(names) - LISTED} more"
    return f"did you mean '{close[0]}'? known: {listed}" if close else f"known: {listed}"
