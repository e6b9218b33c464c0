"""Milliseconds that an effect takes for one picture of 608 x 608 pixels, on one thread.

Run: ``pytest tests/bench/bench_effects.py``. Both painters, with the settings of the sources and
twelve objects; the erasing of both image and objects.
"""

import cv2
import numpy as np
import pytest
import torch

from model.ingredient import effects

SIDE = 608
KEYS = {
    "brightness", "contrast", "noise", "blur", "bilateral",
    "erase", "cutout", "hide_and_seek", "grid_mask",
}  # fmt: skip
MORE = {"erase": {"where": "both"}, "hide_and_seek": {"patches": (1 / 14,)}}


@pytest.fixture(autouse=True)
def one_thread():
    before = cv2.getNumThreads(), torch.get_num_threads()
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    yield
    cv2.setNumThreads(before[0])
    torch.set_num_threads(before[1])


@pytest.mark.parametrize("painter", ["opencv", "torch"])
@pytest.mark.parametrize(
    "effect", [each for each in effects() if each.key in KEYS], ids=lambda effect: effect.key
)
def test_milliseconds_a_picture(benchmark, effect, painter):
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (38, 38, 3), np.uint8)
    picture = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    corner = rng.random((12, 2)) * (SIDE - 130)
    boxes = np.hstack([corner, corner + 130]).astype(np.float32)
    choice = effect.sample([0.4] * effect.draws, effect.settings(**MORE.get(effect.key, {})))
    if painter == "opencv":
        work = (effect.paint, picture, choice, boxes)
    else:
        tensor = torch.from_numpy(picture).permute(2, 0, 1).contiguous()
        work = (effect.paint_on_device, tensor, choice, boxes)
    benchmark.pedantic(work[0], work[1:], rounds=15, warmup_rounds=2)
    benchmark.extra_info["ms_a_picture"] = 1e3 * benchmark.stats["min"]
