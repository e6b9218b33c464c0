import pytest
import torch
from torch import nn

from model.blocks.rfb import RfbBlock
from model.errors import ConfigurationError


def test_branches_see_1_3_7_and_11_cells():
    block = RfbBlock(4, batch_norm=False)
    x = torch.zeros(1, 4, 15, 15, requires_grad=True)
    centre = block(x)[0, :, 7, 7]
    fields = []
    for value in centre:
        (gradient,) = torch.autograd.grad(value, x, retain_graph=True)
        reached = gradient[0].abs().sum((0, 1)).nonzero().flatten()
        fields.append(int(reached[-1] - reached[0]) + 1)
    assert fields == [1, 3, 7, 11]


@pytest.mark.parametrize(("batch_norm", "extra"), [(False, 9 * 4), (True, 9 * 4 * 2)])
def test_parameters(batch_norm, extra):
    """Nine convolutions to 4 channels, each with a bias or with scale and shift."""
    block = RfbBlock(16, batch_norm=batch_norm)
    weights = 4 * 16 * 4 + (9 + 9 + 9 + 25 + 9) * 4 * 4
    assert sum(p.numel() for p in block.parameters()) == weights + extra


def test_without_bn_it_is_linear():
    block = RfbBlock(8, batch_norm=False).double()
    a, b = torch.randn(2, 1, 8, 4, 6, dtype=torch.float64)
    torch.testing.assert_close(block(a + b) + block(0 * a), block(a) + block(b))


def test_there_is_no_activation_with_bn_either():
    block = RfbBlock(8, batch_norm=True).double().eval()
    a, b = torch.randn(2, 1, 8, 4, 6, dtype=torch.float64)
    torch.testing.assert_close(block(a + b), block(a) + block(b))


def test_norm_of_the_network():
    block = RfbBlock(8, batch_norm=True, norm="cbn")
    assert not any(type(module) is nn.BatchNorm2d for module in block.modules())
    assert block(torch.randn(2, 8, 3, 5)).shape == (2, 8, 3, 5)


def test_channels_must_split_in_four():
    with pytest.raises(ConfigurationError, match="cannot split 10 channels"):
        RfbBlock(10, batch_norm=False)
