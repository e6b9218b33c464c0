import os
import pickle
import zipfile

import pytest
import torch

from model.checkpoint import FORMAT, load_checkpoint, save_checkpoint
from model.errors import CheckpointError
from model.files import write_atomically

STATE = {"weights": {"a": torch.arange(3.0)}, "epoch": 4, "names": ["x"], "nothing": None}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "last.pt"


def test_round_trip(path):
    save_checkpoint(path, STATE)
    back = load_checkpoint(path)
    assert torch.equal(back.pop("weights")["a"], STATE["weights"]["a"])
    assert back == {"format": FORMAT, "epoch": 4, "names": ["x"], "nothing": None}
    assert list(path.parent.iterdir()) == [path]


def test_missing(path):
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        load_checkpoint(path)


@pytest.mark.parametrize("keep", [0, 1, 100, 0.5, 0.99])
def test_torn(path, keep):
    save_checkpoint(path, STATE)
    whole = path.read_bytes()
    path.write_bytes(whole[: keep if isinstance(keep, int) else int(len(whole) * keep)])
    with pytest.raises(CheckpointError, match="not a readable checkpoint"):
        load_checkpoint(path)


@pytest.mark.parametrize("content", [b"hello", b"{}", b"\x89PNG\r\n", b"PK\x03\x04" + bytes(40)])
def test_not_a_checkpoint(path, content):
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"last\.pt"):
        load_checkpoint(path)


def test_another_programs_file(path):
    torch.save({"state_dict": {}}, path)
    with pytest.raises(CheckpointError, match="not written by evolve"):
        load_checkpoint(path)


def test_newer_format(path):
    torch.save({"format": FORMAT + 1}, path)
    with pytest.raises(CheckpointError, match="newer version"):
        load_checkpoint(path)


class Trap:
    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return (__import__("os").mkdir, (str(self.folder / "sprung"),))


@pytest.mark.parametrize("write", [torch.save, lambda o, f: f.write_bytes(pickle.dumps(o))])
def test_code_in_a_file_is_refused_and_not_run(path, write):
    write({"format": FORMAT, "trap": Trap(path.parent)}, path)
    with pytest.raises(CheckpointError, match="not a readable checkpoint"):
        load_checkpoint(path)
    assert not (path.parent / "sprung").exists()


def repack(path, **packing):
    """Write an archive anew, with its parts packed."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", **packing) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def test_a_packed_archive_is_refused_before_it_is_unpacked(path, monkeypatch):
    save_checkpoint(path, {"weights": torch.zeros(1 << 20)})
    repack(path)
    assert load_checkpoint(path)["weights"].shape == (1 << 20,)
    repack(path, compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 10_000
    monkeypatch.setattr(torch, "load", None)
    with pytest.raises(CheckpointError, match=r"\(it would unpack to more than its size\)"):
        load_checkpoint(path)


@pytest.mark.parametrize("wrap", [lambda t: {"a": t}, lambda t: [(t,)], lambda t: t])
def test_a_tensor_that_repeats_its_numbers_is_refused(path, wrap):
    save_checkpoint(path, {"weights": wrap(torch.zeros(1).expand(1 << 40))})
    with pytest.raises(CheckpointError, match="a tensor would unpack to more than it stores"):
        load_checkpoint(path)


def test_parts_of_tensors_and_shared_lists_pass(path):
    nested = [torch.arange(6.0)[1:3]]
    for _ in range(60):
        nested = [nested, nested]
    save_checkpoint(path, {"nested": nested})
    assert load_checkpoint(path)["format"] == FORMAT


def test_failed_writing_leaves_the_older_file(path):
    save_checkpoint(path, STATE)
    with pytest.raises((AttributeError, TypeError, pickle.PicklingError)):
        save_checkpoint(path, {"bad": lambda: None})
    assert load_checkpoint(path)["epoch"] == 4
    assert list(path.parent.iterdir()) == [path]


def test_darknets_weights_are_told_apart(tmp_path):
    path = tmp_path / "yolov4.weights"
    path.write_bytes(bytes(400))
    with pytest.raises(CheckpointError, match="evolve import-weights"):
        load_checkpoint(path)


def test_nobody_is_told_to_trust_a_file(path):
    path.write_bytes(b"hello")
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    assert "weights_only" not in str(caught.value)


def test_a_device_or_pipe_is_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(FileExistsError, match="no file"):
        write_atomically(pipe, lambda file: file.write(b"x"))
    assert [item.name for item in tmp_path.iterdir()] == ["pipe"]
    assert pipe.is_fifo()
