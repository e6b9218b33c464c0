"""Small COCO folders, written by hand."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

Tree = dict[str, Any]


def coco_tree(split: str, count: int = 2) -> Tree:
    """`count` pictures of 40 x 30 px, each with one box of class 1 and one of class 2."""
    images = [
        {"id": i, "file_name": f"{split}_{i}.png", "width": 40, "height": 30}
        for i in range(1, count + 1)
    ]
    boxes = ([2, 3, 10, 8], [20, 10, 15, 12])
    annotations = [
        {"id": 2 * i + k, "image_id": i + 1, "category_id": k, "bbox": boxes[k - 1], "area": 50}
        for i in range(count)
        for k in (1, 2)
    ]
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    return {"images": images, "annotations": annotations, "categories": categories}


def write_picture(path: Path, width: int = 40, height: int = 30, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    path.write_bytes(cv2.imencode(path.suffix, pixels)[1].tobytes())


@pytest.fixture
def write_coco(tmp_path: Path) -> Callable[..., Path]:
    """Write a folder; `change(trees)` may spoil the annotations first."""

    def write(
        change: Callable[[dict[str, Tree]], object] = bool,
        splits: tuple[str, ...] = ("train", "val", "test"),
        count: int = 2,
    ) -> Path:
        root = tmp_path / "set"
        trees = {split: coco_tree(split, count) for split in splits}
        for index, tree in enumerate(trees.values()):
            for entry in tree["images"]:
                seed = 100 * index + entry["id"]
                write_picture(root / "images" / entry["file_name"], seed=seed)
        change(trees)
        (root / "annotations").mkdir(exist_ok=True)
        for split, tree in trees.items():
            (root / "annotations" / f"{split}.json").write_text(json.dumps(tree))
        return root

    return write
