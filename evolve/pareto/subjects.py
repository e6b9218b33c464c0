"""What a front is drawn of: detectors of runs and of weights files, before they are measured."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evolve.analysis.deltas import Delta
from evolve.analysis.phrases import listed
from evolve.errors import EvolveError
from evolve.protocol import Protocol, protocol_of
from model.config import TrainConfig

Floats = NDArray[np.float64]

MOST_LISTED = 3


@dataclass(frozen=True, eq=False)
class Accuracy:
    """AP of a detector at one size, over its trainings.

    Attributes
    ----------
    delta : Delta
        The mean, with its interval over seeds and images.
    resampled : array, shape (R,), or None
        The mean on resamples of the images, the same for all detectors.
    images : int or None
    is_stored : bool
        Whether a comparison had measured it before.
    """

    delta: Delta
    resampled: Floats | None = None
    images: int | None = None
    is_stored: bool = False


@dataclass(frozen=True, eq=False)
class Subject:
    """A detector, trained once or with several seeds.

    Attributes
    ----------
    title : str
        What people read; no two of a front have the same.
    role : str
        winner, defaults, candidate, trial, row or weights.
    config : TrainConfig
        Its `image_size` is a number.
    weights : tuple of Path
        One for each training whose weights are still there.
    home : Path
        File that keeps what is measured of it.
    stored : Accuracy or None
        At its own size.
    costs : Path or None
        Costs that its run has measured.
    """

    title: str
    role: str
    config: TrainConfig
    weights: tuple[Path, ...]
    home: Path
    stored: Accuracy | None = None
    costs: Path | None = None

    @property
    def size(self) -> int:
        """Side of the input that it was trained for."""
        return int(self.config.image_size)

    def protocol(self, data: "Data", split: str, metric: str) -> Protocol:
        """How its AP is measured, at its own size."""
        tree = {"data": {"digest": data.digest, "classes": data.classes},
                "train": self.config.to_dict()}  # fmt: skip
        return protocol_of(tree, split=split, metric=metric)


@dataclass(frozen=True)
class Data:
    """The data that all of a front is measured on.

    Attributes
    ----------
    argument : str
        As for `--data`.
    name : str
    digest : str
    classes : tuple of str
    seed : int
        Of the split of a single annotations file.
    """

    argument: str
    name: str
    digest: str
    classes: tuple[str, ...]
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Source:
    """A run, or a weights file, as far as it is known without its subjects.

    Attributes
    ----------
    name : str
    where : Path
    classes : tuple of str
    digest : str
        Of the data that it was trained on.
    data : Data or None
        Where these are, if that is known.
    subjects : callable of (split, metric, data as for `--data`, whether to tell sources apart)
        Reads them.
    is_run : bool
    judged_on : str
        Split that a run has opened for its comparison, else val; empty of weights.
    objective : str
        Of a run.
    """

    name: str
    where: Path
    classes: tuple[str, ...]
    digest: str
    data: Data | None
    subjects: Callable[[str, str, str | None], Sequence[Subject]]
    is_run: bool = False
    judged_on: str = ""
    objective: str = "AP"
    notes: list[str] = field(default_factory=list)


def check_alike(sources: Sequence[Source]) -> None:
    """Refuse detectors of other classes, and runs on other data: their AP cannot be compared.

    Raises
    ------
    EvolveError
    """
    first = sources[0]
    for other in sources[1:]:
        if other.classes != first.classes:
            raise EvolveError(
                f"AP of '{first.name}' and '{other.name}' cannot be compared: one knows "
                f"{_listed(first.classes)}, the other {_listed(other.classes)}",
                str(other.where),
                "give runs and weights of the same classes in the same order",
            )
    runs = [source for source in sources if source.is_run]
    for other in runs[1:]:
        if other.digest != runs[0].digest:
            raise EvolveError(
                f"AP of '{runs[0].name}' and '{other.name}' cannot be compared: they were "
                f"trained on other data ({_data_of(runs[0])} and {_data_of(other)})",
                str(other.where),
                "give runs on the same data, or --weights of their detectors and --data to "
                "measure all on",
            )


def _listed(classes: Sequence[str]) -> str:
    more = [f"{len(classes) - MOST_LISTED} more"] if len(classes) > MOST_LISTED else []
    return listed([*(f"'{name}'" for name in classes[:MOST_LISTED]), *more])


def _data_of(source: Source) -> str:
    name = source.data.name if source.data else "unknown"
    return f"{name}, {source.digest[:8] or 'no digest'}"


def text_of(tree: Any, key: str) -> str:
    """A text of a manifest; empty where there is none."""
    found = tree.get(key) if isinstance(tree, dict) else None
    return found if isinstance(found, str) else ""
