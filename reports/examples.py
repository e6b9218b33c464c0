"""Images as defaults and winner saw them: truths and detections drawn into pictures."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.ft2font import FT2Font
from PIL import Image, ImageDraw, ImageFont

from evolve.analysis.confusion import IOU
from evolve.findings.seen_records import Box, Example, Seen, View
from model.data.cache import load_image
from model.data.coco import ImageRecord
from model.errors import DataError
from reports.sections import Photo, PhotoRow
from reports.text import clean, listed, percent, points, upper_first

MOST_BYTES = 40_000
SIDE_PX = 600

RIGHT, FALSE, MISSED, TRUTH = (0, 114, 178), (213, 94, 0), (240, 228, 66), (255, 255, 255)

_MOST_ENLARGED = 4
_TEXT_PX = 13
_MOST_LABELS = 14
_QUALITIES = (90, 84, 76, 68, 58, 46, 34)
_LONGEST = 18  # characters of a class name

Corners = tuple[int, int, int, int]
Colour = tuple[int, int, int]


def example_photos(seen: Seen) -> tuple[tuple[PhotoRow, ...], str]:
    """Rows of pictures, one an image; and why some are missing, a sentence or empty."""
    rows = []
    reasons: dict[str, None] = {}
    for number, example in enumerate(seen.examples, start=1):
        try:
            picture = _load(example)
        except DataError as error:
            reasons[clean(error.what, longest=160)] = None
            continue
        photos = tuple(_photos(seen, example, picture, f"example-{number}"))
        rows.append(PhotoRow(_title(example), photos))
    why = f"Pictures are missing: {listed(list(reasons))}." if reasons else ""
    return tuple(rows), why


def _load(example: Example) -> Image.Image:
    """The picture, of the size that it is drawn in."""
    if example.path is None:
        raise DataError(example.why_not)
    nothing = np.zeros(0)
    record = ImageRecord(
        0, example.file_name, example.path, example.width, example.height,
        np.zeros((0, 4), np.float32), nothing.astype(np.int64), nothing.astype(bool),
        nothing.astype(np.float32),
    )  # fmt: skip
    picture = Image.fromarray(load_image(record))
    return picture.resize(_size_wh(example), Image.Resampling.LANCZOS, reducing_gap=3.0)


def _scale(example: Example) -> float:
    return min(_MOST_ENLARGED, SIDE_PX / max(example.width, example.height))


def _size_wh(example: Example) -> tuple[int, int]:
    scale = _scale(example)
    return max(1, round(example.width * scale)), max(1, round(example.height * scale))


def _title(example: Example) -> str:
    """Why the image is here: its F1 before and after."""
    name = clean(example.file_name, longest=60)
    if len(example.views) == 1:
        return f"{example.kind.capitalize()} F1, {percent(example.views[0].f1)}: {name}"
    before, after = (view.f1 for view in example.views)
    gain = f"{points(after - before)} points, {percent(before)} to {percent(after)}"
    return f"{example.kind.capitalize()} difference of F1 ({gain}): {name}"


def _photos(seen: Seen, example: Example, picture: Image.Image, stem: str) -> Iterator[Photo]:
    ends = ("defaults", "winner") if len(seen.rows) > 1 else ("winner",)
    for end, row, view in zip(ends, seen.rows, example.views, strict=True):
        jpeg, size_wh = to_jpeg(draw_view(picture, view, seen.classes, _scale(example)))
        title = upper_first(clean(row.title, longest=28))
        yield Photo(f"{stem}-{end}", f"{title}: {counted(view)}", jpeg, *size_wh)


def counted(view: View) -> str:
    """How many detections are right and wrong, and how many truths were missed."""
    right = sum(box.right for box in view.found)
    missed = sum(not box.right and not box.crowd for box in view.truths)
    return f"{right} right, {len(view.found) - right} false, {missed} missed"


def to_jpeg(picture: Image.Image) -> tuple[bytes, tuple[int, int]]:
    """JPEG of the best quality that keeps to `MOST_BYTES`, and its size in pixels.

    Colours are not thinned out, so that lines stay sharp; what no quality keeps small is shrunk.
    """
    for quality in _QUALITIES:
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=quality, subsampling=0)
        if file.tell() <= MOST_BYTES:
            return file.getvalue(), picture.size
    smaller = (max(1, picture.width * 2 // 3), max(1, picture.height * 2 // 3))
    return to_jpeg(picture.resize(smaller, Image.Resampling.LANCZOS))


def example_caption(seen: Seen) -> str:
    """By which rule the images were chosen, and what is drawn."""
    if len(seen.rows) > 1:
        rule = (
            "the images with the highest, the median and the lowest difference of F1 between "
            f"{clean(seen.rows[-1].title, longest=28)} and the defaults"
        )
    else:
        rule = "the images with the highest, the median and the lowest F1"
    seed = ", of the first fresh seed" if seen.confirmed else ""
    scores = listed([f"{row.score:.2f} ({clean(row.title, longest=28)})" for row in seen.rows])
    unnamed = sorted(
        {box.label for e in seen.examples for v in e.views for box in (*v.found, *v.truths)
         if not _can_write(seen.classes[box.label])}
    )  # fmt: skip
    names = ", ".join(f"class {n} is {clean(seen.classes[n], longest=30)}" for n in unnamed[:10])
    return (
        f"Chosen by rule, not by hand: of {clean(seen.split)} {rule}{seed}; of equals the first. "
        f"Blue detections hit a truth of their class with an IoU of {IOU:g} or more, orange ones "
        "do not; dashed yellow truths were missed, thin white ones were found. Detections "
        f"from a score of {scores}, as in the confusion. Labels stand where there is room."
        f"{f' In the pictures {names}.' if names else ''}"
    )


# -- drawing -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Mark:
    """A box to be drawn, and its label."""

    corners: Corners
    colour: Colour
    text: str
    dashed: bool = False


def draw_view(
    picture: Image.Image, view: View, classes: Sequence[str], scale: float = 1.0
) -> Image.Image:
    """Copy of the picture with truths, detections and labels.

    Parameters
    ----------
    picture : Image
        RGB, `scale` times as large as the image that the boxes are of.
    view : View
    classes : sequence of str
    scale : float
    """
    drawn = picture.copy()
    pen = ImageDraw.Draw(drawn)
    for truth in view.truths:
        if truth.right or truth.crowd:
            pen.rectangle(_corners(truth, scale, drawn.size), outline=TRUTH, width=1)
    marks = _marks(view, classes, scale, drawn.size)
    for mark in reversed(marks):
        _outline(pen, mark)
    _write_labels(pen, marks, drawn.size)
    return drawn


def _marks(
    view: View, classes: Sequence[str], scale: float, size_wh: tuple[int, int]
) -> list[_Mark]:
    """What is drawn, most telling first: false detections, missed truths, right detections."""
    found = sorted(view.found, key=lambda box: -box.score)
    missed = [box for box in view.truths if not box.right and not box.crowd]
    marks = [
        _Mark(_corners(box, scale, size_wh), colour, f"{name_of(classes, box)} {box.score:.2f}")
        for colour, right in ((FALSE, False), (RIGHT, True))
        for box in found
        if box.right is right
    ]
    gone = [
        _Mark(_corners(box, scale, size_wh), MISSED, name_of(classes, box), dashed=True)
        for box in missed
    ]
    wrong = sum(not box.right for box in found)
    return [*marks[:wrong], *gone, *marks[wrong:]]


def _corners(box: Box, scale: float, size_wh: tuple[int, int]) -> Corners:
    """Whole pixels inside the picture, in order."""
    limits = (size_wh[0] - 1, size_wh[1] - 1) * 2
    x0, y0, x1, y1 = (
        min(max(round(value * scale), 0), limit)
        for value, limit in zip(box.xyxy_px, limits, strict=True)
    )
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def _outline(pen: ImageDraw.ImageDraw, mark: _Mark) -> None:
    """A box with a dark rim, so that it shows on a ground of its own colour."""
    x0, y0, x1, y1 = mark.corners
    pen.rectangle((x0 - 1, y0 - 1, x1 + 1, y1 + 1), outline=(0, 0, 0), width=4)
    if not mark.dashed:
        pen.rectangle(mark.corners, outline=mark.colour, width=2)
        return
    for start in range(x0, x1 + 1, 10):
        for y in (y0, y1 - 1):
            pen.rectangle((start, y, min(start + 5, x1), y + 1), fill=mark.colour)
    for start in range(y0, y1 + 1, 10):
        for x in (x0, x1 - 1):
            pen.rectangle((x, start, x + 1, min(start + 5, y1)), fill=mark.colour)


def _write_labels(
    pen: ImageDraw.ImageDraw, marks: Sequence[_Mark], size_wh: tuple[int, int]
) -> None:
    """Labels of the first marks that have room beside those before."""
    taken: list[Corners] = []
    for mark in marks:
        if len(taken) == _MOST_LABELS:
            return
        plate = _place(mark, size_wh, taken)
        if plate is None:
            continue
        taken.append(plate)
        pen.rectangle(plate, fill=mark.colour)
        ink = (0, 0, 0) if mark.colour == MISSED else (255, 255, 255)
        pen.text((plate[0] + 3, plate[1] + 1), mark.text, fill=ink, font=_font())


def _place(mark: _Mark, size_wh: tuple[int, int], taken: Sequence[Corners]) -> Corners | None:
    left, _, right, _ = _font().getbbox(mark.text)
    width, height = int(right - left) + 6, _TEXT_PX + 4
    x0, y0, x1, y1 = mark.corners
    for x, y in ((x0, y0 - height), (x0, y1 + 1), (x1 - width, y0 - height), (x1 - width, y1 + 1)):
        plate = (x, y, x + width, y + height)
        inside = x >= 0 and y >= 0 and plate[2] < size_wh[0] and plate[3] < size_wh[1]
        if inside and not any(_meet(plate, other) for other in taken):
            return plate
    return None


def _meet(one: Corners, other: Corners) -> bool:
    apart_x = one[2] < other[0] or other[2] < one[0]
    apart_y = one[3] < other[1] or other[3] < one[1]
    return not (apart_x or apart_y)


def name_of(classes: Sequence[str], box: Box) -> str:
    """Name of a class as the font can write it, else its number."""
    name = classes[box.label]
    return clean(name, longest=_LONGEST) if _can_write(name) else f"class {box.label}"


@cache
def _font_file() -> Path:
    return Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"


@cache
def _font() -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(_font_file(), _TEXT_PX)


@cache
def _letters() -> frozenset[int]:
    return frozenset(FT2Font(str(_font_file())).get_charmap())


@cache
def _can_write(name: str) -> bool:
    text = clean(name)
    return bool(text) and all(ord(letter) in _letters() for letter in text)
