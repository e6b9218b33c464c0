"""A search space: what is searched, from which start, on top of which training configuration."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from evolve.budget import Budget
from evolve.errors import SpaceError, nearest
from evolve.space.constraints import Constraint, kind_of
from evolve.space.parameter import Fixed, Parameter
from evolve.space.schema import FixedSpec, Scalar, SpaceFile
from model.config import TrainConfig, key_paths

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


LIMITS = ("fidelity", "promote", "budget", "until_no_gain", "max_failures")
"""Keys of a space file, beside the number of trials, that say how far a run goes."""


@dataclass(frozen=True)
class Space:
    """What a run searches.

    `base` is the training configuration of everything that is not searched, the fixed settings
    included; `parameters` are in the order of the file, at least one. A parameter with a
    condition that is not met is inactive: no value is proposed for it, and the training takes
    that of `base`, not the parameter's default. `confirm` is the size of the final comparison,
    as text of `evolve.confirm`.

    Attributes
    ----------
    fixed : tuple of Fixed
        Set by the space file beside its parameters; `base` has their values already.
    constraints : tuple of str
        Expressions that the settings of a trial must satisfy.
    cost : str
        Second objective, which is lowered: a key of `evolve.objectives.COSTS`; empty for none.
    variant : str
        Of the genetic sampler.
    fidelity : float
        Part of a training after which the scheduler `promote` chooses.
    promote : int
        Trials that it trains to their end.
    budget : str
        Time that the run may take, as text of `evolve.budget`; empty is as long as it takes.
    until_no_gain : int
        No trial is begun after so many without a better value; 0 is never.
    max_failures : int or None
        The run stops after more failures than that.
    """

    name: str
    description: str
    objective: str
    trials: int
    sampler: str
    scheduler: str
    base: TrainConfig
    parameters: tuple[Parameter, ...]
    confirm: str = "3x3"
    fixed: tuple[Fixed, ...] = ()
    constraints: tuple[str, ...] = ()
    cost: str = ""
    variant: str = "evolve"
    fidelity: float = 0.1
    promote: int = 5
    budget: str = ""
    until_no_gain: int = 0
    max_failures: int | None = None

    @property
    def time(self) -> Budget | None:
        """The budget; None if the run takes as long as it takes."""
        return Budget.parse(self.budget) if self.budget else None

    def distributions(self) -> "dict[str, BaseDistribution]":
        """Optuna's distribution of every parameter, by key path."""
        return {parameter.path: parameter.distribution() for parameter in self.parameters}

    def defaults(self) -> dict[str, Scalar]:
        """Default of every parameter, also of those that are inactive at the defaults."""
        return {parameter.path: parameter.default for parameter in self.parameters}

    def ordinal(self) -> frozenset[str]:
        """Parameters whose choices have an order."""
        return frozenset(p.path for p in self.parameters if p.kind == "ordinal")

    def conditions(self) -> dict[str, dict[str, tuple[Scalar, ...]]]:
        """Values of each parent with which a parameter exists; unconditional ones are left out.

        Parents that are fixed are left out too: a space keeps no parameter that they rule out.
        """
        fixed = {entry.path for entry in self.fixed}
        searched = {
            p.path: {parent: values for parent, values in p.when.items() if parent not in fixed}
            for p in self.parameters
        }
        return {path: parents for path, parents in searched.items() if parents}

    @cached_property
    def _parents_first(self) -> tuple[tuple[str, dict[str, tuple[Scalar, ...]]], ...]:
        """Parameters and their conditions, in the order of the file but parents first."""
        conditions = self.conditions()
        order = TopologicalSorter({p.path: conditions.get(p.path, {}) for p in self.parameters})
        return tuple((path, conditions.get(path, {})) for path in order.static_order())

    @cached_property
    def _unconditional(self) -> tuple[str, ...] | None:
        """All parameters, if none has a condition."""
        conditional = any(parents for _, parents in self._parents_first)
        return None if conditional else tuple(path for path, _ in self._parents_first)

    def active(self, params: Mapping[str, Any]) -> tuple[str, ...]:
        """Parameters that exist beside the given values, each after its parents.

        A parent that has no value, or is itself inactive, meets no condition. So this also tells
        which parameter is to be proposed next while `params` is being filled.
        """
        if self._unconditional is not None:
            return self._unconditional
        found: list[str] = []
        for path, parents in self._parents_first:
            if all(
                parent in found and parent in params and params[parent] in allowed
                for parent, allowed in parents.items()
            ):
                found.append(path)
        return tuple(found)

    def complete(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Values of all active parameters, each after its parents; defaults where none is given.

        Those given to inactive parameters are left out.
        """
        found: dict[str, Any] = {}
        defaults = self.defaults()
        for path, _ in self._parents_first:
            if path in self.active(found):
                found[path] = values.get(path, defaults[path])
        return found

    def set_to(self, path: str, value: Any) -> "Space":
        """Space in which a searched or fixed setting is fixed to a value.

        Parameters whose conditions can no longer be met are dropped, and with them constraints
        on them, which are always satisfied then. Any other setting is set in `base` alone.
        """
        fixed = {entry.path: entry for entry in self.fixed}
        whys = {entry.path: entry.why for entry in self.parameters} | {
            entry.path: entry.why for entry in self.fixed
        }
        if path in whys:
            fixed[path] = Fixed(path, value, whys[path])
        rest = tuple(p for p in self.parameters if p.path != path)
        kept = _possible(rest, fixed)
        gone = {p.path for p in rest} - {p.path for p in kept}
        return replace(
            self,
            base=self.base.with_values({path: value}),
            parameters=kept,
            fixed=tuple(fixed.values()),
            constraints=tuple(t for t in self.constraints if gone.isdisjoint(Constraint(t).paths)),
        )

    @cached_property
    def _compiled(self) -> tuple[tuple[Constraint, dict[str, Any]], ...]:
        """Each constraint with the values of the settings in it that are not searched."""
        settings, searched = key_paths(self.base), self.defaults()
        compiled = (Constraint(text, kinds_of_settings(self)) for text in self.constraints)
        return tuple(
            (one, {path: settings[path] for path in one.paths if path not in searched})
            for one in compiled
        )

    def violated(self, params: Mapping[str, Any]) -> str:
        """The first constraint that the values of a trial do not satisfy; empty if there is none.

        A constraint on a parameter that is inactive, or has no value, counts as satisfied.
        """
        if not self.constraints:
            return ""
        present = {path: params[path] for path in self.active(params) if path in params}
        for constraint, settings in self._compiled:
            values = present | settings
            if all(path in values for path in constraint.paths) and not constraint(values):
                return constraint.text
        return ""

    def satisfied(self, params: Mapping[str, Any]) -> bool:
        """Whether the values of a trial satisfy all constraints."""
        return not self.violated(params)

    def to_config(
        self, values: Mapping[str, Any], more: Mapping[str, Any] | None = None
    ) -> TrainConfig:
        """Training configuration of a trial.

        An active parameter without a value takes its default, an inactive one what `base` has.
        `more` has settings that are not searched.

        Raises
        ------
        SpaceError
            If a value belongs to no parameter, or the configuration refuses it.
        """
        known = self.defaults()
        for path in values:
            if path not in known:
                raise SpaceError(f"'{path}' is not searched", self.name, nearest(path, known))
        try:
            return self.base.with_values({**self.complete(values), **(more or {})})
        except ValidationError as refused:
            detail = refused.errors()[0]
            path = ".".join(map(str, detail["loc"]))
            raise SpaceError(detail["msg"], f"{self.name}  {path}") from refused

    def to_dict(self) -> dict[str, Any]:
        """JSON types, in the schema of a space file, with everything spelt out.

        What most spaces do not have is left out, so that manifests of older runs stay equal.
        """
        entries: tuple[Parameter | Fixed, ...] = (*self.parameters, *self.fixed)
        return {
            "name": self.name,
            "description": self.description,
            "objective": [self.objective, self.cost] if self.cost else self.objective,
            "trials": self.trials,
            "sampler": self.sampler,
            **({} if self.variant == "evolve" else {"variant": self.variant}),
            "scheduler": self.scheduler,
            "confirm": self.confirm,
            "train": self.base.to_dict(),
            "parameters": {entry.path: entry.to_dict() for entry in entries},
            **({"constraints": list(self.constraints)} if self.constraints else {}),
            **{key: getattr(self, key) for key in LIMITS if getattr(self, key) != _default(key)},
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Space":
        """Space from `to_dict`; raises pydantic's ValidationError if it was tampered with."""
        file = SpaceFile.model_validate(data)
        return cls.from_file(file, TrainConfig.model_validate(file.train))

    @classmethod
    def from_file(cls, file: SpaceFile, base: TrainConfig) -> "Space":
        """Space of a checked file and its checked training configuration."""
        fixed = tuple(
            Fixed(path, spec.value, spec.why)
            for path, spec in file.parameters.items()
            if isinstance(spec, FixedSpec)
        )
        parameters = (
            Parameter.from_spec(path, spec)
            for path, spec in file.parameters.items()
            if not isinstance(spec, FixedSpec)
        )
        return cls(
            name=file.name,
            description=file.description,
            objective=file.objective[0],
            cost="".join(file.objective[1:]),
            trials=file.trials,
            sampler=file.sampler,
            scheduler=file.scheduler,
            base=base.with_values({entry.path: entry.value for entry in fixed}) if fixed else base,
            parameters=tuple(parameters),
            confirm=file.confirm,
            fixed=fixed,
            constraints=file.constraints,
            variant=file.variant,
            **{key: getattr(file, key) for key in LIMITS},
        )


def _default(key: str) -> Any:
    return SpaceFile.model_fields[key].default


def _possible(
    parameters: tuple[Parameter, ...], fixed: Mapping[str, Fixed]
) -> tuple[Parameter, ...]:
    """Parameters whose parents are searched, or fixed to a value that they name."""
    searched = {parameter.path for parameter in parameters}
    kept = tuple(
        parameter
        for parameter in parameters
        if all(
            parent in searched or (parent in fixed and fixed[parent].value in values)
            for parent, values in parameter.when.items()
        )
    )
    return kept if len(kept) == len(parameters) else _possible(kept, fixed)


def kinds_of_settings(space: Space) -> dict[str, str]:
    """What each setting holds (see `Constraint`); of a searched one, any of its values."""
    kinds = {path: kind_of([value]) for path, value in key_paths(space.base).items()}
    return kinds | {p.path: kind_of(p.probes()) for p in space.parameters}
