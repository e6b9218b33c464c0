"""What detectors saw in a made-up run: literal numbers, no detections."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from evolve.findings.seen_records import Box, Example, Seen, SeenRow, View

CONFUSION = np.array([[8.0, 1, 1], [0, 4, 6], [2, 0.5, 0]])


def make_row(title: str, height: float, trainings: int = 2) -> SeenRow:
    """A row whose curves fall from `height` to 0 at a recall of 0.6."""
    line = np.where(np.arange(101) <= 60, height, 0.0)
    bands = np.stack([line, 0.9 * line, np.minimum(1.0, 1.1 * line)])
    curves = np.stack([np.stack([bands, 0.5 * bands])] * 3)
    ap = np.array([[0.61, 0.305]] * 3) * height
    return SeenRow(title, trainings, curves, ap, 0.25, 0.7, CONFUSION)


def make_view(f1: float) -> View:
    """One right and one false detection, one truth found and one missed."""
    right = Box(0, 0.9, (10.0, 10.0, 40.0, 40.0), True)
    false = Box(1, 0.6, (60.0, 10.0, 90.0, 30.0), False)
    truths = (Box(0, 1.0, (11.0, 10.0, 41.0, 40.0), True),
              Box(1, 1.0, (50.0, 60.0, 80.0, 90.0), False))  # fmt: skip
    return View(f1, (right, false), truths)


def make_seen(path: Path | None = None, classes: tuple[str, str] = ("cat", "dog")) -> Seen:
    """Defaults and trial 5 on ten images of two classes; one example of 100 x 100 pixels."""
    views = (make_view(0.5), make_view(0.75))
    example = Example("highest", "a/b.png", 100, 100, views, path, "" if path else "gone")
    rows = (make_row("the defaults", 0.6), make_row("trial 5", 0.8))
    return Seen("test", 10, classes, (10, 10), rows, (0, 1), (0, 1), True, (example,))


def make_many(count: int) -> Seen:
    """The same with so many classes, of which twelve are told apart."""
    names = tuple(f"a class with a long name {n}" for n in range(count))
    confusion = np.full((14, 14), 1.0) + 20 * np.eye(14)
    ap = np.full((count + 1, 2), 0.5)
    rows = tuple(
        replace(row, confusion=confusion, ap=ap, curves=np.repeat(row.curves[:1], 9, axis=0))
        for row in make_seen().rows
    )
    return replace(make_seen(), classes=names, truths=(5,) * count, rows=rows,
                   panels=tuple(range(8)), confused=tuple(range(12)))  # fmt: skip
