"""Random contrast: grey levels move away from the picture's mean grey, or towards it.

A. Howard, arXiv:1312.5402, the additional colour manipulations of its training: PIL's contrast,
which scales about the mean grey of the picture, by a factor between 0.5 and 1.5. SSD
(arXiv:1512.02325, sec. 2.2) cites it for its photometric distortions and has the same factors for
one picture in two, but its code scales about black; that changes little but the brightness, which
`augment.exposure` does already, and is not what is meant here.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from pydantic import Field

from model.effect import Boxes, Effect, EffectSettings, Picture
from model.ingredient import Ingredient, Setting
from model.section import Fraction

if TYPE_CHECKING:
    from torch import Tensor

GREY = (299, 587, 114)
"""Thousandths of red, green and blue in a grey (ITU-R BT.601)."""


class ContrastSettings(EffectSettings):
    """Random contrast."""

    strength: Fraction = Field(0.5, description="the factor is between 1 - strength and 1 + it")


class Choice(NamedTuple):
    """What distances from the mean grey are multiplied by."""

    factor: float


def sample(draws: Sequence[float], settings: ContrastSettings) -> Choice:
    """Factor from U(1 - strength, 1 + strength)."""
    return Choice(1.0 + (2.0 * draws[0] - 1.0) * settings.strength)


def paint(picture: Picture, choice: Choice, _boxes: Boxes) -> None:
    """Scale about the mean grey and clip."""
    sums = cv2.sumElems(picture)
    weight = 1000 * picture.shape[0] * picture.shape[1]
    total = sum(share * int(part) for share, part in zip(GREY, sums, strict=False))
    mean = np.float32((2 * total + weight) // (2 * weight))
    levels = np.arange(256, dtype=np.float32)
    table = np.rint((levels - mean) * np.float32(choice.factor) + mean)
    cv2.LUT(picture, np.clip(table, 0, 255).astype(np.uint8), dst=picture)


def paint_on_device(picture: "Tensor", choice: Choice, _boxes: Boxes) -> None:
    """Scale about the mean grey and clip."""
    import torch

    weight = 1000 * picture.shape[1] * picture.shape[2]
    sums = picture.sum((1, 2), dtype=torch.int64)
    total = sum(share * part for share, part in zip(GREY, sums, strict=True))
    mean = torch.as_tensor((2 * total + weight) // (2 * weight)).float()
    levels = torch.arange(256, dtype=torch.float32, device=picture.device)
    table = ((levels - mean) * choice.factor + mean).round_().clamp_(0, 255).to(torch.uint8)
    picture.copy_(table[picture.int()])


EFFECT = Effect(
    key="contrast",
    stage="tile",
    order=20,
    draws=1,
    settings=ContrastSettings,
    sample=sample,
    paint=paint,
    paint_on_device=paint_on_device,
)

INGREDIENT = Ingredient(
    key="Contrast",
    title="random contrast about the mean grey",
    family="augmentation",
    sets=(Setting("augment.contrast.probability", on=0.5, off=0.0),),
    source="arXiv:2004.10934 sec. 2.2; arXiv:1312.5402",
    tasks=("detect", "classify"),
)
