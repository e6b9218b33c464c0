"""Genome in the unit cube <-> parameter values.

One gene in [0, 1] for each parameter. A real number lies at its fraction of the range, in the
parameter's own scale; whole numbers and choices share the range in equal bins (of equal width on
the scale), so that a uniform gene draws each of them fairly. The same convention as Optuna's.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

Genome = npt.NDArray[np.float64]

_DIGITS = 12  # of a decoded float: 0.9 comes back as 0.9, not as 0.9000000000000001


def encode(value: Any, distribution: BaseDistribution) -> float:
    """Gene of a value; the middle of its bin for a whole number or a choice."""
    if isinstance(distribution, CategoricalDistribution):
        return (distribution.to_internal_repr(value) + 0.5) / len(distribution.choices)
    low, high = _edges(distribution)
    if high <= low:
        return 0.5
    return min(max((_scaled(float(value), distribution) - low) / (high - low), 0.0), 1.0)


def decode(gene: float, distribution: BaseDistribution) -> Any:
    """Value of a gene; always inside the distribution."""
    if isinstance(distribution, CategoricalDistribution):
        count = len(distribution.choices)
        return distribution.choices[min(int(gene * count), count - 1)]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high = _edges(distribution)
    scaled = low + gene * (high - low)
    value = math.exp(scaled) if distribution.log else scaled
    if distribution.step is not None and not distribution.log:
        steps = math.floor((value - distribution.low) / distribution.step + 0.5)
        value = distribution.low + steps * distribution.step
    value = min(max(value, distribution.low), distribution.high)
    return (
        round(value) if isinstance(distribution, IntDistribution) else _tidy(value, distribution)
    )


def snap(genes: Genome, distribution: BaseDistribution) -> Genome:
    """Genes of one parameter, shape (N,), moved to the genes of the values that they stand for.

    As `encode` of what `decode` gives, but for many at once. Real numbers stay as they are.
    """
    if isinstance(distribution, CategoricalDistribution):
        count = len(distribution.choices)
        return (np.minimum(np.floor(genes * count), count - 1) + 0.5) / count
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high = _edges(distribution)
    if high <= low:
        return np.full_like(genes, 0.5)
    if distribution.step is None:
        return genes
    scaled = low + genes * (high - low)
    if distribution.log:
        values = np.rint(np.clip(np.exp(scaled), distribution.low, distribution.high))
        return np.asarray((np.log(values) - low) / (high - low))
    steps = np.floor((scaled - distribution.low) / distribution.step + 0.5)
    values = np.clip(
        distribution.low + steps * distribution.step, distribution.low, distribution.high
    )
    return np.asarray((values - low) / (high - low))


def encode_all(values: Mapping[str, Any], space: Mapping[str, BaseDistribution]) -> Genome:
    """Genes of a trial in the order of `space`; NaN where it has no value."""
    genes = [encode(values[n], d) if n in values else math.nan for n, d in space.items()]
    return np.array(genes, dtype=np.float64)


def decode_all(genes: Genome, space: Mapping[str, BaseDistribution]) -> dict[str, Any]:
    """Values of a genome, by name."""
    pairs = zip(space.items(), genes.tolist(), strict=True)
    return {name: decode(gene, distribution) for (name, distribution), gene in pairs}


def unordered(space: Mapping[str, BaseDistribution]) -> npt.NDArray[np.bool_]:
    """Mask of the genes whose neighbourhood means nothing: the choices."""
    return np.array([isinstance(d, CategoricalDistribution) for d in space.values()], dtype=bool)


def _edges(distribution: BaseDistribution) -> tuple[float, float]:
    """Range in the parameter's scale, half a step wider on each side for stepped ones."""
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    half = 0.5 * (distribution.step or 0)
    low, high = distribution.low - half, distribution.high + half
    return _scaled(low, distribution), _scaled(high, distribution)


def _scaled(value: float, distribution: BaseDistribution) -> float:
    return math.log(value) if getattr(distribution, "log", False) else value


def _tidy(value: float, distribution: FloatDistribution) -> float:
    tidy = float(f"{value:.{_DIGITS}g}")
    return tidy if distribution.low <= tidy <= distribution.high else float(value)
