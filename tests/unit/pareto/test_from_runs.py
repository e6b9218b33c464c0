"""Runs as subjects of a front."""

import pytest

from evolve.errors import StoreError
from evolve.pareto.from_runs import read_run_source
from model.config import TrainConfig
from tests.unit.findings.made_up_table import make_detected

CONFIG = TrainConfig(model="yolov4-tiny-nano", image_size=64).to_dict()
SHARES = {"base": [(0.5, 0.5), (0.6, 0.4)], "S": [(0.9, 0.9), (0.8, 0.9)], "M": [(0.1, 0.2)]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An ablation run with detections, whose first row has weights."""
    folder = make_detected(tmp_path_factory.mktemp("table"), SHARES, judged_on="test",
                           test_opened=True)  # fmt: skip
    plan = folder.comparison("table").plan
    import json

    tree = json.loads(plan.read_text())
    for row in tree["rows"]:
        row["config"] = CONFIG
    plan.write_text(json.dumps(tree))
    folder.comparison("table").training("base", 0).last.write_bytes(b"weights")
    folder.comparison("table").training("base", 0).best.write_bytes(b"weights")
    return folder


@pytest.mark.slow
def test_rows_of_a_table_come_with_what_is_stored(folder):
    source = read_run_source(folder.path)
    assert (source.is_run, source.judged_on, source.objective) == (True, "test", "AP")
    base, scaled, mosaic = source.subjects("test", "AP", None)
    assert [one.title for one in (base, scaled, mosaic)] == ["base", "+ S", "+ M"]
    assert [file.name for file in base.weights] == ["last.pt"]
    assert base.size == 64
    assert base.stored.is_stored
    assert base.stored.images == 12
    assert base.stored.delta.pairs == 2
    assert base.stored.delta.source == "seeds and images"
    assert mosaic.stored.delta.source == "images"
    assert base.stored.delta.mean < scaled.stored.delta.mean
    assert scaled.stored.resampled.mean() == pytest.approx(scaled.stored.delta.mean, abs=0.03)
    assert base.costs == folder.costs


@pytest.mark.slow
def test_another_split_that_was_not_measured_has_nothing_stored(folder):
    source = read_run_source(folder.path)
    found = source.subjects("val", "AP75", None)
    assert [one.title for one in found] == ["base"]  # it alone has weights to measure
    assert found[0].stored is None
    assert source.notes == ["+ S has no finished training", "+ M has no finished training"]


def test_runs_without_detectors_are_refused(tmp_path):
    for name, manifest in (
        ("a", '{"trainer": "curve"}'),
        ("b", '{"train": {"task": "classify"}}'),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text(manifest)
        with pytest.raises(StoreError, match="trained no detectors"):
            read_run_source(tmp_path / name)
    with pytest.raises(StoreError, match="no such run folder"):
        read_run_source(tmp_path / "nowhere")
