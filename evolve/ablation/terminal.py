"""Layouts drawn in monospaced lines, for terminals and text files."""

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from rich.cells import cell_len

from evolve.ablation.layout import Align, Cell, Column, Layout
from evolve.ablation.render import clean

GAP = "  "
INDENT = "  "  # of rows below headings
HEADING_WIDTHS = (12, 8)  # headings are not wrapped to less, though their cells are narrower
LEAST_WIDTH = 12  # of a column that is wrapped to fit

_RAISED = dict(
    zip(
        "abcdefghijklmnoprstuvwxyz0123456789",
        "ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻ⁰¹²³⁴⁵⁶⁷⁸⁹",
        strict=True,
    )
)
_PLAIN = ("x", "-", "-", "-", "+-", "...", "d", "x")
_PLAINER = str.maketrans(dict(zip("✓─−–±…Δ×", _PLAIN, strict=True)))  # noqa: RUF001


def render_text(
    layout: Layout, width: int = 100, *, ansi: bool = False, encoding: str = "utf-8"
) -> str:
    """Monospaced lines, mostly no longer than `width`.

    Parameters
    ----------
    ansi : bool
        Bold by escape sequences; otherwise a star stands behind what is bold.
    encoding : str
        Of the terminal. One without check marks gets an `x`.
    """
    pen = _Pen(ansi, encoding)
    layout = layout.with_states()
    indent = INDENT if any(row.heading for row in layout.rows) else ""
    body = [
        [pen.cell(row.cells[i], column.align) for row in layout.rows]
        for i, column in enumerate(layout.columns)
    ]
    widths = _fitting(layout, body, pen, width - len(indent))
    blocks = [
        *pen.wrapped(layout.title, width, layout.note, bold=True),
        "",
        *(indent + line for line in _heading_lines(layout, widths, pen)),
    ]
    for number, row in enumerate(layout.rows):
        if row.heading:
            blocks += [*[""] * bool(number), *pen.wrapped(row.heading, width)]
        drawn = [body[i][number] for i in range(len(widths))]
        blocks += [indent + line for line in _row_lines(drawn, widths, pen)]
    blocks += ["", *_note_lines(layout, width, pen)]
    return "\n".join(line.rstrip() for line in blocks).rstrip()


def wrapped_text(text: str, width: int = 100, encoding: str = "utf-8") -> str:
    """A paragraph, freed of what a terminal cannot show or should not be told."""
    return "\n".join(_Pen(False, encoding).wrapped(text, width))


@dataclass(frozen=True)
class _Drawn:
    """A cell without padding; the tail holds what must not disturb the alignment of the text."""

    text: str
    tail: str
    bold: bool
    align: Align


@dataclass(frozen=True)
class _Width:
    """Of a column: its text, the tails behind it, and all of it with its heading."""

    text: int
    tail: int
    full: int


class _Pen:
    """Knows what the terminal can show."""

    def __init__(self, ansi: bool, encoding: str) -> None:
        self.ansi, self.encoding = ansi, encoding
        self.heading_width = HEADING_WIDTHS[0]
        self.has_signs = self._can("✓─ᵃ")

    def _can(self, text: str) -> bool:
        try:
            text.encode(self.encoding)
        except (UnicodeEncodeError, LookupError):
            return False
        return True

    def plain(self, text: str) -> str:
        """`text` without harm, in characters that the terminal has."""
        text = clean(text)
        if self._can(text):
            return text
        return text.translate(_PLAINER).encode("ascii", "replace").decode("ascii")

    def raised(self, note: str) -> str:
        if self.has_signs and all(key in _RAISED for key in note):
            return "".join(_RAISED[key] for key in note)
        return f"^{note}" if note else ""

    def rule(self, length: int) -> str:
        return ("─" if self.has_signs else "-") * length

    def cell(self, cell: Cell, align: Align) -> _Drawn:
        star = "*" if cell.bold and not self.ansi else ""
        tail = star + self.raised(self.plain(cell.note))
        return _Drawn(self.plain(cell.text), tail, cell.bold, cell.align or align)

    def strong(self, text: str) -> str:
        """Bold, but for the blanks around it."""
        inner = text.strip()
        return text.replace(inner, f"\x1b[1m{inner}\x1b[0m", 1) if self.ansi and inner else text

    def wrapped(self, text: str, width: int, note: str = "", *, bold: bool = False) -> list[str]:
        lines = textwrap.wrap(self.plain(text), width, break_on_hyphens=False) or [""]
        lines = [self.strong(line) if bold else line for line in lines]
        return [*lines[:-1], lines[-1] + self.raised(note)]


def _fitting(layout: Layout, body: list[list[_Drawn]], pen: _Pen, room: int) -> list[_Width]:
    """Widths of the columns, with narrower headings and then wrapped text where room is short."""
    widths: list[_Width] = []
    excess = 0
    for pen.heading_width in HEADING_WIDTHS:
        widths = _spanning(layout, _widths(layout, body, pen), pen)
        excess = sum(w.full for w in widths) + len(GAP) * (len(widths) - 1) - room
        if excess <= 0:
            return widths
    return _wrapping(layout, widths, excess, pen)


def _wrapping(layout: Layout, widths: list[_Width], excess: int, pen: _Pen) -> list[_Width]:
    """Widths with text wrapped, the widest column first; as they are if that is not enough."""
    columns = enumerate(layout.columns)
    lefts = [i for i, column in columns if column.align == "left" and not column.whole]
    narrow = list(widths)
    while excess > 0:
        widest = max(lefts, key=lambda i: narrow[i].text, default=None)
        if widest is None or narrow[widest].text <= LEAST_WIDTH:
            return widths
        old = narrow[widest]
        narrow[widest] = _width(layout.columns[widest], old.text - 1, old.tail, pen)
        excess -= old.full - narrow[widest].full
    return narrow


def _widths(layout: Layout, body: list[list[_Drawn]], pen: _Pen) -> list[_Width]:
    widths = []
    for column, cells in zip(layout.columns, body, strict=True):
        tail = max((cell_len(cell.tail) for cell in cells), default=0)
        text = max((cell_len(cell.text) for cell in cells), default=0)
        widths.append(_width(column, text, tail, pen))
    return widths


def _width(column: Column, text: int, tail: int, pen: _Pen) -> _Width:
    heading = max(map(cell_len, _heading(column, text + tail, pen)))
    return _Width(text, tail, max(text + tail, heading))


def _spanning(layout: Layout, widths: list[_Width], pen: _Pen) -> list[_Width]:
    """Widths with room for the names of column groups."""
    widths = list(widths)
    for _, members in groupby(range(len(widths)), key=lambda i: layout.columns[i].group):
        *_, last = spanned = list(members)
        name = cell_len(pen.plain(layout.columns[last].group))
        lacking = name - sum(widths[i].full for i in spanned) - len(GAP) * (len(spanned) - 1)
        if lacking > 0:
            widths[last] = replace(widths[last], full=widths[last].full + lacking)
    return widths


def _heading(column: Column, width: int, pen: _Pen) -> list[str]:
    """A column's heading in lines of about the width of its cells."""
    text = pen.plain(column.heading)
    longest = max((cell_len(word) for word in text.split()), default=1)
    width = max(width, longest, pen.heading_width)
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]
    return [*lines[:-1], lines[-1] + pen.raised(column.note)]


def _heading_lines(layout: Layout, widths: list[_Width], pen: _Pen) -> Iterator[str]:
    if any(column.group for column in layout.columns):
        spans = groupby(range(len(widths)), key=lambda i: layout.columns[i].group)
        yield GAP.join(_group_heading(name, [widths[i] for i in at], pen) for name, at in spans)
    columns = zip(layout.columns, widths, strict=True)
    headings = [_heading(column, width.text + width.tail, pen) for column, width in columns]
    height = max(map(len, headings), default=0)
    for line in range(height):
        parts = []
        for column, lines, width in zip(layout.columns, headings, widths, strict=True):
            at = line - (height - len(lines))
            right = width.tail if column.align == "right" and width.full > width.tail else 0
            text = lines[at] if at >= 0 else ""
            spare = min(right, max(0, width.full - cell_len(text)))
            parts.append(_padded(text, width.full - spare, column.align) + " " * spare)
        yield GAP.join(parts)
    yield GAP.join(pen.rule(width.full) for width in widths)


def _group_heading(name: str, spanned: list[_Width], pen: _Pen) -> str:
    length = sum(width.full for width in spanned) + len(GAP) * (len(spanned) - 1)
    text = f" {pen.plain(name)} "
    if not name or cell_len(text) > length:
        return _padded(pen.plain(name), length, "center")
    left = (length - cell_len(text)) // 2
    return pen.rule(left) + text + pen.rule(length - cell_len(text) - left)


def _row_lines(cells: list[_Drawn], widths: list[_Width], pen: _Pen) -> Iterator[str]:
    wrapped = [
        textwrap.wrap(cell.text, width.text or 1) or [""]
        for cell, width in zip(cells, widths, strict=True)
    ]
    for line in range(max(map(len, wrapped), default=0)):
        parts = []
        for cell, lines, width in zip(cells, wrapped, widths, strict=True):
            text = lines[line] if line < len(lines) else ""
            tail = cell.tail if line == len(lines) - 1 else ""
            parts.append(_cell_text(replace(cell, text=text, tail=tail), width, pen))
        yield GAP.join(parts)


def _cell_text(cell: _Drawn, width: _Width, pen: _Pen) -> str:
    strong = pen.strong(cell.text) if cell.bold else cell.text
    if cell.align == "left":
        return strong + cell.tail + " " * (width.full - cell_len(cell.text + cell.tail))
    room = width.full - width.tail
    padded = _padded(cell.text, room, cell.align)
    body = pen.strong(padded) if cell.bold else padded
    if cell.align == "center":  # a tail follows at once
        blanks = len(padded) - len(padded.rstrip())
        body = body[: len(body) - blanks] if blanks else body
        return body + cell.tail + " " * (blanks + width.tail - cell_len(cell.tail))
    return body + cell.tail + " " * (width.tail - cell_len(cell.tail))


def _padded(text: str, width: int, align: Align) -> str:
    missing = max(0, width - cell_len(text))
    left = {"left": 0, "center": missing // 2, "right": missing}[align]
    return " " * left + text + " " * (missing - left)


def _note_lines(layout: Layout, width: int, pen: _Pen) -> Iterator[str]:
    if layout.has_bold:
        yield f"{'Bold:' if pen.ansi else '*'} {pen.plain(layout.bold_means)}"
    for note in layout.notes:
        mark = f"{pen.raised(note.key)} " if note.key else ""
        yield from textwrap.wrap(
            mark + pen.plain(note.text), width, break_on_hyphens=False,
            subsequent_indent=" " * cell_len(mark),
        )  # fmt: skip
