"""Non-maximum suppression on one thread.

Run: ``pytest tests/bench/bench_nms.py``. Random boxes with sides of 10 to 300 px in an image of
608 px; random boxes overlap less than a detector's, so more are kept. Warm-up is left out.
"""

import pytest
import torch

from model.nms import nms, suppress

SIZE = 608
KINDS = ("greedy", "diou", "darknet-greedy", "soft")
LIMITED = {"iou_threshold": 0.6, "score_threshold": 0.001, "max_detections": 100}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def random_boxes(count, rng):
    """Centres and sizes (count, 4), log-uniform sizes."""
    sizes = torch.exp(torch.rand(count, 2, generator=rng) * 3.4) * 10
    return torch.cat((torch.rand(count, 2, generator=rng) * SIZE, sizes), dim=1)


def random_corners(count, rng):
    boxes = random_boxes(count, rng)
    return torch.cat((boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2), dim=1)


@pytest.mark.parametrize("batch", [1, 32])
@pytest.mark.parametrize("kind", KINDS)
def test_suppress_1000_boxes(benchmark, batch, kind):
    rng = torch.Generator().manual_seed(0)
    boxes = torch.rand(batch, 1000, 4, generator=rng) * 0.5
    scores = torch.rand(batch, 1000, 1, generator=rng)
    benchmark.pedantic(
        lambda: suppress(boxes, scores, **LIMITED, kind=kind), rounds=20, warmup_rounds=2
    )


def test_suppress_32_small_images_of_80_classes(benchmark):
    rng = torch.Generator().manual_seed(0)
    boxes = torch.rand(32, 1575, 4, generator=rng) * 0.5
    scores = torch.rand(32, 1575, 80, generator=rng) ** 60  # a tenth is above the threshold
    benchmark.pedantic(lambda: suppress(boxes, scores, **LIMITED), rounds=10, warmup_rounds=1)


@pytest.mark.parametrize("kind", KINDS)
def test_suppress_all_of_22743_boxes_of_80_classes(benchmark, kind):
    rng = torch.Generator().manual_seed(0)
    boxes = random_boxes(22743, rng)[None] / SIZE
    scores = torch.rand(1, 22743, 80, generator=rng)
    benchmark.pedantic(
        lambda: suppress(boxes, scores, **LIMITED, kind=kind), rounds=3, warmup_rounds=1
    )


@pytest.mark.parametrize("share", [0.03, 1.0])
def test_nms_without_a_limit_of_22743_boxes_of_80_classes(benchmark, share):
    rng = torch.Generator().manual_seed(0)
    boxes = random_corners(22743, rng)
    scores = torch.rand(22743, 80, generator=rng)
    box, label = (scores > 1 - share).nonzero(as_tuple=True)
    some, best = boxes[box], scores[box, label]
    benchmark.pedantic(lambda: nms(some, best, 0.6, groups=label), rounds=1)


@pytest.mark.parametrize("kind", ["greedy", "diou", "darknet-greedy"])
def test_nms_without_a_limit_of_100000_boxes(benchmark, kind):
    rng = torch.Generator().manual_seed(0)
    boxes, scores = random_corners(100_000, rng), torch.rand(100_000, generator=rng)
    benchmark.pedantic(lambda: nms(boxes, scores, 0.5, kind), rounds=3, warmup_rounds=1)
