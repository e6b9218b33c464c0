"""Whether what lies in a run folder has the kinds of values that evolve writes.

A folder may come from anybody, or have been edited. What is not there is a matter of the readers,
who know what they need; what is there is of the kind they count on, or is told of here.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any

from evolve.attributes import ORIGIN, PARENTS, RECIPE
from evolve.errors import StoreError

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

_LARGEST = 2**63
_MEND = "restore it from a copy, or give the folder of another run"

_MANIFEST: Mapping[str, tuple[type, ...]] = {
    "format": (int,), "kind": (str,), "name": (str,), "created": (str,), "objective": (str,),
    "seed": (int,), "trials": (int, NoneType), "data": (dict,), "train": (dict, NoneType),
    "space": (dict, NoneType), "versions": (dict,), "hardware": (dict,), "git": (dict,),
    "storage": (str, NoneType), "study": (str,), "sampler": (str, NoneType),
    "scheduler": (str, NoneType), "trainer": (str,), "confirm": (str, int),
    "warm_start": (list, NoneType), "cost": (str, NoneType), "rows": (dict,),
    "outlook": (dict, NoneType), "train.epochs": (int,), "space.parameters": (dict,),
    "space.constraints": (list,), "data.digest": (str,), "data.classes": (list,),
    "data.images": (dict,), "data.notes": (list,),
}  # fmt: skip

ATTRIBUTES: Mapping[str, type] = {
    "evolve:failure": dict, "evolve:metrics": dict, "evolve:attempts": list, "evolve:cost": dict,
    "evolve:epochs": int, ORIGIN: str, PARENTS: list, RECIPE: dict,
}  # fmt: skip
"""Attributes of trials that evolve writes and reads, by name."""


def check_manifest(manifest: Mapping[str, Any], file: Path) -> None:
    """Raise a StoreError if a value of a manifest is of no kind that evolve writes."""
    for path, kinds in _MANIFEST.items():
        head, _, key = path.partition(".")
        holder = manifest.get(head) if key else manifest
        if isinstance(holder, dict) and (key or head) in holder:
            value = holder[key or head]
            if not is_of(value, kinds):
                raise _misfit(path, value, file)
    space = manifest.get("space") or {}
    for path, spec in space.get("parameters", {}).items():
        if not _is_parameter(spec):
            raise _misfit(f"space.parameters.{path}", spec, file)
    for index, prior in enumerate(manifest.get("warm_start") or ()):
        named = isinstance(prior, dict) and isinstance(prior.get("name"), str)
        if not (named and isinstance(prior.get("trials"), list)):
            raise _misfit(f"warm_start[{index}]", prior, file)


def _is_parameter(spec: Any) -> bool:
    if not isinstance(spec, dict) or not isinstance(spec.get("type"), str):
        return False
    bounds = all(is_of(spec.get(end), (int, float, NoneType)) for end in ("low", "high"))
    conditions = spec.get("when", {})
    told = isinstance(conditions, dict) and all(isinstance(v, list) for v in conditions.values())
    choices = isinstance(spec.get("choices", []), list)
    return spec["type"] == "fixed" or ("default" in spec and bounds and told and choices)


def check_trial(trial: "FrozenTrial", url: str) -> None:
    """Raise a StoreError if something of a stored trial is of no kind that evolve writes.

    SQLite keeps a text in a column of numbers if one is put there.
    """
    steps, values = trial.intermediate_values, trial.values or ()
    if not all(is_of(number, (int,)) for number in (trial.number, *steps)):
        raise StoreError(f"trial {_short(trial.number)} is not numbered, or a step", url, _MEND)
    if not all(is_of(value, (int, float, NoneType)) for value in (*values, *steps.values())):
        raise StoreError(f"trial {trial.number} has values that are no numbers", url, _MEND)
    for name, kind in ATTRIBUTES.items():
        value = trial.user_attrs.get(name)
        if value is not None and not (is_of(value, (kind,)) and _is_told(name, value)):
            what = f"trial {trial.number} has the attribute {name} = {_short(value)}"
            raise StoreError(what, url, _MEND)


def _is_told(name: str, value: Any) -> bool:
    if name == "evolve:attempts":
        return all(isinstance(one, dict) and _is_failure(one) for one in value)
    if name == "evolve:failure":
        return _is_failure(value)
    if name == PARENTS:
        return all(is_of(one, (int,)) for one in value)
    if name == "evolve:metrics":
        return are_numbers(value)
    if name == "evolve:cost":
        texts = {key: value[key] for key in ("network", "reason") if key in value}
        figures = {key: one for key, one in value.items() if key not in texts}
        return are_numbers(figures) and all(is_of(one, (str,)) for one in texts.values())
    return True


def _is_failure(tree: Mapping[str, Any]) -> bool:
    """Whether it says what failed; ``log`` is a list where there is one."""
    texts = all(isinstance(tree.get(key, ""), str) for key in ("type", "what", "where", "remedy"))
    return texts and isinstance(tree.get("log") or [], list)


def are_numbers(tree: Mapping[str, Any]) -> bool:
    """Whether all values are numbers that a float can hold, or None."""
    return all(is_of(value, (int, float, NoneType)) for value in tree.values())


def is_of(value: Any, kinds: Sequence[type]) -> bool:
    """Whether a value is of one of the kinds; a boolean is no number, nor one without bounds."""
    if isinstance(value, bool):
        return bool in kinds
    if isinstance(value, int) and abs(value) >= _LARGEST:
        return False
    return isinstance(value, tuple(kinds))


def _misfit(path: str, value: Any, file: Path) -> StoreError:
    return StoreError(f"'{path}' of the manifest is {_short(value)}", str(file), _MEND)


def _short(value: Any) -> str:
    if isinstance(value, int) and abs(value) >= _LARGEST:
        return "a number without bounds"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
