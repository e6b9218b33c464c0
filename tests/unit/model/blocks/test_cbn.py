import copy

import pytest
import torch
from torch import nn

from model.blocks.cbn import CrossIterationBatchNorm, evaluate, expand
from model.blocks.norms import norms
from model.blocks.statistics import moments

LATE = 0.9  # progress after the burn-in


def convolution(groups=1):
    return nn.Conv2d(4, 6, 3, padding=1, groups=groups, bias=False)


def update(norm, conv, images, progress=LATE):
    """One update of one mini-batch; what the normalisation gave."""
    norm.begin_batch(progress)
    return norm(conv(images), conv.weight)


def shift(conv, by):
    with torch.no_grad():
        conv.weight += by


def test_expansion_by_hand():
    weight = torch.ones(1, 1, 1, 1, requires_grad=True)
    y = nn.functional.conv2d(torch.tensor([1.0, 3.0]).view(2, 1, 1, 1), weight)
    past = expand(y, weight)
    # mean 2 w, and mean square 5 w^2 with the tangent 10 w - 5
    assert past.tolist() == [[[0.0, 2.0]], [[-5.0, 10.0]]]
    assert evaluate(past[None], torch.full((1, 1, 1, 1), 1.5)).tolist() == [[[3.0], [10.0]]]


@pytest.mark.parametrize("groups", [1, 2])
def test_compensation_is_right_to_first_order(groups):
    conv = convolution(groups).double()
    x = torch.randn(2, 4, 5, 3, dtype=torch.float64) + 0.5
    past = expand(conv(x), conv.weight)[None]
    before = torch.stack(moments(conv(x).detach())[:2])
    direction = torch.randn_like(conv.weight)
    errors, uncompensated = [], []
    for step in (1e-3, 5e-4):
        moved = conv.weight.detach() + step * direction
        y = nn.functional.conv2d(x, moved, padding=1, groups=groups)
        now = torch.stack(moments(y)[:2])
        errors.append((evaluate(past, moved)[0] - now).abs().amax(1))
        uncompensated.append((before - now).abs().amax(1))
    assert (errors[0][0] < 1e-12).all()  # the mean is linear
    torch.testing.assert_close(
        errors[0][1] / errors[1][1], torch.tensor(4.0).double(), rtol=0.01, atol=0
    )
    torch.testing.assert_close(
        uncompensated[0] / uncompensated[1], torch.tensor([2.0, 2.0]).double(), rtol=0.01, atol=0
    )
    assert (errors[0] < 0.05 * uncompensated[0]).all()


def test_statistics_are_averages_over_the_window():
    conv, norm = convolution(), CrossIterationBatchNorm(6, burn_in=0.0)
    old, new = torch.randn(2, 2, 4, 3, 5).unbind()
    update(norm, conv, old)
    shift(conv, 0.01)
    past = evaluate(norm.past, conv.weight)[0]
    y = update(norm, conv, new)
    raw = conv(new).detach()
    mean, square, _ = moments(raw)
    mean = (mean + past[0]) / 2
    square = (square + torch.maximum(past[1], past[0] ** 2)) / 2
    std = (square - mean**2 + norm.eps).sqrt()
    expected = (raw - mean.view(-1, 1, 1)) / std.view(-1, 1, 1)
    torch.testing.assert_close(y, expected, atol=1e-5, rtol=1e-5)


def test_mean_square_is_at_least_the_squared_mean():
    norm = CrossIterationBatchNorm(1)
    x = torch.tensor([-1.0, 1.0]).view(2, 1, 1, 1)
    impossible = torch.tensor([[[2.0], [1.0]]])  # mean 2, mean square 1
    y = norm._over_window(x, impossible)
    # mean (0 + 2) / 2, mean square (1 + 4) / 2, so variance 1.5
    torch.testing.assert_close(y.flatten(), torch.tensor([-2.0, 0.0]) / 1.5**0.5)
    # rolling: a hundredth of the way to 1 and 1.5 * 4 / 3
    assert norm.running_mean.item() == pytest.approx(0.01)
    assert norm.running_var.item() == pytest.approx(1.01)


def test_gradient_is_exact():
    norm = CrossIterationBatchNorm(3).double()
    past = torch.randn(2, 2, 3, dtype=torch.float64)
    past[:, 1] = past[:, 0] ** 2 + 1
    x = torch.randn(2, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: norm._over_window(x, past), (x,))


@pytest.mark.parametrize(("window", "progress"), [(1, LATE), (4, 0.1)])
def test_window_of_one_and_burn_in_are_bn(window, progress):
    conv, bn = convolution(), norms.get("bn")(6)
    norm = CrossIterationBatchNorm(6, window=window)
    for _ in range(3):
        images = torch.randn(2, 4, 3, 5)
        y, expected = update(norm, conv, images, progress), bn(conv(images))
        assert torch.equal(y, expected)
        gradients = [torch.autograd.grad(z.square().sum(), conv.weight)[0] for z in (y, expected)]
        assert torch.equal(*gradients)
        shift(conv, 0.01)
    for ours, theirs in zip(norm.state_dict().items(), bn.state_dict().items(), strict=True):
        assert ours[0] == theirs[0]
        assert torch.equal(ours[1], theirs[1])


def test_window_is_never_exceeded():
    conv, norm = convolution(), CrossIterationBatchNorm(6, window=3, burn_in=0.5)
    kept = []
    for progress in (0.4, 0.5, 0.6, 0.7, 0.8):
        update(norm, conv, torch.randn(2, 4, 3, 3), progress)
        kept.append(len(norm.past))
    assert kept == [0, 1, 2, 3, 3]  # the last is the update at hand


def test_mini_batches_of_an_update_are_one_iteration():
    conv, norm = convolution(), CrossIterationBatchNorm(6, burn_in=0.0)
    mini_batches = torch.randn(3, 2, 4, 3, 3)
    norm.begin_batch(0.0)
    for images in mini_batches:
        y = conv(images)
        assert torch.equal(norm(y, conv.weight), norms.get("bn")(6)(y))
    whole = expand(conv(mini_batches.flatten(0, 1)), conv.weight)
    torch.testing.assert_close(norm.past, whole[None], atol=1e-5, rtol=1e-5)


def test_gathering_leaves_no_gradient_behind():
    conv, norm = convolution(), CrossIterationBatchNorm(6, burn_in=0.0)
    for _ in range(2):
        update(norm, conv, torch.randn(2, 4, 3, 3))
    assert conv.weight.grad is None
    assert not norm.past.requires_grad


def test_frozen_weights_and_no_grad_are_bn():
    conv, norm = convolution(), CrossIterationBatchNorm(6, burn_in=0.0)
    images = torch.randn(2, 4, 3, 3)
    with torch.no_grad():
        update(norm, conv, images)
    conv.weight.requires_grad_(False)
    y = update(norm, conv, images)
    assert torch.equal(y, norms.get("bn")(6)(conv(images)))
    assert len(norm.past) == 0


def test_resumes_bit_by_bit():
    conv, norm = convolution(), CrossIterationBatchNorm(6)
    batches = torch.randn(5, 2, 4, 3, 3)
    for images in batches[:3]:
        update(norm, conv, images)
        shift(conv, 0.01)
    state = copy.deepcopy(norm.state_dict())
    resumed = CrossIterationBatchNorm(6)
    resumed.load_state_dict(state)
    for images in batches[3:]:
        expected = update(norm, conv, images)
        assert torch.equal(update(resumed, conv, images), expected)
        shift(conv, 0.01)
    assert torch.equal(resumed.state_dict()["past"], norm.state_dict()["past"])
    assert len(state["past"]) == 3


def test_state_within_a_network_is_strict():
    block = nn.ModuleList([convolution(), CrossIterationBatchNorm(6)])
    update(block[1], block[0], torch.randn(2, 4, 3, 3))
    other = nn.ModuleList([convolution(), CrossIterationBatchNorm(6)])
    other.load_state_dict(block.state_dict())
    assert torch.equal(other[1].past, block[1].past)
    assert other[1].past.data_ptr() != block[1].past.data_ptr()
    with pytest.raises(RuntimeError, match="Unexpected key"):
        other.load_state_dict({**block.state_dict(), "1.futures": torch.zeros(1)})


def test_autocast():
    conv, norm = convolution(), CrossIterationBatchNorm(6, burn_in=0.0)
    images = torch.randn(2, 4, 8, 6)
    with torch.autocast("cpu", torch.bfloat16):
        update(norm, conv, images)
        y = update(norm, conv, images)
    assert (y.dtype, norm.past.dtype) == (torch.bfloat16, torch.float32)
    torch.testing.assert_close(norm.past[1], expand(conv(images), conv.weight), atol=0.02, rtol=0)
    assert torch.equal(copy.deepcopy(norm).past, norm.past)
