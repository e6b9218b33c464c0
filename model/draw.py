"""Drawing detections into pictures."""

import functools
import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Box = tuple[int, int, int, int]

COLOURS_RGB = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66),
    (0, 114, 178), (213, 94, 0), (204, 121, 167), (255, 255, 255),
)  # fmt: skip
"""Okabe and Ito's colours, told apart by the colour-blind; white in the place of black."""

_SHADES = (1.0, 0.62, 0.4)  # of a colour, when the classes outnumber the colours
_READABLE_SIDE_PX = 480  # a picture is enlarged towards this, so that its labels can be read
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_FONT_CAP_PX = 21  # height of its capitals at scale 1


def draw(
    picture: Picture,
    boxes_xyxy_px: NDArray[np.float32],
    labels: NDArray[np.int64],
    scores: NDArray[np.float32] | None,
    classes: Sequence[str],
) -> Picture:
    """Picture with a box and a label for each detection; small ones come back enlarged.

    Parameters
    ----------
    picture : ndarray, shape (H, W, 3), uint8, RGB
        Left as it is.
    boxes_xyxy_px : ndarray, shape (D, 4)
        Pixels of `picture`.
    labels : ndarray, shape (D,)
    scores : ndarray, shape (D,), optional
        None for truths, which have no score.
    classes : sequence of str

    Returns
    -------
    ndarray, shape (k H, k W, 3), uint8, RGB
        With a whole number k, 1 but for small pictures.
    """
    times = _enlargement(picture)
    size_wh = (picture.shape[1] * times, picture.shape[0] * times)
    canvas: Picture = cv2.resize(picture, size_wh, interpolation=cv2.INTER_CUBIC)
    pen = _Pen.for_side(math.sqrt(size_wh[0] * size_wh[1]))
    best_first = np.arange(len(labels)) if scores is None else np.argsort(-scores, kind="stable")
    corners = [_whole(boxes_xyxy_px[i] * times, size_wh) for i in best_first]
    for index, box in reversed(list(zip(best_first, corners, strict=True))):
        pen.outline(canvas, box, colour_of(int(labels[index])))
    taken: list[Box] = []
    for index, box in zip(best_first, corners, strict=True):
        label = int(labels[index])
        text = _drawable(classes[label]) or f"class {label}"
        if scores is not None:
            text += f" {scores[index]:.2f}"
        plate = pen.place(text, box, size_wh, taken)
        pen.write(canvas, text, plate, colour_of(label))
        taken.append(plate)
    return canvas


def write_line(canvas: Picture, text: str, at: tuple[int, int], *, cap_px: int) -> None:
    """Write a line in black, its first letter's foot at `at`; cut to the width of the canvas."""
    scale, stroke = cap_px / _FONT_CAP_PX, max(1, round(cap_px / 9))
    text, room = _drawable(text), canvas.shape[1] - at[0] - cap_px
    while text and line_width(text, cap_px=cap_px) > room:
        text = text.removesuffix("...")[:-1] + "..." if len(text) > 4 else ""
    cv2.putText(canvas, text, at, _FONT, scale, (0, 0, 0), stroke, cv2.LINE_AA)


def line_width(text: str, *, cap_px: int) -> int:
    """Width in pixels of a line that `write_line` would write."""
    scale, stroke = cap_px / _FONT_CAP_PX, max(1, round(cap_px / 9))
    size, _ = cv2.getTextSize(_drawable(text), _FONT, scale, stroke)
    return int(size[0])


def colour_of(label: int) -> tuple[int, int, int]:
    """RGB colour of a class: the same in every picture, safe for the colour-blind."""
    shade = _SHADES[label // len(COLOURS_RGB) % len(_SHADES)]
    red, green, blue = COLOURS_RGB[label % len(COLOURS_RGB)]
    return (round(red * shade), round(green * shade), round(blue * shade))


def _enlargement(picture: Picture) -> int:
    return max(1, round(_READABLE_SIDE_PX / max(picture.shape[:2])))


def _whole(box: NDArray[np.float32], size_wh: tuple[int, int]) -> Box:
    """Corners as pixels inside the picture."""
    limits = (size_wh[0] - 1, size_wh[1] - 1) * 2
    x0, y0, x1, y1 = (min(max(round(float(v)), 0), m) for v, m in zip(box, limits, strict=True))
    return (x0, y0, x1, y1)


@functools.cache
def _drawable(name: str) -> str:
    """Give a name in the characters that OpenCV's fonts have; empty if there are none."""
    plain = unicodedata.normalize("NFKD", name)
    text = "".join(c if " " <= c <= "~" else "?" for c in plain if not unicodedata.combining(c))
    return text if text.strip("? ") else ""


@dataclass(frozen=True)
class _Pen:
    """Sizes of lines and letters, in pixels, for one picture."""

    line: int
    scale: float
    stroke: int
    margin: int

    @classmethod
    def for_side(cls, side_px: float) -> "_Pen":
        """For a picture whose area is that of a square of this side."""
        cap = min(max(side_px * 0.018, 8.0), 60.0)
        stroke = max(1, round(cap / 9))
        return cls(
            max(1, round(side_px / 400)), cap / _FONT_CAP_PX, stroke, max(2, round(cap / 3))
        )

    def outline(self, canvas: Picture, box: Box, colour: tuple[int, int, int]) -> None:
        """Draw a box with a dark rim, so that it shows on a ground of its own colour."""
        cv2.rectangle(canvas, box[:2], box[2:], (0, 0, 0), self.line + 2, cv2.LINE_AA)
        cv2.rectangle(canvas, box[:2], box[2:], colour, self.line, cv2.LINE_AA)

    def place(self, text: str, box: Box, size_wh: tuple[int, int], taken: Sequence[Box]) -> Box:
        """Plate of a label: by its box, inside the picture, off other plates where it can be."""
        width, height = self._plate_size(text)
        x0, y0, x1, y1 = box
        corners = [
            (x0, y0 - height), (x0, y1), (x0, y0), (x1 - width, y0 - height), (x1 - width, y1),
            (x0, y1 - height),
        ]  # fmt: skip
        plates = [_inside(x, y, width, height, size_wh) for x, y in corners]
        free = [plate for plate in plates if not any(_overlap(plate, other) for other in taken)]
        return (free or plates)[0]

    def write(self, canvas: Picture, text: str, plate: Box, colour: tuple[int, int, int]) -> None:
        """Write a label on its plate, in black or white, whichever is read better."""
        x0, y0, x1, y1 = plate
        cv2.rectangle(canvas, (x0, y0), (x1, y1), colour, cv2.FILLED)
        bright = np.dot(colour, (0.299, 0.587, 0.114)) > 110
        _, baseline = cv2.getTextSize(text, _FONT, self.scale, self.stroke)
        at = (x0 + self.margin, y1 - self.margin - baseline // 2)
        ink = (0, 0, 0) if bright else (255, 255, 255)
        cv2.putText(canvas, text, at, _FONT, self.scale, ink, self.stroke, cv2.LINE_AA)

    def _plate_size(self, text: str) -> tuple[int, int]:
        (width, height), baseline = cv2.getTextSize(text, _FONT, self.scale, self.stroke)
        return width + 2 * self.margin, height + baseline // 2 + 2 * self.margin


def _inside(x: int, y: int, width: int, height: int, size_wh: tuple[int, int]) -> Box:
    """Plate moved into the picture; one too wide for it begins at its left border."""
    x = max(0, min(x, size_wh[0] - 1 - width))
    y = max(0, min(y, size_wh[1] - 1 - height))
    return (x, y, x + width, y + height)


def _overlap(one: Box, other: Box) -> bool:
    apart_x = one[2] <= other[0] or other[2] <= one[0]
    apart_y = one[3] <= other[1] or other[3] <= one[1]
    return not (apart_x or apart_y)
