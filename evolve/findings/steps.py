"""The ablation path of a run: its steps as a surrogate of the search sees them."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from optuna.trial import FrozenTrial

from evolve.analysis.path import Step, find_path
from evolve.analysis.surrogate import Surrogate
from evolve.findings.cache import Cache, plain
from evolve.space import Space
from model.config import TrainConfig

FEWEST_TRIALS = 4

VERSIONS = [version(name) for name in ("optuna", "scikit-learn", "scipy", "numpy")]


def row_key(number: int, config: TrainConfig) -> str:
    """Name of the row of a step's configuration, whose number is counted from 1.

    Another configuration has another name, so that a new path can stand beside an old one.
    """
    return f"step-{number:02d}-{config.digest()[:8]}"


def steps_to(
    evolved: Mapping[str, Any], space: Space, trials: Sequence[FrozenTrial], cache: Cache
) -> tuple[Step, ...]:
    """Steps from the defaults to the parameters of a trial.

    Parameters
    ----------
    evolved : mapping of parameter -> value
    space : Space
    trials : sequence of FrozenTrial
        Complete ones, which the surrogate is fitted to.
    cache : Cache
    """
    default = space.complete({})
    depends = [told(trials), default, dict(evolved), space.to_dict(), VERSIONS]
    stored = cache.get(
        "path", depends, lambda: [_to_json(s) for s in _find(default, evolved, space, trials)]
    )
    return tuple(_from_json(step) for step in stored)


def told(trials: Sequence[FrozenTrial]) -> list[Any]:
    """All that trials say of the space, as JSON types."""
    return [[trial.params, trial.value] for trial in trials]


def _find(
    default: Mapping[str, Any],
    evolved: Mapping[str, Any],
    space: Space,
    trials: Sequence[FrozenTrial],
) -> list[Step]:
    values = [float(trial.values[0]) for trial in trials]
    surrogate = Surrogate([trial.params for trial in trials], values, space.distributions())

    def may_be_trained(params: Mapping[str, Any]) -> bool:
        return params.keys() == set(space.active(params)) and space.satisfied(params)

    return find_path(
        default,
        evolved,
        surrogate.predict,
        conditions=space.conditions(),
        ok=may_be_trained,
        covariance=surrogate.covariance,
    )


def _to_json(step: Step) -> dict[str, Any]:
    numbers = {"predicted": step.predicted, "gain": step.gain, "gain_sd": step.gain_sd}
    texts = {"old": step.old, "new": step.new, "config": step.config}
    return {"parameters": list(step.parameters), **texts, **plain(numbers)}


def _from_json(tree: Mapping[str, Any]) -> Step:
    numbers = (float(tree[name]) for name in ("predicted", "gain", "gain_sd"))
    return Step(tuple(tree["parameters"]), tree["old"], tree["new"], tree["config"], *numbers)
