"""Training step, loss and evaluation on one thread.

Run: ``pytest tests/bench/bench_model.py``. A step is yolov4-nano, 160 px, 16 images; images/s =
16 / min. Random pictures and boxes; the first rounds are left out.
"""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from model.blocks.conv import ConvBlock
from model.config import LossConfig, TrainConfig
from model.data.coco import load_dataset
from model.ema import Ema
from model.evaluate import ImageDetections, evaluate
from model.geometry import Geometry
from model.losses import YoloLoss
from model.predict import as_input
from model.train import Training
from tests.tiny_data import CLASSES, write_tiny_coco

BATCH, SIZE = 16, 160
BOXES = 12  # an image
PICTURES = np.random.default_rng(0).integers(0, 256, (BATCH, 3, SIZE, SIZE), np.uint8)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def build_training(tmp_path):
    dataset = load_dataset(write_tiny_coco(tmp_path / "set", {"train": 16, "val": 32}, SIZE))

    def build(precision="auto"):
        config = TrainConfig(image_size=SIZE, batch_size=BATCH, precision=precision)
        return Training(config, dataset, device="cpu")

    return build


@pytest.fixture
def training(build_training):
    return build_training()


def random_targets():
    rng = torch.Generator().manual_seed(0)
    targets = torch.rand(BATCH * BOXES, 6, generator=rng) * 0.3 + 0.2
    targets[:, 0] = torch.arange(BATCH).repeat_interleave(BOXES)
    targets[:, 1] = torch.arange(BATCH * BOXES) % len(CLASSES)
    return targets


class PlainMish(nn.Module):
    def forward(self, x):
        return functional.mish(x)


def make_plain(training):
    """The same training as PyTorch does it unless told else: its Mish, SGD and layout."""
    for parameter in training.network.parameters():  # a 1x1 kernel would keep its old strides
        parameter.data = torch.empty(parameter.shape).copy_(parameter.data)
    for block in training.network.modules():
        if isinstance(block, ConvBlock) and block.activation == "mish":
            block.act = PlainMish()
    training.ema = Ema(training.network, training.ema.decay)
    settings = {k: v for k, v in training.optimizer.defaults.items() if k != "fused"}
    groups = [{"params": g["params"]} for g in training.optimizer.param_groups]
    training.optimizer = torch.optim.SGD(groups, **settings)
    return training


def stepper(training, *, plain=False):
    images, targets = as_input(PICTURES, torch.device("cpu")), random_targets()
    if plain:
        images = images.contiguous()
    training.network.train()

    def step():
        with torch.autocast("cpu", torch.bfloat16, enabled=training.autocast):
            maps = training.network(images)
        training.loss(maps, targets, BATCH).total.backward()
        training._update(0)

    return step


@pytest.mark.parametrize("kind", ["plain", "ours"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_train_step(benchmark, build_training, precision, kind):
    """Compare the minima, of separate processes (`-k`): what ran before leaves its mark."""
    training = build_training(precision)
    step = stepper(training) if kind == "ours" else stepper(make_plain(training), plain=True)
    benchmark.pedantic(step, rounds=12, warmup_rounds=2)
    benchmark.extra_info["images_per_s"] = round(BATCH / benchmark.stats["min"], 1)


def test_loss_and_assignment(benchmark):
    rng = torch.Generator().manual_seed(0)
    sizes = (SIZE // 8, SIZE // 16, SIZE // 32)
    maps = [
        torch.randn(BATCH, 3 * (5 + len(CLASSES)), n, n, generator=rng).requires_grad_()
        for n in sizes
    ]
    masks = ((0, 1, 2), (3, 4, 5), (6, 7, 8))
    geometry = Geometry((8, 16, 32), masks, (1.2, 1.1, 1.05), ((1, 1),) * 9)
    anchors = torch.rand(9, 2, generator=rng) * 0.5 + 0.05
    loss = YoloLoss(LossConfig(), geometry, anchors, len(CLASSES))
    targets = random_targets()
    benchmark.pedantic(
        lambda: loss(maps, targets, BATCH).total.backward(), rounds=50, warmup_rounds=5
    )


def test_detect_32_images(benchmark, training):
    benchmark.pedantic(lambda: training.detect(training.val_loader), rounds=10, warmup_rounds=2)


def test_score_100_detections_on_each_of_32_images(benchmark, training):
    records = training.dataset.splits["val"]
    rng = np.random.default_rng(0)
    found = []
    for record in records:
        near = rng.integers(0, len(record.labels), 100)
        boxes = record.boxes_xyxy_px[near] + rng.normal(0, 8, (100, 4)).astype(np.float32)
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
        scores = rng.random(100).astype(np.float32)
        found.append(ImageDetections(record.image_id, boxes, scores, record.labels[near]))
    benchmark.pedantic(lambda: evaluate(found, records, CLASSES), rounds=10, warmup_rounds=1)
