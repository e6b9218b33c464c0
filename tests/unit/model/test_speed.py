import json
import math
from dataclasses import replace
from unittest.mock import Mock

import pytest
import torch

from model.build import build_classifier, build_detector, count_learnable
from model.decode import decode
from model.errors import ConfigurationError
from model.graph import bflops, trace_layers
from model.speed import (
    Mode,
    Pass,
    Trial,
    Wanted,
    check_size,
    describe_protocol,
    measure_classifier_speed,
    measure_speed,
    peak_memory_mib,
    prepare,
    prepare_body,
    reset_peak_memory,
    try_modes,
)

CPU = torch.device("cpu")
QUICK = Wanted(repeats=3, warm_up=1, precision="fp32")


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return build_detector("yolov4-tiny-nano", 3).eval()


@pytest.fixture(scope="module")
def classifier():
    torch.manual_seed(0)
    return build_classifier("csdarknet53-nano", 3).eval()


@pytest.fixture
def anchors_px(network):
    return torch.tensor(network.geometry.anchors_wh_px)


@pytest.fixture
def images():
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("size", "near"),
    [(100, "take 96 or 128"), (0, "take 32"), (31, "take 32"), (417, "take 416 or 448")],
)
def test_the_nearest_sizes_are_named(size, near):
    with pytest.raises(ConfigurationError, match=f"a size of {size} is not a multiple of 32") as e:
        check_size(size)
    assert e.value.mend == near


def test_multiples_of_32_pass():
    assert [check_size(size) for size in (32, 416, 608)] == [None] * 3


@pytest.mark.parametrize(
    ("mode", "tolerance"),
    [
        (Mode(), 0),
        (Mode(fold=True), 1e-4),
        (Mode(channels_last=True), 1e-4),
        (Mode(fold=True, channels_last=True), 1e-4),
        (Mode("bf16", fold=True), 0.02),
    ],
    ids=str,
)
@torch.inference_mode()
def test_every_mode_gives_the_same(network, anchors_px, images, mode, tolerance):
    anchors = anchors_px / 64
    expected = decode(network(images), anchors, network.geometry)
    for ours, theirs in zip(
        prepare(network, anchors, images, mode)(images), expected, strict=True
    ):
        torch.testing.assert_close(ours, theirs, atol=tolerance, rtol=tolerance)


def test_low_precision_is_really_taken(network, anchors_px, images):
    with torch.inference_mode():
        exact, low = (
            prepare(network, anchors_px / 64, images, Mode(precision))(images)[1]
            for precision in ("fp32", "bf16")
        )
    assert low.dtype == torch.float32
    assert not torch.equal(exact, low)


def test_a_pass_gives_suppression_its_candidates(network, anchors_px, images):
    with torch.inference_mode():
        one_pass = Pass(network, anchors_px / 64, images, Mode())
        found = one_pass(images)
    assert 50 < one_pass.candidates <= 100  # less than 100 where scores are equal
    assert len(found) == 2
    assert all(len(one.scores) > 0 for one in found)


def test_figures_belong_together(network, anchors_px):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    row = measure_speed(network, anchors_px, 96, Wanted(2, "fp32", repeats=4, warm_up=1), CPU)
    assert row.parameters == count_learnable(network)
    assert row.bflops == bflops(trace_layers(network, 96, 96))
    assert 0 < row.latency_ms <= row.latency_p95_ms
    assert row.fps == pytest.approx(2000 / row.latency_ms)
    assert row.memory_mib > 0
    assert [trial.mode for trial in row.trials][:2] == [Mode(), Mode(fold=True)]
    fastest = min(row.trials, key=lambda trial: trial.latency_ms or math.inf)
    assert row.mode == fastest.mode
    assert json.loads(json.dumps(row.to_dict()))["mode"]["precision"] == "fp32"
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_figures_of_a_classifier_belong_together(classifier):
    before = {name: value.clone() for name, value in classifier.state_dict().items()}
    row = measure_classifier_speed(classifier, 64, QUICK, CPU)
    assert row.parameters == count_learnable(classifier)
    assert row.bflops == bflops(trace_layers(classifier, 64, 64))
    assert 0 < row.latency_ms <= row.latency_p95_ms
    assert row.candidates == 0
    assert row.memory_mib > 0
    assert all(torch.equal(value, before[name]) for name, value in classifier.state_dict().items())


@pytest.mark.parametrize(
    ("mode", "tolerance"),
    [(Mode(), 0), (Mode(fold=True, channels_last=True), 1e-4), (Mode("bf16"), 0.05)],
    ids=str,
)
@torch.inference_mode()
def test_every_mode_gives_the_same_logits(classifier, images, mode, tolerance):
    ours = prepare_body(classifier, images, mode)(images)
    torch.testing.assert_close(ours.float(), classifier(images), atol=tolerance, rtol=tolerance)


def test_a_size_is_checked_for_classifiers_too(classifier):
    with pytest.raises(ConfigurationError, match="a size of 100"):
        measure_classifier_speed(classifier, 100, QUICK, CPU)


@pytest.mark.parametrize("kind", ["diou", "darknet-greedy", "soft"])
def test_the_kind_of_suppression_is_the_one_that_is_wanted(
    network, anchors_px, images, kind, monkeypatch
):
    seen = []
    monkeypatch.setattr("model.speed.suppress", lambda *_, **rule: seen.append(rule["kind"]))
    measure_speed(network, anchors_px, 64, replace(QUICK, nms=kind), CPU)
    assert {*seen} == {kind}
    monkeypatch.undo()
    with torch.inference_mode():
        found = Pass(network, anchors_px / 64, images, Mode(), kind)(images)
    assert all(len(one.scores) > 0 for one in found)


def test_each_change_stands_on_the_best_so_far(images, monkeypatch):
    cost = {"fold": -3.0, "channels_last": 1.0, "compiled": -1.0}

    def tried(_make, _images, mode):
        return Trial(mode, 10 + sum(ms for name, ms in cost.items() if getattr(mode, name)))

    monkeypatch.setattr("model.speed._try", tried)
    trials = try_modes(Mock(), images, Wanted(precision="fp32", compile=True))
    assert [trial.latency_ms for trial in trials] == [10, 7, 8, 6]
    assert trials[-1].mode == Mode(fold=True, compiled=True)


def test_a_mode_that_fails_is_left_out_and_told(network, anchors_px, monkeypatch):
    def broken(_network):
        raise RuntimeError("no compiler\nat all")

    monkeypatch.setattr("model.speed._compiled", broken)
    wanted = Wanted(precision="fp32", compile=True, repeats=2, warm_up=1)
    row = measure_speed(network, anchors_px, 64, wanted, CPU)
    assert row.trials[-1].latency_ms is None
    assert row.trials[-1].error == "RuntimeError: no compiler"
    assert not row.mode.compiled


def test_a_network_that_cannot_run_at_all_is_an_error(network, monkeypatch):
    def broken(*_):
        raise MemoryError("too large")

    monkeypatch.setattr("model.speed.prepare", broken)
    with pytest.raises(ConfigurationError, match="cannot be run: MemoryError: too large") as e:
        measure_speed(network, torch.ones(6, 2), 64, QUICK, CPU)
    assert e.value.where == "batch 1, size 64, fp32"


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (Wanted(batch=0), "batch is 0"),
        (Wanted(repeats=0), "repeats is 0"),
        (Wanted(precision="fp16"), "a CPU gains nothing from fp16"),
    ],
)
def test_wishes_that_make_no_sense(network, anchors_px, wanted, words):
    with pytest.raises(ConfigurationError, match=words):
        measure_speed(network, anchors_px, 64, wanted, CPU)


def test_the_peak_of_memory_is_seen_and_forgotten():
    reset_peak_memory(CPU)
    low = peak_memory_mib(CPU)
    held = torch.ones(32 << 20)
    assert peak_memory_mib(CPU) > low + 100  # MiB; it has 128
    del held


def test_the_protocol_tells_device_and_counts():
    protocol = json.loads(json.dumps(describe_protocol(CPU, QUICK)))
    assert protocol["device_type"] == "cpu"
    assert protocol["device"]
    assert (protocol["warm_up"], protocol["repeats"], protocol["batch"]) == (1, 3, 1)
    assert protocol["torch"] == torch.__version__
    assert protocol["threads"] == torch.get_num_threads()
    assert protocol["nms"]["iou_threshold"] == 0.45
    assert protocol["timed"].startswith("forward, decoding and NMS; ")


def test_the_protocol_of_classifiers_has_no_suppression():
    protocol = describe_protocol(CPU, QUICK, "classify")
    assert protocol["timed"].startswith("forward; ")
    assert protocol["nms"] is None


def test_modes_are_named():
    assert str(Mode()) == "fp32"
    assert str(Mode("bf16", True, True, True, True)) == (
        "bf16, BN folded, channels last, CUDA graph, compiled"
    )
