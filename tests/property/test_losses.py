"""The loss holds what it promises on any truths and any raw maps."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from model.box_gradients import overlap_deltas
from model.boxes import cxcywh_to_xyxy, paired_overlap
from model.config import LossConfig
from model.geometry import Geometry
from model.losses import YoloLoss

CLASSES = 2
BATCH = 3
MASKS = ((0, 1), (1, 2))
ANCHORS = torch.tensor([[0.1, 0.15], [0.3, 0.25], [0.6, 0.7]])
GRIDS = ((4, 6), (2, 3))
GEOMETRIES = {
    "plain": Geometry((16, 32), MASKS, (1.2, 1.05), ((1, 1),) * 3),
    "new_coords": Geometry((16, 32), MASKS, (2.0, 2.0), ((1, 1),) * 3, new_coords=True),
    "gaussian": Geometry((16, 32), MASKS, (1.0, 1.0), ((1, 1),) * 3, gaussian=True),
}
BOXES = ("mse", "smooth-l1", "iou", "iou-log", "giou", "diou", "ciou")

place = st.floats(0, 1, width=32)
side = st.floats(0.015625, 1, width=32)
truth = st.tuples(st.integers(0, BATCH - 1), st.integers(0, 1), place, place, side, side)
truths = st.lists(truth, max_size=8)
seeds = st.integers(0, 2**32 - 1)
configs = st.builds(
    LossConfig,
    box=st.sampled_from(BOXES),
    gradient=st.sampled_from(["autograd", "darknet"]),
    max_delta=st.sampled_from([0.0, 5.0]),
    iou_threshold=st.sampled_from([0.213, 1.0]),
    ignore_threshold=st.sampled_from([0.0, 0.4, 0.7]),
    label_smoothing=st.sampled_from([0.0, 0.1]),
    focal=st.booleans(),
    objectness_smooth=st.booleans(),
    class_counters=st.booleans(),
)
kinds = st.sampled_from(sorted(GEOMETRIES))


def make_maps(kind, seed, spread=1.0):
    geometry = GEOMETRIES[kind]
    rng = torch.Generator().manual_seed(seed)
    maps = [
        torch.randn(BATCH, geometry.outputs(CLASSES), *grid, generator=rng) * spread
        for grid in GRIDS
    ]
    maps = [m.sigmoid() for m in maps] if geometry.new_coords else maps
    return [m.requires_grad_() for m in maps]


def table(rows):
    return torch.tensor(rows, dtype=torch.float32).view(-1, 6)


def loss_of(kind, config, maps, rows, padded=False):
    loss = YoloLoss(
        config, GEOMETRIES[kind], ANCHORS, CLASSES, class_counts=torch.tensor([7, 2]),
        padded=padded,
    )  # fmt: skip
    return loss(maps, rows, BATCH)


def gradients(loss, maps):
    return torch.autograd.grad(loss.total, maps)


def parts(loss):
    return torch.stack((loss.box, loss.objectness, loss.classes))


@settings(max_examples=40)
@given(kind=kinds, config=configs, rows=truths, seed=seeds, data=st.data())
def test_order_of_truths_and_way_of_working_do_not_matter(kind, config, rows, seed, data):
    maps, shuffled = make_maps(kind, seed), data.draw(st.permutations(rows))
    one = loss_of(kind, config, maps, table(rows))
    two = loss_of(kind, config, maps, table(shuffled), padded=True)
    torch.testing.assert_close(parts(one), parts(two), rtol=1e-4, atol=1e-5)
    for a, b in zip(gradients(one, maps), gradients(two, maps), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


@settings(max_examples=40)
@given(kind=kinds, config=configs, rows=truths, seed=seeds, cut=st.integers(1, BATCH - 1))
def test_mini_batches_add_up(kind, config, rows, seed, cut):
    maps, rows = make_maps(kind, seed), table(rows)
    first = rows[:, 0] < cut
    rest = rows[~first] - torch.tensor([cut, 0, 0, 0, 0, 0])
    whole = loss_of(kind, config, maps, rows)
    halves = (
        loss_of(kind, config, [m[:cut] for m in maps], rows[first]),
        loss_of(kind, config, [m[cut:] for m in maps], rest),
    )
    torch.testing.assert_close(
        parts(whole), parts(halves[0]) + parts(halves[1]), rtol=1e-4, atol=1e-5
    )


@settings(max_examples=60)
@given(
    kind=kinds, config=configs, rows=truths, seed=seeds, spread=st.sampled_from([30.0, 1e3, 1e6])
)
def test_gradients_are_finite_for_extreme_outputs(kind, config, rows, seed, spread):
    maps = make_maps(kind, seed, spread)
    loss = loss_of(kind, config, maps, table(rows))
    assert parts(loss).isfinite().all()
    assert all(gradient.isfinite().all() for gradient in gradients(loss, maps))


@settings(max_examples=60)
@given(box=st.sampled_from(BOXES), row=truth, gradient=st.sampled_from(["autograd", "darknet"]))
def test_a_perfect_box_costs_nothing(box, row, gradient):
    """Its own anchor, in the only cell: any truth can be met exactly."""
    geometry = Geometry((32,), ((0,),), (1.5,), ((1, 1),))
    row = torch.tensor([[0.0, *row[1:]]])
    raw = torch.zeros(1, 5 + CLASSES, 1, 1)
    raw[0, :2, 0, 0] = torch.logit((row[0, 2:4] + 0.25) / 1.5)
    config = LossConfig(box=box, gradient=gradient)
    loss = YoloLoss(config, geometry, row[:, 4:], CLASSES)([raw], row, 1)
    assert loss.box.item() == pytest.approx(0, abs=1e-4)


@settings(max_examples=60)
@given(
    box=st.sampled_from(("iou", "giou", "diou", "ciou")),
    pairs=st.lists(st.tuples(truth, truth), min_size=1, max_size=8),
)
def test_a_step_along_darknets_deltas_does_no_harm(box, pairs):
    """Only their lengths differ from the true gradient: by no coordinate do they lead astray."""
    pred, wanted = (torch.tensor([p[i][2:] for p in pairs], dtype=torch.float64) for i in (0, 1))
    edges = cxcywh_to_xyxy(pred) - cxcywh_to_xyxy(wanted)
    assume((edges.abs() > 1e-6).all())  # where edges meet there are two derivatives
    pred.requires_grad_()
    (true,) = torch.autograd.grad(paired_overlap(pred, wanted, box).sum(), pred)
    deltas = overlap_deltas(pred.detach(), wanted, box)
    # of diou and ciou the parts by w and h have unequal factors and may outweigh each other
    alike = slice(None) if box in ("iou", "giou") else slice(2)
    assert deltas.isfinite().all()
    assert ((deltas * true)[:, alike] >= -1e-6).all()
