"""Trainings whose parameters changed on the way, told as one configuration that replays them.

In population-based training (arXiv:1711.09846) a bad trial goes on from a good one's checkpoint
with that one's parameters, perturbed. What it has become after that is one training: that of the
trial which the checkpoint began as, with its seed, its parameters, and a change of them after
certain epochs. So a recipe is kept beside the trial's own parameters, and `model.config`'s
`changes` train it again from nothing, to the same end.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypedDict

from evolve.attributes import RECIPE
from evolve.seeds import trial_seed
from evolve.space import Space
from model.config import TrainConfig, changeable

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial


class Ancestor(TypedDict):
    """One change of hands: after `epoch` epochs a trial went on as trial `number` had begun."""

    epoch: int
    number: int


class Recipe(TypedDict):
    """What a trial that took over another's training really trained.

    Attributes
    ----------
    root : int
        Trial that the training began as.
    params : dict
        Of that trial.
    changes : dict
        New values of parameters, by the epochs after which they came (as text: it is JSON).
    lineage : list of Ancestor
        Whose training was taken over, oldest first.
    """

    root: int
    params: dict[str, Any]
    changes: dict[str, dict[str, Any]]
    lineage: list[Ancestor]


def changeable_parameters(space: Space) -> "dict[str, BaseDistribution]":
    """Parameters that every trial has, that nothing depends on, and that may change on the way."""
    conditions = space.conditions()
    parents = {parent for wanted in conditions.values() for parent in wanted}
    return {
        path: kind
        for path, kind in space.distributions().items()
        if changeable(path) and path not in conditions and path not in parents
    }


def taken_over(
    donor: int,
    epoch: int,
    new: Mapping[str, Any],
    *,
    params: Mapping[str, Any],
    before: Recipe | None,
) -> Recipe:
    """Recipe of a trial that goes on from another's checkpoint with new values.

    Parameters
    ----------
    donor : int
        The other trial.
    epoch : int
        Finished epochs of the checkpoint.
    new : mapping
        Values from there on.
    params : mapping
        Those that the donor was proposed with.
    before : Recipe or None
        The donor's own.
    """
    known = before or Recipe(root=donor, params=dict(params), changes={}, lineage=[])
    kept = {at: values for at, values in known["changes"].items() if int(at) < epoch}
    lineage = [one for one in known["lineage"] if one["epoch"] < epoch]
    return Recipe(
        root=known["root"],
        params=known["params"],
        changes=kept | {str(epoch): dict(new)},
        lineage=[*lineage, Ancestor(epoch=epoch, number=donor)],
    )


def recipe_of(trial: "FrozenTrial") -> Recipe | None:
    """What a stored trial took over; None for most."""
    return trial.user_attrs.get(RECIPE)


def config_of(
    space: Space, number: int, params: Mapping[str, Any], recipe: Recipe | None, run_seed: int
) -> TrainConfig:
    """Training configuration of a trial, seed and changes included."""
    if recipe is None:
        return space.to_config(params, {"seed": trial_seed(run_seed, number)})
    seed = trial_seed(run_seed, recipe["root"])
    changes = {int(epoch): values for epoch, values in recipe["changes"].items()}
    return space.to_config(recipe["params"], {"seed": seed, "changes": changes})
