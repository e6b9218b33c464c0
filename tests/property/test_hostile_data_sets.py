"""Spoilt bytes anywhere in a data set give findings or a DataError, and never anything else."""

import random
import shutil

import pytest

from evolve.datasets.clean import clean
from evolve.datasets.read import read_raw
from evolve.datasets.write import write_coco
from model.data.coco import load_dataset
from model.errors import DataError
from tests.tiny_data import write_tiny_coco
from tests.unit.datasets.other_formats import write_darknet, write_voc, write_yolo

PIECES = [b"../", b"/etc/passwd", b"\0", b"\xff", b"nan", b"1e999", b"-1", b"null", b"[]", b"{}",
          b'"', b"\n", b"<", b"&a;", b"&x ", b"*x", b"!!python/object:os.system ", b"true",
          b"9" * 400, b"=", b"images"]  # fmt: skip
WRITERS = {"yolo": write_yolo, "voc": write_voc, "darknet": write_darknet, "coco": shutil.copytree}


@pytest.fixture(scope="module")
def coco(tmp_path_factory):
    return write_tiny_coco(tmp_path_factory.mktemp("c") / "coco", {"train": 3, "val": 2}, 16)


def _spoil(root, rng):
    files = sorted(path for path in root.rglob("*") if path.is_file() and path.suffix != ".png")
    for file in rng.sample(files, min(2, len(files))):
        data = bytearray(file.read_bytes())
        at = rng.randrange(len(data) + 1)
        data[at : at + rng.choice([0, 1, 8])] = rng.choice([b"", *PIECES])
        file.write_bytes(bytes(data[:at] if rng.random() < 0.15 else data))


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("name", WRITERS)
def test_spoilt_bytes(name, seed, coco, tmp_path):
    root = tmp_path / "data"
    WRITERS[name](coco, root)
    _spoil(root, random.Random(f"{name}{seed}"))
    try:
        written = write_coco(clean(read_raw(root, name)), tmp_path / "out")
    except DataError:
        assert not (tmp_path / "out").exists()
        return
    read = load_dataset(tmp_path / "out")
    assert {split: len(part) for split, part in read.splits.items()} == written.images
    assert not any("clipped" in note or "left out" in note for note in read.notes)
