"""A trained classifier: read, measured, and asked as a teacher."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from model.build import Classifier, build_classifier
from model.checkpoint import load_checkpoint
from model.class_targets import ClassScores, score
from model.config import DistillConfig, TrainConfig
from model.data.cache import ImageCache
from model.data.class_recipe import ClassEvalLoader
from model.data.classes import ClassDataset
from model.distill import read_teacher
from model.errors import CheckpointError, ConfigurationError
from model.predict import as_input, channels_last
from model.trained import check_measurable, read_classes, read_config, read_weights
from model.training import pick_device, wants_bf16

EVAL_BATCH = 64


@dataclass(frozen=True, eq=False)
class LoadedClassifier:
    """A trained classifier.

    Attributes
    ----------
    network : Classifier
        In evaluation mode, on `device`.
    classes : tuple of str
    config : TrainConfig
        Of its training; `image_size` is a number.
    device : torch.device
    data_digest : str
        Of the data set it was trained on.
    """

    network: Classifier
    classes: tuple[str, ...]
    config: TrainConfig
    device: torch.device
    data_digest: str


def classifier_from_config(config: TrainConfig, num_classes: int) -> Classifier:
    """Build the classifier that a training configuration describes; see `build_classifier`."""
    return build_classifier(
        config.model,
        num_classes,
        backbone=config.backbone,
        drop=config.drop,
        norm=config.norm,
        bn_momentum=config.bn_momentum,
    )


def is_classifier(path: Path) -> bool:
    """Whether a checkpoint is one of a classifier's training.

    Raises
    ------
    CheckpointError
        If the file cannot be read.
    """
    config = load_checkpoint(path).get("config")
    return isinstance(config, dict) and config.get("task") == "classify"


def load_classifier(path: Path, device: str | torch.device | None = None) -> LoadedClassifier:
    """Read a classifier from a checkpoint or from weights, whole or not at all.

    Parameters
    ----------
    path : Path
        Written by `model.classify.ClassReport.save` or `save_weights`.
    device : str or torch.device, optional
        Default: cuda where there is one, else cpu.

    Raises
    ------
    CheckpointError
        If the file cannot be read, lacks something, is a detector's, or does not fit together.
    """
    path, device = Path(path), pick_device(device)
    state = load_checkpoint(path, device)
    config, classes = read_config(state, path), read_classes(state, path)
    if config.task != "classify":
        raise CheckpointError(
            f"this is a detector ({config.model}), not a classifier",
            str(path),
            "take best.pt or last.pt of 'evolve train --task classify'",
        )
    with torch.random.fork_rng(devices=[]):  # a fresh network draws random weights
        try:
            network = classifier_from_config(config, len(classes))
        except ConfigurationError as error:
            raise CheckpointError(error.what, str(path), error.mend) from error
    read_weights(network, state, config.model, path)
    network = channels_last(network.to(device).eval())
    return LoadedClassifier(network, classes, config, device, str(state.get("data", "")))


@torch.inference_mode()
def logits_of(
    network: Classifier, loader: ClassEvalLoader, *, device: torch.device, autocast: bool
) -> Tensor:
    """What a network in evaluation mode says (N, K) of all samples, float32, on the CPU."""
    found = []
    for batch in loader:
        with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
            logits = network(as_input(batch.images, device))
        found.append(logits.float().cpu())
    return torch.cat(found)


def evaluate_classes(
    classifier: LoadedClassifier, dataset: ClassDataset, split: str, batch_size: int = EVAL_BATCH
) -> ClassScores:
    """Score a classifier on a split as its training scored it on `val`.

    Raises
    ------
    DataError
        If there is no such split, or the classes are not those of the classifier.
    """
    check_measurable("classifier", classifier.classes, dataset, split)
    config, side = classifier.config, int(classifier.config.image_size)
    cache = ImageCache(config.data.cache_mb << 20, dataset.held_side(side))
    loader = ClassEvalLoader(dataset.splits[split], cache, (side, side), batch_size)
    autocast = wants_bf16(config.precision, classifier.device)
    logits = logits_of(classifier.network, loader, device=classifier.device, autocast=autocast)
    return score(logits.softmax(dim=1).numpy(), loader.labels, dataset.classes)


def load_class_teacher(
    config: DistillConfig, classes: Sequence[str], device: str | torch.device | None = None
) -> Classifier:
    """Read the classifier that refines another one's targets, without gradients.

    Parameters
    ----------
    config : DistillConfig
        Its `teacher` is a checkpoint or weights of a classifier's training.
    classes : sequence of str
        Of the data, in their order.

    Raises
    ------
    ConfigurationError
        If the file is missing, is not the one that was digested, holds no classifier, or one of
        other classes.
    """
    found = read_teacher(config, classes, lambda path: load_classifier(path, device), "classifier")
    return found.network.requires_grad_(requires_grad=False)
