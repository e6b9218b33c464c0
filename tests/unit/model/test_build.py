import pytest
import torch

from model.build import STRIDES, YOLOV4_SIZES, build_detector, zoo
from model.errors import ConfigurationError
from model.registry import Registry


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
    assert all(name in str(caught.value) for name in YOLOV4_SIZES)


@pytest.mark.parametrize("classes", [0, -1])
def test_no_classes(classes):
    with pytest.raises(ConfigurationError, match=f"at least one class, not {classes}"):
        build_detector("yolov4-nano", classes)


@pytest.mark.parametrize("size", [(100, 64), (64, 100), (33, 33)])
def test_input_that_is_no_multiple_of_32(size):
    with torch.device("meta"), pytest.raises(ConfigurationError, match="not multiples of 32"):
        build_detector("yolov4-nano", 1)(torch.zeros(1, 3, *size))


@pytest.mark.parametrize("name", sorted(zoo))
def test_every_model_gives_three_maps(name):
    with torch.device("meta"):
        maps = build_detector(name, 7)(torch.zeros(2, 3, 96, 64))
    assert [m.shape for m in maps] == [(2, 36, 96 // s, 64 // s) for s in STRIDES]


def test_same_seed_same_weights():
    def weights(seed):
        torch.manual_seed(seed)
        return torch.cat([p.flatten() for p in build_detector("yolov4-nano", 2).parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_initial_weights_are_darknets():
    torch.manual_seed(0)
    weight = build_detector("yolov4-nano", 2).backbone.stem[0].weight
    bound = (2 / 27) ** 0.5
    assert weight.abs().max() <= bound
    assert weight.abs().max() > 0.9 * bound


def test_scores_begin_near_their_base_rate():
    torch.manual_seed(0)
    network = build_detector("yolov4-nano", 4).eval()
    for scale in network.head.scales:
        bias = scale[-1].bias.view(3, 9)
        assert bias[:, 4].sigmoid().tolist() == pytest.approx([0.01] * 3)
        assert bias[:, 5:].sigmoid().unique().tolist() == pytest.approx([0.25])
        assert not bias[:, :4].any()


def test_batch_norm_momentum_is_passed_on():
    network = build_detector("yolov4-nano", 1, bn_momentum=0.125)
    assert {m.momentum for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)} == {
        0.125
    }
