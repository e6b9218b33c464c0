"""What a data set is made of, by value, and the page that shows it."""

import json
from pathlib import Path

import numpy as np
import pytest

from evolve.datasets.clean import Cleaned
from evolve.datasets.findings import Finding
from evolve.datasets.raw import RawBox, RawDataset, RawImage
from evolve.datasets.stats import data_stats, quantiles, size_shares
from reports.data_figures import MOST_CLASSES, draw_boxes, draw_classes, draw_places, shown_classes
from reports.data_page import class_table, data_files, split_table
from reports.figures import to_svg


def box(*xywh, category=1, **values):
    return RawBox("", None, category, xywh, **values)


def image(name, *boxes, size_wh=(200, 50)):
    return RawImage("", None, name, Path(name), size_wh, boxes)


@pytest.fixture
def stats():
    first = image("a", box(0, 10, 20, 20), box(50, 10, 120, 30), box(20, 20, 5, 5, category=2))
    second = image("b", box(30, 20, 10, 10), box(1, 1, 100, 40, is_crowd=True))
    splits = {"train": (first, image("empty")), "val": (second,)}
    raw = RawDataset(Path(), "coco", "", {1: "cat", 2: "dog", 5: "<owl>"}, splits)
    return data_stats(Cleaned(raw, ()), "mine", 400)


def test_columns_by_hand(stats):
    np.testing.assert_array_equal(stats.boxes_by_class, [[2, 1], [1, 0], [0, 0]])
    np.testing.assert_array_equal(stats.boxes_per_image, [3, 0, 1])
    np.testing.assert_allclose(stats.box_side_px, [20, 60, 5, 10])
    np.testing.assert_allclose(stats.trained_side_px, [80, 240, 20, 40])  # 100 px -> 400 px
    np.testing.assert_allclose(stats.box_aspect, [1, 4, 1, 1])
    np.testing.assert_allclose(stats.centres[0], [0.05, 0.4])
    np.testing.assert_array_equal(stats.is_at_border, [True, False, False, False])
    np.testing.assert_array_equal(stats.images_with_both, [[2, 1, 0], [1, 1, 0], [0, 0, 0]])
    assert stats.crowds == 1


def test_summary(stats):
    facts = json.loads(json.dumps(stats.to_dict()))
    train = facts["splits"]["train"]
    assert (train["images"], train["images_without_box"], train["boxes"]) == (2, 1, 3)
    assert train["sizes"] == {"small": 2 / 3, "medium": 1 / 3, "large": 0}
    assert train["sizes_trained"] == {"small": 1 / 3, "medium": 1 / 3, "large": 1 / 3}
    assert train["at_border"] == pytest.approx(1 / 3)
    assert facts["boxes_by_class"]["cat"] == {"train": 2, "val": 1}


def test_nothing_is_no_number():
    assert quantiles(np.zeros(0)) == {"p5": None, "median": None, "p95": None}
    assert size_shares(np.zeros(0))["small"] is None
    assert size_shares(np.array([32.0, 96.0]))["medium"] == 1


def test_tables(stats):
    cells = {row.cells[0]: row.cells[1:] for row in split_table(stats).rows}
    assert cells["Images"] == ("2", "1")
    assert cells["Small, medium, large at 400 px, %"] == ("33.3, 33.3, 33.3", "0.0, 100.0, 0.0")
    assert [row.cells for row in class_table(stats).rows][:2] == [
        ("cat", "2 (66.7 %)", "1 (100.0 %)"),
        ("dog", "1 (33.3 %)", "0 (0.0 %)"),
    ]


def test_page_escapes_names_and_tells_what_is_left_out(stats):
    files = data_files(stats, [Finding("box-no-area", "dropped", "train", "a", "", "")])
    page = files["index.html"].decode()
    assert "&lt;owl&gt;" in page
    assert "<owl>" not in page
    assert "1 entry was left out" in page
    assert "1 entry was left out" in files["report.md"].decode()
    assert {"figures/data-boxes.svg", "figures/data-places.png", "tables/data.json"} <= set(files)
    again = data_files(stats, [Finding("box-no-area", "dropped", "train", "a", "", "")])
    assert files == again


@pytest.mark.parametrize("draw", [draw_classes, draw_boxes, draw_places])
@pytest.mark.parametrize("wide", [True, False])
def test_figures_of_one_box(draw, wide):
    raw = RawDataset(Path(), "coco", "", {1: "cat"}, {"train": (image("a", box(1, 1, 5, 5)),)})
    assert "<svg" in to_svg(draw(data_stats(Cleaned(raw, ()), "", 416), wide=wide))


def test_of_many_classes_the_most_frequent_are_drawn():
    boxes = [box(1, 1, 5, 5, category=k) for k in range(40) for _ in range(k + 1)]
    names = {k: f"class {k}" for k in range(40)}
    raw = RawDataset(Path(), "coco", "", names, {"train": (image("a", *boxes),)})
    found = shown_classes(data_stats(Cleaned(raw, ()), "", 416))
    assert found == list(range(39, 39 - MOST_CLASSES, -1))


def test_a_set_without_a_box_has_a_page_without_figures():
    raw = RawDataset(Path(), "coco", "", {1: "cat"}, {"train": (image("a"),)})
    files = data_files(data_stats(Cleaned(raw, ()), "", 416), [])
    assert set(files) == {"index.html", "report.md", "tables/data.json"}
