"""Suppression equals the plain loop, whatever the boxes, their order and their batch."""

from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model import box_pairs, nms_greedy
from model.nms import nms, soft_nms, suppress

GREEDY = ("greedy", "diou", "darknet-greedy")
BETAS = {"diou": 1.0, "darknet-greedy": 0.6}
SOFT = ("gaussian", "linear")

# corners on a small grid meet all the time: equal, nested, touching and empty boxes
corner = st.integers(0, 5)
score = st.sampled_from([0.0, 0.125, 0.25, 0.5, 0.75, 0.9])
box = st.tuples(corner, corner, st.integers(0, 4), st.integers(0, 4), score, st.integers(0, 2))
places = st.sampled_from([(1.0, 0.0), (0.001, 0.0), (0.1, -0.3), (1500.0, -1e4), (0.25, 9999.0)])
thresholds = st.sampled_from([0.0, 0.25, 1 / 3, 0.5, 0.6, 0.75, 1.0])
seeds = st.integers(0, 2**32 - 1)


@st.composite
def grids(draw):
    """Boxes (N, 4), scores (N,) and groups (N,)."""
    rows = np.array(draw(st.lists(box, max_size=24)), dtype=np.float32).reshape(-1, 6)
    scale, shift = draw(places)
    corners = np.concatenate((rows[:, :2], rows[:, :2] + rows[:, 2:4]), axis=1)
    corners = (corners * np.float32(scale) + np.float32(shift)).astype(np.float32)
    return tuple(map(torch.from_numpy, (corners, rows[:, 4].copy(), rows[:, 5].astype(np.int64))))


def crowd(seed, count, groups=3):
    """Boxes around a few centres, of sizes that differ by a factor of four; few scores."""
    rng = np.random.default_rng(seed)
    centre = rng.uniform(0, 100, (5, 2))[rng.integers(0, 5, count)] + rng.normal(0, 4, (count, 2))
    half = np.exp(rng.uniform(1, 2.4, (count, 2)))
    boxes = np.concatenate((centre - half, centre + half), axis=1).astype(np.float32)
    scores = (rng.integers(1, 50, count) / 50).astype(np.float32)
    return tuple(map(torch.from_numpy, (boxes, scores, rng.integers(0, groups, count))))


def overlap_table(boxes, kind):
    """Float32 overlap of every box with every box."""
    x0, y0, x1, y1 = boxes.T
    wide = np.maximum(np.minimum.outer(x1, x1) - np.maximum.outer(x0, x0), 0)
    high = np.maximum(np.minimum.outer(y1, y1) - np.maximum.outer(y0, y0), 0)
    area, common = (x1 - x0) * (y1 - y0), wide * high
    union = np.add.outer(area, area) - common
    iou = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
    if kind not in BETAS:
        return iou
    hull = (np.maximum.outer(x1, x1) - np.minimum.outer(x0, x0)) ** 2
    hull += (np.maximum.outer(y1, y1) - np.minimum.outer(y0, y0)) ** 2
    apart = (np.subtract.outer(x0 + x1, x0 + x1) / 2) ** 2
    apart += (np.subtract.outer(y0 + y1, y0 + y1) / 2) ** 2
    ratio = np.divide(apart, hull, out=np.zeros_like(hull), where=hull > 0)
    return iou - (ratio.astype(np.float64) ** BETAS[kind]).astype(np.float32)


def ranked(boxes, scores, groups):
    return sorted(range(len(boxes)), key=lambda i: (-scores[i], *boxes[i].tolist(), groups[i], i))


def one_by_one(boxes, scores, groups, threshold, kind):
    """Places of what is kept, as the definition says it."""
    boxes, scores, groups = boxes.numpy(), scores.numpy(), groups.numpy()
    table, kept = overlap_table(boxes, kind), []
    for i in ranked(boxes, scores, groups):
        rivals = [j for j in kept if groups[j] == groups[i]]
        if not any(table[j, i] > np.float32(threshold) for j in rivals):
            kept.append(i)
    return kept


def soft_one_by_one(boxes, scores, groups, threshold, decay, sigma=0.5, floor=0.001):
    """Places and lowered scores, as the definition says it."""
    boxes, left, groups = boxes.numpy(), scores.numpy().copy(), groups.numpy()
    table, kept = overlap_table(boxes, "soft"), []
    todo = set(range(len(boxes)))
    while todo:
        best = min(todo, key=lambda i: (-left[i], *boxes[i].tolist(), groups[i], i))
        todo.remove(best)
        if left[best] <= np.float32(floor):
            break
        kept.append((best, float(left[best])))
        for other in todo:
            if groups[other] == groups[best]:
                iou = table[best, other]
                linear = 1 - iou if iou > np.float32(threshold) else np.float32(1)
                gaussian = np.float32(np.exp(-(np.float64(iou) ** 2) / sigma))
                left[other] *= linear if decay == "linear" else gaussian
    return kept


def rows(boxes, groups, found):
    """What was found, without the place it had in the input."""
    return [(*boxes[i].tolist(), int(groups[i])) for i in found]


@pytest.mark.parametrize("kind", GREEDY)
@settings(deadline=None, max_examples=120)
@given(grid=grids(), threshold=thresholds)
def test_equals_the_plain_loop(kind, grid, threshold):
    boxes, scores, groups = grid
    found = nms(boxes, scores, threshold, kind, groups=groups)
    assert found.tolist() == one_by_one(*grid, threshold, kind)
    alone = nms(boxes, scores, threshold, kind)
    assert alone.tolist() == one_by_one(boxes, scores, groups * 0, threshold, kind)


@pytest.mark.parametrize("kind", GREEDY)
@settings(deadline=None, max_examples=20)
@given(seed=seeds, threshold=st.floats(0, 1))
def test_equals_the_plain_loop_in_many_waves_and_few_rounds(kind, seed, threshold):
    boxes, scores, groups = crowd(seed, 120)
    expected = one_by_one(boxes, scores, groups, threshold, kind)
    small = {"FIRST_WAVE": 8, "MOST_PAIRS": 28, "ROUNDS": 1}
    with patch.multiple(nms_greedy, **small), patch.dict(box_pairs.CELLS, cpu=512):
        found = nms(boxes, scores, threshold, kind, groups=groups)
    assert found.tolist() == expected


@pytest.mark.parametrize("decay", SOFT)
@settings(deadline=None, max_examples=60)
@given(grid=grids(), threshold=thresholds)
def test_soft_equals_the_plain_loop(decay, grid, threshold):
    boxes, scores, groups = grid
    found, lowered = soft_nms(boxes, scores, threshold, groups=groups, decay=decay)
    expected = soft_one_by_one(*grid, threshold, decay)
    assert found.tolist() == [i for i, _ in expected]
    assert lowered.tolist() == pytest.approx([value for _, value in expected])
    alone = nms(boxes, scores, threshold, "soft", groups=groups, decay=decay)
    assert torch.equal(alone, found)


@pytest.mark.parametrize("kind", [*GREEDY, "soft"])
@settings(deadline=None, max_examples=50)
@given(grid=grids(), threshold=thresholds, seed=seeds)
def test_order_of_the_boxes_does_not_matter(kind, grid, threshold, seed):
    boxes, scores, groups = grid
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(boxes)))
    straight = nms(boxes, scores, threshold, kind, groups=groups)
    mixed = nms(boxes[order], scores[order], threshold, kind, groups=groups[order])
    assert rows(boxes, groups, straight) == rows(boxes[order], groups[order], mixed)


@pytest.mark.parametrize("kind", GREEDY)
@settings(deadline=None, max_examples=50)
@given(grid=grids(), threshold=thresholds)
def test_suppressing_twice_changes_nothing(kind, grid, threshold):
    boxes, scores, groups = grid
    once = nms(boxes, scores, threshold, kind, groups=groups)
    again = nms(boxes[once], scores[once], threshold, kind, groups=groups[once])
    assert again.tolist() == list(range(len(once)))


@pytest.mark.parametrize("kind", GREEDY)
@settings(deadline=None, max_examples=50)
@given(grid=grids(), threshold=thresholds)
def test_what_is_kept_overlaps_too_little_and_the_rest_too_much(kind, grid, threshold):
    boxes, scores, _ = grid
    kept = nms(boxes, scores, threshold, kind)
    assert (scores[kept].diff() <= 0).all()
    above = overlap_table(boxes.numpy(), kind) > np.float32(threshold)
    np.fill_diagonal(above, False)
    kept = kept.numpy()
    assert not above[np.ix_(kept, kept)].any()
    removed = np.setdiff1d(np.arange(len(boxes)), kept)
    assert above[np.ix_(kept, removed)].any(axis=0).all()


@pytest.mark.parametrize("kind", [*GREEDY, "soft"])
@settings(deadline=None, max_examples=40)
@given(grid=grids(), threshold=thresholds)
def test_groups_are_as_if_each_were_alone(kind, grid, threshold):
    boxes, scores, groups = grid
    together = nms(boxes, scores, threshold, kind, groups=groups * 10**12 - 7)
    for group in range(3):
        mine = (groups == group).nonzero()[:, 0]
        alone = mine[nms(boxes[mine], scores[mine], threshold, kind)]
        assert together[groups[together] == group].tolist() == alone.tolist()


@pytest.mark.parametrize("kind", [*GREEDY, "soft"])
@settings(deadline=None, max_examples=25)
@given(seed=seeds, images=st.integers(1, 4), count=st.integers(0, 40), limit=st.integers(1, 12))
def test_an_image_is_the_same_alone_and_in_a_batch(kind, seed, images, count, limit):
    boxes, scores, _ = crowd(seed, images * count)
    boxes = boxes.view(images, count, 4)
    boxes = torch.cat(((boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]), 2)
    scores = torch.stack((scores, scores.flip(0)), dim=-1).view(images, count, 2)
    rule = {
        "iou_threshold": 0.4, "score_threshold": 0.1, "max_detections": limit, "kind": kind,
        "beta": 0.6,
    }  # fmt: skip
    together = suppress(boxes, scores, **rule)
    mixed = suppress(boxes.flip(1), scores.flip(1), **rule)
    for image, found in enumerate(together):
        alone = suppress(boxes[image : image + 1], scores[image : image + 1], **rule)[0]
        for part in ("boxes_xyxy", "scores", "labels"):
            assert torch.equal(getattr(found, part), getattr(alone, part))
            assert torch.equal(getattr(found, part), getattr(mixed[image], part))


@pytest.mark.parametrize("kind", [*GREEDY, "soft"])
@settings(deadline=None, max_examples=25)
@given(seed=seeds, limit=st.integers(1, 150))
def test_a_limit_keeps_the_best_of_all(kind, seed, limit):
    # a limit looks at few candidates first; without one, all are looked at
    boxes, scores, _ = crowd(seed, 100)
    boxes = torch.cat(((boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]), 1)[None]
    rule = {"iou_threshold": 0.3, "score_threshold": 0.05, "kind": kind}
    scores = scores.view(1, -1, 1)
    few = suppress(boxes, scores, max_detections=limit, **rule)[0]
    every = suppress(boxes, scores, max_detections=1000, **rule)[0]
    assert torch.equal(few.boxes_xyxy, every.boxes_xyxy[:limit])
    assert torch.equal(few.scores, every.scores[:limit])


@pytest.mark.parametrize("kind", GREEDY)
@settings(deadline=None, max_examples=40)
@given(seed=seeds, count=st.integers(0, 30), spread=st.floats(0.05, 1))
def test_detections_are_sorted_and_suppressing_them_changes_nothing(kind, seed, count, spread):
    rng = torch.Generator().manual_seed(seed)
    some = torch.rand(1, count, 4, generator=rng) * spread + 0.01
    scores = torch.rand(1, count, 1, generator=rng)
    rule = {
        "iou_threshold": 0.5, "score_threshold": 0.1, "max_detections": 100, "kind": kind,
    }  # fmt: skip
    once = suppress(some, scores, **rule)[0]
    assert (once.scores.diff() <= 0).all()
    low, high = once.boxes_xyxy[:, :2], once.boxes_xyxy[:, 2:]
    again = suppress(
        torch.cat(((low + high) / 2, high - low), dim=1)[None], once.scores[None, :, None], **rule
    )[0]
    assert torch.equal(again.scores, once.scores)
