"""The mean colour of a picture, and hiding parts of a picture under it.

Papers hide pixels under the mean colour of the data set, or under a zero that means the same
because it is set after normalisation: the expected input stays as it was. An effect knows one
picture only and its network takes pixels as they are, so it hides them under the picture's own
mean, whose expectation is that of the data set.
"""

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from model.effect import Picture

if TYPE_CHECKING:
    from torch import Tensor


def mean_colour(picture: Picture) -> NDArray[np.uint8]:
    """Mean of each channel of a picture (h, w, 3), rounded half up; shape (3,)."""
    count = picture.shape[0] * picture.shape[1]
    sums = np.array(cv2.sumElems(picture)[:3]).astype(np.int64)  # exact: integers below 2**53
    return ((2 * sums + count) // (2 * count)).astype(np.uint8)


def mean_colour_on_device(picture: "Tensor") -> "Tensor":
    """The same of a tensor (3, h, w); shape (3, 1, 1), uint8."""
    import torch

    count = picture.shape[1] * picture.shape[2]
    sums = picture.sum((1, 2), keepdim=True, dtype=torch.int64)
    return ((2 * sums + count) // (2 * count)).to(torch.uint8)


def hide(picture: Picture, hidden: NDArray[np.bool_]) -> None:
    """Put the mean colour where `hidden` (h, w) is true, in place."""
    colour = np.empty_like(picture)
    colour[:] = mean_colour(picture)
    cv2.copyTo(colour, hidden.view(np.uint8), picture)


def hide_on_device(picture: "Tensor", hidden: "Tensor") -> None:
    """The same to a tensor (3, h, w)."""
    import torch

    picture.copy_(torch.where(hidden, mean_colour_on_device(picture), picture))
