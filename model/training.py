"""What trainings of any task share: device, precision, updates, and how they are continued."""

import copy
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from model.blocks.batch_aware import batch_aware
from model.build import Classifier, Detector
from model.config import TrainConfig
from model.data.batch_plan import MiniBatch, progress_of
from model.ema import Ema
from model.errors import CheckpointError
from model.losses import Loss
from model.predict import channels_last
from model.schedules import lr_multiple
from model.transfer import load_backbone
from model.watch import LossWatch


class Planned(Protocol):
    """A mini-batch that knows its place in the plan of its epoch."""

    @property
    def step(self) -> MiniBatch:
        """Where it is."""


Network = TypeVar("Network", Detector, Classifier)
AnyBatch = TypeVar("AnyBatch", bound=Planned)
Given = TypeVar("Given", bound=Planned, covariant=True)
Report = TypeVar("Report")


class Loader(Protocol[Given]):
    """Mini-batches to train on.

    Attributes
    ----------
    positions : int
        Images of an epoch.
    """

    positions: int

    @property
    def waited_s(self) -> float:
        """Seconds that the running epoch, or the last one, has waited for mini-batches."""

    def plan(self, epoch: int) -> tuple[MiniBatch, ...]:
        """Mini-batches of an epoch, in order."""

    def epoch(self, epoch: int) -> Iterator[Given]:
        """Give those mini-batches."""

    def close(self) -> None:
        """Stop whatever works ahead."""


class BaseTraining(ABC, Generic[Network, AnyBatch, Report]):
    """State of one training, whatever its task.

    A subclass makes its loader and network, calls `_start`, and says what the loss of a
    mini-batch is, and how the network is measured.

    Parameters
    ----------
    config : TrainConfig
    classes : sequence of str
    data_digest : str
        Of the data set; a checkpoint is continued on the same one only.
    device : str or torch.device, optional
        Default: cuda where there is one, else cpu.

    Attributes
    ----------
    epoch : int
        Finished epochs.
    autocast : bool
        Whether the network computes in bf16.
    """

    train_loader: Loader[AnyBatch]
    network: Network
    ema: Ema[Network]
    optimizer: torch.optim.SGD

    def __init__(
        self,
        config: TrainConfig,
        classes: tuple[str, ...],
        data_digest: str,
        device: str | torch.device | None = None,
    ) -> None:
        self.config = config
        self.classes = classes
        self.data_digest = data_digest
        self.device = pick_device(device)
        self.autocast = wants_bf16(config.precision, self.device)
        self.epoch = 0
        self.watch = LossWatch(self.device)

    def _start(self, network: Network, *, fresh: bool = True) -> None:
        """Take a new network; make its optimiser and moving average.

        The weights that the configuration names are read if the start is `fresh`, and not to be
        continued.
        """
        config = self.config
        if fresh and config.backbone.weights:
            load_backbone(
                network, Path(config.backbone.weights), sha256=config.backbone.weights_sha256
            )
        if self.device.type == "cuda":  # to search is worth it for shapes that come again
            torch.backends.cudnn.benchmark = config.shapes.range == 1
        self.network = channels_last(network.to(self.device))
        self.optimizer = torch.optim.SGD(
            parameter_groups(self.network, config.optimizer.weight_decay),
            lr=config.optimizer.lr,
            momentum=config.optimizer.momentum,
            fused=True,
        )
        self.informed = tuple(batch_aware(self.network))
        self.ema = Ema(self.network, config.ema.decay)

    @abstractmethod
    def train_epoch(self) -> dict[str, float]:
        """Train one epoch; its losses and the last learning rate."""

    @abstractmethod
    def measure(self) -> Callable[[dict[str, float]], Report]:
        """Measure on val; the result makes the epoch's report of all other numbers."""

    def run(self) -> Iterator[Report]:
        """Train and yield a report after every epoch."""
        try:
            while self.epoch < self.config.epochs:
                started = time.perf_counter()
                losses = self.train_epoch()
                trained = time.perf_counter()
                make_report = self.measure()
                timing = {
                    "images_per_s": self.train_loader.positions / (trained - started),
                    "train_time_s": trained - started,
                    "eval_time_s": time.perf_counter() - trained,
                    "wait_share": self.train_loader.waited_s / (trained - started),
                }
                yield make_report(losses | timing)
        finally:
            self.train_loader.close()

    @abstractmethod
    def _loss_of(self, batch: AnyBatch, index: int, progress: float) -> Loss:
        """Loss of one mini-batch, divided by the images of its whole batch.

        Parameters
        ----------
        batch : mini-batch of the loader
        index : int
            Its number within the epoch, from 0.
        progress : float
            Fraction of the training that was done when its batch began.
        """

    def _train_epoch(self) -> tuple[NDArray[np.float64], int]:
        """Train one epoch; sums of the three parts of the loss, and how many updates it had."""
        self.network.train()
        updates, progress = 0, 0.0
        steps = len(self.train_loader.plan(self.epoch))
        for index, batch in enumerate(self.train_loader.epoch(self.epoch)):
            step = batch.step
            if step.first:
                progress = self.progress(step.start)
                self._begin_batch(progress)
            loss = self._loss_of(batch, index, progress)
            self.watch.see(loss, f"epoch {self.epoch + 1}, step {index + 1} of {steps}")
            loss.total.backward()
            if step.last:
                self._update(step.start + step.count)
                updates += 1
        sums = self.watch.close()
        self.epoch += 1
        return sums, updates

    def progress(self, done: int) -> float:
        """Fraction of the training that is done after so many images of this epoch."""
        return progress_of(self.config, self.train_loader.positions, self.epoch, done)

    def _begin_batch(self, progress: float) -> None:
        for module in self.informed:
            module.begin_batch(progress)

    def _update(self, done: int) -> None:
        """One optimiser step at the scheduled learning rate, then the moving average."""
        config = self.config
        lr = config.optimizer.lr * lr_multiple(self.progress(done), config.schedule)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        if config.optimizer.clip_norm:
            nn.utils.clip_grad_norm_(self.network.parameters(), config.optimizer.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.ema.update(self.network)

    def weights_dict(self, metrics: Mapping[str, float]) -> dict[str, Any]:
        """All that using the network needs."""
        return {
            "config": self.config.to_dict(),
            "data": self.data_digest,
            "classes": list(self.classes),
            "epoch": self.epoch,
            "metrics": dict(metrics),
            "weights": self.ema.network.state_dict(),
        }

    def state_dict(self, metrics: Mapping[str, float]) -> dict[str, Any]:
        """All that continuing needs, and all that using the network needs."""
        return self.weights_dict(metrics) | {
            "first_loss": self.watch.first,
            "network": self.network.state_dict(),
            "ema_updates": self.ema.updates,
            "optimizer": self.optimizer.state_dict(),
            "torch_rng": torch.get_rng_state(),
            "cuda_rng": [state.cpu() for state in torch.cuda.get_rng_state_all()],
        }

    def load_state_dict(self, state: dict[str, Any], where: str) -> None:
        """Continue from a checkpoint of the same configuration and data."""
        self._check_ours(state, where)
        self.network.load_state_dict(state["network"])
        self.ema.network.load_state_dict(state["weights"])
        self.ema.updates = state["ema_updates"]
        self.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
        self.epoch = state["epoch"]
        self.watch = LossWatch(self.device, state["first_loss"])
        torch.set_rng_state(state["torch_rng"].cpu())
        if self.device.type == "cuda" and state["cuda_rng"]:
            torch.cuda.set_rng_state_all([s.cpu() for s in state["cuda_rng"]])

    def _check_ours(self, state: dict[str, Any], where: str) -> None:
        """Refuse what is no training, or that of another configuration or data set."""
        if "network" not in state:
            raise CheckpointError("these are weights alone, not a training to continue", where)
        theirs = TrainConfig.model_validate(state["config"])
        if theirs.digest() != self.config.digest() or state["data"] != self.data_digest:
            raise CheckpointError(
                "this checkpoint belongs to another configuration or data set",
                where,
                "resume with the configuration it was made with",
            )


def pick_device(device: str | torch.device | None = None) -> torch.device:
    """The device asked for, or cuda where there is one, else cpu."""
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(device)


def wants_bf16(precision: str, device: torch.device) -> bool:
    """Whether to compute in bf16: when asked for, or with "auto" where it is faster."""
    return precision == "bf16" or (precision == "auto" and gains_from_bf16(device))


def gains_from_bf16(device: torch.device) -> bool:
    """Whether bf16 arithmetic is native there: CUDA from Ampere on, or AMX or AVX512-BF16."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    able = torch.cpu.get_capabilities()
    return bool(able.get("amx_bf16") or able.get("avx512_bf16"))


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Convolution weights with decay; norms and biases without, as in darknet."""
    decayed = [m.weight for m in network.modules() if isinstance(m, nn.Conv2d)]
    ids = {id(p) for p in decayed}
    rest = [p for p in network.parameters() if id(p) not in ids]
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": rest, "weight_decay": 0.0},
    ]
