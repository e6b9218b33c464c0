import copy

import pytest
import torch
from torch import nn

from model.blocks.norms import norms
from model.blocks.statistics import _Normalise, moments


def column(*values):
    """One image, one channel, values one below the other."""
    return torch.tensor(values).view(1, 1, -1, 1)


def trained(norm):
    """A normalisation with weights and rolling statistics that are not the initial ones."""
    with torch.no_grad():
        for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            tensor.uniform_(0.5, 2)
    return norm


@pytest.mark.parametrize("name", ["bn", "cmbn", "cbn"])
def test_constants_are_darknets(name):
    norm = norms.get(name)(4)
    assert (norm.eps, norm.momentum) == (1e-5, 0.01)


@pytest.mark.parametrize("name", ["cmbn", "cbn"])
def test_evaluation_and_state_are_those_of_bn(name):
    bn, norm = trained(nn.BatchNorm2d(4)).eval(), norms.get(name)(4).eval()
    norm.load_state_dict(bn.state_dict())
    x = torch.randn(2, 4, 3, 5)
    assert torch.equal(norm(x), bn(x))
    assert norm.state_dict().keys() == bn.state_dict().keys()


def test_cmbn_by_hand():
    norm = norms.get("cmbn")(1)
    norm.momentum = 0.5
    norm.begin_batch(0.0)
    # mean 1, 4 / (2 - 1) as mean square, so variance 3
    torch.testing.assert_close(norm(column(0.0, 2.0)), column(-1.0, 1.0) / 3**0.5)
    # mean 4 and mean square 32; with the first 2.5 and 18, so variance 11.75
    torch.testing.assert_close(norm(column(4.0, 4.0)), column(1.5, 1.5) / 11.75**0.5)
    assert norm.running_mean.item() == 1.5  # 0, then half-way to 1, then half-way to 2.5
    assert norm.running_var.item() == 6.875  # 1, 2, 6.875
    assert norm.num_batches_tracked == 2


def test_cmbn_over_one_mini_batch_is_bn_up_to_its_n_minus_one():
    x = torch.randn(4, 3, 32, 32) + 0.5
    bn, cmbn = norms.get("bn")(3), norms.get("cmbn")(3)
    cmbn.begin_batch(0.0)
    torch.testing.assert_close(cmbn(x), bn(x), atol=1e-3, rtol=0)
    torch.testing.assert_close(cmbn.running_mean, bn.running_mean)
    torch.testing.assert_close(cmbn.running_var, bn.running_var, atol=1e-5, rtol=0)


def test_cmbn_forgets_when_a_batch_begins():
    norm = norms.get("cmbn")(2)
    x = torch.randn(2, 2, 3, 3)
    norm.begin_batch(0.0)
    alone = norm(x)
    norm(torch.randn(2, 2, 3, 3) + 5)
    assert not torch.allclose(norm(x), alone)
    norm.begin_batch(0.5)
    assert torch.equal(norm(x), alone)


def test_cmbn_of_a_single_value_is_its_shift():
    norm = norms.get("cmbn")(1)
    assert torch.equal(norm(column(3.0)), column(0.0))  # one value has no variance


def test_cmbn_gradient_takes_the_running_statistics_as_its_own():
    norm = trained(norms.get("cmbn")(3))
    norm.begin_batch(0.0)
    norm(torch.randn(2, 3, 4, 2) + 1)
    x = torch.randn(2, 3, 4, 2, requires_grad=True)
    y = norm(x)
    upstream = torch.randn_like(y)
    ours = torch.autograd.grad(y, (x, norm.weight, norm.bias), upstream)
    # the values of M_t and V_t, with the derivatives of this mini-batch's mean and variance
    mean, var = norm.mean, (norm.square - norm.mean**2)
    mean_x = x.mean((0, 2, 3))
    var_x = (x - mean.view(-1, 1, 1)).square().mean((0, 2, 3))
    mean = (mean + mean_x - mean_x.detach()).view(-1, 1, 1)
    var = (var + var_x - var_x.detach()).view(-1, 1, 1)
    surrogate = (x - mean) / (var + norm.eps).sqrt()
    surrogate = surrogate * norm.weight.view(-1, 1, 1) + norm.bias.view(-1, 1, 1)
    torch.testing.assert_close(y, surrogate)
    theirs = torch.autograd.grad(surrogate, (x, norm.weight, norm.bias), upstream)
    for our, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(our, their, atol=1e-5, rtol=1e-4)


def test_cmbn_backward_may_come_after_the_next_mini_batch():
    norm = norms.get("cmbn")(2)
    first, second = torch.randn(2, 2, 2, 3, 3).unbind()
    gradients = []
    for late in (False, True):
        norm.begin_batch(0.0)
        norm(first)
        x = first.clone().requires_grad_()
        y = norm(x)
        if late:
            norm(second)
        gradients += torch.autograd.grad(y.square().sum(), x)
    assert torch.equal(*gradients)


@pytest.mark.parametrize("share", [1.0, 0.25])
def test_gradient_of_shared_statistics_is_exact(share):
    def normalise(x, weight, bias):
        mean, square, _ = moments(x.detach())
        mean, square = share * mean + (1 - share) * 0.3, share * square + (1 - share) * 2.0
        return _Normalise.apply(x, mean, square - mean**2, weight, bias, 1e-5, share)

    x = torch.randn(2, 3, 2, 2, dtype=torch.float64)
    weight, bias = torch.randn(2, 3, dtype=torch.float64)
    inputs = tuple(t.requires_grad_() for t in (x, weight, bias))
    assert torch.autograd.gradcheck(normalise, inputs)


def test_statistics_stay_in_float32():
    norm, twin = norms.get("cmbn")(3), norms.get("cmbn")(3)
    x = (torch.randn(4, 3, 16, 16) + 20).bfloat16()
    norm.begin_batch(0.0)
    y = norm(x)
    assert y.dtype == torch.bfloat16
    assert norm.mean.dtype == torch.float32
    torch.testing.assert_close(y.float(), twin(x.float()), atol=0.02, rtol=0.01)
    assert torch.equal(norm.running_mean, twin.running_mean)


def test_frn_by_hand():
    norm = norms.get("frn")(1)
    with torch.no_grad():
        norm.weight.fill_(2)
        norm.bias.fill_(1)
    y = norm(column(1.0, 7.0))  # mean square 25
    torch.testing.assert_close(y, column(1.4, 3.8))


def test_frn_of_a_constant_map_is_its_sign():
    x = torch.tensor([[3.0, -0.5]]).view(1, 2, 1, 1).expand(1, 2, 4, 6)
    torch.testing.assert_close(norms.get("frn")(2)(x), x.sign(), atol=1e-5, rtol=0)


def test_frn_of_nothing_is_its_shift():
    assert torch.equal(norms.get("frn")(2)(torch.zeros(1, 2, 3, 3)), torch.zeros(1, 2, 3, 3))


def test_frn_looks_at_each_image_alone():
    norm, x = norms.get("frn")(3), torch.randn(3, 3, 4, 5)
    torch.testing.assert_close(norm(x)[1:2], norm(x[1:2]))


def test_frn_gradient():
    norm = norms.get("frn")(2).double()
    x = torch.randn(2, 2, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(norm, (x,))


def test_copies_in_the_midst_of_a_batch():
    norm, x = norms.get("cmbn")(2), torch.randn(2, 2, 3, 3)
    norm(x.requires_grad_())
    twin = copy.deepcopy(norm)
    y = torch.randn(2, 2, 3, 3)
    assert torch.equal(twin(y), norm(y))
