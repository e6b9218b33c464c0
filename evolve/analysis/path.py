"""The ablation path: from the defaults to the evolved configuration, one change after the other.

At each step the parameter is switched whose switch a surrogate thinks best, so the path tells
which changes brought the gain, given those before. What the surrogate thinks is no measurement:
`path_rows` are the configurations to train where it counts.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from evolve.analysis.phrases import change

Params = Mapping[str, Any]
Predict = Callable[[Sequence[Params]], ArrayLike]
Covariance = Callable[[Sequence[Params]], NDArray[np.float64]]
Unit = tuple[str, ...]

COLUMNS = ("parameter", "from", "to", "predicted", "gain", "gain_sd")


@dataclass(frozen=True)
class Step:
    """One switch on the path.

    Attributes
    ----------
    parameters : tuple of str
        More than one where they have to be switched together.
    old, new : dict of parameter -> value
        Without those that do not exist before or after the switch.
    config : dict
        All parameters after the step.
    predicted, gain : float
        Value after the step as the surrogate thinks, and that minus the value before.
    gain_sd : float
        Standard deviation of `gain`; NaN if the surrogate gives none.
    """

    parameters: Unit
    old: dict[str, Any]
    new: dict[str, Any]
    config: dict[str, Any]
    predicted: float
    gain: float
    gain_sd: float = math.nan

    @property
    def title(self) -> str:
        """The switch in words: optimizer.lr (0.002 -> 0.0071)."""
        changes = (f"{n} ({change(self.old.get(n), self.new.get(n))})" for n in self.parameters)
        return ", ".join(changes)


def find_path(
    default: Params,
    evolved: Params,
    predict: Predict,
    *,
    conditions: Mapping[str, Iterable[str]] | None = None,
    ok: Callable[[Params], bool] = lambda _: True,
    covariance: Covariance | None = None,
) -> list[Step]:
    """Switch the parameters that differ one by one, the best next one first.

    Parameters
    ----------
    default, evolved : mapping of name -> value
        The two ends; a parameter that does not exist in one of them is missing there.
    predict : callable
        Values of configurations, larger is better.
    conditions : mapping of child -> parents, optional
        A child is switched together with those of its parents that differ.
    ok : callable, optional
        Whether a configuration may be trained. A switch that leads to one that may not is joined
        with others, as few as possible.
    covariance : callable, optional
        Of the values of configurations, for `gain_sd`.

    References
    ----------
    C. Fawcett and H. Hoos, "Analysing differences between algorithm configurations through
    ablation", Journal of Heuristics 22 (2016) 431-458, algorithm 1.
    """
    left = _units(default, evolved, conditions or {})
    configs, switched = [dict(default)], []
    while left:
        chosen = _next(configs[-1], evolved, left, predict, ok)
        left = [unit for unit in left if unit not in chosen]
        switched.append(tuple(name for unit in chosen for name in unit))
        configs.append(_switch(configs[-1], evolved, switched[-1]))
    return _steps(switched, configs, predict, covariance)


def path_rows(steps: Sequence[Step]) -> list[tuple[str, dict[str, Any]]]:
    """Each step's title and the configuration it leads to, for training; the start is left out."""
    return [(step.title, step.config) for step in steps]


def path_frame(steps: Sequence[Step]) -> pd.DataFrame:
    """One line a parameter of each step: parameter, from, to, predicted, gain, gain_sd.

    Parameters that are switched together share the numbers; the index is the step, from 1.
    """
    lines = [
        (
            number,
            (
                name,
                step.old.get(name),
                step.new.get(name),
                step.predicted,
                step.gain,
                step.gain_sd,
            ),
        )
        for number, step in enumerate(steps, start=1)
        for name in step.parameters
    ]
    index = pd.Index([number for number, _ in lines], name="step", dtype="int64")
    return pd.DataFrame([line for _, line in lines], index=index, columns=list(COLUMNS))


def _units(
    default: Params, evolved: Params, conditions: Mapping[str, Iterable[str]]
) -> list[Unit]:
    """Parameters that differ, children with their parents, in the order of the defaults."""
    names = list(dict.fromkeys([*default, *evolved]))
    differ = [name for name in names if not _same(name, default, evolved)]
    group = {name: name for name in differ}
    for child in differ:
        for parent in conditions.get(child, ()):
            if parent in group:
                _merge(group, child, parent)
    units: dict[str, list[str]] = {}
    for name in differ:
        units.setdefault(group[name], []).append(name)
    return [tuple(unit) for unit in units.values()]


def _same(name: str, default: Params, evolved: Params) -> bool:
    return name in default and name in evolved and bool(default[name] == evolved[name])


def _merge(group: dict[str, str], child: str, parent: str) -> None:
    old, new = group[child], group[parent]
    for name, root in group.items():
        if root == old:
            group[name] = new


def _switch(config: Params, evolved: Params, names: Iterable[str]) -> dict[str, Any]:
    """`config` with some parameters as in `evolved`, without those that it does not have."""
    names = set(names)
    kept = {name: value for name, value in config.items() if name not in names}
    return kept | {name: evolved[name] for name in evolved if name in names}


def _next(
    config: Params,
    evolved: Params,
    left: Sequence[Unit],
    predict: Predict,
    ok: Callable[[Params], bool],
) -> tuple[Unit, ...]:
    """The best switch that may be trained, of one unit, or of as few as it takes."""
    for choices in _choices(config, evolved, left, predict):
        configs = {c: _switch(config, evolved, itertools.chain(*c)) for c in choices}
        allowed = [choice for choice in choices if ok(configs[choice])]
        if allowed:
            values = np.asarray(predict([configs[choice] for choice in allowed]), dtype=float)
            return allowed[int(values.argmax())]
    return tuple(left)  # the end of the path is what was asked for


def _choices(
    config: Params, evolved: Params, left: Sequence[Unit], predict: Predict
) -> Iterable[list[tuple[Unit, ...]]]:
    """Single units, pairs, then ever more units in the order of their single values."""
    yield [(unit,) for unit in left]
    yield list(itertools.combinations(left, 2))
    values = np.asarray(predict([_switch(config, evolved, unit) for unit in left]), dtype=float)
    ranked = [left[i] for i in np.argsort(-values, kind="stable")]
    for count in range(3, len(left)):
        yield [tuple(ranked[:count])]


def _steps(
    switched: Sequence[Unit],
    configs: Sequence[dict[str, Any]],
    predict: Predict,
    covariance: Covariance | None,
) -> list[Step]:
    values = np.asarray(predict(configs), dtype=float)
    gains = np.diff(values)
    sds = _gain_sds(covariance(configs)) if covariance else np.full(len(gains), np.nan)
    steps = []
    for number, names in enumerate(switched):
        before, after = configs[number : number + 2]
        old = {name: before[name] for name in names if name in before}
        new = {name: after[name] for name in names if name in after}
        numbers = (values[number + 1], gains[number], sds[number])
        steps.append(Step(names, old, new, after, *(float(value) for value in numbers)))
    return steps


def _gain_sds(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard deviation of each difference of neighbours."""
    variances, shared = np.diag(covariance), np.diag(covariance, k=1)
    return np.sqrt(np.maximum(variances[1:] + variances[:-1] - 2 * shared, 0.0))
