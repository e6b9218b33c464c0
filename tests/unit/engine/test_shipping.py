"""Data sets in archives, honest and hostile."""

import hashlib
import io
import multiprocessing
import tarfile

import pytest

from evolve.engine import shipping
from evolve.engine.shipping import cheap_digest, files_of, pack, unpack_once
from evolve.errors import EvolveError
from tests.tiny_data import write_tiny_coco


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EVOLVE_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def contents(root):
    files = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def test_a_data_set_arrives_as_it_was(tmp_path, cache):
    root = write_tiny_coco(tmp_path / "tiny")
    digest, pieces, name = pack(root, bytes, piece_bytes=1000)
    assert len(pieces) > 3
    found = unpack_once(digest, pieces)
    assert name == "."
    assert contents(found) == contents(root)
    assert cheap_digest(found / name) == cheap_digest(root)
    assert [path.name for path in found.parent.iterdir() if "unpacking" in path.name] == []


def test_the_same_files_give_the_same_digest(tmp_path):
    one, two = (write_tiny_coco(tmp_path / name) for name in "ab")
    assert pack(one, bytes)[0] == pack(two, bytes)[0]
    assert cheap_digest(one) == cheap_digest(two)
    (two / "images" / "more.txt").touch()
    assert pack(one, bytes)[0] != pack(two, bytes)[0]
    assert cheap_digest(one) != cheap_digest(two)


def test_an_annotations_file_brings_its_pictures(tmp_path, cache):
    root = write_tiny_coco(tmp_path / "tiny")
    digest, pieces, name = pack(root / "annotations" / "train.json", bytes)
    found = unpack_once(digest, pieces)
    assert name == "annotations/train.json"
    assert (found / name).is_file()
    assert (found / "images").is_dir()
    assert not (found / "annotations" / "val.json").exists()


def test_links_to_folders_are_followed_once(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.png").write_bytes(b"a")
    (tmp_path / "data" / "images").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "round").symlink_to(tmp_path / "data")
    _, files = files_of(tmp_path / "data")
    assert [path.name for path in files] == ["a.png"]


def test_it_is_unpacked_once(tmp_path, cache):
    digest, pieces, _ = pack(write_tiny_coco(tmp_path / "tiny"), bytes)
    found = unpack_once(digest, pieces)

    def never():
        raise AssertionError("it was there")
        yield b""

    assert unpack_once(digest, never()) == found


def _unpack(digest, pieces):
    unpack_once(digest, pieces)


def test_several_processes_may_want_it_at_once(tmp_path, cache):
    root = write_tiny_coco(tmp_path / "tiny")
    digest, pieces, _ = pack(root, bytes)
    context = multiprocessing.get_context("fork")
    all_of_them = [context.Process(target=_unpack, args=(digest, pieces)) for _ in range(3)]
    for one in all_of_them:
        one.start()
    for one in all_of_them:
        one.join()
    assert [one.exitcode for one in all_of_them] == [0, 0, 0]
    assert contents(shipping.shipped_folder(digest)) == contents(root)


def archive_of(name, kind=tarfile.REGTYPE, link=""):
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.size = kind, link, 4 if kind == tarfile.REGTYPE else 0
        tar.addfile(info, io.BytesIO(b"evil"))
    return held.getvalue()


@pytest.mark.parametrize(
    "entry",
    [
        ("../outside",),
        ("images/../../outside",),
        ("/tmp/evolve-outside",),
        ("images", tarfile.SYMTYPE, "/tmp"),
        ("hard", tarfile.LNKTYPE, "/etc/passwd"),
        ("pipe", tarfile.FIFOTYPE),
        ("device", tarfile.CHRTYPE),
    ],
)
def test_hostile_entries_are_refused_and_leave_nothing(tmp_path, cache, entry):
    hostile = archive_of(*entry)
    with pytest.raises(EvolveError, match="an entry that is not taken"):
        unpack_once(hashlib.sha256(hostile).hexdigest(), [hostile])
    assert [
        path for path in tmp_path.rglob("*") if path.is_file() and ".lock" not in path.name
    ] == []


def test_what_was_changed_on_its_way_is_refused(tmp_path, cache):
    digest, pieces, _ = pack(write_tiny_coco(tmp_path / "tiny"), bytes, piece_bytes=1000)
    torn, bent = pieces[:2], [*pieces[:-1], pieces[-1][:-1] + b"x"]
    for changed in (torn, bent):
        with pytest.raises(EvolveError, match=r"unpacked|changed"):
            unpack_once(digest, changed)
    assert not shipping.shipped_folder(digest).exists()
