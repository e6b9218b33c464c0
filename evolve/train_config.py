"""The configuration of one training, from all that a user may give."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from evolve.errors import SpaceError, nearest
from evolve.space.load import parse_value, reason_against
from evolve.yaml_marks import raise_faults, read_marked, undotted, validate
from model.config import TrainConfig, is_key, key_paths

if TYPE_CHECKING:
    from model.ingredient import Task

CLASSIFIER = {"model": "csdarknet53-nano", "image_size": "auto"}
"""In place of darknet's: the backbone of the usual detector, and a size that fits the data."""

NO_INGREDIENTS = "none"


def build_config(
    file: Path | None,
    named: dict[str, Any],
    overrides: Sequence[str] = (),
    *,
    task: "Task | None" = None,
    ingredients: str | None = None,
    given: dict[str, dict[str, Any]] | None = None,
) -> TrainConfig:
    """Training configuration: the task's start, then `file`, `named`, ingredients, `overrides`.

    A detector starts from the defaults, or from the catalogue's baseline if ingredients are
    given; a classifier from darknet's settings, which are that baseline, too.

    Parameters
    ----------
    file : Path, optional
        YAML, such as the `best.yaml` of a run.
    named : dict of key path -> value
        None leaves the setting as it is.
    overrides : sequence of str
        ``key=value`` items. Ingredients are checked with them in place.
    task : Task, optional
        Default: that of the file, else ``detect``.
    ingredients : str, optional
        Keys as `ingredient_keys` reads them.
    given : dict of key -> {key path: value}, optional
        For ingredients that need values.

    Raises
    ------
    SpaceError
        For a fault in the file or an override, or where the two do not fit.
    ConfigurationError
        For a fault in the ingredients.
    """
    values = _read_values(file) if file else {}
    if task and values.get("task", task) != task:
        raise SpaceError(
            f"this configuration is for task {values['task']}, not {task}",
            str(file),
            f"leave out --task {task}, or give another file",
        )
    values["task"] = task or values.get("task", "detect")
    values |= {key: value for key, value in named.items() if value is not None}
    start = _start_of(values["task"], baseline_asked=ingredients is not None)
    try:
        config = start.with_values(values)
    except ValidationError as refused:  # the file's values and the named ones do not fit
        detail = refused.errors()[0]
        mend = str(detail.get("ctx", {}).get("mend", ""))
        raise SpaceError(detail["msg"], ".".join(map(str, detail["loc"])), mend) from refused
    if ingredients is None:
        return _overridden(config, overrides)
    return _with_ingredients(config, ingredient_keys(ingredients), overrides, given or {})


def _with_ingredients(
    config: TrainConfig,
    keys: Sequence[str],
    overrides: Sequence[str],
    given: dict[str, dict[str, Any]],
) -> TrainConfig:
    """Ingredients put in, then overrides; none of these may undo one of those."""
    from model.recipes import AWAY, active, find_ingredient, with_ingredients

    asked = {key: find_ingredient(key.removeprefix(AWAY)) for key in keys}
    slots = {setting.slot for one in asked.values() for setting in one.sets if setting.on}
    others = [item for item in overrides if _path_of(item) not in slots]
    config = with_ingredients(_overridden(config, others), keys, given)  # which looks at others
    config = _overridden(config, overrides)
    on = active(config, given)
    for key, ingredient in asked.items():
        if (ingredient.key in on) == key.startswith(AWAY):
            ours = {setting.slot for setting in ingredient.sets}
            items = [item for item in overrides if _path_of(item) in ours]
            raise SpaceError(
                f"--set undoes the ingredient {key}",
                " ".join(f"--set {item}" for item in items),
                "leave one of them out",
            )
    return config


def _path_of(item: str) -> str:
    return item.partition("=")[0].strip().removeprefix("train.")


def _start_of(task: "Task", *, baseline_asked: bool) -> TrainConfig:
    from model.recipes import baseline

    if task == "classify":
        return baseline(task).with_values(CLASSIFIER)
    return baseline(task) if baseline_asked else TrainConfig()


def ingredient_keys(text: str) -> list[str]:
    """Keys of ``M,LS,-Flip``; of ``none`` no key.

    Raises
    ------
    SpaceError
        If nothing is named.
    """
    keys = [key.strip() for key in text.split(",") if key.strip()]
    if not keys:
        raise SpaceError(
            "no ingredient is named",
            f"--ingredients '{text}'",
            f"list them with 'evolve ingredients', or give {NO_INGREDIENTS} for the baseline",
        )
    lower = [key.lower() for key in keys]
    if NO_INGREDIENTS in lower and len(keys) > 1:
        raise SpaceError(
            f"'{NO_INGREDIENTS}' is the baseline itself",
            f"--ingredients '{text}'",
            "leave it out beside others",
        )
    return [] if lower == [NO_INGREDIENTS] else keys


def given_values(
    ingredients: str | None, ga: Path | None, teacher: Path | None
) -> dict[str, dict[str, Any]]:
    """What the user gives to the ingredients GA (a run) and KD (weights of a teacher).

    Raises
    ------
    SpaceError
        If it is given to an ingredient that is not asked for.
    EvolveError, ModelError
        If a file cannot be read.
    """
    asked = {key.upper() for key in ingredient_keys(ingredients)} if ingredients else set()
    for key, option, path in (("GA", "--ga", ga), ("KD", "--teacher", teacher)):
        if path is not None and key not in asked:
            raise SpaceError(
                f"{option} gives its values to the ingredient {key}, which is not asked for",
                option,
                f"name {key} among --ingredients",
            )
    return given_to(ga, teacher)


def given_to(ga: Path | None, teacher: Path | None) -> dict[str, dict[str, Any]]:
    """Values of the ingredients GA, of a run, and KD, of a teacher's weights, where given.

    Raises
    ------
    EvolveError, ModelError
        If a file cannot be read.
    """
    from evolve.data_source import find_weights
    from evolve.ga_values import read_ga_values

    values: dict[str, dict[str, Any]] = {}
    if ga is not None:
        values["GA"] = read_ga_values(ga)
    if teacher is not None:
        values["KD"] = {"distill.teacher": str(find_weights(teacher).resolve())}
    return values


def _read_values(file: Path) -> dict[str, Any]:
    """Key paths that a file sets, and their checked values."""
    marked = undotted(read_marked(file, SpaceError))
    if "parameters" in marked.data:
        raise_faults(marked.faults, file, SpaceError)
        raise SpaceError(
            "this is a search space, not a training configuration",
            str(file),
            "search it with 'evolve run --space'; its best.yaml is a training configuration",
        )
    values = key_paths(validate(marked, TrainConfig, SpaceError))
    return {path: values[path] for path in _paths_in(marked.data, "")}


def _paths_in(tree: dict[str, Any], prefix: str) -> Iterator[str]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _paths_in(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _overridden(config: TrainConfig, overrides: Sequence[str]) -> TrainConfig:
    for item in overrides:
        config = _override(config, item)
    return config


def _override(config: TrainConfig, item: str) -> TrainConfig:
    _, equals, text = item.partition("=")
    path, where = _path_of(item), f"--set {item}"
    if not equals or not path:
        raise SpaceError(
            "an override must be key=value", where, "for example --set optimizer.lr=0.01"
        )
    if path == "task":
        raise SpaceError("the task is not set like this", where, "give --task")
    if not is_key(path):
        raise SpaceError(f"unknown key '{path}'", where, nearest(path, key_paths()))
    value = parse_value(text, where)
    reason = reason_against(config, path, value)
    if reason:
        raise SpaceError(
            f"'{path}' cannot be {value!r}: {reason}",
            where,
            "give a value that fits the key; 'evolve train' takes the default without it",
        )
    return config.with_values({path: value})
