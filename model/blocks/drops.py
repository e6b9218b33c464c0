"""Random removal while training; all draw from torch's global generator and rest in evaluation.

DropBlock in the paper's form (arXiv:1810.12890) and in darknet's, and stochastic depth.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (the name everybody uses)

from model.blocks.batch_aware import BatchAware
from model.registry import Registry

# constructors take the probability, the side of a block as a fraction of the map's, and the
# fraction of the training over which the removal grows to its full extent
drops: Registry[Callable[[float, float, float], nn.Module]] = Registry("drop")


def build_drop(kind: str, probability: float, block: float, ramp: float) -> nn.Module:
    """A module that removes at random, by name.

    Parameters
    ----------
    kind : str
        A name in `drops`; all but DropBlock take only the probability.
    probability : float, in [0, 1)
        Share that is dropped.
    block : float, in (0, 1]
        Side of a block, as a fraction of the map's shorter side.
    ramp : float, in [0, 1]
        Fraction of the training over which DropBlock grows to its full extent.
    """
    return drops.get(kind)(probability, block, ramp)


@drops.register("none")
def _nothing(_probability: float, _block: float, _ramp: float) -> nn.Module:
    return nn.Identity()


@drops.register("dropout")
def _dropout(probability: float, _block: float, _ramp: float) -> nn.Module:
    return nn.Dropout(probability)


@drops.register("spatial")
def _spatial(probability: float, _block: float, _ramp: float) -> nn.Module:
    """Whole channels (arXiv:1411.4280)."""
    return nn.Dropout2d(probability)


@drops.register("path")
def _path(probability: float, _block: float, _ramp: float) -> nn.Module:
    return DropPath(probability)


class DropPath(nn.Module):
    """Stochastic depth (arXiv:1603.09382): a residual branch is zero for some images.

    What stays is divided by the share that stays, so that evaluation needs no factor.

    Parameters
    ----------
    probability : float, in [0, 1)
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape and type."""
        if not self.training or self.probability == 0:
            return x
        keep = 1 - self.probability
        drawn = torch.rand(len(x), 1, 1, 1, device=x.device)
        return x * ((drawn < keep) / keep).to(x.dtype)


class _Blocks(BatchAware):
    """What both forms of DropBlock share.

    Parameters
    ----------
    probability, block, ramp : float
        See `build_drop`.
    """

    def __init__(self, probability: float, block: float, ramp: float) -> None:
        super().__init__()
        self.probability = probability
        self.block = block
        self.ramp = ramp
        self.extent = 1.0

    def begin_batch(self, progress: float) -> None:
        """Grow linearly to the full extent, which is reached after `ramp`."""
        self.extent = min(1.0, progress / self.ramp) if self.ramp else 1.0

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape and type."""
        probability = self.probability * self.extent
        if not self.training or probability == 0:
            return x
        return x * self.factors(x, probability).to(x.dtype)

    def factors(self, x: Tensor, probability: float) -> Tensor:
        """What each value is multiplied by; shape and device of `x`, float32."""
        raise NotImplementedError


@drops.register("dropblock")
class DropBlock(_Blocks):
    """DropBlock of the paper (arXiv:1810.12890, alg. 1): independent seeds, union of blocks.

    Seeds lie where the whole block fits. Their probability lets `probability` of the map be
    dropped if blocks did not overlap. The rest is multiplied by count / count of ones, over the
    whole batch. The probability grows over the training, the block does not.
    """

    def factors(self, x: Tensor, probability: float) -> Tensor:
        """One draw of zeros and, elsewhere, the batch's factor."""
        batch, channels, height, width = x.shape
        side = block_side(self.block, height, width)
        inside = (height - side + 1, width - side + 1)
        gamma = probability / side**2 * (height * width) / (inside[0] * inside[1])
        seeds = torch.rand(batch, channels, *inside, device=x.device) < gamma
        dropped = F.max_pool2d(F.pad(seeds.float(), [side - 1] * 4), side, stride=1)
        kept = 1 - dropped
        return kept * (kept.numel() / kept.sum().clamp(min=1))


@drops.register("dropblock-darknet")
class DarknetDropBlock(_Blocks):
    """DropBlock as darknet has it: at most one block per channel and image.

    Every cell is a seed with ``probability / side^2``; of several, the one with the smallest
    random number counts. It is the block's top left corner, moved so that the block lies
    inside. What stays of an image is multiplied by total / (total - dropped) over all its
    channels. Probability and side grow over the training.
    """

    def factors(self, x: Tensor, probability: float) -> Tensor:
        """One draw of zeros and, elsewhere, the image's factor."""
        batch, channels, height, width = x.shape
        side = block_side(self.block * self.extent, height, width)
        drawn = torch.rand(batch, channels, height * width, device=x.device)
        lowest, cell = drawn.min(dim=2)
        seeded = lowest < probability / side**2
        rows = _spans(cell // width, side, height)
        columns = _spans(cell % width, side, width)
        dropped = (seeded[..., None] & rows)[..., :, None] & columns[..., None, :]
        total = channels * height * width
        left = (total - dropped.sum((1, 2, 3), keepdim=True)).clamp(min=1)
        return ~dropped * (total / left)


def block_side(fraction: float, height: int, width: int) -> int:
    """Side in cells of a square that is `fraction` of the shorter side, at least 1."""
    return max(1, int(fraction * min(height, width)))


def _spans(start: Tensor, side: int, length: int) -> Tensor:
    """Which cells of a line lie in spans that `start` there, or as late as they fit.

    Parameters
    ----------
    start : Tensor, shape (B, C), int64

    Returns
    -------
    Tensor, shape (B, C, length), bool
    """
    first = start.clamp(max=length - side)[..., None]
    cells = torch.arange(length, device=start.device)
    return (cells >= first) & (cells < first + side)
