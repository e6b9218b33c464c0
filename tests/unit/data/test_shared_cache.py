import gc
import pickle
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from model.data._shared import SharedPages
from model.data.cache import ImageCache
from model.data.coco import ImageRecord
from model.data.shared_cache import SharedCache
from model.errors import DataError


def record(path, width, height):
    empty = np.zeros(0, np.float32)
    return ImageRecord(
        1, path.name, path, width, height, empty.reshape(0, 4), empty.astype(int), empty > 0, empty
    )


@pytest.fixture
def records(tmp_path):
    """Pictures of 60 x 30, 8 x 40 and 5 x 6 px."""
    rng = np.random.default_rng(0)
    made = []
    for width, height in ((60, 30), (8, 40), (5, 6)):
        path = tmp_path / f"{width}.png"
        pixels = rng.integers(0, 256, (height, width, 3), np.uint8)
        path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
        made.append(record(path, width, height))
    return made


@pytest.mark.parametrize("max_side", [None, 60, 20, 3])
@pytest.mark.parametrize("limit", [0, 5490, 10**6])
def test_pixels_are_those_of_the_image_cache(records, limit, max_side):
    plain, shared = ImageCache(limit, max_side), SharedCache(records, limit, max_side)
    for _ in range(2):
        for one in records:
            found = shared.get(one)
            np.testing.assert_array_equal(found, plain.get(one))
            assert found.dtype == np.uint8
            assert found.flags.c_contiguous
            assert not found.flags.writeable
            assert shared.held_bytes == plain.held_bytes


def test_nothing_is_held_before_it_is_asked_for(records):
    cache = SharedCache(records, 10**6)
    assert cache.held_bytes == 0
    cache.get(records[2])
    assert cache.held_bytes == 90


def test_what_is_held_is_not_decoded_again(records):
    cache = SharedCache(records, 10**6)
    first = cache.get(records[0]).copy()
    records[0].path.unlink()
    np.testing.assert_array_equal(cache.get(records[0]), first)


def test_bound_is_kept_in_the_order_of_the_records(records):
    cache = SharedCache(records, 5490)  # 60 x 30 and 5 x 6 fit, 8 x 40 between them does not
    for one in reversed(records):
        cache.get(one)
    assert cache.held_bytes == 5400 + 90
    for one in records:
        one.path.unlink()
    assert cache.get(records[0]).shape == (30, 60, 3)
    assert cache.get(records[2]).shape == (6, 5, 3)
    with pytest.raises(DataError, match=r"cannot read the image"):
        cache.get(records[1])


def test_a_stranger_is_decoded_and_not_kept(records):
    cache = SharedCache(records[:1], 10**6)
    np.testing.assert_array_equal(cache.get(records[1]), ImageCache(0).get(records[1]))
    assert cache.held_bytes == 0


def test_one_picture_listed_twice_is_held_once(records):
    cache = SharedCache([records[2], records[2], records[1]], 90 + 960)
    for one in records:
        cache.get(one)
    assert cache.held_bytes == 90 + 960


def test_picture_cannot_be_made_writable(records):
    found = SharedCache(records, 10**6).get(records[0])
    with pytest.raises(ValueError, match=r"WRITEABLE"):
        found.setflags(write=True)


def test_errors_are_those_of_the_image_cache(records):
    cache = SharedCache(records, 10**6)
    records[0].path.write_bytes(b"hello")
    with pytest.raises(DataError, match=r"not an image of a known format(.|\n)*60\.png"):
        cache.get(records[0])
    with pytest.raises(DataError, match=r"is 8 x 40 pixels, its annotation says 7 x 40"):
        cache.get(record(records[1].path, 7, 40))
    assert cache.held_bytes == 0


def test_copies_share_what_either_decodes(records):
    cache = SharedCache(records, 10**6)
    copy = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(cache))))
    wanted = copy.get(records[0])
    assert cache.held_bytes == 5400
    records[0].path.unlink()
    np.testing.assert_array_equal(cache.get(records[0]), wanted)


def test_picture_outlives_its_cache(records):
    found = SharedCache(records, 10**6).get(records[0])
    gc.collect()
    np.testing.assert_array_equal(found, ImageCache(0).get(records[0]))


def test_descriptor_is_given_back(records):
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        SharedCache(records, 10**6).get(records[0])
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_pages_of_an_owner_that_let_go():
    pages = SharedPages(10)
    letter = pickle.dumps(pages)
    pages.close()
    with pytest.raises(DataError, match=r"shared memory cannot be opened: No such file"):
        pickle.loads(letter)


def test_pages_whose_descriptor_is_another_file_by_now():
    pages = SharedPages(10)
    letter, number = pickle.dumps(pages), pages.descriptor
    pages.close()
    other = SharedPages(10)
    assert other.descriptor == number
    with pytest.raises(DataError, match=r"shared memory is gone"):
        pickle.loads(letter)


@pytest.mark.slow
def test_another_process_fills_the_cache_and_leaves_nothing(records, tmp_path):
    cache = SharedCache(records, 10**6)
    letter = tmp_path / "letter"
    letter.write_bytes(pickle.dumps((cache, records)))
    code = (
        "import pickle, os, signal, sys\n"
        "cache, records = pickle.load(open(sys.argv[1], 'rb'))\n"
        "for record in records: cache.get(record)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    shared = sorted(Path("/dev/shm").iterdir())
    done = subprocess.run([sys.executable, "-c", code, letter], check=False)
    assert done.returncode == -9
    assert cache.held_bytes == 5400 + 960 + 90
    wanted = [ImageCache(0).get(one) for one in records]
    for one in records:
        one.path.unlink()
    for one, pixels in zip(records, wanted, strict=True):
        np.testing.assert_array_equal(cache.get(one), pixels)
    assert sorted(Path("/dev/shm").iterdir()) == shared
