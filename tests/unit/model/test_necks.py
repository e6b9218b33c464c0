import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from model.backbones.csp_darknet import CspStage
from model.backbones.csp_resnext import CspResNeXtStage
from model.backbones.tiny import TinyStage
from model.blocks.conv import MaxPool, Shortcut
from model.necks.bifpn import BiFpnLayer
from model.necks.pan import PanNeck, SpatialPyramidPooling


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def features(channels=(16, 32, 64)):
    return tuple(noise(1, c, 16 >> k, 24 >> k, seed=k) for k, c in enumerate(channels))


def test_pools_composed_equal_parallel_ones_in_darknets_order():
    x = noise(2, 3, 19, 17)
    parallel = [F.max_pool2d(x, k, 1, k // 2) for k in (13, 9, 5)]
    assert torch.equal(SpatialPyramidPooling()(x), torch.cat((*parallel, x), dim=1))


def test_concatenation_order_of_a_csp_stage():
    stage = CspStage(8, 16, 8, 8, 1, "mish").eval()
    x = noise(1, 8, 8, 8)
    seen = []
    stage.join.register_forward_pre_hook(lambda _, maps: seen.append(maps))
    stage(x)
    entered = stage.down(x)
    main = stage.leave(stage.residuals(stage.enter(entered)))
    assert torch.equal(seen[0][0], main)
    assert torch.equal(seen[0][1], stage.bypass(entered))


def test_concatenation_orders_of_a_tiny_stage():
    stage = TinyStage(8, 16, "leaky").eval()
    seen = {}
    for name in ("join", "close"):
        getattr(stage, name).register_forward_pre_hook(
            lambda _, maps, name=name: seen.update({name: maps})
        )
    x = noise(1, 8, 8, 8)
    _, lateral = stage(x)
    a = stage.enter(x)
    b = stage.first(a[:, 8:])
    c = stage.second(b)
    assert torch.equal(seen["join"][0], c)
    assert torch.equal(seen["join"][1], b)
    assert torch.equal(seen["close"][0], a)
    assert torch.equal(seen["close"][1], lateral)


def test_first_unit_of_csresnext_adds_to_its_first_channels_only():
    wide, narrow = noise(1, 6, 2, 2), noise(1, 4, 2, 2, seed=1)
    out = Shortcut()(wide, narrow)
    assert torch.equal(out[:, :4], wide[:, :4] + narrow)
    assert torch.equal(out[:, 4:], wide[:, 4:])
    assert torch.equal(Shortcut()(narrow, wide), narrow + wide[:, :4])


def test_entries_of_the_middle_stages_are_linear():
    kinds = [
        (stage.bypass.activation, stage.enter.activation)
        for stage in (CspResNeXtStage(64, 128, 1, 8, "leaky", index=i) for i in range(4))
    ]
    assert kinds == [("leaky",) * 2, ("linear",) * 2, ("linear",) * 2, ("leaky",) * 2]


@pytest.mark.parametrize("fusion", ["pan", "pan-add", "fpn"])
def test_path_necks_keep_extents(fusion):
    neck = PanNeck((16, 32, 64), 0.25, 0.33, fusion=fusion).eval()
    maps = neck(features())
    assert [m.shape for m in maps] == [
        (1, c, 16 >> k, 24 >> k) for k, c in enumerate(neck.channels)
    ]


def test_order_of_the_joins_is_darknets():
    neck = PanNeck((16, 32, 64), 0.25, 0.33).eval()
    seen = {}
    for name in ("join4", "join3", "rejoin4", "rejoin5"):
        getattr(neck, name).register_forward_pre_hook(
            lambda _, maps, name=name: seen.update({name: maps})
        )
    maps = features()
    n3, n4, _ = neck(maps)
    p5 = neck.pool(maps[2])
    assert torch.equal(seen["join4"][0], neck.lateral4(maps[1]))
    assert torch.equal(seen["join4"][1], neck.up5(p5))
    assert torch.equal(seen["join3"][0], neck.lateral3(maps[0]))
    assert torch.equal(seen["rejoin4"][0], neck.down3(n3))
    assert torch.equal(seen["rejoin5"][0], neck.down4(n4))
    assert torch.equal(seen["rejoin5"][1], p5)


def test_bottom_up_path_is_what_fpn_leaves_out():
    torch.manual_seed(0)
    pan = PanNeck((16, 32, 64), 0.25, 0.33).eval()
    fpn = PanNeck((16, 32, 64), 0.25, 0.33, fusion="fpn").eval()
    fpn.load_state_dict(pan.state_dict(), strict=False)
    assert torch.equal(pan(features())[0], fpn(features())[0])


def test_bifpn_connects_every_scale_with_every_other():
    layer = BiFpnLayer(8, "relu", "relu").eval()
    maps = [noise(1, 8, 16 >> k, 16 >> k, seed=k).requires_grad_() for k in range(3)]
    for out in layer(tuple(maps)):
        reached = torch.autograd.grad(out.sum(), maps, retain_graph=True)
        assert all(bool(grad.any()) for grad in reached)


def test_bifpn_middle_node_sums_three_maps():
    layer = BiFpnLayer(8, "relu", "relu")
    assert [n.add.weights.numel() for n in (layer.top4, layer.out3, layer.out4, layer.out5)] == [
        2, 2, 3, 2,
    ]  # fmt: skip


def test_pools_of_darknet():
    x = noise(1, 2, 6, 8)
    assert torch.equal(MaxPool(2, 2)(x), F.max_pool2d(x, 2))
    assert torch.equal(MaxPool(5, 1)(x), F.max_pool2d(x, 5, 1, 2))
