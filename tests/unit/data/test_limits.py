"""Bounds on outside data, and the environment that changes them."""

import json
import tracemalloc

import pytest

from evolve.datasets.read import read_raw
from model.data.coco import load_dataset
from model.data.json_memory import json_bytes
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


CONTENTS = {
    "lists": "[" + ",".join(["[]"] * 50_000) + "]",
    "objects": "[" + ",".join(['{"a": 1.5}'] * 50_000) + "]",
    "one object": "{" + ",".join(f'"k{i}": {i}.5' for i in range(50_000)) + "}",
    "numbers": "[" + ",".join(["1.5"] * 50_000) + "]",
    "texts": "[" + ",".join(f'"{i}"' for i in range(50_000)) + "]",
    "a wide text": '["' + "a" * 500_000 + '\U0001f600"]',
    "nested": "[" + ",".join(["[[[0]]]"] * 50_000) + "]",
}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_memory_is_told_before_anything_is_parsed(content, tmp_path):
    file = tmp_path / "a.json"
    file.write_text(content, encoding="utf-8")
    tracemalloc.start()
    read = json.loads(file.read_bytes())
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert read
    assert 0.95 * taken < json_bytes(file) < 5 * taken


def test_what_does_not_fit_into_memory_is_not_parsed(tmp_path, monkeypatch):
    root = write_tiny_coco(tmp_path / "data", {"train": 1, "val": 1}, 16)
    (root / "annotations" / "train.json").write_text("[" + "[]," * 50_000)
    monkeypatch.setattr("model.data.json_memory._memory_bytes", lambda: 4 << 20)
    monkeypatch.setattr(json, "loads", None)
    for read in (load_dataset, read_raw):
        with pytest.raises(DataError, match=r"would take 0\.0 GiB of the 0\.0 GiB of memory"):
            read(root)


def test_numbers_without_end_are_told_as_broken(tmp_path):
    root = write_tiny_coco(tmp_path / "data", {"train": 1, "val": 1}, 16)
    (root / "annotations" / "train.json").write_text('{"images": ' + "9" * 5000)
    with pytest.raises(DataError, match="broken JSON"):
        load_dataset(root)
