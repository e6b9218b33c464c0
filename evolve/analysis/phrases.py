"""Numbers and lists as the sentences of an analysis have them."""

import math
import numbers
from collections.abc import Sequence
from typing import Any

MINUS = "\u2212"


def points(fraction: float, digits: int = 1) -> str:
    """A difference of two fractions of one in points, with a sign only if it is negative."""
    size = f"{abs(100 * fraction):.{digits}f}"
    return f"{MINUS}{size}" if fraction < 0 and float(size) else size


def digits_for(*fractions: float) -> int:
    """Decimals that keep every number but 0 from being written as 0.0: one or two."""
    sizes = [abs(100 * fraction) for fraction in fractions if fraction]
    return 2 if sizes and min(sizes) < 0.05 else 1


def span(low: float, high: float) -> str:
    """A 95 % interval in points."""
    digits = digits_for(low, high)
    return f"95 % interval {points(low, digits)} to {points(high, digits)}"


def probability(p: float) -> str:
    """Two decimals, and never a certainty that nobody has."""
    if p > 0.995:
        return "above 0.99"
    return "below 0.01" if p < 0.005 else f"{p:.2f}"


def drawn_of(drawn: int, total: int) -> str:
    """What was used: 12 complete trials, or 500 of the 4,021, drawn at random."""
    if drawn >= total:
        return plural(drawn, "complete trial")
    return f"{drawn:,} of the {total:,} complete trials, drawn at random"


def plural(count: int, noun: str) -> str:
    """`count` with its noun: 1 seed, 2 seeds."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def listed(items: Sequence[str], last: str = "and") -> str:
    """Items as prose: a; a and b; a, b and c."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"


def upper_first(text: str) -> str:
    """`text` as the start of a sentence."""
    return text[:1].upper() + text[1:]


def change(old: Any, new: Any) -> str:
    """A change of a value, floats with as few digits as tell the two apart; none is off."""
    for digits in (2, 3, 4, 6, 12):
        first, second = _shown(old, digits), _shown(new, digits)
        if first != second:
            break
    return f"{first} -> {second}"


def _shown(value: Any, digits: int) -> str:
    if value is None:
        return "off"
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.{digits}g}"
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return f"{int(value):,}"
    return str(value)
