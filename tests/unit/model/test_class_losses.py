import math

import pytest
import torch

from model.assign import SharedSlots
from model.class_losses import class_losses, class_multipliers, focal_factor, soft_classes
from model.config import LossConfig

RAW = torch.tensor([[1.0, -2.0, 0.5], [-1.0, 0.3, 2.0]], dtype=torch.float64)
ONE_EACH = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])


def lone(classes):
    """Slots that no two pairs share."""
    count = torch.arange(len(classes))
    return SharedSlots(count, count, torch.ones(len(classes), dtype=torch.bool), classes, 9)


def gradient(config, shared=None, multipliers=None, **kind):
    raw = RAW.clone().requires_grad_()
    losses = class_losses(raw, shared or lone(ONE_EACH), config, multipliers, **kind)
    return torch.autograd.grad(losses.sum(), raw)[0]


def test_gradient_is_probability_less_target():
    torch.testing.assert_close(gradient(LossConfig()), RAW.sigmoid() - ONE_EACH)


def test_the_factor_is_that_of_the_focal_loss_behind_a_softmax():
    logits = RAW.clone().requires_grad_()
    p = logits.softmax(dim=1)
    true = (p * ONE_EACH).sum(dim=1)
    loss = -0.5 * (1 - true).square() * true.log()
    (expected,) = torch.autograd.grad(loss.sum(), logits)
    factor = focal_factor(p.detach(), ONE_EACH)
    torch.testing.assert_close((p.detach() - ONE_EACH) * factor[:, None], expected)


def test_focal_deltas_by_hand():
    found = gradient(LossConfig(focal=True))
    for row in range(2):
        pt = (RAW[row].sigmoid() * ONE_EACH[row]).sum().item()
        g = -(1 - pt) * (2 * pt * math.log(pt) + pt - 1)
        expected = (RAW[row].sigmoid() - ONE_EACH[row]) * 0.5 * g
        assert found[row].tolist() == pytest.approx(expected.tolist())


def test_focal_loss_forgets_the_easy():
    easy = focal_factor(torch.tensor([[1.0], [0.0], [0.9]]), torch.ones(3, 1))
    assert easy.tolist() == pytest.approx([0, 0.5, 0.0145], abs=1e-4)


def test_the_least_probable_of_several_classes_decides():
    chances = torch.tensor([[0.9, 0.2, 0.1]])
    both = focal_factor(chances, torch.tensor([[1.0, 1.0, 0.0]]))
    assert both.item() == focal_factor(chances, torch.tensor([[0.0, 1.0, 0.0]])).item()


def test_smoothing_by_its_targets():
    eps = 0.2
    wanted = ONE_EACH * (1 - eps) + eps / 2
    torch.testing.assert_close(gradient(LossConfig(label_smoothing=eps)), RAW.sigmoid() - wanted)


def test_new_coords_takes_probabilities():
    torch.testing.assert_close(gradient(LossConfig(), new_coords=True), RAW - ONE_EACH)


def test_multipliers_act_on_true_classes():
    multipliers = torch.tensor([2.0, 3.0, 4.0])
    found = gradient(LossConfig(cls_normalizer=0.5), multipliers=multipliers)
    plain = RAW.sigmoid() - ONE_EACH
    factors = torch.tensor([[1, 1.5, 1], [1.0, 1, 1]])
    torch.testing.assert_close(found, plain * factors)


def test_only_speakers_count():
    shared = lone(ONE_EACH)
    silent = SharedSlots(
        shared.slot, shared.speaker, torch.tensor([True, False]), shared.classes, 9
    )
    found = gradient(LossConfig(), silent)
    assert found[0].all()
    assert not found[1].any()


def test_soft_targets_take_the_place_of_the_classes():
    soft = torch.tensor([[0.1, 0.7, 0.0], [0.6, 0.2, 1.0]])
    eps = 0.2
    found = gradient(LossConfig(label_smoothing=eps), wanted=soft)
    torch.testing.assert_close(found, RAW.sigmoid() - (soft * (1 - eps) + eps / 2))


def test_soft_targets_leave_factors_to_the_true_classes():
    soft, multipliers = torch.full((2, 3), 0.4), torch.tensor([2.0, 3.0, 4.0])
    found = gradient(LossConfig(focal=True), multipliers=multipliers, wanted=soft)
    focal = focal_factor(RAW.sigmoid(), ONE_EACH)[:, None]
    factors = torch.where(ONE_EACH > 0, multipliers, 1.0) * focal
    torch.testing.assert_close(found, (RAW.sigmoid() - 0.4) * factors)


def test_of_pairs_in_one_slot_the_largest_targets_are_taken():
    speaker = torch.tensor([2, 1, 2])
    shared = SharedSlots(speaker, speaker, torch.tensor([False, True, True]), ONE_EACH, 9)
    refined = torch.tensor([[0.5, 0.1, 0.0], [0.3, 0.3, 0.4], [0.2, 0.8, 0.0]])
    expected = torch.tensor([[0.0, 0.0, 0.0], [0.3, 0.3, 0.4], [0.5, 0.8, 0.0]])
    assert torch.equal(soft_classes(shared, refined), expected)


@pytest.mark.parametrize(
    ("bound", "expected"), [(0.0, [1, 4, 40]), (5.0, [1, 4, 5]), (0.5, [0.5, 0.5, 0.5])]
)
def test_multipliers_by_rarity(bound, expected):
    config = LossConfig(class_counters=True, max_delta=bound)
    # no box at all counts as one
    assert class_multipliers(config, 3, torch.tensor([40, 10, 0])).tolist() == expected


def test_no_multipliers_unless_asked_for():
    assert class_multipliers(LossConfig(), 3, torch.tensor([40, 10, 0])) is None
