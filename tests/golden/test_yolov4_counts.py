"""YOLOv4's sizes, counted from darknet's cfg/yolov4.cfg by darknet's own rules."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from model.blocks.conv import Residual
from model.build import build_detector, count_learnable
from model.necks.spp_pan import SpatialPyramidPooling

SPP_SIZES = (5, 9, 13)


@pytest.fixture(scope="module")
def yolov4():
    with torch.device("meta"):
        return build_detector("yolov4", 80).eval()


def test_learnable_parameters(yolov4):
    neck = yolov4.neck
    spp = count_learnable(neck.before_spp) + count_learnable(neck.after_spp)
    assert count_learnable(yolov4.backbone) == 26_617_184
    assert spp == 12_066_816
    assert count_learnable(neck) - spp + count_learnable(yolov4.head) == 25_679_101
    assert count_learnable(yolov4) == 64_363_101


def test_file_floats(yolov4):
    norms = [m for m in yolov4.modules() if isinstance(m, nn.BatchNorm2d)]
    rolling = sum(m.running_mean.numel() + m.running_var.numel() for m in norms)
    assert count_learnable(yolov4) + rolling == 64_429_405


def test_convolutions(yolov4):
    layers = list(yolov4.modules())
    convolutions = [m for m in layers if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 110
    assert sum(isinstance(m, nn.BatchNorm2d) for m in layers) == 107
    assert sum(m.bias is not None for m in convolutions) == 3
    assert sum(isinstance(m, nn.Conv2d) for m in yolov4.backbone.modules()) == 72


def test_darknet_epsilon_and_momentum(yolov4):
    norms = [m for m in yolov4.modules() if isinstance(m, nn.BatchNorm2d)]
    assert {(m.eps, m.momentum) for m in norms} == {(1e-5, 0.01)}


def bflops(network, size):
    """Darknet's rule: convolutions 2 k^2 C_in C_out H W, pools k^2 C H W, shortcuts C H W."""
    total = 0

    def count(module, inputs, output):
        nonlocal total
        if not isinstance(output, torch.Tensor):
            return
        cells = output.shape[-2] * output.shape[-1]
        if isinstance(module, nn.Conv2d):
            total += 2 * module.weight.numel() * cells
        elif isinstance(module, SpatialPyramidPooling):
            total += sum(k * k for k in SPP_SIZES) * inputs[0].shape[1] * cells
        elif isinstance(module, Residual):
            total += output.shape[1] * cells

    hooks = [m.register_forward_hook(count) for m in network.modules()]
    network(torch.empty(1, 3, size, size, device="meta"))
    for hook in hooks:
        hook.remove()
    return total / 1e9


@pytest.mark.parametrize(("size", "expected"), [(416, 60.14), (512, 91.10), (608, 128.4588)])
def test_bflops(yolov4, size, expected):
    assert bflops(yolov4, size) == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize(("size", "boxes"), [(416, 10_647), (512, 16_128), (608, 22_743)])
def test_shapes_of_the_raw_maps(yolov4, size, boxes):
    maps = yolov4(torch.empty(2, 3, size, size, device="meta"))
    assert [m.shape for m in maps] == [(2, 255, size // s, size // s) for s in (8, 16, 32)]
    assert sum(3 * m.shape[2] * m.shape[3] for m in maps) == boxes


def test_pools_composed_equal_parallel_ones_in_darknets_order():
    x = torch.randn(2, 3, 19, 17, generator=torch.Generator().manual_seed(0))
    parallel = [F.max_pool2d(x, k, 1, k // 2) for k in reversed(SPP_SIZES)]
    assert torch.equal(SpatialPyramidPooling()(x), torch.cat((*parallel, x), dim=1))


def test_concatenation_order_of_a_stage():
    stage = build_detector("yolov4-nano", 1).backbone.stages[1].eval()
    x = torch.randn(1, 16, 8, 8)
    joined = []
    stage.fuse.register_forward_pre_hook(lambda _, inputs: joined.append(inputs[0]))
    stage(x)
    entered = stage.down(x)
    main = stage.leave(stage.residuals(stage.enter(entered)))
    assert torch.equal(joined[0], torch.cat((main, stage.bypass(entered)), dim=1))
