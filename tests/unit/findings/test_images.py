"""Images of a split, resampled from stored detections."""

import gzip
import json
from dataclasses import replace

import numpy as np
import pytest

from evolve.analysis.image_bootstrap import ap
from evolve.analysis.matching import match, truth_of
from evolve.findings import images as module
from evolve.findings.cache import Cache
from evolve.findings.images import RESAMPLES, resample
from evolve.findings.join import join
from model.data.coco import load_dataset
from tests.tiny_data import write_tiny_coco
from tests.unit.findings.made_up import make_record, make_run

SEEDS = 2


@pytest.fixture(autouse=True)
def _few(monkeypatch):
    monkeypatch.setattr(module, "RESAMPLES", 40)


@pytest.fixture
def stored(tmp_path):
    """Manifest, comparison and data of a run whose winner finds all and whose defaults half."""
    data = write_tiny_coco(tmp_path / "set", {"train": 2, "val": 2, "test": 10})
    dataset = load_dataset(data)
    manifest = {
        "trainer": "detector",
        "data": {"path": str(data), "digest": dataset.digest},
        "seed": 0,
    }
    folder = tmp_path / "run"
    values = {}
    for key, share in (("default", 2), ("trial-5", 1)):
        for seed in range(SEEDS):
            path = folder / "final" / key / str(seed)
            path.mkdir(parents=True)
            values[key, seed] = _detect(dataset, path, share, seed)
    record = make_record(
        [values["default", s] for s in range(SEEDS)], folder=folder,
        trial_5=[values["trial-5", s] for s in range(SEEDS)],
    )  # fmt: skip
    return manifest, record, data, folder


def _detect(dataset, path, share, seed):
    """Write detections on test that find one in `share` images' boxes; their AP."""
    records = dataset.splits["test"]
    found = [
        {
            "image_id": r.image_id,
            "boxes_xyxy_px": r.boxes_xyxy_px.tolist() if (n + seed) % share == 0 else [],
            "scores": [0.5] * len(r.labels) if (n + seed) % share == 0 else [],
            "labels": r.labels.tolist() if (n + seed) % share == 0 else [],
        }
        for n, r in enumerate(records)
    ]
    text = json.dumps({"images": found})
    (path / "detections-test.json.gz").write_bytes(gzip.compress(text.encode()))
    matches = match(truth_of(records, dataset.classes), module.load_detections(
        path / "detections-test.json.gz"))  # fmt: skip
    return float(ap(matches, np.ones((1, len(records)), np.int64))["AP"][0])


def test_every_training_gets_values_of_the_same_resamples(stored, tmp_path):
    manifest, record, *_ = stored
    found = resample([record], manifest, None, Cache(tmp_path / "f.json"))
    assert (found.images, found.why_not) == (10, "")
    assert set(found.values) == {"default/0", "default/1", "trial-5/0", "trial-5/1"}
    assert {len(v) for v in found.values.values()} == {40}
    assert np.allclose(found.values["trial-5/0"], 1.0, atol=1e-6)
    assert 0.05 < found.values["default/0"].std() < 0.3
    assert set(found.by_row(record.trainings)) == {
        (key, seed) for key in ("default", "trial-5") for seed in range(SEEDS)
    }


def test_the_verdict_allows_for_images(stored, tmp_path):
    manifest, record, _, folder = stored
    run = make_run(folder=folder, **manifest)
    final = join(run, record, None, Cache(tmp_path / "f.json")).final
    assert final.verdict.delta.source == "seeds and images"
    assert "2 fresh seeds, 10 images" in final.sentence
    assert final.no_images == ""


def test_stored_values_serve_when_the_data_are_gone(stored, tmp_path):
    manifest, record, data, _ = stored
    cache = Cache(tmp_path / "f.json")
    first = resample([record], manifest, None, cache)
    cache.write()
    manifest["data"]["path"] = "/nowhere"
    again = resample([record], manifest, None, Cache(tmp_path / "f.json"))
    assert again.why_not == ""
    assert all((again.values[key] == value).all() for key, value in first.values.items())
    lost = resample([record], manifest, None, Cache(tmp_path / "none.json"))
    assert lost.why_not == "the data cannot be read: no data set at '/nowhere'"
    assert (lost.values, lost.images) == ({}, None)
    moved = resample([record], manifest, str(data), Cache(tmp_path / "none.json"))
    assert moved.images == 10


def test_other_data_in_the_same_place_are_not_used(stored, tmp_path):
    manifest, record, *_ = stored
    manifest["data"]["digest"] = "another"
    found = resample([record], manifest, None, Cache(tmp_path / "f.json"))
    assert found.why_not == "the data are not those of the run any more"


@pytest.mark.parametrize("damage", ["missing", "other"])
def test_detections_that_do_not_fit_leave_one_training_out(stored, tmp_path, damage):
    manifest, record, _, folder = stored
    path = folder / "final" / "trial-5" / "1" / "detections-test.json.gz"
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(gzip.compress(b'{"images": []}'))
    found = resample([record], manifest, None, Cache(tmp_path / "f.json"))
    assert set(found.values) == {"default/0", "default/1", "trial-5/0"}
    assert "trial 5, seed 2" in found.why_not


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"trainer": "curve"}, "looked at no images"),
        ({"train": {"task": "classify"}}, "for detectors alone"),
        ({"data": {}}, "does not say where its data lie"),
    ],
)
def test_runs_without_boxes_say_so(stored, tmp_path, change, why):
    manifest, record, *_ = stored
    found = resample([record], manifest | change, None, Cache(tmp_path / "f.json"))
    assert why in found.why_not


def test_a_metric_that_is_not_resampled_is_told(stored, tmp_path):
    manifest, record, *_ = stored
    record = replace(record, plan=replace(record.plan, objective="APs"))
    found = resample([record], manifest, None, Cache(tmp_path / "f.json"))
    assert found.why_not == "images are resampled for AP, AP50, AP75 alone"


def test_no_comparison_needs_no_images(tmp_path):
    assert resample([], {}, None, Cache(tmp_path / "f.json")).values == {}
    assert RESAMPLES >= 1000
