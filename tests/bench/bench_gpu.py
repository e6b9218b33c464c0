"""Training step of yolov4 at 608 px in bf16 on a GPU: images/s, share of the loss, memory.

Run: ``pytest tests/bench/bench_gpu.py --benchmark-json FILE``; inference is `evolve speed`'s.
Random pictures and boxes, mini-batches of 8 as in the paper and of 32.
"""

import pytest
import torch

from model.build import build_detector
from model.config import LossConfig
from model.losses import YoloLoss
from model.training import parameter_groups

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]

SIZE, BOXES, CLASSES = 608, 8, 80


def seconds(work, repeats):
    """Mean seconds of `work` on the device, after three runs to warm up."""
    for _ in range(3):
        work()
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(repeats):
        work()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 1000 / repeats


@pytest.mark.parametrize("batch", [8, 32])
def test_train_step_of_yolov4(benchmark, batch):
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True
    network = build_detector("yolov4", CLASSES).cuda().to(memory_format=torch.channels_last)
    groups = parameter_groups(network.train(), 5e-4)
    optimizer = torch.optim.SGD(groups, lr=1e-5, momentum=0.9, fused=True)
    anchors = torch.tensor(network.geometry.anchors_wh_px, device="cuda") / SIZE
    loss = YoloLoss(LossConfig(), network.geometry, anchors, CLASSES)
    images = torch.rand(batch, 3, SIZE, SIZE, device="cuda")
    images = images.to(memory_format=torch.channels_last)
    targets = torch.rand(batch * BOXES, 6, device="cuda") * 0.3 + 0.2
    targets[:, 0] = torch.arange(batch, device="cuda").repeat_interleave(BOXES)
    targets[:, 1] = torch.arange(batch * BOXES, device="cuda") % CLASSES

    def forward():
        with torch.autocast("cuda", torch.bfloat16):
            return network(images)

    def step():
        loss(forward(), targets, batch, longest=BOXES).total.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    maps = [m.detach().requires_grad_() for m in forward()]
    whole = seconds(step, 20)
    lossy = seconds(lambda: loss(maps, targets, batch, longest=BOXES).total.backward(), 20)
    benchmark.extra_info.update(
        device=torch.cuda.get_device_name(),
        images_per_s=round(batch / whole, 1),
        loss_share=round(lossy / whole, 3),
        peak_mib=torch.cuda.max_memory_allocated() >> 20,
    )
    benchmark.pedantic(step, rounds=5)
