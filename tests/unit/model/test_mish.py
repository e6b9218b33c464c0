import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from model.blocks.activations import activations
from model.blocks.mish import _tables, mish

X = torch.cat((torch.linspace(-30, 30, 20_001), torch.tensor([-88.0, -104.0, 1e4, -0.0])))


def value_and_gradient(function, x):
    x = x.clone().requires_grad_()
    y = function(x)
    (gradient,) = torch.autograd.grad(y, x, torch.full_like(y, 1.5))
    return y.detach().double(), gradient.double() / 1.5


def test_value_and_gradient_in_float32():
    exact = value_and_gradient(F.mish, X.double())
    for ours, theirs in zip(value_and_gradient(mish, X), exact, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-6)


def test_small_values_keep_their_relative_precision():
    x = torch.linspace(-60, -5, 1001)
    torch.testing.assert_close(mish(x).double(), F.mish(x.double()), atol=0, rtol=1e-6)


def test_bfloat16_is_within_one_unit_in_the_last_place():
    x = X.bfloat16()
    exact = value_and_gradient(F.mish, x.double())
    for ours, theirs in zip(value_and_gradient(mish, x), exact, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=2**-7)
    assert mish(x).dtype == torch.bfloat16


def test_pieces_do_not_show():
    x = torch.randn(5, 200_003)
    apart = torch.cat([mish(row)[None] for row in x])
    torch.testing.assert_close(mish(x), apart, atol=0, rtol=1e-6)


@pytest.mark.parametrize("shape", [(0,), (1,), (), (2, 3, 4)])
def test_shapes(shape):
    x = torch.randn(shape, requires_grad=True)
    y = mish(x)
    y.sum().backward()
    assert y.shape == shape == x.grad.shape


def test_strided_input_and_gradient():
    x = torch.randn(4, 6, requires_grad=True)
    weight = torch.randn(6, 4)
    (ours,) = torch.autograd.grad((mish(x.t()) * weight).sum(), x)
    (theirs,) = torch.autograd.grad((F.mish(x.t()) * weight).sum(), x)
    torch.testing.assert_close(ours, theirs)


def test_float64_takes_the_operator_and_checks():
    x = torch.randn(7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(mish, (x,))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_module_has_no_parameters_and_saves_one_tensor_of_its_inputs_size(dtype):
    module = activations.get("mish")(8)
    assert module.state_dict() == {}
    x = torch.randn(8, dtype=dtype, requires_grad=True)
    (saved,) = module(x).grad_fn.saved_tensors
    assert (saved.shape, saved.dtype) == (x.shape, dtype)


def test_every_bfloat16_number_is_rounded_correctly():
    x = torch.arange(1 << 16, dtype=torch.int32).to(torch.uint16).view(torch.bfloat16)
    x = x[x.isfinite()]
    exact = value_and_gradient(F.mish, x.double())
    ours = mish(x.requires_grad_())
    (slope,) = torch.autograd.grad(ours.sum(), x)
    assert torch.equal(ours, exact[0].bfloat16())
    assert torch.equal(slope, exact[1].bfloat16())


def test_the_table_can_be_made_while_detecting_and_used_in_training():
    _tables.cache_clear()
    x = torch.randn(8).bfloat16()
    with torch.inference_mode():
        expected = mish(x)
    x.requires_grad_()
    y = mish(x)
    y.sum().backward()
    assert torch.equal(y, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_infinities(dtype):
    x = torch.tensor([torch.inf, -torch.inf], dtype=dtype)
    assert mish(x)[0] == torch.inf


def test_nan_stays():
    assert mish(torch.tensor([float("nan"), 0.0])).isnan().tolist() == [True, False]
