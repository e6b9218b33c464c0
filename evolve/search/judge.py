"""What is known about a space: how good each trial probably is, and what a child promises."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import lapack
from scipy.special import ndtr

from evolve.search.archive import Rows
from evolve.search.genome import Genes, Mask
from evolve.search.operators.scaling import learn_scale
from evolve.search.surrogate import Hyper, Process, believed, condition, diagonal, fit, kernel

_MOST_POINTS = 160  # observations of the surrogate; beyond, the good and the new ones count
_FIT_POINTS = 120  # of those, for its hyperparameters
_LABELS = 40  # good and failed trials, each, that say where trials fail
FLOOR = -1.5
_PESSIMISM = 0.25  # far from every trial, expect this quantile of the values
_GROWTH = 1.12  # the surrogate is fitted anew when this much more is known
_KNOWN_FITS = 16
VALUE, SURVIVAL = "value", "survival"
LONG = 320  # beyond so many trials, the surrogate looks at a part of what it knows
_LONG_POINTS = 112  # observations of the surrogate then, which are a twentieth of all or less
_NEWEST_RUNNING = 224  # trials under way that are looked at then, and so many of these count
_MOST_RUNNING = 64
_BLUR = 0.5  # deviation of the logarithm of length scales that are drawn
_HOPEFUL = 60  # children, the best by what they promise, that are asked whether they would fail
_SURE = 0.1  # variance of a label that says whether a trial failed


class Earlier(NamedTuple):
    """Trials of earlier studies, on other data.

    The study is one more gene of the surrogate, an unordered one. How much it counts is fitted
    like the length scale of any other: studies that agree teach each other, and one that turns
    out to mislead is soon far away. (A product of kernels over tasks and genes is usual: Bonilla
    et al., "Multi-task Gaussian process prediction", NeurIPS 2007.)

    Attributes
    ----------
    genes : ndarray, shape (P, D)
    values : ndarray, shape (P,)
        Scaled within each study.
    studies : ndarray, shape (P,)
        1, 2, ...
    """

    genes: Genes
    values: Genes
    studies: Genes


def _tagged(genes: Genes, studies: Genes) -> Genes:
    return np.column_stack([genes, studies])


class Fitted(NamedTuple):
    """Fitted hyperparameters of a long study, as they are noted in the trial that fitted them.

    Attributes
    ----------
    trials : int
        How many there were to learn from.
    hyper : Hyper
    """

    trials: int
    hyper: Hyper

    def to_json(self) -> dict[str, Any]:
        """As JSON types; equal when read again."""
        weights = self.hyper.weights.tolist()
        return {"trials": self.trials, **self.hyper._asdict(), "weights": weights}

    @classmethod
    def from_json(cls, noted: Mapping[str, Any]) -> "Fitted":
        """From what `to_json` gave."""
        kept = {name: noted[name] for name in Hyper._fields if name != "weights"}
        return cls(noted["trials"], Hyper(np.array(noted["weights"]), **kept))


class Observations(NamedTuple):
    """What the surrogate learns from; rows in the order of the trials' numbers.

    Attributes
    ----------
    genes : ndarray or Rows, shape (N, D)
    values : ndarray, shape (N,)
        Larger is better.
    errors : ndarray, shape (N,)
        Variance of each value beyond the noise common to all.
    failed, running : ndarray, shape (F, D), (R, D)
    nominal : ndarray of bool, shape (D,)
    earlier : Earlier, optional
    fitted : mapping
        `Fitted` that an earlier ask noted, as JSON: VALUE and SURVIVAL.
    """

    genes: Genes | Rows
    values: Genes
    errors: Genes
    failed: Genes
    running: Genes
    nominal: Mask
    earlier: Earlier | None = None
    fitted: Mapping[str, Any] = MappingProxyType({})

    @property
    def is_long(self) -> bool:
        """Whether there are so many trials that a part of them has to do."""
        return len(self.values) + len(self.failed) + len(self.running) > LONG

    def tagged(self, genes: Genes) -> Genes:
        """Genes of this study as the surrogate sees them: with the study, if there are others."""
        return genes if self.earlier is None else _tagged(genes, np.zeros(len(genes)))

    @property
    def tagged_nominal(self) -> Mask:
        """Which columns of tagged genes are unordered."""
        return self.nominal if self.earlier is None else np.append(self.nominal, True)


class Fits:
    """Fitted hyperparameters, remembered: they are a function of what they were fitted to."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, Hyper] = OrderedDict()

    def __call__(self, evidence: Sequence[Genes], fitted: Callable[[], Hyper]) -> Hyper:
        """What `fitted` gives for this evidence, found once."""
        key = b"".join(part.tobytes() for part in evidence)
        if key not in self._known:
            self._known[key] = fitted()
            while len(self._known) > _KNOWN_FITS:
                self._known.popitem(last=False)
        return self._known[key]


def _fitted(
    genes: Genes, targets: Genes, extra: Genes, nominal: Mask, mean: float, study: bool = False
) -> Hyper:
    """Hyperparameters for what tells most about these observations (see `surrogate.fit`)."""
    rows = informative(targets, _FIT_POINTS)
    return fit(genes[rows], targets[rows], extra[rows], nominal, mean, study=study)


def _step_below(count: int) -> int:
    """Largest member of a slowly growing sequence that is not above `count`."""
    step = 4
    while (larger := max(step + 2, int(step * _GROWTH))) <= count:
        step = larger
    return min(step, count)


def _hyper(seen: Observations, fits: Fits) -> Hyper:
    """Hyperparameters from the first so many observations, in steps: few asks need a fit."""
    first = slice(_step_below(len(seen.values)))
    genes, values, errors = seen.genes[first], seen.values[first], seen.errors[first]

    def fitted() -> Hyper:
        scaled, extra, mean = scale(values, errors)
        points, targets, extra = _with_earlier(seen, genes, scaled, extra)
        several = seen.earlier is not None
        return _fitted(points, targets, extra, seen.tagged_nominal, mean, several)

    earlier = () if seen.earlier is None else tuple(seen.earlier)
    return fits((genes, values, errors, *earlier), fitted)


def _survival_hyper(seen: Observations, fits: Fits) -> Hyper:
    """Hyperparameters of labels, in the same way."""
    first = _labelled(
        seen.genes[: _step_below(len(seen.genes))], seen.failed[: _step_below(len(seen.failed))]
    )
    return fits(first, lambda: _fitted(*first, seen.nominal, 1.0))


def _with_earlier(
    seen: Observations, genes: Genes, scaled: Genes, extra: Genes
) -> tuple[Genes, Genes, Genes]:
    """Points, targets and extra variances of this study, followed by those of earlier ones."""
    if seen.earlier is None:
        return genes, scaled, extra
    earlier = _tagged(seen.earlier.genes, seen.earlier.studies)
    return (
        np.concatenate([seen.tagged(genes), earlier]),
        np.concatenate([scaled, seen.earlier.values]),
        np.concatenate([extra, np.zeros(len(earlier))]),
    )


def scale(values: Genes, errors: Genes) -> tuple[Genes, Genes, float]:
    """Scaled values, their extra variances, and what is expected where nothing is known."""
    scaling = learn_scale(values, FLOOR)
    scaled = scaling(values)
    return scaled, errors / scaling.unit**2, float(np.quantile(scaled, _PESSIMISM))


def informative(scaled: Genes, count: int) -> np.ndarray:
    """Rows that tell most about the good part: the better half of them, and the newest."""
    if len(scaled) <= count:
        return np.arange(len(scaled))
    least = np.partition(scaled, len(scaled) - count // 2)[len(scaled) - count // 2]
    good = np.flatnonzero(scaled >= least)  # few are left to sort
    best = good[np.argsort(-scaled[good], kind="stable")][: count // 2]
    others = np.ones(len(scaled), dtype=bool)
    others[best] = False
    newest = np.flatnonzero(others)[-(count - count // 2) :]
    return np.sort(np.concatenate([best, newest]))


class Judge:
    """Expected values of trials and children, from a Gaussian process.

    It leans on at most 160 trials with a value: the better half of them, and the newest; and on 40
    of those and 40 failures to say where trials fail. In a long study (`LONG`) it leans on 112,
    and of the 224 newest trials under way it takes the 32 that promise most and the 32 newest:
    what an ask costs counts more where hundreds of workers wait. There it is also fitted anew only
    when a tenth more is known, to what is known then: results of trials that began long ago
    keep arriving, and each would ask for another fit. What was fitted is to be noted in the trial
    that is asked for, so that the study tells it to those that follow.

    Attributes
    ----------
    rows : ndarray
        Which of the observations it leans on.
    means : ndarray
        Noise-free value of each of those, scaled: an order in which a lucky number counts for
        what its neighbours say.
    hyper : Hyper
    fitted : dict
        `Fitted`, as JSON, that a long study has to note: VALUE and SURVIVAL; nothing if it has.

    Parameters
    ----------
    rng : Generator, optional
        Draws length scales around the fitted ones: a few trials leave them open, and a search
        that takes them for certain never looks again at what it once took for flat.
    """

    def __init__(
        self, seen: Observations, fits: Fits, rng: np.random.Generator | None = None
    ) -> None:
        scaled, extra, mean = scale(seen.values, seen.errors)
        self._seen = seen
        self.fitted: dict[str, Any] = {}
        self.rows = informative(scaled, _LONG_POINTS if seen.is_long else _MOST_POINTS)
        rows = self.rows
        genes, known, extra_here = _with_earlier(seen, seen.genes[rows], scaled[rows], extra[rows])
        hyper = self._kept(VALUE, len(seen.values), lambda: _hyper(seen, fits))
        self.hyper = _blurred(hyper._replace(mean=mean), rng)
        process = condition(genes, known, extra_here, seen.tagged_nominal, self.hyper)
        self.means = process.fitted(known, extra_here)[: len(rows)]
        self._plain, self._points = process, genes[: len(rows)]
        if len(seen.running):
            # what is under way is believed to end as expected, so that others look elsewhere
            newest = seen.running[-_NEWEST_RUNNING:] if seen.is_long else seen.running
            under_way = seen.tagged(newest)
            expected = process.expect(under_way)
            if seen.is_long:
                process = believed(process, under_way[informative(expected, _MOST_RUNNING)])
            else:
                process = condition(
                    np.concatenate([genes, under_way]),
                    np.concatenate([known, expected]),
                    np.concatenate([extra_here, np.zeros(len(expected))]),
                    seen.tagged_nominal,
                    self.hyper,
                )
        self._process = process
        self._survival: Process | None = None
        if len(seen.failed):
            self._survival = self._surviving(informative(scaled, _LABELS), fits)

    def _kept(self, name: str, count: int, fitted: Callable[[], Hyper]) -> Hyper:
        """What is fitted; in a long study what is noted, unless much more is known by now."""
        if not self._seen.is_long or self._seen.earlier is not None:
            return fitted()
        noted = self._seen.fitted.get(name)
        if noted is not None and len(noted["weights"]) != len(self._seen.nominal):
            noted = None  # when something else was searched
        if noted is not None and count < max(noted["trials"] + 2, _GROWTH * noted["trials"]):
            return Fitted.from_json(noted).hyper
        hyper = fitted()
        self.fitted = {**self._seen.fitted, **self.fitted, name: Fitted(count, hyper).to_json()}
        return hyper

    def _surviving(self, rows: np.ndarray, fits: Fits) -> Process:
        """Process of labels, 1 for a trial that ended well, -1 for one that failed.

        Failures count as a constraint that is learned, not as a bad value: after Gelbart, Snoek,
        Adams, "Bayesian optimization with unknown constraints", UAI 2014, with least squares on
        labels instead of their probit likelihood.
        """
        seen = self._seen
        counting = _labelled(seen.genes[rows], seen.failed[-_LABELS:])
        count = len(seen.genes) + len(seen.failed)
        hyper = self._kept(SURVIVAL, count, lambda: _survival_hyper(seen, fits))
        hyper = hyper._replace(noise=max(hyper.noise, _SURE / 2))
        return condition(*counting, seen.nominal, hyper)

    @property
    def is_long(self) -> bool:
        """Whether the study is a long one."""
        return self._seen.is_long

    @property
    def deviations(self) -> Genes:
        """Standard deviations of the means."""
        return self._plain.predict(self._points)[1]

    def draw(self, children: Genes, boldness: float, rng: np.random.Generator) -> Genes:
        """One possible truth at all the children at once, less what failing would cost.

        Choosing the best of a draw (Thompson, Biometrika 25, 1933) tries each child as often as
        it is likely to be the best, and spreads workers that ask at once.

        Parameters
        ----------
        boldness : float
            Factor of the deviations: 0 is the expectation.
        """
        drawn = _draw(self._process, self._seen.tagged(children), boldness, rng)
        floor = min(float(drawn.min()), self.hyper.mean) - 1.0
        return floor + self._survivors(children, drawn - floor)

    def promise(self, children: Genes) -> Genes:
        """Expected improvement on the best mean, times the chance to survive.

        Jones, Schonlau, Welch, J. Global Optimization 13 (1998), equation 15; over the best mean
        instead of the best value, as values are noisy (Gramacy and Lee 2011, section 2).
        """
        mean, sd = self._process.predict(self._seen.tagged(children))
        gain = (mean - self.means.max()) / sd
        density = np.exp(-0.5 * gain**2) / np.sqrt(2.0 * np.pi)
        return self._survivors(children, sd * (gain * ndtr(gain) + density))

    def _survivors(self, children: Genes, worth: Genes) -> Genes:
        """Worth of children, times the chance to end well; of poor ones, which is not asked, 0."""
        if self._survival is None:
            return worth
        asked = np.argsort(-worth, kind="stable")[:_HOPEFUL]
        mean, sd = self._survival.predict(children[asked])
        left = np.zeros_like(worth)
        left[asked] = worth[asked] * ndtr(mean / np.sqrt(_SURE + sd**2))
        return left


def _labelled(good: Genes, failed: Genes) -> tuple[Genes, Genes, Genes]:
    """Genes, labels, and the labels' extra variances, which are none."""
    labels = np.concatenate([np.ones(len(good)), -np.ones(len(failed))])
    return np.concatenate([good, failed]), labels, np.zeros(len(labels))


def _blurred(hyper: Hyper, rng: np.random.Generator | None) -> Hyper:
    if rng is None:
        return hyper
    factors = np.exp(_BLUR * rng.standard_normal(len(hyper.weights)))
    return hyper._replace(weights=hyper.weights * factors)


def _draw(process: Process, points: Genes, boldness: float, rng: np.random.Generator) -> Genes:
    hyper = process.hyper
    mean, half = process.project(points)
    covariance = kernel(points, points, process.nominal, hyper, np.float32)
    covariance -= half.T @ half
    root = _root(covariance, 1e-4 * (hyper.variance + hyper.main))
    return mean + boldness * root @ rng.standard_normal(len(points))


def _root(covariance: Genes, jitter: float) -> Genes:
    """Cholesky factor of a covariance that rounding may have spoilt."""
    for extra in (jitter, 10.0 * jitter, 100.0 * jitter):
        diagonal(covariance)[:] += extra
        factor, failed = lapack.spotrf(covariance, lower=1, clean=1)
        if not failed:
            break
    return np.asarray(factor)
