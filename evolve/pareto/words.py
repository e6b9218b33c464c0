"""A front in sentences, and times as users write them."""

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from evolve.analysis.phrases import listed, plural, probability
from evolve.errors import EvolveError

if TYPE_CHECKING:
    from evolve.pareto.records import Pareto

_TIME = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(ms|s)?")
_MOST_NAMED = 4


def parse_latency(text: str, option: str = "--max-latency") -> float:
    """Milliseconds of a time such as 8ms or 0.02s.

    Raises
    ------
    EvolveError
        If it has no unit, or is no time above 0.
    """
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise EvolveError(f"'{text}' is no time", option, "write it as 8ms or 0.02s")
    number, unit = match[1], match[2]
    if unit is None:
        raise EvolveError(f"'{text}' has no unit", option, f"write {number}ms or {number}s")
    value = float(number) * (1000.0 if unit == "s" else 1.0)
    if not value > 0:
        raise EvolveError(f"no detector takes {text}", option, "give a time above 0")
    return value


def ms(value: float) -> str:
    """Milliseconds with three digits: 7.13 ms, 48.2 ms, 1,204 ms."""
    if value >= 99.95:
        return f"{value:,.0f} ms"
    return f"{value:.{1 if value >= 9.995 else 2}f} ms"


def ap_text(point: Mapping[str, Any], metric: str) -> str:
    """AP of a point with its interval: AP 31.2 % (95 % interval 29.0 to 33.4)."""
    value = f"{metric} {100 * point['ap']:.1f} %"
    if math.isnan(point["ap_low"]):
        return f"{value} (one training, no interval)"
    low, high = (min(max(100 * point[end], 0.0), 100.0) for end in ("ap_low", "ap_high"))
    return f"{value} (95 % interval {low:.1f} to {high:.1f})"


def point_name(point: Mapping[Any, Any]) -> str:
    """A detector at its size."""
    return f"{point['title']} at {point['size']} px"


def choice_sentence(pareto: "Pareto") -> str:
    """The best detector within the longest latency, or that none fits."""
    choice = pareto.choice
    assert choice is not None
    limit = f"{choice.limit_ms:g} ms"
    if not choice.key:
        return _none_fits(pareto, limit)
    best = pareto.point(choice.key)
    late = best["latency_p95_ms"] > choice.limit_ms
    tail = f"p95 {ms(best['latency_p95_ms'])}"
    tail += f", so more than 1 pass in 20 takes longer than {limit}" if late else ""
    said = (
        f"Within {limit}, {point_name(best)} is the most accurate: {ms(best['latency_ms'])} "
        f"({tail}), {ap_text(best, pareto.metric)} on {pareto.split}."
    )
    return f"{said}{_rival(pareto)}"


def _none_fits(pareto: "Pareto", limit: str) -> str:
    known = pareto.points[pareto.points["latency_ms"].notna()]
    if known.empty:
        return f"None fits within {limit}: none could be run here."
    fastest = pareto.point(str(known.sort_values("latency_ms")["key"].iloc[0]))
    return (
        f"None fits within {limit}: the fastest, {point_name(fastest)}, takes "
        f"{ms(fastest['latency_ms'])} on {pareto.device}."
    )


def _rival(pareto: "Pareto") -> str:
    choice = pareto.choice
    if choice is None or not choice.rival or math.isnan(choice.chance):
        return ""
    return (
        f" The chance that it is so, among those that fit, is {probability(choice.chance)}; its "
        f"rival is {point_name(pareto.point(choice.rival))}."
    )


def front_sentence(pareto: "Pareto") -> str:
    """How many are on the front, and which."""
    points = pareto.points
    front = points[points["on_front"]].sort_values("latency_ms")
    if front.empty:
        return "No point could be measured, so there is no front."
    names = [point_name(one) for one in front.to_dict("records")]
    if len(names) > _MOST_NAMED:
        rest = plural(len(names) - _MOST_NAMED, "other")
        names = [*names[:_MOST_NAMED], rest]
    if len(points) == 1:
        return f"{names[0]} is the only point, so it is the front."
    verb = "is" if len(front) == 1 else "are"
    return f"{len(front)} of {len(points)} points {verb} on the front: {listed(names)}."
