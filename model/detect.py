"""Detecting objects in pictures with a trained detector, and drawing what was found."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.build import Detector, build_from_config
from model.checkpoint import load_checkpoint
from model.config import TrainConfig
from model.data.cache import ImageCache, load_image
from model.data.coco import Dataset, ImageRecord
from model.data.eval_loader import EvalLoader
from model.data.headers import IMAGE_SUFFIXES as IMAGE_SUFFIXES
from model.data.headers import header_size_wh
from model.errors import CheckpointError, ConfigurationError, DataError
from model.evaluate import Evaluation, evaluate
from model.predict import channels_last
from model.speed import check_size
from model.train import EVAL_BATCH, detect_split
from model.trained import check_measurable, read_classes, read_config, read_value, read_weights
from model.training import pick_device, wants_bf16

Picture = NDArray[np.uint8]

MOST_AT_ONCE = 16
CPU_BATCH_PX = 8 * 160 * 160  # of all pictures of a batch together


@dataclass(frozen=True, eq=False)
class LoadedDetector:
    """A trained detector, ready to detect.

    Attributes
    ----------
    network : Detector
        In evaluation mode, on `device`.
    classes : tuple of str
    anchors_wh : Tensor, shape (A, 2)
        Relative to the network's input; on `device`.
    config : TrainConfig
        Of its training; `image_size` is a number.
    device : torch.device
    epoch : int
        Epochs it was trained for.
    data_digest : str
        Of the data set it was trained on.
    """

    network: Detector
    classes: tuple[str, ...]
    anchors_wh: Tensor
    config: TrainConfig
    device: torch.device
    epoch: int
    data_digest: str

    @property
    def autocast(self) -> bool:
        """Whether it computes in bf16, as its training did on such a device."""
        return wants_bf16(self.config.precision, self.device)

    def loader(
        self, records: Sequence[ImageRecord], batch_size: int, cache_bytes: int = 0
    ) -> EvalLoader:
        """Batches of pictures, prepared exactly as at the evaluation of its training."""
        side = int(self.config.image_size)
        cache = ImageCache(cache_bytes, max_side=2 * side)
        letter_box = self.config.data.letter_box
        return EvalLoader(records, cache, (side, side), letter_box, batch_size)


@dataclass(frozen=True, eq=False)
class Found:
    """What was found in one picture, best score first.

    Attributes
    ----------
    path : Path
    width, height : int
        Pixels of the upright picture.
    boxes_xyxy_px : ndarray, shape (D, 4), float32
        Corners in pixels of the upright picture, inside it.
    scores : ndarray, shape (D,), float32
    labels : ndarray, shape (D,), int64
        Indices into the detector's classes.
    """

    path: Path
    width: int
    height: int
    boxes_xyxy_px: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]


def load_detector(path: Path, device: str | torch.device | None = None) -> LoadedDetector:
    """Read a detector from a checkpoint or from weights, whole or not at all.

    Parameters
    ----------
    path : Path
        Written by `model.train.EpochReport.save` or `save_weights`.
    device : str or torch.device, optional
        Default: cuda where there is one, else cpu.

    Raises
    ------
    CheckpointError
        If the file cannot be read, lacks something, or does not fit together.
    """
    path, device = Path(path), pick_device(device)
    state = load_checkpoint(path, device)
    config, classes = read_config(state, path), read_classes(state, path)
    if config.task == "classify":
        raise CheckpointError(
            f"this is a classifier ({config.model}): it tells classes apart and finds no boxes",
            str(path),
            "take a detector, or train one from it with 'evolve train --backbone-weights'",
        )
    network = _read_network(state, config, len(classes), path)
    return LoadedDetector(
        channels_last(network.to(device).eval()),
        classes,
        _read_anchors(state, len(network.geometry.anchors_wh_px), path).to(device),
        config,
        device,
        int(state.get("epoch", 0)),
        str(state.get("data", "")),
    )


def at_size(detector: LoadedDetector, size_px: int) -> LoadedDetector:
    """The same detector for inputs of another size; in pixels its anchors stay as they are.

    Raises
    ------
    ConfigurationError
        If the size is no multiple of the coarsest stride.
    """
    check_size(size_px)
    return replace(
        detector,
        anchors_wh=detector.anchors_wh * (int(detector.config.image_size) / size_px),
        config=detector.config.with_values({"image_size": size_px}),
    )


def _read_anchors(state: dict[str, Any], count: int, path: Path) -> Tensor:
    anchors: Tensor = read_value(state, "anchors_wh", Tensor, path)
    fits = anchors.shape == (count, 2)
    if not (fits and bool(torch.isfinite(anchors).all() and (anchors > 0).all())):
        shape = tuple(anchors.shape)
        raise CheckpointError(
            f"its anchors are not {count} positive sizes (shape {shape})",
            str(path),
            "give another checkpoint",
        )
    return anchors.float()


def _read_network(
    state: dict[str, Any], config: TrainConfig, classes: int, path: Path
) -> Detector:
    with torch.random.fork_rng(devices=[]):  # a fresh network draws random weights
        try:
            network = build_from_config(config, classes)
        except ConfigurationError as error:
            raise CheckpointError(error.what, str(path), error.mend) from error
    read_weights(network, state, config.model, path)
    return network


def detect_images(
    detector: LoadedDetector,
    paths: Sequence[Path],
    score_threshold: float = 0.25,
    batch_size: int = EVAL_BATCH,
) -> list[Found]:
    """Objects in pictures, one `Found` for each path and in their order.

    Parameters
    ----------
    detector : LoadedDetector
    paths : sequence of Path
    score_threshold : float
        Lowest score that is kept, 0 to 1.
    batch_size : int
        Pictures at once.

    Raises
    ------
    DataError
        If a picture cannot be read.
    """
    records = [_record(Path(path), number) for number, path in enumerate(paths)]
    nms = detector.config.nms.model_copy(update={"score_threshold": score_threshold})
    detections = detect_split(
        detector.network,
        detector.loader(records, batch_size),
        detector.anchors_wh,
        detector.config.model_copy(update={"nms": nms}),
        device=detector.device,
        autocast=detector.autocast,
    )
    found = []
    for record, one in zip(records, detections, strict=True):
        order = np.argsort(-one.scores, kind="stable")
        boxes, scores, labels = one.boxes_xyxy_px[order], one.scores[order], one.labels[order]
        found.append(Found(record.path, record.width, record.height, boxes, scores, labels))
    return found


def images_at_once(detector: LoadedDetector) -> int:
    """Pictures in a batch that keep the device busy.

    On a CPU small pictures gain from company (160 px: 1.7 times as fast in float32), and large
    ones do not, as their maps leave the caches.
    """
    if detector.device.type != "cpu":
        return MOST_AT_ONCE
    return min(MOST_AT_ONCE, max(1, CPU_BATCH_PX // int(detector.config.image_size) ** 2))


def evaluate_split(
    detector: LoadedDetector, dataset: Dataset, split: str, batch_size: int = EVAL_BATCH
) -> Evaluation:
    """Score a detector on a split as its training scored it on `val`.

    Raises
    ------
    DataError
        If there is no such split, or the classes are not those of the detector.
    """
    check_measurable("detector", detector.classes, dataset, split)
    records = dataset.splits[split]
    detections = detect_split(
        detector.network,
        detector.loader(records, batch_size),
        detector.anchors_wh,
        detector.config,
        device=detector.device,
        autocast=detector.autocast,
    )
    return evaluate(list(detections), records, dataset.classes)


def load_picture(path: Path) -> Picture:
    """Decode a picture file as upright uint8 RGB, shape (H, W, 3), or raise a DataError."""
    return load_image(_record(Path(path), 0))


def _record(path: Path, number: int) -> ImageRecord:
    """Record of a picture without truths, in its upright size."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"cannot read the image: {error.strerror}",
            str(path),
            "let the file be read, or leave it out",
        ) from None
    width, height = header_size_wh(data) or (1, 1)  # unknown formats are refused by load_image
    record = _sized(path, number, width, height)
    if width != height and b"exif" in data[: 1 << 16].lower():
        load_image(record)  # refuses what should not be decoded
        upright = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert upright is not None
        return _sized(path, number, upright.shape[1], upright.shape[0])
    return record


def _sized(path: Path, number: int, width: int, height: int) -> ImageRecord:
    nothing = np.zeros(0)
    return ImageRecord(
        number, path.name, path, width, height, np.zeros((0, 4), np.float32),
        nothing.astype(np.int64), nothing.astype(bool), nothing.astype(np.float32),
    )  # fmt: skip
