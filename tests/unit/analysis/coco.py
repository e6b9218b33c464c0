"""Random COCO data for tests, and pycocotools' own numbers for it."""

import contextlib
import copy
import io

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def random_coco(seed, images=12, classes=4, truths=3, finds=8, score_steps=1000):
    """Truth with crowds and finds; the last image and the last class are empty."""
    rng = np.random.default_rng(seed)
    annotations, detections = [], []
    for image in range(10, 10 + images - 1):
        boxes = rng.uniform((0, 0, 5, 5), (60, 60, 40, 40), (rng.integers(0, truths + 1), 4))
        for box in boxes:
            annotations.append(
                {
                    "id": len(annotations),  # 0 and its doubles are traps
                    "image_id": image,
                    "category_id": int(rng.integers(1, classes)),
                    "bbox": box.tolist(),
                    "area": float(box[2] * box[3]),
                    "iscrowd": int(rng.random() < 0.15),
                }
            )
        for _ in range(rng.integers(0, finds + 1)):
            near = boxes[rng.integers(len(boxes))] if len(boxes) and rng.random() < 0.7 else None
            box = rng.uniform((0, 0, 5, 5), (60, 60, 40, 40)) if near is None else near
            detections.append(
                {
                    "image_id": image,
                    "category_id": int(rng.integers(1, classes)),
                    "bbox": np.abs(box + rng.normal(0, 1.5, 4)).tolist(),
                    "score": float(rng.integers(1, score_steps + 1) / score_steps),
                }
            )
    return {
        "images": [{"id": i, "width": 100, "height": 100} for i in range(10, 10 + images)],
        "annotations": annotations,
        "categories": [{"id": k, "name": f"c{k}"} for k in range(1, classes + 1)],
    }, detections


def repeat_images(truth, detections, weights):
    """The same data with each image as often as its weight says, repeats next to each other."""
    images, annotations, found = [], [], []
    for image, times in zip(truth["images"], weights, strict=True):
        for _ in range(times):
            number = len(images)
            images.append({**image, "id": number})
            annotations += _moved(truth["annotations"], image["id"], number)
            found += _moved(detections, image["id"], number)
    return {**truth, "images": images, "annotations": annotations}, found


def _moved(annotations, old, new):
    return [{**a, "image_id": new} for a in annotations if a["image_id"] == old]


def pycocotools_ap(truth, detections):
    """AP, AP50, AP75; -1 where there is nothing to measure."""
    with contextlib.redirect_stdout(io.StringIO()):
        judge = COCOeval(_coco(truth), _coco({"annotations": detections}), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return judge.stats[:3]


def _coco(data):
    coco = COCO()
    data = copy.deepcopy({"images": [], "categories": [], "info": {}, **data})
    for number, annotation in enumerate(data["annotations"], start=1):
        annotation["id"] = number
        annotation.setdefault("area", annotation["bbox"][2] * annotation["bbox"][3])
        annotation.setdefault("iscrowd", 0)
    coco.dataset = data
    coco.createIndex()
    return coco
