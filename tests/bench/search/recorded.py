"""Recorded detector studies, replayed: what a real training would have shown, in microseconds.

As in Eggensperger et al. 2015 (Efficient benchmarking of hyperparameter optimizers via
surrogates, AAAI), a regression on recorded trainings stands for the trainings. Values are AP50 on
val after ten epochs; the noise is what trainings repeated with other seeds differ by, and grows
and shrinks with the value as theirs does. Failures are recorded divergences.

How good the replay is, over the trainings that did not fail (`quality` in ``*.fit.json``): R2 and
rank correlation of predictions made without the configuration (same hyperparameters), and without
a tenth of the configurations (hyperparameters fitted anew), the latter also among the best 40 %.

| study | trainings, failed | left out | held out | of the best | noise | defaults, best seen |
|---|---|---|---|---|---|---|
| bccd160 | 106, 10 | 0.89, 0.95 | 0.80, 0.91 | 0.88 | 0.023 | 0.45, 0.58 |
| digits | 100, 10 | 0.73, 0.82 | 0.55, 0.71 | 0.42 | 0.049 | 0.30, 0.53 |
| schedule | 100, 5 | 0.60, 0.78 | 0.59, 0.77 | 0.43 | 0.058 | 0.27, 0.35 |

The noise bounds what can be predicted: of digits 0.86 of the variance, of schedules 0.76. So the
surface of bccd160 is that of its trainings, and those of the other two are smoother than theirs;
their best regions are known least. Kernel and axes were chosen by held-out trainings of bccd160,
whose scores are therefore a little flattered.

Early values, for searches that stop trials, are those after three epochs. Their logarithms have a
regression of their own, with R2 and rank correlation, held out, of 0.72, 0.81 for bccd160, 0.45,
0.64 for digits and 0.44, 0.63 for schedules; what luck a training has at its end tells on them.
"""

import gzip
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution

from tests.bench.search.problem import Family, Outcome, Role
from tests.bench.search.recorded_studies import METRIC, STUDIES, Study

FOLDER = Path(__file__).parent / "recordings"
EARLY_OFFSET = 0.01  # added to early values before their logarithm is taken

Array = NDArray[np.float64]


MAIN_SHARPER = 3.0
"""How much shorter than that of the joint effect the length of an axis' own effect is.

Of 1, 2, 3 and 4, chosen by held-out trainings of one study.
"""


@dataclass(frozen=True)
class Kernel:
    """Covariance of two configurations: what all axes do jointly, and what each does by itself.

    Both parts are Matern 5/2; a sum over axes lets main effects be learned from few trainings
    (Duvenaud et al. 2011, Additive Gaussian processes, NeurIPS).

    Attributes
    ----------
    unordered : array, shape (D,), bool
        Axes on which two values are equal, or one apart.
    inverse_lengths : array, shape (D,)
        Of the joint part.
    main : float
        Variance of all axes' own effects, as a multiple of that of the joint effect.
    """

    unordered: NDArray[np.bool_]
    inverse_lengths: Array
    main: float

    def __call__(self, points: Array, others: Array) -> Array:
        """Covariances (N, M) of points (N, D) and others (M, D); the joint effect's is 1."""
        gaps = np.abs(points[:, None, :] - others[None, :, :])
        gaps = np.where(self.unordered, gaps != 0, gaps) * self.inverse_lengths
        own = matern52(MAIN_SHARPER * gaps).mean(2)
        return matern52(np.sqrt((gaps**2).sum(2))) + self.main * own


def matern52(distance: Array) -> Array:
    """Matern 5/2 correlation at a distance in units of the length."""
    r = math.sqrt(5) * distance
    return (1 + r + r**2 / 3) * np.exp(-r)


@dataclass(frozen=True)
class Regression:
    """Posterior mean of a Gaussian process.

    Attributes
    ----------
    points : array, shape (N, D)
        Of the trainings it was fitted on.
    kernel : Kernel
    weights : array, shape (N,)
    mean : float
        Far from all points.
    """

    points: Array
    kernel: Kernel
    weights: Array
    mean: float

    def at(self, point: Array) -> float:
        """Prediction at a point (D,)."""
        near = self.kernel(self.points, point[None])[:, 0]
        return self.mean + float((near * self.weights).sum())  # no BLAS: its sums vary


def noise_sd(noise: Mapping[str, Any], value: float) -> float:
    """Standard deviation of a training's AP50 where the mean is `value`.

    From the `squares` of the residuals of trainings repeated at `means` around that value, with a
    Gaussian kernel of that `width`.
    """
    distance = ((value - np.asarray(noise["means"])) / noise["width"]) ** 2 / 2
    near = np.exp(distance.min() - distance)
    return math.sqrt(float((near * noise["squares"]).sum() / near.sum()))


@dataclass(frozen=True)
class Recorded:
    """A problem that replays a study; attributes as in `Problem`, and

    Attributes
    ----------
    study : Study
    value : Regression
        Of the trainings that went well.
    early : Regression
        Of the logarithm of the value where ASHA asks for it, of the trainings that went well.
    early_noise : tuple of float
        By how much luck at the end tells on that, and the deviation of what else does.
    failure : Regression
        Log odds of a failure.
    noise : mapping
        As `noise_sd` needs it, and `residuals`: those of repeated trainings as parts of the
        standard deviation, from which noise is drawn.
    """

    study: Study
    value: Regression
    early: Regression
    early_noise: tuple[float, float]
    failure: Regression
    noise: Mapping[str, Any]
    family: Family = "recorded"

    @property
    def name(self) -> str:
        """Of the study."""
        return self.study.name

    @property
    def role(self) -> Role:
        """Of the study."""
        return self.study.role

    @property
    def distributions(self) -> Mapping[str, BaseDistribution]:
        """Of the study."""
        return self.study.distributions

    @property
    def ordinal(self) -> frozenset[str]:
        """Of the study."""
        return self.study.ordinal

    @property
    def conditions(self) -> Mapping[str, Mapping[str, tuple[Any, ...]]]:
        """Of the study."""
        return self.study.conditions

    @property
    def defaults(self) -> Mapping[str, Any]:
        """Of the study."""
        return self.study.defaults

    def truth(self, params: Mapping[str, Any]) -> float:
        """Mean AP50 of a training; NaN where more than half of them fail."""
        point = axes(self.study, params)
        return math.nan if self.failure.at(point) > 0 else self._value(point)

    def observe(self, params: Mapping[str, Any], rng: np.random.Generator) -> Outcome:
        """AP50 of one training, or that it failed; as many numbers are drawn for either."""
        point = axes(self.study, params)
        luck, drawn = rng.random(), rng.choice(self.noise["residuals"])
        log_odds = self.failure.at(point)
        if log_odds > 0 or luck < 1 / (1 + math.exp(-log_odds)):
            return Outcome(None)
        value = self._value(point)
        return Outcome(min(max(value + noise_sd(self.noise, value) * float(drawn), 0.0), 1.0))

    def early_value(
        self, params: Mapping[str, Any], final: float, rng: np.random.Generator
    ) -> float:
        """AP50 after `STOP_EPOCH` epochs of a training that would end with `final`."""
        point = axes(self.study, params)
        follows, spread = self.early_noise
        luck = follows * (final - self._value(point)) + spread * rng.standard_normal()
        return min(max(math.exp(self.early.at(point) + luck) - EARLY_OFFSET, 0.0), 1.0)

    def _value(self, point: Array) -> float:
        return min(max(self.value.at(point), 0.0), 1.0)


def axes(study: Study, params: Mapping[str, Any]) -> Array:
    """Where (D,) the regressions have that configuration.

    The unit cube, but with the learning rate as the length of a step in the long run,
    lr / (1 - momentum), and the weights of other losses as multiples of that of objectness:
    along these it is plainer what a training does.
    """
    point = study.to_unit(params)
    column = {name: axis for axis, name in enumerate(study.distributions)}
    if "optimizer.momentum" in column:
        steps = -math.log(1 - params["optimizer.momentum"])  # logarithm of 1 / (1 - momentum)
        point[column["optimizer.momentum"]] = steps / math.log(20)
        point[column["optimizer.lr"]] += steps / math.log(1000)
    for name in ("loss.iou_normalizer", "loss.cls_normalizer"):
        if name in column:
            point[column[name]] -= point[column["loss.obj_normalizer"]]
    return point


def unordered_axes(study: Study) -> NDArray[np.bool_]:
    """Which axes (D,) have categories without order."""
    spaces = study.distributions.items()
    return np.array([isinstance(space, CategoricalDistribution) and name not in study.ordinal
                     for name, space in spaces])  # fmt: skip


def read_rows(study: Study) -> list[dict[str, Any]]:
    """The recorded trainings."""
    with gzip.open(FOLDER / f"{study.name}.jsonl.gz", "rt") as file:
        return [json.loads(line) for line in file]


def recorded_problems() -> list[Recorded]:
    """All of them, of both roles."""
    return [_load(name) for name in STUDIES]


@cache
def _load(name: str) -> Recorded:
    study = STUDIES[name]
    fitted = json.loads((FOLDER / f"{name}.fit.json").read_text())
    rows = read_rows(study)
    well = [row for row in rows if METRIC in row]
    return Recorded(
        study,
        _regression(study, well, fitted["value"]),
        _regression(study, well, fitted["early"]),
        (fitted["early"]["follows"], fitted["early"]["noise"]),
        _regression(study, rows, fitted["failure"]),
        fitted["noise"],
    )


def _regression(study: Study, rows: list[dict[str, Any]], fitted: dict[str, Any]) -> Regression:
    return Regression(
        np.stack([axes(study, row["params"]) for row in rows]),
        Kernel(unordered_axes(study), np.array(fitted["inverse_lengths"]), fitted["main"]),
        np.array(fitted["weights"]),
        fitted["mean"],
    )
