"""Bootstrap of test images: 500 images of 20 classes, 50 detections an image, 1,000 resamples.

Run: ``pytest tests/bench/bench_bootstrap.py``. On one core; three truths of a class at most in an
image, two in three detections near a truth. Rounds are below, the machine is in the report.
"""

import numpy as np
import pytest

from evolve.analysis.image_bootstrap import ap, draw_weights
from evolve.analysis.matching import match

IMAGES, CLASSES, FINDS, RESAMPLES = 500, 20, 50, 1000


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    annotations, detections = [], []
    for image in range(IMAGES):
        for _ in range(20):
            box = rng.uniform((0, 0, 20, 20), (400, 400, 120, 120)).tolist()
            label = int(rng.integers(CLASSES))
            annotations.append({"image_id": image, "category_id": label, "bbox": box})
        for number in range(FINDS):
            near = annotations[-1 - number % 20]
            box = (np.array(near["bbox"]) + rng.normal(0, 4, 4)).tolist()
            label = near["category_id"] if number < 35 else int(rng.integers(CLASSES))
            score = round(float(rng.random()), 5)
            detections.append(
                {"image_id": image, "category_id": label, "bbox": box, "score": score}
            )
    truth = {
        "images": [{"id": i} for i in range(IMAGES)],
        "annotations": annotations,
        "categories": [{"id": k} for k in range(CLASSES)],
    }
    return truth, detections


def test_match(benchmark, data):
    benchmark.pedantic(match, args=data, rounds=1)


def test_ap_of_1000_resamples(benchmark, data):
    weights = draw_weights(IMAGES, RESAMPLES, np.random.default_rng(0))
    benchmark.pedantic(ap, args=(match(*data), weights), rounds=3, warmup_rounds=1)
