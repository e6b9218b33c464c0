"""Watching the loss without making a GPU wait for the watcher."""

import math
from collections import deque
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.errors import Diverged
from model.losses import Loss

EXPLODED = 20.0  # a loss this many times the first one is beyond repair
LAG = 1  # steps that a GPU may be ahead of the watcher
MEND = "lower optimizer.lr or loss.iou_normalizer, or lengthen schedule.warmup"


class LossWatch:
    """Sums the three parts of the loss and raises when they are beyond repair.

    On a CPU every step is looked at when it is made. Elsewhere its numbers are copied in the
    background and looked at one step later, so that the next step is already under way.

    Parameters
    ----------
    device : torch.device
        Where the losses are made.
    first : float, optional
        The first loss of the training, if it was seen before.
    sums : sequence of three float
        Of the parts of the losses seen before in this epoch.
    """

    def __init__(
        self,
        device: torch.device,
        first: float | None = None,
        sums: Sequence[float] = (0.0, 0.0, 0.0),
    ) -> None:
        self.first = first
        self.sums: NDArray[np.float64] = np.array(sums, np.float64)
        self._lag = 0 if device.type == "cpu" else LAG
        self._waiting: deque[tuple[Tensor, torch.cuda.Event | None, str]] = deque()

    def see(self, loss: Loss, where: str) -> None:
        """Take the loss of a step; `where` names the step for an error."""
        parts = torch.stack((loss.box, loss.objectness, loss.classes)).detach()
        event = None
        if parts.is_cuda:
            parts = parts.to("cpu", non_blocking=True)
            event = torch.cuda.Event()
            event.record()
        self._waiting.append((parts, event, where))
        while len(self._waiting) > self._lag:
            self._judge()

    def catch_up(self) -> NDArray[np.float64]:
        """Sums (3,) of box, objectness and class loss since the last `close`, of all steps."""
        while self._waiting:
            self._judge()
        return self.sums

    def close(self) -> NDArray[np.float64]:
        """Give those sums and begin anew."""
        sums, self.sums = self.catch_up(), np.zeros(3)
        return sums

    def _judge(self) -> None:
        """Add up the oldest step that waits, or raise Diverged."""
        parts, event, where = self._waiting.popleft()
        if event is not None:
            event.synchronize()
        values = parts.double().numpy()
        total = float(values.sum())
        if not math.isfinite(total):
            names = ("box", "objectness", "class")
            bad = [n for n, v in zip(names, values, strict=True) if not math.isfinite(v)]
            raise Diverged(f"the {' and '.join(bad)} loss is not finite", where, MEND)
        if self.first is None:
            self.first = total
        if total > EXPLODED * self.first:
            raise Diverged(
                f"the loss exploded to {total:.4g}, from {self.first:.4g} at the start",
                where,
                MEND,
            )
        self.sums += values
