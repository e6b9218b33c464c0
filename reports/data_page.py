"""The page of what a data set is made of: HTML, Markdown, figures and numbers."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evolve.datasets.findings import Finding
from evolve.datasets.stats import DataStats
from reports.data_figures import MOST_CLASSES, draw_boxes, draw_classes, draw_places
from reports.page import render_page, render_text
from reports.pictures import Picture, make_picture, picture_files
from reports.place import put_report
from reports.tables import Column, Row, Table
from reports.text import EN_DASH, MISSING, clean, percent, plural

_ROWS = (
    ("images", "Images"),
    ("images_without_box", "Images without a box"),
    ("boxes", "Boxes"),
    ("boxes_per_image", "Boxes of an image"),
    ("most_boxes", "Most boxes of an image"),
    ("image_width_px", "Width of images, px"),
    ("image_height_px", "Height of images, px"),
    ("box_side_px", "Size of boxes, px"),
    ("box_side_trained_px", "Size of boxes at {size} px"),
    ("box_width_over_height", "Width : height of boxes"),
    ("sizes", "Small, medium, large, %"),
    ("sizes_trained", "Small, medium, large at {size} px, %"),
    ("at_border", "Boxes at the border, %"),
)


def render_data(stats: DataStats, findings: Sequence[Finding], out: Path) -> list[Path]:
    """Make or replace the page in the folder `out`.

    Raises
    ------
    ReportError
        If `out` holds something other than a report.
    """
    return put_report(out, data_files(stats, findings))


def data_files(stats: DataStats, findings: Sequence[Finding]) -> dict[str, bytes]:
    """The files of the page by their names, the page first."""
    pictures = _draw(stats) if len(stats.box_image) else {}
    context = {
        "title": clean(stats.name) or "data",
        "created": "",
        "sentence": _sentence(stats),
        "pictures": pictures,
        "splits": split_table(stats),
        "classes": class_table(stats),
        "left_out": _left_out(findings),
        "size": stats.size_px,
    }
    text = json.dumps(stats.to_dict(), indent=1, ensure_ascii=False)
    return {
        "index.html": render_page("data.html.j2", context),
        "report.md": render_text("data.md.j2", context).encode(),
        "tables/data.json": f"{text}\n".encode(),
        **picture_files(pictures.values()),
    }


def split_table(stats: DataStats) -> Table:
    """Numbers of each split; ranges are 5 %, median and 95 %."""
    facts = stats.to_dict()["splits"]
    columns = [Column("what", ""), *(Column(name, name, "number") for name in stats.splits)]
    rows = [
        Row((head.format(size=stats.size_px), *(_cell(facts[s][key]) for s in stats.splits)))
        for key, head in _ROWS
    ]
    return Table(tuple(columns), tuple(rows))


def class_table(stats: DataStats) -> Table:
    """Boxes of each class in each split, with the share of all boxes of the split."""
    counts = stats.boxes_by_class
    totals = counts.sum(0)
    columns = [Column("class", "Class"), *(Column(name, name, "number") for name in stats.splits)]
    rows = [
        Row((clean(name), *(f"{n:,} ({percent(n / t)} %)" if t else str(n)
                            for n, t in zip(line.tolist(), totals.tolist(), strict=True))))
        for name, line in zip(stats.classes, counts, strict=True)
    ]  # fmt: skip
    return Table(tuple(columns), tuple(rows))


def _draw(stats: DataStats) -> dict[str, Picture]:
    many = len(stats.classes) > MOST_CLASSES
    of = f"the {MOST_CLASSES} most frequent classes" if many else "each class"
    drawn = {
        "classes": (draw_classes, "Classes", f"Boxes of {of} in each split, on a log axis."),
        "boxes": (
            draw_boxes, "Boxes",
            f"Sizes in pixels of the images and of a network's input of {stats.size_px} px, with "
            "COCO's bounds of small, medium and large (dashed); shapes; and how many boxes an "
            "image has. All splits together.",
        ),
        "places": (
            draw_places, "Places and company",
            "Where the centres of boxes lie in their image, and of the images that show the class "
            f"of a row the share, in percent, that shows that of a column too ({of}).",
        ),
    }  # fmt: skip
    return {
        name: make_picture(f"data-{name}", title, caption, draw(stats, wide=True),
                           draw(stats, wide=False))
        for name, (draw, title, caption) in drawn.items()
    }  # fmt: skip


def _sentence(stats: DataStats) -> str:
    images, boxes = len(stats.image_split), len(stats.box_image)
    return (
        f"{plural(images, 'image')} with {plural(boxes, 'box').replace('boxs', 'boxes')} of "
        f"{plural(len(stats.classes), 'class').replace('classs', 'classes')}"
    )


def _left_out(findings: Sequence[Finding]) -> str:
    count = sum(found.outcome == "dropped" for found in findings)
    entries = "entry was" if count == 1 else "entries were"
    told = f"{count} {entries} left out of these numbers: 'evolve data check' tells which."
    return told if count else ""


def _cell(value: Any) -> str:
    if value is None:
        return MISSING
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return percent(value)
    if "small" in value:
        return ", ".join(MISSING if part is None else percent(part) for part in value.values())
    if None in value.values():
        return MISSING
    low, middle, high = (f"{part:.3g}" if part < 100 else f"{part:.0f}" for part in value.values())
    return middle if low == middle == high else f"{middle} ({low}{EN_DASH}{high})"
