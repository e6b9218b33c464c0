"""Images per second of the training data, on one thread.

Run: ``pytest tests/bench/bench_data.py``. A round is one mini-batch of 16 images, so images/s =
16 / mean. Pictures are already decoded; 4:3 sources of the network's width, five boxes each.
"""

import cv2
import numpy as np
import pytest

from model.config import TrainConfig
from model.data.cache import ImageCache
from model.data.coco import ImageRecord
from model.data.loader import RecipeLoader
from model.data.recipe import DetectionRecipe

BATCH = 16
COUNT = 64


@pytest.fixture(autouse=True)
def one_thread():
    before = cv2.getNumThreads()
    cv2.setNumThreads(0)
    yield
    cv2.setNumThreads(before)


def records(folder, width):
    rng = np.random.default_rng(0)
    made = []
    for number in range(COUNT):
        path = folder / f"{number}.png"
        noise = rng.integers(0, 256, (width // 16, width // 12, 3), np.uint8)
        picture = cv2.resize(noise, (width, width * 3 // 4), interpolation=cv2.INTER_CUBIC)
        path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
        corner = rng.random((5, 2)) * (width / 2, width / 3)
        boxes = np.hstack([corner, corner + width / 5]).astype(np.float32)
        some = np.zeros(5, np.int64)
        made.append(
            ImageRecord(
                number, path.name, path, width, width * 3 // 4, boxes, some, some > 0, some + 1.0
            )
        )
    return made


@pytest.mark.parametrize("mosaic", [0.0, 1.0], ids=["plain", "mosaic"])
@pytest.mark.parametrize("size", [96, 160, 608])
def test_images_per_second(benchmark, tmp_path, size, mosaic):
    config = TrainConfig(batch_size=BATCH).with_values(
        {"augment.mosaic": mosaic, "batch_size": BATCH}
    )
    cache = ImageCache(1 << 30)
    loader = RecipeLoader(DetectionRecipe(records(tmp_path, size), cache, config, (size, size)))
    for _ in loader.epoch(0):  # decode
        pass

    def batches():
        epoch = 0
        while True:
            epoch += 1
            yield from loader.epoch(epoch)

    source = batches()
    benchmark.pedantic(lambda: next(source), rounds=60, warmup_rounds=8)
    benchmark.extra_info["images_per_s"] = BATCH / benchmark.stats["mean"]
