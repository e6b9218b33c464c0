"""A small data set in COCO, to be written in other formats."""

import json

import pytest

from tests.tiny_data import write_tiny_coco


@pytest.fixture
def coco(tmp_path):
    """Boxes with fractions of a pixel; one picture of val is background."""
    root = write_tiny_coco(tmp_path / "coco", {"train": 5, "val": 3, "test": 2}, size_px=24)
    for split in ("train", "val", "test"):
        file = root / "annotations" / f"{split}.json"
        tree = json.loads(file.read_text())
        for one in tree["annotations"]:
            x, y, w, h = one["bbox"]
            one["bbox"] = [x + 0.25, y + 0.125, w - 0.5, h - 0.375]
            one["area"] = one["bbox"][2] * one["bbox"][3]
        if split == "val":
            tree["annotations"] = [one for one in tree["annotations"] if one["image_id"] != 2]
        file.write_text(json.dumps(tree))
    return root
