"""Training and detecting on a GPU; every test runs on the CPU, too."""

import itertools
import math

import pytest
import torch

from model.build import build_detector
from model.config import NmsConfig, TrainConfig
from model.data.coco import load_dataset
from model.predict import predict
from model.train import fit
from tests.gpu.devices import DEVICES
from tests.tiny_data import write_tiny_coco

LOSSES = ("loss", "loss_box", "loss_obj", "loss_cls")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return load_dataset(write_tiny_coco(tmp_path_factory.mktemp("tiny") / "set"))


def tiny(**values):
    plain = {"image_size": 64, "batch_size": 4, "epochs": 2, "precision": "fp32"}
    return TrainConfig().with_values(plain | values)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("device", DEVICES)
def test_an_epoch_is_finite(dataset, device, precision):
    report = next(fit(tiny(precision=precision), dataset, device=device))
    assert all(math.isfinite(report.metrics[name]) for name in LOSSES)
    assert 0 <= report.metrics["AP"] <= 1


@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
def test_predictions_equal_those_of_the_cpu_in_float32(device):
    torch.manual_seed(0)
    network = build_detector("yolov4-nano", 3).eval()
    images, anchors = torch.rand(2, 3, 96, 64), torch.rand(9, 2) * 0.5 + 0.05
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        with torch.inference_mode():
            expected = [m.clone() for m in network(images)]
            found = [m.cpu() for m in network.to(device)(images.to(device))]
        for ours, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)
        rule = NmsConfig(score_threshold=0.0, max_detections=20)
        there = predict(network, images.to(device), anchors.to(device), rule)
        here = predict(network.cpu(), images, anchors, rule)
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before
    for ours, theirs in zip(there, here, strict=True):
        torch.testing.assert_close(ours.scores.cpu(), theirs.scores, atol=1e-4, rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
def test_resumes(dataset, device, tmp_path):
    config = tiny(epochs=3)
    straight = [r.metrics["loss"] for r in fit(config, dataset, device=device)]
    for report in itertools.islice(fit(config, dataset, device=device), 1):
        report.save(tmp_path / "last.pt")
    rest = [
        r.metrics["loss"] for r in fit(config, dataset, device=device, resume=tmp_path / "last.pt")
    ]
    # sums on a GPU have no fixed order, so equality there is to a tolerance
    expected = straight[1:] if device == "cpu" else pytest.approx(straight[1:], rel=0.05)
    assert rest == expected
