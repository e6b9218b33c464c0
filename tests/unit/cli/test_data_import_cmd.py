"""`evolve data import` as a user calls it, in this process."""

import json

import pytest

from evolve.cli.main import main
from tests.tiny_data import write_tiny_coco
from tests.unit.datasets.other_formats import write_darknet, write_voc, write_yolo


@pytest.fixture
def coco(tmp_path):
    return write_tiny_coco(tmp_path / "coco", {"train": 4, "val": 2}, size_px=24)


def call(*arguments):
    with pytest.raises(SystemExit) as ended:
        main(["data", "import", *map(str, arguments)])
    return ended.value.code


def test_what_was_read_written_and_changed_is_told(coco, tmp_path, capsys):
    there = write_yolo(coco, tmp_path / "there")
    label = there / "labels" / "train" / "train_1.txt"
    label.write_text(label.read_text() + "0 0.5\n9 0.5 0.5 0.2 0.2\n")
    out = tmp_path / "out"
    assert call(there, "--out", out) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "read    yolo: data.yaml names classes and images"
    assert lines[1] == f"wrote   {out}"
    assert lines[2].split()[:3] == ["train", "4", "images"]
    assert "classes 2: red, green" in lines
    changed = [" ".join(line.split()) for line in lines]
    number = len(label.read_text().splitlines()) - 1
    place = f"(labels/train/train_1.txt, {number})"
    assert f"1 dropped line-broken: the line was left out: it has 2 columns {place}" in changed
    assert any(line.startswith("1 dropped category-unknown") for line in changed)
    assert lines[-1] == f"each change is a line of {out / 'import-log.csv'}"


@pytest.mark.parametrize("write", [write_yolo, write_voc, write_darknet])
def test_json(write, coco, tmp_path, capsys):
    there = write(coco, tmp_path / "there")
    assert call(there, "--out", tmp_path / "out", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["format"] == write.__name__.removeprefix("write_")
    assert facts["splits"]["val"]["images"] == 2
    assert {change["outcome"] for change in facts["changes"]} <= {"fixed"}


def test_bad_input_is_told_and_writes_nothing(coco, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert call(tmp_path / "empty", "--out", tmp_path / "out") == 2
    assert call(coco, "--out", coco) == 2
    assert call(coco, "--out", tmp_path / "out", "--format", "yolo") == 2
    assert call(coco, "--out", tmp_path / "out", "--format", "yolov9") == 2
    assert not (tmp_path / "out").exists()
    told = capsys.readouterr().err
    assert "no format that is known" in told
    assert "there is something already" in told
    assert "no YOLO data set" in told
    assert "Traceback" not in told


def test_a_picture_that_is_cut_short_is_left_out_and_told(coco, tmp_path, capsys):
    there = write_yolo(coco, tmp_path / "there")
    picture = there / "images" / "train" / "train_2.png"
    picture.write_bytes(picture.read_bytes()[:-20])
    assert call(there, "--out", tmp_path / "out", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["splits"]["train"]["images"] == 3
    (change,) = (one for one in facts["changes"] if one["kind"] == "image-undecodable")
    assert (change["outcome"], change["count"]) == ("dropped", 1)
    assert "train_2.png" in change["example"]
    log = (tmp_path / "out" / "import-log.csv").read_text()
    assert "image-undecodable,train,images/train/train_2.png" in log
    assert not list((tmp_path / "out" / "images").glob("*train_2*"))
