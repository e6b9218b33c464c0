import functools

import pytest
import torch

from model.blocks.conv import ConvBlock, Residual
from model.blocks.weighted import WeightedSum
from model.build import build_classifier, build_detector, build_from_config, count_learnable
from model.config import NeckConfig, TrainConfig
from model.errors import ConfigurationError
from model.geometry import Geometry
from model.registry import Registry
from model.zoo import FAMILIES, SIZES, classifiers, zoo


def test_registry_gives_back_lists_and_refuses_doubles():
    tools = Registry("tool")
    assert tools.register("saw")(3) == 3
    tools.register("hammer")(4)
    assert tools.get("saw") == 3
    assert list(tools) == ["hammer", "saw"]
    assert "saw" in tools
    assert "axe" not in tools
    with pytest.raises(ValueError, match="tool 'saw' is registered twice"):
        tools.register("saw")(5)


def test_unknown_name_names_the_nearest():
    with pytest.raises(ConfigurationError, match="did you mean 'yolov4-nano'") as caught:
        build_detector("yolov4-nanno")
    assert all(name in str(caught.value) for name in FAMILIES)


@pytest.mark.parametrize("classes", [0, -1])
def test_no_classes(classes):
    with pytest.raises(ConfigurationError, match=f"at least one class, not {classes}"):
        build_detector("yolov4-nano", classes)


@pytest.mark.parametrize("size", [(100, 64), (64, 100), (33, 33)])
def test_input_that_is_no_multiple_of_32(size):
    with torch.device("meta"), pytest.raises(ConfigurationError, match="not multiples of 32"):
        build_detector("yolov4-nano", 1)(torch.zeros(1, 3, *size))


@pytest.mark.parametrize("name", sorted(zoo))
def test_every_model_gives_a_map_for_each_stride(name):
    with torch.device("meta"):
        network = build_detector(name, 7)
        maps = network(torch.zeros(2, 3, 96, 64))
    strides = network.geometry.strides
    assert [m.shape for m in maps] == [(2, 36, 96 // s, 64 // s) for s in strides]
    assert strides == ((16, 32) if "tiny" in name and "3l" not in name else (8, 16, 32))


@pytest.mark.parametrize("name", sorted(classifiers))
def test_every_classifier_gives_logits(name):
    with torch.device("meta"):
        assert build_classifier(name, 7)(torch.zeros(2, 3, 96, 64)).shape == (2, 7)


def test_sizes_of_a_family_grow():
    with torch.device("meta"):
        for family in FAMILIES:
            counts = [count_learnable(build_detector(family + s)) for s in SIZES]
            assert counts == sorted(counts, reverse=True)


def test_same_seed_same_weights():
    def weights(seed):
        torch.manual_seed(seed)
        return torch.cat([p.flatten() for p in build_detector("yolov4-nano", 2).parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_initial_weights_are_darknets():
    torch.manual_seed(0)
    weight = build_detector("yolov4-nano", 2).backbone.stem.conv.weight
    bound = (2 / 27) ** 0.5
    assert weight.abs().max() <= bound
    assert weight.abs().max() > 0.9 * bound


def test_scores_begin_near_their_base_rate():
    torch.manual_seed(0)
    network = build_detector("yolov4-nano", 4).eval()
    for prediction in network.head.predictions:
        bias = prediction.conv.bias.view(3, 9)
        assert bias[:, 4].sigmoid().tolist() == pytest.approx([0.01] * 3)
        assert bias[:, 5:].sigmoid().unique().tolist() == pytest.approx([0.25])
        assert not bias[:, :4].any()


def test_batch_norm_momentum_is_passed_on():
    network = build_detector("yolov4-nano", 1, bn_momentum=0.125)
    assert {m.momentum for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)} == {
        0.125
    }


def built(name="yolov4-nano", classes=3, **options):
    with torch.device("meta"):
        return build_detector(name, classes, **options)


@functools.cache
def text_of(name):
    """A network without options, as it describes itself."""
    return str(built(name))


OPTIONS = [
    *({"neck": {"fusion": f}} for f in ("fpn", "pan-add", "pan", "bifpn")),
    *({"neck": {"fusion": f, "fusion_weights": w}} for f in ("pan-add", "bifpn")
      for w in ("relu", "softmax", "none")),
    *({"neck": {"attention": a}} for a in ("sam", "cbam", "se")),
    {"neck": {"pooling": "none"}},
    {"neck": {"asff": True}},
    {"neck": {"asff": True}, "head": {"rfb": "rfbn"}},
    {"head": {"rfb": "rfb"}},
    {"head": {"box": "gaussian"}},
    {"backbone": {"residual": "relu"}},
    {"backbone": {"residual": "softmax", "attention": "se"}},
    {"norm": "cmbn"}, {"norm": "cbn"}, {"norm": "frn"},
    *({"drop": {"kind": k}} for k in
      ("dropout", "spatial", "dropblock", "dropblock-darknet", "path")),
]  # fmt: skip


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("name", ["yolov4-nano", "csresnext50-panet-spp-nano"])
def test_every_option_changes_the_network_and_trains(name, options):
    torch.manual_seed(0)
    network = build_detector(name, 3, **options).train()
    same = options == {"neck": {"fusion": "pan"}}
    assert (str(network) == text_of(name)) == same
    maps = network(torch.rand(2, 3, 64, 96))
    channels = 3 * (12 if network.geometry.gaussian else 8)
    assert [m.shape for m in maps] == [(2, channels, 64 // s, 96 // s) for s in (8, 16, 32)]
    sum(m.square().mean() for m in maps).backward()
    grads = [p.grad for p in network.parameters()]
    assert all(g is not None and torch.isfinite(g).all() for g in grads)


@pytest.mark.parametrize("kind", ["relu", "leaky", "relu6", "prelu", "selu", "swish",
                                  "hard-swish", "mish", "hard-mish", "tlu"])  # fmt: skip
def test_activations_of_backbone_and_neck(kind):
    network = built(backbone={"activation": kind}, neck={"activation": kind})
    blocks = [m for m in network.modules() if isinstance(m, ConvBlock)]
    assert {b.activation for b in blocks} == {kind}


def test_filter_response_normalisation_comes_with_its_activation():
    assert built(norm="frn").backbone.stem.activation == "tlu"
    chosen = built(norm="frn", backbone={"activation": "mish"})
    assert chosen.backbone.stem.activation == "mish"


def test_weighted_residuals_leave_out_sums_of_unequal_width():
    units = [
        unit
        for unit in built(
            "csresnext50-panet-spp", backbone={"residual": "relu"}
        ).backbone.modules()
        if isinstance(unit, Residual)
    ]
    assert [isinstance(u.add, WeightedSum) for u in units] == [False, *[True] * 12]


def test_dropped_paths_grow_linearly_with_depth():
    backbone = built("yolov4", drop={"kind": "path", "probability": 0.23}).backbone
    shares = [m.path.probability for m in backbone.modules() if isinstance(m, Residual)]
    assert shares == pytest.approx([0.01 * k for k in range(1, 24)])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("yolov4-nano", {"neck": {"fusion_weights": "relu"}}, "need maps that are summed"),
        ("yolov4-nano", {"neck": {"fusion": "pan", "fusion_weights": "softmax"}},
         "fusion 'pan' concatenates"),
        ("yolov4-nano", {"neck": {"fusion": "bifpn", "attention": "sam"}}, "no place in bifpn"),
        ("yolov4-csp", {"neck": {"fusion": "bifpn"}}, "whose fusion cannot be changed"),
        ("yolov4x-mish", {"head": {"box": "gaussian"}}, "new_coords"),
        ("yolov4-tiny", {"neck": {"asff": True}}, "2 scales, ASFF fuses three"),
        ("yolov4-tiny-3l", {"neck": {"attention": "se"}}, "no block that attention could close"),
        ("yolov4-tiny", {"backbone": {"residual": "relu"}}, "no residual units"),
        ("yolov4-tiny", {"drop": {"kind": "path"}}, "no residual units"),
        ("yolov4-nano", {"norm": "bm"}, "no such normalisation: 'bm'"),
        ("yolov4-nano", {"neck": {"fusion": "pan+bifpn"}}, "'pan', 'bifpn'|'bifpn'"),
        ("yolov4-nano", {"neck": {"fusoin": "pan"}}, "neck.fusoin"),
        ("csdarknet53", {}, "is a classifier"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_says_why(name, options, message):
    with pytest.raises(ConfigurationError, match=message):
        built(name, **options)


def test_unknown_classifier():
    with pytest.raises(ConfigurationError, match="no such classifier: 'csdarknet'"):
        build_classifier("csdarknet")


def test_options_as_sections_or_mappings_are_one():
    section = built(neck=NeckConfig(attention="sam"))
    assert str(section) == str(built(neck={"attention": "sam"}))
    config = TrainConfig().with_values({"neck.attention": "sam", "bn_momentum": 0.01})
    with torch.device("meta"):
        assert str(build_from_config(config, 3)) == str(section)


def test_plain_sigmoid():
    assert built(scale_xy=False).geometry.scales_xy == (1.0, 1.0, 1.0)
    assert built().geometry.scales_xy == (1.2, 1.1, 1.05)


def test_prior_behind_a_logistic_leaves_its_gradient_alive():
    network = build_detector("yolov4-csp-nano", 4)
    bias = network.head.predictions[0].conv.bias.view(3, 9)
    assert bias[:, 4].sigmoid().tolist() == pytest.approx([0.1] * 3)


def test_gaussian_prior_sits_behind_the_eight_coordinates():
    network = build_detector("yolov4-nano", 4, head={"box": "gaussian"})
    bias = network.head.predictions[0].conv.bias.view(3, 13)
    assert bias[:, 8].sigmoid().tolist() == pytest.approx([0.01] * 3)
    assert not bias[:, :8].any()


def test_outputs_of_a_geometry():
    assert Geometry((8,), ((0, 1, 2),), (1.0,), ((1, 1),) * 3).outputs(80) == 255
    assert Geometry((8,), ((0, 1, 2),), (1.0,), ((1, 1),) * 3, gaussian=True).outputs(80) == 267


def test_without_csp_yolov4_stands_on_darknet53():
    with torch.device("meta"):
        plain = build_detector("yolov4", 80, backbone={"csp": "none"})
        spp = build_detector("yolov3-spp", 80)
    assert count_learnable(plain.backbone) == count_learnable(spp.backbone)
    assert plain.backbone.channels == spp.backbone.channels


@pytest.mark.parametrize("name", ["yolov4-csp-nano", "yolov4-tiny", "csresnext50-panet-spp-nano"])
def test_no_twin_without_csp(name):
    with pytest.raises(ConfigurationError, match=r"no twin without cross-stage"):
        build_detector(name, 3, backbone={"csp": "none"})
