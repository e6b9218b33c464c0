"""Bounds on outside data, and the environment that changes them."""

import pytest

from model.data.coco import load_dataset
from model.data.limits import MAX_JSON_MIB, MAX_PIXELS, max_json_bytes, max_pixels
from model.errors import DataError
from tests.tiny_data import write_tiny_coco


def test_bounds_come_from_the_environment(monkeypatch):
    assert (max_pixels(), max_json_bytes()) == (MAX_PIXELS, MAX_JSON_MIB << 20)
    monkeypatch.setenv("EVOLVE_MAX_PIXELS", "100")
    monkeypatch.setenv("EVOLVE_MAX_JSON_MIB", "3")
    assert (max_pixels(), max_json_bytes()) == (100, 3 << 20)


@pytest.mark.parametrize("text", ["0", "-1", "1e9", "many", "9" * 5000, "\u0663"])
def test_what_is_no_bound_is_refused(text, monkeypatch):
    monkeypatch.setenv("EVOLVE_MAX_PIXELS", text)
    with pytest.raises(DataError, match="not a positive whole number"):
        max_pixels()


def test_annotations_are_refused_by_size_before_they_are_read(tmp_path, monkeypatch):
    root = write_tiny_coco(tmp_path / "data", {"train": 1, "val": 1}, 16)
    with (root / "annotations" / "train.json").open("ab") as file:
        file.truncate(2 << 20)  # a hole: nothing is written
    monkeypatch.setenv("EVOLVE_MAX_JSON_MIB", "1")
    with pytest.raises(DataError, match="2,097,152 bytes, more than 1,048,576") as refused:
        load_dataset(root)
    assert "EVOLVE_MAX_JSON_MIB" in refused.value.mend


def test_numbers_without_end_are_told_as_broken(tmp_path):
    root = write_tiny_coco(tmp_path / "data", {"train": 1, "val": 1}, 16)
    (root / "annotations" / "train.json").write_text('{"images": ' + "9" * 5000)
    with pytest.raises(DataError, match="broken JSON"):
        load_dataset(root)
