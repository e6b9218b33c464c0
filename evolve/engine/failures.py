"""Kinds of failures, and what is done about each: told once, for every engine."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Remedy = Literal["again", "alone", "smaller", "halt", "none"]


@dataclass(frozen=True)
class Policy:
    """What is done about a kind of failure.

    Attributes
    ----------
    remedies : tuple of Remedy
        What is tried after the first, second, ... failure of the kind; after the last the trial
        has failed. *again*: from its last checkpoint. *alone*: with no other trial on its device.
        *smaller*: with half the mini-batch and the same effective batch, while that can be done.
        *halt*: the run stops, and nothing is lost.
    about : str
        What the kind means, for people.
    """

    remedies: tuple[Remedy, ...]
    about: str


POLICIES: dict[str, Policy] = {
    "diverged": Policy((), "the loss or a metric is not finite: these values do not train"),
    "oom": Policy(("alone", *("smaller",) * 16), "memory ran out"),
    "data": Policy((), "the data cannot be used"),
    "killed": Policy(("again",) * 3, "its process ended unexpectedly"),
    "lost-node": Policy(("again",) * 10, "its machine is gone"),
    "disk": Policy(("halt",), "nothing can be written any more"),
    "error": Policy(("again",), "something else"),
}


def remedy_for(kind: str, before: Sequence[dict[str, Any]], *, shares: bool) -> Remedy:
    """What is done about a failure after those `before`, of which each has a `type`.

    `shares` tells whether trials share a device, so that one may be better off alone.
    """
    remedies = POLICIES.get(kind, POLICIES["error"]).remedies
    remedies = tuple(one for one in remedies if shares or one != "alone")
    tried = sum(failure["type"] == kind for failure in before)
    return remedies[tried] if tried < len(remedies) else "none"


def failure(kind: str, what: str, log: Sequence[str] = ()) -> dict[str, Any]:
    """A failure that the trial did not tell itself, in the form of `trial.describe_failure`."""
    return {"type": kind, "what": what, "where": "", "mend": "", "log": list(log)}
