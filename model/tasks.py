"""What a configuration may say to trainings of one task only."""

from collections.abc import Collection

from model.config import TrainConfig, key_paths, without_epoch
from model.errors import ConfigurationError

OTHERS = {
    "detect": ("augment.cutmix", "augment.aspect", "augment.zoom_min", "augment.zoom_max"),
    "classify": (
        "anchors", "batch_policy", "data.letter_box", "distill.iou", "head", "loss", "neck", "nms",
        "sat", "scale_xy", "shapes",
    ),
}  # fmt: skip
"""Sections and settings that mean nothing to a task, but for `KEPT`.

CutMix hides a part of an image and shares out its label; it says nothing of boxes below that part,
and darknet's detector ignores it.
"""

KEPT = ("loss.label_smoothing",)
NETWORK = {"detect": "detector", "classify": "classifier"}


def check_task(config: TrainConfig, task: str) -> None:
    """Refuse a configuration for another task, or one with settings that would do nothing.

    Raises
    ------
    ConfigurationError
        Naming all such settings.
    """
    if config.task != task:
        raise ConfigurationError(
            f"this configuration is for a {NETWORK[config.task]}",
            "task",
            f"train it with 'evolve train --task {config.task}', or set task to {task}",
        )
    usual, holds = key_paths(), key_paths(config)
    setting = {key: without_epoch(key) for key in holds}
    idle = [
        key
        for key, path in setting.items()
        if holds[key] != usual[path] and _is_among(path, OTHERS[task])
    ]
    if idle:
        (other,) = NETWORK.keys() - {task}
        raise ConfigurationError(
            f"only a {NETWORK[other]} has " + ", ".join(f"{k} = {holds[k]}" for k in idle),
            idle[0],
            "leave it as it is by default: "
            + ", ".join(f"{k} = {_shown(usual[setting[k]])}" for k in idle),
        )


def _is_among(key: str, names: Collection[str]) -> bool:
    return key not in KEPT and (key in names or key.split(".")[0] in names)


def _shown(value: object) -> str:
    return "''" if value == "" else str(value)
