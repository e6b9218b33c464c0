"""Gaussian noise, of its own for every pixel and channel (darknet's `gaussian_noise`).

AlexeyAB/darknet src/data.c and src/image_opencv.cpp: one picture in two; the key is the standard
deviation in grey levels, at most 127. Its noise is held in unsigned bytes, which turns every
negative value into 0, so there it can only brighten; that accident is not kept.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from model.effect import Boxes, Effect, EffectSettings, Picture
from model.ingredient import Ingredient, Setting
from model.ingredients._random import numbers, numbers_on_device, seed_of

if TYPE_CHECKING:
    from torch import Tensor

BITS: Final = 16


class NoiseSettings(EffectSettings):
    """Gaussian noise."""

    sigma: Annotated[float, Field(ge=0.0, le=127.0)] = Field(
        10.0, description="standard deviation in grey levels; no published cfg sets one"
    )


class Choice(NamedTuple):
    """Seed of the field, standard deviation in grey levels."""

    seed: int
    sigma: float


def sample(draws: Sequence[float], settings: NoiseSettings) -> Choice:
    """A field of its own for each picture."""
    return Choice(seed_of(draws[0]), settings.sigma)


@lru_cache(maxsize=8)
def quantiles(sigma: float) -> NDArray[np.int16]:
    """The normal distribution as a table: whole grey levels, each as often as it is probable.

    A uniform index into it gives N(0, sigma^2) rounded to whole levels, cut where the tails hold
    less than half of 2**-16.

    Returns
    -------
    ndarray, shape (2**16,), rising
    """
    last = math.ceil(6.0 * sigma) + 1
    edges = np.arange(-last, last) + 0.5
    scale = 1.0 / max(sigma * math.sqrt(2.0), 1e-9)
    below = [0.5 + 0.5 * math.erf(edge * scale) for edge in edges.tolist()]
    counts = np.diff(np.rint(np.array([0.0, *below, 1.0]) * 2**BITS).astype(np.int64))
    return np.repeat(np.arange(-last, last + 1, dtype=np.int16), counts)


def paint(picture: Picture, choice: Choice, _boxes: Boxes) -> None:
    """Add the field and clip."""
    index = numbers(choice.seed, picture.size, BITS)
    field = np.take(quantiles(choice.sigma), index).reshape(picture.shape)
    cv2.add(picture, field, dst=picture, dtype=cv2.CV_8U)


def paint_on_device(picture: "Tensor", choice: Choice, _boxes: Boxes) -> None:
    """Add the field and clip."""
    from model.sending import send

    index = numbers_on_device(choice.seed, picture.numel(), BITS, picture.device)
    table = send(quantiles(choice.sigma), picture.device)
    height, width = picture.shape[1:]
    field = table[index].view(height, width, 3).permute(2, 0, 1)
    picture.copy_((picture + field).clamp_(0, 255))


EFFECT = Effect(
    key="noise",
    stage="tile",
    order=30,
    draws=1,
    settings=NoiseSettings,
    sample=sample,
    paint=paint,
    paint_on_device=paint_on_device,
)

INGREDIENT = Ingredient(
    key="Noise",
    title="Gaussian noise",
    family="augmentation",
    sets=(Setting("augment.noise.probability", on=0.5, off=0.0),),
    source="arXiv:2004.10934 sec. 2.2; darknet src/image_opencv.cpp, gaussian_noise",
    tasks=("detect", "classify"),
)
