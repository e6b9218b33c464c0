"""A pass of inference, NMS included, in each of the modes that `evolve speed` tries on a CPU.

Run: ``pytest tests/bench/bench_inference.py``. yolov4-nano at 416 px, one image of noise, all
threads; the first rounds are left out. `evolve speed` gives the figures by its protocol.
"""

import pytest
import torch

from model.build import build_detector
from model.speed import Mode, Pass

SIZE = 416


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return build_detector("yolov4-nano").eval()


@pytest.mark.parametrize(
    "mode",
    [
        Mode(),
        Mode(fold=True),
        Mode(channels_last=True),
        Mode(fold=True, channels_last=True),
        Mode("bf16", fold=True),
        Mode("bf16", fold=True, channels_last=True),
    ],
    ids=str,
)
def test_pass(benchmark, network, mode):
    anchors = torch.tensor(network.geometry.anchors_wh_px) / SIZE
    images = torch.rand(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        one_pass = Pass(network, anchors, images, mode)
        benchmark.pedantic(lambda: one_pass(images), rounds=50, warmup_rounds=10)
