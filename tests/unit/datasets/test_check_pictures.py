"""Pictures that are uncommon, broken or alike."""

import io

import cv2
import numpy as np
import pytest

from evolve.datasets.alike import alike_groups
from evolve.datasets.picture_checks import alike_findings, picture_findings
from evolve.datasets.picture_traits import TRAITS, traits_of
from evolve.datasets.pictures import difference_hash, probe, probe_all
from evolve.datasets.raw import RawImage

Image = pytest.importorskip("PIL.Image")


def scene(seed: int = 0, size: int = 64) -> np.ndarray:
    """A picture with structure: coarse noise."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), np.uint8)
    return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)


def write(path, pixels, *flags):
    path.write_bytes(cv2.imencode(path.suffix, pixels, flags)[1].tobytes())
    return str(path), pixels.shape[1::-1]


def encoded(mode, kind, **options):
    file = io.BytesIO()
    Image.fromarray(scene()).convert(mode).save(file, kind, **options)
    return file.getvalue()


def frames(kind):
    file = io.BytesIO()
    first, second = (Image.fromarray(scene(seed)) for seed in (0, 1))
    first.save(file, kind, save_all=True, append_images=[second])
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "traits"),
    [
        (encoded("RGB", "PNG"), ()),
        (encoded("RGB", "JPEG"), ()),
        (encoded("RGB", "TIFF"), ()),
        (encoded("RGB", "WEBP"), ()),
        (encoded("RGB", "BMP"), ()),
        (encoded("L", "PNG"), ("grey",)),
        (encoded("L", "JPEG"), ("grey",)),
        (encoded("L", "TIFF"), ("grey",)),
        (encoded("1", "PNG"), ("grey",)),
        (encoded("LA", "PNG"), ("grey", "alpha")),
        (encoded("RGBA", "PNG"), ("alpha",)),
        (encoded("RGBA", "TIFF"), ("alpha",)),
        (encoded("RGBA", "WEBP"), ()),  # opaque: the encoder drops the channel
        (encoded("P", "PNG"), ("palette",)),
        (encoded("P", "PNG", transparency=0), ("palette", "alpha")),
        (encoded("P", "GIF"), ("palette",)),
        (encoded("CMYK", "JPEG"), ("cmyk",)),
        (encoded("CMYK", "TIFF"), ("cmyk",)),
        (encoded("I;16", "PNG"), ("16-bit", "grey")),
        (cv2.imencode(".png", scene().astype(np.uint16))[1].tobytes(), ("16-bit",)),
        (cv2.imencode(".tiff", scene().astype(np.uint16))[1].tobytes(), ("16-bit",)),
        (frames("PNG"), ("animated",)),
        (frames("TIFF"), ("animated",)),
        (frames("WEBP"), ("animated",)),
        (frames("GIF"), ("palette", "animated")),
        (b"\x89PNG\r\n\x1a\n", ()),
        (b"II*\0", ()),
        (b"hello", ()),
    ],
)
def test_traits_are_told_by_the_header(data, traits):
    assert traits_of(data) == traits
    assert set(traits) <= set(TRAITS)


def entry(split, name):
    return split, RawImage("images[0]", None, name, None, (64, 64), ())


def test_of_12_bits_in_16_nearly_nothing_is_seen(tmp_path):
    job = write(tmp_path / "a.png", scene().astype(np.uint16) * 16)
    found = picture_findings([entry("train", "a.png")], [probe(job)], "error")
    told = {finding.kind: finding.what for finding in found}
    assert list(told) == ["image-16-bit", "image-dark"]
    assert "values up to 15 of 255" in told["image-dark"]


@pytest.mark.parametrize(
    ("size_wh", "word"), [((24, 32), "turned upright"), ((32, 24), "left unturned")]
)
def test_it_is_told_how_a_turned_picture_is_read(tmp_path, size_wh, word):
    exif = Image.Exif()
    exif[274] = 6
    path = tmp_path / "a.jpg"
    Image.new("RGB", (32, 24)).save(path, exif=exif)
    found = list(
        picture_findings([entry("train", "a.jpg")], [probe((str(path), size_wh))], "error")
    )
    assert [(one.kind, word in one.what) for one in found] == [("image-turned", True)]


def test_a_difference_hash_by_hand():
    rising = np.tile(np.arange(0, 90, 10, np.uint8), (8, 1))
    across, down = difference_hash(cv2.resize(rising, (32, 32), interpolation=cv2.INTER_AREA))
    assert across == 2**64 - 1
    assert down == 0


def test_groups_hold_what_is_alike_and_nothing_else(tmp_path):
    first, other = scene(0), scene(1)
    flat = np.full((64, 64, 3), 90, np.uint8)
    pictures = {
        "a.png": first,
        "b.png": other,
        "a_jpeg.jpg": first,
        "a_small.png": cv2.resize(first, (32, 32), interpolation=cv2.INTER_AREA),
        "a_dark.png": (first * 0.7).astype(np.uint8),
        "mirrored.png": np.ascontiguousarray(first[:, ::-1]),
        "flat.png": flat,
        "flat_other.png": flat + 60,
        "flat_same.png": flat + 1,
        "b_copy.png": other,
    }
    probes = [probe(write(tmp_path / name, pixels)) for name, pixels in pictures.items()]
    names = list(pictures)
    groups = [[names[index] for index in group] for group in alike_groups(probes)]
    assert sorted(groups) == [
        ["a.png", "a_jpeg.jpg", "a_small.png", "a_dark.png"],
        ["b.png", "b_copy.png"],
        ["flat.png", "flat_same.png"],
    ]


def test_leaks_are_told_apart_from_copies_in_a_split(tmp_path):
    first, other = scene(0), scene(1)
    pictures = [first, first, cv2.GaussianBlur(first, (3, 3), 0), other, other]
    entries = [entry(split, f"{index}.png")
               for index, split in enumerate(("train", "val", "test", "val", "val"))]  # fmt: skip
    probes = [probe(write(tmp_path / one[1].file_name, pixels))
              for one, pixels in zip(entries, pictures, strict=True)]  # fmt: skip
    found = [(one.kind, one.split, one.file) for one in alike_findings(entries, probes)]
    assert found == [
        ("leak-same-image", "val", "1.png"),
        ("leak-alike-image", "test", "2.png"),
        ("same-image", "val", "4.png"),
    ]


def test_processes_give_what_this_one_would_in_the_order_of_the_jobs(tmp_path):
    jobs = [write(tmp_path / f"{seed}.png", scene(seed)) for seed in range(3)]
    jobs.append((str(tmp_path / "gone.png"), (4, 4)))
    done: list[int] = []
    found = probe_all(jobs, processes=1, tell=done.append)
    assert found == [probe(job) for job in jobs]
    assert found[3].fault.startswith("cannot read the image")
    assert done[-1] == 4
