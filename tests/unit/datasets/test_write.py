"""Clean COCO: names, numbers, links, and nothing half-written."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.datasets.clean import Cleaned, clean
from evolve.datasets.file_names import safe_names
from evolve.datasets.findings import Finding
from evolve.datasets.raw import RawBox, RawDataset, RawImage
from evolve.datasets.read import read_raw
from evolve.datasets.write import _rounded, write_coco
from model.data.coco import load_dataset
from model.errors import DataError
from tests.unit.data.conftest import write_picture

FINDING = Finding("box-outside", "dropped", "val", "a.png", "x.txt:3", "=cmd()\nlies outside")


def dataset(root, names, categories=None, **changes):
    """A picture of 40 x 30 px with one box for each name; `names` by split."""
    splits = {}
    for split, part in names.items():
        images = []
        for name in part:
            if not (root / name).exists():
                write_picture(root / name, seed=sum(name.encode()))
            box = RawBox(f"{name}.txt:1", None, 5, (1.0, 2.0, 10.0, 8.0))
            images.append(RawImage(f"{name}.txt", None, name, root / name, (40, 30), (box,)))
        splits[split] = tuple(images)
    raw = RawDataset(root, "yolo", "made up", categories or {5: "cat"}, splits)
    return Cleaned(replace(raw, **changes), ())


def names_of(out, split):
    tree = json.loads((out / "annotations" / f"{split}.json").read_text())
    return [entry["file_name"] for entry in tree["images"]]


def test_numbers_begin_at_one(tmp_path):
    data = dataset(tmp_path / "in", {"train": ["a.png", "b.png"], "val": ["c.png"]},
                   {9: "dog", 5: "cat"})  # fmt: skip
    written = write_coco(data, tmp_path / "out")
    tree = json.loads((tmp_path / "out" / "annotations" / "val.json").read_text())
    assert tree == {
        "images": [{"id": 3, "file_name": "c.png", "width": 40, "height": 30}],
        "annotations": [{"id": 3, "image_id": 3, "category_id": 2, "bbox": [1, 2, 10, 8],
                         "area": 80, "iscrowd": 0}],
        "categories": [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}],
    }  # fmt: skip
    assert (written.images, written.boxes) == ({"train": 2, "val": 1}, {"train": 2, "val": 1})
    assert load_dataset(tmp_path / "out").classes == ("dog", "cat")


def test_the_log_has_each_finding_and_no_formula(tmp_path):
    data = dataset(tmp_path / "in", {"train": ["a.png"], "val": ["c.png"]})
    written = write_coco(replace(data, findings=(FINDING, FINDING)), tmp_path / "out")
    with (tmp_path / "out" / "import-log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    assert rows[0]["what"] == "'=cmd() lies outside"
    assert (rows[0]["kind"], rows[0]["file"], rows[0]["item"]) == (
        "box-outside",
        "a.png",
        "x.txt:3",
    )
    assert written.changes == [
        ("dropped", "box-outside", 2, "=cmd() lies outside (a.png, x.txt:3)")
    ]


def test_images_are_linked_or_copied(tmp_path):
    data = dataset(tmp_path / "in", {"train": ["a.png"], "val": ["c.png"]})
    for name, copy in (("linked", False), ("copied", True)):
        write_coco(data, tmp_path / name, copy=copy)
        there = tmp_path / name / "images" / "a.png"
        assert there.read_bytes() == (tmp_path / "in" / "a.png").read_bytes()
        assert there.samefile(tmp_path / "in" / "a.png") is not copy


def test_a_link_is_followed_to_the_picture(tmp_path):
    data = dataset(tmp_path / "in", {"train": ["a.png"], "val": ["c.png"]})
    (tmp_path / "in" / "a.png").rename(tmp_path / "in" / "real.png")
    (tmp_path / "in" / "a.png").symlink_to("real.png")
    write_coco(data, tmp_path / "out")
    assert not (tmp_path / "out" / "images" / "a.png").is_symlink()
    assert load_dataset(tmp_path / "out").splits["train"][0].path.is_file()


def test_two_files_of_one_name_get_their_folders(tmp_path):
    data = dataset(tmp_path / "in", {"train": ["images/train/1.png", "images/x/2.png"],
                                     "val": ["images/val/1.png", "images/y/2.PNG"]})  # fmt: skip
    written = write_coco(data, tmp_path / "out")
    assert names_of(tmp_path / "out", "train") == ["train_1.png", "x_2.png"]
    assert names_of(tmp_path / "out", "val") == ["val_1.png", "y_2.PNG"]
    assert [(f.kind, f.split, f.file) for f in written.findings] == [
        ("image-renamed", "train", "images/train/1.png"),
        ("image-renamed", "train", "images/x/2.png"),
        ("image-renamed", "val", "images/val/1.png"),
        ("image-renamed", "val", "images/y/2.PNG"),
    ]  # fmt: skip


def test_one_file_in_two_splits_has_one_name(tmp_path):
    data = dataset(tmp_path / "in", {"train": ["a.png", "b.png"], "val": ["a.png"]})
    write_coco(data, tmp_path / "out")
    assert names_of(tmp_path / "out", "val") == ["a.png"]
    assert "train and val share a.png" in load_dataset(tmp_path / "out").notes[-1]


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("Gärtnerei am Süd.png", "Gartnerei_am_Sud.png"),
        ("面.png", "image.png"),
        ("<img src=x onerror=y>.png", "img_src=x_onerror=y_.png"),
        ("a\nb\t.png", "a_b_.png"),
        ("--rm.png", "rm.png"),
        ("=1+1.png", "1+1.png"),
        ("x.PNG", "x.PNG"),
        ("noend", "noend"),
        ("x" * 200 + ".png", "x" * 120 + ".png"),
    ],
)
def test_names_are_made_safe(name, safe, tmp_path):
    image = RawImage("w", None, name, tmp_path / name, (1, 1), ())
    findings = []
    assert safe_names({"train": [image]}, tmp_path, findings) == {tmp_path / name: safe}
    assert len(findings) == (name != safe)


@given(st.lists(st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1,
                        max_size=12).filter(lambda s: s not in (".", "..")),
                min_size=1, max_size=20, unique=True))  # fmt: skip
def test_names_are_safe_and_never_shared(tmp_path_factory, names):
    root = tmp_path_factory.getbasetemp()
    images = [RawImage("w", None, name, root / name, (1, 1), ()) for name in names]
    found = list(safe_names({"train": images}, root, []).values())
    assert len({name.lower() for name in found}) == len(found) == len(names)
    assert all(name.isascii() and name.isprintable() and name[0] not in ".-=" for name in found)
    assert not any(set(name) & set("/\\ <>\"'&*?:|") for name in found)


def test_class_names_are_one_line_and_differ(tmp_path):
    categories = {5: "cat\nfish", 6: "cat fish", 7: "\x1b"}
    data = dataset(tmp_path / "in", {"train": ["a.png"], "val": ["c.png"]}, categories)
    written = write_coco(data, tmp_path / "out")
    assert written.classes == ("cat fish", "cat fish (2)", "class 3")
    assert [f.kind for f in written.findings] == ["renamed"] * 3


@given(st.floats(0, 99.9), st.floats(0, 99.9), st.floats(0.01, 100), st.floats(0.01, 100))
def test_rounding_keeps_a_box_in_its_image(x, y, w, h):
    w, h = min(w, 100 - x), min(h, 100 - y)
    left, top, width, height = _rounded((x, y, w, h), (100, 100))
    assert left + width <= 100
    assert top + height <= 100
    assert np.allclose((left, top, width, height), (x, y, w, h), atol=2.1e-4)


def test_a_test_split_without_boxes_is_left_out(tmp_path):
    data = dataset(tmp_path / "in", {"train": ["a.png"], "val": ["c.png"], "test": ["d.png"]})
    bare = tuple(replace(image, boxes=()) for image in data.raw.splits["test"])
    raw = replace(data.raw, splits={**data.raw.splits, "test": bare})
    written = write_coco(replace(data, raw=raw), tmp_path / "out")
    assert [f.kind for f in written.findings] == ["no-test"]
    assert set(load_dataset(tmp_path / "out").splits) == {"train", "val"}


@pytest.mark.parametrize("split", ["train", "val"])
def test_nothing_left_to_train_on(tmp_path, split):
    data = dataset(tmp_path / "in", {"train": ["a.png"], "val": ["c.png"]})
    bare = tuple(replace(image, boxes=()) for image in data.raw.splits[split])
    raw = replace(data.raw, splits={**data.raw.splits, split: bare})
    with pytest.raises(DataError, match=f"no box is left in {split}, of 1(.|\n)*1 box-outside"):
        write_coco(Cleaned(raw, (FINDING,)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_finding_that_is_an_error_stops_it(tmp_path):
    data = dataset(tmp_path / "in", {"train": ["a.png"], "val": ["c.png"]})
    bad = replace(FINDING, outcome="error")
    with pytest.raises(DataError, match=r"cannot be trained on(.|\n)*\(a\.png\)"):
        write_coco(replace(data, findings=(bad,)), tmp_path / "out")


@pytest.mark.parametrize("there", ["file", "full", "link"])
def test_what_is_there_stays(tmp_path, there):
    data = dataset(tmp_path / "in", {"train": ["a.png"], "val": ["c.png"]})
    out = tmp_path / "out"
    if there == "file":
        out.write_text("mine")
    elif there == "full":
        out.mkdir()
        (out / "mine").write_text("mine")
    else:
        out.symlink_to(tmp_path / "nowhere")
    with pytest.raises(DataError, match="there is something already"):
        write_coco(data, out)
    assert not (out / "annotations").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_nothing_half_written(tmp_path, error, monkeypatch):
    data = dataset(tmp_path / "in", {"train": ["a.png"], "val": ["c.png"]})

    def fail(*_args):
        raise error

    monkeypatch.setattr("evolve.datasets.write.shutil.copyfile", fail)
    with pytest.raises((KeyboardInterrupt, DataError)):
        write_coco(data, tmp_path / "out", copy=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


def test_a_turned_photograph_has_the_size_it_is_shown_in(tmp_path):
    """EXIF orientation 6: what is stored lying is shown standing, and so YOLO's labels are."""
    root = tmp_path / "in"
    for split in ("train", "val"):
        picture = root / "images" / split / "a.jpg"
        write_picture(picture, 40, 30)
        plain = picture.read_bytes()
        exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
        head = b"\xff\xd8\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
        picture.write_bytes(head + plain[2:])
        (root / "labels" / split).mkdir(parents=True)
        (root / "labels" / split / "a.txt").write_text("0 0.5 0.5 1 0.5\n")
    (root / "classes.txt").write_text("cat\n")
    write_coco(clean(read_raw(root)), tmp_path / "out")
    (record,) = load_dataset(tmp_path / "out").splits["train"]
    assert (record.width, record.height) == (30, 40)
    assert record.boxes_xyxy_px.tolist() == [[0, 10, 30, 30]]
