import copy

import numpy as np
import pytest
import torch

from model.adversarial import attack, hiding_loss, sat_turns
from model.build import build_detector
from model.config import LossConfig, SatConfig
from model.errors import ConfigurationError
from model.geometry import Geometry
from model.losses import YoloLoss
from tests.unit.model.loss_by_loops import hiding_deltas_of_scale

CLASSES = 2
DARKNET = SatConfig(kind="darknet", strength=1.0)
FGSM = SatConfig(kind="fgsm", epsilon=4 / 255)
# two objects in the first picture, one in the second
TARGETS = torch.tensor(
    [[0, 0, 0.3, 0.3, 0.4, 0.4], [0, 1, 0.7, 0.7, 0.5, 0.3], [1, 1, 0.5, 0.5, 0.6, 0.6]]
)


def pictures():
    images = torch.full((2, 3, 64, 64), 0.4)
    images[0, 0, 6:32, 6:32] = images[0, 1, 35:55, 29:61] = images[1, 1, 13:51, 13:51] = 0.9
    return images.to(memory_format=torch.channels_last)


def make(**changes):
    torch.manual_seed(0)
    network = build_detector("yolov4-nano", CLASSES, **changes).train()
    anchors = torch.tensor(network.geometry.anchors_wh_px) / 416
    return network, YoloLoss(LossConfig(), network.geometry, anchors, CLASSES)


@pytest.fixture(scope="module")
def trained():
    """A network that has begun to see the objects, and its loss."""
    network, loss = make(bn_momentum=0.9)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.02, momentum=0.9)
    for _ in range(25):
        optimizer.zero_grad()
        loss(network(pictures()), TARGETS, 2).total.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimizer.step()
    return network, loss


def objectness(network, images):
    with torch.no_grad():
        maps = copy.deepcopy(network).eval()(images)
    return torch.cat([m.unflatten(1, (3, -1))[:, :, 4].flatten() for m in maps]).sigmoid()


def value(function, network, images):
    with torch.no_grad():
        return function(copy.deepcopy(network).eval()(images)).item()


def test_turns_are_drawn_from_a_stream_of_their_own():
    turns = sat_turns(3, 1, 1000, 0.5)
    np.random.seed(0)  # noqa: NPY002  (no other generator matters)
    np.testing.assert_array_equal(turns, sat_turns(3, 1, 1000, 0.5))
    assert turns.dtype == np.bool_
    assert 430 < turns.sum() < 570
    assert (turns != sat_turns(3, 2, 1000, 0.5)).any()
    assert (turns != sat_turns(4, 1, 1000, 0.5)).any()
    np.testing.assert_array_equal(turns[:10], sat_turns(3, 1, 10, 0.5))


@pytest.mark.parametrize(("probability", "count"), [(0.0, 0), (1.0, 50)])
def test_never_and_always(probability, count):
    assert sat_turns(0, 0, 50, probability).sum() == count


MASKS = ((0, 1), (1, 2))
ANCHORS = torch.tensor([[0.1, 0.15], [0.3, 0.25], [0.6, 0.7]])
GEOMETRIES = {
    "plain": Geometry((16, 32), MASKS, (1.2, 1.05), ((1, 1),) * 3),
    "new_coords": Geometry((16, 32), MASKS, (2.0, 2.0), ((1, 1),) * 3, new_coords=True),
    "gaussian": Geometry((16, 32), MASKS, (1.1, 1.0), ((1, 1),) * 3, gaussian=True),
}


def some_maps(geometry):
    rng = torch.Generator().manual_seed(0)
    maps = [torch.randn(2, geometry.outputs(3), *grid, generator=rng) for grid in ((4, 6), (2, 3))]
    return [(m.sigmoid() if geometry.new_coords else m).requires_grad_() for m in maps]


@pytest.mark.parametrize("name", sorted(GEOMETRIES))
def test_gradients_are_darknets_adversarial_deltas(name):
    geometry = GEOMETRIES[name]
    maps = some_maps(geometry)
    loss = YoloLoss(LossConfig(obj_normalizer=0.4), geometry, ANCHORS, 3)
    found = torch.autograd.grad(hiding_loss(maps, loss), maps)
    kind = {"new_coords": geometry.new_coords, "gaussian": geometry.gaussian}
    for ours, raw, mask, scale_xy in zip(found, maps, MASKS, geometry.scales_xy, strict=True):
        deltas = [
            hiding_deltas_of_scale(
                one.unflatten(0, (2, -1)).tolist(), ANCHORS.tolist(), mask, scale_xy, 0.4, **kind
            )
            for one in raw.detach()
        ]
        torch.testing.assert_close(ours, -torch.tensor(deltas).flatten(1, 2))


def test_the_loops_meet_seen_and_unseen_slots():
    """Otherwise the comparison above would say less than it seems to."""
    for name, geometry in GEOMETRIES.items():
        raw = some_maps(geometry)[0].detach()[0].unflatten(0, (2, -1))
        deltas = torch.tensor(
            hiding_deltas_of_scale(
                raw.tolist(), ANCHORS.tolist(), (0, 1), 1.2, 1.0, gaussian=geometry.gaussian,
                new_coords=geometry.new_coords,
            )
        )  # fmt: skip
        classes = deltas[:, geometry.box_channels + 1 :]
        assert (classes < 0).any()
        assert (classes > 0).any() == (name != "gaussian")
        assert deltas[:, :4].any() == (name != "gaussian")
        assert (classes == 0).all(dim=1).any()


def test_endless_boxes_leave_the_loss_finite():
    maps = some_maps(GEOMETRIES["plain"])
    with torch.no_grad():
        maps[0].unflatten(1, (2, -1))[:, :, 2] = 300.0
        maps[0].unflatten(1, (2, -1))[:, :, 3] = -300.0
    loss = YoloLoss(LossConfig(), GEOMETRIES["plain"], ANCHORS, 3)
    found = torch.autograd.grad(hiding_loss(maps, loss), maps)
    assert all(gradient.isfinite().all() for gradient in found)


def test_darknets_attack_hides_objects(trained):
    network, loss = trained
    images = pictures()
    weak = attack(
        network, images, TARGETS, loss, SatConfig(kind="darknet", strength=0.002), 0.5,
        autocast=False,
    )  # fmt: skip
    assert objectness(network, images).max() > 0.1
    assert objectness(network, weak).mean() < objectness(network, images).mean()
    before = value(lambda maps: hiding_loss(maps, loss), network, images)
    assert value(lambda maps: hiding_loss(maps, loss), network, weak) < before


def test_darknets_attack_is_a_step_of_plain_descent(trained):
    network, loss = trained
    images = pictures()
    found = attack(network, images, TARGETS, loss, DARKNET, 0.25, autocast=False)
    watched = images.clone().requires_grad_()
    maps = copy.deepcopy(network).eval()(watched)
    (slope,) = torch.autograd.grad(hiding_loss(maps, loss), watched)
    torch.testing.assert_close(found, (images - 0.25 * slope).clamp(0, 1))


def test_every_image_is_changed_as_if_alone(trained):
    """The loss is a sum over images, and no statistics are taken over them."""
    network, loss = trained
    images = pictures()
    together = attack(network, images, TARGETS, loss, DARKNET, 0.3, autocast=False)
    alone = attack(network, images[1:], TARGETS[2:], loss, DARKNET, 0.3, autocast=False)
    torch.testing.assert_close(together[1:], alone, rtol=1e-4, atol=1e-6)


def test_fgsm_moves_every_number_by_epsilon_or_to_the_bounds(trained):
    network, loss = trained
    images = pictures()
    images[:, 2] = 0.0
    images[:, :, :8] = 1.0
    found = attack(network, images, TARGETS, loss, FGSM, 0.0, autocast=False)
    steps = torch.stack([(images + s * FGSM.epsilon).clamp(0, 1) for s in (-1, 0, 1)])
    assert (found == steps).any(dim=0).all()
    assert (found != images).float().mean() > 0.5

    def total(maps):
        return loss(maps, TARGETS, 2).total

    assert value(total, network, found) > value(total, network, images)


def test_the_result_is_an_image_of_the_same_kind(trained):
    network, loss = trained
    strong = SatConfig(kind="darknet", strength=1e6)
    images = pictures()
    kept = images.clone()
    found = attack(network, images, TARGETS, loss, strong, 1.0, autocast=False)
    assert found.min() == 0
    assert found.max() == 1
    assert found.dtype == images.dtype
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert not found.requires_grad
    assert torch.equal(images, kept)
    assert not images.requires_grad


@pytest.mark.parametrize(("config", "progress"), [(DARKNET, 0.0), (SatConfig(kind="none"), 0.5)])
def test_nothing_is_changed_or_computed_without_a_step(config, progress):
    images = pictures()
    found = attack(None, images, TARGETS, None, config, progress, autocast=False)
    assert torch.equal(found, images)
    assert found.data_ptr() != images.data_ptr()


def everything(network):
    """All that a training step could find changed."""
    held = [("rng", torch.get_rng_state())]
    for name, module in network.named_modules():
        tensors = {**module._parameters, **module._buffers, **vars(module)}
        tensors |= {f"{k}.grad": p.grad for k, p in module._parameters.items() if p is not None}
        held += [
            (f"{name}.{key}", copy.deepcopy(value.detach() if torch.is_tensor(value) else value))
            for key, value in sorted(tensors.items())
            if torch.is_tensor(value) or isinstance(value, (bool, int, float))
        ]
    return held


# the raw gradient of a network that has learnt nothing is tiny
@pytest.mark.parametrize("config", [SatConfig(kind="darknet", strength=1e6), FGSM])
@pytest.mark.parametrize(
    "changes",
    [
        {"norm": "bn", "drop": {"kind": "dropout"}},
        {"norm": "cmbn", "drop": {"kind": "dropblock-darknet"}},
        {"norm": "cbn", "drop": {"kind": "path"}},
        {"norm": "frn", "drop": {"kind": "dropblock"}},
    ],
)
def test_the_network_is_left_as_it_was(config, changes):
    network, loss = make(**changes)
    for module in network.modules():
        if hasattr(module, "begin_batch"):
            module.begin_batch(0.9)
    network.head.eval()  # a part that someone has put to rest stays so
    images = pictures()[:, :, :32, :32]
    loss(network(images), TARGETS, 2).total.backward()
    before = everything(network)
    changed = attack(network, images, TARGETS, loss, config, 0.9, autocast=False)
    assert (changed != images).any()
    after = everything(network)
    assert any(name.endswith("norm.weight.grad") for name, _ in before)
    for (name, old), (same, new) in zip(before, after, strict=True):
        assert name == same
        assert torch.equal(old, new) if torch.is_tensor(old) else old == new, name


def test_what_is_dropped_in_both_passes_is_the_same():
    network, loss = make(drop={"kind": "dropout"})
    images = pictures()[:, :, :32, :32]
    masks = []
    drops = [m for m in network.modules() if isinstance(m, torch.nn.Dropout)]
    hooks = [d.register_forward_hook(lambda _m, _x, y: masks.append(y == 0)) for d in drops]
    attack(network, images, TARGETS, loss, DARKNET, 0.5, autocast=False)
    first = list(masks)
    masks.clear()
    network(images)
    for hook in hooks:
        hook.remove()
    assert all(mask.any() for mask in first)
    assert all(torch.equal(a, b) for a, b in zip(first, masks, strict=True))


def test_a_failure_leaves_no_norm_at_rest():
    network, loss = make()
    with pytest.raises(ConfigurationError, match="not multiples of 32"):
        attack(network, torch.rand(1, 3, 40, 40), TARGETS, loss, DARKNET, 0.5, autocast=False)
    assert all(module.training for module in network.modules())


@pytest.mark.parametrize("autocast", [False, True])
def test_the_precision_is_that_of_the_training(autocast):
    network, loss = make()
    seen = []
    hook = network.register_forward_hook(lambda _m, _x, maps: seen.append(maps[0].dtype))
    images = pictures()[:, :, :32, :32]
    found = attack(network, images, TARGETS, loss, DARKNET, 0.5, autocast=autocast)
    hook.remove()
    assert seen == [torch.bfloat16 if autocast else torch.float32]
    assert found.dtype == torch.float32
