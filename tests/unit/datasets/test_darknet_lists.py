"""Darknet's .data files and lists."""

import pytest

from evolve.datasets.formats import darknet
from model.errors import DataError
from tests.unit.data.conftest import write_picture

LINE = "1 0.5 0.5 0.25 0.5\n"


@pytest.fixture
def root(tmp_path):
    """Pictures in ``images/``, labels in ``labels/``, lists with paths of Windows."""
    for name in ("a", "b", "c"):
        write_picture(tmp_path / "images" / f"{name}.png")
        (tmp_path / "labels").mkdir(exist_ok=True)
        (tmp_path / "labels" / f"{name}.txt").write_text(LINE)
    (tmp_path / "cfg").mkdir()
    (tmp_path / "cfg" / "my.data").write_text(
        "classes=2\ntrain  = C:\\darknet\\train.txt\nvalid=valid.txt\nnames=my.names\n# comment\n"
    )
    (tmp_path / "train.txt").write_text("D:\\x\\images\\a.png\r\nimages\\b.png\r\n")
    (tmp_path / "valid.txt").write_text("images/c.png\n")
    (tmp_path / "my.names").write_text("cat\ndog\n")
    return tmp_path


def test_lists_of_windows(root):
    raw = darknet.read(root)
    assert raw.reason == "cfg/my.data names lists of images"
    assert {split: [i.file_name for i in part] for split, part in raw.splits.items()} == {
        "train": ["images/a.png", "images/b.png"], "val": ["images/c.png"],
    }  # fmt: skip
    assert raw.categories == {0: "cat", 1: "dog"}
    assert all(image.boxes[0].xywh_px == (15, 7.5, 10, 15) for image in raw.splits["train"])
    assert [(f.kind, f.file) for f in raw.findings] == [("path-mended", "train.txt")]


def test_the_file_itself_may_be_given(root):
    (root / "cfg" / "my.data").rename(root / "my.data")
    assert len(darknet.read(root / "my.data").splits["train"]) == 2


def test_names_that_are_not_there(root):
    (root / "my.names").unlink()
    raw = darknet.read(root)
    assert raw.categories == {0: "class 0", 1: "class 1"}
    assert [f.kind for f in raw.findings] == ["path-missing", "no-names", "path-mended"]


def test_more_classes_than_names(root):
    (root / "my.names").write_text("cat\n")
    raw = darknet.read(root)
    assert raw.categories == {0: "cat"}
    assert "classes = 2, but there are 1 names" in raw.findings[0].what


def test_two_data_files(root):
    (root / "other.data").write_text("train = train.txt\n")
    with pytest.raises(DataError, match=r"several files could describe it: other\.data, cfg/my"):
        darknet.read(root)


def test_lists_of_nothing(root):
    (root / "train.txt").write_text("gone.png\n")
    (root / "valid.txt").unlink()
    with pytest.raises(DataError, match=r"no picture was found(.|\n)*there is no 'gone\.png'"):
        darknet.read(root)


def test_roboflow(tmp_path):
    for name in ("train", "valid"):
        write_picture(tmp_path / name / "a.png")
        (tmp_path / name / "a.txt").write_text(LINE)
        (tmp_path / name / "_darknet.labels").write_text("cat\ndog\n")
    raw = darknet.read(tmp_path)
    assert {split: part[0].boxes[0].category for split, part in raw.splits.items()} == {
        "train": 1, "val": 1,
    }  # fmt: skip
    assert raw.categories == {0: "cat", 1: "dog"}
