"""What the design of a table estimates beyond its rows' deltas."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from evolve.ablation.designs import Design, make_design
from evolve.analysis.contrasts import ImageValues, complete_values
from evolve.analysis.decisions import ALPHA
from evolve.analysis.effects import factorial_effects, pair_interactions, shapley_values
from evolve.analysis.phrases import listed, plural
from evolve.analysis.sampled_shapley import sampled_shapley
from evolve.errors import TableError

Estimate = Callable[..., pd.DataFrame]

ESTIMATES: Mapping[str, Estimate] = {
    "full-factorial": factorial_effects,
    "fractional-factorial": factorial_effects,
    "pairs": pair_interactions,
    "shapley": shapley_values,
}
MOST_NAMED = 6


def stored_design(tree: Any) -> tuple[Design | None, str]:
    """The design that a manifest holds, and why there is none; both empty for rows by hand."""
    if tree is None:
        return None, ""
    try:
        return make_design(tree["kind"], tree["ingredients"], **tree.get("options", {})), ""
    except (KeyError, TypeError, ValueError, AttributeError, TableError) as error:
        return None, f"the stored design cannot be understood: {error}"


def design_effects(
    design: Design,
    trainings: pd.DataFrame,
    image_values: ImageValues,
    images: int | None,
    alpha: float = ALPHA,
) -> tuple[pd.DataFrame, str]:
    """Effects of a design as far as its rows are trained, and why some or all are missing.

    Parameters
    ----------
    design : Design
    trainings, image_values, images
        As for `evolve.analysis.contrasts.contrast`.
    alpha : float
        Level of the family of all effects.

    Returns
    -------
    DataFrame
        Of `factorial_effects`, `pair_interactions`, `shapley_values` or `sampled_shapley`;
        empty for a design whose deltas tell all.
    str
        In words; empty if nothing is missing.
    """
    estimate = ESTIMATES.get(design.kind)
    if estimate is None:
        return pd.DataFrame(), ""
    arguments: dict[str, Any] = {"image_values": image_values, "images": images, "alpha": alpha}
    try:
        if design.orders:
            frame = sampled_shapley(trainings, design.on, design.orders, **arguments)
        else:
            frame = estimate(trainings, design.on, **arguments)
    except ValueError as error:
        return pd.DataFrame(), str(error)
    there = frame[frame["pairs"] > 0]
    missing = len(frame) - len(there)
    return there.reset_index(drop=True), _missing(design, trainings, missing, len(frame))


def _missing(design: Design, trainings: pd.DataFrame, missing: int, of: int) -> str:
    if not missing:
        return ""
    what = "they take" if missing == of else f"{missing} of {plural(of, 'effect')} take"
    lacking = [row.title for row in design.rows if complete_values(trainings, [row.key]).empty]
    if not lacking:
        return f"{what} a seed that all of their rows were trained to the end with"
    named = lacking[:MOST_NAMED]
    more = [f"{len(lacking) - len(named)} more"] if len(lacking) > len(named) else []
    return f"{what} rows of which no training is complete: {listed([*named, *more])}"
