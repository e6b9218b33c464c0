"""Images per second of 608 px mosaics, by who makes them.

Run: ``pytest tests/bench/bench_workers.py``. A round is one mini-batch of 16 images, taken by a
consumer that does nothing else, so images/s = 16 / mean. Pictures are already decoded.
"""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import cv2
import pytest
from bench_data import records

from model.config import TrainConfig
from model.data.cache import ImageCache
from model.data.recipe import DetectionRecipe
from model.data.shared_cache import SharedCache
from model.data.workers import WorkerPool

BATCH = 16
SIZE = 608
ROUNDS = 100
AHEAD = 2


@pytest.fixture(autouse=True)
def one_thread():
    before = cv2.getNumThreads()
    cv2.setNumThreads(0)
    yield
    cv2.setNumThreads(before)


def by_threads(recipe, count):
    """make(0, 0), make(0, 1), ... made ahead by threads."""
    with ThreadPoolExecutor(count) as pool:
        waiting = deque()
        for index in range(len(recipe.steps(0))):
            waiting.append(pool.submit(recipe.make, 0, index))
            if len(waiting) > AHEAD * count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def by_processes(recipe, count):
    with WorkerPool(recipe, count, BATCH * 3 * SIZE * SIZE) as pool:
        yield from pool.batches(0, len(recipe.steps(0)))


@pytest.mark.parametrize(
    ("source", "count"),
    [(by_processes, 0), (by_threads, 1), (by_threads, 2), (by_processes, 1), (by_processes, 2)],
    ids=["alone", "thread", "2-threads", "process", "2-processes"],
)
def test_images_per_second(benchmark, tmp_path, source, count):
    config = TrainConfig().with_values({"augment.mosaic": 1.0, "batch_size": BATCH})
    pictures = records(tmp_path, SIZE)
    shared = source is by_processes
    cache = SharedCache(pictures, 1 << 30) if shared else ImageCache(1 << 30)
    for one in pictures:
        cache.get(one)
    recipe = DetectionRecipe(pictures * (ROUNDS // 3), cache, config, (SIZE, SIZE))
    with closing(source(recipe, count)) as batches:
        benchmark.pedantic(lambda: next(batches), rounds=ROUNDS, warmup_rounds=12)
    benchmark.extra_info["images_per_s"] = BATCH / benchmark.stats["mean"]
