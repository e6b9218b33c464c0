import math

import pytest
import torch

from model.box_gradients import overlap_deltas, with_deltas
from model.boxes import paired_overlap

KINDS = ["iou", "giou", "diou", "ciou"]


def derivative(pred, truth, kind):
    pred = pred.clone().requires_grad_()
    return torch.autograd.grad(paired_overlap(pred, truth, kind).sum(), pred)[0]


def box(*numbers):
    return torch.tensor([numbers], dtype=torch.float64)


# overlapping in general position, one inside the other, and apart
PREDS = torch.cat((box(0.4, 0.53, 0.3, 0.2), box(0.5, 0.52, 0.1, 0.1), box(0.2, 0.2, 0.1, 0.2)))
TRUTHS = torch.cat((box(0.5, 0.45, 0.2, 0.3), box(0.51, 0.5, 0.4, 0.3), box(0.7, 0.6, 0.3, 0.1)))


@pytest.mark.parametrize("kind", KINDS)
def test_true_by_x_and_y(kind):
    deltas, true = overlap_deltas(PREDS, TRUTHS, kind), derivative(PREDS, TRUTHS, kind)
    torch.testing.assert_close(deltas[:, :2], true[:, :2], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("kind", ["iou", "giou"])
def test_twice_the_true_one_by_w_and_h(kind):
    deltas, true = overlap_deltas(PREDS, TRUTHS, kind), derivative(PREDS, TRUTHS, kind)
    torch.testing.assert_close(deltas[:, 2:], 2 * true[:, 2:], atol=1e-6, rtol=1e-6)


def test_only_the_iou_is_doubled_in_diou():
    def beside_iou(values):
        return values("diou") - values("iou")

    deltas = beside_iou(lambda kind: overlap_deltas(PREDS, TRUTHS, kind))
    true = beside_iou(lambda kind: derivative(PREDS, TRUTHS, kind))
    torch.testing.assert_close(deltas, true, atol=1e-6, rtol=1e-6)


def test_the_aspect_term_lacks_its_denominator():
    deltas = overlap_deltas(PREDS, TRUTHS, "ciou") - overlap_deltas(PREDS, TRUTHS, "diou")
    true = derivative(PREDS, TRUTHS, "ciou") - derivative(PREDS, TRUTHS, "diou")
    squared_diagonal = PREDS[:, 2:].square().sum(dim=1, keepdim=True)
    torch.testing.assert_close(deltas, true * squared_diagonal, atol=1e-6, rtol=1e-5)


def test_the_aspect_term_by_hand():
    pred, truth = box(1, 1, 2, 2), box(1, 1, 3, 1)
    turn = math.atan(3) - math.atan(1)
    v = 4 / math.pi**2 * turn**2
    alpha = v / (1 - 2 / 5 + v + 1e-6)  # intersection 2, union 5
    found = overlap_deltas(pred, truth, "ciou") - overlap_deltas(pred, truth, "diou")
    step = alpha * 8 / math.pi**2 * turn * 2
    assert found[0].tolist() == pytest.approx([0, 0, step, -step])


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_to_gain_in_place(kind):
    same = box(0.5, 0.4, 0.3, 0.2)
    assert overlap_deltas(same, same, kind)[0, :2].tolist() == pytest.approx([0, 0])


def test_boxes_apart_have_no_iou_part():
    pred, truth = PREDS[2:], TRUTHS[2:]
    assert not overlap_deltas(pred, truth, "iou").any()
    assert overlap_deltas(pred, truth, "diou")[0, 0] > 0  # to the right, where the truth is
    assert overlap_deltas(pred, truth, "diou")[0, 1] > 0


def test_deltas_take_the_place_of_the_gradient():
    raw = torch.zeros(2, 3, requires_grad=True)
    deltas = torch.tensor([[1.0, -2.0, 0.5], [9.0, 0.0, -9.0]])
    loss = with_deltas(raw, torch.tensor([3.0, 4.0]), deltas, max_delta=1.5)
    assert loss.tolist() == [3, 4]
    (loss * torch.tensor([1.0, 10.0])).sum().backward()
    assert raw.grad.tolist() == [[-1, 1.5, -0.5], [-15, 0, 15]]


def test_no_bound_on_deltas():
    raw = torch.zeros(1, 1, requires_grad=True)
    with_deltas(raw, torch.ones(1), torch.tensor([[1e6]])).sum().backward()
    assert raw.grad.item() == -1e6
