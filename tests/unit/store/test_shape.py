"""What lies in a run folder is of the kinds that evolve writes, or is refused by name."""

import gzip
import json

import pytest

from evolve.analysis.matching import load_detections
from evolve.errors import EvolveError, StoreError
from evolve.store.folder import TrialFolder
from evolve.store.journal import read_journal
from evolve.store.shape import check_manifest, check_trial


@pytest.mark.parametrize(
    ("tree", "place"),
    [
        ({"seed": "0"}, "'seed'"),
        ({"seed": True}, "'seed'"),
        ({"trials": 10**400}, "'trials'"),
        ({"data": []}, "'data'"),
        ({"train": {"epochs": None}}, "'train.epochs'"),
        ({"space": {"parameters": {"lr": {"low": 1}}}}, "'space.parameters.lr'"),
        ({"space": {"parameters": {"lr": {"type": "float"}}}}, "'space.parameters.lr'"),
        ({"warm_start": [{"name": 1, "trials": []}]}, "'warm_start[0]'"),
    ],
)
def test_a_manifest_of_other_kinds_is_refused_by_key(tree, place, tmp_path):
    with pytest.raises(StoreError, match="of the manifest is") as refused:
        check_manifest(tree, tmp_path / "manifest.json")
    assert place in refused.value.what
    assert refused.value.mend


class Stored:
    number, values, intermediate_values = 3, None, {}

    def __init__(self, **attributes):
        self.user_attrs = {f"evolve:{name}": value for name, value in attributes.items()}


@pytest.mark.parametrize(
    "attributes",
    [{"failure": []}, {"failure": {"type": 1}}, {"failure": {"log": "text"}}, {"attempts": [1]},
     {"metrics": {"AP": "high"}}, {"cost": {"ms": [1]}}, {"parents": ["1"]}, {"epochs": 1.5},
     {"cost": {"latency_ms": "9"}}, {"cost": {"network": 1}}],
)  # fmt: skip
def test_a_trial_with_odd_attributes_is_refused(attributes):
    with pytest.raises(StoreError, match="trial 3 has the attribute evolve:"):
        check_trial(Stored(**attributes), "sqlite:///study.db")


@pytest.mark.parametrize(
    ("name", "value"),
    [("number", "3"), ("values", ["x"]), ("values", [b"1"]), ("intermediate_values", {"1": 0.5}),
     ("intermediate_values", {1: "0.5"})],
)  # fmt: skip
def test_a_trial_of_texts_where_numbers_belong_is_refused(name, value):
    trial = Stored()
    setattr(trial, name, value)
    with pytest.raises(StoreError, match=r"is not numbered, or a step|that are no numbers"):
        check_trial(trial, "sqlite:///study.db")


def test_a_trial_as_evolve_writes_it_passes():
    failure = {"type": "oom", "what": "none left", "where": "", "mend": "", "log": ["a line"]}
    cost = {"parameters": 3, "latency_ms": None, "network": "ab", "reason": "no room"}
    check_trial(
        Stored(cost=cost, failure=failure, metrics={"AP": 0.5, "APs": None}, parents=[1, 2]), ""
    )


@pytest.mark.parametrize(
    "line",
    [b"[]", b'{"epoch": "1"}', b'{"epoch": 2, "metrics": []}', b"[" * 99_999, b"9" * 5000,
     b'{"epoch": 2, "metrics": {"AP": "x"}}', b'{"epoch": 2, "objective": []}', b"\xff"],
)  # fmt: skip
def test_rows_end_before_the_first_that_is_none(line, tmp_path):
    row = b'{"epoch": 1, "objective": 0.5, "metrics": {"AP": 0.5}}\n'
    (tmp_path / "metrics.jsonl").write_bytes(row + line + b"\n" + row)
    assert [one["epoch"] for one in TrialFolder(tmp_path).read_metrics()] == [1]


@pytest.mark.parametrize(
    "line",
    ['{"event": [], "at": 1}', '{"event": "end", "at": NaN}', '{"event": "end", "at": -1}',
     '{"event": "end", "at": 1, "number": []}', "[" * 99_999, "9" * 5000],
)  # fmt: skip
def test_a_journal_ends_before_the_first_line_that_is_no_event(line, tmp_path):
    event = '{"event": "begin", "at": 1.0, "number": 0}\n'
    (tmp_path / "journal.jsonl").write_text(event + line + "\n" + event)
    assert len(list(read_journal(tmp_path / "journal.jsonl"))) == 1


@pytest.mark.parametrize(
    "change", [{"image_id": "1"}, {"labels": [2.5]}, {"boxes_xyxy_px": [[10**400, 0, 1, 1]]}]
)
def test_detections_with_odd_numbers_are_refused(change, tmp_path):
    image = {"image_id": 1, "boxes_xyxy_px": [[0, 0, 1, 1]], "scores": [0.5], "labels": [0]}
    path = tmp_path / "detections.json.gz"
    path.write_bytes(gzip.compress(json.dumps({"images": [image | change]}).encode()))
    with pytest.raises(EvolveError, match="the detections cannot be read"):
        load_detections(path)
