"""What detectors saw, from stored detections."""

import gzip
import json
import math
from dataclasses import replace

import numpy as np
import pytest

from evolve.analysis.matching import judge_boxes, load_detections, truth_of
from evolve.analysis.precision_recall import precision_recall
from evolve.findings.cache import Cache
from evolve.findings.seen import look
from model.data.coco import load_dataset
from tests.tiny_data import write_tiny_coco
from tests.unit.findings.made_up import make_record, make_run


@pytest.fixture
def stored(tmp_path):
    """Run, comparison and data; the winner finds all, the defaults the images with even places."""
    data = write_tiny_coco(tmp_path / "set", {"train": 2, "val": 2, "test": 7})
    dataset = load_dataset(data)
    run = make_run(folder=tmp_path / "run", trainer="detector",
                   data={"path": str(data), "digest": dataset.digest})  # fmt: skip
    record = make_record([0.3, 0.3], folder=tmp_path / "run", trial_5=[0.4, 0.4])
    for place, one in enumerate(record.trainings.to_dict("records")):
        share = 2 if one["row"] == "default" else 1
        ap50 = _detect(dataset, one["folder"], share)
        record.trainings.at[place, "metrics"] = {"test/AP50": ap50}
    return run, record, data, dataset


def _detect(dataset, folder, share):
    """Write detections of every share-th image, and one false each; their AP50."""
    folder.mkdir(parents=True)
    images = []
    for place, r in enumerate(dataset.splits["test"]):
        boxes = r.boxes_xyxy_px.tolist() if place % share == 0 else []
        labels = r.labels.tolist() if place % share == 0 else []
        images.append(
            {"image_id": r.image_id, "boxes_xyxy_px": [*boxes, [0, 0, 3, 3]],
             "scores": [0.8] * len(boxes) + [0.3], "labels": [*labels, 0]}
        )  # fmt: skip
    path = folder / "detections-test.json.gz"
    path.write_bytes(gzip.compress(json.dumps({"images": images}).encode()))
    truth = truth_of(dataset.splits["test"], dataset.classes)
    return float(precision_recall(judge_boxes(truth, load_detections(path))).mean[0].mean())


def test_rows_have_curves_scores_and_confusions(stored, tmp_path):
    run, record, _, dataset = stored
    seen = look(run, record, "trial-5", Cache(tmp_path / "f.json"))
    assert (seen.split, seen.images, seen.confirmed, seen.why_not) == ("test", 7, True, "")
    assert seen.classes == dataset.classes
    default, winner = seen.rows
    assert (default.title, default.trainings, winner.title) == ("the defaults", 2, "trial 5")
    ap50 = record.trainings["metrics"].iloc[0]["test/AP50"]
    assert default.curves.shape == (3, 2, 3, 101)
    assert default.curves[0, 0, 0].mean() == pytest.approx(ap50, abs=1e-9)
    assert default.ap[0, 0] == pytest.approx(ap50, abs=1e-9)
    assert (winner.score, winner.f1) == pytest.approx((0.8, 1.0), abs=1e-6)
    assert winner.confusion.tolist() == np.diag([*seen.truths, 0]).tolist()
    assert default.confusion[:-1].sum(axis=1).tolist() == list(seen.truths)
    assert default.confusion[:, -1].sum() > 0


def test_examples_are_chosen_by_rule(stored, tmp_path):
    run, record, data, dataset = stored
    seen = look(run, record, "trial-5", Cache(tmp_path / "f.json"))
    highest, median = seen.examples  # a third would be the first again
    names = [record.file_name for record in dataset.splits["test"]]
    assert (highest.kind, highest.file_name) == ("highest", names[1])
    assert (median.kind, median.file_name) == ("median", names[0])
    assert [view.f1 for view in highest.views] == [0.0, 1.0]
    before, after = highest.views
    assert not any(box.right for box in before.truths)
    assert all(box.right for box in (*after.found, *after.truths))
    assert highest.path == data / "images" / names[1]


def test_what_was_kept_serves_without_the_data_and_says_what_is_missing(stored, tmp_path):
    run, record, data, _ = stored
    cache = Cache(tmp_path / "f.json")
    first = look(run, record, "trial-5", cache)
    cache.write()
    run.manifest["data"]["path"] = "/nowhere"
    again = look(run, record, "trial-5", Cache(tmp_path / "f.json"))
    assert np.array_equal(again.rows[0].curves, first.rows[0].curves)
    assert [one.views for one in again.examples] == [one.views for one in first.examples]
    assert again.examples[0].path is None
    assert again.examples[0].why_not == "no data set at '/nowhere'"
    moved = look(run, record, "trial-5", Cache(tmp_path / "f.json"), str(data))
    assert moved.examples == first.examples
    lost = look(run, record, "trial-5", Cache(tmp_path / "none.json"))
    assert lost.why_not == "the data cannot be read: no data set at '/nowhere'"


def test_a_kept_name_that_leaves_the_data_is_not_followed(stored, tmp_path):
    run, record, *_ = stored
    cache = Cache(tmp_path / "f.json")
    look(run, record, "trial-5", cache)
    cache.write()
    text = (tmp_path / "f.json").read_text()
    (tmp_path / "f.json").write_text(text.replace('"test_2.png"', '"../../secret.png"'))
    (tmp_path / "secret.png").write_bytes(b"x")
    example = look(run, record, "trial-5", Cache(tmp_path / "f.json")).examples[0]
    assert example.path is None
    assert "leaves the data folder" in example.why_not


def test_without_a_comparison_the_search_is_shown_on_val(stored, tmp_path):
    run, _, _, dataset = stored
    run.trials["AP50"] = math.nan
    truth = truth_of(dataset.splits["val"], dataset.classes)
    for number in (0, 5):  # the defaults and the best
        folder = tmp_path / "run" / "trials" / f"{number:05d}"
        folder.mkdir(parents=True)
        (folder / "detections.json.gz").write_bytes(gzip.compress(b'{"images": []}'))
        run.trials.loc[number, "AP50"] = 0.0
    assert truth["annotations"]
    seen = look(run, None, "", Cache(tmp_path / "f.json"))
    assert (seen.split, seen.confirmed) == ("val", False)
    assert [row.title for row in seen.rows] == ["the defaults", "trial 5"]
    assert math.isnan(seen.rows[0].score)


def test_a_winner_that_is_the_defaults_stands_alone(stored, tmp_path):
    run, record, *_ = stored
    seen = look(run, record, "default", Cache(tmp_path / "f.json"))
    assert [row.title for row in seen.rows] == ["the defaults"]
    assert [len(one.views) for one in seen.examples] == [1] * len(seen.examples)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"trainer": "curve"}, "looked at no images"),
        ({"train": {"task": "classify"}}, "found no boxes"),
        ({"data": {}}, "does not say where its data lie"),
    ],
)
def test_runs_without_boxes_say_so(stored, tmp_path, change, why):
    run, record, *_ = stored
    run = replace(run, manifest=run.manifest | change)
    assert why in look(run, record, "trial-5", Cache(tmp_path / "f.json")).why_not


@pytest.mark.parametrize("damage", ["missing", "other"])
def test_detections_that_do_not_fit_are_told(stored, tmp_path, damage):
    run, record, *_ = stored
    path = record.trainings["folder"].iloc[-1] / "detections-test.json.gz"
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(gzip.compress(b'{"images": []}'))
    assert "trial 5" in look(run, record, "trial-5", Cache(tmp_path / "f.json")).why_not
