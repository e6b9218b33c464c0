"""``--set key=value`` items for all rows of a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import PydanticCustomError

from evolve.ablation.schema import PRETRAIN, setting_path
from evolve.errors import SpaceError
from evolve.space.load import parse_value
from evolve.yaml_marks import Fault

_OPTIONS = {
    "model": "give --model",
    "seed": "give --seeds; all rows are trained with the same",
    "task": "it is the table's",
}


@dataclass(frozen=True)
class Override:
    """One item; `text` is what the user wrote."""

    path: str
    value: Any
    text: str

    def fault(self, what: str, mend: str = "") -> Fault:
        """What is wrong with it."""
        return Fault(what, f"--set {self.text}", mend)


@dataclass(frozen=True)
class Overrides:
    """Items for the rows, for the classifiers they start from, and what could not be read."""

    items: tuple[Override, ...] = ()
    pretrain: tuple[Override, ...] = ()
    faults: tuple[Fault, ...] = ()


def read_overrides(texts: Sequence[str]) -> Overrides:
    """Items of ``key=value`` and ``pretrain.key=value``."""
    items: list[Override] = []
    pretrain: list[Override] = []
    faults: list[Fault] = []
    for text in texts:
        try:
            one, is_pretrain = _read(text)
        except SpaceError as error:
            faults.append(Fault(error.what, error.where, error.mend))
        else:
            (pretrain if is_pretrain else items).append(one)
    return Overrides(tuple(items), tuple(pretrain), tuple(faults))


def _read(text: str) -> tuple[Override, bool]:
    key, equals, value = text.partition("=")
    where, name = f"--set {text}", key.strip()
    if not equals or not name:
        mend = "for example --set epochs=5"
        raise SpaceError("an override must be key=value", where, mend)
    is_pretrain = name.startswith(f"{PRETRAIN}.")
    name = name.removeprefix(f"{PRETRAIN}.").removeprefix("train.")
    if name in _OPTIONS:
        raise SpaceError(f"'{name}' is not set like this", where, _OPTIONS[name])
    try:
        path = setting_path(name)
    except PydanticCustomError as refused:
        context = refused.context or {}
        raise SpaceError(context["what"], where, context["mend"]) from None
    return Override(path, parse_value(value, where), text), is_pretrain
