"""Hide-and-Seek: the picture is cut into square patches, and each is hidden by chance.

K. Singh and Y. J. Lee, arXiv:1704.04232: patches of one size, chosen for each picture among
16, 32, 44 and 56 of 224 pixels or no hiding at all ("mixed"); every patch is hidden with
probability 1/2 of its own, under the mean colour of the data set so that the first layer's
expected activation is that of whole pictures (sec. 3); here that of the picture. Done to every
picture there.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from model.effect import Boxes, Effect, EffectSettings, Picture
from model.ingredient import Ingredient, Setting
from model.ingredients._mean import hide, hide_on_device
from model.ingredients._random import numbers, seed_of
from model.section import Fraction

if TYPE_CHECKING:
    from torch import Tensor

PATCHES = (0.0, 16 / 224, 32 / 224, 44 / 224, 56 / 224)


class HideAndSeekSettings(EffectSettings):
    """Hide-and-Seek."""

    patches: Annotated[tuple[Fraction, ...], Field(min_length=1)] = Field(
        PATCHES,
        description="sides to choose from, as fractions of the picture's shorter one; 0: none",
    )
    hidden: Fraction = Field(0.5, description="probability that a patch is hidden")


class Choice(NamedTuple):
    """Seed of the patches, their side as a fraction of the shorter one, share of the hidden."""

    seed: int
    patch: float
    hidden: float


def sample(draws: Sequence[float], settings: HideAndSeekSettings) -> Choice:
    """Choose a size; how many patches that makes is for the picture to say."""
    patch = settings.patches[int(draws[0] * len(settings.patches))]
    return Choice(seed_of(draws[1]), patch, settings.hidden)


def paint(picture: Picture, choice: Choice, _boxes: Boxes) -> None:
    """Hide the patches."""
    height, width = picture.shape[:2]
    if choice.patch > 0.0:
        side, cells = grid(choice, width, height)
        hide(picture, cells[np.arange(height) // side][:, np.arange(width) // side])


def paint_on_device(picture: "Tensor", choice: Choice, _boxes: Boxes) -> None:
    """Hide the patches."""
    import torch

    from model.sending import send

    height, width = picture.shape[1:]
    if choice.patch > 0.0:
        side, cells = grid(choice, width, height)
        rows = torch.arange(height, device=picture.device) // side
        columns = torch.arange(width, device=picture.device) // side
        hide_on_device(picture, send(cells, picture.device)[rows][:, columns])


def grid(choice: Choice, width: int, height: int) -> tuple[int, NDArray[np.bool_]]:
    """Side of the patches in pixels; which are hidden, from the top left."""
    side = max(1, round(choice.patch * min(width, height)))
    shape = (-(-height // side), -(-width // side))
    chances = numbers(choice.seed, shape[0] * shape[1], 32) < choice.hidden * 2.0**32
    return side, chances.reshape(shape)


EFFECT = Effect(
    key="hide_and_seek",
    stage="image",
    order=30,
    draws=2,
    settings=HideAndSeekSettings,
    sample=sample,
    paint=paint,
    paint_on_device=paint_on_device,
)

INGREDIENT = Ingredient(
    key="HaS",
    title="Hide-and-Seek",
    family="augmentation",
    sets=(Setting("augment.hide_and_seek.probability", on=1.0, off=0.0),),
    source="arXiv:2004.10934 sec. 2.2; arXiv:1704.04232",
    tasks=("detect", "classify"),
)
