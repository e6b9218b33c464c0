"""Sections of what detectors saw: curves, confusions and examples, with captions and tables."""

import math

from evolve.analysis.confusion import IOU
from evolve.findings import Findings
from evolve.findings.seen import MOST_CONFUSED, MOST_PANELS, Seen
from reports.detection_figures import draw_confusion, draw_precision_recall, row_title
from reports.examples import example_caption, example_photos
from reports.sections import Drawing, Section, TablePart
from reports.tables import Column, Row, Table
from reports.text import clean, percent, plural, points

MOST_CLASSES = 100  # rows of the table of classes


def detection_sections(found: Findings | None) -> tuple[Section, ...]:
    """Curves, confusion and examples; empty for runs that look at no images."""
    seen = None if found is None else found.seen
    if seen is None:
        return ()
    if not seen.rows:
        why = clean(seen.why_not)
        if not why or "no images" in why or "no boxes" in why:
            return ()
        missing = f"Curves, confusions and examples cannot be shown: {why}."
        return (Section("seen", "What the detectors saw", missing=missing),)
    made = (curve_section(seen), confusion_section(seen), example_section(seen))
    return tuple(section for section in made if section is not None)


def curve_section(seen: Seen) -> Section | None:
    """Precision against recall, and AP50 and AP75 of every class."""
    wide, narrow = (draw_precision_recall(seen, wide=wide) for wide in (True, False))
    if wide is None:
        return None
    title = "Precision and recall"
    return Section(
        "precision-recall",
        title,
        drawings=(Drawing("precision-recall", title, curve_caption(seen), wide, narrow),),
        tables=(TablePart("classes", class_caption(seen), class_table(seen)),),
    )


def curve_caption(seen: Seen) -> str:
    """What the curves are."""
    known = sum(1 for count in seen.truths if count)
    part = ""
    if known > MOST_PANELS:
        part = (
            f" Of {known} classes those {len(seen.panels)} have curves whose AP50 "
            f"{'differ most' if len(seen.rows) > 1 else 'is lowest'}; the table has all."
        )
    band = ""
    if any(row.trainings > 1 for row in seen.rows):
        band = " Lines are means over the trainings, at each recall."
    return (
        f"Precision against recall on {_place(seen)}, over all scores, as pycocotools accumulates "
        "it: the best precision at that recall or beyond, at its 101 recalls, so that the area "
        f"below a line is AP50 or AP75.{band}{part}"
    )


def _place(seen: Seen) -> str:
    """The split, its images, and whose detections they are."""
    told = ", ".join(
        f"{clean(row.title, longest=28)} {plural(row.trainings, 'training')}" for row in seen.rows
    )
    kind = "with fresh seeds" if seen.confirmed else "of the search"
    return f"{clean(seen.split)} ({plural(seen.images, 'image')}; {told} {kind})"


def class_caption(seen: Seen) -> str:
    """What the table of classes has."""
    count = len(seen.classes)
    cut = f" The first {MOST_CLASSES} of {count:,}." if count > MOST_CLASSES else ""
    return (
        f"AP50 and AP75 of each class on {clean(seen.split)} in percent, means over the "
        f"trainings; differences in points.{cut}"
    )


def class_table(seen: Seen) -> Table:
    """AP50 and AP75 of the mean and of each class, by row, and the difference of AP50."""
    both = len(seen.rows) > 1
    heads = [
        Column(f"{place}{metric}", f"{row_title(seen, place)}, {metric}", "number")
        for metric in ("AP50", "AP75")
        for place in range(len(seen.rows))
    ]
    columns = (
        Column("class", "Class"),
        Column("truths", "Truths", "number"),
        *heads,
        *((Column("delta", "AP50, difference", "number"),) if both else ()),
    )
    names = ["all classes", *seen.classes[:MOST_CLASSES]]
    counts = [sum(seen.truths), *seen.truths]
    rows = []
    for place, name in enumerate(names):
        values = [[float(row.ap[place, k]) for row in seen.rows] for k in (0, 1)]
        gain = [points(values[0][1] - values[0][0])] if both else []
        cells = [percent(v) for each in values for v in each]
        rows.append(Row((clean(name, longest=60), f"{counts[place]:,}", *cells, *gain)))
    return Table(columns, tuple(rows))


def confusion_section(seen: Seen) -> Section | None:
    """Confusion of the classes."""
    wide, narrow = (draw_confusion(seen, wide=wide) for wide in (True, False))
    if wide is None:
        return Section(
            "confusion",
            "Confusion of the classes",
            missing="No detection hits a truth, so there is nothing to confuse.",
        )
    caption = confusion_caption(seen)
    return Section(
        "confusion",
        "Confusion of the classes",
        drawings=(Drawing("confusion", "Confusion of the classes", caption, wide, narrow),),
        tables=(TablePart("confusion", "Mean counts over the trainings.", confusion_table(seen)),),
    )


def confusion_caption(seen: Seen) -> str:
    """How it is counted, and at which scores."""
    many = any(row.trainings > 1 for row in seen.rows)
    counts = "Mean counts over the trainings" if many else "Counts"
    part = ""
    if len(seen.confused) < len(seen.classes):
        part = f" The {MOST_CONFUSED} classes that are confused most; the others are one."
    return (
        f"{counts} on {_place(seen)}; colours are shares of a row. A detection, by falling score, "
        f"takes the free truth of any class that it overlaps most, if by an IoU of {IOU:g} "
        "(Kohavi and Provost 1998, with a background for what is added and missed, Hoiem et al. "
        "2012). "
        "Scores count from where F1 on these images is highest, for each row by itself; that "
        f"flatters both alike.{part}"
    )


def confusion_table(seen: Seen) -> Table:
    """Every count, of each row of the figure."""
    names = [clean(name, longest=60) for name in seen.confused_names]
    columns = (
        Column("row", "Detections of"),
        Column("truth", "Truth"),
        *(Column(f"found{n}", f"Found: {name}", "number") for n, name in enumerate(names)),
        Column("missed", "Missed", "number"),
    )
    rows = []
    for place, row in enumerate(seen.rows):
        if math.isnan(row.score):
            continue
        for name, counts in zip([*names, "nothing there"], row.confusion, strict=True):
            rows.append(Row((row_title(seen, place), name, *(f"{c:.1f}" for c in counts))))
    return Table(columns, tuple(rows))


def example_section(seen: Seen) -> Section | None:
    """Images before and after, or why there are none."""
    if not seen.examples:
        return None
    rows, missing = example_photos(seen)
    return Section(
        "examples",
        "Detections before and after" if len(seen.rows) > 1 else "Examples of detections",
        photos=rows,
        photo_caption=example_caption(seen) if rows else "",
        missing=missing,
    )
