import math

import pytest
import torch
from torch import nn

from model.decode import as_slots, decode, decode_boxes, decode_grid, decode_scores
from model.geometry import Geometry

ANCHOR = torch.tensor([[0.25, 0.5]])
SCALE_XY = (1.2, 1.1, 1.05)
YOLOV4 = Geometry((8, 16, 32), ((0, 1, 2), (3, 4, 5), (6, 7, 8)), SCALE_XY, ((1, 1),) * 9)


def raw_map(rows, columns, classes=2, anchors=1):
    return torch.zeros(1, anchors * (5 + classes), rows, columns)


def decode_scale(slots, anchors_wh, scale_xy, **kind):
    return decode_grid(slots, anchors_wh, scale_xy, **kind), decode_scores(slots, **kind)


def one_scale(scale_xy=1.0, **kind):
    return Geometry((32,), ((0,),), (scale_xy,), ((1, 1),), **kind)


def test_channel_order_is_anchor_major():
    raw = torch.arange(2 * 3 * 7 * 4.0).view(2, 21, 2, 2)
    slots = as_slots(raw)
    assert slots.shape == (2, 3, 2, 2, 7)
    assert slots[1, 2, 0, 1, 4] == raw[1, 2 * 7 + 4, 0, 1]


def test_results_are_float32():
    maps = [torch.zeros(1, 7, 1, 1, dtype=torch.bfloat16)]
    assert {part.dtype for part in decode(maps, ANCHOR, one_scale())} == {torch.float32}


@pytest.mark.parametrize("scale", [1.0, 1.2, 2.0])
def test_zero_is_the_middle_of_the_cell_at_any_scale(scale):
    boxes, scores = decode_scale(as_slots(raw_map(2, 4), 1), ANCHOR, scale)
    assert boxes[0, 6].tolist() == pytest.approx([2.5 / 4, 1.5 / 2, 0.25, 0.5])
    assert scores.shape == (1, 8, 2)
    assert scores.unique().tolist() == [0.25]


def test_hand_numbers():
    raw = raw_map(1, 2)
    raw[0, :, 0, 1] = torch.tensor([math.log(3), -math.log(3), math.log(2), 0, math.log(4), 0, 9])
    boxes, scores = decode_scale(as_slots(raw, 1), ANCHOR, 1.2)
    # 1 + 1.2 * 0.75 - 0.1 = 1.8 of 2 cells; 1.2 * 0.25 - 0.1 = 0.2 of 1
    assert boxes[0, 1].tolist() == pytest.approx([0.9, 0.2, 0.5, 0.5])
    assert scores[0, 1].tolist() == pytest.approx([0.8 * 0.5, 0.8 / (1 + math.exp(-9))])


def test_scaled_sigmoid_passes_the_border_and_the_plain_one_does_not():
    raw = raw_map(1, 1)
    raw[:, 0], raw[:, 1] = 20, -20
    plain, _ = decode_scale(as_slots(raw, 1), ANCHOR, 1.0)
    scaled, _ = decode_scale(as_slots(raw, 1), ANCHOR, 1.2)
    assert plain[0, 0, :2].tolist() == pytest.approx([1, 0], abs=1e-6)
    assert scaled[0, 0, :2].tolist() == pytest.approx([1.1, -0.1], abs=1e-6)


@pytest.mark.parametrize("scale", SCALE_XY)
def test_decoding_inverts_encoding(scale):
    rng = torch.Generator().manual_seed(0)
    offset, size = torch.rand(20, 2, generator=rng), torch.rand(20, 2, generator=rng) + 0.05
    cells = torch.randint(0, 4, (20, 2), generator=rng)
    anchors = torch.rand(20, 2, generator=rng) + 0.1
    txy = torch.logit((offset + (scale - 1) / 2) / scale)
    raw = torch.cat((txy, (size / anchors).log()), dim=1)
    boxes = decode_boxes(raw, cells, torch.tensor([4.0, 4.0]), anchors, scale)
    expected = torch.cat(((cells + offset) / 4, size), dim=1)
    torch.testing.assert_close(boxes, expected, atol=1e-5, rtol=1e-5)


def test_all_scales_in_order_of_stride():
    maps = [torch.randn(2, 3 * 7, n, n) for n in (4, 2, 1)]
    anchors = torch.rand(9, 2) + 0.1
    boxes, scores = decode(maps, anchors, YOLOV4)
    assert boxes.shape == (2, 63, 4)
    assert scores.shape == (2, 63, 2)
    last, _ = decode_scale(as_slots(maps[2]), anchors[6:], 1.05)
    assert torch.equal(boxes[:, 60:], last)


def test_chosen_slots_decode_as_whole_maps_do():
    slots = as_slots(torch.randn(1, 3 * 7, 4, 4))
    anchors = torch.rand(3, 2)
    whole, _ = decode_scale(slots, anchors, 1.1)
    one = decode_boxes(
        slots[:, 1, 2, 3], torch.tensor([[3, 2]]), torch.tensor([4.0, 4.0]), anchors[1:2], 1.1
    )
    torch.testing.assert_close(one[0], whole[0, 16 + 2 * 4 + 3])


def test_masks_choose_the_anchors():
    tiny = Geometry((16, 32), ((1, 2), (2, 3)), (1.0, 1.0), ((1, 1),) * 4)
    anchors = torch.tensor([[0.1, 0.1], [0.2, 0.3], [0.4, 0.5], [0.6, 0.7]])
    boxes, _ = decode([raw_map(1, 1, anchors=2), raw_map(1, 1, anchors=2)], anchors, tiny)
    torch.testing.assert_close(boxes[0, :, 2:], anchors[[1, 2, 2, 3]])


def test_new_coords_by_hand():
    raw = raw_map(1, 2)
    raw[0, :, 0, 1] = torch.tensor([0.75, 0.25, 0.5, 1.0, 0.5, 0.25, 1.0])
    boxes, scores = decode([raw], ANCHOR, one_scale(2.0, new_coords=True))
    # 1 + 2 * 0.75 - 0.5 = 2 of 2 cells; 2 * 0.25 - 0.5 = 0; anchor (2 v)^2
    assert boxes[0, 1].tolist() == pytest.approx([1.0, 0.0, 0.25, 2.0])
    assert scores[0, 1].tolist() == pytest.approx([0.125, 0.5])


def test_gaussian_by_hand():
    raw = torch.zeros(1, 8 + 1 + 2, 1, 1)
    three = math.log(3)  # of which the sigmoid is 3/4
    raw[0, :, 0, 0] = torch.tensor([three, -three, -three, 0, math.log(2), 0, 0, three, 0, 0, 50])
    boxes, scores = decode([raw], ANCHOR, one_scale(gaussian=True))
    assert boxes[0, 0].tolist() == pytest.approx([0.75, 0.25, 0.5, 0.5])
    # sigmas 1/4, 1/2, 1/2, 3/4: mean 1/2
    assert scores[0, 0].tolist() == pytest.approx([0.5 * 0.5 * 0.5, 0.5 * 0.5])


def test_a_certain_gaussian_head_scores_as_a_plain_one():
    raw = torch.randn(1, 3, 11, 2, 2)
    raw[:, :, 1:8:2] = -50
    geometry = Geometry((32,), ((0, 1, 2),), (1.1,), ((1, 1),) * 3, gaussian=True)
    plain = Geometry((32,), ((0, 1, 2),), (1.1,), ((1, 1),) * 3)
    anchors = torch.rand(3, 2)
    kept = [0, 2, 4, 6, 8, 9, 10]
    sure = decode([raw.flatten(1, 2)], anchors, geometry)
    point = decode([raw[:, :, kept].flatten(1, 2)], anchors, plain)
    torch.testing.assert_close(sure, point)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [{}, {"new_coords": True}, {"gaussian": True}])
def test_decoding_can_be_exported(kind):
    geometry = Geometry((16, 32), ((1, 2), (2, 3)), (1.1, 1.05), ((1, 1),) * 4, **kind)
    anchors = torch.rand(4, 2)

    class Decoder(nn.Module):
        def forward(self, fine, coarse):
            return decode([fine, coarse], anchors, geometry)

    channels = 2 * (geometry.box_channels + 3)
    maps = torch.rand(1, channels, 4, 6), torch.rand(1, channels, 2, 3)
    exported = torch.export.export(Decoder(), maps).module()
    torch.testing.assert_close(exported(*maps), decode(maps, anchors, geometry))
