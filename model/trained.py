"""Reading what a training has left: a configuration, class names, and weights that fit."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from torch import Tensor, nn

from model.config import TrainConfig
from model.errors import CheckpointError, DataError

if TYPE_CHECKING:
    from model.data.classes import ClassDataset
    from model.data.coco import Dataset

NOT_OURS = "it is no network of evolve; take best.pt or last.pt of a training"


def check_measurable(
    kind: str, known: Sequence[str], dataset: "Dataset | ClassDataset", split: str
) -> None:
    """Refuse to measure a network on data of other classes, or on a split that is not there.

    Parameters
    ----------
    kind : str
        What the network is, for a message.
    known : sequence of str
        Its classes.

    Raises
    ------
    DataError
    """
    if dataset.classes != tuple(known):
        raise DataError(
            f"the {kind} knows {listed(known)}, the data have {listed(dataset.classes)}",
            str(dataset.root),
            "measure it on data with the same classes in the same order",
        )
    if not dataset.splits.get(split):
        has = ", ".join(dataset.splits)
        raise DataError(f"the data have no '{split}' split", str(dataset.root), f"there is: {has}")


def listed(classes: Sequence[str]) -> str:
    """Number and names of classes, for a message; the first eight of many."""
    more = f" and {len(classes) - 8} more" if len(classes) > 8 else ""
    return f"{len(classes)} classes ({', '.join(classes[:8])}{more})"


def read_value(state: dict[str, Any], key: str, kind: type, path: Path) -> Any:
    """A value of a checkpoint that must be of a type."""
    if key not in state:
        raise CheckpointError(f"the checkpoint has no '{key}'", str(path), NOT_OURS)
    if not isinstance(state[key], kind):
        raise CheckpointError(
            f"'{key}' of the checkpoint is of type {type(state[key]).__name__}",
            str(path),
            NOT_OURS,
        )
    return state[key]


def read_config(state: dict[str, Any], path: Path) -> TrainConfig:
    """Configuration of the training as it was last; its `image_size` is a number."""
    try:
        config = TrainConfig.model_validate(read_value(state, "config", dict, path))
    except ValidationError as refused:
        detail = refused.errors()[0]
        key = ".".join(map(str, detail["loc"]))
        raise CheckpointError(
            f"its configuration is not understood: {key}: {detail['msg']}",
            str(path),
            "use the version of evolve that wrote it",
        ) from refused
    if config.image_size == "auto":
        raise CheckpointError("its configuration names no image_size", str(path), NOT_OURS)
    begun = 0 if "part" in state else 1  # the epoch under way is trained already
    return config.at(state.get("epoch", 1) - begun)


def read_classes(state: dict[str, Any], path: Path) -> tuple[str, ...]:
    """Names of the classes; at least one."""
    classes = tuple(read_value(state, "classes", list, path))
    if not classes or not all(isinstance(name, str) for name in classes):
        raise CheckpointError("its classes are not a list of names", str(path), NOT_OURS)
    return classes


def read_weights(network: nn.Module, state: dict[str, Any], model: str, path: Path) -> None:
    """Put a checkpoint's weights into a network, all of them or none.

    Parameters
    ----------
    model : str
        What the network is, for a message.
    """
    weights = read_value(state, "weights", dict, path)
    own = network.state_dict()
    for name in (*own, *weights):
        theirs = weights.get(name)
        if name not in own or not isinstance(theirs, Tensor):
            state_of = "is unknown" if name not in own else "is missing"
            raise _misfit(f"'{name}' {state_of}", model, path)
        if theirs.shape != own[name].shape:
            shapes = f"{tuple(theirs.shape)} and not {tuple(own[name].shape)}"
            raise _misfit(f"'{name}' is of shape {shapes}", model, path)
    network.load_state_dict(weights)


def _misfit(what: str, model: str, path: Path) -> CheckpointError:
    return CheckpointError(f"its weights do not fit a {model}: {what}", str(path), NOT_OURS)
