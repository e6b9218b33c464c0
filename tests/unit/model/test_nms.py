import pytest
import torch

from model.boxes import pairwise_iou
from model.nms import suppress

RULE = {"iou_threshold": 0.5, "score_threshold": 0.05, "max_detections": 100}


def overlaps(boxes, kind):
    """Overlap of every box with every box, both as nested lists."""
    iou = pairwise_iou(boxes, boxes)
    if kind == "greedy":
        return iou.tolist()
    a, b = boxes[:, None], boxes[None]
    hull = torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])
    apart = ((a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]) / 2).square().sum(dim=-1)
    return (iou - apart / hull.square().sum(dim=-1)).tolist()


def brute_force(boxes, scores, kind, *, iou_threshold, score_threshold, max_detections):
    """Box after box and class after class, in plain Python: (slot, class) of what is kept."""
    half = boxes[:, 2:] / 2
    corners = torch.cat((boxes[:, :2] - half, boxes[:, :2] + half), dim=1)
    table, kept = overlaps(corners, kind), []
    for label in range(scores.shape[1]):
        order = sorted(range(len(boxes)), key=lambda i: -scores[i, label])
        mine = []
        for i in order:
            clear = all(table[i][j] <= iou_threshold for j in mine)
            if scores[i, label] > score_threshold and clear:
                mine.append(i)
        kept += [(i, label) for i in mine]
    kept.sort(key=lambda pair: -scores[pair])
    kept = kept[:max_detections]
    return [(round(scores[pair].item(), 6), pair[1]) for pair in kept]


def pairs(found):
    return [
        (round(s, 6), k) for s, k in zip(found.scores.tolist(), found.labels.tolist(), strict=True)
    ]


def random_boxes(batch, count, classes, spread=1.0, seed=0):
    rng = torch.Generator().manual_seed(seed)
    boxes = torch.rand(batch, count, 4, generator=rng)
    boxes[..., :2] *= spread
    boxes[..., 2:] = boxes[..., 2:] * 0.3 + 0.02
    return boxes, torch.rand(batch, count, classes, generator=rng)


@pytest.mark.parametrize("kind", ["greedy", "diou"])
@pytest.mark.parametrize("spread", [0.05, 0.3, 1.0])
@pytest.mark.parametrize("limit", [3, 100])
def test_equals_brute_force(kind, spread, limit):
    boxes, scores = random_boxes(2, 60, 3, spread)
    rule = RULE | {"max_detections": limit}
    for found, b, s in zip(suppress(boxes, scores, **rule, kind=kind), boxes, scores, strict=True):
        assert pairs(found) == brute_force(b, s, kind, **rule)


@pytest.mark.parametrize("kind", ["greedy", "diou"])
def test_chains_are_cut_greedily(kind):
    # each box overlaps its neighbours only: the best removes two, the third stays
    x = torch.arange(12.0) * 0.04
    boxes = torch.stack((x, x * 0, x * 0 + 0.12, x * 0 + 0.1), dim=1)[None]
    scores = torch.linspace(0.9, 0.3, 12)[None, :, None]
    rule = RULE | {"iou_threshold": 0.3}
    found = suppress(boxes, scores, **rule, kind=kind)[0]
    assert pairs(found) == brute_force(boxes[0], scores[0], kind, **rule)
    assert 1 < len(found.scores) < 12


def test_best_candidates_that_are_all_alike_do_not_hide_the_rest():
    # more copies of one box than the first look holds, then other boxes far below them
    copies = torch.tensor([0.5, 0.5, 0.2, 0.2]).repeat(50, 1)
    others = torch.tensor([[0.1, 0.1, 0.1, 0.1], [0.9, 0.9, 0.1, 0.1]])
    scores = torch.cat((torch.linspace(0.99, 0.9, 50), torch.tensor([0.2, 0.1])))
    rule = RULE | {"max_detections": 3}
    found = suppress(torch.cat((copies, others))[None], scores[None, :, None], **rule)[0]
    assert found.scores.tolist() == pytest.approx([0.99, 0.2, 0.1])


def test_batch_and_padding_do_not_matter():
    boxes, scores = random_boxes(5, 80, 2)
    scores[1] *= 0.06
    scores[3] = 0
    scores = (scores * 10).round() / 10  # equal scores
    together = suppress(boxes, scores, **RULE)
    for index, found in enumerate(together):
        alone = suppress(boxes[index : index + 1], scores[index : index + 1], **RULE)[0]
        assert torch.equal(found.boxes_xyxy, alone.boxes_xyxy)
        assert torch.equal(found.scores, alone.scores)
        assert torch.equal(found.labels, alone.labels)
    assert len(together[3].scores) == 0


def test_equal_scores_keep_slot_order():
    boxes = torch.tensor([[[0.2, 0.2, 0.1, 0.1], [0.8, 0.8, 0.1, 0.1], [0.21, 0.2, 0.1, 0.1]]])
    found = suppress(boxes, torch.full((1, 3, 1), 0.5), **RULE)[0]
    assert found.boxes_xyxy[:, 0].tolist() == pytest.approx([0.15, 0.75])


def test_classes_do_not_suppress_each_other_and_a_box_may_have_several():
    boxes = torch.tensor([[[0.5, 0.5, 0.2, 0.2]]])
    found = suppress(boxes, torch.tensor([[[0.3, 0.9, 0.01]]]), **RULE)[0]
    assert found.labels.tolist() == [1, 0]


def test_diou_spares_a_distant_neighbour():
    # IoU 0.6 / 1.4; centres 0.4 apart in a hull of 1.4 x 1
    boxes = torch.tensor([[[0.5, 0.5, 1.0, 1.0], [0.9, 0.5, 1.0, 1.0]]])
    scores = torch.tensor([[[0.9], [0.8]]])
    rule = RULE | {"iou_threshold": 0.4}
    assert len(suppress(boxes, scores, **rule, kind="greedy")[0].scores) == 1
    assert len(suppress(boxes, scores, **rule, kind="diou")[0].scores) == 2


@pytest.mark.parametrize(("batch", "count"), [(0, 5), (2, 0), (2, 5)])
def test_nothing_to_keep(batch, count):
    found = suppress(torch.rand(batch, count, 4), torch.zeros(batch, count, 2), **RULE)
    assert [(f.boxes_xyxy.shape, len(f.scores), len(f.labels)) for f in found] == [
        ((0, 4), 0, 0)
    ] * batch


def test_arguments_are_left_alone():
    boxes, scores = random_boxes(1, 20, 2)
    before = boxes.clone(), scores.clone()
    suppress(boxes, scores, **RULE)
    assert torch.equal(boxes, before[0])
    assert torch.equal(scores, before[1])
