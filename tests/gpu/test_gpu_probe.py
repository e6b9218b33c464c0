"""The probe of a trial on a GPU, and its twin on the CPU."""

import pytest
import torch

from evolve.engine.devices import ThisMachine
from evolve.engine.placement import Asked, place
from evolve.engine.probe import measure
from model.config import TrainConfig
from tests.gpu.devices import DEVICES
from tests.tiny_data import write_tiny_coco


@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
def test_what_a_trial_takes(device, tmp_path, monkeypatch):
    if device == "cpu":
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    data = write_tiny_coco(tmp_path / "set", {"train": 16, "val": 4})
    tiny = {"image_size": 64, "batch_size": 8, "subdivisions": 2, "epochs": 2}
    found = measure(TrainConfig().with_values(tiny), data, 0, "detector", 1)
    assert (found.mini_batch, found.steps, found.eval_images) == (4, 4, 4)
    assert found.host_bytes > 200 << 20
    assert 0 < found.epoch_s < 120
    if device == "cpu":
        assert (found.device, found.device_bytes) == ("cpu", 0)
        return
    (gpu, *_) = ThisMachine().gpus()
    assert found.device == torch.cuda.get_device_name()
    assert 256 << 20 < found.device_bytes < gpu.memory.total_bytes
    placement = place(found, ThisMachine(), Asked())
    assert placement.gpus >= 1
    assert placement.trials_per_gpu * found.device_bytes <= gpu.memory.free_bytes
