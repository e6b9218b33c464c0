"""Text for people: numbers with the right digits, and outside text made harmless.

Everything a report prints comes from files that somebody else may have written, so each string
goes through `clean` or `clean_lines` once, and then through the escaping of its own format.
"""

import math
import numbers
import re
from typing import Any

from markupsafe import Markup

from evolve.outside_text import escape_formula, escape_markdown, is_harmless

MISSING = "--"
MINUS = "\u2212"
TIMES = "\u00d7"
EN_DASH = "\u2013"
PLUS_MINUS = "\u00b1"

_MARKDOWN_START = re.compile(r"^(\d*)([-+.)])(?=\s)")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_./:-]+")


def clean_lines(value: Any) -> str:
    """`value` as text without control, surrogate and direction characters; line ends stay."""
    text = "" if value is None else str(value).replace("\r\n", "\n").replace("\t", " ")
    kept = "".join(c for c in text if c == "\n" or is_harmless(c))
    return "\n".join(line.rstrip() for line in kept.split("\n")).strip()


def clean(value: Any, longest: int | None = None) -> str:
    """`value` as one line of harmless text, cut with an ellipsis after `longest` characters."""
    text = " ".join(clean_lines(value).split())
    if longest is not None and len(text) > longest:
        text = text[: longest - 1].rstrip() + "…"
    return text


def is_missing(value: Any) -> bool:
    """Whether `value` is None or NaN."""
    if isinstance(value, float):  # most are: asking for any kind of number takes far longer
        return math.isnan(value)
    return value is None or (isinstance(value, numbers.Real) and math.isnan(float(value)))


def percent(fraction: float) -> str:
    """Write a fraction of one in percent with one decimal, or `MISSING`."""
    return MISSING if is_missing(fraction) else f"{100 * fraction:.1f}"


def points(fraction: float) -> str:
    """Write a difference of two fractions in points with its sign, or `MISSING`."""
    if is_missing(fraction):
        return MISSING
    size = f"{abs(100 * fraction):.1f}"
    if float(size) == 0:
        return size
    return f"{'+' if fraction > 0 else MINUS}{size}"


def number(value: Any) -> str:
    """Write a parameter value: four significant digits for a float, itself for anything else."""
    if is_missing(value):
        return MISSING
    if isinstance(value, numbers.Real) and not isinstance(value, bool | numbers.Integral):
        return f"{float(value):.4g}"
    return clean(value, longest=80)


def duration(seconds: float) -> str:
    """Write a time in s, min or h, with two to three digits."""
    if is_missing(seconds):
        return MISSING
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 5970:
        return f"{seconds / 60:.{1 if seconds < 597 else 0}f} min"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def plural(count: int, noun: str) -> str:
    """`count` with its noun: 1 trial, 2 trials."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def upper_first(text: str) -> str:
    """`text` as the start of a sentence."""
    return text[:1].upper() + text[1:]


def listed(items: list[str]) -> str:
    """Items as prose: a; a and b; a, b and c."""
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def markdown(value: Any) -> Markup:
    """`value` as inline Markdown that shows exactly its cleaned text, also inside a table."""
    return Markup(_MARKDOWN_START.sub(r"\1\\\2", escape_markdown(clean(value))))


def markdown_name(value: Any) -> Markup:
    """Write a key path or file name as a code span, an unusual one as escaped text."""
    text = clean(value)
    return Markup(f"`{text}`") if _PLAIN_NAME.fullmatch(text) else markdown(text)


def spreadsheet(value: Any) -> str:
    """`value` as a CSV cell that no spreadsheet takes for a formula."""
    return escape_formula(clean(value))
