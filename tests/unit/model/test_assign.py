import pytest
import torch

from model.assign import SharedSlots, assign_targets

# three scales of one anchor each, on grids of 8, 4 and 2 cells
ANCHORS = torch.tensor([[0.1, 0.1], [0.3, 0.3], [0.8, 0.8]])
MASKS = ((0,), (1,), (2,))
GRIDS = [(8, 8), (4, 4), (2, 2)]
NO_TRUTH = torch.zeros(0, 6)


def target(x, y, w, h, image=0, label=0):
    return torch.tensor([[image, label, x, y, w, h]])


def slots(found, scale, per_scale=1):
    """Rows (image, anchor of the scale, row, column, truth) of the positive pairs of a scale."""
    start = sum(found.per_scale[:scale])
    pairs = range(start, start + found.per_scale[scale])
    return sorted(
        (
            int(found.image[p]), int(found.place[p]) - scale * per_scale,
            int(found.cell_xy[p, 1]), int(found.cell_xy[p, 0]), int(found.truth[p]),
        )
        for p in pairs if found.positive[p]
    )  # fmt: skip


def counts(found):
    return [len(slots(found, scale)) for scale in range(len(found.per_scale))]


@pytest.fixture(params=[False, True], ids=["listed", "padded"])
def assign(request):
    """Either way of working; both must find the same."""

    def run(targets, anchors, grids, threshold, masks=None):
        masks = masks or tuple((n,) for n in range(len(anchors)))
        return assign_targets(targets, anchors, masks, grids, threshold, padded=request.param)

    return run


def test_best_anchor_alone_at_threshold_one(assign):
    found = assign(target(0.6, 0.3, 0.28, 0.28, image=2), ANCHORS, GRIDS, 1.0)
    assert [slots(found, s) for s in range(3)] == [[], [(2, 0, 1, 2, 0)], []]


def test_further_anchors_above_the_threshold(assign):
    # wh-IoU of 0.4 x 0.4: 1/16, 9/16, 1/4
    found = assign(target(0.6, 0.3, 0.4, 0.4), ANCHORS, GRIDS, 0.213)
    assert [slots(found, s) for s in range(3)] == [[], [(0, 0, 1, 2, 0)], [(0, 0, 0, 1, 0)]]


def test_the_threshold_itself_is_not_enough(assign):
    assert counts(assign(target(0.6, 0.3, 0.4, 0.4), ANCHORS, GRIDS, 0.2501)) == [0, 1, 0]


def test_best_anchor_is_kept_below_the_threshold(assign):
    assert counts(assign(target(0.5, 0.5, 0.01, 0.01), ANCHORS, GRIDS, 0.5)) == [1, 0, 0]


def test_several_anchors_of_one_scale(assign):
    anchors = torch.tensor([[0.1, 0.1], [0.1, 0.12], [0.5, 0.5]])
    found = assign(target(0.1, 0.9, 0.1, 0.11), anchors, [(4, 4)], 0.213, masks=((0, 1, 2),))
    assert slots(found, 0, per_scale=3) == [(0, 0, 3, 0, 0), (0, 1, 3, 0, 0)]


@pytest.mark.parametrize(("x", "cell"), [(0.0, 0), (0.25, 1), (0.2499, 0), (1.0, 3)])
def test_cells_at_borders(assign, x, cell):
    found = assign(target(x, 1.0, 0.5, 0.5), ANCHORS[1:2], [(4, 4)], 1.0)
    assert slots(found, 0) == [(0, 0, 3, cell, 0)]


def test_grid_that_is_not_square(assign):
    found = assign(target(0.9, 0.9, 0.3, 0.3), ANCHORS[1:2], [(2, 10)], 1.0)
    assert slots(found, 0) == [(0, 0, 1, 9, 0)]


def test_two_truths_may_share_a_slot(assign):
    both = torch.cat((target(0.6, 0.3, 0.3, 0.3), target(0.62, 0.3, 0.31, 0.3, label=1)))
    found = assign(both, ANCHORS, GRIDS, 1.0)
    assert slots(found, 1) == [(0, 0, 1, 2, 0), (0, 0, 1, 2, 1)]


def test_no_truth(assign):
    found = assign(NO_TRUTH, ANCHORS, GRIDS, 0.2)
    assert len(found.truth) == 0
    assert found.per_scale == (0, 0, 0)


# yolov4-tiny's masks, in small: anchor 0 in no scale, anchor 2 in both
TINY_ANCHORS = torch.tensor([[0.1, 0.1], [0.2, 0.2], [0.4, 0.4], [0.8, 0.8]])
TINY_MASKS = ((1, 2), (2, 3))


def test_best_anchor_of_two_scales_answers_in_both(assign):
    found = assign(target(0.6, 0.3, 0.4, 0.4), TINY_ANCHORS, [(4, 4), (2, 2)], 1.0, TINY_MASKS)
    assert slots(found, 0, 2) == [(0, 1, 1, 2, 0)]
    assert slots(found, 1, 2) == [(0, 0, 0, 1, 0)]


def test_a_truth_whose_best_anchor_is_in_no_scale_has_no_slot(assign):
    small = target(0.6, 0.3, 0.1, 0.1)
    assert counts(assign(small, TINY_ANCHORS, [(4, 4), (2, 2)], 1.0, TINY_MASKS)) == [0, 0]
    # wh-IoU with the second anchor is 1/4
    assert counts(assign(small, TINY_ANCHORS, [(4, 4), (2, 2)], 0.213, TINY_MASKS)) == [1, 0]


def test_slots_are_numbered_by_scale_anchor_row_and_column(assign):
    found = assign(target(0.6, 0.3, 0.4, 0.4), TINY_ANCHORS, [(3, 5), (1, 2)], 1.0, TINY_MASKS)
    # 0.6 of 5 columns and 0.3 of 3 rows: cell (3, 0) of the second anchor; then cell (1, 0)
    assert found.slot[found.positive].tolist() == [15 + 3, 30 + 1]
    assert found.slots == 30 + 4
    assert found.anchor[found.positive].tolist() == [2, 2]
    assert found.grid_wh[found.positive].tolist() == [[5, 3], [2, 1]]


def test_what_meets_in_a_slot(assign):
    truths = torch.cat((
        target(0.6, 0.3, 0.3, 0.3, image=1), target(0.1, 0.1, 0.3, 0.3, image=1, label=2),
        target(0.62, 0.3, 0.31, 0.3, image=1, label=1),
    ))  # fmt: skip
    found = assign(truths, ANCHORS, GRIDS, 1.0)
    labels = truths[found.truth, 1].long()
    shared = SharedSlots.build(found, labels, 2, 3)
    used = found.positive
    assert shared.slots == 2 * 84
    assert shared.slot[used].tolist() == [84 + 64 + 6, 84 + 64, 84 + 64 + 6]
    assert shared.speaks[used].sum() == 2
    assert shared.speaker[used][0] == shared.speaker[used][2] != shared.speaker[used][1]
    assert shared.classes[shared.speaker[used]].tolist() == [[1, 1, 0], [0, 0, 1], [1, 1, 0]]
    assert shared.classes_met()[used].tolist() == [2, 1, 2]
    assert shared.marked().nonzero().flatten().tolist() == [148, 154]
    largest = shared.largest(labels.float() + 5, -1.0)
    assert [largest[148], largest[154], largest[0]] == [7, 6, -1]
