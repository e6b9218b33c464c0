"""A tiny COCO data set: grey pictures with rectangles of one colour for each class."""

import json
from pathlib import Path

import cv2
import numpy as np

CLASSES = ("red", "green")
COLOURS_RGB = ((220, 30, 30), (30, 200, 30))


def write_tiny_coco(
    root: Path, counts: dict[str, int] | None = None, size_px: int = 64, seed: int = 0
) -> Path:
    """Write ``annotations/<split>.json`` and ``images/`` with one or two boxes a picture.

    `counts` names the splits and their pictures: 8 train and 4 val if not given.
    """
    rng = np.random.default_rng(seed)
    (root / "images").mkdir(parents=True)
    (root / "annotations").mkdir()
    for split, count in (counts or {"train": 8, "val": 4}).items():
        images, annotations = [], []
        for number in range(1, count + 1):
            name = f"{split}_{number}.png"
            pixels = np.full((size_px, size_px, 3), 90, np.uint8)
            pixels += rng.integers(0, 20, pixels.shape, np.uint8)
            for _ in range(int(rng.integers(1, 3))):
                label = int(rng.integers(len(CLASSES)))
                w, h = (int(v) for v in rng.integers(size_px // 4, size_px // 2, 2))
                x, y = int(rng.integers(size_px - w)), int(rng.integers(size_px - h))
                pixels[y : y + h, x : x + w] = COLOURS_RGB[label]
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": number,
                        "category_id": label + 1,
                        "bbox": [x, y, w, h],
                        "area": w * h,
                        "iscrowd": 0,
                    }
                )
            ok, packed = cv2.imencode(".png", pixels[..., ::-1])
            assert ok
            (root / "images" / name).write_bytes(packed.tobytes())
            images.append({"id": number, "file_name": name, "width": size_px, "height": size_px})
        categories = [{"id": i + 1, "name": name} for i, name in enumerate(CLASSES)]
        tree = {"images": images, "annotations": annotations, "categories": categories}
        (root / "annotations" / f"{split}.json").write_text(json.dumps(tree))
    return root
