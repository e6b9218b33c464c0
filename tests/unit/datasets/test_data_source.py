"""What --data says to a data set of another format."""

import pytest

from evolve.data_source import resolve_data
from model.errors import DataError
from tests.unit.data.conftest import write_picture
from tests.unit.datasets.other_formats import write_darknet, write_voc, write_yolo


@pytest.mark.parametrize(
    ("name", "write"), [("yolo", write_yolo), ("voc", write_voc), ("darknet", write_darknet)]
)
def test_the_way_in_is_told(name, write, coco, tmp_path):
    there = write(coco, tmp_path / "there")
    command = f"evolve data import {there} --out {there}-coco, then --data {there}-coco"
    with pytest.raises(DataError, match=f"this looks like {name} ") as raised:
        resolve_data(f"{there}/")
    assert raised.value.mend.replace("/ --out", " --out") == command


def test_the_file_of_a_data_set_is_told_of_too(coco, tmp_path):
    there = write_yolo(coco, tmp_path / "a b")
    with pytest.raises(DataError, match=r"data\.yaml names classes") as raised:
        resolve_data(str(there / "data.yaml"))
    assert f"--data '{there}-coco'" in raised.value.mend


def test_coco_and_class_folders_pass(coco, tmp_path):
    write_picture(tmp_path / "classes" / "train" / "cat" / "1.png")
    for folder in (coco, coco / "annotations" / "train.json", tmp_path / "classes"):
        assert resolve_data(str(folder)).path == folder.resolve()
