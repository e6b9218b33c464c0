"""What trainings of any task share: device, precision, updates, and how they are continued."""

import copy
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from model.blocks.batch_aware import batch_aware
from model.build import Classifier, Detector
from model.checkpoint import save_checkpoint
from model.config import TrainConfig
from model.data.batch_plan import MiniBatch, progress_of
from model.data.recipe import Recipe
from model.ema import Ema
from model.errors import CheckpointError, Halted
from model.halt import Halt
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

    def epoch(self, epoch: int, start: int) -> Iterator[Given]:
        """Give those mini-batches, from the one of number `start` on."""

    def use(self, recipe: Recipe) -> None:
        """Take another recipe of the same pictures and plan."""

    def close(self) -> None:
        """Stop whatever works ahead."""


@dataclass(frozen=True)
class Part:
    """What is done of the epoch under way, in earlier processes or in this one.

    Attributes
    ----------
    done : int
        Mini-batches; the last of them closed an update.
    updates : int
    sums : tuple of three float
        Box, objectness and class loss, added up.
    trained_s, waited_s : float
        Seconds spent on it, and those of them spent waiting for mini-batches.
    """

    done: int = 0
    updates: int = 0
    sums: tuple[float, ...] = (0.0, 0.0, 0.0)
    trained_s: float = 0.0
    waited_s: float = 0.0


class BaseTraining(ABC, Generic[Network, AnyBatch, Report]):
    """State of one training, whatever its task.

    A subclass makes its loader and network, calls `_start`, and says what the loss of a
    mini-batch is, and how the network is measured.

    Where the configuration changes after some epochs, loader and network are made anew for what
    holds then and take over the state, just as if the training had been continued in another
    process.

    Parameters
    ----------
    config : TrainConfig
        With its changes.
    classes : sequence of str
    data_digest : str
        Of the data set; a checkpoint is continued on the same one only.
    device : str or torch.device, optional
        Default: cuda where there is one, else cpu.

    Attributes
    ----------
    config : TrainConfig
        What holds in the epoch under way, without changes.
    whole : TrainConfig
        What was given.
    epoch : int
        Finished epochs.
    part : Part
        What is done of the next one.
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
        self.whole = config
        self.config = config.at(0)
        self.classes = classes
        self.data_digest = data_digest
        self.device = pick_device(device)
        self.autocast = wants_bf16(config.precision, self.device)
        self.epoch = 0
        self.part = Part()
        self.watch = LossWatch(self.device)
        self._halt: Halt | None = None

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
    def _rebuild(self) -> None:
        """Make all that depends on settings that may change for those that now hold."""

    def settle(self) -> None:
        """Let the settings of the epoch that is next hold, and keep all that was learned."""
        now = self.whole.at(self.epoch)
        if now != self.config:
            state = self.state_dict({})
            self.config = now
            self._rebuild()
            self._restore(state)

    @abstractmethod
    def train_epoch(self) -> dict[str, float]:
        """Settle, and train one epoch or what is left of it; its losses and last learning rate."""

    @abstractmethod
    def measure(self) -> Callable[[dict[str, float]], Report]:
        """Measure on val; the result makes the epoch's report of all other numbers."""

    def run(self, halt: Halt | None = None) -> Iterator[Report]:
        """Train and yield a report after every epoch."""
        self._halt = halt
        try:
            while self.epoch < self.config.epochs:
                earlier, started = self.part, time.perf_counter()
                losses = self.train_epoch()
                trained = time.perf_counter()
                make_report = self.measure()
                trained_s = earlier.trained_s + trained - started
                timing = {
                    "images_per_s": self.train_loader.positions / trained_s,
                    "train_time_s": trained_s,
                    "eval_time_s": time.perf_counter() - trained,
                    "wait_share": (earlier.waited_s + self.train_loader.waited_s) / trained_s,
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
        """Train what is left of an epoch.

        Returns
        -------
        sums : ndarray, shape (3,)
            Of the parts of the loss, over the whole epoch.
        updates : int
            In the whole epoch.
        """
        self.network.train()
        began = time.perf_counter()
        updates, progress = self.part.updates, 0.0
        steps = len(self.train_loader.plan(self.epoch))
        self._heed(self.part.done, updates, steps, began)
        batches = self.train_loader.epoch(self.epoch, self.part.done)
        for index, batch in enumerate(batches, self.part.done):
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
                self._heed(index + 1, updates, steps, began)
        sums = self.watch.close()
        self.epoch += 1
        self.part = Part()
        return sums, updates

    def _heed(self, done: int, updates: int, steps: int, began: float) -> None:
        """Leave a checkpoint and raise Halted if that is wanted, between two updates."""
        if self._halt is None or not self._halt.wanted():
            return
        if done > self.part.done:
            self.part = Part(
                done,
                updates,
                tuple(self.watch.catch_up().tolist()),
                self.part.trained_s + time.perf_counter() - began,
                self.part.waited_s + self.train_loader.waited_s,
            )
        save_checkpoint(self._halt.path, self.state_dict({}))
        raise Halted(str(self._halt.path), self.epoch, done, steps)

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
            "config": self.whole.to_dict(),
            "data": self.data_digest,
            "classes": list(self.classes),
            "epoch": self.epoch,
            "metrics": dict(metrics),
            "weights": self.ema.network.state_dict(),
        }

    def state_dict(self, metrics: Mapping[str, float]) -> dict[str, Any]:
        """All that continuing needs, and all that using the network needs."""
        part = {"part": asdict(self.part)} if self.part.done else {}
        return (
            self.weights_dict(metrics)
            | part
            | {
                "first_loss": self.watch.first,
                "network": self.network.state_dict(),
                "ema_updates": self.ema.updates,
                "optimizer": self.optimizer.state_dict(),
                "torch_rng": torch.get_rng_state(),
                "cuda_rng": [state.cpu() for state in torch.cuda.get_rng_state_all()],
            }
        )

    def load_state_dict(self, state: dict[str, Any], where: str) -> None:
        """Continue from a checkpoint of the same configuration, so far, and of the same data."""
        self._check_ours(state, where)
        self._restore(state)

    def _restore(self, state: dict[str, Any]) -> None:
        """Take over a state; what the configuration says of the optimiser stays as it says."""
        settings = [(group["momentum"], group["weight_decay"]) for group in self._groups]
        self.network.load_state_dict(state["network"])
        self.ema.network.load_state_dict(state["weights"])
        self.ema.updates = state["ema_updates"]
        self.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
        for group, (momentum, weight_decay) in zip(self._groups, settings, strict=True):
            group |= {"momentum": momentum, "weight_decay": weight_decay}
        self.epoch = state["epoch"]
        self.part = Part(**state.get("part", {}))
        self.watch = LossWatch(self.device, state["first_loss"], self.part.sums)
        torch.set_rng_state(state["torch_rng"].cpu())
        if self.device.type == "cuda" and state["cuda_rng"]:
            torch.cuda.set_rng_state_all([s.cpu() for s in state["cuda_rng"]])

    @property
    def _groups(self) -> list[dict[str, Any]]:
        return self.optimizer.param_groups

    def _check_ours(self, state: dict[str, Any], where: str) -> None:
        """Refuse what is no training, or that of another configuration or data set.

        What changes after what the checkpoint has seen is another matter: it may differ.
        """
        if "network" not in state:
            raise CheckpointError(
                "these are weights alone, not a training to continue",
                where,
                "continue from last.pt",
            )
        theirs = TrainConfig.model_validate(state["config"])
        begun = state["epoch"] + ("part" in state)
        same = theirs.history(begun) == self.whole.history(begun)
        if not same or state["data"] != self.data_digest:
            raise CheckpointError(
                "this checkpoint belongs to another configuration or data set",
                where,
                "resume with the configuration it was made with, or with other changes after it",
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
