"""Space files: found, read, checked; and `--set key=value` on top of them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

import evolve
from evolve.errors import SpaceError, nearest
from evolve.space.schema import FixedSpec, SpaceFile, Spec
from evolve.space.space import Parameter, Space
from evolve.yaml_marks import (
    Fault,
    KeyPath,
    MarkedYaml,
    gather,
    raise_faults,
    read_marked,
    undotted,
)
from model.config import TrainConfig, key_paths
from model.errors import ConfigurationError
from model.tasks import check_task

_HEADER = ("name", "description", "objective", "trials", "sampler", "scheduler", "confirm")
_SPEC: TypeAdapter[Any] = TypeAdapter(Spec)


def bundled_folder() -> Path:
    """Folder of the space files that come with the package."""
    return Path(evolve.__file__).parent.parent / "search_spaces"


def bundled_spaces() -> list[Path]:
    """Space files that come with the package, by name."""
    return sorted(bundled_folder().glob("*.yaml"))


def find_space_file(name_or_path: str | Path) -> Path:
    """File of a space: as given, else in `search_spaces/`; ``.yaml`` may be left out.

    Raises
    ------
    SpaceError
        If there is none; names the nearest.
    """
    given = Path(name_or_path)
    for folder in (Path(), bundled_folder()):
        for candidate in (folder / given, folder / f"{given}.yaml"):
            if _is_file(candidate):
                return candidate
    known = {path.name for path in (*given.parent.glob("*.yaml"), *bundled_spaces())}
    where = f"{given.parent.absolute()}, {bundled_folder()}"
    raise SpaceError(f"there is no space file '{given}'", where, nearest(given.name, known))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long, a folder that may not be read
        return False


def load_space(path: Path) -> Space:
    """Space from its file.

    Raises
    ------
    SpaceError
        Once, for all faults of the file, each with its line and column.
    """
    path = Path(path)
    marked = read_marked(path, SpaceError)
    file, faults = gather(marked, SpaceFile)
    nested = undotted(marked.under("train"))
    base, base_faults = gather(nested, TrainConfig)
    faults += [*marked.faults, *nested.faults, *base_faults]
    faults += _refused_values(marked, base or TrainConfig())
    raise_faults(faults, path, SpaceError)
    assert file is not None
    assert base is not None
    space = Space.from_file(file, base)
    return space if space.name else replace(space, name=path.stem)


def apply_overrides(space: Space, items: list[str]) -> Space:
    """Space with ``key=value`` items applied, in order.

    A key is a key path of the training configuration, with or without ``train.`` before it, or
    one of name, description, objective, trials, sampler, scheduler, confirm. A searched parameter
    that is set becomes fixed. Values are YAML, but ``1e-3`` is a number here.

    Raises
    ------
    SpaceError
        Once, for all items that cannot be applied.
    """
    faults: list[Fault] = []
    for order, item in enumerate(items):
        try:
            space = _override(space, item)
        except SpaceError as error:
            faults.append(Fault(error.what, error.where, error.mend, (order, 0)))
    raise_faults(faults, Path("--set"), SpaceError)
    return space


def _refused_values(marked: MarkedYaml, base: TrainConfig) -> list[Fault]:
    """Bounds, defaults and choices that the training configuration does not take."""
    faults = []
    for path, raw in marked.under("parameters").data.items():
        try:
            spec = _SPEC.validate_json(json.dumps(raw), strict=True)
        except ValidationError:
            continue
        if path in key_paths() and not isinstance(spec, FixedSpec):
            faults += _refused_by(base, Parameter.from_spec(path, spec), marked)
    return faults


def _refused_by(base: TrainConfig, parameter: Parameter, marked: MarkedYaml) -> list[Fault]:
    here = ("parameters", parameter.path)
    faults: dict[KeyPath, Fault] = {}
    for i, value in enumerate(parameter.probes()):
        reason = reason_against(base, parameter.path, value)
        if parameter.choices is not None:
            place: KeyPath = (*here, "choices", i)
        else:
            place = (*here, ("low", "high", "default", "type")[i])
        if reason and (i < 3 or not faults or parameter.choices is not None):
            faults[place] = marked.fault(
                f"'{parameter.path}' cannot be {value!r}: {reason}", place
            )
    return list(faults.values())


def reason_against(base: TrainConfig, path: str, value: Any) -> str:
    """Why the training configuration refuses a value; empty if it takes it."""
    tree = base.to_dict()
    *parents, leaf = path.split(".")
    node = tree
    for name in parents:
        node = node[name]
    node[leaf] = value
    try:
        TrainConfig.model_validate_json(json.dumps(tree), strict=True)
    except ValidationError as refused:
        reasons = (detail["msg"] for detail in refused.errors())
        return " or ".join(reason.removeprefix("Value error, ") for reason in reasons)
    return _reason_of_task(base, path, value)


def _reason_of_task(base: TrainConfig, path: str, value: Any) -> str:
    """Why trainings of the base's task refuse a value."""
    if path == "task":
        return "" if value == base.task else "a space searches one task; set it under train"
    try:
        check_task(base.with_values({path: value}), base.task)
    except ConfigurationError as error:
        return error.what
    return ""


def _override(space: Space, item: str) -> Space:
    key, equals, text = item.partition("=")
    key, where = key.strip(), f"--set {item}"
    if not equals or not key:
        raise SpaceError("an override must be key=value", where, "for example --set trials=20")
    value = parse_value(text, where)
    if key in _HEADER:
        return _with_header(space, key, value, where)
    path = key.removeprefix("train.")
    if path not in key_paths():
        raise SpaceError(f"unknown key '{key}'", where, nearest(path, [*key_paths(), *_HEADER]))
    reason = reason_against(space.base, path, value)
    if reason:
        raise SpaceError(f"'{path}' cannot be {value!r}: {reason}", where)
    rest = tuple(p for p in space.parameters if p.path != path)
    if not rest:
        raise SpaceError(f"'{path}' is the last searched parameter", where, "leave one to search")
    return replace(space, base=space.base.with_values({path: value}), parameters=rest)


def parse_value(text: str, where: str) -> Any:
    """The value after ``key=``, read as a YAML scalar; `where` is told in errors."""
    try:
        value = yaml.safe_load(text)
        json.dumps(value)
    except TypeError:  # a date
        return text
    except (yaml.YAMLError, ValueError) as error:
        raise SpaceError("the value is not YAML", where, "quote it") from error
    if value is None:
        raise SpaceError("the value is empty", where, "write key=value")
    if isinstance(value, str) and value[:1] in "+-.0123456789":
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _with_header(space: Space, key: str, value: Any, where: str) -> Space:
    marked = MarkedYaml(
        {**space.to_dict(), key: value}, {(): (1, 1), (key,): (1, 1)}, Path("--set")
    )
    file, faults = gather(marked, SpaceFile)
    if file is None:
        raise SpaceError(faults[0].what, where, faults[0].mend)
    return replace(space, **{key: getattr(file, key)})
