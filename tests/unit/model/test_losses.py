import math

import pytest
import torch

from model.config import LossConfig
from model.decode import decode
from model.errors import ConfigurationError
from model.geometry import Geometry
from model.hard_examples import hardest_slots
from model.losses import YoloLoss

ANCHORS = torch.tensor([[0.1, 0.1], [0.1, 0.2], [0.2, 0.1], [0.3, 0.3], [0.3, 0.5], [0.5, 0.3],
                        [0.6, 0.6], [0.6, 0.9], [0.9, 0.6]])  # fmt: skip
MASKS = ((0, 1, 2), (3, 4, 5), (6, 7, 8))
SCALED = Geometry((8, 16, 32), MASKS, (1.2, 1.1, 1.05), ((1, 1),) * 9)
PLAIN = SCALED.without_scaling()
CLASSES = 2
SLOTS = 3 * (16 + 4 + 1)
LN2 = math.log(2)
NO_TRUTH = torch.zeros(0, 6)
# in the only cell of stride 32, the size of anchor 6
TRUTH = torch.tensor([[0, 1, 0.5, 0.5, 0.6, 0.6]])


def settings(**values):
    plain = {"box": "iou", "iou_threshold": 1.0, "ignore_threshold": 0.7, "iou_normalizer": 1.0,
             "cls_normalizer": 1.0, "obj_normalizer": 1.0, "label_smoothing": 0.0}  # fmt: skip
    return LossConfig(**(plain | values))


def maps(batch=1, fill=0.0):
    return [torch.full((batch, 3 * (5 + CLASSES), n, n), fill) for n in (4, 2, 1)]


def random_maps(batch, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return [torch.randn(batch, 3 * (5 + CLASSES), n, n, generator=rng) for n in (4, 2, 1)]


def parts(loss):
    return [loss.box.item(), loss.objectness.item(), loss.classes.item()]


def loss_of(raw, targets, batch_size=1, geometry=PLAIN, padded=None, **values):
    loss = YoloLoss(settings(**values), geometry, ANCHORS, CLASSES, padded=padded)
    return loss(raw, targets, batch_size)


def set_class_logits(raw, value):
    for each in raw:
        each.unflatten(1, (3, -1))[:, :, 5:] = value


def test_no_truth_leaves_only_objectness_of_negatives():
    loss = loss_of(maps(), NO_TRUTH)
    assert parts(loss) == pytest.approx([0, SLOTS * LN2, 0], rel=1e-5)


def test_no_truth_has_no_gradient_on_boxes_and_classes():
    raw = [m.requires_grad_() for m in random_maps(2)]
    loss_of(raw, NO_TRUTH).total.backward()
    for each in raw:
        grad = each.grad.unflatten(1, (3, -1))
        assert (grad[:, :, 4] > 0).all()
        assert not grad[:, :, :4].any()
        assert not grad[:, :, 5:].any()


def test_a_positive_and_negatives_by_hand():
    raw = maps()
    set_class_logits(raw, -20.0)  # nothing is ignored
    positive = raw[2].unflatten(1, (3, -1))[0, 0, :, 0, 0]
    positive[:] = torch.tensor([0, 0, math.log(0.5), 0, math.log(3), 1.0, -2.0])
    loss = loss_of(raw, TRUTH)
    classes = math.log1p(math.exp(1)) + math.log1p(math.exp(2))
    objectness = (SLOTS - 1) * LN2 - math.log(0.75)
    assert parts(loss) == pytest.approx([0.5, objectness, classes], rel=1e-5)


def test_objectness_targets_by_the_sign_of_the_gradient():
    raw = [m.requires_grad_() for m in maps()]
    loss_of(raw, TRUTH).total.backward()
    grads = [m.grad.unflatten(1, (3, -1))[0, :, 4] for m in raw]
    assert grads[2].flatten().tolist() == pytest.approx([-0.5, 0.5, 0.5])
    assert grads[0].unique().tolist() == [0.5]


@pytest.mark.parametrize(("probability", "ignored"), [(0.2, False), (0.3, True)])
def test_a_good_negative_is_left_out_only_with_a_class_above_a_quarter(probability, ignored):
    raw = maps()
    set_class_logits(raw, -20.0)
    # anchor 7 of the same cell, made as large as the truth
    other = raw[2].unflatten(1, (3, -1))[0, 1, :, 0, 0]
    other[3] = math.log(0.6 / 0.9)
    other[5] = math.log(probability / (1 - probability))
    count = SLOTS - 1 if ignored else SLOTS
    assert loss_of(raw, TRUTH).objectness.item() == pytest.approx(count * LN2, rel=1e-5)


def test_ignoring_needs_an_overlap_above_the_threshold():
    raw = maps()  # class probabilities 0.5; anchors 7 and 8 have IoU 0.36 / 0.54 = 2/3
    assert loss_of(raw, TRUTH, ignore_threshold=0.6).objectness.item() == pytest.approx(
        (SLOTS - 2) * LN2, rel=1e-5
    )
    assert loss_of(raw, TRUTH, ignore_threshold=0.7).objectness.item() == pytest.approx(
        SLOTS * LN2, rel=1e-5
    )


def test_truths_of_another_image_do_not_ignore():
    elsewhere = TRUTH.clone()
    elsewhere[:, 0] = 1
    loss = loss_of(maps(2), elsewhere, ignore_threshold=0.6)
    assert loss.objectness.item() == pytest.approx((2 * SLOTS - 2) * LN2, rel=1e-5)


def test_label_smoothing_by_hand():
    raw = maps()
    raw[2].unflatten(1, (3, -1))[0, 0, 5:, 0, 0] = torch.tensor([1.0, -2.0])
    eps = 0.2

    def bce(logit, wanted):
        p = 1 / (1 + math.exp(-logit))
        return -wanted * math.log(p) - (1 - wanted) * math.log(1 - p)

    expected = bce(1, eps / 2) + bce(-2, 1 - eps / 2)
    assert loss_of(raw, TRUTH, label_smoothing=eps).classes.item() == pytest.approx(expected)


def test_weights_scale_their_parts():
    raw = random_maps(1)
    plain = parts(loss_of(raw, TRUTH))
    weighted = loss_of(raw, TRUTH, iou_normalizer=2, obj_normalizer=3, cls_normalizer=0.5)
    assert parts(weighted) == pytest.approx([2 * plain[0], 3 * plain[1], 0.5 * plain[2]])
    assert weighted.total.item() == pytest.approx(sum(parts(weighted)))


def test_mini_batches_add_up_to_the_batch():
    raw = random_maps(2)
    second = TRUTH + torch.tensor([[1, -1, -0.2, 0.1, -0.3, 0.1]])
    whole = loss_of(raw, torch.cat((TRUTH, second)), 2, iou_threshold=0.213, box="ciou")
    halves = [
        loss_of([m[i : i + 1] for m in raw], truth, 2, iou_threshold=0.213, box="ciou")
        for i, truth in ((0, TRUTH), (1, second - torch.tensor([[1.0, 0, 0, 0, 0, 0]])))
    ]
    added = [sum(values) for values in zip(*map(parts, halves), strict=True)]
    assert parts(whole) == pytest.approx(added, rel=1e-5)


@pytest.mark.parametrize(("iou_threshold", "share"), [(1.0, 1.0), (0.99, 0.5)])
def test_two_classes_in_one_slot(iou_threshold, share):
    # darknet: both classes are wanted; with iou_thresh the box deltas are divided by their number
    both = TRUTH.repeat(2, 1)
    both[1, 1] = 0
    both[:, 4:] *= 0.9
    raw = maps()
    loss = loss_of(raw, both, iou_threshold=iou_threshold)
    assert loss.box.item() == pytest.approx(2 * (1 - 0.81) * share, rel=1e-4)
    assert loss.classes.item() == pytest.approx(2 * LN2)
    set_class_logits(raw, 30.0)
    assert loss_of(raw, both, iou_threshold=iou_threshold).classes.item() < 1e-6


def test_two_truths_of_one_class_in_one_slot_count_it_once():
    loss = loss_of(maps(), TRUTH.repeat(2, 1), iou_threshold=0.99)
    assert loss.classes.item() == pytest.approx(2 * LN2)
    assert loss.box.item() == pytest.approx(0, abs=1e-5)


def test_order_of_truths_does_not_matter():
    rng = torch.Generator().manual_seed(1)
    truths = torch.rand(12, 6, generator=rng) * 0.8 + 0.1
    truths[:, 0] = torch.arange(12) % 3
    truths[:, 1] = torch.arange(12) % 2
    raw = random_maps(3)
    forth = loss_of(raw, truths, iou_threshold=0.213, box="ciou")
    back = loss_of(raw, truths.flip(0), iou_threshold=0.213, box="ciou")
    assert parts(forth) == pytest.approx(parts(back), rel=1e-5)


@pytest.mark.parametrize("box", ["mse", "smooth-l1", "iou", "iou-log", "giou", "diou", "ciou"])
def test_a_perfect_box_costs_nothing(box):
    assert loss_of(maps(), TRUTH, box=box).box.item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("box", ["mse", "smooth-l1", "iou-log", "giou", "diou", "ciou"])
def test_descending_the_box_loss_finds_the_box(box):
    raw = [m.requires_grad_() for m in random_maps(1)]
    optimizer = torch.optim.SGD(raw, lr=1.0)
    truth = TRUTH + torch.tensor([[0, 0, 0.2, -0.3, -0.1, 0.1]])
    first = loss_of(raw, truth, box=box, geometry=SCALED).box.item()
    for step in range(60):
        optimizer.param_groups[0]["lr"] = 0.4 * 0.94**step
        optimizer.zero_grad()
        loss_of(raw, truth, box=box, geometry=SCALED).box.backward()
        optimizer.step()
    assert loss_of(raw, truth, box=box, geometry=SCALED).box.item() < 0.1 * first


def test_gradient_of_objectness_is_probability_minus_target():
    raw = [m.requires_grad_() for m in random_maps(1)]
    loss_of(raw, TRUTH).total.backward()
    scores = raw[2].detach().unflatten(1, (3, -1))[0, :, 4].sigmoid().flatten()
    grad = raw[2].grad.unflatten(1, (3, -1))[0, :, 4].flatten()
    torch.testing.assert_close(grad[0], scores[0] - 1)


def test_darknets_gradient_finds_the_box_too():
    raw = [m.requires_grad_() for m in random_maps(1)]
    optimizer = torch.optim.SGD(raw, lr=1.0)
    truth = TRUTH + torch.tensor([[0, 0, 0.2, -0.3, -0.1, 0.1]])
    rule = {"box": "ciou", "gradient": "darknet", "geometry": SCALED}
    first = loss_of(raw, truth, **rule).box.item()
    for step in range(80):
        optimizer.param_groups[0]["lr"] = 0.2 * 0.94**step
        optimizer.zero_grad()
        loss_of(raw, truth, **rule).box.backward()
        optimizer.step()
    assert loss_of(raw, truth, **rule).box.item() < 0.1 * first


@pytest.mark.parametrize("box", ["iou", "iou-log", "giou", "diou", "ciou"])
def test_darknets_gradient_leaves_the_value(box):
    raw, truth = random_maps(2), TRUTH.repeat(2, 1)
    plain = loss_of(raw, truth, box=box)
    assert parts(loss_of(raw, truth, box=box, gradient="darknet")) == parts(plain)


@pytest.mark.parametrize("targets", [NO_TRUTH, TRUTH.repeat(3, 1)])
@pytest.mark.parametrize("values", [{}, {"objectness_smooth": True}, {"focal": True}])
def test_tables_of_fixed_size_give_the_same(targets, values):
    raw = random_maps(2)
    listed = loss_of(raw, targets, padded=False, ignore_threshold=0.3, **values)
    padded = loss_of(raw, targets, padded=True, ignore_threshold=0.3, **values)
    assert parts(padded) == pytest.approx(parts(listed), rel=1e-6)


def test_nothing_asks_a_device_for_a_value():
    # tensors of the device `meta` have no values to ask for
    raw = [m.to("meta").requires_grad_() for m in random_maps(2)]
    for box in ("mse", "giou", "ciou"):
        for gradient in ("autograd", "darknet"):
            config = LossConfig(
                box=box, gradient=gradient, focal=True, class_counters=True,
                objectness_smooth=True, max_delta=1,
            )  # fmt: skip
            loss = YoloLoss(
                config, SCALED, ANCHORS.to("meta"), CLASSES,
                class_counts=torch.ones(CLASSES, device="meta"),
            )  # fmt: skip
            loss(raw, TRUTH.repeat(4, 1).to("meta"), 2, longest=5).total.backward()
            assert raw[0].grad.shape == raw[0].shape


def test_a_bound_on_truths_per_image_may_be_given():
    raw = random_maps(2)
    truths = torch.cat((TRUTH, TRUTH - 0.1)).clamp(min=0)
    loss = YoloLoss(settings(), PLAIN, ANCHORS, CLASSES)
    assert parts(loss(raw, truths, 1, longest=7)) == parts(loss(raw, truths, 1))


def test_objectness_learns_the_overlap():
    raw = maps()  # anchors 7 and 8 have IoU 2/3 with the truth; the positive has 1
    smooth = loss_of(raw, TRUTH, objectness_smooth=True, ignore_threshold=0.6)
    assert smooth.objectness.item() == pytest.approx(SLOTS * LN2, rel=1e-5)
    raw = [m.requires_grad_() for m in raw]
    loss_of(raw, TRUTH, objectness_smooth=True, ignore_threshold=0.6).total.backward()
    grad = raw[2].grad.unflatten(1, (3, -1))[0, :, 4].flatten()
    assert grad.tolist() == pytest.approx([0.5 - 1, 0.5 - 2 / 3, 0.5 - 2 / 3], abs=1e-5)


def test_a_smooth_positive_stays_negative_below_the_threshold():
    raw = [m.requires_grad_() for m in maps()]
    off = TRUTH * torch.tensor([1, 1, 1, 1, 0.8, 0.8])  # IoU of the positive 0.64
    loss_of(raw, off, objectness_smooth=True).total.backward()
    assert raw[2].grad.unflatten(1, (3, -1))[0, 0, 4].item() == pytest.approx(0.5)


def test_a_smooth_positive_is_wanted_if_its_delta_is_zero():
    raw = maps()
    raw[2].unflatten(1, (3, -1))[0, 0, 4:] = -200.0  # objectness 0, and no class to be ignored by
    raw = [m.requires_grad_() for m in raw]
    loss_of(raw, TRUTH, objectness_smooth=True).total.backward()
    assert raw[2].grad.unflatten(1, (3, -1))[0, 0, 4].item() == pytest.approx(-1)


def test_new_coords_takes_squared_errors():
    geometry = Geometry(SCALED.strides, MASKS, (2.0,) * 3, SCALED.anchors_wh_px, new_coords=True)
    raw = [m.requires_grad_() for m in maps(fill=0.5)]  # all boxes are their anchors'
    loss = loss_of(raw, TRUTH, geometry=geometry)
    assert parts(loss) == pytest.approx([0, SLOTS / 8, CLASSES / 8], abs=1e-5)
    loss.total.backward()
    grad = raw[2].grad.unflatten(1, (3, -1))[0, 0, :, 0, 0]
    assert grad[4:].tolist() == pytest.approx([-0.5, 0.5, -0.5])


def test_new_coords_ignores_by_the_probability_itself():
    geometry = Geometry(SCALED.strides, MASKS, (2.0,) * 3, SCALED.anchors_wh_px, new_coords=True)
    for value, count in ((0.24, SLOTS), (0.26, SLOTS - 2)):
        raw = maps(fill=0.5)
        set_class_logits(raw, value)
        loss = loss_of(raw, TRUTH, geometry=geometry, ignore_threshold=0.6)
        assert loss.objectness.item() == pytest.approx(count / 8, rel=1e-5)


def test_a_gaussian_head_keeps_objectness_and_classes():
    geometry = Geometry(
        SCALED.strides, MASKS, PLAIN.scales_xy, SCALED.anchors_wh_px, gaussian=True
    )
    raw = random_maps(1)
    wide = [
        torch.cat(
            (m.unflatten(1, (3, -1))[:, :, :4].repeat_interleave(2, 2),
             m.unflatten(1, (3, -1))[:, :, 4:]), dim=2,
        ).flatten(1, 2)
        for m in raw
    ]  # fmt: skip
    for values in ({"box": "ciou", "uc_normalizer": 0.0}, {"box": "iou", "uc_normalizer": 0.0}):
        found = loss_of(wide, TRUTH, geometry=geometry, **values)
        assert parts(found) == pytest.approx(parts(loss_of(raw, TRUTH, **values)))


def test_cls_normalizer_without_and_with_counters():
    raw = maps()
    plain = loss_of(raw, TRUTH, cls_normalizer=0.5)
    assert plain.classes.item() == pytest.approx(2 * LN2 * 0.5)
    config = settings(cls_normalizer=0.5, class_counters=True)
    loss = YoloLoss(config, PLAIN, ANCHORS, CLASSES, class_counts=torch.tensor([30, 10]))
    found = loss(raw, TRUTH, 1)  # of class 1, multiplier 3
    assert found.classes.item() == pytest.approx(LN2 + LN2 * 3 * 0.5)
    assert found.objectness.item() == pytest.approx((SLOTS - 1 + 3) * LN2)


@pytest.mark.parametrize(("counts", "told"), [(None, "none is given"), ([1, 2, 3], "there are 3")])
def test_counters_need_a_count_for_each_class(counts, told):
    counts = counts and torch.tensor(counts)
    with pytest.raises(ConfigurationError, match=f"need 2 counts of boxes, and {told}"):
        YoloLoss(settings(class_counters=True), PLAIN, ANCHORS, CLASSES, class_counts=counts)


def test_gradients_reach_maps_of_any_layout_and_type():
    raw = [
        m.bfloat16().to(memory_format=torch.channels_last).requires_grad_() for m in random_maps(2)
    ]
    loss = loss_of(raw, TRUTH, geometry=SCALED, box="ciou")
    loss.total.backward()
    exact = loss_of([m.detach().float() for m in raw], TRUTH, geometry=SCALED, box="ciou")
    assert parts(loss) == pytest.approx(parts(exact))
    assert all(m.grad.dtype == torch.bfloat16 for m in raw)


def gradients(raw, targets, refined=None, **values):
    raw = [m.clone().requires_grad_() for m in raw]
    loss = YoloLoss(settings(**values), PLAIN, ANCHORS, CLASSES)
    loss(raw, targets, 1, refined=refined).total.backward()
    return [m.grad for m in raw]


def by_slot(maps):
    """Channels of every slot (B, N, 5 + CLASSES), as `decode` lists them."""
    return torch.cat(
        [m.unflatten(1, (3, -1)).permute(0, 1, 3, 4, 2).flatten(1, 3) for m in maps], dim=1
    )


MANY = torch.cat((TRUTH, TRUTH, TRUTH * 0.5, TRUTH * 0.7))
MANY[:, 0] = torch.tensor([0, 1, 1, 1])


def test_mining_all_slots_is_no_mining():
    raw = random_maps(2)
    off = gradients(raw, MANY, iou_threshold=0.213)
    every = gradients(raw, MANY, iou_threshold=0.213, ohem=SLOTS, ohem_iou=1.0)
    for a, b in zip(off, every, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("ratio", [0.0, 2.0])
def test_only_the_hardest_slots_learn(ratio):
    raw, rule = random_maps(2), {"iou_threshold": 0.213, "ignore_threshold": 1.0, "box": "ciou"}
    off = by_slot(gradients(raw, MANY, **rule))
    mined = by_slot(gradients(raw, MANY, **rule, ohem=12, ohem_iou=0.5, ohem_ratio=ratio))
    slots = by_slot(raw)
    positive = off[..., 4] < 0
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    wanted = (slots[..., 4:].sigmoid() - off[..., 4:]).round()  # the gradient is p - target
    losses = bce(slots[..., 4:], wanted, reduction="none")
    losses = losses[..., 0] + torch.where(positive, losses[..., 1:].sum(dim=2), 0.0)
    boxes = decode(raw, ANCHORS, PLAIN)[0]
    counts = hardest_slots(boxes, losses, positive, 12, iou_threshold=0.5, ratio=ratio)
    assert 0 < (counts & positive).sum() < positive.sum()
    torch.testing.assert_close(mined, off * counts[..., None])


def test_an_ignored_slot_is_no_example():
    raw = maps()
    raw[2].unflatten(1, (3, -1))[0, 1:, 4] = 5.0  # two bad negatives, IoU 2/3 with the truth
    kept = by_slot(gradients(raw, TRUTH, ohem=3, ohem_iou=1.0))
    assert kept[0, -2:, 4].all()
    ignored = by_slot(gradients(raw, TRUTH, ohem=3, ohem_iou=1.0, ignore_threshold=0.6))
    assert not ignored[0, -2:].any()
    assert (ignored[0, :, 4] != 0).sum() == 3


def test_refined_classes_that_are_one_hot_change_nothing():
    raw, truths = random_maps(2), MANY.clone()
    truths[2:, 1] = 0
    own = torch.nn.functional.one_hot(truths[:, 1].long(), CLASSES).float()
    for padded in (False, True):
        loss = YoloLoss(
            settings(label_smoothing=0.1, iou_threshold=0.2), PLAIN, ANCHORS, CLASSES,
            padded=padded,
        )  # fmt: skip
        assert parts(loss(raw, truths, 1)) == parts(loss(raw, truths, 1, refined=own))


def test_refined_classes_are_the_targets():
    raw, refined = random_maps(1), torch.tensor([[0.2, 0.7]])
    plain = by_slot(gradients(raw, TRUTH))
    soft = by_slot(gradients(raw, TRUTH, refined))
    first = SLOTS - 3  # of the last scale
    chances = by_slot(raw)[0, first, 5:].sigmoid()
    torch.testing.assert_close(soft[0, first, 5:], chances - refined[0])
    assert torch.equal(soft[..., :5], plain[..., :5])


def test_of_truths_in_one_slot_the_largest_refined_classes_count():
    raw, both = random_maps(1), TRUTH.repeat(2, 1)
    refined = torch.tensor([[0.2, 0.7], [0.6, 0.1]])
    soft = by_slot(gradients(raw, both, refined))
    chances = by_slot(raw)[0, SLOTS - 3, 5:].sigmoid()
    torch.testing.assert_close(soft[0, SLOTS - 3, 5:], chances - torch.tensor([0.6, 0.7]))
