"""Latency and AP that are measured once, and by whom."""

import math

import numpy as np
import pytest

from evolve.analysis.deltas import estimate
from evolve.costs import network_of
from evolve.errors import EvolveError
from evolve.pareto.join import Asked, join
from evolve.pareto.measure import Measurer, Wanted, resampled_ap
from evolve.pareto.subjects import Accuracy, Data, Source, Subject, check_alike
from evolve.store.folder import write_json
from model.config import TrainConfig

DATA = Data("set", "set", "abc", ("red", "green"))
HEADER = {"device": "Some CPU", "protocol": "so"}
TINY = TrainConfig(model="yolov4-tiny-nano", image_size=64)


class Timer:
    """Stands for `measure_costs`: 10 ms at first, 1 ms more each time."""

    def __init__(self):
        self.asked = []

    def __call__(self, rows, classes, *, repeats, device):
        (config,) = rows.values()
        self.asked.append((config.model, config.image_size))
        row = {
            "parameters": 1000, "bflops": 1.5, "network": network_of(config, classes),
            "latency_ms": 9.0 + len(self.asked), "latency_p95_ms": 12.0 + len(self.asked),
        }  # fmt: skip
        return {**HEADER, "rows": {"it": row}}


@pytest.fixture
def timer():
    return Timer()


@pytest.fixture
def make(monkeypatch, timer):
    def make(metric="AP", repeats=200):
        monkeypatch.setattr("evolve.pareto.measure.costs_header", lambda *_: HEADER)
        wanted = Wanted(DATA, "test", metric, "cpu", repeats)
        return Measurer(wanted, lambda _: None, timer)

    return make


def subject(tmp_path, title="a", config=TINY, value=0.3, **changes):
    stored = Accuracy(estimate([value, value + 0.02]), None, 24, is_stored=True)
    given = {"title": title, "role": "row", "config": config, "weights": (),
             "home": tmp_path / "measured.json", "stored": stored}  # fmt: skip
    return Subject(**(given | changes))


def test_a_network_is_timed_once_however_many_have_it(make, timer, tmp_path):
    measurer = make()
    first = measurer.cost(subject(tmp_path), 64)
    other = subject(tmp_path, "b", TINY.with_values({"optimizer.lr": 0.001}))
    assert measurer.cost(other, 64) == first
    assert first["latency_ms"] == 10.0
    assert timer.asked == [("yolov4-tiny-nano", 64)]
    measurer.cost(other, 96)
    assert timer.asked[1:] == [("yolov4-tiny-nano", 96)]


def test_a_second_call_times_nothing(make, timer, tmp_path):
    first = make().cost(subject(tmp_path), 64)
    make().cost(subject(tmp_path), 96)
    assert make().cost(subject(tmp_path), 64) == first
    assert len(timer.asked) == 2


def test_another_protocol_is_timed_anew(make, timer, tmp_path, monkeypatch):
    make().cost(subject(tmp_path), 64)
    other = make()
    other.header = HEADER | {"protocol": "other"}
    assert other.cost(subject(tmp_path), 64)["latency_ms"] == 11.0
    assert make().cost(subject(tmp_path), 64)["latency_ms"] == 10.0
    assert len(timer.asked) == 2


def test_what_a_table_has_measured_is_taken_over_if_it_was_measured_alike(make, timer, tmp_path):
    row = timer({"it": TINY}, 2, repeats=200, device=None)["rows"]["it"] | {"latency_ms": 3.0}
    for name, header in (("same", HEADER), ("other", HEADER | {"device": "a GPU"})):
        write_json(tmp_path / f"{name}.json", {**header, "rows": {"base": row}})
    timer.asked.clear()
    known = subject(tmp_path, costs=tmp_path / "same.json", home=tmp_path / "1.json")
    measurer = make()
    measurer.look_up([known])
    assert measurer.cost(known, 64)["latency_ms"] == 3.0
    assert timer.asked == []
    unknown = subject(tmp_path, costs=tmp_path / "other.json", home=tmp_path / "2.json")
    measurer = make()
    measurer.look_up([unknown])
    assert measurer.cost(unknown, 64)["latency_ms"] != 3.0


def test_what_cannot_be_run_is_tried_again_another_time(make, timer, tmp_path):
    def fails(*given, **more):
        found = timer(*given, **more)
        found["rows"]["it"] |= {"latency_ms": None, "latency_p95_ms": None, "reason": "no memory"}
        return found

    measurer = make()
    measurer._time_network = fails
    assert measurer.cost(subject(tmp_path), 64)["latency_ms"] is None
    found = join(measurer, [subject(tmp_path)], Asked())
    assert found.notes == ("a cannot be run at 64 px here: no memory",)
    assert make().cost(subject(tmp_path), 64)["latency_ms"] is not None


def test_a_stored_value_is_taken_at_its_own_size_alone(make, tmp_path):
    one = subject(tmp_path)
    assert make().accuracy(one, 64) is one.stored
    assert make().accuracy(one, 96) is None


def test_points_are_joined_with_marks_and_notes(make, tmp_path):
    strict = TINY.with_values({"nms.iou_threshold": 0.45, "model": "yolov4-nano"})
    subjects = [subject(tmp_path, "a"), subject(tmp_path, "b", value=0.2),
                subject(tmp_path, "c", strict, 0.5)]  # fmt: skip
    found = join(make(), subjects, Asked(sizes=(64, 96), max_latency_ms=10.5))
    points = found.points.set_index("key")
    assert list(points.index) == ["a@64", "b@64", "c@64"]
    assert points["latency_ms"].tolist() == [10.0, 10.0, 11.0]
    assert points["ap"].tolist() == pytest.approx([0.31, 0.21, 0.51])
    assert points["on_front"].tolist() == [True, False, True]
    assert points["mark"].tolist() == ["", "", "†"]
    assert points["is_stored"].all()
    assert found.choice.key == "a@64"
    assert any(note.startswith("† other NMS threshold") for note in found.notes)
    assert sum("the weights of" in note for note in found.notes) == 3
    assert found.accuracy["nms_iou"] == 0.6


def test_nothing_to_measure_is_told(make, tmp_path):
    with pytest.raises(EvolveError, match="nothing here can be measured"):
        join(make(), [subject(tmp_path, stored=None)], Asked())


def test_ap_of_detections_and_of_resampled_images():
    truth = {
        "images": [{"id": n, "width": 50, "height": 50} for n in range(8)],
        "annotations": [{"image_id": n, "category_id": 1, "bbox": [5, 5, 20, 20]}
                        for n in range(8)],
        "categories": [{"id": 1, "name": "red"}],
    }  # fmt: skip
    found = [{"image_id": n, "category_id": 1, "bbox": [5, 5, 20, 20], "score": 0.9 - n / 100}
             for n in range(4)]  # fmt: skip
    told = resampled_ap(truth, found, 8)
    assert told["metrics"]["AP"] == pytest.approx(51 / 101)
    drawn = np.array(told["resampled"]["AP"], float) / 1e5
    assert drawn.shape == (1000,)
    assert drawn.mean() == pytest.approx(0.5, abs=0.03)
    assert 0.1 < drawn.std() < 0.25


def source(name="a", classes=("cat",), digest="1", is_run=True):
    data = Data("set", name, digest, classes)
    return Source(name, __file__, classes, digest, data, lambda *_: [], is_run)


def test_other_classes_are_refused():
    check_alike([source(), source("b")])
    with pytest.raises(EvolveError, match=r"one knows 'cat', the other 'dog' and 'eel'"):
        check_alike([source(), source("b", ("dog", "eel"), is_run=False)])


def test_runs_on_other_data_are_refused_and_weights_are_not():
    check_alike([source(), source("b", digest="2", is_run=False)])
    with pytest.raises(EvolveError, match=r"trained on other data \(a, 1 and b, 2\)"):
        check_alike([source(), source("b", digest="2")])


def test_a_single_training_has_no_part_of_seeds(make, tmp_path):
    stored = Accuracy(estimate([0.3]), None, 24)
    found = join(make(), [subject(tmp_path, stored=stored)], Asked())
    (point,) = found.points.to_dict("records")
    assert point["seeds"] == 1
    assert all(math.isnan(point[name]) for name in ("ap_low", "seed_se", "p_front"))
