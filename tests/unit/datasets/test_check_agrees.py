"""What a check says of COCO data is what a training does with them."""

import json
import math
import shutil

import cv2
import numpy as np
import pytest

import evolve.datasets.picture_checks as checking
from evolve.datasets.check import check_data
from evolve.datasets.pictures import probe
from model.data.cache import load_image
from model.data.coco import load_dataset
from model.errors import DataError
from tests.tiny_data import write_tiny_coco


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch):
    def probe_all(jobs, **_):
        return [probe(job) for job in jobs]

    monkeypatch.setattr(checking, "probe_all", probe_all)


@pytest.fixture
def root(tmp_path):
    return write_tiny_coco(tmp_path / "set", {"train": 4, "val": 2}, size_px=32)


def change(root, split, spoil):
    file = root / "annotations" / f"{split}.json"
    tree = json.loads(file.read_text())
    spoil(tree)
    file.write_text(json.dumps(tree))


def annotation(**values):
    return lambda tree: tree["annotations"][1].update(values)


def image(**values):
    return lambda tree: tree["images"][1].update(values)


def added(kind, entry):
    return lambda tree: tree[kind].append(entry)


def without(kind, index, key):
    return lambda tree: tree[kind][index].pop(key)


# change of train.json -> the kind it is told as, and a word of the training's note or refusal
DROPPED = {
    "nan": (annotation(bbox=[math.nan, 1, 2, 2]), "box-not-finite", "with a NaN"),
    "infinite": (annotation(bbox=[1, 1, 1e40, 2]), "box-not-finite", "with a NaN"),
    "negative": (annotation(bbox=[1, 1, -3, 2]), "box-no-area", "without width"),
    "flat": (annotation(bbox=[1, 1, 0, 2]), "box-no-area", "without width"),
    "outside": (annotation(bbox=[32, 1, 5, 2]), "box-outside", "wholly outside"),
}
FIXED = {
    "clipped": (annotation(bbox=[30, 1, 5, 2]), "box-clipped", "clipped"),
    "twice": (annotation(id=1), "annotation-id", "numbered anew"),
    "zero": (annotation(id=0), "annotation-id", "numbered anew"),
    "text": (annotation(id="two"), "annotation-id", "numbered anew"),
    "no id": (without("annotations", 1, "id"), "annotation-id", "numbered anew"),
    "no area": (without("annotations", 1, "area"), "area-missing", "no area"),
    "no sense": (annotation(area=-1), "area-missing", "no area"),
}
REFUSED = {
    "no file": (image(file_name="gone.png"), "image-missing", "missing"),
    "leaves": (image(file_name="../../etc/passwd"), "path-outside", "leaves the data folder"),
    "id twice": (image(id=1), "image-id-twice", "is there twice"),
    "name twice": (image(file_name="train_1.png"), "image-twice", "is there twice"),
    "no width": (without("images", 1, "width"), "image-size-missing", "'width' is missing"),
    "width 0": (image(width=0), "image-size-missing", "not a positive number"),
    "text id": (image(id="x"), "id-not-whole", "not a whole number"),
    "no name": (without("images", 1, "file_name"), "image-broken", "'file_name' is missing"),
    "no box": (annotation(bbox=None), "bbox-broken", "not four numbers"),
    "three": (annotation(bbox=[1, 2, 3]), "bbox-broken", "not four numbers"),
    "dangling": (annotation(image_id=99), "image-unknown", "no image with id 99"),
    "no such class": (annotation(category_id=9), "category-unknown", "no category 9"),
    "crowd": (annotation(iscrowd=7), "iscrowd", "neither 0 nor 1"),
    "class twice": (added("categories", {"id": 1, "name": "a"}), "category-conflict", "twice"),
    "name of two": (added("categories", {"id": 5, "name": "red"}), "category-twice", "twice"),
    "class of text": (added("categories", {"id": "5", "name": "a"}), "id-not-whole", "whole"),
    "no class name": (added("categories", {"id": 5}), "category-broken", "'name' is missing"),
    "no annotations": (lambda tree: tree["annotations"].clear(), "refused", "no annotations"),
    "no images": (lambda tree: tree["images"].clear(), "refused", "no images"),
}


def kinds(check, outcome):
    return {found.kind for found in check.findings if found.outcome == outcome}


def test_data_without_fault(root):
    check = check_data(root)
    assert check.counts == {"error": 0, "dropped": 0, "fixed": 0, "warning": 0} or (
        kinds(check, "warning") <= {"class-rare", "class-missing"}
    )
    assert check.images == {"train": 4, "val": 2}
    assert check.is_trained_as_it_is


@pytest.mark.parametrize("name", DROPPED)
def test_dropped_is_what_a_training_notes(root, name):
    spoil, kind, note = DROPPED[name]
    change(root, "train", spoil)
    check = check_data(root)
    assert kinds(check, "dropped") == {kind}
    assert not kinds(check, "error") | kinds(check, "fixed")
    assert any(note in text for text in load_dataset(root).notes)


@pytest.mark.parametrize("name", FIXED)
def test_fixed_is_what_a_training_notes(root, name):
    spoil, kind, note = FIXED[name]
    change(root, "train", spoil)
    check = check_data(root)
    assert kinds(check, "fixed") == {kind}
    assert not kinds(check, "error") | kinds(check, "dropped")
    assert any(note in text for text in load_dataset(root).notes)


@pytest.mark.parametrize("name", REFUSED)
def test_error_is_what_a_training_refuses(root, name):
    spoil, kind, message = REFUSED[name]
    change(root, "train", spoil)
    check = check_data(root)
    assert kind in kinds(check, "error")
    with pytest.raises(DataError, match=message):
        load_dataset(root)


def test_without_faults_a_training_notes_nothing_that_a_check_does_not(root):
    assert [n for n in load_dataset(root).notes if "test" not in n and "no box of" not in n] == []


@pytest.mark.parametrize("where", ["train", "val"])
@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-300]), "image-undecodable"),
        (lambda path: path.write_bytes(b"hello"), "image-unreadable"),
        (lambda path: path.write_bytes(path.read_bytes()[:40] + bytes(400) + b"IEND"),
         "image-undecodable"),
        (lambda path: path.write_bytes(cv2.imencode(".png", np.zeros((9, 8), np.uint8))[1]),
         "image-size-differs"),
    ],
)  # fmt: skip
def test_error_is_a_picture_that_a_training_cannot_decode(root, where, spoil, kind):
    spoil(root / "images" / f"{where}_2.png")
    check = check_data(root)
    assert kinds(check, "error") == {kind}
    bad = load_dataset(root).splits[where][1]
    with pytest.raises(DataError):
        load_image(bad)
    assert {found.file for found in check.findings if found.outcome == "error"} == {bad.file_name}


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b'{"images": []}', b"\xff\xfe", b'{"images": {}, "annotations": []}']
)
def test_what_is_no_coco_is_refused_by_both(root, content):
    (root / "annotations" / "train.json").write_bytes(content)
    assert kinds(check_data(root), "error") == {"refused"}
    with pytest.raises(DataError):
        load_dataset(root)


def test_a_missing_val_is_refused_by_both(root):
    (root / "annotations" / "val.json").unlink()
    assert kinds(check_data(root), "error") == {"refused"}
    with pytest.raises(DataError):
        load_dataset(root)


def test_a_missing_folder_of_images_is_refused_by_both(root):
    shutil.rmtree(root / "images")
    assert kinds(check_data(root), "error") == {"image-missing"}
    with pytest.raises(DataError, match=r"4 of 4 image files are missing(.|\n)*data check"):
        load_dataset(root)


def test_a_refusal_counts_the_faults_of_its_kind(root):
    def spoil(tree):
        for entry in tree["annotations"][:4]:
            entry["category_id"] = 9

    change(root, "train", spoil)
    message = r"no category 9, and 3 more of this kind: annotations\[1\] \(id 2\), "
    with pytest.raises(DataError, match=message + r"(.|\n)*evolve data check"):
        load_dataset(root)
