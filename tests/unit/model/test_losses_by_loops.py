"""The whole loss against darknet's rules in plain loops (loss_by_loops.py)."""

import pytest
import torch

from model.config import LossConfig
from model.geometry import Geometry
from model.losses import YoloLoss
from tests.unit.model.loss_by_loops import deltas_of_scale, positives

CLASSES = 3
BATCH = 2
# grids that are not square; anchor 0 in no scale, anchor 2 in both, as in yolov4-tiny
GEOMETRY = Geometry((16, 32), ((1, 2), (2, 3)), (1.2, 1.05), ((1, 1),) * 4)
ANCHORS = torch.tensor([[0.05, 0.08], [0.15, 0.2], [0.4, 0.3], [0.7, 0.8]])
GRIDS = ((4, 6), (2, 3))
COUNTS = torch.tensor([40, 10, 1])


def some_maps(seed=0, batch=BATCH):
    rng = torch.Generator().manual_seed(seed)
    return [
        torch.randn(batch, 2 * (5 + CLASSES), *grid, generator=rng).requires_grad_()
        for grid in GRIDS
    ]


def some_truths(seed=0, count=9):
    """Random truths, and two more in the cell of the first."""
    rng = torch.Generator().manual_seed(seed)
    truths = torch.rand(count, 6, generator=rng)
    truths[:, 0] = torch.arange(count) % BATCH
    truths[:, 1] = torch.arange(count) % CLASSES
    truths[:, 2:4] = truths[:, 2:4] * 0.9 + 0.05
    truths[:, 4:] = truths[:, 4:] * 0.6 + 0.05
    near = truths[:1].repeat(2, 1)
    near[:, 1] = torch.tensor([1.0, 0.0])
    near[:, 4:] *= 1.01
    return torch.cat((truths, near))


def gradients(config, maps, truths, batch_size=BATCH, counts=None, padded=False):
    loss = YoloLoss(config, GEOMETRY, ANCHORS, CLASSES, class_counts=counts, padded=padded)
    return torch.autograd.grad(loss(maps, truths, batch_size).total, maps)


def expected(config, maps, truths, multipliers=None):
    """Minus the deltas of all scales and images, over the batch."""
    found = []
    for raw, mask, scale_xy in zip(maps, GEOMETRY.masks, GEOMETRY.scales_xy, strict=True):
        images = [
            deltas_of_scale(
                raw[i].detach().double().unflatten(0, (2, -1)).tolist(),
                truths[truths[:, 0] == i].double().tolist(), ANCHORS.double().tolist(),
                mask, scale_xy, config, multipliers,
            )
            for i in range(BATCH)
        ]  # fmt: skip
        found.append(-torch.tensor(images).flatten(1, 2) / BATCH)
    return found


DARKNET = {"gradient": "darknet", "max_delta": 5.0, "iou_normalizer": 0.07}


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize(
    "values",
    [
        {"box": "mse", "iou_threshold": 1.0, "iou_normalizer": 0.75},
        {"box": "mse", "focal": True, "max_delta": 0.01},
        {"box": "iou", **DARKNET},
        {"box": "giou", **DARKNET, "label_smoothing": 0.1},
        {"box": "diou", **DARKNET, "ignore_threshold": 0.2, "obj_normalizer": 0.4},
        {"box": "ciou", **DARKNET},
        {"box": "ciou", **DARKNET, "iou_normalizer": 3.0, "max_delta": 0.5},
        {"box": "ciou", **DARKNET, "objectness_smooth": True, "ignore_threshold": 0.3},
    ],
)
def test_gradients_are_darknets_deltas(values, padded):
    config, maps, truths = LossConfig(**values), some_maps(), some_truths()
    found = gradients(config, maps, truths, padded=padded)
    for ours, theirs in zip(found, expected(config, maps, truths), strict=True):
        torch.testing.assert_close(ours, theirs.float(), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("bound", "multipliers"), [(0.0, [1.0, 4.0, 40.0]), (5.0, [1, 4, 5])])
def test_class_counters(bound, multipliers):
    config = LossConfig(
        box="mse", class_counters=True, max_delta=bound, cls_normalizer=0.5, iou_threshold=0.3
    )
    maps, truths = some_maps(1), some_truths(1)
    found = gradients(config, maps, truths, counts=COUNTS)
    for ours, theirs in zip(found, expected(config, maps, truths, multipliers), strict=True):
        torch.testing.assert_close(ours, theirs.float(), atol=1e-5, rtol=1e-4)


def test_the_loops_see_ignored_and_shared_slots():
    """Otherwise the comparisons above would say less than they seem to."""
    maps, truths = some_maps(), some_truths()
    kept = expected(LossConfig(ignore_threshold=1.0), maps, truths)
    some = expected(LossConfig(ignore_threshold=0.2), maps, truths)
    assert any((a != b).any() for a, b in zip(kept, some, strict=True))
    first = truths[truths[:, 0] == 0].tolist()
    pairs = list(positives(first, ANCHORS.tolist(), (1, 2), (6, 4), 0.213))
    slots = {(place, *cell) for place, cell, _ in pairs}
    assert 3 < len(slots) < len(pairs) - 1
