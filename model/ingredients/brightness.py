"""Random brightness: the same number of grey levels is added to every pixel.

SSD's photometric distortion (arXiv:1512.02325, sec. 2.2, Data augmentation; 32 levels and one
picture in two are those of its released training).
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


class BrightnessSettings(EffectSettings):
    """Random brightness."""

    delta: Fraction = Field(32 / 255, description="largest shift to either side, of a range of 1")


class Choice(NamedTuple):
    """Grey levels that are added."""

    levels: int


def sample(draws: Sequence[float], settings: BrightnessSettings) -> Choice:
    """Shift by U(-delta, delta) of the range, in whole grey levels."""
    return Choice(round((2.0 * draws[0] - 1.0) * settings.delta * 255.0))


def paint(picture: Picture, choice: Choice, _boxes: Boxes) -> None:
    """Add the levels and clip."""
    table = np.clip(np.arange(256) + choice.levels, 0, 255).astype(np.uint8)
    cv2.LUT(picture, table, dst=picture)


def paint_on_device(picture: "Tensor", choice: Choice, _boxes: Boxes) -> None:
    """Add the levels and clip."""
    import torch

    picture.copy_((picture.to(torch.int16) + choice.levels).clamp_(0, 255))


EFFECT = Effect(
    key="brightness",
    stage="tile",
    order=10,
    draws=1,
    settings=BrightnessSettings,
    sample=sample,
    paint=paint,
    paint_on_device=paint_on_device,
)

INGREDIENT = Ingredient(
    key="Brightness",
    title="random brightness, added",
    family="augmentation",
    sets=(Setting("augment.brightness.probability", on=0.5, off=0.0),),
    source="arXiv:2004.10934 sec. 2.2; arXiv:1512.02325 sec. 2.2",
    tasks=("detect", "classify"),
)
