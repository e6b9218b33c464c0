"""Sections of what detectors saw."""

import io
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_up_found import make_found
from made_up_seen import make_many, make_row, make_seen, make_view
from PIL import Image

from evolve.findings.seen_records import Seen
from reports import examples, figures
from reports.detection import class_table, confusion_table, detection_sections
from reports.detection_figures import (
    confusion_data,
    count_text,
    draw_confusion,
    draw_precision_recall,
    pr_data,
    thinned,
)
from reports.text import MISSING


def sections(seen: Seen | None) -> dict[str, str]:
    found = replace(make_found(), seen=seen)
    return {section.key: section.missing for section in detection_sections(found)}


def test_lines_are_in_percent_and_panels_begin_with_the_mean() -> None:
    panels = pr_data(make_seen())
    assert [panel.title for panel in panels] == ["Mean over the classes", "cat", "dog"]
    first = panels[0].lines[1]
    assert (first.row, first.iou) == (1, 0)
    assert (first.precision[0], first.low[0]) == pytest.approx((80.0, 72.0))
    assert pr_data(replace(make_seen(), panels=()))[0].title == "cat"  # one class is the mean


def test_a_thinned_line_is_the_line() -> None:
    rng = np.random.default_rng(0)
    values = np.minimum.accumulate(np.round(100 * rng.random(101) ** 0.2, 1))
    values[70:] = 0
    kept = thinned(values)
    places = np.flatnonzero(kept)
    between = np.interp(np.arange(71), places, values[places])
    assert np.abs(between - values[:71]).max() <= 0.1
    assert places[-1] == 70
    assert kept.sum() < 60
    assert thinned(np.zeros(101)).sum() == 1


@pytest.mark.parametrize("wide", [True, False])
def test_figures_name_rows_and_hostile_classes_as_text(wide: bool) -> None:
    seen = make_seen(classes=("<b>&", "$x$\n日本"))
    for drawn in (draw_precision_recall(seen, wide=wide), draw_confusion(seen, wide=wide)):
        assert drawn is not None
        svg = figures.to_svg(drawn)
        assert "&lt;b&gt;&amp;" in svg
        assert "Trial 5" in svg
        assert "<b>" not in svg


def test_cells_are_shares_of_their_truths() -> None:
    cells = {(c.row, c.column): (c.count, c.share) for c in confusion_data(make_seen().rows[0])}
    assert cells[0, 0] == (8.0, 0.8)
    assert cells[1, 2] == (6.0, 0.6)
    assert cells[2, 1] == (0.5, 0.2)
    assert (1, 0) not in cells
    assert [count_text(c) for c in (0.5, 8.0, 2.97, 12.4, 1234.0)] == [
        "0.5", "8", "3", "12", "1,234"
    ]  # fmt: skip


def test_tables_have_every_class() -> None:
    rows = [row.cells for row in class_table(make_seen()).rows]
    assert rows[0] == ("all classes", "20", "36.6", "48.8", "18.3", "24.4", "+12.2")
    assert [row[0] for row in rows] == ["all classes", "cat", "dog"]
    rows = [row.cells for row in confusion_table(make_seen()).rows]
    assert rows[1] == ("The defaults", "dog", "0.0", "4.0", "6.0")
    assert rows[5] == ("Trial 5", "nothing there", "2.0", "0.5", "0.0")


def test_of_many_classes_some_are_shown_and_that_is_told() -> None:
    seen = make_many(80)
    found = replace(make_found(), seen=seen)
    curves, confusion, *_ = detection_sections(found)
    assert "Of 80 classes those 8 have curves whose AP50 differ most" in curves.drawings[0].caption
    assert "12 classes that are confused most" in confusion.drawings[0].caption
    assert seen.confused_names[-1] == "68 others"
    assert len(curves.drawings[0].wide.axes) == 9
    assert len(curves.tables[0].table.rows) == 81


def test_a_class_without_truth_is_missing() -> None:
    row = make_row("trial 5", 0.5)
    ap = row.ap.copy()
    ap[2] = math.nan
    seen = replace(make_seen(), rows=(make_seen().rows[0], replace(row, ap=ap)))
    cells = class_table(seen).rows[2].cells
    assert cells[3] == MISSING
    assert cells[-1] == MISSING


def test_what_is_missing_is_said_and_runs_without_images_have_no_section() -> None:
    assert sections(None) == {}
    assert sections(Seen(why_not="these trainings looked at no images")) == {}
    gone = sections(Seen(why_not="the data cannot be read: <gone>"))
    assert gone == {
        "seen": "Curves, confusions and examples cannot be shown: the data cannot be read: <gone>."
    }
    assert sections(make_seen())["examples"] == "Pictures are missing: gone."
    blind = tuple(replace(row, score=math.nan, f1=0.0) for row in make_seen().rows)
    assert "No detection hits" in sections(replace(make_seen(), rows=blind))["confusion"]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "b.png"
    noise = np.random.default_rng(0).integers(0, 255, (100, 100, 3), np.uint8)
    Image.fromarray(noise).save(path)
    return path


def test_pictures_are_small_files_beside_each_other(picture: Path) -> None:
    (row,), missing = examples.example_photos(make_seen(picture))
    assert missing == ""
    assert row.title == "Highest difference of F1 (+25.0 points, 50.0 to 75.0): a/b.png"
    assert [photo.name for photo in row.photos] == ["example-1-defaults", "example-1-winner"]
    assert row.photos[1].label == "Trial 5: 1 right, 1 false, 1 missed"
    for photo in row.photos:
        assert len(photo.jpeg) <= examples.MOST_BYTES  # of noise, which JPEG cannot press
        with Image.open(io.BytesIO(photo.jpeg)) as image:
            assert image.size == (photo.width, photo.height)
    again = examples.example_photos(make_seen(picture))[0]
    assert again == (row,)


def test_boxes_are_drawn_where_they_are(picture: Path) -> None:
    grey = Image.new("RGB", (200, 200), (90, 90, 90))
    drawn = examples.draw_view(grey, make_view(0.5), ("cat", "dog"), scale=2.0)
    assert drawn.getpixel((20, 50)) == examples.RIGHT
    assert drawn.getpixel((120, 40)) == examples.FALSE
    assert drawn.getpixel((100, 122)) == examples.MISSED
    assert drawn.getpixel((82, 30)) == examples.TRUTH
    assert grey.getpixel((20, 50)) == (90, 90, 90)


def test_a_picture_that_cannot_be_read_is_told(picture: Path) -> None:
    picture.write_bytes(b"no picture")
    rows, missing = examples.example_photos(make_seen(picture))
    assert rows == ()
    assert missing == "Pictures are missing: not an image of a known format."


def test_names_that_the_font_lacks_are_numbers_with_a_key() -> None:
    seen = make_seen(classes=("日本", "Ёж"))
    boxes = make_view(0.5).found
    assert [examples.name_of(seen.classes, box) for box in boxes] == ["class 0", "Ёж"]
    assert examples.example_caption(seen).endswith(" In the pictures class 0 is 日本.")
