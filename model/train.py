"""Training, as a generator: one report an epoch, resumable at every one of them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.adversarial import attack, sat_turns
from model.build import Detector, build_from_config
from model.checkpoint import load_checkpoint, save_checkpoint
from model.config import TrainConfig
from model.data.batch import Batch
from model.data.batch_plan import largest_size
from model.data.cache import ImageCache, Pictures
from model.data.coco import Dataset, ImageRecord
from model.data.eval_loader import EvalLoader
from model.data.recipe import DetectionRecipe
from model.device_loader import DeviceBatch
from model.device_pictures import held_sizes
from model.distill import Teacher, load_teacher
from model.evaluate import ImageDetections, evaluate, save_detections
from model.feeding import build_loader
from model.from_data import auto_image_size, choose_anchors, class_counts
from model.halt import Halt
from model.losses import Loss, YoloLoss
from model.predict import as_input, predict
from model.tasks import check_task
from model.trained import check_measurable
from model.training import BaseTraining
from model.transfer import settled_files

EVAL_BATCH = 32


@dataclass(frozen=True)
class EpochReport:
    """What one epoch gave. `save` works until the generator is advanced.

    Attributes
    ----------
    epoch, epochs : int
        Finished epochs (from 1) and those planned.
    metrics : dict of str -> float
        COCO's twelve numbers on val in [0, 1]; loss, loss_box, loss_obj, loss_cls (means over
        updates, per image); lr; images_per_s; train_time_s, eval_time_s; wait_share, the part
        of the training time that was spent waiting for data.
    class_ap : dict of str -> float
    """

    epoch: int
    epochs: int
    metrics: dict[str, float]
    class_ap: dict[str, float]
    _training: "Training"
    _detections: tuple[ImageDetections, ...]

    def save(self, path: Path) -> None:
        """Write a checkpoint from which `fit` continues as if it had not stopped."""
        save_checkpoint(path, self._training.state_dict(self.metrics))

    def save_weights(self, path: Path) -> None:
        """Write what detecting needs: averaged weights, anchors, classes, configuration."""
        save_checkpoint(path, self._training.weights_dict(self.metrics))

    def save_detections(self, path: Path) -> None:
        """Write this epoch's detections on val, gzipped JSON."""
        save_detections(path, self._detections, self._training.protocol("val"))

    def measure_on(self, split: str, detections: Path) -> dict[str, float]:
        """COCO's numbers of the same weights on another split; its detections are written.

        Raises
        ------
        DataError
            If there is no such split.
        """
        return self._training.measure_on(split, detections)


def fit(
    config: TrainConfig,
    dataset: Dataset,
    *,
    cache: Pictures | None = None,
    device: str | torch.device | None = None,
    resume: Path | None = None,
    halt: Halt | None = None,
) -> Iterator[EpochReport]:
    """Train a detector and yield a report after every epoch.

    The generator may be dropped at any yield. Continued from a report's checkpoint, or from that
    of a halt within an epoch, it gives the same losses, bit for bit on CPU with the same number
    of threads.

    Parameters
    ----------
    config : TrainConfig
        Its changes are made at their time, as if the training had been stopped there and
        continued with the changed configuration.
    dataset : Dataset
        Its `train` split is trained on, its `val` split measured on.
    cache : Pictures, optional
        Decoded images to share with other trainings in this process.
    device : str or torch.device, optional
        Default: cuda where there is one, else cpu.
    resume : Path, optional
        Checkpoint of the same data and configuration; only changes after it may be others.
    halt : Halt, optional
        Asked within epochs whether to stop.

    Raises
    ------
    Diverged
        At once when the loss is not finite or has exploded.
    Halted
        When `halt` wants it; its checkpoint is written.
    CheckpointError
        If `resume` cannot be read or belongs to another configuration.
    """
    yield from Training(config, dataset, cache=cache, device=device, resume=resume).run(halt)


def resolve(config: TrainConfig, dataset: Dataset) -> TrainConfig:
    """`config` with `image_size` settled for `dataset`, and paths and digests of files.

    Raises
    ------
    ConfigurationError
        If the configuration is not for a detector, or names a file that is not there.
    """
    check_task(config, "detect")
    settled: dict[str, Any] = dict(settled_files(config))
    if config.image_size == "auto":
        settled["image_size"] = auto_image_size(dataset)
    return config.with_values(settled) if settled else config


class Training(BaseTraining[Detector, Batch | DeviceBatch, EpochReport]):
    """State of one training of a detector; `fit` is the way to use it.

    Parameters
    ----------
    resume : Path, optional
        Checkpoint to continue; weights to start from are not read then.
    """

    def __init__(
        self,
        config: TrainConfig,
        dataset: Dataset,
        *,
        cache: Pictures | None = None,
        device: str | torch.device | None = None,
        resume: Path | None = None,
    ) -> None:
        config = resolve(config, dataset)
        super().__init__(config, dataset.classes, dataset.digest, device)
        self.dataset = dataset
        self.size = int(config.image_size)
        self._build_data(cache)
        self._build_network(fresh=resume is None)
        self._choose_anchors()
        self._build_loss()
        self.teacher: Teacher | None = None
        if config.distill.teacher:
            self.teacher = load_teacher(config.distill, self.classes, self.device)
        if resume is not None:
            self.load_state_dict(load_checkpoint(resume, self.device), str(resume))

    def _build_data(self, cache: Pictures | None) -> None:
        train, val = self.dataset.splits["train"], self.dataset.splits["val"]
        max_side = self._max_side = 2 * largest_size(self.config, self.size)
        self.train_loader, self._cache = build_loader(
            self.config,
            self.device,
            self._recipe,
            held_sizes([(record.width, record.height) for record in train], max_side),
            records=(*train, *val),
            max_side=max_side,
            cache=cache,
        )
        self.val_loader = self._eval_loader(val, self._cache)

    def _recipe(self, pictures: Pictures) -> DetectionRecipe:
        train, size_wh = self.dataset.splits["train"], (self.size, self.size)
        return DetectionRecipe(train, pictures, self.config, size_wh)

    def _eval_loader(self, records: Sequence[ImageRecord], cache: Pictures) -> EvalLoader:
        size_wh, letter_box = (self.size, self.size), self.config.data.letter_box
        return EvalLoader(records, cache, size_wh, letter_box, EVAL_BATCH)

    def _build_network(self, *, fresh: bool) -> None:
        """Network and optimiser."""
        torch.manual_seed(self.config.seed)
        self._start(build_from_config(self.config, len(self.classes)), fresh=fresh)

    def _choose_anchors(self) -> None:
        geometry = self.network.geometry
        self.anchors_wh_px = choose_anchors(self.config, geometry, self.dataset, self.size)
        self._anchors: dict[int, Tensor] = {}
        self.anchors_wh = self._anchors_at(self.size)

    def _build_loss(self) -> None:
        self.loss = YoloLoss(
            self.config.loss,
            self.network.geometry,
            self.anchors_wh,
            len(self.classes),
            class_counts=class_counts(self.dataset).to(self.device),
        )

    def _rebuild(self) -> None:
        """As promised; pictures, anchors and the teacher's weights stay where they are."""
        self.train_loader.use(self._recipe(self._cache))
        self._build_network(fresh=False)
        self._build_loss()
        if self.teacher is not None:
            asked = self.config.distill
            self.teacher = replace(self.teacher, weight=asked.weight, iou=asked.iou)

    def _anchors_at(self, size_px: int) -> Tensor:
        """Anchors (A, 2) relative to an input of that size; in pixels they stay as they are."""
        if size_px not in self._anchors:
            relative = torch.tensor(self.anchors_wh_px / size_px, dtype=torch.float32)
            self._anchors[size_px] = relative.to(self.device)
        return self._anchors[size_px]

    def train_epoch(self) -> dict[str, float]:
        """Train one epoch; mean losses over its updates, and the last learning rate."""
        self.settle()
        self._attacks = self._draw_attacks()
        sums, updates = self._train_epoch()
        box, objectness, classes = sums / updates
        return {
            "loss": float(sums.sum() / updates),
            "loss_box": float(box),
            "loss_obj": float(objectness),
            "loss_cls": float(classes),
            "lr": float(self.optimizer.param_groups[0]["lr"]),
        }

    def _draw_attacks(self) -> NDArray[np.bool_]:
        """Which mini-batches of this epoch are attacked, once the warm-up is over."""
        config, count = self.config, len(self.train_loader.plan(self.epoch))
        if config.sat.kind == "none":
            return np.zeros(count, np.bool_)
        return sat_turns(config.seed, self.epoch, count, config.sat.probability)

    def _loss_of(self, batch: Batch | DeviceBatch, index: int, progress: float) -> Loss:
        """As promised; the teacher sees the images before they are attacked."""
        self.loss.anchors_wh = self._anchors_at(batch.step.size_px)
        images = as_input(batch.images, self.device)
        targets = torch.from_numpy(batch.targets).to(self.device)
        refined = None
        if self.teacher is not None:
            refined = self.teacher.refine(images, targets, self.autocast)
        if self._attacks[index] and progress > self.config.schedule.warmup:
            images = attack(
                self.network, images, targets, self.loss, self.config.sat, progress,
                autocast=self.autocast,
            )  # fmt: skip
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
            maps = self.network(images)
        longest = int(np.bincount(batch.targets[:, 0].astype(np.int64), minlength=1).max())
        return self.loss(maps, targets, batch.step.batch_images, longest=longest, refined=refined)

    def detect(self, loader: EvalLoader) -> tuple[ImageDetections, ...]:
        """Detections on all pictures of a loader, in pixels of the original images."""
        return tuple(
            detect_split(
                self.ema.network,
                loader,
                self.anchors_wh,
                self.config,
                device=self.device,
                autocast=self.autocast,
            )
        )

    def protocol(self, split: str) -> dict[str, Any]:
        """How detections are made: size, letter box, NMS, precision."""
        return {
            "image_size": self.size,
            "letter_box": self.config.data.letter_box,
            "nms": self.config.nms.model_dump(mode="json"),
            "precision": "bf16" if self.autocast else "fp32",
            "data": self.dataset.digest,
            "split": split,
        }

    def measure(self) -> Callable[[dict[str, float]], EpochReport]:
        """COCO's numbers on val."""
        detections = self.detect(self.val_loader)
        scores = evaluate(detections, self.dataset.splits["val"], self.classes)
        return lambda numbers: EpochReport(
            self.epoch,
            self.config.epochs,
            scores.metrics | numbers,
            scores.class_ap,
            self,
            detections,
        )

    def measure_on(self, split: str, path: Path) -> dict[str, float]:
        """COCO's numbers on a split, each picture of which is read once; writes its detections."""
        check_measurable("detector", self.classes, self.dataset, split)
        records = self.dataset.splits[split]
        detections = self.detect(self._eval_loader(records, ImageCache(0, self._max_side)))
        save_detections(path, detections, self.protocol(split))
        return evaluate(detections, records, self.classes).metrics

    def weights_dict(self, metrics: Mapping[str, float]) -> dict[str, Any]:
        """All that detecting needs."""
        return super().weights_dict(metrics) | {"anchors_wh": self.anchors_wh.cpu()}


def detect_split(
    network: Detector,
    loader: EvalLoader,
    anchors_wh: Tensor,
    config: TrainConfig,
    *,
    device: torch.device,
    autocast: bool,
) -> Iterator[ImageDetections]:
    """Detections of every image of a loader, in pixels of the original images."""
    for batch in loader:
        found = predict(
            network,
            as_input(batch.images, device),
            anchors_wh,
            config.nms,
            autocast=autocast,
        )
        for index, (record, one) in enumerate(zip(batch.records, found, strict=True)):
            boxes = batch.boxes_to_px(index, one.boxes_xyxy.float().cpu().numpy())
            yield ImageDetections(
                record.image_id,
                boxes,
                one.scores.float().cpu().numpy(),
                one.labels.cpu().numpy(),
            )
