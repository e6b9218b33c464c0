"""What a problem of the search benchmark is: a space, a noisy observation, and the truth."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from optuna.distributions import BaseDistribution

Family = Literal["smooth", "learning", "mixed", "detector", "recorded"]
Role = Literal["tune", "judge"]


@dataclass(frozen=True)
class Outcome:
    """What one noisy trial shows.

    Attributes
    ----------
    value : float or None
        Larger is better; None if the trial failed (diverged).
    """

    value: float | None


class Problem(Protocol):
    """A maximisation problem with known truth.

    All methods are pure: equal arguments give equal results, in any process. The noise of a
    trial comes from `rng` alone, which the runner makes from the seed and the trial's number, so
    that every sampler meets equal noise.

    Attributes
    ----------
    name : str
        Unique.
    family : str
    role : str
        'tune': samplers may be tuned on it; 'judge': only scores are taken. A problem of one role
        is no variant (other seed, dimension, instance) of one of the other.
    distributions : mapping of name -> Optuna distribution
    ordinal : frozenset of names
        Categorical parameters whose choices are in order.
    conditions : mapping of name -> {parent: values}
        A parameter exists only when each of these parents exists and has one of the values.
    defaults : mapping of name -> value
        What a sensible user would start from: inside the space, not the optimum. Parameters that
        do not exist at the defaults have a value here all the same.
    """

    name: str
    family: Family
    role: Role
    distributions: Mapping[str, BaseDistribution]
    ordinal: frozenset[str]
    conditions: Mapping[str, Mapping[str, tuple[Any, ...]]]
    defaults: Mapping[str, Any]

    def truth(self, params: Mapping[str, Any]) -> float:
        """Noise-free value of existing parameters; NaN where every trial fails."""

    def observe(self, params: Mapping[str, Any], rng: np.random.Generator) -> Outcome:
        """One noisy trial."""
