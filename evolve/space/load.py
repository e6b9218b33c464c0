"""Space files: found, read, checked; and `--set key=value` on top of them."""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

import evolve
from evolve.errors import SpaceError, nearest
from evolve.space.checks import (
    Misfit,
    Specs,
    check_conditions,
    check_constraints,
    check_objectives,
)
from evolve.space.parameter import Parameter
from evolve.space.schema import FixedSpec, SearchedSpec, SpaceFile, Spec
from evolve.space.space import LIMITS, Space
from evolve.yaml_marks import (
    Fault,
    KeyPath,
    MarkedYaml,
    gather,
    raise_faults,
    read_marked,
    undotted,
)
from model.config import TrainConfig, is_key, key_paths, set_value
from model.errors import ConfigurationError
from model.files import is_file
from model.tasks import check_task

_HEADER = (
    *("name", "description", "objective", "trials", "sampler", "variant", "scheduler", "confirm"),
    *LIMITS,
)
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
    found = found_file(given, bundled_folder())
    if found is not None:
        return found
    known = {path.name for path in (*given.parent.glob("*.yaml"), *bundled_spaces())}
    where = f"{given.parent.absolute()}, {bundled_folder()}"
    raise SpaceError(f"there is no space file '{given}'", where, nearest(given.name, known))


def found_file(given: Path, bundled: Path) -> Path | None:
    """The file of a name: as given, else in a folder of the package, with ``.yaml`` or without."""
    for folder in (Path(), bundled):
        for candidate in (folder / given, folder / f"{given}.yaml"):
            if is_file(candidate):
                return candidate
    return None


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
    faults += _set_twice(marked, nested)
    faults += _refused_values(marked, base or TrainConfig())
    faults += _as_faults(marked, check_conditions(file.parameters if file else {}))
    raise_faults(faults, path, SpaceError)
    assert file is not None
    assert base is not None
    space = Space.from_file(file, base)
    misfits = (*check_constraints(space), *check_objectives(space))
    raise_faults(_as_faults(marked, misfits), path, SpaceError)
    return space if space.name else replace(space, name=path.stem)


def _as_faults(marked: MarkedYaml, misfits: Iterable[Misfit]) -> list[Fault]:
    return [marked.fault(misfit.what, misfit.place, misfit.mend) for misfit in misfits]


def apply_overrides(space: Space, items: list[str]) -> Space:
    """Space with ``key=value`` items applied, in order.

    A key is a key path of the training configuration, with or without ``train.`` before it, or
    another key at the top of a space file, such as trials or sampler. A searched
    parameter that is set becomes fixed, and those that exist only with other values of it are
    dropped. Values are YAML, but ``1e-3`` is a number here.

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
    if not faults:
        misfits = (*check_constraints(space), *check_objectives(space))
        faults = [Fault(what, "--set", mend) for _, what, mend in misfits]
    raise_faults(faults, Path("--set"), SpaceError)
    return space


def _set_twice(marked: MarkedYaml, train: MarkedYaml) -> list[Fault]:
    """Fixed settings that the file sets under ``train`` as well."""
    return [
        marked.fault(
            f"'{path}' is fixed here and set under train", ("parameters", path), "remove one"
        )
        for path, spec in _valid_specs(marked).items()
        if isinstance(spec, FixedSpec) and tuple(path.split(".")) in train.marks
    ]


def _valid_specs(marked: MarkedYaml) -> dict[str, SearchedSpec | FixedSpec]:
    """Entries that are right by themselves."""
    found = {}
    for path, raw in marked.under("parameters").data.items():
        with suppress(ValidationError):
            found[path] = _SPEC.validate_json(json.dumps(raw), strict=True)
    return {path: spec for path, spec in found.items() if path in key_paths()}


def _refused_values(marked: MarkedYaml, base: TrainConfig) -> list[Fault]:
    """Bounds, defaults, choices and fixed values that the training configuration refuses."""
    specs = _valid_specs(marked)
    base, faults = _with_fixed(marked, base, specs)
    for path, spec in specs.items():
        if not isinstance(spec, FixedSpec):
            parameter = Parameter.from_spec(path, spec)
            faults += _refused_by(_where_it_exists(base, path, specs), parameter, marked)
    return faults


def _with_fixed(
    marked: MarkedYaml, base: TrainConfig, specs: Specs
) -> tuple[TrainConfig, list[Fault]]:
    """Base with the fixed values that it takes, and faults for the others."""
    values = {p: spec.value for p, spec in specs.items() if isinstance(spec, FixedSpec)}
    if not _reason(base, values):
        return base.with_values(values), []
    faults = []
    for path, value in values.items():
        reason = reason_against(base, path, value)
        if reason:
            what = f"'{path}' cannot be {value!r}: {reason}"
            faults.append(marked.fault(what, ("parameters", path, "value")))
        else:
            base = base.with_values({path: value})
    return base, faults


def _where_it_exists(base: TrainConfig, path: str, specs: Specs) -> TrainConfig:
    """Base with the first values of a parameter's parents, and of theirs, where it takes them."""
    values: dict[str, Any] = {}
    waiting = [path]
    while waiting:
        for parent, allowed in getattr(specs.get(waiting.pop()), "when", {}).items():
            if parent not in values:
                values[parent] = allowed[0]
                waiting.append(parent)
    return base.with_values(values) if values and not _reason(base, values) else base


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
    return _reason(base, {path: value}) or _reason_of_task(base, path, value)


def _reason(base: TrainConfig, values: Mapping[str, Any]) -> str:
    tree = base.to_dict()
    for path, value in values.items():
        set_value(tree, path, value)
    try:
        TrainConfig.model_validate_json(json.dumps(tree), strict=True)
    except ValidationError as refused:
        reasons = (detail["msg"] for detail in refused.errors())
        return " or ".join(reason.removeprefix("Value error, ") for reason in reasons)
    return ""


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
    if not is_key(path):
        raise SpaceError(f"unknown key '{key}'", where, nearest(path, [*key_paths(), *_HEADER]))
    reason = reason_against(space.base, path, value)
    if reason:
        raise SpaceError(
            f"'{path}' cannot be {value!r}: {reason}",
            where,
            "'evolve spaces' and docs/spaces.md tell what a key may be",
        )
    changed = space.set_to(path, value)
    if not changed.parameters:
        raise SpaceError(f"'{path}' is the last searched parameter", where, "leave one to search")
    return changed


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
    if key == "objective":
        return replace(space, objective=file.objective[0], cost="".join(file.objective[1:]))
    return replace(space, **{key: getattr(file, key)})
