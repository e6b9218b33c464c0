"""From darknet's files to a checkpoint of ours."""

from collections.abc import Sequence
from pathlib import Path

import torch

from model.build import build_from_config
from model.checkpoint import save_checkpoint
from model.config import TrainConfig
from model.darknet import LoadedWeights, file_classes, load_weights
from model.errors import CheckpointError, ConfigurationError, DataError

LIMIT_BYTES = 1_000_000


def read_names(path: Path) -> tuple[str, ...]:
    """Class names of darknet's `.names` file, one on each line.

    Raises
    ------
    DataError
        If the file cannot be read, is empty, or has a line without a name or a name twice.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError("no such file of names", str(path), "give a file with a name on each line")
    if path.stat().st_size > LIMIT_BYTES:
        raise DataError(
            f"the file is larger than {LIMIT_BYTES:,} bytes",
            str(path),
            "give a .weights file of darknet's",
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as fault:
        raise DataError("the file is not UTF-8 text", str(path), "save it as UTF-8") from fault
    names = [line.strip() for line in text.rstrip().split("\n")]
    lines: dict[str, int] = {}
    for number, name in enumerate(names, 1):
        if not name:
            raise DataError("the line is empty", f"{path}:{number}", "give each class a name")
        if name in lines:
            raise DataError(
                f"'{name}' is on line {lines[name]}, too", f"{path}:{number}",
                "give each class a name of its own",
            )  # fmt: skip
        lines[name] = number
    return tuple(names)


def import_weights(
    weights: Path,
    out: Path,
    config: TrainConfig,
    *,
    anchors_wh_px: Sequence[tuple[float, float]] | None = None,
    num_classes: int | None = None,
    names: Sequence[str] | None = None,
) -> tuple[LoadedWeights, tuple[str, ...]]:
    """Make of a `.weights` file a checkpoint that `model.detect.load_detector` reads.

    Parameters
    ----------
    weights, out : Path
        An older file at `out` is replaced.
    config : TrainConfig
        Describes the network; `image_size` must be a number.
    anchors_wh_px : sequence of (float, float), optional
        In pixels of the input; by default the network's own.
    num_classes : int, optional
        By default the file's size tells.
    names : sequence of str, optional
        Of the classes; by default "class 0", "class 1", ...

    Returns
    -------
    LoadedWeights, and the names of the classes.

    Raises
    ------
    CheckpointError
        If the file does not fit the network or the classes, or ends before its heads.
    ConfigurationError
        If there is no such network, or the size is missing.
    """
    if config.image_size == "auto":
        raise ConfigurationError(
            "a detector needs the size of its input", "image_size", "give it, for example 416"
        )
    with torch.device("meta"):
        probe = build_from_config(config, num_classes or len(names or "?"))
    classes = file_classes(probe, weights)
    if classes is None:
        raise CheckpointError(
            "this is a partial file: it ends before the heads, without which nothing is detected",
            str(weights),
            "give the whole file",
        )
    _check_classes(classes, num_classes, names, weights)
    network = build_from_config(config, classes)
    loaded = load_weights(network, weights)
    anchors = torch.tensor(anchors_wh_px or network.geometry.anchors_wh_px, dtype=torch.float32)
    titles = tuple(names or (f"class {number}" for number in range(classes)))
    state = {
        "config": config.to_dict(),
        "data": "",
        "classes": list(titles),
        "anchors_wh": anchors / config.image_size,
        "epoch": 0,
        "metrics": {},
        "weights": network.state_dict(),
    }
    save_checkpoint(Path(out), state)
    return loaded, titles


def _check_classes(
    classes: int, told: int | None, names: Sequence[str] | None, weights: Path
) -> None:
    if told not in (None, classes):
        raise CheckpointError(
            f"the weights are for {classes} classes, the cfg file is for {told}",
            str(weights),
            "give the cfg file that the weights were trained with",
        )
    if names is not None and len(names) != classes:
        raise CheckpointError(
            f"the weights are for {classes} classes, and {len(names)} have names",
            str(weights),
            "give the .names file that the weights were trained with",
        )
