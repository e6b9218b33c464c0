"""What makes a LaTeX table fit on a page: size of the font, gaps, wrapped text, several pages."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from evolve.ablation.latex_columns import TexColumn

PAGE_WIDTH_PT = 500.0  # of papers in two columns; elsewhere it leaves some of the margins
MANY_PAGES = "footnotesize"  # of tables that do not fit on one
LEAST_TEXT_PT = 70.0  # columns of text are not wrapped to less, at 10 points
_RULES_PT = 14.0  # of a table, with the space around them
_GROUP_PT = 3.0  # of the space above a heading between rows


@dataclass(frozen=True)
class Size:
    """A LaTeX size; `scale` is how wide its letters are beside those of 10 points."""

    name: str
    scale: float
    line_pt: float
    gap_pt: float


SIZES = (
    Size("normalsize", 1.0, 12.0, 6),
    Size("small", 0.925, 11.0, 6),
    Size("small", 0.925, 11.0, 4),
    Size("footnotesize", 0.85, 9.5, 4),
    Size("footnotesize", 0.85, 9.5, 3),
    Size("scriptsize", 0.80, 8.0, 3),
    Size("scriptsize", 0.80, 8.0, 2),
    Size("tiny", 0.69, 6.0, 1.5),
)


@dataclass(frozen=True)
class Fit:
    """How a table is set.

    Attributes
    ----------
    size : Size
    text_pt : tuple of float or None
        Of each column; None where it is as wide as it is.
    width_pt : float
        Of all of it.
    lines : tuple of float
        Height of each row in points, with the heading above it.
    head_pt : float
        Of headings and rules.
    """

    size: Size
    text_pt: tuple[float | None, ...]
    width_pt: float
    lines: tuple[float, ...]
    head_pt: float

    @property
    def height_pt(self) -> float:
        """Of all of it, on one page."""
        return self.head_pt + sum(self.lines)

    def pages(self, most_pt: float) -> list[range]:
        """Rows that go together on a page; at least one."""
        pages, start, used = [], 0, self.head_pt
        for row, height in enumerate(self.lines):
            if used + height > most_pt and row > start:
                pages.append(range(start, row))
                start, used = row, self.head_pt
            used += height
        return [*pages, range(start, len(self.lines))]


def fitted(
    columns: Sequence[TexColumn], headed: Sequence[bool], width_pt: float, height_pt: float
) -> Fit:
    """The largest size that fits on one page, or else one that is not too wide.

    Parameters
    ----------
    columns : sequence of TexColumn
    headed : sequence of bool
        Rows that have a heading above them.
    width_pt, height_pt : float
        Of the page. What is too wide in small print may reach into its margins.

    Returns
    -------
    Fit
        As narrow as it can be made, where nothing fits.
    """
    widest_pt = max(width_pt, PAGE_WIDTH_PT)
    for sizes, room_pt in ((SIZES[:-1], width_pt), (SIZES[-3:-1], widest_pt)):
        fits = [_set(columns, headed, size, room_pt) for size in sizes]
        narrow = [fit for fit in fits if fit.width_pt <= room_pt]
        whole = (fit for fit in narrow if fit.height_pt <= height_pt)
        of_many_pages = (fit for fit in narrow if fit.size.name == MANY_PAGES)
        if narrow:
            return next(chain(whole, of_many_pages, narrow))
    return _set(columns, headed, SIZES[-1], widest_pt)


def _set(columns: Sequence[TexColumn], headed: Sequence[bool], size: Size, room_pt: float) -> Fit:
    natural = [column.width_pt * size.scale for column in columns]
    gaps = 2 * size.gap_pt * (len(columns) - 1)
    widths = _wrapped(columns, natural, size, room_pt - gaps)
    text_pt = tuple(
        None if width == whole else width for width, whole in zip(widths, natural, strict=True)
    )
    rows = range(len(headed))
    lines = tuple(
        _row_lines(columns, widths, size, row) * size.line_pt
        + headed[row] * (size.line_pt + _GROUP_PT)
        for row in rows
    )
    head = max((column.heading_lines for column in columns), default=1) + 1
    return Fit(size, text_pt, sum(widths) + gaps, lines, head * size.line_pt + _RULES_PT)


def _wrapped(
    columns: Sequence[TexColumn], natural: Sequence[float], size: Size, room_pt: float
) -> list[float]:
    """Widths with the widest columns of text made narrower, all to one width, until they fit."""
    least = [
        min(whole, max(column.least_pt, LEAST_TEXT_PT) * size.scale)
        for column, whole in zip(columns, natural, strict=True)
    ]
    low, high = 0.0, max(natural, default=0.0)
    if sum(natural) <= room_pt:
        return list(natural)
    for _ in range(20):  # halving
        middle = (low + high) / 2
        widths = _capped(least, natural, middle)
        low, high = (middle, high) if sum(widths) <= room_pt else (low, middle)
    return _capped(least, natural, low)


def _capped(least: Sequence[float], natural: Sequence[float], cap: float) -> list[float]:
    return [max(low, min(whole, cap)) for low, whole in zip(least, natural, strict=True)]


def _row_lines(columns: Sequence[TexColumn], widths: Sequence[float], size: Size, row: int) -> int:
    """Lines of a row; wrapped text is said to fill nine tenths of each."""
    most = 1
    for column, width in zip(columns, widths, strict=True):
        needed = column.cells_pt[row] * size.scale
        if needed > width > 0:
            most = max(most, math.ceil(needed / (0.9 * width)))
    return most
