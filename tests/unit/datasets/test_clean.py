"""Every fault of a made-up data set, and what becomes of it."""

import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from evolve.datasets.clean import Cleaned, clean
from evolve.datasets.findings import Finding
from evolve.datasets.raw import RawBox, RawDataset, RawImage


def box(*xywh, category=1, number=1, **values):
    area = values.pop("area_px", 50.0)
    return RawBox(f"annotations[{number}]", number, category, xywh, area_px=area, **values)


def dataset(tmp_path: Path, *images: RawImage, **values) -> RawDataset:
    kept = {"format": "coco", "reason": "", "categories": {1: "cat", 2: "dog"}}
    return RawDataset(tmp_path, **{**kept, "splits": {"train": images}, **values})


def image(tmp_path: Path, *boxes: RawBox, name="a.png", claimed=(40, 30)) -> RawImage:
    path = tmp_path / name
    if not path.exists():
        path.write_bytes(cv2.imencode(".png", np.zeros((30, 40, 3), np.uint8))[1].tobytes())
    return RawImage("images[0]", None, name, path, claimed, tuple(boxes))


def told(cleaned: Cleaned) -> list[tuple[str, str]]:
    return [(found.kind, found.outcome) for found in cleaned.findings]


def test_what_is_right_stays_as_it_is(tmp_path):
    raw = dataset(tmp_path, image(tmp_path, box(1.1, 2, 3.3, 4), box(0, 0, 40, 30, number=2)))
    cleaned = clean(raw)
    assert cleaned.raw == raw
    assert cleaned.findings == ()


@pytest.mark.parametrize(
    ("xywh", "kind", "left"),
    [
        ((math.nan, 1, 2, 2), "box-not-finite", None),
        ((1, 1, math.inf, 2), "box-not-finite", None),
        ((1, 1, 0, 2), "box-no-area", None),
        ((1, 1, 5, -2), "box-no-area", None),
        ((40, 1, 5, 2), "box-outside", None),
        ((-5, 1, 5, 2), "box-outside", None),
        ((-5, 28, 10, 20), "box-clipped", (0, 28, 5, 2)),
    ],
)
def test_boxes_are_clipped_or_left_out(tmp_path, xywh, kind, left):
    cleaned = clean(dataset(tmp_path, image(tmp_path, box(*xywh))))
    assert told(cleaned) == [(kind, "fixed" if left else "dropped")]
    found = cleaned.findings[0]
    assert (found.split, found.file, found.item) == ("train", "a.png", "annotations[1] (id 1)")
    assert [b.xywh_px for b in cleaned.raw.splits["train"][0].boxes] == ([left] if left else [])


def test_a_clipped_box_is_inside_when_it_is_read_again(tmp_path):
    starts = np.random.default_rng(0).uniform(0, 39, 200).tolist()
    boxes = [box(x, 1, 100, 2, number=k + 1) for k, x in enumerate(starts)]
    again = clean(clean(dataset(tmp_path, image(tmp_path, *boxes))).raw)
    assert not again.findings[200:]
    assert all(b.xywh_px[0] + b.xywh_px[2] <= 40 for b in again.raw.splits["train"][0].boxes)


def test_what_few_digits_cost_is_not_worth_a_word(tmp_path):
    cleaned = clean(dataset(tmp_path, image(tmp_path, box(30, 1, 10.004, 2))))
    assert cleaned.findings == ()
    assert cleaned.raw.splits["train"][0].boxes[0].xywh_px == (30, 1, 10, 2)


@pytest.mark.parametrize("category", [3, None, [1], "1"])
def test_unknown_categories_are_left_out(tmp_path, category):
    cleaned = clean(dataset(tmp_path, image(tmp_path, box(1, 1, 2, 2, category=category))))
    assert told(cleaned) == [("category-unknown", "dropped")]
    assert cleaned.raw.splits["train"][0].boxes == ()


@pytest.mark.parametrize("numbers", [(5, 5), (0, 1), ("a", 1), (True, 2), (None, 2)])
def test_ids_that_break_pycocotools_are_told_of_for_coco(tmp_path, numbers):
    boxes = [box(k, 1, 2, 2, number=number) for k, number in enumerate(numbers)]
    raw = dataset(tmp_path, image(tmp_path, *boxes))
    assert told(clean(raw)) == [("annotation-id", "fixed")]
    assert told(clean(replace(raw, format="yolo"))) == []


def test_a_missing_area_is_that_of_the_box(tmp_path):
    cleaned = clean(dataset(tmp_path, image(tmp_path, box(1, 1, 4, 2, area_px=None))))
    assert told(cleaned) == [("area-missing", "fixed")]
    assert cleaned.raw.splits["train"][0].boxes[0].area_px == 8


def test_a_box_that_is_there_twice_is_taken_once(tmp_path):
    boxes = box(1, 1, 2, 2), box(1, 1, 2, 2, number=2), box(1, 1, 2, 2, number=3, category=2)
    cleaned = clean(dataset(tmp_path, image(tmp_path, *boxes)))
    assert told(cleaned) == [("box-twice", "dropped")]
    assert [b.annotation_id for b in cleaned.raw.splits["train"][0].boxes] == [1, 3]


def test_two_entries_of_a_file_become_one(tmp_path):
    entries = [image(tmp_path, box(k, 1, 2, 2, number=k)) for k in (1, 2)]
    cleaned = clean(dataset(tmp_path, *entries))
    assert told(cleaned) == [("image-twice", "fixed")]
    (left,) = cleaned.raw.splits["train"]
    assert [b.annotation_id for b in left.boxes] == [1, 2]


def test_two_categories_of_a_name_become_one(tmp_path):
    raw = dataset(tmp_path, image(tmp_path, box(1, 1, 2, 2, category=9)))
    cleaned = clean(replace(raw, categories={4: "cat", 9: "cat"}))
    assert told(cleaned) == [("category-twice", "fixed")]
    assert cleaned.raw.categories == {4: "cat"}
    assert cleaned.raw.splits["train"][0].boxes[0].category == 4


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"no picture", "image-unreadable"),
        (b"\x89PNG\r\n\x1a\n" + bytes(8) + b"\0\1\0\0\0\1\0\0", "image-too-large"),
    ],
)
def test_files_that_are_no_pictures_are_left_out(tmp_path, content, kind):
    (tmp_path / "a.png").write_bytes(content)
    cleaned = clean(
        dataset(tmp_path, image(tmp_path, box(1, 1, 2, 2)), image(tmp_path, name="b.png"))
    )
    assert told(cleaned) == [(kind, "dropped")]
    assert cleaned.findings[0].what.endswith("; 1 boxes go with it")
    assert [entry.file_name for entry in cleaned.raw.splits["train"]] == ["b.png"]


def test_a_size_is_taken_from_the_file_and_another_is_refused(tmp_path):
    entries = image(tmp_path, claimed=None), image(tmp_path, claimed=(30, 41), name="b.png")
    cleaned = clean(dataset(tmp_path, *entries))
    kinds = [("image-size-missing", "fixed"), ("image-size-differs", "dropped")]
    assert told(cleaned) == kinds
    assert [entry.size_wh for entry in cleaned.raw.splits["train"]] == [(40, 30)]


def test_a_missing_file_is_told_of_once(tmp_path):
    gone = replace(image(tmp_path), path=None)
    said = Finding("image-outside-folder", "dropped", "train", "a.png", "", "it leads out")
    assert told(clean(dataset(tmp_path, gone))) == [("image-missing", "dropped")]
    cleaned = clean(dataset(tmp_path, gone, findings=(said,)))
    assert told(cleaned) == [("image-outside-folder", "dropped")]
    assert cleaned.raw.splits == {"train": ()}


def test_of_two_images_with_an_id_the_first_is_taken(tmp_path):
    entries = image(tmp_path), image(tmp_path, name="b.png")
    cleaned = clean(dataset(tmp_path, *(replace(entry, image_id=7) for entry in entries)))
    assert told(cleaned) == [("image-id-twice", "dropped")]
    assert [entry.file_name for entry in cleaned.raw.splits["train"]] == ["a.png"]
