"""Recipes: a training configuration with ingredients of the catalogue put in or taken away.

A recipe is a list of keys, such as ``["S", "M", "-Flip", "CIoU"]``, on top of a configuration,
usually the `baseline`. Everything that is wrong with it is told at once, before any training.
Nothing here imports torch.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import Any

from pydantic import ValidationError

from model.config import TrainConfig, key_paths
from model.errors import ConfigurationError, nearest
from model.ingredient import Ingredient, Setting, Task, catalogue
from model.presets import PRESETS

Values = Mapping[str, Mapping[str, Any]]
"""What the user gives to ingredients: by key, values by slot."""

AWAY = "-"


@cache
def baseline(task: Task = "detect") -> TrainConfig:
    """The configuration that ablations start from.

    All ingredients of the task are off, but for those with `in_baseline`: the paper's base
    augmentation and what its network has. Where an ingredient has another strength in darknet's
    training of this task, that is taken (`model.presets`).
    """
    values: dict[str, Any] = {"task": task}
    for ingredient in _ordered(catalogue().values()):
        if task in ingredient.tasks:
            values |= {s.slot: s.on if ingredient.in_baseline else s.off for s in ingredient.sets}
    return TrainConfig().with_values(values | PRESETS[task])


@cache
def _baseline_slots(task: Task) -> Mapping[str, Any]:
    return key_paths(baseline(task))


def _ordered(ingredients: Iterable[Ingredient]) -> list[Ingredient]:
    """Those of the baseline last, whose `off` is not the baseline's."""
    return sorted(ingredients, key=lambda ingredient: ingredient.in_baseline)


def find_ingredient(key: str) -> Ingredient:
    """The ingredient of a key, in any case.

    Raises
    ------
    ConfigurationError
        If there is none; the nearest is named.
    """
    by_lower = {known.lower(): ingredient for known, ingredient in catalogue().items()}
    found = by_lower.get(key.strip().lower())
    if found is None:
        mend = _meant(key.strip().lower()) or "list them with 'evolve ingredients'"
        raise ConfigurationError(f"there is no ingredient '{key}'", key, mend)
    return found


def _meant(lower: str) -> str:
    """A hint at those whose keys, or words in whose titles, are near; empty if none is."""
    names: dict[str, list[str]] = {}
    for key, ingredient in catalogue().items():
        words = re.findall(r"\w{4,}", ingredient.title.lower())
        for name in dict.fromkeys([key.lower(), *words]):
            names.setdefault(name, []).append(key)
    close = difflib.get_close_matches(lower, names, n=3, cutoff=0.5)
    keys = list(dict.fromkeys(key for name in close for key in names[name]))[:3]
    quoted = " or ".join(f"'{key}'" for key in keys)
    return f"did you mean {quoted}?" if keys else ""


def with_ingredients(
    config: TrainConfig, keys: Sequence[str], values: Values | None = None
) -> TrainConfig:
    """`config` with ingredients on, or off where a key has a minus in front.

    Parameters
    ----------
    config : TrainConfig
        Ingredients that it has on already count for what the new ones require.
    keys : sequence of str
        In any order and case. What stands in the baseline's own slots gives way: CIoU replaces
        MSE. What was put in before does not; take it away in the same call.
    values : mapping of key -> {slot: value}, optional
        For ingredients that need input, such as ``{"KD": {"distill.teacher": "best.pt"}}``, and
        for other strengths than the catalogue's. GA takes values of any slots; one that belongs
        to another ingredient is taken only if the recipe has that on, lest a row of a table
        claims for GA what mosaic did. Values for keys that are not in the recipe do nothing.

    Raises
    ------
    ConfigurationError
        For unknown keys, keys of another task, missing or refused values, requirements and
        conflicts; one error for all faults.
    """
    recipe = _Recipe(config, keys, values or {})
    _raise(recipe.faults)
    try:
        return config.with_values(recipe.changes())
    except ValidationError as refused:
        detail = refused.errors(include_url=False)[0]
        path = ".".join(map(str, detail["loc"]))
        raise ConfigurationError(
            f"{detail['msg']}, not {detail['input']!r}", path, "change the value given for it"
        ) from refused


def recipe_faults(
    config: TrainConfig, keys: Sequence[str], values: Values | None = None
) -> tuple["RecipeFault", ...]:
    """What `with_ingredients` would refuse of the keys, each fault by itself."""
    return tuple(_Recipe(config, keys, values or {}).faults)


def without_ingredients(
    config: TrainConfig, keys: Sequence[str], values: Values | None = None
) -> TrainConfig:
    """`config` with ingredients off; `values` are those that GA was put in with."""
    return with_ingredients(config, [f"{AWAY}{key.strip()}" for key in keys], values)


def active(config: TrainConfig, values: Values | None = None) -> tuple[str, ...]:
    """Keys of the ingredients that a configuration has on, in the catalogue's order.

    A number counts as on when it is not off: strengths may be tuned. Only those of GA, which
    are nothing but strengths, must be the very ones, of the paper or of `values`.
    """
    given = {key.lower(): dict(slots) for key, slots in (values or {}).items()}
    holds = key_paths(config)
    return tuple(
        key
        for key, ingredient in catalogue().items()
        if config.task in ingredient.tasks
        and _is_on(ingredient, holds, _settings(ingredient, config.task, given.get(key.lower())))
    )


def _is_on(ingredient: Ingredient, holds: Mapping[str, Any], sets: Sequence[Setting]) -> bool:
    if ingredient.tunes:  # what belongs to others may have been left alone
        owned = {s.slot for s in ingredient.sets}
        sets = [s for s in sets if s.slot in owned or not _owners(s.slot)] or sets
    return bool(sets) and all(
        _holds(setting, holds[setting.slot], exactly=ingredient.tunes) for setting in sets
    )


def _owners(slot: str) -> list[Ingredient]:
    """Ingredients that set a slot."""
    return [each for each in catalogue().values() if any(s.slot == slot for s in each.sets)]


def _holds(setting: Setting, value: Any, *, exactly: bool) -> bool:
    """Whether a slot's value, of JSON types, is that of an ingredient that is on."""
    if isinstance(setting.on, tuple):
        return bool(value == list(setting.on))
    if setting.on is None:
        return bool(value != setting.off)
    tunable = isinstance(setting.on, int | float) and not isinstance(setting.on, bool)
    if tunable and setting.on != setting.off and not exactly:
        return bool(value != setting.off)
    return bool(value == setting.on)


def _settings(
    ingredient: Ingredient, task: Task, given: Mapping[str, Any] | None
) -> tuple[Setting, ...]:
    """What an ingredient sets in trainings of a task, with the user's values.

    The baseline's ingredients are put back at the strength they have there. If values are given
    to an ingredient that tunes, they are all that it sets.
    """
    start = _baseline_slots(task)
    if ingredient.tunes and given:
        return tuple(Setting(slot, value, start.get(slot)) for slot, value in given.items())
    settings = []
    for setting in ingredient.sets:
        on = start[setting.slot] if ingredient.in_baseline else setting.on_in(task)
        settings.append(Setting(setting.slot, (given or {}).get(setting.slot, on), setting.off))
    return tuple(settings)


@dataclass(frozen=True)
class RecipeFault:
    """What is wrong with a recipe, at which key, and how to mend it."""

    what: str
    where: str
    mend: str = ""


def _raise(faults: Sequence[RecipeFault]) -> None:
    if len(faults) == 1:
        raise ConfigurationError(faults[0].what, faults[0].where, faults[0].mend)
    if faults:
        listed = [
            f"\n  - {fault.what}" + (f"\n    mend {fault.mend}" if fault.mend else "")
            for fault in faults
        ]
        where = ", ".join(dict.fromkeys(fault.where for fault in faults))
        raise ConfigurationError(f"{len(faults)} faults in the recipe{''.join(listed)}", where)


class _Recipe:
    """Keys on top of a configuration, checked.

    Attributes
    ----------
    added, removed : list of Ingredient
    kept : list of Ingredient
        On before and after; the baseline's are left out where an added one takes their slot.
    faults : list of RecipeFault
    """

    def __init__(self, config: TrainConfig, keys: Sequence[str], values: Values) -> None:
        self.config = config
        self.task = config.task
        self.faults: list[RecipeFault] = []
        self.added: list[Ingredient] = []
        self.removed: list[Ingredient] = []
        self._read(keys)
        self.given = self._read_values(values)
        self.before = [catalogue()[key] for key in active(config, self.given)]
        taken = {s.slot for ingredient in self.added for s in ingredient.sets}
        self.kept = [
            each
            for each in self.before
            if each not in self.removed
            and not (each.in_baseline and any(s.slot in taken for s in each.sets))
        ]
        for check in (
            self._check_offer, self._check_removed, self._check_needs, self._check_company,
            self._check_slots, self._check_least,
        ):  # fmt: skip
            self.faults += check()

    @property
    def on(self) -> list[Ingredient]:
        """All that is on in the end, each once."""
        return list({each.key: each for each in [*self.kept, *self.added]}.values())

    def changes(self) -> dict[str, Any]:
        """Values by slot: of what is taken away, then of what stays there, then of the new."""
        changes: dict[str, Any] = {}
        for ingredient in self.removed:
            changes |= {s.slot: s.off for s in self._sets(ingredient)}
        for ingredient in self.kept:
            changes |= {s.slot: s.on for s in self._sets(ingredient) if s.slot in changes}
        # what was tuned has the last word
        for ingredient in sorted(self.added, key=lambda ingredient: ingredient.tunes):
            changes |= {s.slot: s.on for s in self._sets(ingredient)}
        return changes

    def _sets(self, ingredient: Ingredient) -> list[Setting]:
        """Settings of an ingredient; one that tunes leaves alone what belongs to others."""
        settings = _settings(ingredient, self.task, self.given.get(ingredient.key))
        if not ingredient.tunes:
            return list(settings)
        own = {s.slot for s in ingredient.sets}
        return [s for s in settings if s.slot in own or self._may_be_tuned(s.slot)]

    def _may_be_tuned(self, slot: str) -> bool:
        """Whether a slot is nobody's, or of an ingredient that is on, and more than a default."""
        owners = _owners(slot)
        return not owners or any(each in self.on and not each.is_default for each in owners)

    def _read(self, keys: Sequence[str]) -> None:
        for key in keys:
            away = key.strip().startswith(AWAY)
            try:
                found = find_ingredient(key.strip().removeprefix(AWAY))
            except ConfigurationError as error:
                self.faults.append(RecipeFault(error.what, key, error.mend))
                continue
            if found in self.added or found in self.removed:
                self.faults.append(RecipeFault(f"{found.key} is named twice", key, "name it once"))
            else:
                (self.removed if away else self.added).append(found)

    def _read_values(self, values: Values) -> dict[str, dict[str, Any]]:
        """Values by the catalogue's spelling, less those that are not understood."""
        given: dict[str, dict[str, Any]] = {}
        for key, slots in values.items():
            try:
                ingredient = find_ingredient(key)
            except ConfigurationError as error:
                self.faults.append(RecipeFault(error.what, key, error.mend))
                continue
            known = key_paths() if ingredient.tunes else [s.slot for s in ingredient.sets]
            wrong = [slot for slot in slots if slot not in known]
            self.faults += [
                RecipeFault(
                    f"{ingredient.key} does not set '{slot}'",
                    ingredient.key,
                    nearest(slot, known),
                )
                for slot in wrong
            ]
            given[ingredient.key] = {s: v for s, v in slots.items() if s not in wrong}
        self._add_what_is_there(given)
        return given

    def _add_what_is_there(self, given: dict[str, dict[str, Any]]) -> None:
        """Values that an ingredient needs and that the configuration already has."""
        holds = key_paths(self.config)
        for each in self.added:
            for setting in each.sets:
                if setting.on is None and holds[setting.slot] != setting.off:
                    given.setdefault(each.key, {}).setdefault(setting.slot, holds[setting.slot])

    def _check_offer(self) -> Iterator[RecipeFault]:
        """Not listed only, and meant for this task."""
        for each in self.added:
            if each.not_offered:
                yield RecipeFault(f"{each.key} cannot be used", each.key, each.not_offered)
            elif self.task not in each.tasks:
                meant = " and ".join(f"task {task}" for task in each.tasks)
                yield RecipeFault(
                    f"{each.key} is not for task {self.task}", each.key, f"it is for {meant}"
                )

    def _check_removed(self) -> Iterator[RecipeFault]:
        """On so far, and with something to be left in its place."""
        for each in self.removed:
            if each.is_default:
                yield RecipeFault(
                    f"{each.key} is what stands there when nothing else does", f"-{each.key}",
                    "name what is to replace it",
                )  # fmt: skip
            elif each not in self.before and not each.tunes:
                yield RecipeFault(f"{each.key} is not on", f"-{each.key}", "leave it out")

    def _check_needs(self) -> Iterator[RecipeFault]:
        for each in self.added:
            for setting in _settings(each, self.task, self.given.get(each.key)):
                if setting.on is None or (each.needs and setting.on == setting.off):
                    yield RecipeFault(
                        f"{each.key} needs {each.needs}",
                        each.key,
                        f"give a value for {setting.slot}",
                    )

    def _check_company(self) -> Iterator[RecipeFault]:
        """Requirements and conflicts among all that is on in the end."""
        keys = {each.key for each in self.on}
        for each in self.on:
            missing = [key for key in each.requires if key not in keys]
            if missing:
                names = " and ".join(missing)
                yield RecipeFault(f"{each.key} requires {names}", each.key, f"add {names}")
        for one, other in combinations(self.on, 2):
            if other.key in one.conflicts or one.key in other.conflicts:
                yield RecipeFault(
                    f"{one.key} conflicts with {other.key}", one.key, "leave one of them out"
                )

    def _check_slots(self) -> Iterator[RecipeFault]:
        """No two that want different values in one slot; what was tuned may overrule."""
        for one, other in combinations(self.on, 2):
            if one.tunes or other.tunes or (one in self.kept and other in self.kept):
                continue
            wanted = {s.slot: s.on for s in self._sets(one)}
            for setting in self._sets(other):
                if wanted.get(setting.slot, setting.on) != setting.on:
                    yield RecipeFault(
                        f"{one.key} wants {setting.slot} = {wanted[setting.slot]}, "
                        f"{other.key} wants {setting.on}",
                        one.key,
                        f"take {one.key} away with -{one.key}"
                        if one in self.kept
                        else "leave one of them out",
                    )

    def _check_least(self) -> Iterator[RecipeFault]:
        holds = key_paths(self.config) | self.changes()
        for each in self.added:
            for slot, least in each.least:
                if holds[slot] < least:
                    yield RecipeFault(
                        f"{each.key} changes nothing where {slot} is {holds[slot]}", each.key,
                        f"set {slot} to {least} or more",
                    )  # fmt: skip
