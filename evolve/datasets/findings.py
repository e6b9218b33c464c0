"""What is wrong with a data set, and what becomes of it."""

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["error", "dropped", "fixed", "warning"]
OUTCOMES: tuple[Outcome, ...] = ("error", "dropped", "fixed", "warning")
"""Worst first: nothing can be trained; left out; mended; told and left as it is."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault.

    Attributes
    ----------
    kind : str
        Name of the kind of fault, such as ``box-outside``.
    outcome : str
        One of `OUTCOMES`: what a training and an import do about it.
    split : str
        Empty where it concerns all of the data.
    file : str
        The file it is in, relative to the data folder, or the image it is about.
    item : str
        Id of the image or annotation, or line of the file; empty where it is the whole file.
    what : str
        One sentence without a final stop.
    mend : str
        What the user can do; empty where nothing needs to be done.
    """

    kind: str
    outcome: Outcome
    split: str
    file: str
    item: str
    what: str
    mend: str = ""
