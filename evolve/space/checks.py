"""What must fit together in a space: conditions and their parents, constraints and defaults."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from typing import Any, NamedTuple

from evolve.errors import SpaceError, nearest
from evolve.space.constraints import UNKNOWN, Constraint
from evolve.space.schema import FixedSpec, FloatSpec, IntSpec, Scalar, SearchedSpec
from evolve.space.space import Space, kinds_of_settings
from model.config import key_paths

Specs = Mapping[str, SearchedSpec | FixedSpec]


class Misfit(NamedTuple):
    """Something that does not fit, at a key path of the space file."""

    place: tuple[str | int, ...]
    what: str
    mend: str


def check_conditions(specs: Specs) -> Iterator[Misfit]:
    """Parents that are not there or never have the value, and conditions that go in a circle."""
    faulty = False
    for path, spec in specs.items():
        for parent, values in getattr(spec, "when", {}).items():
            place = ("parameters", path, "when", parent)
            for misfit in _check_parent(specs, place, parent, values):
                faulty = True
                yield misfit
    if not faulty:
        yield from _check_circle(specs)


def _check_parent(
    specs: Specs, place: tuple[str, ...], parent: str, values: tuple[Scalar, ...]
) -> Iterator[Misfit]:
    if parent not in specs:
        what = f"'{parent}' is no parameter of this space"
        yield Misfit(place, what, nearest(parent, specs))
    elif isinstance(specs[parent], FloatSpec):
        what = f"'{parent}' is a float, which no condition can name a value of"
        yield Misfit(place, what, "take a parent with choices, or an int")
    else:
        for value in values:
            if not _may_have(specs[parent], value):
                what = f"'{parent}' never has the value {value!r}"
                yield Misfit(place, what, values_of(specs[parent]))


def _may_have(spec: SearchedSpec | FixedSpec, value: Scalar) -> bool:
    if isinstance(spec, FixedSpec):
        return _same(spec.value, value)
    if isinstance(spec, IntSpec):
        if not isinstance(value, int) or isinstance(value, bool):
            return False
        return spec.low <= value <= spec.high and not (value - spec.low) % spec.step
    return any(_same(choice, value) for choice in getattr(spec, "choices", ()))


def _same(one: Scalar, other: Scalar) -> bool:
    """Equal, but true is not 1."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def values_of(spec: SearchedSpec | FixedSpec) -> str:
    """The values that a parameter may have, in words."""
    if isinstance(spec, FixedSpec):
        return f"it is fixed to {spec.value!r}"
    if isinstance(spec, FloatSpec):
        return f"it goes from {spec.low:g} to {spec.high:g}"
    if isinstance(spec, IntSpec):
        return f"it goes from {spec.low} to {spec.high} in steps of {spec.step}"
    return f"known: {', '.join(map(repr, getattr(spec, 'choices', ())))}"


def _check_circle(specs: Specs) -> Iterator[Misfit]:
    graph = {path: list(getattr(spec, "when", {})) for path, spec in specs.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = error.args[1]
        what = f"the conditions go in a circle: {' <- '.join(circle)}"
        yield Misfit(("parameters", circle[1], "when", circle[0]), what, "remove one of them")


def check_objectives(space: Space) -> Iterator[Misfit]:
    """Sampler and scheduler that cannot work with two objectives, where there are two."""
    if not space.cost:
        return
    both = f"{space.objective} and {space.cost}"
    if space.scheduler != "none":
        what = (
            f"with two objectives the scheduler '{space.scheduler}' would stop the trials of "
            f"little {space.cost}: it compares {space.objective} alone"
        )
        yield Misfit(("objective",), what, "take scheduler: none")
    if space.sampler in SINGLE:
        what = f"the sampler '{space.sampler}' searches for one objective, not for {both}"
        yield Misfit(("sampler",), what, "take sampler: genetic, tpe, gp, nsga2, qmc or random")


SINGLE = ("cmaes",)
"""Samplers that know one objective only."""


def check_constraints(space: Space) -> Iterator[Misfit]:
    """Constraints on what cannot be known or compared, or that the defaults do not satisfy."""
    kinds = kinds_of_settings(space)
    for index, text in enumerate(space.constraints):
        misfit = _check_constraint(space, text, kinds, ("constraints", index))
        if misfit is not None:
            yield misfit


def _check_constraint(
    space: Space, text: str, kinds: Mapping[str, str], place: tuple[str | int, ...]
) -> Misfit | None:
    searched = {parameter.path: parameter for parameter in space.parameters}
    try:
        paths = Constraint(text).paths
        for path in paths:
            if path not in kinds:
                mend = nearest(path, [*searched, *kinds])
                return Misfit(place, f"'{path}' is no setting of the training", mend)
            if kinds[path] == UNKNOWN and path not in searched:
                return Misfit(place, f"'{path}' is a list, which nothing here compares", "")
        Constraint(text, kinds)
    except SpaceError as error:
        return Misfit(place, f"{error.what} (in '{text}')", error.mend)
    if replace(space, constraints=(text,)).satisfied(space.complete({})):
        return None
    values = ", ".join(f"{path}={value}" for path, value in _default_values(space, paths).items())
    what = f"the defaults do not satisfy '{text}' ({values})"
    return Misfit(place, what, "change a default, or the constraint")


def _default_values(space: Space, paths: tuple[str, ...]) -> dict[str, Any]:
    settings = key_paths(space.base) | space.defaults()
    return {path: settings[path] for path in paths}
