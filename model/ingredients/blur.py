"""Gaussian blur of the whole picture, or of all but its objects (darknet's `blur`).

AlexeyAB/darknet src/data.c and src/image_opencv.cpp. Detector: one picture in three stays sharp,
one is blurred between its objects by 17 x 17 pixels, one is blurred as a whole by the kernel that
the key asks for, at most an eighth of its smallest object's smaller side. So `probability` is 2/3
there and `background` 1/2. Classifier: one picture in four, as a whole, by 15 x 15; a picture
without objects is blurred as a whole here too. Where objects of 8 to 15 pixels make that eighth 1,
darknet takes it for its key's code for the background; here such a picture stays sharp.
"""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Annotated, NamedTuple

import cv2
import numpy as np
from pydantic import Field

from model.effect import Boxes, Effect, EffectSettings, Picture
from model.ingredient import Ingredient, Setting
from model.ingredients._mirror import mirrored
from model.section import Fraction

if TYPE_CHECKING:
    from torch import Tensor

BACKGROUND = 17
"""Side of the kernel that leaves objects sharp, in pixels."""


class BlurSettings(EffectSettings):
    """Gaussian blur."""

    background: Fraction = Field(0.5, description="share of these whose objects stay sharp")
    size: Annotated[int, Field(ge=1, le=255)] = Field(
        15, description="kernel's side in pixels, made odd, where the whole picture is blurred"
    )


class Choice(NamedTuple):
    """Whether objects stay sharp; side of the kernel in pixels if they do not."""

    background: bool
    size: int


def sample(draws: Sequence[float], settings: BlurSettings) -> Choice:
    """Background or whole picture."""
    return Choice(draws[0] < settings.background, settings.size)


def paint(picture: Picture, choice: Choice, boxes: Boxes) -> None:
    """Blur as OpenCV does, sigma following from the kernel's side."""
    size, sharp = plan(choice, boxes)
    if size == 1:
        return
    blurred = cv2.GaussianBlur(picture, (size, size), 0)
    for rows, columns in sharp:
        blurred[rows, columns] = picture[rows, columns]
    picture[:] = blurred


def paint_on_device(picture: "Tensor", choice: Choice, boxes: Boxes) -> None:
    """The same picture to the bit: OpenCV's weights, in integers."""
    import torch

    size, sharp = plan(choice, boxes)
    if size == 1:
        return
    weights = taps(size)
    values = _filtered(_filtered(picture.to(torch.int32), weights, 2), weights, 1)
    blurred = (values + (1 << 15) >> 16).to(torch.uint8)
    for rows, columns in sharp:
        blurred[:, rows, columns] = picture[:, rows, columns]
    picture.copy_(blurred)


def plan(choice: Choice, boxes: Boxes) -> tuple[int, list[tuple[slice, slice]]]:
    """Side of the kernel in pixels, odd; rows and columns of what stays sharp.

    Boxes less than a pixel wide or high are not seen, nor are they here.
    """
    sides = (boxes[:, 2:] - boxes[:, :2]).min(axis=1)
    seen = boxes[sides >= 1.0]
    if not len(seen):
        return _odd(choice.size), []
    if not choice.background:
        return _odd(min(choice.size, int(sides[sides >= 1.0].min()) // 8)), []
    low = np.floor(seen[:, :2]).astype(int).clip(min=0).tolist()
    high = np.ceil(seen[:, 2:]).astype(int).tolist()
    corners = zip(low, high, strict=True)
    return BACKGROUND, [(slice(y0, y1), slice(x0, x1)) for (x0, y0), (x1, y1) in corners]


def _odd(size: int) -> int:
    return size // 2 * 2 + 1


@cache
def taps(size: int) -> tuple[int, ...]:
    """OpenCV's Gaussian of a side, as it rounds it for pictures of bytes: in 1/256.

    It is read from what OpenCV makes of a white line: 255 k/256 rounds to k for all weights below
    a half, and the one in the middle is what the others leave.
    """
    line = np.zeros((1, 3 * size), np.uint8)
    line[0, size + size // 2] = 255
    side = cv2.GaussianBlur(line, (size, size), 0)[0, size : size + size // 2].tolist()
    return (*side, 256 - 2 * sum(side), *reversed(side))


def _filtered(values: "Tensor", weights: tuple[int, ...], axis: int) -> "Tensor":
    """Weighted sums along an axis, mirrored at its ends."""
    import torch

    length = values.shape[axis]
    padded = mirrored(values, len(weights) // 2, axis)
    total = torch.zeros_like(values)
    for start, weight in enumerate(weights):
        total.add_(padded.narrow(axis, start, length), alpha=weight)
    return total


EFFECT = Effect(
    key="blur",
    stage="tile",
    order=40,
    draws=1,
    settings=BlurSettings,
    sample=sample,
    paint=paint,
    paint_on_device=paint_on_device,
)

INGREDIENT = Ingredient(
    key="Blur",
    title="Gaussian blur of the picture or its background",
    family="augmentation",
    sets=(Setting("augment.blur.probability", on=2 / 3, off=0.0, on_classify=0.25),),
    source="darknet src/data.c and src/image_opencv.cpp, blur",
    tasks=("detect", "classify"),
)
