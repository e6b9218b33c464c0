import pytest
import torch

from model import ignore
from model.ignore import PaddedTruths, best_ious

# image 1 has two truths, image 0 one, image 2 none
TARGETS = torch.tensor([
    [1, 0, 0.5, 0.5, 0.2, 0.2], [0, 0, 0.25, 0.25, 0.5, 0.5], [1, 1, 0.1, 0.1, 0.2, 0.2],
])  # fmt: skip
BOXES = torch.tensor([[0.5, 0.5, 0.2, 0.2], [0.1, 0.1, 0.2, 0.1], [0.25, 0.25, 0.5, 0.5]])
EVERY = BOXES.expand(3, 3, 4)
BEST = [[0.01 / 0.28, 0.02 / 0.25, 1], [1, 0.5, 0.04 / 0.25], [0, 0, 0]]


def test_truths_by_image():
    found = PaddedTruths.build(TARGETS, 3).boxes_xyxy
    assert found.shape == (3, 2, 4)
    torch.testing.assert_close(found[0, 0], torch.tensor([0, 0, 0.5, 0.5]))
    torch.testing.assert_close(found[1, 1], torch.tensor([0, 0, 0.2, 0.2]))
    assert not found[2].any()
    assert not found[0, 1].any()


def test_a_longer_table_or_none():
    assert PaddedTruths.build(TARGETS, 3, longest=5).boxes_xyxy.shape == (3, 5, 4)
    assert PaddedTruths.build(TARGETS[:0], 3).boxes_xyxy.shape == (3, 1, 4)


@pytest.mark.parametrize("everywhere", [False, True])
@pytest.mark.parametrize("chunk", [1, 1 << 16])
def test_best_of_all_truths(monkeypatch, everywhere, chunk):
    monkeypatch.setitem(ignore.CHUNK, "cpu", chunk)
    chosen = torch.ones(3, 3, dtype=torch.bool)
    found = best_ious(EVERY, chosen, PaddedTruths.build(TARGETS, 3), everywhere=everywhere)
    torch.testing.assert_close(found, torch.tensor(BEST), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("everywhere", [False, True])
def test_boxes_that_are_not_chosen_have_none(everywhere):
    chosen = torch.zeros(3, 3, dtype=torch.bool)
    chosen[1, 1] = True
    found = best_ious(EVERY, chosen, PaddedTruths.build(TARGETS, 3), everywhere=everywhere)
    assert found[1, 1].item() == pytest.approx(0.5, abs=1e-5)
    assert found.count_nonzero() == 1
