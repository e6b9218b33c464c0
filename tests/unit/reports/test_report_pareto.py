"""Figures and report of a front."""

import itertools
import json
import math
import xml.etree.ElementTree as ET

import pytest

from evolve.ablation.paper import load_paper_table
from evolve.errors import ReportError
from evolve.pareto.records import Pareto
from reports import label_drawing
from reports.figures import to_svg
from reports.paper_figure import TABLES, draw_published, published
from reports.pareto_figure import draw_front, lines_of, staircase
from reports.pareto_page import caption, pareto_files, point_table, render_pareto
from reports.text import EN_DASH
from tests.unit.reports.made_up_front import families, front_of, line, rows

CASES = {
    "3": families(1),
    "12": families(4),
    "40": rows(40),
    "both": families(3) + rows(10),
}


@pytest.fixture
def boxes(monkeypatch):
    """What every label that is written covers, by the axes that it is written into."""
    seen = []

    def place(labels, bounds, *rest):
        placed = original(labels, bounds, *rest)
        seen.append((bounds, labels, [one for one in placed if one is not None]))
        return placed

    original = label_drawing.place_labels
    monkeypatch.setattr(label_drawing, "place_labels", place)
    return seen


def test_detectors_with_several_sizes_are_lines_with_looks_of_their_own():
    found = lines_of(front_of(families(3) + rows(2)))
    assert [line.is_named for line in found] == [True] * 3 + [False] * 2
    assert len({(line.colour, line.marker) for line in found[:3]}) == 3
    assert [list(line.points["size"]) for line in found[:3]] == [[320, 416, 512]] * 3


def test_points_that_cannot_be_measured_are_not_drawn():
    front = front_of([line("a", 416, math.nan, 0.3), line("b", 416, 5, 0.2)])
    assert [line.title for line in lines_of(front)] == ["b"]
    assert draw_front(front_of([line("a", 416, math.nan, 0.3)]), wide=True) is None


def test_the_staircase_goes_up_at_each_point_of_the_front():
    points = front_of([line("a", 1, 5, 0.2), line("b", 1, 8, 0.4), line("c", 1, 9, 0.3)]).points
    assert staircase(points, 20.0) == [(5, 20), (8, 20), (8, 40), (20, 40)]


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_labels_cover_neither_each_other_nor_marks(boxes, name, wide):
    draw_front(front_of(CASES[name], 12.0), wide=wide)
    ((bounds, labels, placed),) = boxes
    assert len(placed) >= min(len(labels), 3)
    for first, second in itertools.combinations(placed, 2):
        assert not first.box.overlaps(second.box)
    for one in placed:
        assert bounds.holds(one.box)
        for mark in labels:
            (x, y), near = mark.anchor, 4.1
            around = type(one.box)(x - near, y - near, x + near, y + near)
            assert not one.box.overlaps(around)


def texts_of(figure):
    return ["".join(one.itertext()) for one in ET.fromstring(to_svg(figure)).iter()
            if one.tag.endswith("}text")]  # fmt: skip


def test_the_figure_names_what_it_shows():
    figure = draw_front(front_of(CASES["12"], 12.0), wide=True)
    texts = texts_of(figure)
    assert {"real time, ≥ 30 FPS", "front", "limit 12 ms", "best that fits"} <= set(texts)
    assert "latency, ms (median), log scale" in texts
    assert texts.count("416") == 4
    again = draw_front(front_of(CASES["12"], 12.0), wide=True)
    assert to_svg(again) == to_svg(figure)


def test_frames_a_second_run_the_other_way():
    figure = draw_front(front_of(CASES["12"]), wide=True, axis="fps")
    assert "FPS (of the median latency), log scale" in texts_of(figure)
    low, high = figure.axes[0].get_xlim()
    assert low < 1000 / 60 < 1000 / 4 < high


def test_the_published_tables_are_families():
    found = {one.name: one for one in published(load_paper_table(8))}
    assert [(p.size, p.fps, p.ap) for p in found["YOLOv4"].points] == [
        ("608", 23.0, 43.5), ("512", 31.0, 43.0), ("416", 38.0, 41.2),
    ]  # fmt: skip
    assert found["YOLOv4"].is_ours
    assert "LRF, VGG-16" in found
    assert sum(len(one.points) for one in found.values()) == 32
    assert len(found["RetinaNet, ResNet-50"].points) == 2


def test_rows_without_the_metric_are_left_out():
    with_ap = published(load_paper_table(10))
    with_ap75 = published(load_paper_table(10), "AP75")
    assert sum(len(one.points) for one in with_ap) == 28
    assert sum(len(one.points) for one in with_ap75) == 20


@pytest.mark.parametrize("wide", [True, False])
def test_labels_of_the_published_points_do_not_collide(boxes, wide):
    draw_published(wide=wide)
    assert len(boxes) == len(TABLES)
    for _, labels, placed in boxes:
        assert len(placed) > len(labels) / 3
        for first, second in itertools.combinations(placed, 2):
            assert not first.box.overlaps(second.box)


@pytest.mark.slow
def test_own_points_stand_in_a_panel_of_their_own():
    alone, beside = draw_published(wide=True), draw_published(wide=True, beside=front_of(rows(3)))
    assert [axes.get_title("left") for axes in alone.axes if axes.axison] == [
        "Maxwell GPUs, as published", "Pascal GPUs, as published", "Volta GPUs, as published",
    ]  # fmt: skip
    assert beside.axes[3].get_title("left") == "measured here: Some CPU at 2 GHz"


def test_the_caption_states_the_hypervolume_and_its_reference():
    said = caption(front_of([line("a", 416, 5, 0.2), line("b", 416, 8, 0.4)]))
    # 3 ms at 20 %, 2 ms at 40 %
    assert "Hypervolume from 10 ms and 0 %: 140 %·ms, which is 14.0 %" in said
    assert "All points are in the real-time zone of 30 FPS." in said
    slow = caption(front_of([line("a", 416, 500, 0.2)]))
    assert "No point is in the real-time zone" in slow


def test_the_table_has_every_point_by_latency():
    table = point_table(front_of([line("b", 416, 8, 0.4), line("a", 416, 5, 0.2, mark="†")], 6.0))
    assert [row.cells[:4] for row in table.rows] == [
        ("a†", "416", "20.0", f"18.0 {EN_DASH} 22.0"),
        ("b", "416", "40.0", f"38.0 {EN_DASH} 42.0"),
    ]
    assert [row.mark for row in table.rows] == ["best", ""]


@pytest.mark.slow
def test_a_report_is_written_whole_and_again(tmp_path):
    front = front_of([line("a<b>", 416, 5, 0.2), line("=x|y", 416, 8, 0.4)], notes=("so <i>",))
    out = tmp_path / "pareto"
    paths = render_pareto(front, out, anchors=False)
    names = {path.relative_to(out).as_posix() for path in paths}
    assert names == {
        "index.html", "report.md", "tables/pareto.csv", "tables/pareto.json",
        "figures/pareto.svg", "figures/pareto.png",
    }  # fmt: skip
    page = (out / "index.html").read_text()
    assert "a&lt;b&gt;" in page
    assert "<b>" not in page
    assert "So &lt;i&gt;." in page
    assert "\\=x" not in (out / "tables/pareto.csv").read_text()
    stored = json.loads((out / "tables/pareto.json").read_text())
    assert Pareto.from_dict(stored).to_dict() == front.to_dict()
    assert render_pareto(front, out, anchors=False) == paths
    (out / "mine.txt").write_text("kept")
    with pytest.raises(ReportError, match="something else"):
        render_pareto(front, out, anchors=False)
    assert (out / "mine.txt").read_text() == "kept"


@pytest.mark.slow
def test_the_paper_has_a_figure_unless_it_is_not_wanted():
    front = front_of([line("a", 416, 5, 0.2)])
    assert "figures/pareto-paper.svg" in pareto_files(front)
    json.loads(pareto_files(front, anchors=False)["tables/pareto.json"])
