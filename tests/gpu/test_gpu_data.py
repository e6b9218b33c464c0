"""Painting on a GPU; every test runs on the CPU, too."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch

from model.device_loader import DeviceLoader, choose_backend
from model.device_pictures import measured_sizes
from model.predict import as_input
from tests.gpu.devices import DEVICES
from tests.unit.model.picture_recipe import SIZES_WH, noise, paint, painter, recipe, smooth

EVERYTHING = {"mosaic": 0.4, "mixup": 0.2, "cutmix": 0.2, "rotate": 5.0}


@pytest.fixture
def pictures():
    return [smooth(*size_wh, seed) for seed, size_wh in enumerate([*SIZES_WH, (200, 150)])]


@contextmanager
def never_waited_for(device):
    """Make torch raise where the host would wait for a GPU."""
    if device == "cpu":
        yield
        return
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("task", ["detect", "classify"])
def test_every_device_paints_the_same(pictures, device, task):
    own = recipe(pictures, (96, 64), task=task, **EVERYTHING)
    on = painter(own, device)
    with never_waited_for(device):
        found = paint(own, on)
    assert found.device.type == device
    apart = (found.cpu().int() - paint(own, painter(own)).int()).abs()
    assert apart.float().mean() < 1e-3
    assert torch.equal(paint(own, on), found)


@pytest.mark.parametrize("device", DEVICES)
def test_every_device_paints_upright_pictures_as_opencv_does(device):
    pictures = [noise(*size_wh, seed) for seed, size_wh in enumerate(SIZES_WH)]
    own = recipe(pictures, (96, 64), mosaic=0.5, mixup=0.2, cutmix=0.2)
    found = paint(own, painter(own, device)).cpu().numpy()
    apart = np.abs(found.astype(int) - own.make(0, 0).images)
    assert apart.max() <= 1
    assert apart.mean() < 1e-4


@pytest.mark.parametrize("device", DEVICES)
def test_an_epoch_becomes_network_input(pictures, device):
    own = recipe(pictures, (64, 64), batch_size=2)
    sizes = measured_sizes(own)
    assert choose_backend(own.config, torch.device(device), sizes) == (
        "device" if device == "cuda" else "opencv"
    )
    loader = DeviceLoader(own, torch.device(device), sizes)
    count = 0
    with never_waited_for(device):
        for batch in loader.epoch(0):
            images = as_input(batch.images, torch.device(device))
            count += len(images)
    assert count == loader.positions == 6
    assert (images.device.type, images.dtype) == (device, torch.float32)
