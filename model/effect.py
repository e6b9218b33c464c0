"""Effects: augmentations that repaint a picture and leave its boxes where they are.

An effect is one file of `model/ingredients`: its settings, how a random choice is drawn from them
and how that choice is painted, by OpenCV and on the training device. The `augment` section of the
training configuration has one subsection for each effect found there, and both pixel back ends
paint whatever effects that section turns on, so nothing else has to be edited for a new one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from model.section import Fraction, Section

if TYPE_CHECKING:
    from torch import Tensor

Picture = NDArray[np.uint8]
Boxes = NDArray[np.float32]


class EffectSettings(Section):
    """Settings of an effect; a probability of 0 turns it off exactly."""

    probability: Fraction = Field(0.0, description="share of the pictures that get it")


@dataclass(frozen=True)
class Effect:
    """One augmentation of the pixels.

    Attributes
    ----------
    key : str
        Its subsection of `augment`, and the name of its random stream.
    stage : "tile" or "image"
        Whether it is done to each source picture, where that lies on the canvas, or to the whole
        training image once all sources (of a mosaic, say) are on it.
    order : int
        Effects of one stage follow each other in this order, which is a part of every result.
    draws : int
        Uniform numbers that `sample` needs.
    settings : type of EffectSettings
    sample : callable of (draws, settings) -> choice
        Settles what is done, from `draws` numbers in [0, 1), in terms that do not depend on the
        size of the picture (fractions of its sides, for example). The choice is made of plain
        values and can be pickled and compared. Whether the effect is done at all has been
        settled by then.
    paint : callable of (picture, choice, boxes)
        Does it to a uint8 picture (h, w, 3), RGB, in place. `boxes` (N, 4) float32 are corners in
        pixels of that picture, for effects that look at objects; they stay as they are.
    paint_on_device : callable of (picture, choice, boxes)
        The same to a uint8 tensor (3, h, w) on any device, in place: equal within rounding.
    """

    key: str
    stage: Literal["tile", "image"]
    order: int
    draws: int
    settings: type[EffectSettings]
    sample: Callable[[Sequence[float], Any], Any]
    paint: Callable[[Picture, Any, Boxes], None]
    paint_on_device: "Callable[[Tensor, Any, Boxes], None]"
