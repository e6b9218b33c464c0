"""What networks cost: who shares a measurement, what is taken over, what is left as it was."""

import json
import math

import pytest
import torch

from evolve.ablation.costs import read_costs, stored_costs
from evolve.costs import measure_costs, write_costs
from model.build import build_from_config, count_learnable
from model.classifier import classifier_from_config
from model.config import TrainConfig
from model.errors import ConfigurationError
from model.graph import bflops, trace_layers
from model.ingredient import catalogue
from model.recipes import baseline, with_ingredients
from model.speed import Mode, Speed
from tests.thorough import thorough

TINY = TrainConfig(model="yolov4-tiny-nano", image_size=64)
CLASSIFIER = TrainConfig(task="classify", model="csdarknet53-nano", image_size=64)
FREEBIES = "S M IT GA LS CBN CrossIterBN CA DM OA RS EMA CIoU GIoU Focal DropPath DropBlock MixUp"


@pytest.fixture
def timed(monkeypatch):
    """Networks that were timed, with what was wanted; no time is spent on them."""
    calls = []

    def measure(network, _anchors, size, wanted, _device):
        calls.append((network, size, wanted))
        ms = 5.0 + len(calls)
        return Speed(size, 1, 0, 0.0, ms, 2 * ms, 1e3 / ms, 1.0, 100.0, Mode(), ())

    def measure_classifier(network, size, wanted, device):
        return measure(network, None, size, wanted, device)

    monkeypatch.setattr("model.speed.measure_speed", measure)
    monkeypatch.setattr("model.speed.measure_classifier_speed", measure_classifier)
    return calls


def with_key(key, **values):
    config = baseline().with_values({"model": "yolov4-nano", "image_size": 64, **values})
    return with_ingredients(config, [*catalogue()[key].requires, key]) if key else config


@pytest.mark.slow
def test_figures_are_those_of_the_network_and_torch_is_left_alone():
    torch.manual_seed(7)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    costs = measure_costs({"a": TINY, "b": CLASSIFIER}, 3, repeats=4)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert json.loads(json.dumps(costs)) == costs
    assert costs["device"]
    assert costs["protocol"].startswith("4 timed passes over one picture of noise ")
    networks = {"a": build_from_config(TINY, 3), "b": classifier_from_config(CLASSIFIER, 3)}
    for key, network in networks.items():
        row = costs["rows"][key]
        assert row["parameters"] == count_learnable(network)
        assert row["bflops"] == bflops(trace_layers(network, 64, 64))
        assert 0 < row["latency_ms"] <= row["latency_p95_ms"]
    assert [*costs["rows"]] == ["a", "b"]


def test_rows_that_differ_in_freebies_share_one_measurement(timed):
    rows = {key: with_key(key) for key in ("", *FREEBIES.split())}
    rows["weights"] = with_key("", **{"backbone.weights": "some.pt"})
    costs = measure_costs(rows, 3)
    assert len(timed) == 1
    assert all(row == costs["rows"][""] for row in costs["rows"].values())


@pytest.mark.slow
def test_rows_with_other_networks_do_not(timed):
    rows = {
        **{key: with_key(key) for key in ("", "SAM", "FRN", "CSP", "DIoU-NMS", "Soft-NMS")},
        "size": with_key("", image_size=96),
        "model": with_key("", model="yolov4-tiny-nano"),
    }
    costs = measure_costs(rows, 3)["rows"]
    own = {key: row["network"] for key, row in costs.items() if key != "CSP"}  # which it has on
    assert len({*own.values()}) == len(own) == len(timed)
    assert costs["CSP"] == costs[""]
    wanted = dict(zip(own, timed, strict=True))
    assert wanted["DIoU-NMS"][2].nms == "diou"
    assert wanted["Soft-NMS"][2].nms == "soft"
    assert wanted["size"][1] == 96
    of_more_classes = measure_costs({"": rows["model"]}, 4)["rows"][""]
    assert of_more_classes["network"] not in own.values()


@pytest.mark.slow
@thorough
def test_every_ingredient_costs_what_its_training_builds(timed):
    offered = [key for key, one in catalogue().items() if "detect" in one.tasks]
    rows = {}
    for key in offered:
        one = catalogue()[key]
        if not (one.not_offered or one.needs):
            rows[key] = with_key(key, **dict(one.least))
    costs = measure_costs(rows, 3)["rows"]
    for key in {row["network"]: key for key, row in costs.items()}.values():
        network = build_from_config(rows[key], 3)
        assert costs[key]["parameters"] == count_learnable(network), key
        assert costs[key]["bflops"] == bflops(trace_layers(network, 64, 64)), key


def test_weights_are_the_same_every_time(timed):
    torch.manual_seed(1)
    measure_costs({"a": TINY}, 3)
    torch.manual_seed(2)
    measure_costs({"a": TINY}, 3)
    (first, *_), (second, *_) = timed
    assert not first.training
    theirs = second.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in first.state_dict().items())


def test_what_was_measured_is_not_measured_again(timed):
    earlier = measure_costs({"a": TINY}, 3)
    again = measure_costs({"b": TINY, "c": CLASSIFIER}, 3, measured=earlier)
    assert len(timed) == 2
    assert again["rows"]["b"] == earlier["rows"]["a"]
    assert again["rows"]["c"] != again["rows"]["b"]


@pytest.mark.parametrize("changed", ["device", "protocol"])
def test_figures_of_another_device_or_protocol_count_for_nothing(timed, changed):
    earlier = measure_costs({"a": TINY}, 3)
    measure_costs({"a": TINY}, 3, measured=earlier | {changed: "another"})
    assert len(timed) == 2
    assert measure_costs({"a": TINY}, 3, repeats=300)["protocol"] != earlier["protocol"]


@pytest.mark.parametrize("foreign", [{}, {"rows": []}, {"rows": {"a": {}}}, [], "text"])
def test_foreign_figures_count_for_nothing(timed, foreign):
    assert measure_costs({"a": TINY}, 3, measured=foreign)["rows"]["a"]["latency_ms"] == 6
    assert len(timed) == 1


def test_a_network_that_cannot_be_run_has_a_reason_and_is_tried_again(timed, monkeypatch):
    def refuse(*_):
        raise ConfigurationError("the network cannot be run: too large")

    with monkeypatch.context() as patch:
        patch.setattr("model.speed.measure_speed", refuse)
        costs = measure_costs({"a": TINY}, 3)
    row = costs["rows"]["a"]
    assert (row["latency_ms"], row["latency_p95_ms"]) == (None, None)
    assert row["reason"] == "the network cannot be run: too large"
    assert row["parameters"] > 0
    again = measure_costs({"a": TINY}, 3, measured=costs)["rows"]["a"]
    assert (again["latency_ms"], "reason" in again) == (6, False)


def test_a_size_that_is_not_settled_is_our_own_fault():
    with pytest.raises(AssertionError, match="resolve the configuration"):
        measure_costs({"a": TrainConfig()}, 3)


def test_costs_are_read_as_they_were_written(timed, tmp_path):
    path = tmp_path / "costs.json"
    assert stored_costs(path) is None
    costs = measure_costs({"a": TINY, "b": CLASSIFIER}, 3)
    write_costs(path, costs)
    assert stored_costs(path) == costs
    row, told = costs["rows"]["b"], read_costs(path)
    assert (told.device, told.protocol) == (costs["device"], costs["protocol"])
    assert told.row("b").latency_ms == row["latency_ms"]
    assert told.row("b").parameters == row["parameters"]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "[" * 100_000, '{"rows": {}}', '{"device": "d", "protocol": "p", "rows": [1]}',
     '{"device": "d", "protocol": "p", "rows": {"a": {"network": "n"}}}', "\udcff"],
)  # fmt: skip
def test_a_torn_or_foreign_file_counts_as_none(timed, tmp_path, text):
    path = tmp_path / "costs.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    costs = measure_costs({"a": TINY}, 3, measured=stored_costs(path))
    assert len(timed) == 1
    assert costs["rows"]["a"]["latency_ms"] == 6
    told = read_costs(path)
    assert told is None or all(math.isnan(row.latency_ms) for row in told.rows.values())
    assert read_costs(tmp_path) is stored_costs(tmp_path) is None
