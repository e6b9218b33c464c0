import math

import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from model.blocks.activations import activations
from model.blocks.mish import mish
from model.errors import ConfigurationError

X = torch.tensor([-4.0, -2.0, -1.0, 0.0, 0.5, 7.0]).view(1, 6, 1, 1)
HARD_SWISH = [0.0, -2 / 6, -2 / 6, 0.0, 0.5 * 3.5 / 6, 7.0]
SELU = [1.0507 * (1.67326 * math.expm1(x) if x < 0 else x) for x in X.flatten().tolist()]
LOGISTIC = [1 / (1 + math.exp(-x)) for x in X.flatten().tolist()]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("linear", [-4, -2, -1, 0, 0.5, 7]),
        ("relu", [0, 0, 0, 0, 0.5, 7]),
        ("leaky", [-0.4, -0.2, -0.1, 0, 0.5, 7]),
        ("relu6", [0, 0, 0, 0, 0.5, 6]),
        ("prelu", [-1, -0.5, -0.25, 0, 0.5, 7]),
        ("selu", SELU),
        ("swish", [x * s for x, s in zip(X.flatten().tolist(), LOGISTIC, strict=True)]),
        ("hard-swish", HARD_SWISH),
        ("mish", mish(X).flatten().tolist()),
        ("hard-mish", [0, 0, -0.5, 0, 0.5, 7]),
        ("logistic", LOGISTIC),
        ("tlu", [0, 0, 0, 0, 0.5, 7]),
    ],
)
def test_values(name, expected):
    y = activations.get(name)(6)(X.clone())
    torch.testing.assert_close(y.flatten(), torch.tensor(expected), atol=1e-5, rtol=1e-5)


def test_all_names_have_values_above():
    (mark,) = test_values.pytestmark
    assert sorted(name for name, _ in mark.args[1]) == list(activations)


@pytest.mark.parametrize("name", ["relu", "leaky", "relu6", "selu", "logistic"])
def test_in_place_where_the_output_gives_the_gradient(name):
    x = X.clone()
    assert activations.get(name)(6)(x).data_ptr() == x.data_ptr()


@pytest.mark.parametrize("name", list(activations))
def test_gradient(name):
    module = activations.get(name)(2).double()
    x = torch.randn(1, 2, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: module(x.clone()), (x,))


@pytest.mark.parametrize(("name", "parameter"), [("prelu", "weight"), ("tlu", "tau")])
def test_learned_per_channel(name, parameter):
    module = activations.get(name)(3)
    with torch.no_grad():
        module.get_parameter(parameter).copy_(torch.tensor([0.0, 0.5, 1.0]))
    y = module(torch.full((1, 3, 1, 2), -1.0))
    expected = {"prelu": [0.0, -0.5, -1.0], "tlu": [0.0, 0.5, 1.0]}[name]
    torch.testing.assert_close(y, torch.tensor(expected).view(1, 3, 1, 1).expand_as(y))


def test_hard_mish_meets_its_pieces():
    x = torch.linspace(-3, 3, 61)
    y = activations.get("hard-mish")(1)(x)
    pieces = torch.where(x > 0, x, torch.where(x > -2, x * x / 2 + x, torch.zeros(())))
    torch.testing.assert_close(y, pieces)
    assert (y - F.mish(x)).abs().max() < 0.3


def test_unknown_name_lists_the_nearest():
    with pytest.raises(ConfigurationError, match="did you mean 'hard-mish'"):
        activations.get("hardmish")
