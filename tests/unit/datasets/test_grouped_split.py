"""No group is parted, classes are shared out, and the same seed gives the same split."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

import evolve.datasets.grouped_split as splitting
from evolve.datasets.clean import Cleaned
from evolve.datasets.grouped_split import (
    groups_by_looks,
    groups_by_name,
    images_of,
    split_in_groups,
)
from evolve.datasets.pictures import probe
from evolve.datasets.raw import RawBox, RawDataset, RawImage
from model.errors import DataError


def image(name, *categories, path=None):
    boxes = tuple(RawBox("", None, category, (1.0, 1.0, 5.0, 5.0)) for category in categories)
    return RawImage(name, None, name, path or Path(name), (64, 64), boxes)


def cleaned(*images, val=()):
    splits = {"train": images} | ({"val": tuple(val)} if val else {})
    return Cleaned(RawDataset(Path(), "coco", "", {1: "cat", 2: "dog"}, splits), ())


def videos(count=30, length=10):
    """Dogs are in every sixth video only."""
    return [
        image(f"video{video}_{frame}.png", *((1, 2) if video % 6 == 0 else (1,)))
        for video in range(count)
        for frame in range(length)
    ]


def owners(split):
    return {one.file_name: name for name, part in split.cleaned.raw.splits.items() for one in part}


def test_a_group_is_in_one_split_and_shares_are_met():
    images = videos()
    groups = groups_by_name(images, re.compile(r"^(video\d+)_"))
    split = split_in_groups(cleaned(*images), (0.6, 0.2, 0.2), groups, 0)
    found = owners(split)
    assert len(found) == 300
    for video in range(30):
        assert len({found[f"video{video}_{frame}.png"] for frame in range(10)}) == 1
    assert (split.groups, split.largest) == (30, 10)
    for name, wanted in {"train": 0.6, "val": 0.2, "test": 0.2}.items():
        assert split.shares[name]["images"] == pytest.approx(wanted)
        assert split.shares[name]["cat"] == pytest.approx(wanted)
        assert split.shares[name]["dog"] == pytest.approx(wanted)


def test_a_seed_gives_one_split_in_whatever_order_images_come():
    images = videos(12, 1)
    alone = list(range(12))
    first, again = (owners(split_in_groups(cleaned(*images), (0.5, 0.5, 0), alone, 3))
                    for _ in range(2))  # fmt: skip
    turned = owners(split_in_groups(cleaned(*images[::-1]), (0.5, 0.5, 0), alone, 3))
    other = owners(split_in_groups(cleaned(*images), (0.5, 0.5, 0), alone, 4))
    assert first == again == turned
    assert first != other
    assert set(first.values()) == {"train", "val"}


def test_what_groups_leave_empty_is_refused():
    with pytest.raises(DataError, match=r"1 groups leave 'val' empty"):
        split_in_groups(cleaned(*videos(1)), (0.7, 0.3, 0), [0] * 10, 0)


def test_names_that_do_not_match_are_alone():
    names = [image(name) for name in ("a1_x", "a1_y", "a2_x", "odd", "odder")]
    assert groups_by_name(names, re.compile(r"^a(\d)_")) == [0, 0, 1, 2, 3]
    assert groups_by_name(names, re.compile(r"^a\d")) == [0, 0, 1, 2, 3]


def test_a_file_in_two_splits_is_taken_once_and_that_is_told():
    data = cleaned(image("a"), image("b"), val=[image("a", 1)])
    assert [one.file_name for one in images_of(data.raw)] == ["a", "b"]
    split = split_in_groups(data, (0.5, 0.5, 0), [0, 1], 0)
    assert [(one.kind, one.outcome) for one in split.cleaned.findings] == [
        ("image-twice", "dropped"), ("split", "fixed")
    ]  # fmt: skip


def test_images_that_look_the_same_are_a_group(tmp_path, monkeypatch):
    monkeypatch.setattr(splitting, "probe_all", lambda jobs, **_: [probe(job) for job in jobs])
    coarse = np.random.default_rng(0).integers(0, 256, (3, 5, 5, 3), np.uint8)
    images = []
    for name, seed in (("a", 0), ("b", 1), ("a_again", 0), ("c", 2)):
        pixels = cv2.resize(coarse[seed], (64, 64), interpolation=cv2.INTER_CUBIC)
        path = tmp_path / f"{name}.png"
        cv2.imwrite(str(path), pixels)
        images.append(image(name, path=path))
    assert groups_by_looks(images) == [0, 1, 0, 3]
