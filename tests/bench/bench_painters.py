"""Images per second of both painters: mini-batches of 16 mosaics, planned and painted.

Run: ``OMP_NUM_THREADS=1 pytest tests/bench/bench_painters.py``. Sources are as wide as the
network's input, 4:3, already decoded. OpenCV has one thread, as a loader's worker has; the device
painter has torch's threads on a CPU. On a GPU a round ends when the images are there; in a
training they are awaited by nobody.
"""

import cv2
import pytest
import torch

from tests.gpu.devices import DEVICES
from tests.unit.model.picture_recipe import paint, painter, recipe, smooth

BATCH = 16
KINDS = {"plain": {"mosaic": 0.0}, "mosaic": {"mosaic": 1.0}}


@pytest.fixture(autouse=True)
def one_thread():
    before = cv2.getNumThreads()
    cv2.setNumThreads(0)
    yield
    cv2.setNumThreads(before)


def sources(size, kind):
    pictures = [smooth(size, size * 3 // 4, seed) for seed in range(64)]
    return recipe(pictures, (size, size), batch_size=BATCH, **KINDS[kind])


def record(benchmark, one_batch, rounds):
    benchmark.pedantic(one_batch, rounds=rounds, warmup_rounds=2)
    benchmark.extra_info["images_per_s"] = BATCH / benchmark.stats["mean"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [160, 608])
def test_opencv(benchmark, size, kind):
    own = sources(size, kind)
    record(benchmark, lambda: own.make(0, 0), rounds=20)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [160, 608])
def test_device(benchmark, size, kind, device):
    own = sources(size, kind)
    on = painter(own, device)

    def one_batch():
        paint(own, on)
        if device == "cuda":
            torch.cuda.synchronize()

    record(benchmark, one_batch, rounds=3 if device == "cpu" else 20)
