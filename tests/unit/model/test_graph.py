import pytest
import torch

from model.build import build_classifier, build_detector
from model.graph import bflops, mean_output, receptive_field, trace_layers


def traced(name, classes=80, **options):
    with torch.device("meta"):
        return trace_layers(build_detector(name, classes, **options))


def shape(layer):
    return layer.kind, layer.inputs, layer.c_out, layer.size, layer.stride, layer.activation


def test_numbers_of_yolov4_are_darknets():
    layers = traced("yolov4")
    assert shape(layers[0]) == ("convolutional", (-1,), 32, 3, 1, "mish")
    assert shape(layers[3]) == ("route", (1,), 64, 1, 1, "linear")
    assert shape(layers[7]) == ("shortcut", (6, 4), 64, 1, 1, "linear")
    assert shape(layers[9]) == ("route", (8, 2), 128, 1, 1, "linear")
    assert [layers[i].size for i in (108, 110, 112)] == [5, 9, 13]
    assert layers[113].inputs == (112, 110, 108, 107)
    assert shape(layers[121])[:3] == ("route", (120, 118), 512)
    assert [i for i, layer in enumerate(layers) if layer.kind == "yolo"] == [139, 150, 161]
    assert layers[140].inputs == (136,)
    assert layers[142].inputs == (141, 126)


def test_yolov3_predicts_coarse_first():
    layers = traced("yolov3-spp")
    yolo = [i for i, layer in enumerate(layers) if layer.kind == "yolo"]
    assert yolo == [89, 101, 113]
    assert [layers[i].out_wh[0] for i in yolo] == [13, 26, 52]
    assert layers[93].inputs == (92, 61)


def test_tiny_splits_channels_and_halves():
    layers = traced("yolov4-tiny")
    assert (layers[3].kind, layers[3].groups, layers[3].c_out) == ("route", 2, 32)
    assert shape(layers[9])[:5] == ("maxpool", (8,), 128, 2, 2)
    assert layers[34].inputs == (33, 23)


def test_csresnext_activates_after_the_sum():
    layers = traced("csresnext50-panet-spp")
    first = next(layer for layer in layers if layer.kind == "shortcut")
    assert (first.activation, first.c_out) == ("leaky", 128)
    assert layers[first.inputs[1]].c_out == 64
    assert layers[20].groups == 32


def test_point_wise_attention_multiplies_by_a_logistic_convolution():
    layers = traced("yolov4", neck={"attention": "sam"})
    sam = [layer for layer in layers if layer.kind == "sam"]
    assert [layer.c_out for layer in sam] == [256, 512, 1024]
    for layer in sam:
        mask, source = layer.inputs
        assert layers[mask].activation == "logistic"
        assert layers[source].c_out == layer.c_out


def test_weighted_sums_count_twice():
    plain = traced("yolov4-nano", neck={"fusion": "pan-add"})
    weighted = traced("yolov4-nano", neck={"fusion": "pan-add", "fusion_weights": "relu"})
    sums = sum(layer.outputs for layer in plain if layer.name.startswith(("neck.join", "neck.re")))
    assert bflops(weighted) - bflops(plain) == pytest.approx(sums / 1e9)


def test_tracing_leaves_the_network_alone():
    torch.manual_seed(0)
    network = build_detector("yolov4-nano", 2).train()
    network.neck.eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    trace_layers(network, 64, 96)
    assert (network.training, network.neck.training, network.head.training) == (True, False, True)
    assert not any(module._forward_hooks for module in network.modules())
    assert all(torch.equal(before[k], v) for k, v in network.state_dict().items())


def test_extent_may_differ_in_width_and_height():
    with torch.device("meta"):
        network = build_detector("yolov4-nano", 2)
    assert trace_layers(network, 64, 96)[0].out_wh == (64, 96)
    wide, square = (bflops(trace_layers(network, w, 64)) for w in (128, 64))
    assert wide == pytest.approx(2 * square)


def test_figures_of_a_hand_made_list():
    with torch.device("meta"):
        layers = trace_layers(build_classifier("csresnext50"), 64, 64)
    stem = layers[:2]  # 7x7 stride 2, then a pool 2 stride 2: 1 + 6, then + 1 times 2
    assert receptive_field(stem) == 9
    assert mean_output(stem) == (64 * 32 * 32 + 64 * 16 * 16) / 2
    assert bflops(stem) == (2 * 49 * 3 * 64 * 32 * 32 + 4 * 64 * 16 * 16) / 1e9
    assert [layer.kind for layer in layers[-3:]] == ["avgpool", "convolutional", "softmax"]
