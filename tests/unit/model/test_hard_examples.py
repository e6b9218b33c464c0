import pytest
import torch

from model.hard_examples import hardest_slots
from tests.unit.model.loss_by_loops import hardest_by_loops

SAME, NEAR, FAR = [0.5, 0.5, 0.2, 0.2], [0.51, 0.5, 0.2, 0.2], [0.1, 0.1, 0.1, 0.1]


def hardest(boxes, losses, limit, positive=(), threshold=0.7, ratio=0.0):
    """Places in the only image."""
    marks = torch.zeros(1, len(losses), dtype=torch.bool)
    marks[0, list(positive)] = True
    found = hardest_slots(
        torch.tensor([boxes]), torch.tensor([losses]), marks, limit,
        iou_threshold=threshold, ratio=ratio,
    )  # fmt: skip
    return found[0].nonzero()[:, 0].tolist()


def apart(count):
    return [[0.1 * i, 0.5, 0.05, 0.05] for i in range(count)]


def test_the_largest_losses_are_chosen():
    assert hardest(apart(5), [0.1, 3.0, 0.2, 2.0, 0.3], 2) == [1, 3]


def test_of_overlapping_slots_the_hardest_is_left():
    assert hardest([SAME, NEAR, FAR], [1.0, 2.0, 0.5], 2) == [1, 2]
    assert hardest([SAME, NEAR, FAR], [1.0, 2.0, 0.5], 2, threshold=0.95) == [0, 1]


def test_what_is_removed_removes_nothing():
    chain = [[0.5 + 0.03 * i, 0.5, 0.2, 0.2] for i in range(3)]  # neighbours have IoU 0.74
    assert hardest(chain, [3.0, 2.0, 1.0], 3) == [0, 2]


def test_slots_without_a_loss_are_never_chosen():
    assert hardest(apart(3), [0.0, 1.0, 0.0], 3) == [1]
    assert hardest(apart(3), [0.0, 0.0, 0.0], 3, positive=[0], ratio=3.0) == []


@pytest.mark.parametrize(
    ("ratio", "limit", "expected"),
    [
        (0.0, 3, [1, 2, 3]),  # no precedence: the positive is the easiest of all
        (1.0, 9, [0, 1]),
        (2.5, 9, [0, 1, 2]),
        (3.0, 3, [0, 1, 2]),
        (3.0, 1, [0]),
    ],
)
def test_positives_come_first_with_a_ratio(ratio, limit, expected):
    assert hardest(apart(5), [0.1, 5, 4, 3, 2], limit, positive=[0], ratio=ratio) == expected


def test_without_a_positive_there_is_no_negative():
    assert hardest(apart(3), [3.0, 2.0, 1.0], 3, ratio=3.0) == []


def test_a_suppressed_positive_earns_no_negatives():
    boxes = [SAME, NEAR, FAR, [0.9, 0.9, 0.1, 0.1]]
    assert hardest(boxes, [3.0, 2.0, 1.0, 0.5], 4, positive=[0, 1], ratio=1.0) == [0, 2]


def test_endless_boxes_take_part():
    boxes = [[0.5, 0.5, float("inf"), 1.0], [0.5, 0.5, float("nan"), 1.0], FAR]
    assert hardest(boxes, [3.0, 2.0, 1.0], 3) == [0, 1, 2]


@pytest.mark.parametrize("ratio", [0.0, 0.7, 3.0])
@pytest.mark.parametrize("limit", [1, 5, 40, 500])
@pytest.mark.parametrize("threshold", [0.0, 0.5, 0.7, 1.0])
def test_as_by_loops(ratio, limit, threshold):
    """Crowds, so that the first look at a few slots is not enough for a small limit."""
    rng = torch.Generator().manual_seed(limit)
    boxes = torch.rand(3, 120, 4, generator=rng, dtype=torch.float64) * 0.04 + 0.4
    boxes[1] = torch.rand(120, 4, generator=rng, dtype=torch.float64)
    losses = torch.rand(3, 120, generator=rng).clamp(min=0.05) - 0.05
    positive = torch.rand(3, 120, generator=rng) < 0.1
    found = hardest_slots(boxes, losses, positive, limit, iou_threshold=threshold, ratio=ratio)
    for i in range(3):
        expected = hardest_by_loops(
            boxes[i].tolist(), losses[i].tolist(), positive[i].tolist(), limit, threshold, ratio
        )
        assert set(found[i].nonzero()[:, 0].tolist()) == expected
