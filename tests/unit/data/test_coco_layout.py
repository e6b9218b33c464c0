"""Layouts of COCO folders other than our own."""

import json
import shutil

import pytest

from model.data.class_folders import holds_classes
from model.data.coco import find_image, load_dataset
from model.data.coco_layout import find_layout, split_of
from model.errors import DataError
from tests.tiny_data import write_tiny_coco


@pytest.fixture
def own(tmp_path):
    return write_tiny_coco(tmp_path / "own")


def _move_pictures(root, split, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for file in (root / "images").glob(f"{split}_*.png"):
        file.rename(folder / file.name)


def _official(root, pictures, stem="instances_{}2017"):
    for split in ("train", "val"):
        name = stem.format(split)
        (root / "annotations" / f"{split}.json").rename(root / "annotations" / f"{name}.json")
        _move_pictures(root, split, root / pictures.format(split))
    return root


def _roboflow(root):
    for split, name in (("train", "train"), ("val", "valid")):
        (root / name).mkdir()
        file = root / "annotations" / f"{split}.json"
        file.rename(root / name / "_annotations.coco.json")
        _move_pictures(root, split, root / name)
    shutil.rmtree(root / "annotations")
    return root


@pytest.mark.parametrize("pictures", ["{}2017", "images/{}2017", "images"])
def test_coco_as_it_is_published(own, pictures):
    wanted = load_dataset(own).splits["val"]
    root = _official(own, pictures)
    found = load_dataset(root).splits["val"]
    assert [r.boxes_xyxy_px.tolist() for r in found] == [r.boxes_xyxy_px.tolist() for r in wanted]
    assert find_image(root, "val", "val_1.png") == found[0].path


def test_files_named_without_a_year(own):
    root = _official(own, "images/{}", "instances_{}")
    assert {name: len(part) for name, part in load_dataset(root).splits.items()} == {
        "train": 8, "val": 4,
    }  # fmt: skip


def test_roboflow(own):
    root = _roboflow(own)
    found = load_dataset(root)
    assert {name: len(part) for name, part in found.splits.items()} == {"train": 8, "val": 4}
    assert find_image(root, "val", "val_2.png") == root / "valid" / "val_2.png"
    assert not holds_classes(root)


def test_one_file_for_all_is_split(tmp_path):
    own = write_tiny_coco(tmp_path / "own", {"train": 30, "val": 1}, size_px=16)
    shutil.move(own / "annotations" / "train.json", own / "annotations/instances_default.json")
    (own / "annotations" / "val.json").unlink()
    _move_pictures(own, "train", own / "images" / "default")
    found = load_dataset(own)
    assert sum(map(len, found.splits.values())) == 30
    assert "instances_default.json was split by a hash" in found.notes[0]
    assert find_image(own, "train", "train_1.png") == own / "images/default/train_1.png"


def test_own_names_come_before_others(own):
    shutil.copy(own / "annotations" / "val.json", own / "annotations/instances_train2017.json")
    assert [file.name for file in find_layout(own).files.values()] == ["train.json", "val.json"]


def test_two_files_for_one_split(own):
    _official(own, "{}2017")
    shutil.copy(own / "annotations/instances_val2017.json",
                own / "annotations/instances_val2014.json")  # fmt: skip
    with pytest.raises(DataError, match=r"both instances_val2014\.json and instances_val2017"):
        load_dataset(own)


def test_captions_are_no_layout(tmp_path):
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "captions_train2017.json").write_text(json.dumps({}))
    assert find_layout(tmp_path) is None


def test_val_is_missing_among_others(own):
    _roboflow(own)
    shutil.rmtree(own / "valid")
    with pytest.raises(DataError, match="there are no annotations of 'val'"):
        load_dataset(own)


@pytest.mark.parametrize(
    ("name", "split"), [("valid", "val"), ("Train", "train"), ("test", "test"), ("extra", None)]
)
def test_split_names(name, split):
    assert split_of(name) == split
