"""What detectors saw in the images of a split, as plain records."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SeenRow:
    """What one row saw: the defaults, or the winner.

    Attributes
    ----------
    title : str
    trainings : int
        Complete ones that it is the mean of.
    curves : array, shape (1 + P, 2, 3, 101)
        Precision at COCO's recalls: mean over the classes, then of each class in `Seen.panels`; at
        an IoU of 0.5 and 0.75; mean, lowest and highest of the trainings.
    ap : array, shape (1 + K, 2)
        AP50 and AP75 of the same means and of every class, mean over the trainings; NaN for a
        class without truth.
    score, f1 : float
        The score at which all trainings together have the highest F1, and that. NaN and 0 where
        they find nothing; then there is no confusion either.
    confusion : array, shape (M + 1, M + 1)
        Mean counts over the trainings: see `evolve.analysis.confusion`; classes as in
        `Seen.confused`.
    """

    title: str
    trainings: int
    curves: Floats
    ap: Floats
    score: float
    f1: float
    confusion: Floats


@dataclass(frozen=True)
class Box:
    """A truth or a detection; `right` tells whether the other side has it too.

    `score` is 1 for a truth; one that is a `crowd` counts neither way.
    """

    label: int
    score: float
    xyxy_px: tuple[float, float, float, float]
    right: bool
    crowd: bool = False


@dataclass(frozen=True)
class View:
    """One image as one row saw it: its F1, its detections, and the truths with what it found."""

    f1: float
    found: tuple[Box, ...]
    truths: tuple[Box, ...]


@dataclass(frozen=True)
class Example:
    """One image, seen by the rows of `Seen` in their order.

    `kind` is why it was chosen: highest, median or lowest. `path` is its file, or None with
    `why_not`.
    """

    kind: str
    file_name: str
    width: int
    height: int
    views: tuple[View, ...]
    path: Path | None = None
    why_not: str = ""


@dataclass(frozen=True)
class Seen:
    """What the detectors of a run saw.

    Attributes
    ----------
    split : str
    images : int
    classes : tuple of str
    truths : tuple of int
        Of each class in the split, crowds left out.
    rows : tuple of SeenRow
        The defaults first, then the winner or best trial; either may be alone.
    panels : tuple of int
        Classes that have curves.
    confused : tuple of int
        Classes that the confusion tells apart; if not all, the others are one after them.
    confirmed : bool
        Whether the trainings are those of the final comparison.
    examples : tuple of Example
    why_not : str
        Why there is nothing; empty if there is something.
    """

    split: str = ""
    images: int = 0
    classes: tuple[str, ...] = ()
    truths: tuple[int, ...] = ()
    rows: tuple[SeenRow, ...] = ()
    panels: tuple[int, ...] = ()
    confused: tuple[int, ...] = ()
    confirmed: bool = False
    examples: tuple[Example, ...] = field(default=())
    why_not: str = ""

    @property
    def confused_names(self) -> tuple[str, ...]:
        """Names of the rows of `SeenRow.confusion` but the last."""
        names = tuple(self.classes[place] for place in self.confused)
        rest = len(self.classes) - len(names)
        return (*names, f"{rest} others") if rest else names

    def to_dict(self) -> dict[str, Any]:
        """JSON types without curves and boxes."""
        rows = [
            {
                "title": row.title,
                "trainings": row.trainings,
                "AP50": row.ap[:, 0].tolist(),
                "AP75": row.ap[:, 1].tolist(),
                "score": row.score,
                "f1": row.f1,
                "confusion": row.confusion.tolist(),
            }
            for row in self.rows
        ]
        return {
            "split": self.split,
            "classes": list(self.classes),
            "confused": list(self.confused_names),
            "rows": rows,
            "examples": [one.file_name for one in self.examples],
            "why_not": self.why_not,
        }


def row_from(tree: Mapping[str, Any]) -> SeenRow:
    """A row from JSON types."""
    return SeenRow(
        title=str(tree["title"]),
        trainings=int(tree["trainings"]),
        curves=floats(tree["curves"]),
        ap=floats(tree["ap"]),
        score=float(tree["score"]),
        f1=float(tree["f1"]),
        confusion=floats(tree["confusion"]),
    )


def example_to(one: Example) -> dict[str, Any]:
    """JSON types of an example."""
    return asdict(one)


def example_from(tree: Mapping[str, Any]) -> Example:
    """An example from JSON types, without its path."""
    views = tuple(
        View(float(view["f1"]), _boxes(view["found"]), _boxes(view["truths"]))
        for view in tree["views"]
    )
    size = int(tree["width"]), int(tree["height"])
    return Example(str(tree["kind"]), str(tree["file_name"]), *size, views)


def _boxes(trees: Any) -> tuple[Box, ...]:
    return tuple(map(_box, trees))


def _box(tree: Mapping[str, Any]) -> Box:
    x0, y0, x1, y1 = map(float, tree["xyxy_px"])
    flags = bool(tree["right"]), bool(tree["crowd"])
    return Box(int(tree["label"]), float(tree["score"]), (x0, y0, x1, y1), *flags)


def floats(tree: Any) -> Floats:
    """Array from nested lists in which NaN is text."""
    return np.array(tree, dtype=object).astype(np.float64)
