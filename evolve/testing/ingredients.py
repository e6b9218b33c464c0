"""What every entry of the catalogue of ingredients promises, as checks to be run over all.

Each check raises an AssertionError that says which promise is broken.
"""

import dataclasses
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import torch

from model.build import build_from_config, count_learnable
from model.classify import ClassTraining
from model.config import TrainConfig, key_paths
from model.graph import trace_layers
from model.ingredient import InferenceCost, Ingredient, Task, catalogue
from model.recipes import Values, active, baseline, with_ingredients, without_ingredients
from model.train import Training

if TYPE_CHECKING:
    from torch import nn

    from model.data.classes import ClassDataset
    from model.data.coco import Dataset

SHORTEST_SOURCE = 10
COST_CLASSES, COST_SIZE_PX = 80, 416
NETWORK_SLOTS = ("model", "norm", "backbone.", "neck.", "head.", "drop.", "scale_xy")

SMALLEST = "yolov4-tiny-3l-nano"  # with three heads, as the baseline has
STEP_PICTURES = 8
# Eight small pictures make an epoch of one update, well inside the warm-up of a long training.
_FIRST_UPDATE: dict[str, Any] = {
    "image_size": 64, "batch_size": STEP_PICTURES, "subdivisions": 2, "epochs": 50,
    "precision": "fp32", "data.workers": 0, "schedule.warmup": 0.1,
}  # fmt: skip
# All of a short training without a warm-up, two updates an epoch.
_ALL_UPDATES = _FIRST_UPDATE | {
    "batch_size": STEP_PICTURES // 2, "epochs": 4, "schedule.warmup": 0.0,
}  # fmt: skip
# What is done by chance to a mini-batch is done to all, a teacher that is far off is heard, and
# shapes are drawn for every update.
_SURELY: dict[Task, dict[str, Any]] = {
    "detect": {
        "sat.probability": 1.0, "distill.iou": 0.0, "shapes.every": 1, "shapes.last": 0.0,
    },
    "classify": {},
}  # fmt: skip


def step_baseline(
    task: Task = "detect", *, later: bool = False, smallest: bool = False
) -> TrainConfig:
    """The baseline as it is trained by `check_step`, for one update or to its end.

    `smallest` takes the smallest of all detectors in place of the baseline's.
    """
    config = baseline(task).with_values((_ALL_UPDATES if later else _FIRST_UPDATE) | _SURELY[task])
    return config.with_values({"model": SMALLEST}) if smallest and task == "detect" else config


@dataclass(frozen=True)
class StepResult:
    """What some epochs of a training gave.

    Attributes
    ----------
    losses : tuple of float
        One for each epoch.
    trace : str
        Digest of the losses, the weights afterwards and their moving average: equal for trainings
        that are equal bit for bit.
    """

    losses: tuple[float, ...]
    trace: str


Step = Callable[[TrainConfig, int], StepResult]


def check_catalogue() -> None:
    """Keys differ in more than their case, and all that are named exist."""
    known = catalogue()
    lower = [key.lower() for key in known]
    assert len(set(lower)) == len(lower), "two keys differ by their case only"
    for key, ingredient in known.items():
        named = {*ingredient.requires, *ingredient.conflicts}
        assert named <= known.keys(), f"{key} names {named - known.keys()}"
        assert key not in named, f"{key} names itself"


def check_entry(ingredient: Ingredient) -> None:
    """It says where it comes from, and sets slots that exist, to something else."""
    assert ingredient.title.strip(), "it has no title"
    assert len(ingredient.source) >= SHORTEST_SOURCE, "it names no source"
    assert any(c.isdigit() for c in ingredient.source) or "darknet" in ingredient.source
    assert ingredient.tasks, "it is for no task"
    assert bool(ingredient.sets) != bool(ingredient.not_offered), "it sets nothing"
    slots = [setting.slot for setting in ingredient.sets]
    assert set(slots) <= key_paths().keys(), f"unknown: {set(slots) - key_paths().keys()}"
    assert len(set(slots)) == len(slots), "it sets a slot twice"
    assert {slot for slot, _ in ingredient.least} <= key_paths().keys()
    given = any(setting.on is None for setting in ingredient.sets)
    assert given == bool(ingredient.needs), "what it needs is not told, or told in vain"
    if ingredient.is_default:
        assert ingredient.in_baseline, "it is off, and yet changes nothing"


def check_baseline(ingredient: Ingredient, task: Task) -> None:
    """The baseline of a task has it on or off, as it says."""
    start = baseline(task)
    assert (ingredient.key in active(start)) == ingredient.in_baseline
    if not ingredient.in_baseline:
        holds = key_paths(start)
        for setting in ingredient.sets:
            assert _plain(setting.off) == holds[setting.slot], f"{setting.slot} is not off"


def check_round_trip(ingredient: Ingredient, task: Task, values: Values | None = None) -> None:
    """On and off again (or off and on, where the baseline has it) leaves the baseline."""
    start, key = baseline(task), ingredient.key
    if ingredient.in_baseline:
        changed = without_ingredients(start, [key])
        back = with_ingredients(changed, [key])
    else:
        keys = [key, *ingredient.requires]
        changed = with_ingredients(start, keys, values)
        back = without_ingredients(changed, keys, values)
    assert changed.digest() != start.digest(), "the configuration is the baseline's"
    assert (key in active(changed, values)) != ingredient.in_baseline
    assert back.digest() == start.digest(), "the way back leads elsewhere"


def check_cost(ingredient: Ingredient) -> None:
    """What it says to add to yolov4 (80 classes, 416 px) is what it adds."""
    assert ingredient.cost == dataclasses.replace(
        measured_cost(ingredient), words=ingredient.cost.words
    )


def measured_cost(ingredient: Ingredient) -> InferenceCost:
    """Its `InferenceCost`, counted on networks without weights."""
    if ingredient.is_default or not _is_of_network(ingredient):
        return InferenceCost()
    start = baseline("detect").with_values({"model": "yolov4"})
    if ingredient.in_baseline:
        without, with_it = without_ingredients(start, [ingredient.key]), start
    else:
        without, with_it = start, with_ingredients(start, [ingredient.key])
    (parameters, operations), (fewer, less) = _size(with_it), _size(without)
    return InferenceCost(parameters - fewer, (operations - less) / 1e9)


def _is_of_network(ingredient: Ingredient) -> bool:
    """Whether it changes the network, or what it requires does."""
    every = (ingredient, *(catalogue()[key] for key in ingredient.requires))
    return any(one.slot.startswith(NETWORK_SLOTS) for each in every for one in each.sets)


@cache
def _size(config: TrainConfig) -> tuple[int, int]:
    """Learnable parameters and operations on one image."""
    with torch.device("meta"):
        network = build_from_config(config, COST_CLASSES)
    layers = trace_layers(network, COST_SIZE_PX, COST_SIZE_PX)
    return count_learnable(network), sum(layer.operations for layer in layers)


def check_step(
    ingredient: Ingredient, step: Step, task: Task = "detect", values: Values | None = None
) -> None:
    """The first updates with it have finite losses, and differ from those without it as it says.

    Parameters
    ----------
    ingredient : Ingredient
    step : callable of (configuration, epochs) -> StepResult
        Begins a training, always on the same data; see `detector_step`.
    task : Task
    values : mapping, optional
        What ingredients need, as in `model.recipes.with_ingredients`.
    """
    late = ingredient.acts == "later"
    start = step_baseline(task, later=late, smallest=not _is_of_network(ingredient))
    epochs = start.epochs if late else 1
    if ingredient.is_default:
        without = with_it = start
    elif ingredient.in_baseline:
        without, with_it = without_ingredients(start, [ingredient.key]), start
    else:
        without = with_ingredients(start, ingredient.requires)
        with_it = with_ingredients(without, [ingredient.key], values)
    result = step(with_it, epochs)
    assert all(map(math.isfinite, result.losses)), f"the losses are {result.losses}"
    same = result.trace == step(without, epochs).trace
    if ingredient.is_default or ingredient.acts == "inference":
        assert same, "it changes the training"
    else:
        assert not same, "it changes nothing " + ("later" if late else "in the first update")


def detector_step(dataset: "Dataset") -> Step:
    """Beginnings of detectors' trainings on a data set of eight pictures; each made once."""
    assert len(dataset.splits["train"]) == STEP_PICTURES
    return _each_once(lambda config: Training(config, dataset, device="cpu"))


def classifier_step(dataset: "ClassDataset") -> Step:
    """Beginnings of classifiers' trainings on a data set of eight pictures; each made once."""
    assert len(dataset.splits["train"]) == STEP_PICTURES
    return _each_once(lambda config: ClassTraining(config, dataset, device="cpu"))


def _each_once(train: "Callable[[TrainConfig], Training | ClassTraining]") -> Step:
    made: dict[tuple[str, int], StepResult] = {}

    def step(config: TrainConfig, epochs: int) -> StepResult:
        key = (config.digest(), epochs)
        if key not in made:
            made[key] = _begin(train(config), epochs)
        return made[key]

    return step


def _begin(training: "Training | ClassTraining", epochs: int) -> StepResult:
    losses = tuple(training.train_epoch()["loss"] for _ in range(epochs))
    return StepResult(losses, _digest(losses, training.network, training.ema.network))


def _digest(losses: tuple[float, ...], *networks: "nn.Module") -> str:
    """Digest of losses and of all weights and statistics."""
    digest = hashlib.sha256(repr(losses).encode())
    for network in networks:
        for tensor in network.state_dict().values():
            digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
