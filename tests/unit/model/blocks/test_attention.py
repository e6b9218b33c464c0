import pytest
import torch

from model.blocks.attention import PointwiseAttention, SpatialAttention, SqueezeExcite, attentions


def parameters(module):
    return sum(p.numel() for p in module.parameters())


def silence(module):
    """Let every convolution give its bias, and the biases 0."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()


@pytest.mark.parametrize("name", list(attentions))
def test_weights_of_one_half_where_nothing_is_learned(name):
    module = attentions.get(name)(8).eval()
    silence(module)
    x = torch.randn(2, 8, 3, 5)
    torch.testing.assert_close(module(x), x / 2)


@pytest.mark.parametrize("name", list(attentions))
def test_weights_are_between_nought_and_one(name):
    x = torch.rand(2, 8, 3, 5) + 0.5
    y = attentions.get(name)(8)(x)
    assert y.shape == x.shape
    assert ((y > 0) & (y < x)).all()


def test_pointwise_has_the_published_size():
    added = sum(parameters(PointwiseAttention(channels)) for channels in (256, 512, 1024))
    assert added == 1_379_840  # facts: arXiv:2004.10934's SAM on three outputs


def test_pointwise_by_hand():
    module = PointwiseAttention(1).eval()
    with torch.no_grad():
        module.gate.conv.weight.fill_(2)
        module.gate.norm.bias.fill_(1)
    x = torch.tensor([-1.0, 3.0]).view(1, 1, 1, 2)
    torch.testing.assert_close(module(x), x * (2 * x + 1).sigmoid(), atol=1e-4, rtol=0)


def test_pointwise_keeps_its_input():
    x = torch.randn(2, 4, 3, 3)
    before = x.clone()
    PointwiseAttention(4)(x)
    assert torch.equal(x, before)


def test_pointwise_takes_the_networks_norm():
    assert type(PointwiseAttention(4, norm="frn").gate.norm).__name__ == "FilterResponseNorm"


def test_spatial_weighs_maximum_and_mean():
    module = SpatialAttention(2)
    silence(module)
    with torch.no_grad():  # the cell itself: maximum, and minus the mean
        module.conv.weight[0, :, 3, 3] = torch.tensor([1.0, -1.0])
    x = torch.tensor([[1.0, 5.0], [3.0, -1.0]]).view(1, 2, 1, 2)
    weight = torch.tensor([3.0 - 2.0, 5.0 - 2.0]).sigmoid()
    torch.testing.assert_close(module(x), x * weight)
    assert parameters(module) == 2 * 7 * 7


def test_spatial_sees_three_cells_far():
    module = SpatialAttention(1)
    x = torch.zeros(1, 1, 1, 9)
    x[..., 0] = 1.0
    gradient = torch.autograd.functional.jacobian(lambda x: module(x + 1)[0, 0, 0], x)
    assert (gradient[4, 0, 0, 0] == 0).tolist() == [
        True,
        False,
        False,
        False,
        False,
        False,
        False,
        False,
        True,
    ]


def test_squeeze_excite_weighs_channels():
    module = SqueezeExcite(32)
    assert parameters(module) == 2 * 32 * 2 + 2 + 32
    x = torch.rand(2, 32, 3, 5) + 1
    weight = module(x) / x
    torch.testing.assert_close(weight, weight[..., :1, :1].expand_as(weight))
    pooled = x.mean((2, 3))
    hidden = (pooled @ module.squeeze.weight.flatten(1).T + module.squeeze.bias).relu()
    expected = (hidden @ module.excite.weight.flatten(1).T + module.excite.bias).sigmoid()
    torch.testing.assert_close(weight[..., 0, 0], expected)


def test_squeeze_excite_of_few_channels_keeps_one():
    assert SqueezeExcite(8).squeeze.out_channels == 1
