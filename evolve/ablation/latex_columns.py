"""Columns of a layout as those of a LaTeX tabular: numbers in siunitx's S, all else in l, c, r."""

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from evolve.ablation.latex_text import breakable, latex, parts
from evolve.ablation.layout import Align, Cell, Column
from evolve.ablation.render import clean

HEADING_CHARACTERS = 8  # headings are not wrapped to less, though their cells are narrower
MINUS = "\u2212"
_DASHES = ("", "-", "--", "\u2013", "\u2014")
_NUMBER = re.compile(
    r"([-+\u2212]?)(0|[1-9][0-9]*)(\.[0-9]+)?([^0-9\u00b1]*)"
    r"(?:\u00b1\s*([0-9]+)(\.[0-9]+)?)?"
)
_RAISED = 0.7  # a raised letter is as wide as this share of one on the line
_REPLACED_PT = 40.0  # what has no sign in the fonts is told by its code point
_SIGN_PT = 7.8
_WIDTHS_PT = {
    **dict.fromkeys("!',.:;[]`il|", 2.8), **dict.fromkeys("fj -", 3.3),
    **dict.fromkeys("I_()rst", 3.9), **dict.fromkeys("cez>?", 4.6),
    **dict.fromkeys('"$*/0123456789\\^ago{}~J', 5.0), **dict.fromkeys("kqvxySbdhnpu", 5.5),
    **dict.fromkeys("ZLFEP", 6.5), **dict.fromkeys("BCTw", 7.2), **dict.fromkeys("RAHNUVXYD", 7.5),
    **dict.fromkeys("&+<=@GKOQ#%mM", 8.3), "W": 10.3,
}  # fmt: skip  # of Computer Modern in 10 points


def width_pt(text: str) -> float:
    """About how wide a text is in the LaTeX font at 10 points."""
    return sum(map(_character_pt, clean(text)))


def _character_pt(character: str) -> float:
    if character.isascii():
        return _WIDTHS_PT[character]
    return _REPLACED_PT if latex(character).startswith("{[}U+") else _SIGN_PT


@dataclass(frozen=True)
class TexColumn:
    """A column with everything that does not depend on the size of the font.

    Attributes
    ----------
    kind : str
        l, c, r, or S with its options.
    heading : str
    cells : tuple of str
        Without what separates them.
    heading_lines : int
    width_pt, least_pt : float
        At 10 points: as it is, and with its text wrapped at each blank; equal in columns that
        are not wrapped.
    cells_pt : tuple of float
    """

    kind: str
    heading: str
    cells: tuple[str, ...]
    heading_lines: int
    width_pt: float
    least_pt: float
    cells_pt: tuple[float, ...]


def tex_column(column: Column, cells: Sequence[Cell]) -> TexColumn:
    """The column of these cells."""
    is_told = [clean(cell.text) not in _DASHES for cell in cells]
    numbers = [_number(cell) for cell in cells]
    known = [one for one, told in zip(numbers, is_told, strict=True) if told]
    if column.align == "right" and known and None not in known:
        kind, drawn, reserved_pt = _aligned(numbers)
        drawn = [one or _braced(_text(cell)) for one, cell in zip(drawn, cells, strict=True)]
    else:
        kind, reserved_pt = column.align[0], 0.0
        drawn = [_placed(cell, column.align) for cell in cells]
    lines = _heading_lines(column, cells)
    heading_pt = max(map(width_pt, lines)) + _raised_pt(column.note)
    cells_pt = tuple(width_pt(cell.text) + _raised_pt(cell.note) for cell in cells)
    natural_pt = max(heading_pt, reserved_pt, *cells_pt, 0.0)
    wraps = column.align == "left" and not column.whole
    words = (part for cell in cells for word in clean(cell.text).split() for part in parts(word))
    least_pt = max(heading_pt, *map(width_pt, words), 0.0) if wraps else natural_pt
    heading = _heading(lines, column.note, kind[0])
    return TexColumn(kind, heading, tuple(drawn), len(lines), natural_pt, least_pt, cells_pt)


# -- numbers -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Number:
    """A number, and what stands behind it: a unit, or half of an interval."""

    cell: Cell
    sign: str
    whole: str
    decimals: str  # with the point
    behind: str
    reach: str  # behind a plus-minus, its whole part
    rest: str

    @property
    def behind_pt(self) -> float:
        reach = f" \u00b1 {self.reach}{self.rest}" if self.reach else ""
        return width_pt(f"x{self.behind}{reach}") - width_pt("x") + _raised_pt(self.cell.note)

    def tail(self, reach_digits: int) -> str:
        """What stands behind, in braces: siunitx leaves that as it is."""
        blank = " " if self.behind.startswith(" ") and self.behind.strip() else ""
        text = blank + latex(self.behind)
        if self.reach:
            room = "0" * (reach_digits - len(self.reach))
            text += r"\,$\pm$\," + (rf"\phantom{{{room}}}" if room else "")
            text += self.reach + self.rest
        return _braced(text + raised(self.cell.note))


def _number(cell: Cell) -> _Number | None:
    found = _NUMBER.fullmatch(clean(cell.text))
    return None if found is None else _Number(cell, *(part or "" for part in found.groups()))


def _aligned(numbers: Sequence[_Number | None]) -> tuple[str, list[str], float]:
    """Kind of a column with room for all, the cells, and how wide that is; "" for no number."""
    known = [one for one in numbers if one is not None]
    reach = max(len(one.reach) for one in known)
    whole = max(len(one.whole) for one in known)
    decimals = max(len(one.decimals[1:]) for one in known)
    sign = "+" if any(one.sign for one in known) else ""
    widest = max(known, key=lambda one: one.behind_pt)
    kind = f"S[table-format={sign}{whole}.{decimals}{widest.tail(reach)}]"
    drawn = ["" if one is None else _digits(one) + one.tail(reach) for one in numbers]
    digits_pt = 5.0 * (whole + decimals) + 2.8 * bool(decimals) + _SIGN_PT * bool(sign)
    return kind, drawn, digits_pt + widest.behind_pt


def _digits(number: _Number) -> str:
    bold = "\\bfseries " if number.cell.bold else ""
    return f"{bold}{number.sign.replace(MINUS, '-')}{number.whole}{number.decimals}"


# -- text ----------------------------------------------------------------------------------


def raised(note: str) -> str:
    """Keys of notes, behind what they are about."""
    return rf"\textsuperscript{{{latex(note)}}}" if note else ""


def _raised_pt(note: str) -> float:
    return _RAISED * width_pt(note)


def _braced(text: str) -> str:
    return f"{{{text}}}" if text else ""


def _text(cell: Cell) -> str:
    return _strong(cell) + raised(cell.note)


def _strong(cell: Cell) -> str:
    text = breakable(cell.text)
    return rf"\textbf{{{text}}}" if cell.bold and text else text


def _placed(cell: Cell, align: Align) -> str:
    own = cell.align or align
    text = _text(cell)
    if own == "center" and cell.note:  # the note does not move what is in the middle
        text = rf"{_strong(cell)}\rlap{{{raised(cell.note)}}}"
    return text if own == align else rf"\multicolumn{{1}}{{{own[0]}}}{{{text}}}"


def _heading_lines(column: Column, cells: Sequence[Cell]) -> list[str]:
    """A heading in lines of about the width of the cells below it."""
    text = clean(column.heading)
    longest = max(map(len, (*text.split(), *(clean(cell.text) for cell in cells))), default=0)
    width = max(longest, HEADING_CHARACTERS)
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]


def _heading(lines: Sequence[str], note: str, kind: str) -> str:
    text = r"\\".join(map(latex, lines)) + raised(note)
    if len(lines) > 1:
        at = "c" if kind == "S" else kind
        text = rf"\begin{{tabular}}[b]{{@{{}}{at}@{{}}}}{text}\end{{tabular}}"
    return _braced(text) if kind == "S" else text
