import pytest
import torch
from torch import nn

from model.blocks.conv import ConvBlock
from model.build import build_classifier, build_detector
from model.errors import ConfigurationError
from model.fuse import fold_batch_norm
from model.zoo import FAMILIES

NETWORKS = {
    **{family: (f"{family}-nano", {}) for family in FAMILIES},
    "cmbn": ("yolov4-nano", {"norm": "cmbn"}),
    "cbn": ("yolov4-tiny-nano", {"norm": "cbn"}),
    "sam, rfbn": ("yolov4-nano", {"neck": {"attention": "sam"}, "head": {"rfb": "rfbn"}}),
    "asff": ("yolov4-nano", {"neck": {"asff": True}}),
    "bifpn": ("yolov4-nano", {"neck": {"fusion": "bifpn"}}),
}


def with_statistics(network: nn.Module) -> nn.Module:
    """In evaluation mode, as if it had been trained: no scale is 1 and no mean 0."""
    generator = torch.Generator().manual_seed(1)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            for values in (norm.running_mean, norm.bias.data):
                values.copy_(0.1 * torch.randn(values.shape, generator=generator))
            for values in (norm.running_var, norm.weight.data):
                values.copy_(0.8 + 0.4 * torch.rand(values.shape, generator=generator))
    return network.eval()


@pytest.mark.parametrize("name", NETWORKS)
@torch.inference_mode()
def test_folded_networks_give_the_same_without_their_norms(name):
    model, options = NETWORKS[name]
    torch.manual_seed(0)
    network = with_statistics(build_detector(model, 3, **options))
    folded = fold_batch_norm(network)
    images = torch.rand(1, 3, 64, 96)
    assert any(isinstance(m, nn.BatchNorm2d) for m in network.modules())
    assert not any(isinstance(m, nn.BatchNorm2d) for m in folded.modules())
    for ours, expected in zip(folded(images), network(images), strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-4, rtol=0)


@torch.inference_mode()
def test_a_classifier_is_folded_too():
    torch.manual_seed(0)
    network = with_statistics(build_classifier("csdarknet53-nano", 5))
    images = torch.rand(2, 3, 64, 64)
    expected = network(images)
    torch.testing.assert_close(fold_batch_norm(network)(images), expected, atol=1e-4, rtol=0)


def test_a_block_by_hand():
    block = ConvBlock(1, 1, 1, activation="linear").eval()
    block.norm.eps = 0.0
    for values, value in [
        (block.conv.weight.data, 2.0), (block.norm.running_mean, 1.0),
        (block.norm.running_var, 4.0), (block.norm.weight.data, 3.0), (block.norm.bias.data, 5.0),
    ]:  # fmt: skip
        values.fill_(value)
    folded = fold_batch_norm(block)
    assert folded.conv.weight.item() == 2 * 3 / 2
    assert folded.conv.bias.item() == 5 - 1 * 3 / 2
    assert block.conv.weight.item() == 2
    assert block.conv.bias is None


def test_frn_stays():
    network = build_detector("yolov4-tiny-nano", 1, norm="frn").eval()
    folded = fold_batch_norm(network)
    assert [type(m) for m in folded.modules()] == [type(m) for m in network.modules()]
    assert list(folded.state_dict()) == list(network.state_dict())


def test_folding_twice_changes_nothing():
    once = fold_batch_norm(with_statistics(build_detector("yolov4-tiny-nano", 1)))
    twice = fold_batch_norm(once).state_dict()
    assert all(torch.equal(value, twice[name]) for name, value in once.state_dict().items())


def test_training_mode_is_refused_and_its_place_named():
    network = build_detector("yolov4-tiny-nano", 1).eval()
    network.head.train()
    with pytest.raises(ConfigurationError, match="training mode") as raised:
        fold_batch_norm(network)
    assert raised.value.where == "head"
