"""The training of every row of a table, from all that the table and the user say.

Values come in this order, each over the one before: the start of the task, the base's settings,
the user's overrides, the row's settings, ingredients. Settings may not put an ingredient on or
take one away: ingredients are named, so that a table shows what its rows have.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from evolve.ablation.company import company, find_clash, merged
from evolve.ablation.designs import AWAY, Design
from evolve.ablation.overrides import Override, Overrides
from evolve.ablation.schema import BaseSpec, PretrainSpec, RowSpec
from evolve.ablation.sizes import sized, unsized
from evolve.ablation.table import Table
from evolve.space.load import reason_against
from evolve.train_config import CLASSIFIER
from evolve.yaml_marks import Fault, KeyPath
from model.config import TrainConfig, key_paths
from model.errors import ConfigurationError, ModelError
from model.ingredient import Task, catalogue
from model.recipes import (
    Values,
    active,
    baseline,
    find_ingredient,
    recipe_faults,
    with_ingredients,
)

Check = Callable[[TrainConfig, TrainConfig | None], None]
"""Raises a ModelError where no network can be built from a configuration, or one cannot start from
the classifier; `model.transfer.check_buildable` is one."""


@dataclass(frozen=True)
class Resolved:
    """A row with its training."""

    spec: RowSpec
    on: frozenset[str]
    config: TrainConfig
    pretrain: TrainConfig | None


@dataclass(frozen=True)
class _Source:
    """A row before it is resolved, and where its parts stand in the file.

    `listed` are the ingredients that stand at `ingredients`: its own, or those of its plan.
    """

    spec: RowSpec
    place: KeyPath
    key: KeyPath
    ingredients: KeyPath
    listed: tuple[str, ...]

    def place_of(self, ingredient: str) -> KeyPath | None:
        """Where it is named in the row, if it is."""
        return _place_of(ingredient, self.listed, self.ingredients)


@dataclass(frozen=True)
class _Found:
    """A fault of one row's recipe."""

    source: _Source
    what: str
    key: str
    mend: str


class Resolver:
    """Resolves the rows of a table; what is wrong with any of them is left in `faults`."""

    def __init__(self, table: Table, model: str, overrides: Overrides, given: Values) -> None:
        self.table = table
        self.file = table.file
        self.marked = table.marked
        self.task: Task = table.file.task
        self.overrides = overrides
        self.faults: list[Fault] = [*overrides.faults]
        self.found: list[_Found] = []
        self.sources = list(_sources(table))
        self.start = baseline(self.task)
        if self.task == "classify":
            self.start = self.start.with_values(CLASSIFIER)
        self.model = model
        self.given = {**self.file.given}
        for key, values in given.items():
            name = find_ingredient(key).key
            self.given[name] = {**self.given.get(name, {}), **values}

    def rows(self, check: Check | None) -> list[Resolved]:
        """All rows, where there is no fault."""
        self._check_model()
        self._check_given(self.given)
        self._check_overrides()
        if self.table.design and self._clashes(self.table.design):
            return []
        rows = [row for source in self.sources if (row := self._row(source))]
        self._tell_found()
        if not self.faults:
            self._check_same(rows)
            self._check_heard(rows)
            if check:
                self._check_built(rows, check)
        return rows

    # -- one row ---------------------------------------------------------------------------

    def _row(self, source: _Source) -> Resolved | None:
        spec = source.spec
        settled = self._settle(source)
        pretrain = self._pretrain(source) if spec.pretrain else None
        if spec.pretrain and pretrain is None:
            return None
        if spec.pretrain and settled.backbone.weights:
            what = "it starts from a classifier of its own and from backbone.weights"
            self._fault(source, (*source.place, "pretrain"), what, "leave one of them out")
        keys = merged(self.file.base.ingredients, spec.ingredients)
        config = self._recipe(source, settled, keys)
        if config is None:
            return None
        on = frozenset(active(config, self.given))
        return Resolved(spec, on, config, pretrain)

    def _recipe(
        self, source: _Source, settled: TrainConfig, keys: Sequence[str]
    ) -> TrainConfig | None:
        try:
            return with_ingredients(settled, keys, self.given)
        except ConfigurationError as error:
            faults = recipe_faults(settled, keys, self.given)
            self.found += [_Found(source, each.what, each.where, each.mend) for each in faults]
            if not faults:  # a value that was given
                self._fault(source, source.key, f"{error.where}: {error.what}", error.mend)
        return None

    def _settle(self, source: _Source) -> TrainConfig:
        """The task's start with model and settings, which leave ingredients as they are."""
        start = self.start.with_values({"model": self._model_of(source.spec)})
        config = self._set(start, self.file.base, ("base",))
        config = self._set_overrides(config, self.overrides.items)
        return self._set(config, source.spec, source.place, source)

    def _pretrain(self, source: _Source) -> TrainConfig | None:
        spec, place = source.spec.pretrain, (*source.place, "pretrain")
        assert spec is not None
        start = baseline("classify").with_values(CLASSIFIER)
        config = start.with_values({"model": self._sized(spec.model)})
        config = self._set(config, spec, place, source)
        config = self._set_overrides(config, self.overrides.pretrain)
        faults = recipe_faults(config, spec.ingredients)
        for fault in faults:
            what = f"its classifier: {fault.what}"
            where = _place_of(fault.where, spec.ingredients, (*place, "ingredients"))
            self._fault(source, where or place, what, fault.mend)
        return None if faults else with_ingredients(config, spec.ingredients)

    def _set(
        self,
        config: TrainConfig,
        spec: BaseSpec | PretrainSpec,
        place: KeyPath,
        source: _Source | None = None,
    ) -> TrainConfig:
        """`config` with what a part of the file sets, as far as that may be."""
        named = f"row '{source.spec.key}': " if source else ""
        for path, value in spec.set.items():
            what, mend = self._against(config, path, value)
            if what:
                self._at((*place, "set", path), named + what, mend)
            else:
                config = config.with_values({path: value})
        count = getattr(spec, "mini_batch", None)
        if count is None:
            return config
        if config.batch_size % count:
            what = f"{named}mini-batches of {count} do not make up a batch of {config.batch_size}"
            self._at((*place, "mini_batch"), what, "take a divisor of batch_size")
            return config
        return config.with_values({"subdivisions": config.batch_size // count})

    def _set_overrides(self, config: TrainConfig, items: Sequence[Override]) -> TrainConfig:
        for item in items:
            what, mend = self._against(config, item.path, item.value)
            if what:
                self.faults.append(item.fault(what, mend))
            else:
                config = config.with_values({item.path: item.value})
        return config

    def _against(self, config: TrainConfig, path: str, value: Any) -> tuple[str, str]:
        """Why a setting cannot be made, and what to do instead; empty if it can."""
        reason = reason_against(config, path, value)
        if reason:
            return f"'{path}' cannot be {value!r}: {reason}", ""
        before = set(active(config, self.given))
        after = set(active(config.with_values({path: value}), self.given))
        return _switched(path, before, after)

    # -- models ----------------------------------------------------------------------------

    def _model_of(self, spec: RowSpec) -> str:
        if spec.model:
            return self._sized(spec.model)
        return self.model or self.file.model or self.start.model

    def _sized(self, name: str) -> str:
        """A row's own model, in the size that is asked for."""
        return sized(name, self.model) if self.model else name

    def _check_model(self) -> None:
        named = [source.spec.model for source in self.sources]
        families = {unsized(name) for name in named if name}
        if self.model and all(named) and unsized(self.model) not in families:
            self._tell_of_model(
                "every row of this table names a model of its own, and none is "
                f"{unsized(self.model)}",
                f"only its size is taken over; name one of {', '.join(sorted(families))}",
            )

    # -- what all rows have to fit ---------------------------------------------------------

    def _check_given(self, given: Values) -> None:
        used = {key for source in self.sources for key in source.spec.ingredients}
        used |= set(self.file.base.ingredients)
        for key in given:
            if key not in used:
                what = f"values are given to the ingredient {key}, which no row has"
                name = ("given", key) if key in self.file.given else ()
                self._at(name, what, f"name {key} in a row, or leave the values out")

    def _check_overrides(self) -> None:
        """An override of what the rows differ in would be lost, or make them equal."""
        for item in self.overrides.items:
            rows = [s.spec.key for s in self.sources if _sets(s.spec, item.path)]
            if _sets(self.file.base, item.path) and item.path not in self.file.base.set:
                rows.append("base")
            if rows:
                what = f"the table sets '{item.path}' itself, in {', '.join(rows)}"
                self.faults.append(item.fault(what, "leave it out, or change a copy of the file"))

        for item in self.overrides.pretrain:
            if not any(source.spec.pretrain for source in self.sources):
                what = "no row of this table starts from a classifier of its own"
                self.faults.append(item.fault(what, "leave it out"))

    def _clashes(self, design: Design) -> bool:
        source = self.sources[0]
        settled = self._settle(source)
        if self.faults:
            return True
        base = self.file.base.ingredients
        place = ("plan", "ingredients")
        on = set(active(_with_those_that_fit(settled, base, self.given), self.given))
        for index, key in enumerate(design.ingredients):
            if key in on:
                what = f"{key} is on in every row of this plan"
                mend = f"take it out of base.ingredients, or write {AWAY}{key} here"
                self._at((*place, index), what, mend)
        clash = find_clash(design, company(settled, base, design.ingredients, self.given))
        if clash:
            index = design.ingredients.index(clash.ingredient)
            self._at((*place, index), clash.what, clash.mend)
        return bool(self.faults)

    def _check_same(self, rows: Sequence[Resolved]) -> None:
        first: dict[tuple[str, str], Resolved] = {}
        for row, source in zip(rows, self.sources, strict=True):
            digest = row.config.digest(), row.pretrain.digest() if row.pretrain else ""
            earlier = first.setdefault(digest, row)
            if earlier is not row:
                names = f"'{earlier.spec.key}' and '{row.spec.key}'"
                what = f"the rows {names} are one and the same training"
                self._at(source.key, *_why_same(what, earlier.spec, row.spec))

    def _check_heard(self, rows: Sequence[Resolved]) -> None:
        """No setting may be overruled by an ingredient in every row that it is for."""
        holds = [key_paths(row.config) for row in rows]
        asked = [key_paths(self._settle(source)) for source in self.sources]
        on = [key for row in rows for key in row.on]

        def told(path: str, among: Iterable[int]) -> tuple[str, str]:
            if any(holds[i].get(path) == asked[i].get(path) for i in among):
                return "", ""
            key = _owner(path, on)
            what = f"'{path}' is what {key} sets, and so is overruled"
            return what, f"leave it out, or give {key} the value under 'given' in the table"

        every = range(len(rows))
        for path in self.file.base.set:
            what, mend = told(path, every)
            if what:
                self._at(("base", "set", path), f"every row: {what}", mend)
        for item in self.overrides.items:
            what, mend = told(item.path, every)
            if what:
                self.faults.append(item.fault(f"every row: {what}", mend))
        for i, source in enumerate(self.sources):
            for path in source.spec.set:
                what, mend = told(path, [i])
                if what:
                    self._fault(source, (*source.place, "set", path), what, mend)

    def _check_built(self, rows: Sequence[Resolved], check: Check) -> None:
        refused: dict[tuple[str, str], list[tuple[_Source, str]]] = {}
        for row, source in zip(rows, self.sources, strict=True):
            try:
                check(row.config, row.pretrain)
            except ModelError as error:
                own = [key.removeprefix(AWAY) for key in row.spec.ingredients]
                owner = _owner(error.where, [*own, *row.on])
                what = f"{owner}: {error.what}" if owner else error.what
                refused.setdefault((what, error.mend), []).append((source, owner))
        for (what, mend), group in refused.items():
            if len(group) == len(self.sources):
                self._tell_of_model(f"every row: {what}", mend)
                continue
            for source, key in group:
                self._fault(source, source.place_of(key) or source.key, what, mend)

    # -- faults ----------------------------------------------------------------------------

    def _tell_of_model(self, what: str, mend: str) -> None:
        if self.model:
            self.faults.append(Fault(what, f"--model {self.model}", mend))
        else:
            self._at(("model",), what, mend)

    def _tell_found(self) -> None:
        """Recipes' faults: of what every row has once, of others with their row."""
        by_what: dict[tuple[str, str], list[_Found]] = {}
        for each in self.found:
            by_what.setdefault((each.what, each.key), []).append(each)
        base = self.file.base.ingredients
        for (what, key), group in by_what.items():
            of_base = _place_of(key, base, ("base", "ingredients"))
            if of_base and len(group) == len(self.sources):
                self._at(of_base, f"every row: {what}", group[0].mend)
                continue
            for each in group[:1] if self.table.design else group:
                self._tell_of_row(each, others=len(group) - 1)

    def _tell_of_row(self, found: _Found, others: int) -> None:
        """A fault at its ingredient; those of a plan's rows are one."""
        source, keys = found.source, found.source.spec.ingredients
        own = source.place_of(found.key)
        mend = found.mend
        if own is None:  # the base's has the fault, and the row's other that it does not bear
            other = next((key for key in keys if key in re.findall(r"[\w-]+", found.what)), "")
            own = source.place_of(other)
            mend = f"write {AWAY}{found.key} in this row" if other else mend
        more = f" (and {others} more rows)" if self.table.design and others else ""
        self._fault(source, own or source.key, f"{found.what}{more}", mend)

    def _fault(self, source: _Source, place: KeyPath, what: str, mend: str) -> None:
        self._at(place, f"row '{source.spec.key}': {what}", mend)

    def _at(self, place: KeyPath, what: str, mend: str = "") -> None:
        self.faults.append(self.marked.fault(what, place, mend))


def _with_those_that_fit(config: TrainConfig, keys: Sequence[str], given: Values) -> TrainConfig:
    """`config` with ingredients, or as it is if they are refused, which is told elsewhere."""
    return config if recipe_faults(config, keys, given) else with_ingredients(config, keys, given)


def _sources(table: Table) -> Iterator[_Source]:
    if table.design is None:
        for index, spec in enumerate(table.file.rows):
            place: KeyPath = ("rows", index)
            listed: KeyPath = (*place, "ingredients")
            yield _Source(spec, place, (*place, "key"), listed, spec.ingredients)
        return
    for row in table.design.rows:
        keys = tuple(one for one in table.design.ingredients if one in row.on)
        made = RowSpec(key=row.key, title=row.title, ingredients=keys)
        listed = ("plan", "ingredients")
        yield _Source(made, ("plan",), listed, listed, table.design.ingredients)


def _place_of(key: str, among: Sequence[str], place: KeyPath) -> KeyPath | None:
    """Where an ingredient is named, with or without its minus."""
    bare = key.removeprefix(AWAY)
    for name in (key, bare, f"{AWAY}{bare}") if bare else ():
        if name in among:
            return (*place, list(among).index(name))
    return None


def _switched(path: str, before: set[str], after: set[str]) -> tuple[str, str]:
    """What a setting does to ingredients, which are named, not set; and how to mend it."""
    if before == after:
        return "", ""
    new, gone = sorted(after - before), sorted(before - after)
    done = [f"puts {' and '.join(new)} on"] if new else []
    done += [f"takes {' and '.join(gone)} away"] if gone else []
    default = not new and any(catalogue()[key].is_default for key in gone)
    names = "what is to replace it" if default else ", ".join(new or [f"{AWAY}{k}" for k in gone])
    return f"'{path}' {' and '.join(done)}", f"write {names} among the table's ingredients instead"


def _why_same(what: str, *rows: RowSpec) -> tuple[str, str]:
    """What is wrong with two equal rows, and a mend: they may name what all have anyway."""
    named = list(dict.fromkeys(key for row in rows for key in row.ingredients))
    usual = [key for key in named if key in catalogue() and catalogue()[key].in_baseline]
    if not usual:
        return what, "remove one, or let them differ"
    one = len(usual) == 1
    has, it = ("is", "it") if one else ("are", "them")
    away = ", ".join(AWAY + key for key in usual)
    return (
        f"{what}: {' and '.join(usual)} {has} in the baseline, as far as the model has {it}",
        f"remove one, or write {away} to take {it} away",
    )


def _sets(spec: BaseSpec, path: str) -> bool:
    return path in spec.set or (path == "subdivisions" and spec.mini_batch is not None)


def _owner(path: str, among: Iterable[str]) -> str:
    """The first ingredient that sets a slot; empty if there is none."""
    for key in among:
        if any(setting.slot == path for setting in catalogue()[key].sets):
            return key
    return ""
