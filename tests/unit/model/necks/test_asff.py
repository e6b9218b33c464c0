import pytest
import torch
from torch import nn

from model.blocks.conv import ConvBlock
from model.necks.asff import Asff

WIDE = (16, 32, 64)


def maps(channels=WIDE):
    """Non-square maps at strides 8, 16, 32."""
    return tuple(torch.randn(2, c, 16 >> level, 24 >> level) for level, c in enumerate(channels))


def neck(inner=(32, 32, 64), **options):
    return Asff(WIDE, inner, "leaky", "bn", **options)


def kinds(module):
    """What a resizing consists of: kernel and stride of convolutions, and other layers."""
    return [
        (layer.conv.kernel_size[0], layer.conv.stride[0])
        if isinstance(layer, ConvBlock)
        else type(layer).__name__
        for layer in module
    ]


def test_resizing_follows_the_paper():
    levels = neck().levels
    assert [[kinds(resize) for resize in level.resize] for level in levels] == [
        [[(1, 1)], ["Upsample"], [(1, 1), "Upsample"]],
        [[(3, 2)], [], [(1, 1), "Upsample"]],
        [["MaxPool2d", (3, 2)], [(3, 2)], []],
    ]


def test_sizes_and_widths():
    module = neck()
    assert module.channels == (32, 32, 64)
    assert [tuple(y.shape) for y in module(maps())] == [
        (2, 32, 16, 24),
        (2, 32, 8, 12),
        (2, 64, 4, 6),
    ]


@pytest.mark.parametrize("compress", [16, 8])
def test_weights_come_from_compressed_maps(compress):
    for level in neck(compress=compress).levels:
        assert [block.conv.out_channels for block in level.compress] == [compress] * 3
        assert (level.weigh.in_channels, level.weigh.out_channels) == (3 * compress, 3)


def test_weights_add_up_to_one_in_every_cell():
    level = neck().levels[1]
    resized = [resize(x) for resize, x in zip(level.resize, maps(), strict=True)]
    shares = level.shares(resized)
    assert shares.shape == (2, 3, 8, 12)
    torch.testing.assert_close(shares.sum(1), torch.ones(2, 8, 12))
    assert (shares > 0).all()


def test_one_sided_weights_choose_a_map():
    level = neck().levels[1].eval()
    nn.init.zeros_(level.weigh.weight)
    with torch.no_grad():
        level.weigh.bias.copy_(torch.tensor([0.0, 100.0, 0.0]))
    features = maps()
    torch.testing.assert_close(level(features), features[1])


def test_equal_weights_are_the_mean():
    level = neck().levels[0].eval()
    nn.init.zeros_(level.weigh.weight)
    nn.init.zeros_(level.weigh.bias)
    features = maps()
    resized = [resize(x) for resize, x in zip(level.resize, features, strict=True)]
    torch.testing.assert_close(level(features), torch.stack(resized).mean(0))


def test_coarse_cells_are_repeated():
    level = Asff((4, 4, 4), (4, 4, 4), "leaky", "bn").levels[0]
    x = torch.randn(1, 4, 2, 3)
    torch.testing.assert_close(level.resize[2](x)[..., ::4, 3::4], x)


def test_norm_of_the_network():
    module = Asff(WIDE, WIDE, "leaky", "cmbn")
    assert not any(type(layer) is nn.BatchNorm2d for layer in module.modules())
