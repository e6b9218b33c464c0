"""Recognising formats, and splits where there are none."""

import json
import shutil

import pytest

from evolve.datasets.read import FORMATS, read_raw, recognise
from model.errors import DataError
from tests.tiny_data import write_tiny_coco
from tests.unit.data.conftest import write_picture
from tests.unit.datasets.other_formats import write_voc, write_yolo


def test_more_than_one_format(coco, tmp_path):
    write_yolo(coco, coco)
    assert list(recognise(coco)) == ["coco", "yolo"]
    with pytest.raises(DataError, match=r"more than one format fits(.|\n)*--format coco\|yolo"):
        read_raw(coco)
    assert read_raw(coco, "yolo").format == "yolo"


def test_no_format_tells_what_was_sought_and_what_lies_there(tmp_path):
    (tmp_path / "notes.md").write_text("nothing")
    with pytest.raises(DataError, match=r"no format(.|\n)*data\.yaml(.|\n)*notes\.md"):
        read_raw(tmp_path)


def test_nothing_there_names_the_nearest(coco):
    with pytest.raises(DataError, match="did you mean 'coco'"):
        read_raw(coco.with_name("cocoo"))


def test_unknown_format(coco):
    with pytest.raises(DataError, match=r"unknown format 'yol'(.|\n)*did you mean 'yolo'"):
        read_raw(coco, "yol")


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_that_does_not_fit(name, tmp_path):
    write_picture(tmp_path / "1.png")
    with pytest.raises(DataError, match=r"^DataError: no "):
        read_raw(tmp_path, name)


@pytest.mark.parametrize("base", ["train/", ""])
def test_class_folders_are_for_a_classifier(base, tmp_path):
    for name in ("cat", "dog"):
        write_picture(tmp_path / f"{base}{name}" / "1.png")
    with pytest.raises(DataError, match=r"folders of classes \(cat, dog\)(.|\n)*--task classify"):
        read_raw(tmp_path)


@pytest.fixture
def one_file(tmp_path):
    root = write_tiny_coco(tmp_path / "one", {"train": 30}, size_px=16)
    return root / "annotations" / "train.json"


def test_one_file_is_split_as_a_training_splits_it(one_file):
    from model.data.coco import load_dataset

    for seed in (1, 2):
        raw = read_raw(one_file, seed=seed)
        wanted = load_dataset(one_file, seed=seed).splits
        names = {split: [i.file_name for i in part] for split, part in raw.splits.items()}
        assert names == {split: [i.file_name for i in part] for split, part in wanted.items()}
    assert raw.findings[-1].what.startswith("the data have no splits; by a hash of seed 2")


def test_train_gives_val_where_there_is_none(coco):
    (coco / "annotations" / "val.json").unlink()
    raw = read_raw(coco)
    assert sum(len(raw.splits[split]) for split in ("train", "val")) == 5
    assert len(raw.splits["val"]) >= 1
    assert len(raw.splits["test"]) == 2
    assert "there is no val split" in raw.findings[-1].what


def test_two_images_are_one_for_each(one_file):
    tree = json.loads(one_file.read_text())
    tree["images"] = tree["images"][:2]
    one_file.write_text(json.dumps(tree))
    raw = read_raw(one_file, seed=3)
    assert [len(raw.splits[split]) for split in ("train", "val")] == [1, 1]


def test_findings_about_an_image_follow_it_into_its_split(one_file, tmp_path):
    tree = json.loads(one_file.read_text())
    for entry in tree["images"]:
        entry["file_name"] = f"../{entry['file_name']}"
    one_file.write_text(json.dumps(tree))
    raw = read_raw(one_file)
    place = {i.file_name: split for split, part in raw.splits.items() for i in part}
    outside = [one for one in raw.findings if one.kind == "path-outside"]
    assert len(outside) == 30
    assert all(one.split == place[one.file] for one in outside)


def test_voc_of_two_years_is_one_data_set(coco, tmp_path):
    there = write_voc(coco, tmp_path / "there")
    shutil.copytree(there / "VOC2007", there / "VOC2012")
    raw = read_raw(tmp_path / "there")
    assert {split: len(part) for split, part in raw.splits.items()} == {
        "train": 10, "val": 6, "test": 4,
    }  # fmt: skip
