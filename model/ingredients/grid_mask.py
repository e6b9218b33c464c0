"""GridMask: squares on a regular grid are hidden.

P. Chen et al., arXiv:2001.04086, sec. 3: units of d x d pixels tile the picture from a random
offset on; of each, all but a square of side (1 - r) d stays, so the share 1 - (1 - r)^2 of the
picture is kept. The mask multiplies normalised pictures, where its zero is the mean colour; here
that of the picture is taken. Defaults are those of the authors' code for detection: r 1/2, d from
2 pixels to the shorter side, probability 0.7, no rotation. For ImageNet: r 0.6, d of 96 to 224
of 224 pixels, probability 0.8.

There the probability rises linearly from 0 over most of the training. An effect does not know how
far a training is, so here it is constant.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field

from model.effect import Boxes, Effect, EffectSettings, Picture
from model.ingredient import Ingredient, Setting
from model.ingredients._mean import hide, hide_on_device
from model.section import Fraction

if TYPE_CHECKING:
    from torch import Tensor

SCALE = 2**14
"""Masks are reckoned in whole 1/SCALE of half a pixel, so that all devices agree."""


class GridMaskSettings(EffectSettings):
    """GridMask."""

    ratio: Fraction = Field(0.5, description="kept part of a unit's side, the paper's r")
    unit_min: Fraction = Field(0.0, description="least unit, as a fraction of the shorter side")
    unit_max: Fraction = Field(1.0, description="greatest unit, as a fraction of the shorter side")
    rotate: Annotated[float, Field(ge=0.0, le=360.0)] = Field(
        0.0, description="largest angle in degrees; 0: none"
    )


class Choice(NamedTuple):
    """Unit as a fraction of the shorter side, offset as fractions of it, degrees, kept part."""

    unit: float
    offset: tuple[float, float]
    angle: float
    ratio: float


def sample(draws: Sequence[float], settings: GridMaskSettings) -> Choice:
    """Unit between its bounds, offset anywhere, angle up to the largest."""
    unit = settings.unit_min + (settings.unit_max - settings.unit_min) * draws[0]
    return Choice(unit, (draws[1], draws[2]), settings.rotate * draws[3], settings.ratio)


def paint(picture: Picture, choice: Choice, _boxes: Boxes) -> None:
    """Hide the squares."""
    height, width = picture.shape[:2]
    columns, rows = np.arange(width, dtype=np.int32), np.arange(height, dtype=np.int32)
    hide(picture, squares(choice, columns, rows))


def paint_on_device(picture: "Tensor", choice: Choice, _boxes: Boxes) -> None:
    """Hide the squares."""
    import torch

    height, width = picture.shape[1:]
    columns = torch.arange(width, dtype=torch.int32, device=picture.device)
    rows = torch.arange(height, dtype=torch.int32, device=picture.device)
    hide_on_device(picture, squares(choice, columns, rows))


def squares(choice: Choice, columns: Any, rows: Any) -> Any:
    """Where pixels are hidden.

    Parameters
    ----------
    choice : Choice
    columns, rows : ndarray or Tensor, shape (w,) and (h,), int32
        Counted from 0.

    Returns
    -------
    ndarray or Tensor, shape (h, w), bool
    """
    width, height = len(columns), len(rows)
    unit, kept = unit_px(choice, width, height)
    turn = math.radians(choice.angle)
    cos, sin = round(math.cos(turn) * SCALE), round(math.sin(turn) * SCALE)
    x = (2 * columns + 1 - width)[None, :]  # half pixels from the centre, which rotation keeps
    y = (2 * rows + 1 - height)[:, None]
    shift_x, shift_y = (int(share * unit) * 2 * SCALE for share in choice.offset)
    across = cos * x + sin * y + (width * SCALE + shift_x)
    down = cos * y - sin * x + (height * SCALE + shift_y)
    period, edge = 2 * SCALE * unit, 2 * SCALE * kept
    return (across % period >= edge) & (down % period >= edge)


def unit_px(choice: Choice, width: int, height: int) -> tuple[int, int]:
    """Side of a unit, and how much of it is kept, in pixels; at least one pixel is hidden."""
    unit = max(2, round(choice.unit * min(width, height)))
    return unit, min(max(int(choice.ratio * unit + 0.5), 1), unit - 1)


EFFECT = Effect(
    key="grid_mask",
    stage="image",
    order=40,
    draws=4,
    settings=GridMaskSettings,
    sample=sample,
    paint=paint,
    paint_on_device=paint_on_device,
)

INGREDIENT = Ingredient(
    key="GridMask",
    title="GridMask",
    family="augmentation",
    sets=(Setting("augment.grid_mask.probability", on=0.7, off=0.0),),
    source="arXiv:2004.10934 sec. 2.2; arXiv:2001.04086 sec. 3",
    tasks=("detect", "classify"),
)
