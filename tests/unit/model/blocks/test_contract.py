"""What every block promises: any extent, bfloat16, copies, and export."""

import copy
from functools import partial

import pytest
import torch
from torch import nn

from model.blocks.activations import activations
from model.blocks.attention import attentions
from model.blocks.batch_aware import batch_aware
from model.blocks.conv import ConvBlock
from model.blocks.drops import build_drop, drops
from model.blocks.norms import norms
from model.blocks.rfb import RfbBlock
from model.blocks.weighted import WeightedSum
from model.necks.asff import Asff

CHANNELS = 8


class Sum(nn.Module):
    """A weighted sum as a residual unit has it."""

    def __init__(self, *args):
        super().__init__()
        self.conv = ConvBlock(CHANNELS, CHANNELS, 1)
        self.add = WeightedSum(2, *args)

    def forward(self, x):
        y = self.conv(x)
        return self.add(y, self.conv(y))


class Pyramid(nn.Module):
    """Three maps from one, fused."""

    def __init__(self, norm):
        super().__init__()
        self.convs = nn.ModuleList(
            ConvBlock(CHANNELS, CHANNELS, 3, s, norm=norm) for s in (1, 2, 2)
        )
        self.fuse = Asff((CHANNELS,) * 3, (CHANNELS, 16, 16), "leaky", norm)

    def forward(self, x):
        maps = []
        for conv in self.convs:
            x = conv(x)
            maps.append(x)
        return self.fuse(tuple(maps))


def behind(layer):
    """A layer behind a convolution, as in a network."""
    return nn.Sequential(ConvBlock(CHANNELS, CHANNELS, 3), layer)


def by_name(kind, names, build):
    """A constructor for every name."""
    return {f"{kind}-{name}": partial(build, name) for name in names}


BLOCKS = {
    **by_name("act", activations, lambda name: ConvBlock(CHANNELS, CHANNELS, 1, 1, name)),
    **by_name("norm", norms, lambda name: ConvBlock(CHANNELS, CHANNELS, 3, 2, norm=name)),
    **by_name("drop", drops, lambda name: behind(build_drop(name, 0.2, 0.5, 0.5))),
    **by_name("attention", attentions, lambda name: behind(attentions.get(name)(CHANNELS))),
    "rfb": lambda: RfbBlock(CHANNELS, batch_norm=False),
    "rfbn": lambda: RfbBlock(CHANNELS, batch_norm=True, norm="cbn"),
    "sum-relu": lambda: Sum("relu"),
    "sum-softmax": lambda: Sum("softmax", CHANNELS),
    "asff": lambda: Pyramid("bn"),
    "asff-cbn": lambda: Pyramid("cbn"),
}


def outputs(block, x):
    y = block(x)
    return y if isinstance(y, tuple) else (y,)


def train(block, updates=2):
    """A few updates under autocast, and the gradients' finiteness."""
    for _ in range(updates):
        for module in batch_aware(block):
            module.begin_batch(0.9)
        with torch.autocast("cpu", torch.bfloat16):
            ys = outputs(block, torch.randn(2, CHANNELS, 8, 12))
        assert all(y.dtype == torch.bfloat16 for y in ys)
        sum(y.float().square().sum() for y in ys).backward()
    for parameter in block.parameters():
        assert parameter.grad.isfinite().all()
        assert parameter.grad.dtype == torch.float32


@pytest.mark.parametrize("name", list(BLOCKS))
def test_trains_under_autocast_and_copies(name):
    block = BLOCKS[name]()
    train(block)
    twin = copy.deepcopy(block)
    x = torch.randn(2, CHANNELS, 8, 4)
    for y, expected in zip(outputs(twin.eval(), x), outputs(block.eval(), x), strict=True):
        assert torch.equal(y, expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(BLOCKS))
def test_exports(name):
    block, x = BLOCKS[name]().eval(), torch.randn(1, CHANNELS, 8, 12)
    program = torch.export.export(block, (x,))
    for y, expected in zip(outputs(program.module(), x), outputs(block, x), strict=True):
        torch.testing.assert_close(y, expected)
