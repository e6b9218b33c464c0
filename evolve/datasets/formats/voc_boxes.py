"""What one XML file of Pascal VOC says, and how its coordinates are taken.

The development kit counts pixels from 1 and includes both ends: its top-left pixel is (1, 1), and
its evaluation takes ``xmax - xmin + 1`` for the width (VOCevaldet.m, 2007 to 2012). So COCO's left
edge is ``xmin - 1`` and its width ``xmax - xmin + 1``. Tools that export VOC often write edges
counted from 0 instead: left ``xmin``, width ``xmax - xmin``. A set of which more boxes begin in
the pixel 0, which the development kit does not have, than in its first pixel 1 is taken for such.

An object that is ``difficult`` counts neither as found nor as missed in the kit's evaluation. That
is what COCO does with ``iscrowd``, so it becomes one: ignored, and not trained on.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from evolve.datasets.formats.common import Log
from evolve.datasets.formats.safe_xml import Element
from evolve.datasets.raw import RawBox, RawImage

_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_TRUE = ("1", "true", "yes")


@dataclass(frozen=True, slots=True)
class Object:
    """One object with its corners as written."""

    line: int
    name: str
    corners: tuple[float, float, float, float]
    is_difficult: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """One picture with its objects."""

    xml: str
    file_name: str
    path: Path | None
    size_wh: tuple[int, int] | None
    objects: tuple[Object, ...]


@dataclass(frozen=True, slots=True)
class Convention:
    """How corners become boxes; `told` says which way was taken, and why."""

    first: int
    told: str

    def xywh_px(self, corners: tuple[float, float, float, float]) -> tuple[float, ...]:
        """Left, top, width and height in pixels, edges counted from 0."""
        x1, y1, x2, y2 = corners
        return (x1 - self.first, y1 - self.first, x2 - x1 + self.first, y2 - y1 + self.first)


def convention_of(entries: Iterable[Entry]) -> Convention:
    """Where the pixels of a data set are counted from."""
    starts = [min(one.corners[:2]) for entry in entries for one in entry.objects]
    at_zero = sum(0 <= start < 1 for start in starts)
    at_one = sum(1 <= start < 2 for start in starts)
    counted = f"{at_zero} boxes begin in pixel 0, {at_one} in pixel 1"
    if at_zero > at_one:
        return Convention(
            0, f"the coordinates are taken for edges counted from 0, not as the VOC kit: {counted}"
        )
    return Convention(
        1, f"the coordinates are taken as the VOC kit's, from 1 with both ends included: {counted}"
    )


def entry_of(
    root: Element, xml: str, file_name: str, path: Path | None, split: str, log: Log
) -> Entry:
    """A file's content; objects that make no sense are left out and told of."""
    objects = []
    for element in root.all("object"):
        try:
            objects.append(_object(element))
        except ValueError as error:
            log.add("object-broken", "dropped", split, (xml, element.line),
                    f"the object was left out: {error}",
                    "an object has a name and a bndbox of four numbers")  # fmt: skip
    return Entry(xml, file_name, path, _size(root), tuple(objects))


def raw_image(entry: Entry, convention: Convention, split: str, log: Log) -> RawImage:
    """The picture with boxes in pixels."""
    boxes = []
    for one in entry.objects:
        if one.is_difficult:
            log.add("difficult", "fixed", split, (entry.xml, one.line),
                    f"'{one.name}' is difficult: ignored at evaluation and not trained on, as a "
                    "crowd")  # fmt: skip
        x, y, w, h = convention.xywh_px(one.corners)
        boxes.append(RawBox(f"{entry.xml}:{one.line}", None, one.name, (x, y, w, h),
                            is_crowd=one.is_difficult))  # fmt: skip
    return RawImage(entry.xml, None, entry.file_name, entry.path, entry.size_wh, tuple(boxes))


def _object(element: Element) -> Object:
    name = element.text_of("name")
    box = element.first("bndbox")
    if not name:
        raise ValueError("it has no name")
    if box is None:
        raise ValueError(f"'{name[:40]}' has no bndbox")
    x1, y1, x2, y2 = (_number(box, corner) for corner in _CORNERS)
    is_difficult = element.text_of("difficult").lower() in _TRUE
    return Object(element.line, name, (x1, y1, x2, y2), is_difficult)


def _number(box: Element, corner: str) -> float:
    text = box.text_of(corner)
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{corner} is '{text[:40]}', not a number") from None


def _size(root: Element) -> tuple[int, int] | None:
    """Size of the picture as written; None where nothing sensible is."""
    size = root.first("size")
    texts = [size.text_of(side) for side in ("width", "height")] if size else []
    if not texts or not all(text.isdecimal() and 0 < len(text) < 10 for text in texts):
        return None
    width, height = map(int, texts)
    return (width, height) if width and height else None
