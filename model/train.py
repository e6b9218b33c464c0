"""Training, as a generator: one report an epoch, resumable at every one of them."""

import copy
import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from model.anchors import YOLOV3_ANCHORS_WH_PX, YOLOV4_ANCHORS_WH_PX, kmeans_anchors
from model.blocks.batch_aware import batch_aware
from model.build import Detector, build_from_config
from model.checkpoint import load_checkpoint, save_checkpoint
from model.config import TrainConfig
from model.data.cache import ImageCache
from model.data.coco import Dataset
from model.data.loader import EvalLoader, TrainLoader
from model.ema import Ema
from model.errors import CheckpointError, ConfigurationError
from model.evaluate import Evaluation, ImageDetections, evaluate, save_detections
from model.geometry import Geometry
from model.losses import YoloLoss
from model.predict import as_input, channels_last, predict
from model.schedules import lr_multiple
from model.watch import LossWatch

ANCHOR_SAMPLE = 20_000
AUTO_SIZE_PX = (64, 416)
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
        updates, per image); lr; images_per_s; train_time_s, eval_time_s.
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
        save_checkpoint(path, self._training.state_dict(self))

    def save_weights(self, path: Path) -> None:
        """Write what detecting needs: averaged weights, anchors, classes, configuration."""
        save_checkpoint(path, self._training.weights_dict(self))

    def save_detections(self, path: Path) -> None:
        """Write this epoch's detections on val, gzipped JSON."""
        save_detections(path, self._detections, self._training.protocol())


def fit(
    config: TrainConfig,
    dataset: Dataset,
    *,
    cache: ImageCache | None = None,
    device: str | torch.device | None = None,
    resume: Path | None = None,
) -> Iterator[EpochReport]:
    """Train a detector and yield a report after every epoch.

    The generator may be dropped at any yield. Continued from a report's checkpoint it gives
    the same losses, bit for bit on CPU with the same number of threads.

    Parameters
    ----------
    config : TrainConfig
    dataset : Dataset
        Its `train` split is trained on, its `val` split measured on.
    cache : ImageCache, optional
        Decoded images to share with other trainings in this process.
    device : str or torch.device, optional
        Default: cuda where there is one, else cpu.
    resume : Path, optional
        Checkpoint of the same configuration and data.

    Raises
    ------
    Diverged
        At once when the loss is not finite or has exploded.
    CheckpointError
        If `resume` cannot be read or belongs to another configuration.
    """
    training = Training(config, dataset, cache=cache, device=device)
    if resume is not None:
        training.load_state_dict(load_checkpoint(resume, training.device), str(resume))
    while training.epoch < training.config.epochs:
        started = time.perf_counter()
        losses = training.train_epoch()
        trained = time.perf_counter()
        detections = training.detect_val()
        scores = evaluate(detections, dataset.splits["val"], dataset.classes)
        timing = {
            "images_per_s": training.images_per_epoch / (trained - started),
            "train_time_s": trained - started,
            "eval_time_s": time.perf_counter() - trained,
        }
        yield training.report(losses, scores, timing, detections)


def pick_device(device: str | torch.device | None = None) -> torch.device:
    """The device asked for, or cuda where there is one, else cpu."""
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(device)


def gains_from_bf16(device: torch.device) -> bool:
    """Whether bf16 arithmetic is native there: CUDA from Ampere on, or AMX or AVX512-BF16."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    able = torch.cpu.get_capabilities()
    return bool(able.get("amx_bf16") or able.get("avx512_bf16"))


def auto_image_size(dataset: Dataset) -> int:
    """Median long side of the training images to the nearest 32 px, from 64 to 416."""
    long_side = float(np.median([max(r.width, r.height) for r in dataset.splits["train"]]))
    low, high = AUTO_SIZE_PX
    return int(min(high, max(low, round(long_side / 32) * 32)))


def resolve(config: TrainConfig, dataset: Dataset) -> TrainConfig:
    """`config` with `image_size` settled for `dataset`."""
    if config.image_size == "auto":
        return config.with_values({"image_size": auto_image_size(dataset)})
    return config


def dataset_anchors(dataset: Dataset, size_px: int, count: int = 9) -> np.ndarray:
    """Anchors (count, 2) in pixels of a square network input, by k-means on training boxes."""
    sizes = [
        (r.boxes_xyxy_px[:, 2:] - r.boxes_xyxy_px[:, :2])[~r.crowd]
        * (size_px / r.width, size_px / r.height)
        for r in dataset.splits["train"]
    ]
    boxes = np.concatenate(sizes)
    if len(boxes) == 0:
        raise ConfigurationError(
            "the training split has no box to find anchors from", "anchors", "set anchors: auto"
        )
    if len(boxes) > ANCHOR_SAMPLE:
        rng = np.random.default_rng(0)
        boxes = boxes[rng.choice(len(boxes), ANCHOR_SAMPLE, replace=False)]
    return kmeans_anchors(boxes, count)


def class_counts(dataset: Dataset) -> Tensor:
    """Training boxes of each class (K,), int64."""
    labels = [r.labels[~r.crowd] for r in dataset.splits["train"]]
    counted = np.bincount(np.concatenate(labels), minlength=len(dataset.classes))
    return torch.from_numpy(counted)


def choose_anchors(
    config: TrainConfig, geometry: Geometry, dataset: Dataset, size_px: int
) -> np.ndarray:
    """Anchors (A, 2) in pixels of a square network input, as the configuration wants them."""
    own = geometry.anchors_wh_px
    if config.anchors == "optimised":
        return dataset_anchors(dataset, size_px, len(own))
    if config.anchors == "auto":
        return np.array(own, np.float64)
    named = {"yolov3": YOLOV3_ANCHORS_WH_PX, "yolov4": YOLOV4_ANCHORS_WH_PX}[config.anchors]
    if len(named) != len(own):
        raise ConfigurationError(
            f"{config.model} has {len(own)} anchors, those of {config.anchors} are {len(named)}",
            "anchors",
            "set anchors: auto, or optimised",
        )
    return np.array(named, np.float64)


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Convolution weights with decay; norms and biases without, as in darknet."""
    decayed = [m.weight for m in network.modules() if isinstance(m, nn.Conv2d)]
    ids = {id(p) for p in decayed}
    rest = [p for p in network.parameters() if id(p) not in ids]
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": rest, "weight_decay": 0.0},
    ]


class Training:
    """State of one training; `fit` is the way to use it."""

    def __init__(
        self,
        config: TrainConfig,
        dataset: Dataset,
        *,
        cache: ImageCache | None = None,
        device: str | torch.device | None = None,
    ) -> None:
        self.config = config = resolve(config, dataset)
        self.dataset = dataset
        self.device = pick_device(device)
        self.size = int(config.image_size)
        self.autocast = config.precision == "bf16" or (
            config.precision == "auto" and gains_from_bf16(self.device)
        )
        self.epoch = 0
        self.watch = LossWatch(self.device)
        self._build_data(cache or ImageCache(config.data.cache_mb << 20, max_side=self.size * 2))
        self._build_network()

    def _build_data(self, cache: ImageCache) -> None:
        config, size_wh = self.config, (self.size, self.size)
        self.cache = cache
        if config.data.workers == "auto":
            workers = min(8, os.cpu_count() or 1) if self.device.type == "cuda" else 0
        else:
            workers = config.data.workers
        self.train_loader = TrainLoader(
            self.dataset.splits["train"], cache, config, size_wh, workers=workers
        )
        self.val_loader = EvalLoader(
            self.dataset.splits["val"], cache, size_wh, config.data.letter_box, EVAL_BATCH
        )
        self.mini_batches = len(self.train_loader)
        self.mini_batch = config.batch_size // config.subdivisions
        self.images_per_epoch = self.mini_batches * self.mini_batch
        self.updates_per_epoch = math.ceil(self.mini_batches / config.subdivisions)

    def _build_network(self) -> None:
        config = self.config
        torch.manual_seed(config.seed)
        network = build_from_config(config, len(self.dataset.classes))
        if self.device.type == "cuda":
            torch.backends.cudnn.benchmark = True  # shapes do not change within a training
        self.network: Detector = channels_last(network.to(self.device))
        self.optimizer = torch.optim.SGD(
            parameter_groups(self.network, config.optimizer.weight_decay),
            lr=config.optimizer.lr,
            momentum=config.optimizer.momentum,
            fused=True,
        )
        self.informed = tuple(batch_aware(self.network))
        anchors_px = choose_anchors(config, network.geometry, self.dataset, self.size)
        self.anchors_wh = torch.tensor(anchors_px / self.size, dtype=torch.float32).to(self.device)
        self.loss = YoloLoss(
            config.loss,
            network.geometry,
            self.anchors_wh,
            len(self.dataset.classes),
            class_counts=class_counts(self.dataset).to(self.device),
        )
        self.ema = Ema(self.network, config.ema.decay)

    def train_epoch(self) -> dict[str, float]:
        """Train one epoch; mean losses over its updates, and the last learning rate."""
        self.network.train()
        subdivisions = self.config.subdivisions
        for index, batch in enumerate(self.train_loader.epoch(self.epoch)):
            if index % subdivisions == 0:
                self._begin_batch(index // subdivisions)
            images = as_input(batch.images, self.device)
            targets = torch.from_numpy(batch.targets).to(self.device)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
                maps = self.network(images)
            longest = int(np.bincount(batch.targets[:, 0].astype(np.int64), minlength=1).max())
            loss = self.loss(maps, targets, self.config.batch_size, longest=longest)
            where = f"epoch {self.epoch + 1}, step {index + 1} of {self.mini_batches}"
            self.watch.see(loss, where)
            loss.total.backward()
            last = index + 1 == self.mini_batches
            if (index + 1) % subdivisions == 0 or last:
                self._update(index // subdivisions)
        sums = self.watch.close()
        self.epoch += 1
        box, objectness, classes = sums / self.updates_per_epoch
        return {
            "loss": float(sums.sum() / self.updates_per_epoch),
            "loss_box": float(box),
            "loss_obj": float(objectness),
            "loss_cls": float(classes),
            "lr": float(self.optimizer.param_groups[0]["lr"]),
        }

    def _progress(self, update: int) -> float:
        """Fraction of the training that is done after so many updates of this epoch."""
        done = self.epoch * self.updates_per_epoch + update
        return done / (self.config.epochs * self.updates_per_epoch)

    def _begin_batch(self, update: int) -> None:
        for module in self.informed:
            module.begin_batch(self._progress(update))

    def _update(self, update: int) -> None:
        """One optimiser step at the scheduled learning rate, then the moving average."""
        config = self.config
        lr = config.optimizer.lr * lr_multiple(self._progress(update + 1), config.schedule)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        if config.optimizer.clip_norm:
            nn.utils.clip_grad_norm_(self.network.parameters(), config.optimizer.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.ema.update(self.network)

    def detect_val(self) -> tuple[ImageDetections, ...]:
        """Detections on the whole val split, in pixels of the original images."""
        return tuple(
            detect_split(
                self.ema.network,
                self.val_loader,
                self.anchors_wh,
                self.config,
                device=self.device,
                autocast=self.autocast,
            )
        )

    def protocol(self) -> dict[str, Any]:
        """How detections are made: size, letter box, NMS, precision."""
        return {
            "image_size": self.size,
            "letter_box": self.config.data.letter_box,
            "nms": self.config.nms.model_dump(mode="json"),
            "precision": "bf16" if self.autocast else "fp32",
            "data": self.dataset.digest,
            "split": "val",
        }

    def report(
        self,
        losses: dict[str, float],
        scores: Evaluation,
        timing: dict[str, float],
        detections: tuple[ImageDetections, ...],
    ) -> EpochReport:
        """Put an epoch's numbers together."""
        metrics = {**scores.metrics, **losses, **timing}
        return EpochReport(
            self.epoch, self.config.epochs, metrics, scores.class_ap, self, detections
        )

    def weights_dict(self, report: EpochReport) -> dict[str, Any]:
        """All that detecting needs."""
        return {
            "config": self.config.to_dict(),
            "data": self.dataset.digest,
            "classes": list(self.dataset.classes),
            "anchors_wh": self.anchors_wh.cpu(),
            "epoch": self.epoch,
            "metrics": dict(report.metrics),
            "weights": self.ema.network.state_dict(),
        }

    def state_dict(self, report: EpochReport) -> dict[str, Any]:
        """All that continuing needs, and all that detecting needs."""
        return self.weights_dict(report) | {
            "first_loss": self.watch.first,
            "network": self.network.state_dict(),
            "ema_updates": self.ema.updates,
            "optimizer": self.optimizer.state_dict(),
            "torch_rng": torch.get_rng_state(),
            "cuda_rng": [state.cpu() for state in torch.cuda.get_rng_state_all()],
        }

    def load_state_dict(self, state: dict[str, Any], where: str) -> None:
        """Continue from a checkpoint of the same configuration and data."""
        if "network" not in state:
            raise CheckpointError("these are weights alone, not a training to continue", where)
        theirs = TrainConfig.model_validate(state["config"])
        if theirs.digest() != self.config.digest() or state["data"] != self.dataset.digest:
            raise CheckpointError(
                "this checkpoint belongs to another configuration or data set",
                where,
                "resume with the configuration it was made with",
            )
        self.network.load_state_dict(state["network"])
        self.ema.network.load_state_dict(state["weights"])
        self.ema.updates = state["ema_updates"]
        self.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
        self.epoch = state["epoch"]
        self.watch = LossWatch(self.device, state["first_loss"])
        torch.set_rng_state(state["torch_rng"].cpu())
        if self.device.type == "cuda" and state["cuda_rng"]:
            torch.cuda.set_rng_state_all([s.cpu() for s in state["cuda_rng"]])


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
