import pytest
import torch

from model.assign import assign_targets

# three scales of one anchor each, on grids of 8, 4 and 2 cells
ANCHORS = torch.tensor([[0.1, 0.1], [0.3, 0.3], [0.8, 0.8]])
GRIDS = [(8, 8), (4, 4), (2, 2)]


def target(x, y, w, h, image=0, label=0):
    return torch.tensor([[image, label, x, y, w, h]])


def slots(found):
    rows = zip(found.image, found.anchor, found.row, found.column, found.truth, strict=True)
    return [tuple(int(v) for v in row) for row in rows]


def test_best_anchor_alone_at_threshold_one():
    found = assign_targets(target(0.6, 0.3, 0.28, 0.28, image=2), ANCHORS, GRIDS, 1.0)
    assert [slots(f) for f in found] == [[], [(2, 0, 1, 2, 0)], []]


def test_further_anchors_above_the_threshold():
    # wh-IoU of 0.4 x 0.4: 1/16, 9/16, 1/4
    found = assign_targets(target(0.6, 0.3, 0.4, 0.4), ANCHORS, GRIDS, 0.213)
    assert [slots(f) for f in found] == [[], [(0, 0, 1, 2, 0)], [(0, 0, 0, 1, 0)]]


def test_the_threshold_itself_is_not_enough():
    found = assign_targets(target(0.6, 0.3, 0.4, 0.4), ANCHORS, GRIDS, 0.2501)
    assert [len(slots(f)) for f in found] == [0, 1, 0]


def test_best_anchor_is_kept_below_the_threshold():
    found = assign_targets(target(0.5, 0.5, 0.01, 0.01), ANCHORS, GRIDS, 0.5)
    assert [len(slots(f)) for f in found] == [1, 0, 0]


def test_several_anchors_of_one_scale():
    anchors = torch.tensor([[0.1, 0.1], [0.1, 0.12], [0.5, 0.5]])
    (found,) = assign_targets(target(0.1, 0.9, 0.1, 0.11), anchors, [(4, 4)], 0.213)
    assert slots(found) == [(0, 0, 3, 0, 0), (0, 1, 3, 0, 0)]


@pytest.mark.parametrize(("x", "cell"), [(0.0, 0), (0.25, 1), (0.2499, 0), (1.0, 3)])
def test_cells_at_borders(x, cell):
    (found,) = assign_targets(target(x, 1.0, 0.5, 0.5), ANCHORS[1:2], [(4, 4)], 1.0)
    assert slots(found) == [(0, 0, 3, cell, 0)]


def test_grid_that_is_not_square():
    (found,) = assign_targets(target(0.9, 0.9, 0.3, 0.3), ANCHORS[1:2], [(2, 10)], 1.0)
    assert slots(found) == [(0, 0, 1, 9, 0)]


def test_two_truths_may_share_a_slot():
    both = torch.cat((target(0.6, 0.3, 0.3, 0.3), target(0.62, 0.3, 0.31, 0.3, label=1)))
    assert slots(assign_targets(both, ANCHORS, GRIDS, 1.0)[1]) == [
        (0, 0, 1, 2, 0), (0, 0, 1, 2, 1),
    ]  # fmt: skip


def test_no_truth():
    assert [slots(f) for f in assign_targets(torch.zeros(0, 6), ANCHORS, GRIDS, 0.2)] == [[]] * 3
