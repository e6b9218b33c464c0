"""CutOut: one square of fixed size is hidden; only its centre must lie on the picture.

T. DeVries and G. Taylor, arXiv:1708.04552, sec. 3: a zero mask, after normalisation about zero so
that batch statistics are hardly touched; here the picture's mean colour, which does the same to
pixels that are not normalised. Done to every picture there. The square's side is 1/2 of the
picture's for CIFAR-10, 1/4 for CIFAR-100, which the paper explains by the details that tell many
classes apart; 1/4 is also what leaves most objects of a detector's picture to be found.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from pydantic import Field

from model.effect import Boxes, Effect, EffectSettings, Picture
from model.ingredient import Ingredient, Setting
from model.ingredients._mean import mean_colour, mean_colour_on_device
from model.section import Fraction

if TYPE_CHECKING:
    from torch import Tensor


class CutoutSettings(EffectSettings):
    """CutOut."""

    side: Fraction = Field(0.25, description="of the square, as a fraction of the shorter side")


class Choice(NamedTuple):
    """Centre, as fractions of width and height; side, as a fraction of the shorter one."""

    x: float
    y: float
    side: float


def sample(draws: Sequence[float], settings: CutoutSettings) -> Choice:
    """Centre anywhere."""
    return Choice(draws[0], draws[1], settings.side)


def paint(picture: Picture, choice: Choice, _boxes: Boxes) -> None:
    """Hide the square."""
    rows, columns = square(choice, picture.shape[1], picture.shape[0])
    picture[rows, columns] = mean_colour(picture)


def paint_on_device(picture: "Tensor", choice: Choice, _boxes: Boxes) -> None:
    """Hide the square."""
    rows, columns = square(choice, picture.shape[2], picture.shape[1])
    picture[:, rows, columns] = mean_colour_on_device(picture)


def square(choice: Choice, width: int, height: int) -> tuple[slice, slice]:
    """Rows and columns of the square, as far as they are on the picture."""
    side = round(choice.side * min(width, height))
    left, top = int(choice.x * width) - side // 2, int(choice.y * height) - side // 2
    return slice(max(top, 0), max(top + side, 0)), slice(max(left, 0), max(left + side, 0))


EFFECT = Effect(
    key="cutout",
    stage="image",
    order=20,
    draws=2,
    settings=CutoutSettings,
    sample=sample,
    paint=paint,
    paint_on_device=paint_on_device,
)

INGREDIENT = Ingredient(
    key="CutOut",
    title="CutOut",
    family="augmentation",
    sets=(Setting("augment.cutout.probability", on=1.0, off=0.0),),
    source="arXiv:2004.10934 sec. 2.2; arXiv:1708.04552 sec. 3",
    tasks=("detect", "classify"),
)
