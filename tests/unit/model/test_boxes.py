import math

import pytest
import torch

from model.boxes import cxcywh_to_xyxy, paired_overlap, pairwise_iou, wh_iou

# side 2 around (1, 1) and around (2, 1): half of each is shared
LEFT = torch.tensor([[1.0, 1.0, 2.0, 2.0]])
RIGHT = torch.tensor([[2.0, 1.0, 2.0, 2.0]])


def test_corners():
    assert cxcywh_to_xyxy(torch.tensor([3.0, 5.0, 2.0, 4.0])).tolist() == [2, 3, 4, 7]


def test_size_overlap():
    found = wh_iou(torch.tensor([[2.0, 2.0]]), torch.tensor([[2.0, 2.0], [1.0, 2.0], [4.0, 1.0]]))
    assert found[0].tolist() == pytest.approx([1, 1 / 2, 2 / 6])


def test_pairwise():
    a = torch.tensor([[0.0, 0.0, 2.0, 2.0], [5.0, 5.0, 6.0, 6.0]])
    b = torch.tensor([[1.0, 0.0, 3.0, 2.0], [2.0, 0.0, 4.0, 2.0], [5.0, 5.0, 6.0, 7.0]])
    found = pairwise_iou(a, b)
    assert found.tolist() == [pytest.approx([1 / 3, 0, 0]), pytest.approx([0, 0, 1 / 2])]


def test_pairwise_over_leading_axes_and_without_boxes():
    a, b = torch.rand(3, 2, 4), torch.rand(3, 5, 4)
    whole = pairwise_iou(a, b)
    assert whole.shape == (3, 2, 5)
    assert torch.equal(whole[1], pairwise_iou(a[1], b[1]))
    assert pairwise_iou(a[0, :0], b[0]).shape == (0, 5)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("iou", 1 / 3), ("giou", 1 / 3), ("diou", 1 / 3 - 1 / 13), ("ciou", 1 / 3 - 1 / 13)],
)
def test_neighbours(kind, expected):
    # union 6 = hull 3 x 2; centres 1 apart, hull diagonal^2 13
    assert paired_overlap(LEFT, RIGHT, kind).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("kind", "expected"), [("iou", 0), ("giou", -1 / 3), ("diou", -16 / 40)])
def test_apart(kind, expected):
    far = torch.tensor([[5.0, 1.0, 2.0, 2.0]])  # hull 6 x 2, union 8: (12 - 8) / 12 = 1/3
    assert paired_overlap(LEFT, far, kind).item() == pytest.approx(expected, abs=1e-6)


def test_ciou_of_unequal_aspects():
    wide = torch.tensor([[1.0, 1.0, 2.0, 1.0]])
    v = 4 / math.pi**2 * (math.atan(2) - math.atan(1)) ** 2
    iou = 0.5
    expected = iou - v / (1 - iou + v) * v
    assert paired_overlap(LEFT, wide, "ciou").item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("kind", ["iou", "giou", "diou", "ciou"])
def test_gradient_is_finite_for_equal_and_for_distant_boxes(kind):
    pred = torch.tensor([[1.0, 1.0, 2.0, 2.0], [50.0, 50.0, 1.0, 1.0]], requires_grad=True)
    paired_overlap(pred, LEFT.expand(2, 4), kind).sum().backward()
    assert pred.grad.isfinite().all()
    assert kind == "iou" or pred.grad[1].abs().sum() > 0


@pytest.mark.parametrize("kind", ["iou", "giou", "diou"])
def test_gradcheck(kind):
    rng = torch.Generator().manual_seed(0)
    pred, target = (torch.rand(6, 4, generator=rng, dtype=torch.float64) + 0.2 for _ in range(2))
    pred.requires_grad_()
    assert torch.autograd.gradcheck(lambda p: paired_overlap(p, target, kind), (pred,))


def test_ciou_holds_alpha_constant():
    pred = torch.tensor([[1.0, 1.0, 2.0, 2.0]], dtype=torch.float64, requires_grad=True)
    target = torch.tensor([[1.0, 1.0, 3.0, 1.0]], dtype=torch.float64)
    (grad,) = torch.autograd.grad(paired_overlap(pred, target, "ciou").sum(), pred)
    (plain,) = torch.autograd.grad(paired_overlap(pred, target, "diou").sum(), pred)
    turn = math.atan(3) - math.atan(1)
    v = 4 / math.pi**2 * turn**2
    alpha = v / (1 - 2 / 5 + v + 1e-6)  # intersection 2, union 5
    dv_dw = 8 / math.pi**2 * turn * -(2 / 8)  # d atan(w/h) / dw = h / (w^2 + h^2)
    assert (grad - plain)[0, 2].item() == pytest.approx(-alpha * dv_dw, abs=1e-9)
    assert (grad - plain)[0, 3].item() == pytest.approx(alpha * dv_dw, abs=1e-9)
