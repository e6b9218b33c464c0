import pytest
import torch

from model.blocks.weighted import WeightedSum
from model.errors import ConfigurationError


@pytest.mark.parametrize("channels", [None, 3])
@pytest.mark.parametrize("normalisation", ["relu", "softmax"])
def test_equal_weights_are_the_mean(normalisation, channels):
    maps = torch.randn(4, 2, 3, 4, 5)
    y = WeightedSum(4, normalisation, channels)(*maps)
    torch.testing.assert_close(y, maps.sum(0) / 4.0001)


@pytest.mark.parametrize(
    ("normalisation", "shares"),
    [
        ("relu", [2 / 3.0001, 0.0, 1 / 3.0001]),
        # e^0 + e^-3 + e^-1 + 1e-4 = 1.4177666
        ("softmax", [1 / 1.4177666, 0.0497871 / 1.4177666, 0.3678794 / 1.4177666]),
    ],
)
def test_by_hand(normalisation, shares):
    module = WeightedSum(3, normalisation)
    with torch.no_grad():
        module.weights.copy_(torch.tensor([2.0, -1.0, 1.0]))
    torch.testing.assert_close(module.shares(), torch.tensor(shares))
    y = module(*torch.tensor([1.0, 10.0, 100.0]).view(3, 1, 1, 1, 1)).item()
    assert y == pytest.approx(shares[0] + 10 * shares[1] + 100 * shares[2])


def test_large_weights_do_not_overflow():
    module = WeightedSum(2, "softmax")
    with torch.no_grad():
        module.weights.copy_(torch.tensor([1000.0, 900.0]))
    torch.testing.assert_close(module.shares(), torch.tensor([1 / 1.0001, 0.0]))


def test_every_channel_has_its_own():
    module = WeightedSum(2, "relu", 3)
    assert module.weights.shape == (2, 3)  # input by input
    with torch.no_grad():
        module.weights.copy_(torch.tensor([[1.0, 0.0, 3.0], [0.0, 1.0, 1.0]]))
    y = module(torch.full((1, 3, 1, 1), 4.0), torch.full((1, 3, 1, 1), 8.0))
    torch.testing.assert_close(y.flatten(), torch.tensor([4.0, 8.0, 5.0]), atol=2e-3, rtol=0)


@pytest.mark.parametrize("channels", [None, 2])
@pytest.mark.parametrize("normalisation", ["relu", "softmax"])
def test_gradient_is_exact(normalisation, channels):
    module = WeightedSum(3, normalisation, channels).double()
    with torch.no_grad():
        module.weights += torch.rand_like(module.weights)  # no ties
    maps = torch.randn(3, 1, 2, 2, 2, dtype=torch.float64, requires_grad=True)

    def run(maps, weights):
        return torch.func.functional_call(module, {"weights": weights}, tuple(maps))

    assert torch.autograd.gradcheck(run, (maps, module.weights))


def test_as_many_maps_as_weights():
    with pytest.raises(ValueError, match="longer"):
        WeightedSum(3, "relu", 2)(torch.zeros(1, 2, 1, 1), torch.zeros(1, 2, 1, 1))


def test_unknown_normalisation():
    with pytest.raises(ConfigurationError, match="did you mean 'softmax'"):
        WeightedSum(2, "sotfmax")
