import math

import numpy as np
import pytest
import torch

from model.box_losses import BoxPairs, box_loss, overlap_loss, point_loss
from model.config import LossConfig

NET = 608
LN3 = math.log(3)  # of which the sigmoid is 3/4


def make(raw, truth, anchor, cell=(0, 0), grid=(1, 1), scale_xy=1.0, weight=1.0, **kind):
    """One pair, float64."""
    raw = torch.as_tensor(raw, dtype=torch.float64)[None].requires_grad_()
    numbers = (torch.tensor([each], dtype=torch.float64) for each in (anchor, [scale_xy], truth))
    anchors_wh, scale, truths = numbers
    return BoxPairs(
        raw, torch.tensor([cell]), torch.tensor([grid]), anchors_wh, scale, truths,
        torch.tensor([weight], dtype=torch.float64), **kind,
    )  # fmt: skip


def gradient(loss, pairs):
    return torch.autograd.grad(loss.sum(), pairs.raw)[0][0]


def test_squared_error_by_hand():
    # x 3/4 against 0.25 + 3/4 s; tw 0 against ln 2
    pairs = make([0.0, LN3, 0.0, 0.5], [0.5, 0.4, 0.4, 0.1], [0.2, 0.1], (1, 0), (4, 2), 1.2)
    shown = torch.tensor([0.6 - 0.1, 0.9 - 0.1, 0, 0.5])
    wanted = torch.tensor([2.0 - 1, 0.8, math.log(2), 0])
    loss = point_loss(pairs, "mse")
    small = 2 - 0.04
    assert loss.item() == pytest.approx(small * (wanted - shown).square().sum().item() / 2)
    expected = small * (shown - wanted)
    assert gradient(loss, pairs).tolist() == pytest.approx(expected.tolist(), abs=1e-6)


def test_smooth_l1_bounds_the_gradient_and_is_squared_nearby():
    near = make([0.0, 0.0, 0.3, 0.0], [0.5, 0.5, 0.4, 0.4], [0.4, 0.4])
    torch.testing.assert_close(point_loss(near, "smooth-l1"), point_loss(near, "mse"))
    far = make([0.0, 0.0, 3.0, 0.0], [0.5, 0.5, 0.4, 0.4], [0.4, 0.4])
    loss = point_loss(far, "smooth-l1")
    assert loss.item() == pytest.approx(2.5 * 1.84)
    assert gradient(loss, far).tolist() == pytest.approx([0, 0, 1.84, 0], abs=1e-9)


def test_squared_error_is_not_bounded_by_max_delta():
    pairs = make([0.0, 0.0, 9.0, 0.0], [0.5, 0.5, 0.4, 0.4], [0.4, 0.4])
    config = LossConfig(box="mse", gradient="darknet", max_delta=1)
    assert gradient(box_loss(pairs, config), pairs)[2].item() == pytest.approx(9 * 1.84)


@pytest.mark.parametrize("kind", ["iou", "giou"])
@pytest.mark.parametrize(("stride", "scale_xy", "anchor_px"), [(8, 1.2, 36.0), (32, 1.05, 142.0)])
def test_darknets_gradient_over_the_true_one(kind, stride, scale_xy, anchor_px):
    grid, tx, tw = NET // stride, 0.3, -0.2
    anchor = anchor_px / NET
    centre = 9.8 / grid
    pairs = make(
        [tx, 0.1, tw, 0.3], [centre, centre, 0.8 * anchor, 1.1 * anchor], [anchor, anchor],
        (9, 9), (grid, grid), scale_xy,
    )  # fmt: skip
    true = gradient(overlap_loss(pairs, kind, "autograd"), pairs)
    darknet = gradient(overlap_loss(pairs, kind, "darknet"), pairs)
    ratio = darknet / true
    slope = torch.sigmoid(torch.tensor(tx, dtype=torch.float64))
    slope = (slope * (1 - slope)).item()
    assert ratio[0].item() == pytest.approx(grid / (scale_xy * slope), rel=1e-4)
    assert ratio[2].item() == pytest.approx(2 * NET / anchor_px, rel=1e-4)
    assert ratio[3].item() == pytest.approx(2 * NET / anchor_px, rel=1e-4)


def test_the_ratios_of_yolov4_at_stride_8():
    # 76 columns, the middle of a cell, and the 36 px anchor
    grid, anchor = 76, 36 / NET
    pairs = make([0.0] * 4, [9.9 / grid, 9.8 / grid, 0.058, 0.058], [anchor, anchor], (9, 9),
                 (grid, grid), 1.2)  # fmt: skip
    ratio = gradient(overlap_loss(pairs, "iou", "darknet"), pairs) / gradient(
        overlap_loss(pairs, "iou", "autograd"), pairs
    )
    assert ratio[0].item() == pytest.approx(253, abs=1)
    assert ratio[2].item() == pytest.approx(34, abs=0.5)


@pytest.mark.parametrize("kind", ["iou", "iou-log", "giou", "diou"])
def test_autograd_is_the_true_gradient(kind):
    def loss(raw):
        pairs = BoxPairs(
            raw, torch.tensor([[1, 2], [0, 0]]), torch.tensor([[4, 4], [2, 3]]),
            torch.tensor([[0.3, 0.4], [0.5, 0.5]]).double(), torch.tensor([[1.2], [1.0]]).double(),
            torch.tensor([[0.4, 0.6, 0.35, 0.3], [0.3, 0.2, 0.3, 0.4]]).double(),
            torch.tensor([1.0, 0.3]).double(),
        )  # fmt: skip
        return overlap_loss(pairs, kind, "autograd")

    raw = torch.tensor([[0.2, -0.3, 0.1, 0.4], [0.5, 0.1, -0.4, 0.2]], dtype=torch.float64)
    assert torch.autograd.gradcheck(loss, (raw.requires_grad_(),))


def test_logarithm_of_the_overlap():
    pairs = make([0.0] * 4, [0.5, 0.5, 0.4, 0.2], [0.4, 0.4])  # IoU 1/2
    loss = overlap_loss(pairs, "iou-log", "autograd")
    assert loss.item() == pytest.approx(math.log(2))
    plain = gradient(overlap_loss(pairs, "iou", "autograd"), pairs)
    torch.testing.assert_close(gradient(loss, pairs), 2 * plain, atol=1e-6, rtol=1e-6)
    darknet = gradient(overlap_loss(pairs, "iou-log", "darknet"), pairs)
    plain = gradient(overlap_loss(pairs, "iou", "darknet"), pairs)
    torch.testing.assert_close(darknet, 2 * plain, atol=1e-6, rtol=1e-6)


def test_logarithm_of_no_overlap_is_finite():
    pairs = make([0.0] * 4, [0.9, 0.9, 0.1, 0.1], [0.1, 0.1])
    loss = overlap_loss(pairs, "iou-log", "autograd")
    assert loss.item() == pytest.approx(-math.log(1e-6))
    assert gradient(loss, pairs).isfinite().all()


def test_max_delta_acts_after_the_weight():
    pairs = make([0.4, 0, 0, 0], [0.5, 0.5, 0.4, 0.2], [0.4, 0.4], weight=0.07)
    free = gradient(overlap_loss(pairs, "ciou", "darknet"), pairs)
    bound = free.abs().max().item() / 2
    held = gradient(overlap_loss(pairs, "ciou", "darknet", bound), pairs)
    assert held.tolist() == pytest.approx(free.clamp(-bound, bound).tolist())
    assert held.abs().max().item() == pytest.approx(bound)
    true = gradient(overlap_loss(pairs, "ciou", "autograd"), pairs)
    config = LossConfig(box="ciou", gradient="autograd", max_delta=1e-6)
    assert torch.equal(gradient(box_loss(pairs, config), pairs), true)


def test_new_coords_has_no_factor_of_growth():
    plain = make([LN3, 0, 0.3, 0.1], [0.5, 0.5, 0.4, 0.2], [0.4, 0.4])
    v = [math.exp(t / 2) / 2 for t in (0.3, 0.1)]  # (2 v)^2 = exp(t)
    new = make([0.75, 0.5, *v], [0.5, 0.5, 0.4, 0.2], [0.4, 0.4], new_coords=True)
    torch.testing.assert_close(new.boxes(), plain.boxes())
    ours = gradient(overlap_loss(new, "ciou", "darknet"), new)
    theirs = gradient(overlap_loss(plain, "ciou", "darknet"), plain)
    growth = torch.tensor([1, 1, math.exp(0.3), math.exp(0.1)], dtype=torch.float64)
    torch.testing.assert_close(ours * growth, theirs)


def test_squared_error_of_new_coords():
    # targets: x (0.5 + 2 v - 0.5 scaled), sizes sqrt(w / (4 anchor))
    pairs = make([0.5, 0.75, 0.5, 0.25], [0.5, 0.5, 0.4, 0.1], [0.4, 0.4], scale_xy=2.0,
                 new_coords=True)  # fmt: skip
    loss = point_loss(pairs, "mse")
    errors = [0, 0.5 - 1.0, 0.5 - 0.5, 0.25 - 0.25]
    assert loss.item() == pytest.approx(1.96 * sum(e * e for e in errors) / 2)
    assert gradient(loss, pairs).tolist() == pytest.approx([-1.96 * e for e in errors])


# a Gaussian head: mu_x, s_x, mu_y, s_y, mu_w, s_w, mu_h, s_h
GAUSSIAN = [0.3, -1.0, -0.2, 0.5, 0.4, 0.0, -0.5, LN3]
TRUTH = [0.6, 0.3, 0.5, 0.4]


def density(error, sigma):
    return math.exp(-((error / sigma) ** 2) / 2) / (math.sqrt(2 * math.pi) * (sigma + 0.3))


def likelihood_deltas(numbers):
    """Deltas (mean, sigma) of each coordinate by facts: v, sigma and their targets."""
    by_mean, by_sigma = [], []
    for error, sigma in numbers:
        share = density(error, sigma) / (density(error, sigma) + 1e-9)
        by_mean.append(share * error / sigma**2)
        by_sigma.append(share * (error**2 / sigma**3 - 1 / (sigma + 0.3)))
    return by_mean, by_sigma


def coordinates():
    """Error and sigma of each coordinate of GAUSSIAN against TRUTH, anchor 0.4 x 0.4."""

    def sigmoid(x):
        return 1 / (1 + math.exp(-x))

    wanted = [0.6, 0.3, math.log(0.5 / 0.4), 0.0]
    shown = [sigmoid(0.3), sigmoid(-0.2), 0.4, -0.5]
    sigmas = [sigmoid(x) for x in GAUSSIAN[1::2]]
    return [(t - v, s) for t, v, s in zip(wanted, shown, sigmas, strict=True)]


def slopes(rule):
    """Derivatives of means and sigmas by the raw outputs; darknet leaves the logistic's out."""
    if rule == "darknet":
        return np.ones(4), np.ones(4)
    s = 1 / (1 + np.exp(-np.array(GAUSSIAN)))
    by_raw = s * (1 - s)
    return np.array([by_raw[0], by_raw[2], 1, 1]), by_raw[1::2]


@pytest.mark.parametrize("rule", ["autograd", "darknet"])
@pytest.mark.parametrize("box", ["mse", "smooth-l1"])
def test_likelihood_of_means_and_sigmas(box, rule):
    pairs = make(GAUSSIAN, TRUTH, [0.4, 0.4], weight=0.5, gaussian=True)
    loss = box_loss(pairs, LossConfig(box=box, uc_normalizer=0.7, gradient=rule))
    deltas = likelihood_deltas(coordinates())
    by_mean, by_sigma = (d * slope for d, slope in zip(deltas, slopes(rule), strict=True))
    half = (2 - 0.2) / 2
    found = gradient(loss, pairs)
    assert found[0::2].tolist() == pytest.approx([-0.5 * half * d for d in by_mean])
    assert found[1::2].tolist() == pytest.approx([-0.7 * half * d for d in by_sigma])
    nll = -sum(math.log(density(*each) + 1e-9) for each in coordinates())
    assert loss.item() == pytest.approx((0.5 + 0.7) * half * nll)


@pytest.mark.parametrize("rule", ["autograd", "darknet"])
def test_overlap_moves_the_means_and_likelihood_the_sigmas(rule):
    pairs = make(GAUSSIAN, TRUTH, [0.4, 0.4], weight=0.5, gaussian=True)
    config = LossConfig(box="giou", gradient=rule, uc_normalizer=0.7)
    found = gradient(box_loss(pairs, config), pairs)
    by_sigma = likelihood_deltas(coordinates())[1] * slopes(rule)[1]
    assert found[1::2].tolist() == pytest.approx([-0.7 * 0.9 * d for d in by_sigma])
    point = make(GAUSSIAN[0::2], TRUTH, [0.4, 0.4], weight=0.5)
    torch.testing.assert_close(found[0::2], gradient(overlap_loss(point, "giou", rule), point))


def test_max_delta_bounds_the_likelihood_too():
    pairs = make(GAUSSIAN, TRUTH, [0.4, 0.4], gaussian=True)
    config = LossConfig(box="mse", gradient="darknet", max_delta=0.1)
    assert gradient(box_loss(pairs, config), pairs).abs().max().item() == pytest.approx(0.1)


def test_a_truth_far_away_moves_nothing():
    # p is far below 1e-9: darknet's share p / (p + 1e-9) takes the gradient away
    pairs = make([0.0, -6.0] * 4, [0.99, 0.01, 0.9, 0.9], [0.1, 0.1], gaussian=True)
    found = gradient(box_loss(pairs, LossConfig(box="mse")), pairs)
    assert found.abs().max().item() < 1e-6
