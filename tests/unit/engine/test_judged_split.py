"""A training that is measured on a second split in the end, as only comparisons are."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from evolve.engine import trial as trial_module
from evolve.engine.trial import TrialTask, run_trial
from evolve.store.folder import TrialFolder
from model.classifier import evaluate_classes, load_classifier
from model.config import TrainConfig
from model.data.classes import load_class_data
from model.data.coco import load_dataset
from model.detect import evaluate_split, load_detector
from model.train import fit
from tests.tiny_data import write_tiny_coco

TINY = {"image_size": 64, "batch_size": 4, "epochs": 1, "precision": "fp32"}
CLASSIFY = TINY | {"task": "classify", "model": "csdarknet53-nano"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    counts = {"train": 8, "val": 4, "test": 3}
    return write_tiny_coco(tmp_path_factory.mktemp("tiny") / "set", counts)


@pytest.fixture(autouse=True)
def _threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def make_task(folder, data, objective="AP", trainer="detector", **values):
    config = TrainConfig().with_values(TINY | values).to_dict()
    return TrialTask(0, str(folder), config, str(data), objective, trainer, 0, 1, "test")


def judged(row):
    return {k.removeprefix("test/"): v for k, v in row["metrics"].items() if k.startswith("test/")}


def test_only_the_last_epoch_is_judged_and_val_stays_the_objective(tmp_path):
    task = make_task(tmp_path / "t", "curve-0", trainer="curve", epochs=3)
    rows = list(run_trial(task))
    plain = list(run_trial(replace(task, folder=str(tmp_path / "plain"), judged_on="")))
    assert [set(judged(row)) for row in rows] == [set(), set(), {"AP", "AP50"}]
    assert [row["objective"] for row in rows] == [row["objective"] for row in plain]
    assert rows[-1]["metrics"]["test/AP"] != rows[-1]["metrics"]["AP"]
    assert TrialFolder(tmp_path / "t").detections_on("test").name == "detections-test.json.gz"
    assert TrialFolder(tmp_path / "t").detections_on("test").is_file()
    assert not TrialFolder(tmp_path / "plain").detections_on("test").exists()


@pytest.mark.parametrize("torn", ["before the judging", "while it is written", "before the line"])
def test_kill_at_the_judging_changes_nothing(tmp_path, monkeypatch, torn):
    monkeypatch.setattr(trial_module, "CHECKPOINT_EVERY_S", -1.0)
    task = make_task(tmp_path / "t", "curve-0", trainer="curve", epochs=3)
    twin = list(run_trial(replace(task, folder=str(tmp_path / "twin"))))
    rows = run_trial(task)
    taken = [next(rows), next(rows)]
    rows.close()
    folder = TrialFolder(tmp_path / "t")
    if torn == "while it is written":
        folder.detections_on("test").write_text("torn")
    if torn == "before the line":
        folder.detections_on("test").write_text('{"epoch": 3}')
        with folder.metrics.open("a") as file:
            file.write('{"number": 0, "epoch": 3, "metri')
    taken += run_trial(task)
    assert [row["metrics"] for row in taken] == [row["metrics"] for row in twin]
    assert folder.read_metrics()[-1]["metrics"] == twin[-1]["metrics"]
    assert folder.detections_on("test").read_text() == '{"epoch": 3}'


@pytest.mark.slow
def test_a_detector_is_judged_as_its_stored_weights_are(data, tmp_path):
    (row,) = run_trial(make_task(tmp_path / "t", data))
    folder = TrialFolder(tmp_path / "t")
    scores = evaluate_split(load_detector(folder.last), load_dataset(data), "test")
    expected = {k: pytest.approx(v, nan_ok=True) for k, v in scores.metrics.items()}
    assert judged(row) == expected
    stored = json.loads(gzip.decompress(folder.detections_on("test").read_bytes()))
    assert stored["protocol"]["split"] == "test"
    assert len(stored["images"]) == 3
    on_val = json.loads(gzip.decompress(folder.detections.read_bytes()))
    assert on_val["protocol"]["split"] == "val"


@pytest.mark.slow
def test_a_classifier_is_judged_as_its_stored_weights_are(data, tmp_path):
    (row,) = run_trial(make_task(tmp_path / "t", data, "top1", **CLASSIFY))
    folder = TrialFolder(tmp_path / "t")
    scores = evaluate_classes(load_classifier(folder.last), load_class_data(data), "test")
    assert judged(row) == pytest.approx(scores.metrics)
    assert folder.detections_on("test").is_file()


@pytest.mark.slow
def test_a_split_that_is_not_there_is_a_failure_of_the_data(tmp_path):
    bare = write_tiny_coco(tmp_path / "bare")
    rows = list(run_trial(make_task(tmp_path / "t", bare)))
    assert rows[-1]["failure"]["type"] == "data"
    assert "no 'test' split" in rows[-1]["failure"]["what"]


def test_curves_differ_from_split_to_split(tmp_path):
    from evolve.testing.curves import follow_curve

    config = TrainConfig().with_values({"epochs": 1})
    (report,) = follow_curve(config, Path("curve-0"))
    found = [report.measure_on(split, tmp_path / split)["AP"] for split in ("test", "other")]
    assert len({*found, report.metrics["AP"]}) == 3


@pytest.mark.slow
def test_measuring_does_not_disturb_the_training(data, tmp_path):
    config, dataset = TrainConfig().with_values(TINY | {"epochs": 2}), load_dataset(data)
    plain = [report.metrics["loss"] for report in fit(config, dataset, device="cpu")]
    watched = []
    for report in fit(config, dataset, device="cpu"):
        report.measure_on("test", tmp_path / "found.json.gz")
        watched.append(report.metrics["loss"])
    assert watched == plain
