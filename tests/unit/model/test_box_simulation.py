import itertools

import numpy as np
import pytest
import torch

from model.box_simulation import (
    ASPECTS,
    LOSSES,
    SCALES,
    Cases,
    descend,
    make_cases,
    make_points,
    simulate,
    uphill,
)  # fmt: skip
from model.boxes import paired_overlap
from model.errors import ConfigurationError


def few_cases(points=3, seed=1):
    return make_cases(make_points(points, seed), np.float64)


def as_boxes(cases):
    """Boxes and targets (N, 4) around (10, 10), as the paper has them."""
    centre, size, target = (torch.from_numpy(part).T for part in vars(cases).values())
    return torch.cat((centre + 10, size), 1), torch.cat((torch.full_like(target, 10), target), 1)


def autograd(boxes, targets, loss):
    boxes = boxes.detach().requires_grad_()
    paired_overlap(boxes, targets, loss).sum().backward()
    return boxes.grad


def darknet(boxes, targets, loss):
    """The authors' gradient, from the true ones of its parts."""
    twice = torch.tensor([1.0, 1, 2, 2])
    if loss in ("iou", "giou"):
        return autograd(boxes, targets, loss) * twice
    iou, diou = (autograd(boxes, targets, name) for name in ("iou", "diou"))
    gradient = iou * twice + (diou - iou)
    if loss == "ciou":
        aspect = autograd(boxes, targets, "ciou") - diou
        gradient += aspect * boxes[:, 2:].square().sum(dim=1, keepdim=True)
    return gradient


GRADIENTS = {"autograd": autograd, "darknet": darknet}
every = pytest.mark.parametrize(
    ("loss", "gradient"), list(itertools.product(LOSSES, GRADIENTS))
)  # fmt: skip


@every
def test_gradients_are_those_of_autograd(loss, gradient):
    cases = few_cases()
    boxes, targets = as_boxes(cases)
    iou, by_centre, by_size = uphill(cases, loss, gradient)
    expected = GRADIENTS[gradient](boxes, targets, loss).T.numpy()
    np.testing.assert_allclose(iou, paired_overlap(boxes, targets, "iou"), atol=1e-8)
    np.testing.assert_allclose(by_centre, expected[:2], atol=1e-7)
    np.testing.assert_allclose(by_size, expected[2:], atol=1e-7)
    assert np.abs(by_size).max() > 0.1


@every
def test_nested_and_separate_boxes_have_autograds_gradient(loss, gradient):
    # inside, around, across, beside, and far off diagonally
    centre = np.array([[0.1, -0.1, 0.05, 1.5, 3.0], [0.2, 0.1, -0.1, 0.1, -4.0]])
    size = np.array([[0.3, 2.5, 3.0, 0.7, 0.5], [0.4, 3.5, 0.3, 0.6, 2.0]])
    cases = Cases(centre, size, np.ones((2, 5)))
    boxes, targets = as_boxes(cases)
    _, *found = uphill(cases, loss, gradient)
    expected = GRADIENTS[gradient](boxes, targets, loss).T
    np.testing.assert_allclose(np.concatenate(found), expected, atol=1e-7)


@every
def test_descent_is_that_of_a_plain_loop(loss, gradient):
    cases = few_cases(points=2)
    boxes, targets = as_boxes(cases)
    expected = [(boxes - targets).abs().sum().item()]
    for step in [0.1] * 8 + [0.01] + [0.001]:
        iou = paired_overlap(boxes, targets, "iou")[:, None]
        boxes = boxes + step * (2 - iou) * GRADIENTS[gradient](boxes, targets, loss)
        expected.append((boxes - targets).abs().sum().item())
    assert list(descend(cases, loss, 10, gradient)) == pytest.approx(expected, rel=1e-7)


def test_ciou_is_diou_at_equal_aspect():
    cases = few_cases()
    same = Cases(cases.centre, cases.target * 1.5, cases.target)
    for plain, complete in zip(uphill(same, "diou"), uphill(same, "ciou"), strict=True):
        np.testing.assert_allclose(complete, plain, atol=1e-12)


def test_iou_cannot_move_a_box_apart_from_its_target():
    apart = Cases(np.array([[2.0], [0.0]]), np.ones((2, 1)), np.ones((2, 1)))
    assert [part.item() for part in uphill(apart, "iou")[1][:, 0]] == [0, 0]
    assert len(set(descend(apart, "iou", 20))) == 1
    errors = list(descend(apart, "diou", 200))
    assert errors[-1] < errors[0] / 100


def test_cases_are_every_anchor_at_every_point_with_every_target():
    cases = few_cases(points=2)
    assert cases.centre.shape == (2, 2 * 343)
    rows = np.round(np.concatenate((cases.centre, cases.size, cases.target)).T, 9)
    assert len(np.unique(rows, axis=0)) == 2 * 343
    np.testing.assert_allclose(np.unique(np.round(cases.size.prod(axis=0), 9)), SCALES)
    np.testing.assert_allclose(cases.target.prod(axis=0), 1)
    for sides in (cases.size, cases.target):
        np.testing.assert_allclose(np.unique(np.round(sides[0] / sides[1], 9)), ASPECTS)


def test_points_are_uniform_over_the_disc():
    points = make_points(4000, 0)
    radius = np.hypot(*points)
    assert radius.max() <= 3
    # a quarter of the area lies within half the radius, and half of it on each side
    assert (radius < 1.5).mean() == pytest.approx(0.25, abs=0.03)
    np.testing.assert_allclose((points > 0).mean(axis=1), 0.5, atol=0.03)
    assert points.tolist() == make_points(4000, 0).tolist()
    assert points.tolist() != make_points(4000, 1).tolist()


def test_single_precision_is_enough():
    points = make_points(2, 5)
    for loss in LOSSES:
        single, double = (
            list(descend(make_cases(points, dtype), loss, 60))
            for dtype in (np.float32, np.float64)
        )
        assert single == pytest.approx(double, rel=2e-3)


def test_threads_and_parts_do_not_change_the_sums(monkeypatch):
    options = {"points": 7, "iterations": 5, "seed": 2}
    one = simulate(("giou", "ciou"), **options, threads=1)
    two = simulate(("giou", "ciou"), **options, threads=2)
    monkeypatch.setattr("model.box_simulation.POINTS_AT_ONCE", 2)
    parts = simulate(("giou", "ciou"), **options)
    for loss in ("giou", "ciou"):
        assert one[loss].shape == (6,)
        assert one[loss].tolist() == two[loss].tolist()
        np.testing.assert_allclose(parts[loss], one[loss], rtol=1e-5)


def test_order_of_the_paper():
    final = {loss: errors[-1] for loss, errors in simulate(points=12, threads=1).items()}
    assert final["iou"] > 10 * final["giou"] > 20 * final["diou"]
    assert final["diou"] > final["ciou"]


def test_true_gradients_let_giou_overtake_diou():
    final = simulate(("giou", "diou"), points=12, gradient="autograd", threads=1)
    assert final["diou"][-1] > final["giou"][-1]


def test_a_loss_named_twice_is_done_once():
    twice = simulate(("iou", "iou"), points=1, iterations=1)
    assert twice["iou"].tolist() == simulate(("iou",), points=1, iterations=1)["iou"].tolist()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"losses": ("cuio",)}, "knows no loss 'cuio'(.|\n)*did you mean 'ciou'"),
        ({"losses": ()}, "no loss to simulate"),
        ({"gradient": "darkent"}, "knows no gradient 'darkent'(.|\n)*'darknet'"),
        ({"points": 0}, "points is 0"),
        ({"iterations": 0}, "iterations is 0"),
        ({"threads": 0}, "threads is 0"),
    ],
)
def test_bad_input_is_told(options, message):
    with pytest.raises(ConfigurationError, match=message):
        simulate(**options)
