"""Random Erasing: a rectangle of random area, shape and place is overwritten.

Z. Zhong et al., arXiv:1708.04896, algorithm 1: area U(sl, sh) of the picture's, aspect
U(r1, 1/r1), corner anywhere; drawn anew until it lies inside, here at most a hundred times as in
the authors' code, after which nothing is erased (very long regions have no such rectangle). For
detection the region is the picture (IRE), the box of every object in turn (ORE) or both (I+ORE);
here the probability is that of the picture, and all its regions share it.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from model.effect import Boxes, Effect, EffectSettings, Picture
from model.ingredient import Ingredient, Setting
from model.ingredients._mean import mean_colour, mean_colour_on_device
from model.ingredients._random import numbers, numbers_on_device, seed_of
from model.section import Fraction

if TYPE_CHECKING:
    from torch import Tensor

Where = Literal["image", "objects", "both"]
Fill = Literal["random", "mean"]
TRIES = 100


class EraseSettings(EffectSettings):
    """Random Erasing."""

    where: Where = Field("image", description="where rectangles lie: IRE, ORE, I+ORE")
    fill: Fill = Field("random", description="random pixels, or the picture's mean colour")
    area_min: Fraction = Field(0.02, description="least area, as a fraction of the region's")
    area_max: Fraction = Field(0.4, description="greatest area, as a fraction of the region's")
    aspect: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        0.3, description="least height over width; the greatest is its inverse"
    )


class Choice(NamedTuple):
    """Seed of rectangles and pixels, and the settings."""

    seed: int
    where: Where
    fill: Fill
    area: tuple[float, float]
    aspect: float


class Rectangle(NamedTuple):
    """What is erased, in pixels, and the seed of its pixels."""

    x0: int
    y0: int
    x1: int
    y1: int
    seed: int


def sample(draws: Sequence[float], settings: EraseSettings) -> Choice:
    """A seed: how many numbers are needed is not known before one fits."""
    area = (settings.area_min, settings.area_max)
    return Choice(seed_of(draws[0]), settings.where, settings.fill, area, settings.aspect)


def paint(picture: Picture, choice: Choice, boxes: Boxes) -> None:
    """Erase in turn."""
    mean = mean_colour(picture) if choice.fill == "mean" else None
    for x0, y0, x1, y1, seed in rectangles(choice, boxes, picture.shape[1], picture.shape[0]):
        part = picture[y0:y1, x0:x1]
        part[:] = numbers(seed, part.size, 8).reshape(part.shape) if mean is None else mean


def paint_on_device(picture: "Tensor", choice: Choice, boxes: Boxes) -> None:
    """Erase in turn."""
    mean = mean_colour_on_device(picture) if choice.fill == "mean" else None
    for x0, y0, x1, y1, seed in rectangles(choice, boxes, picture.shape[2], picture.shape[1]):
        part = picture[:, y0:y1, x0:x1]
        if mean is None:
            pixels = numbers_on_device(seed, part.numel(), 8, picture.device)
            part.copy_(pixels.view(y1 - y0, x1 - x0, 3).permute(2, 0, 1))
        else:
            part.copy_(mean.expand_as(part))


def rectangles(choice: Choice, boxes: Boxes, width: int, height: int) -> Iterator[Rectangle]:
    """What is erased of a picture: the same for both painters."""
    regions = []
    if choice.where != "objects":
        regions.append((0, 0, width, height))
    if choice.where != "image":
        limits = np.array((width, height, width, height))
        regions += [tuple(box) for box in np.rint(boxes).astype(int).clip(0, limits).tolist()]
    seeds = numbers(choice.seed, 2 * len(regions), 32).reshape(-1, 2).tolist()
    for (x0, y0, x1, y1), (place, pixels) in zip(regions, seeds, strict=True):
        found = _inside(place, choice, x1 - x0, y1 - y0)
        if found is not None:
            x, y, across, down = found
            yield Rectangle(x0 + x, y0 + y, x0 + x + across, y0 + y + down, pixels)


def _inside(seed: int, choice: Choice, width: int, height: int) -> tuple[int, ...] | None:
    """Left, top, width and height of the first rectangle that fits into a region, if any."""
    area, aspect, at_x, at_y = numbers(seed, 4 * TRIES, 32).reshape(4, TRIES) / 2**32
    areas = _between(area, *choice.area) * (width * height)
    aspects = _between(aspect, choice.aspect, 1.0 / choice.aspect)
    down, across = np.rint(np.sqrt(areas * aspects)), np.rint(np.sqrt(areas / aspects))
    left, top = np.floor(at_x * width), np.floor(at_y * height)
    fits = (left + across <= width) & (top + down <= height)
    if not fits.any():
        return None
    first = int(fits.argmax())
    return tuple(int(each[first]) for each in (left, top, across, down))


def _between(draws: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    return low + (high - low) * draws


EFFECT = Effect(
    key="erase",
    stage="image",
    order=10,
    draws=1,
    settings=EraseSettings,
    sample=sample,
    paint=paint,
    paint_on_device=paint_on_device,
)

INGREDIENT = Ingredient(
    key="Erase",
    title="Random Erasing",
    family="augmentation",
    sets=(Setting("augment.erase.probability", on=0.5, off=0.0),),
    source="arXiv:2004.10934 sec. 2.2; arXiv:1708.04896 algorithm 1",
    tasks=("detect", "classify"),
)
