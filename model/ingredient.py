"""What an ingredient is: one freebie or special of the paper, as data.

The catalogue is the folder `model/ingredients`: every module in it holds an ``INGREDIENT`` (or
several, in a tuple ``INGREDIENTS``) and perhaps an ``EFFECT``. Nothing here imports torch.
"""

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType
from typing import Any, Literal

import model.ingredients
from model.effect import Effect

Family = Literal[
    "augmentation", "regularisation", "imbalance", "detector freebie", "loss", "special",
    "classifier",
]  # fmt: skip
Task = Literal["detect", "classify"]


@dataclass(frozen=True)
class Setting:
    """A slot of the training configuration, and what it holds with and without the ingredient.

    Attributes
    ----------
    slot : str
        Key path.
    on, off : JSON value
        `off` is the value in the catalogue's baseline; of an ingredient which that has on, what
        is left without it. Both are equal where an ingredient needs a slot at the value that the
        baseline has, and another one changes it. `on` is None where the user gives the value.
    on_classify : JSON value, optional
        Takes the place of `on` in a classifier's training.
    """

    slot: str
    on: Any
    off: Any
    on_classify: Any = None

    def on_in(self, task: Task) -> Any:
        """What the slot holds with the ingredient in trainings of a task."""
        return self.on if task == "detect" or self.on_classify is None else self.on_classify


@dataclass(frozen=True)
class InferenceCost:
    """What an ingredient adds to the network: yolov4 with 80 classes at 416 px.

    Attributes
    ----------
    parameters : int
        Learnable ones.
    bflops : float
        By darknet's rule.
    words : str
        What else it costs, such as time in suppression.
    """

    parameters: int = 0
    bflops: float = 0.0
    words: str = ""


@dataclass(frozen=True)
class Ingredient:
    """One freebie or special.

    Attributes
    ----------
    key : str
        Its letter or name in the paper's tables, by which the user calls it.
    title : str
        What it is, in a few words.
    family : Family
    sets : tuple of Setting
    source : str
        Paper with section, or darknet's file.
    requires : tuple of str
        Keys that must be on as well.
    conflicts : tuple of str
        Keys that cannot be on as well; saying so on one side is enough. Two ingredients that want
        different values in the same slot conflict without being told so.
    tasks : tuple of Task
        What it is defined for.
    in_baseline : bool
        Whether the catalogue's baseline has it on, as the paper's has crops and colours.
    cost : InferenceCost
    needs : str
        What the user has to give, in words, for the settings whose `on` is None.
    tunes : bool
        Whether it is the outcome of a search, so that the user may give it values of any slots.
    least : tuple of (slot, number)
        Slots that must hold at least so much, or the ingredient would change nothing.
    acts : "step", "later" or "inference"
        When it first makes a difference: in the first update of a training, at some later one,
        or never in training.
    not_offered : str
        Why it is listed only; empty: it can be used.
    """

    key: str
    title: str
    family: Family
    sets: tuple[Setting, ...]
    source: str
    requires: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    tasks: tuple[Task, ...] = ("detect",)
    in_baseline: bool = False
    cost: InferenceCost = field(default_factory=InferenceCost)
    needs: str = ""
    tunes: bool = False
    least: tuple[tuple[str, float], ...] = ()
    acts: Literal["step", "later", "inference"] = "step"
    not_offered: str = ""

    @property
    def is_default(self) -> bool:
        """Whether it is what the baseline holds in slots that others change, such as MSE."""
        return bool(self.sets) and all(setting.on == setting.off for setting in self.sets)


def _modules() -> Iterator[ModuleType]:
    """Modules of the catalogue in the order of their names."""
    package = model.ingredients
    for name in sorted(found.name for found in pkgutil.iter_modules(package.__path__)):
        if not name.startswith("_"):
            yield importlib.import_module(f"{package.__name__}.{name}")


@cache
def effects() -> tuple[Effect, ...]:
    """All effects, in the order in which they are painted."""
    found = [module.EFFECT for module in _modules() if hasattr(module, "EFFECT")]
    keys = [effect.key for effect in found]
    if len(set(keys)) != len(keys):
        raise ValueError(f"an effect is there twice: {sorted(keys)}")
    return tuple(sorted(found, key=lambda effect: (effect.order, effect.key)))


@cache
def catalogue() -> dict[str, Ingredient]:
    """All ingredients by key, in the order of their files."""
    found: dict[str, Ingredient] = {}
    for module in _modules():
        own = getattr(module, "INGREDIENTS", None) or (module.INGREDIENT,)
        for ingredient in own:
            if ingredient.key in found:
                raise ValueError(f"ingredient '{ingredient.key}' is there twice")
            found[ingredient.key] = ingredient
    return found
