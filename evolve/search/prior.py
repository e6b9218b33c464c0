"""What an earlier study found, in the form in which a search can begin with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Prior:
    """Trials of a study on other data.

    Attributes
    ----------
    name : str
        What people call it.
    params : tuple of mapping
        Parameters of each trial, the best first. Those that the present space lacks, or whose
        value is outside it, are left out there.
    values : tuple of float
        Of each; larger is better. Their unit is of no account: only differences within one study
        are used.
    """

    name: str
    params: tuple[Mapping[str, Any], ...]
    values: tuple[float, ...]
