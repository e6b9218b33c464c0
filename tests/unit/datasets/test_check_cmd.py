"""The commands that look at data: what they print and exit with."""

import json

import pytest
from click.testing import CliRunner

import evolve.datasets.picture_checks as checking
from evolve.cli.main import cli
from evolve.datasets.pictures import probe
from model.data.coco import load_dataset
from tests.tiny_data import write_tiny_coco


@pytest.fixture
def root(tmp_path):
    return write_tiny_coco(tmp_path / "set", {"train": 12, "val": 6}, size_px=32)


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setattr(checking, "probe_all", lambda jobs, **_: [probe(job) for job in jobs])

    def invoke(*arguments):
        return CliRunner().invoke(cli, ["data", *map(str, arguments)])

    return invoke


def spoil(root, **values):
    file = root / "annotations" / "train.json"
    tree = json.loads(file.read_text())
    tree["annotations"][0].update(values)
    file.write_text(json.dumps(tree))


def test_whole_data(run, root):
    result = run("check", root)
    assert result.exit_code == 0
    assert "train    12 images" in result.output


def test_errors_are_listed_first_and_give_2(run, root):
    spoil(root, bbox=[0, 0, 0, 0])
    (root / "images" / "val_2.png").unlink()
    result = run("check", root)
    assert result.exit_code == 2
    error = result.output.index("error    image-missing: 1")
    assert error < result.output.index("dropped  box-no-area: 1")
    assert "val, val_2.png, annotations/val.json: images[1] (id 2): the image file is missing" in (
        result.output
    )


@pytest.mark.parametrize(("level", "code"), [("error", 0), ("dropped", 1), ("fixed", 1)])
def test_fail_on(run, root, level, code):
    spoil(root, bbox=[0, 0, 0, 0])
    assert run("check", root, "--fail-on", level).exit_code == code


def test_json_has_every_finding(run, root):
    spoil(root, id=0)
    facts = json.loads(run("check", root, "--json").stdout)
    assert facts["outcomes_of"] == "training"
    assert facts["counts"]["fixed"] == 1
    found = next(one for one in facts["findings"] if one["outcome"] == "fixed")
    assert (found["kind"], found["split"], found["item"]) == (
        "annotation-id", "train", "annotations/train.json: annotations[0] (id 0)"
    )  # fmt: skip


def test_names_are_shown_harmlessly(run, root):
    strange = "a\x1b[31m\nb\u202e<b>.png"
    (root / "images" / "train_1.png").rename(root / "images" / strange)
    file = root / "annotations" / "train.json"
    tree = json.loads(file.read_text())
    tree["images"][0]["file_name"] = strange
    file.write_text(json.dumps(tree))
    output = run("check", root).output
    assert "a[31m b<b>.png" in output
    assert not {"\x1b", "\u202e"} & set(output)


def test_split_writes_what_a_training_reads(run, root, tmp_path):
    out = tmp_path / "new"
    result = run("split", root, "--out", out, "--fractions", "0.5,0.5", "--group-by", r"_(\d)")
    assert result.exit_code == 0, result.output
    data = load_dataset(out)
    assert sum(len(part) for part in data.splits.values()) == 18
    assert "share of red" in result.output
    number = {
        name: {record.file_name.split("_")[1][0] for record in part}
        for name, part in data.splits.items()
    }
    assert not number["train"] & number["val"]


@pytest.mark.parametrize("fractions", ["0.5", "0.5,0.6", "a,b", "1,0,0", "0.5,0.7,-0.2", ""])
def test_fractions_that_are_none(run, root, tmp_path, fractions):
    result = run("split", root, "--out", tmp_path / "new", "--fractions", fractions)
    assert result.exit_code == 2
    assert "sum to 1" in result.output


def test_a_broken_pattern(run, root, tmp_path):
    result = run("split", root, "--out", tmp_path / "new", "--group-by", "(")
    assert result.exit_code == 2
    assert "no regular expression" in result.output


def test_anchors_say_what_to_set(run, root):
    result = run("anchors", root, "--model", "yolov4-tiny", "--size", "320")
    assert "--set anchors=optimised --set image_size=320" in result.output
    facts = json.loads(run("anchors", root, "--count", "3", "--json").output)
    assert len(facts["rows"][-1]["anchors_wh_px"]) == 3
    assert run("anchors", root, "--size", "100").exit_code == 2
