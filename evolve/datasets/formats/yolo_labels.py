"""Label files of YOLO: one text file for each picture, one line for each object.

A line is ``class cx cy w h``, the centre and size of the box as shares of the picture's width and
height, classes from 0 (darknet, arXiv:1506.02640, and all that came after it). Ultralytics' own
lines of segmentation are ``class x1 y1 x2 y2 ...``, a polygon; those of oriented boxes are such
polygons with four corners; those of poses are a box with key points behind it. A picture without
a label file is background.
"""

import math
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from evolve.datasets.formats.common import Log, Unreadable, picture_size, read_lines
from evolve.datasets.formats.inside import DataFolder, Place
from evolve.datasets.raw import RawBox, RawImage
from model.data.paths import OutsideFolder

_LIMIT_LINES = 100_000
_BOX_COLUMNS = 5
_SHORTEST_POLYGON = 7  # a class and three corners


@dataclass
class LabelReader:
    """Reads the labels of pictures; what is not as it should be goes to `log`.

    Attributes
    ----------
    point_columns : int
        Columns of key points behind each box; 0 where there are none.
    """

    folder: DataFolder
    log: Log
    point_columns: int = 0
    sought: list[str] = field(default_factory=list)
    seen: int = 0

    def image(self, picture: Place, split: str) -> RawImage | None:
        """The picture with its boxes; None if its labels cannot be read."""
        size = picture_size(picture.path)
        label = self._label_of(picture, split)
        if label is None:
            self.sought.append(label_names(picture.name)[0])
            return RawImage(picture.name, None, picture.name, picture.path, size, ())
        self.seen += 1
        try:
            lines = read_lines(label.path, limit_lines=_LIMIT_LINES)
        except Unreadable as error:
            self.log.add(
                "labels-unreadable", "dropped", split, (label.name, ""),
                f"the labels of {picture.name} cannot be used, so it is left out: {error}",
                "write the file anew",
            )  # fmt: skip
            return None
        boxes = [
            box
            for number, line in enumerate(lines, 1)
            if line.strip() and size and (box := self._box(line, label.name, number, size, split))
        ]
        return RawImage(label.name, None, picture.name, picture.path, size, tuple(boxes))

    def _label_of(self, picture: Place, split: str) -> Place | None:
        for name in label_names(picture.name):
            try:
                path = self.folder.locate(name)
            except OutsideFolder as error:
                self.log.add(
                    "path-outside", "dropped", split, (name, ""),
                    f"the label file is not read: {error}", "put the file itself there",
                )  # fmt: skip
                continue
            if path is not None:
                return Place(path, name, is_mended=False)
        return None

    def _box(
        self, line: str, file: str, number: int, size_wh: tuple[int, int], split: str
    ) -> RawBox | None:
        columns = line.split()
        try:
            category, values = _category(columns[0]), [float(text) for text in columns[1:]]
        except (ValueError, OverflowError):
            self._broken(file, number, split, f"'{_short(line)}' is not all numbers")
            return None
        count = len(columns)
        if count in (_BOX_COLUMNS, _BOX_COLUMNS + self.point_columns):
            cx, cy, w, h = values[:4]
            corners, area = (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2), None
        elif count >= _SHORTEST_POLYGON and count % 2:
            xs, ys = values[::2], values[1::2]
            corners = (min(xs), min(ys), max(xs), max(ys))
            area = _polygon_area(xs, ys) * size_wh[0] * size_wh[1]
            self.log.add(
                "polygon", "fixed", split, (file, number),
                f"a polygon of {len(xs)} corners was turned into the box around it",
            )  # fmt: skip
        else:
            self._broken(file, number, split, f"it has {count} columns")
            return None
        return RawBox(f"{file}:{number}", None, category, _in_pixels(corners, size_wh),
                      area_px=area if area and math.isfinite(area) else None)  # fmt: skip

    def _broken(self, file: str, number: int, split: str, what: str) -> None:
        self.log.add(
            "line-broken", "dropped", split, (file, number), f"the line was left out: {what}",
            "write 'class cx cy w h', or a polygon",
        )  # fmt: skip


def label_names(picture: str) -> list[str]:
    """Where the labels of a picture may lie, the likeliest first.

    The last folder ``images`` is replaced by ``labels`` (Ultralytics, and darknet for COCO), or
    ``JPEGImages`` is (darknet for VOC); last comes the file beside the picture.
    """
    parts = PurePosixPath(picture).with_suffix(".txt").parts
    found = []
    for folder in ("images", "JPEGImages"):
        if folder in parts[:-1]:
            at = len(parts) - 2 - parts[-2::-1].index(folder)
            found.append("/".join((*parts[:at], "labels", *parts[at + 1 :])))
    return [*found, "/".join(parts)]


def _category(text: str) -> int:
    value = float(text)
    if not value.is_integer():
        raise ValueError(text)
    return int(value)


def _in_pixels(
    corners: tuple[float, float, float, float], size_wh: tuple[int, int]
) -> tuple[float, float, float, float]:
    """Relative corners as left, top, width and height."""
    width, height = size_wh
    x1, y1, x2, y2 = corners
    return x1 * width, y1 * height, (x2 - x1) * width, (y2 - y1) * height


def _polygon_area(xs: list[float], ys: list[float]) -> float:
    """Area by the shoelace formula, as a share of the picture."""
    turns = zip(xs, ys, [*xs[1:], xs[0]], [*ys[1:], ys[0]], strict=True)
    return abs(sum(x * next_y - next_x * y for x, y, next_x, next_y in turns)) / 2


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}..."
