import math

import pytest
import torch

from model.decode import SCALE_XY, as_slots, decode, decode_boxes, decode_scale

ANCHOR = torch.tensor([[0.25, 0.5]])


def raw_map(rows, columns, classes=2, anchors=1):
    return torch.zeros(1, anchors * (5 + classes), rows, columns)


def test_channel_order_is_anchor_major():
    raw = torch.arange(2 * 3 * 7 * 4.0).view(2, 21, 2, 2)
    slots = as_slots(raw)
    assert slots.shape == (2, 3, 2, 2, 7)
    assert slots[1, 2, 0, 1, 4] == raw[1, 2 * 7 + 4, 0, 1]


def test_slots_are_float32():
    assert as_slots(torch.zeros(1, 21, 1, 1, dtype=torch.bfloat16)).dtype == torch.float32


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
    boxes, scores = decode(maps, anchors)
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
