"""Start from the backbone of a network trained before: a classifier, or another detector."""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from model.blocks.conv import ConvBlock
from model.build import Classifier, Detector, build_classifier, build_from_config
from model.checkpoint import load_checkpoint
from model.config import FILES, TrainConfig, key_paths
from model.errors import CheckpointError, ConfigurationError
from model.files import file_sha256
from model.parts import Backbone
from model.zoo import classifiers, zoo

KEY = "backbone.weights"
PREFIX = "backbone."
NAMED = 3  # tensors that a message names

log = logging.getLogger(__name__)


def load_backbone(
    network: Detector | Classifier, path: Path, *, sha256: str = "", warn: bool = True
) -> str:
    """Put the backbone's weights and rolling statistics of a checkpoint into a network.

    Activations are no weights. Where they differ, as those of the paper's classifiers do from
    YOLOv4's Mish, a warning says so.

    Parameters
    ----------
    network : Detector or Classifier
        Its backbone is changed.
    path : Path
        Checkpoint of a classifier's training or of a detector.
    sha256 : str, optional
        Digest that the file must have.
    warn : bool
        Whether to tell of other activations.

    Returns
    -------
    str
        Digest of the file.

    Raises
    ------
    ConfigurationError
        If there is no such file, it is another one, or its backbone is of another kind.
    CheckpointError
        If it is not readable, or holds no backbone.
    """
    found = weights_digest(path, KEY)
    if sha256 and found != sha256:
        raise ConfigurationError(
            f"the file has changed: its SHA-256 is {found[:12]}..., not {sha256[:12]}...",
            KEY,
            f"put the right one at {path}, or leave {KEY}_sha256 empty to begin anew",
        )
    state = load_checkpoint(path)
    weights = _backbone_of(state, path)
    misfits = list(_misfits(weights, network.backbone.state_dict()))
    if misfits:
        raise ConfigurationError(
            f"the backbone of {path} does not fit: " + "; ".join(misfits[:NAMED]),
            KEY,
            f"it is of {_described(state)}; take a model with the same backbone, width and blocks",
        )
    network.backbone.load_state_dict(weights)
    if warn:
        _warn_of_activations(state, network.backbone, path)
    return found


def check_buildable(config: TrainConfig, start: TrainConfig | None = None) -> None:
    """Refuse a configuration that no network can be built from; nothing is trained or stored.

    Parameters
    ----------
    config : TrainConfig
    start : TrainConfig, optional
        Of a classifier that is to be trained first, for its backbone.

    Raises
    ------
    ConfigurationError
        If there is no such model, options exclude each other, or the backbone is another one.
    """
    for each in (config, start) if start else (config,):
        if (each.model in classifiers) != (each.task == "classify"):
            (zoo if each.task == "detect" else classifiers).get(each.model)  # tells what is known
    backbone = _built(config)
    misfits = list(_misfits(_built(start).state_dict(), backbone.state_dict())) if start else []
    if start and misfits:
        raise ConfigurationError(
            f"the backbone of {start.model} does not fit {config.model}: "
            + "; ".join(misfits[:NAMED]),
            KEY,
            "take a classifier with the same backbone, width and blocks",
        )


def settled_files(config: TrainConfig) -> dict[str, str]:
    """Values for the files that a configuration names: whole paths, and missing digests.

    A digest that is there already is kept: a file that no longer has it is refused when it is
    read.

    Raises
    ------
    ConfigurationError
        If there is no such file.
    """
    holds, settled = key_paths(config), {}
    for key in FILES:
        if holds[key]:
            settled[key] = str(Path(holds[key]).expanduser().resolve())
            known = holds[f"{key}_sha256"]
            settled[f"{key}_sha256"] = known or weights_digest(settled[key], key)
    return settled


def weights_digest(path: str | Path, key: str) -> str:
    """SHA-256 of a file that the configuration names at `key`.

    Raises
    ------
    ConfigurationError
        If there is no such file.
    """
    if not Path(path).is_file():
        raise ConfigurationError(f"no such file: {path}", key, "give the path of a .pt file")
    return file_sha256(Path(path))


def _backbone_of(state: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
    """Tensors of the backbone, by their names within it."""
    weights = {
        name.removeprefix(PREFIX): tensor
        for name, tensor in state.get("weights", {}).items()
        if name.startswith(PREFIX)
    }
    if not weights:
        raise CheckpointError(
            "this checkpoint holds no backbone",
            str(path),
            "take the best.pt or last.pt of a training",
        )
    return weights


def _misfits(theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> Iterator[str]:
    """What does not fit, in the order of the network, then what it has no place for."""
    for name, tensor in ours.items():
        if name not in theirs:
            yield f"{name} is missing there"
        elif theirs[name].shape != tensor.shape:
            yield f"{name} is {_extent(theirs[name])} there and {_extent(tensor)} here"
    yield from (f"{name} has no place here" for name in theirs if name not in ours)


def _extent(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "one number"


def _described(state: Mapping[str, Any]) -> str:
    """What the checkpoint is of, for a message."""
    return str(state.get("config", {}).get("model", "an unknown model"))


def _warn_of_activations(state: Mapping[str, Any], ours: Backbone, path: Path) -> None:
    try:
        config = TrainConfig.model_validate(state["config"])
    except (KeyError, ValidationError):  # of another version: it cannot be told
        return
    theirs, here = _activations(_built(config)), _activations(ours)
    if theirs != here:
        log.warning(
            "the backbone of %s was trained with %s activations and goes on with %s; "
            "set backbone.activation to keep them",
            path,
            " and ".join(sorted(set(theirs))),
            " and ".join(sorted(set(here))),
        )


def _built(config: TrainConfig) -> Backbone:
    """Backbone that a configuration describes, without weights."""
    with torch.device("meta"):
        if config.model not in classifiers:
            return build_from_config(config, 1).backbone
        return build_classifier(
            config.model, 1, backbone=config.backbone, drop=config.drop, norm=config.norm
        ).backbone


def _activations(backbone: Backbone) -> tuple[str, ...]:
    """Names of its activations, block by block."""
    return tuple(m.activation for m in backbone.modules() if isinstance(m, ConvBlock))
