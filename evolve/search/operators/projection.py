"""Trials that were stopped early, at what they are worth: a guess of their end, with its error."""

from collections.abc import Mapping, Sequence

import numpy as np

Curve = Mapping[int, float]

_ROUNDING = 1e-9  # values apart by less, relative to the largest, are equal


def project(
    value: float, step: int, finals: Sequence[float], curves: Sequence[Curve]
) -> tuple[float, float]:
    """Final value that a stopped trial would probably have had, and the variance of that guess.

    The complete trials tell how a value at that step and a final value go together: a straight
    line through them, its slope drawn towards 0 as three trials' worth of no relation would.
    With fewer than three complete trials at that step nothing is known, and the value stands as
    it is, with the spread of the final values as its error.

    Parameters
    ----------
    value : float
        Last value, at `step`.
    finals, curves : sequences
        Final value and intermediate values of the complete trials.

    References
    ----------
    After Swersky, Snoek, Adams, "Freeze-thaw Bayesian optimization", arXiv:1406.3896, whose
    aim this is with a model of curves.
    """
    pairs = [(c[step], f) for c, f in zip(curves, finals, strict=True) if _known(c, step)]
    if len(pairs) < 3:
        return value, float(np.var(finals)) if len(finals) > 1 else 0.0
    early, late = np.array(pairs).T
    off, spread = early - early.mean(), float(np.var(early))
    if spread <= (_ROUNDING * float(np.abs(early).max())) ** 2:
        return float(late.mean()), float(np.var(late))
    trust = len(pairs) / (len(pairs) + 3.0)
    slope = max(0.0, trust * float(np.mean(off * (late - late.mean()))) / spread)
    rest = late - late.mean() - slope * off
    guess = float(late.mean() + slope * (value - early.mean()))
    # far from what was seen, the slope's own error counts
    stretch = 1.0 + 1.0 / len(pairs) + (value - early.mean()) ** 2 / (len(pairs) * spread)
    return guess, float(np.mean(rest**2)) * stretch * len(pairs) / max(len(pairs) - 2, 1)


def _known(curve: Curve, step: int) -> bool:
    return step in curve and bool(np.isfinite(curve[step]))
