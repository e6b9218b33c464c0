"""What a figure says of the point under the pointer: places in the drawing, with words.

A drawing function notes its points with `note_points`; whoever writes the figure as SVG takes
them with `taken_points`, in the units of the file. The page's script shows them.
"""

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

MOST_POINTS = 600
_POINTS_AN_INCH = 72  # the units of an SVG file that matplotlib writes

_NOTED: "WeakKeyDictionary[Figure, list[tuple[Axes, Any, list[str], list[str]]]]" = (
    WeakKeyDictionary()
)


def note_points(
    axes: Axes,
    x: Sequence[float],
    y: Sequence[float],
    labels: Sequence[str],
    targets: Sequence[str] = (),
) -> None:
    """Note points of a figure.

    Parameters
    ----------
    axes : Axes
    x, y : sequence of float
        In the units of the axes; a point that is not finite is left out.
    labels : sequence of str
        Clean text.
    targets : sequence of str
        Ids in the page that tell more; empty, or one for each point, of which any may be empty.
    """
    figure = axes.get_figure(root=True)
    if not isinstance(figure, Figure):
        return
    places = np.column_stack([np.asarray(x, float), np.asarray(y, float)])
    named = list(targets) or [""] * len(labels)
    _NOTED.setdefault(figure, []).append((axes, places, list(labels), named))


def taken_points(figure: Figure) -> str:
    """The noted points of a settled figure; empty if there are none, or too many.

    A line each: x and y from the top left of the drawing, target and label, with commas between;
    the label, which comes last, may hold more of them.
    """
    found: list[str] = []
    scale = _POINTS_AN_INCH / figure.dpi
    height = _POINTS_AN_INCH * figure.get_figheight()
    for axes, places, labels, targets in _NOTED.get(figure, ()):
        drawn = axes.transData.transform(places) * scale
        for (x, y), label, target in zip(drawn.tolist(), labels, targets, strict=True):
            if np.isfinite((x, y)).all():
                words = " ".join(label.split())
                found.append(f"{x:.0f},{height - y:.0f},{target},{words}")
    if not found or len(found) > MOST_POINTS:
        return ""
    return "\n".join(found)
