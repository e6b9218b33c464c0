"""Sizes of the networks, counted from darknet's cfg files by darknet's own rules.

Layers, convolutions, learnable parameters, floats of a weights file and BFLOPs come from the
cfg files; for yolov4, -tiny, -csp and x-mish darknet's README prints the same BFLOPs. Table 1 of
arXiv:2004.10934 gives those of the classifiers.
"""

import pytest
import torch
from torch import nn

from model.build import build_classifier, build_detector, count_learnable
from model.graph import bflops, mean_output, receptive_field, trace_layers

# layers, convolutions, with BN, learnable, file floats, BFLOPs at 416, 512, 608
COUNTS = {
    "yolov4": (162, 110, 107, 64_363_101, 64_429_405, "60.14", "91.10", "128.4588"),
    "csresnext50-panet-spp": (138, 97, 94, 56_942_525, 57_030_845, "47.10", "71.34", "100.6"),
    "yolov4-tiny": (38, 21, 19, 6_056_606, 6_062_814, "6.910", "10.47", "14.76"),
    "yolov4-tiny-3l": (45, 24, 21, 6_327_453, 6_334_045, "8.305", "12.58", "17.74"),
    "yolov4-csp": (175, 115, 112, 52_921_437, 52_986_205, "50.83", "77.00", "108.6"),
    "yolov4x-mish": (203, 137, 134, 99_751_053, 99_847_037, "93.79", "142.1", "200.3"),
    "yolov3-spp": (114, 76, 73, 62_998_749, 63_052_381, "66.26", "100.4", "141.5"),
    "yolov4 with SAM": (168, 113, 110, 65_742_941, 65_812_829, "61.20", "92.71", "130.7"),
}
AT_640 = {"yolov4-csp": "120.3", "yolov4x-mish": "222.0"}


def rounded(value, printed):
    """The value with as many digits as the printed one."""
    return f"{value:.{len(printed.split('.')[1])}f}"


@pytest.fixture(scope="module", params=COUNTS)
def counted(request):
    name, _, plug_in = request.param.partition(" with ")
    neck = {"attention": plug_in.lower()} if plug_in else None
    with torch.device("meta"):
        return build_detector(name, 80, neck=neck).eval(), COUNTS[request.param], request.param


def test_sizes(counted):
    network, (layers, convolutions, with_norm, learnable, floats, *_), _ = counted
    traced = trace_layers(network)
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(traced) == layers
    assert sum(layer.kind == "convolutional" for layer in traced) == convolutions
    assert len(norms) == with_norm
    assert {(m.eps, m.momentum) for m in norms} == {(1e-5, 0.01)}
    assert count_learnable(network) == learnable
    assert learnable + sum(2 * m.num_features for m in norms) == floats


def test_bflops(counted):
    network, (*_, at_416, at_512, at_608), name = counted
    printed = {416: at_416, 512: at_512, 608: at_608}
    if name in AT_640:
        printed[640] = AT_640[name]
    found = {size: bflops(trace_layers(network, size, size)) for size in printed}
    assert {s: rounded(found[s], printed[s]) for s in printed} == printed


def test_parts_of_yolov4():
    with torch.device("meta"):
        network = build_detector("yolov4")
    parts = [network.backbone, network.neck.pool]
    rest = count_learnable(network) - sum(map(count_learnable, parts))
    assert [*map(count_learnable, parts), rest] == [26_617_184, 12_066_816, 25_679_101]
    traced = trace_layers(network, 512, 512)
    shares = [bflops(traced[a:b]) for a, b in ((0, 105), (105, 117), (117, 162))]
    assert [f"{share:.2f}" for share in shares] == ["52.27", "6.21", "32.61"]


def test_parts_of_csresnext50_panet_spp():
    with torch.device("meta"):
        network = build_detector("csresnext50-panet-spp")
    traced = trace_layers(network, 512, 512)
    assert count_learnable(network.backbone) == 18_508_480
    assert count_learnable(network) - 18_508_480 == 38_434_045
    assert [f"{bflops(part):.2f}" for part in (traced[:81], traced[81:])] == ["31.72", "39.63"]


@pytest.mark.parametrize(
    ("name", "learnable", "convolutions", "field", "mean_k", "billions"),
    [
        ("csdarknet53", 27_642_184, 73, 725, 950.9, 52),
        ("csresnext50", 20_557_480, 60, 425, 1058.2, 31),
    ],
)
def test_table_1(name, learnable, convolutions, field, mean_k, billions):
    with torch.device("meta"):
        classifier = build_classifier(name)
    layers = trace_layers(classifier, 512, 512)
    assert count_learnable(classifier) == learnable
    assert sum(layer.kind == "convolutional" for layer in layers) == convolutions
    assert receptive_field(layers) == field
    assert round(mean_output(layers) / 1000, 1) == mean_k
    assert int(bflops(layers)) == billions


@pytest.mark.parametrize(("size", "boxes"), [(416, 10_647), (512, 16_128), (608, 22_743)])
def test_boxes_of_yolov4(size, boxes):
    with torch.device("meta"):
        maps = build_detector("yolov4")(torch.empty(2, 3, size, size))
    assert [m.shape for m in maps] == [(2, 255, size // s, size // s) for s in (8, 16, 32)]
    assert sum(3 * m.shape[2] * m.shape[3] for m in maps) == boxes
