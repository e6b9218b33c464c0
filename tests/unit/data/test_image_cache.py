import struct

import cv2
import numpy as np
import pytest

from model.data.cache import ImageCache, load_image
from model.data.coco import ImageRecord
from model.data.headers import header_size_wh, read_sizes_wh
from model.data.limits import MAX_PIXELS
from model.errors import DataError


def record(path, width, height):
    empty = np.zeros(0, np.float32)
    return ImageRecord(
        1, path.name, path, width, height, empty.reshape(0, 4), empty.astype(int), empty > 0, empty
    )


def save(path, pixels, *flags):
    """Encode an RGB (or grey, or 16-bit) array by the name's suffix."""
    if pixels.ndim == 3 and pixels.shape[2] == 3:
        pixels = pixels[..., ::-1]
    path.write_bytes(cv2.imencode(path.suffix, pixels, flags)[1].tobytes())
    return record(path, pixels.shape[1], pixels.shape[0])


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tiff", ".webp"])
def test_pixels_come_back_in_rgb(tmp_path, pixels, suffix):
    found = load_image(save(tmp_path / f"a{suffix}", pixels))
    if suffix == ".webp":
        assert found.shape == pixels.shape  # lossy
    else:
        np.testing.assert_array_equal(found, pixels)
    assert found.flags.c_contiguous


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tiff", ".webp", ".gif"])
def test_header_tells_the_size(pixels, suffix):
    data = cv2.imencode(suffix, pixels)[1].tobytes()
    assert header_size_wh(data) == (9, 6)


def test_lossless_and_extended_webp_headers(pixels):
    data = cv2.imencode(".webp", pixels, [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes()
    assert data[12:16] == b"VP8L"
    assert header_size_wh(data) == (9, 6)
    extended = b"RIFF\0\0\0\0WEBPVP8X" + struct.pack("<I", 10) + b"\0" * 4 + b"\x08\0\0\x05\0\0"
    assert header_size_wh(extended) == (9, 6)


def test_grey_alpha_and_16_bit_become_rgb(tmp_path, pixels):
    grey = load_image(save(tmp_path / "grey.png", pixels[..., 0]))
    np.testing.assert_array_equal(grey, np.repeat(pixels[..., :1], 3, axis=2))
    bgra = np.dstack([pixels[..., ::-1], np.full(pixels.shape[:2], 7, np.uint8)])
    np.testing.assert_array_equal(load_image(save(tmp_path / "alpha.png", bgra)), pixels)
    deep = save(tmp_path / "deep.png", pixels.astype(np.uint16) * 257)
    np.testing.assert_array_equal(load_image(deep), pixels)


def test_palette_becomes_rgb(tmp_path):
    image = pytest.importorskip("PIL.Image")
    picture = image.fromarray(np.array([[0, 1], [1, 0]], np.uint8), mode=None).convert("P")
    picture.putpalette([255, 0, 0, 0, 0, 255])
    path = tmp_path / "p.png"
    picture.save(path)
    found = load_image(record(path, 2, 2))
    assert found.tolist() == [[[255, 0, 0], [0, 0, 255]], [[0, 0, 255], [255, 0, 0]]]


def with_orientation(jpeg: bytes, value: int) -> bytes:
    """Put an EXIF segment with only the orientation behind the start mark."""
    tiff = b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHIHH", 0x0112, 3, 1, value, 0) + b"\0" * 4
    body = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def test_exif_orientation_is_followed_unless_the_annotation_is_of_the_stored_picture(tmp_path):
    wide = np.zeros((8, 16, 3), np.uint8)
    wide[:, :8] = 255
    path = tmp_path / "a.jpg"
    jpeg = cv2.imencode(".jpg", wide)[1].tobytes()
    path.write_bytes(with_orientation(jpeg, 6))  # to be turned clockwise
    upright = load_image(record(path, 8, 16))
    assert upright.shape == (16, 8, 3)
    assert upright[0].min() > 200
    assert upright[-1].max() < 50
    stored = load_image(record(path, 16, 8))
    assert stored[:, 0].min() > 200
    path.write_bytes(with_orientation(jpeg, 3))  # upside down: the size tells nothing
    assert load_image(record(path, 16, 8))[:, 0].max() < 50


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_orientations_of_all_formats_are_those_of_pillow(tmp_path, suffix, orientation):
    image, ops = pytest.importorskip("PIL.Image"), pytest.importorskip("PIL.ImageOps")
    parts = np.random.default_rng(0).integers(0, 256, (2, 3, 3), np.uint8)
    pixels = np.kron(parts, np.ones((8, 8, 1), np.uint8))
    exif = image.Exif()
    exif[274] = orientation
    path = tmp_path / f"a{suffix}"
    exact = {".webp": {"lossless": True}, ".jpg": {"quality": 100, "subsampling": 0}}
    image.fromarray(pixels).save(path, exif=exif, **exact.get(suffix, {}))
    upright = np.asarray(ops.exif_transpose(image.open(path)).convert("RGB")).astype(int)
    stored_wh, upright_wh = read_sizes_wh(path)
    assert stored_wh == (24, 16)
    assert upright_wh == upright.shape[1::-1]
    assert np.abs(load_image(record(path, *upright_wh)).astype(int) - upright).max() <= 1
    if orientation > 4:
        found = load_image(record(path, *stored_wh)).astype(int)
        assert np.abs(found - pixels.astype(int)).max() <= 1


def test_cmyk_becomes_rgb(tmp_path):
    image = pytest.importorskip("PIL.Image")
    path = tmp_path / "a.jpg"
    image.new("RGB", (16, 16), (20, 180, 90)).convert("CMYK").save(path, quality=95)
    found = load_image(record(path, 16, 16))
    assert np.abs(found.astype(int) - (20, 180, 90)).max() <= 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"hello", r"not an image of a known format"),
        (b"", r"not an image of a known format"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40 + b"IEND", r"cannot be decoded"),
    ],
)
def test_undecodable(tmp_path, content, message):
    path = tmp_path / "bad.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message + r"(.|\n)*bad\.png"):
        load_image(record(path, 4, 4))


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_file_cut_short(tmp_path, suffix):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    made = save(tmp_path / f"a{suffix}", pixels)
    made.path.write_bytes(made.path.read_bytes()[:-700])
    with pytest.raises(DataError, match=r"cut short"):
        load_image(made)


def test_bomb_is_refused_by_its_header(tmp_path, pixels):
    made = save(tmp_path / "bomb.png", pixels)
    data = bytearray(made.path.read_bytes())
    data[16:24] = struct.pack(">II", 50_000, 50_000)
    made.path.write_bytes(bytes(data))
    with pytest.raises(DataError, match=rf"50000 x 50000 pixels, more than {MAX_PIXELS}"):
        load_image(made)


def test_wrong_size_and_missing_file(tmp_path, pixels):
    made = save(tmp_path / "a.png", pixels)
    with pytest.raises(DataError, match=r"is 9 x 6 pixels, its annotation says 9 x 7"):
        load_image(record(made.path, 9, 7))
    made.path.unlink()
    with pytest.raises(DataError, match=r"cannot read the image"):
        load_image(made)


def test_cache_decodes_once_and_stops_at_its_bound(tmp_path, pixels):
    one, two = save(tmp_path / "1.png", pixels), save(tmp_path / "2.png", pixels)
    cache = ImageCache(limit_bytes=pixels.nbytes + 1)
    first = cache.get(one)
    assert cache.get(one) is first
    assert not first.flags.writeable
    assert cache.get(two) is not cache.get(two)
    assert cache.get(one) is first
    assert cache.held_bytes == pixels.nbytes


def test_cache_shrinks_in_proportion(tmp_path):
    made = save(tmp_path / "a.png", np.full((30, 60, 3), 9, np.uint8))
    assert ImageCache(10**6, max_side=20).get(made).shape == (10, 20, 3)
    assert ImageCache(10**6, max_side=60).get(made).shape == (30, 60, 3)
