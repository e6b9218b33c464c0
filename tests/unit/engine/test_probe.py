"""Probes of tiny trainings, in the processes that runs start."""

import dataclasses
import itertools
import json
import subprocess
import sys

import pytest
import torch

from evolve.engine import probe as probes
from evolve.engine.probe import Probe, is_out_of_memory, measure
from evolve.engine.trainers import train_network
from evolve.errors import EvolveError, TrialError
from evolve.testing.devices import GIB, MadeUpDevices, gpu
from model.config import TrainConfig
from model.data.batch_plan import largest_size
from tests.thorough import thorough
from tests.tiny_data import write_tiny_coco

CLASSIFY = {"task": "classify", "model": "csdarknet53-nano"}


def config(**values):
    plain = {"image_size": 64, "batch_size": 4, "epochs": 3, "precision": "fp32"}
    return TrainConfig().with_values(plain | values)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    counts = {"train": 12, "val": 5}
    return write_tiny_coco(tmp_path_factory.mktemp("tiny") / "set", counts)


@pytest.fixture(scope="module")
def found(data):
    return measure(config(), data, 0, "detector", 1)


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="the GPU has its own test")
def test_a_probe_of_a_detector(found):
    assert (found.device, found.device_bytes) == ("cpu", 0)
    assert 200 << 20 < found.host_bytes < 3 << 30  # torch alone takes 200 MiB
    assert (found.steps, found.eval_images, found.epochs) == (3, 5, 3)
    assert (found.mini_batch, found.size_px, found.threads) == (4, 64, 1)
    assert 0 < found.step_s < 30
    assert 0 < found.eval_image_s < 30
    assert found.epoch_s == pytest.approx(3 * found.step_s + 5 * found.eval_image_s)
    assert found.training_s == pytest.approx(found.start_s + 3 * found.epoch_s)


@pytest.mark.slow
def test_bytes_on_disk_are_those_of_a_trial(found, data, tmp_path):
    (report,) = itertools.islice(train_network(config(), data, data_seed=0, resume=None), 1)
    report.save(tmp_path / "last.pt")
    report.save_weights(tmp_path / "best.pt")
    assert found.checkpoint_bytes == pytest.approx((tmp_path / "last.pt").stat().st_size, rel=0.01)
    assert found.weights_bytes == pytest.approx((tmp_path / "best.pt").stat().st_size, rel=0.01)
    assert found.weights_bytes * 2 < found.checkpoint_bytes
    assert found.detections_bytes > 100


@pytest.mark.slow
@thorough
def test_a_probe_of_a_classifier_takes_more_memory_for_larger_pictures(data):
    small = measure(config(**CLASSIFY), data, 0, "detector", 1)
    large = measure(config(**CLASSIFY, image_size=256, batch_size=8), data, 0, "detector", 1)
    assert small.eval_images == large.eval_images > 5  # boxes, not pictures
    assert small.mini_batch == 4
    assert large.host_bytes > small.host_bytes + (30 << 20)


@pytest.mark.slow
@thorough
def test_random_shapes_are_probed_at_the_largest(data, found):
    varied = config(**{"shapes.range": 1.4, "batch_size": 8, "subdivisions": 2})
    probe = measure(varied, data, 0, "detector", 1)
    assert probe.size_px == largest_size(varied, 64) == 128
    assert probe.mini_batch == 4
    assert probe.host_bytes > found.host_bytes


@pytest.mark.slow
def test_bad_data_is_told_in_its_own_words(tmp_path):
    with pytest.raises(EvolveError) as caught:
        measure(config(), tmp_path / "nowhere", 0, "detector", 1)
    assert "nowhere" in str(caught.value)
    assert not isinstance(caught.value, TrialError)  # it is the user's to mend


@pytest.mark.slow
def test_a_picture_that_cannot_be_read(tmp_path):
    data = write_tiny_coco(tmp_path / "set")
    for picture in (data / "images").glob("train_*.png"):
        picture.write_bytes(picture.read_bytes()[:200])
    with pytest.raises(EvolveError, match="the image file is cut short"):
        measure(config(), data, 0, "detector", 1)


@pytest.mark.slow
def test_batches_that_cannot_be_cut(data):
    with pytest.raises(EvolveError, match="cannot be cut into 3 equal mini-batches"):
        measure(config(subdivisions=3), data, 0, "detector", 1)


@pytest.mark.slow
def test_a_trial_that_no_memory_holds(data):
    with pytest.raises(EvolveError, match="one trial does not fit into memory") as caught:
        measure(config(image_size=3_200_000), data, 0, "detector", 1)
    assert "set subdivisions=2 (mini-batches of 4 now)" in caught.value.mend
    assert "lower image_size (3200000 now)" in caught.value.mend


@pytest.mark.slow
def test_a_probe_does_not_last_forever(data):
    with pytest.raises(TrialError, match=r"took longer than 0\.2 s") as caught:
        measure(config(), data, 0, "detector", 1, time_limit_s=0.2)
    assert "--no-probe if the machine is busy" in caught.value.mend


def test_a_curve_needs_no_probe(tmp_path, monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("a process was started"))
    probe = measure(config(), tmp_path / "curve-0.5", 0, "curve", 2)
    assert (probe.epoch_s, probe.training_s, probe.device_bytes) == (0.5, 1.5, 0)
    assert probe.checkpoint_bytes + probe.weights_bytes < 4096


def test_a_probe_survives_a_manifest(tmp_path):
    probe = measure(config(), tmp_path / "curve-0.25", 0, "curve", 1)
    assert Probe.from_dict(json.loads(json.dumps(probe.to_dict()))) == probe
    with pytest.raises(TypeError):
        Probe.from_dict({"device": "cpu"})


def ended(code, out="", err=""):
    return subprocess.CompletedProcess([], code, out, err)


def test_a_killed_process_is_taken_as_one_without_memory():
    with pytest.raises(EvolveError, match="its process was killed") as caught:
        probes._understood(ended(-9), config(subdivisions=4))
    assert caught.value.mend == "lower image_size (64 now)"


@pytest.mark.parametrize("out", ["", "hello\n", "[1]\n"])
def test_a_process_that_breaks_down(out):
    with pytest.raises(TrialError, match="ended with code 1 and said: ImportError: no cv2"):
        probes._understood(ended(1, out, "Traceback\nImportError: no cv2\n"), config())


def test_a_failure_that_is_not_the_users():
    failure = probes._describe(ValueError("shape mismatch\nmore"))
    with pytest.raises(TrialError, match="ValueError: shape mismatch") as caught:
        probes._understood(ended(0, json.dumps({"failure": failure})), config())
    assert caught.value.where == "the probe of a trial"


def test_memory_that_ran_out_is_known_by_its_words():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**55)
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(ValueError("shape mismatch"))
    assert not is_out_of_memory(EvolveError("the disk is out of memory cards"))


def test_memory_of_children_is_counted():
    code = "b = bytearray(64 << 20); b[::4096] = bytes(len(b[::4096])); print(flush=True); input()"
    before = sum(probes._own_bytes_of_children())
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], **pipes) as child:
        child.stdout.readline()
        assert sum(probes._own_bytes_of_children()) - before > 60 << 20
        child.communicate(b"\n")


@pytest.mark.parametrize(
    ("free_gib", "beside_gib"),
    [(14, 1.0), (15.9, 0.25), (2, 2.0)],  # others came or went in the last two
)
def test_memory_of_a_gpu_is_that_of_torch_and_of_cuda(monkeypatch, free_gib, beside_gib):
    for name, gib in {"memory_reserved": 1, "max_memory_reserved": 4}.items():
        monkeypatch.setattr(torch.cuda, name, lambda gib=gib: gib * GIB)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (free_gib * GIB, 24 * GIB))
    assert probes._device_bytes(gpu(16, 24)) == (4 + beside_gib) * GIB


def test_the_gpu_with_most_free_memory_is_taken(monkeypatch):
    taken = []
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    gpus = (gpu(3, 24, "a"), gpu(9, 10, "b"), gpu(8, 80, "c"))
    monkeypatch.setattr(probes, "ThisMachine", lambda: MadeUpDevices(of_gpus=gpus))
    assert probes._take_gpu().name == "b"
    assert taken == [1]
    monkeypatch.setattr(probes, "ThisMachine", MadeUpDevices)
    assert probes._take_gpu() is None


def test_pictures_that_a_probe_did_not_see_count(data):
    from model.data.coco import load_dataset

    dataset = load_dataset(data)
    pictures = probes._Pictures(dataset, 1024, None, shared=False)
    assert pictures.to_come_bytes() == 17 * 3 * 64 * 64
    pictures.cache.get(dataset.splits["train"][0])
    assert pictures.to_come_bytes() == 16 * 3 * 64 * 64
    assert probes._Pictures(dataset, 0, None, shared=False).to_come_bytes() == 0


def test_val_is_looked_at_here_and_there():
    assert probes._spread(range(5)) == (0, 1, 2, 3, 4)
    few = probes._spread(range(640))
    assert len(few) == 64
    assert few[:3] == (0, 10, 20)


def test_saved_bytes_are_counted_without_a_file(tmp_path):
    state = {"weights": torch.zeros(1000), "epoch": 3}
    torch.save(state, tmp_path / "x.pt")
    assert probes._saved_bytes(state) == pytest.approx(
        (tmp_path / "x.pt").stat().st_size, rel=0.05
    )


def test_every_field_is_told():
    words = Probe.__doc__
    assert all(field.name in words for field in dataclasses.fields(Probe))
