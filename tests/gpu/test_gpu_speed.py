"""Measuring and running in every mode on a GPU; every test runs on the CPU, too."""

import pytest
import torch

from model.build import build_classifier, build_detector
from model.decode import decode
from model.speed import (
    Mode,
    Wanted,
    describe_protocol,
    measure_classifier_speed,
    measure_speed,
    prepare,
)
from tests.gpu.devices import DEVICES


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return build_detector("yolov4-tiny-nano", 3).eval()


@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
def test_every_mode_that_is_tried_runs(network, device):
    device = torch.device(device)
    anchors = torch.tensor(network.geometry.anchors_wh_px)
    wanted = Wanted(batch=2, repeats=3, warm_up=1)
    row = measure_speed(network, anchors, 96, wanted, device)
    assert all(trial.latency_ms is not None for trial in row.trials), row.trials
    assert any(trial.mode.cuda_graph for trial in row.trials) == (device.type == "cuda")
    assert row.memory_mib > 0
    assert describe_protocol(device, wanted)["device_type"] == device.type


@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("batch", [1, 3])
def test_low_precision_and_graphs_give_what_float32_gives(network, device, batch):
    anchors = torch.tensor(network.geometry.anchors_wh_px) / 64
    generator = torch.Generator().manual_seed(0)
    first, second = torch.rand(2, batch, 3, 64, 64, generator=generator)
    graph = device == "cuda"
    with torch.inference_mode():
        mode = Mode("bf16", fold=True, channels_last=True, cuda_graph=graph)
        forward = prepare(network, anchors.to(device), first.to(device), mode)
        for images in (first, second):  # a graph must read the new images
            expected = decode(network(images), anchors, network.geometry)
            for ours, theirs in zip(forward(images.to(device)), expected, strict=True):
                torch.testing.assert_close(ours.cpu(), theirs, atol=0.02, rtol=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
def test_classifiers_run_in_every_mode_that_is_tried(device):
    torch.manual_seed(0)
    classifier = build_classifier("csdarknet53-nano", 3).eval()
    wanted = Wanted(batch=2, repeats=3, warm_up=1)
    row = measure_classifier_speed(classifier, 64, wanted, torch.device(device))
    assert all(trial.latency_ms is not None for trial in row.trials), row.trials
    assert any(trial.mode.cuda_graph for trial in row.trials) == (device == "cuda")
