"""A truth's box as annotated -> corners inside its image, or why nothing is left of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Fault = Literal["", "not-finite", "no-area", "outside", "clipped"]

TINY_PX = 1e-3
"""What is left of a box after clipping has at least these sides."""
SILENT_PX = 0.01
"""A box that stands out by less is clipped without a word: written with few digits."""
LARGEST = 1e30


@dataclass(frozen=True, slots=True)
class Fitted:
    """Corners in pixels, None where the box has to go, and what was wrong with it."""

    corners_xyxy_px: tuple[float, float, float, float] | None
    fault: Fault


def fit_box(xywh_px: Sequence[float], width: int, height: int) -> Fitted:
    """Clip a box (left, top, width, height in pixels) to its image."""
    if not all(map(is_finite, xywh_px)):
        return Fitted(None, "not-finite")
    x, y, w, h = xywh_px
    if w <= 0 or h <= 0:
        return Fitted(None, "no-area")
    left, top, right, bottom = max(x, 0.0), max(y, 0.0), min(x + w, width), min(y + h, height)
    if right - left < TINY_PX or bottom - top < TINY_PX:
        return Fitted(None, "outside")
    cut = max(left - x, top - y, x + w - right, y + h - bottom)
    corners = (float(left), float(top), float(right), float(bottom))
    return Fitted(corners, "clipped" if cut > SILENT_PX else "")


def is_finite(value: float) -> bool:
    """Whether float32 can hold it: neither NaN nor infinite, nor a whole number beyond that."""
    return abs(value) < LARGEST
