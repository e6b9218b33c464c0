"""Bilateral blur: neighbours count the less, the more their colour differs, so edges stay.

It is what arXiv:2004.10934 says it trains its classifier with (sec. 4.2, Table 2 "Bluring").
Darknet's code has that call in a comment, with both widths 75, beside the Gaussian that it does
instead to one picture in four, 15 x 15 pixels; those numbers are taken here. The filter is that of
C. Tomasi and R. Manduchi, Bilateral Filtering for Gray and Color Images, ICCV 1998, with OpenCV's
distance of colours, the sum of the channels' differences.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, NamedTuple

import cv2
from pydantic import Field

from model.effect import Boxes, Effect, EffectSettings, Picture
from model.ingredient import Ingredient, Setting
from model.ingredients._mirror import mirrored
from model.section import Positive

if TYPE_CHECKING:
    from torch import Tensor


class BilateralSettings(EffectSettings):
    """Bilateral blur."""

    size: Annotated[int, Field(ge=3, le=63)] = Field(
        15, description="diameter of the neighbourhood in pixels, made odd"
    )
    sigma_colour: Positive = Field(75.0, description="width in colour, grey levels")
    sigma_space: Positive = Field(75.0, description="width in space, pixels")


class Choice(NamedTuple):
    """Radius in pixels, widths in grey levels and pixels."""

    radius: int
    sigma_colour: float
    sigma_space: float


def sample(_draws: Sequence[float], settings: BilateralSettings) -> Choice:
    """Nothing is random but whether it is done."""
    return Choice(settings.size // 2, settings.sigma_colour, settings.sigma_space)


def paint(picture: Picture, choice: Choice, _boxes: Boxes) -> None:
    """Blur by OpenCV."""
    side = 2 * choice.radius + 1
    picture[:] = cv2.bilateralFilter(picture, side, choice.sigma_colour, choice.sigma_space)


def paint_on_device(picture: "Tensor", choice: Choice, _boxes: Boxes) -> None:
    """Add up one neighbour after the other, for all pixels at once."""
    import torch

    height, width = picture.shape[1:]
    radius = choice.radius
    padded = mirrored(mirrored(picture.to(torch.float32), radius, 1), radius, 2)
    centre = padded[:, radius : radius + height, radius : radius + width]
    total, weights = torch.zeros_like(centre), torch.zeros_like(centre[0])
    for dy, dx in _disc(radius):
        near = padded[:, radius + dy :, radius + dx :][:, :height, :width]
        distance = (near - centre).abs_().sum(0)
        exponent = distance.square_().mul_(-0.5 / choice.sigma_colour**2)
        weight = exponent.sub_(0.5 * (dx * dx + dy * dy) / choice.sigma_space**2).exp_()
        total.addcmul_(near, weight)
        weights += weight
    picture.copy_(total.div_(weights).round_())


def _disc(radius: int) -> Iterator[tuple[int, int]]:
    """Offsets (rows, columns) of the pixels within a radius."""
    span = range(-radius, radius + 1)
    return ((y, x) for y in span for x in span if x * x + y * y <= radius * radius)


EFFECT = Effect(
    key="bilateral",
    stage="tile",
    order=50,
    draws=0,
    settings=BilateralSettings,
    sample=sample,
    paint=paint,
    paint_on_device=paint_on_device,
)

INGREDIENT = Ingredient(
    key="Bilateral",
    title="bilateral blur, which keeps edges",
    family="augmentation",
    sets=(Setting("augment.bilateral.probability", on=0.25, off=0.0),),
    source="arXiv:2004.10934 sec. 4.2, Table 2; darknet src/image_opencv.cpp",
    tasks=("detect", "classify"),
)
