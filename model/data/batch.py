"""One mini-batch of training, as plain arrays."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Batch:
    """One mini-batch of training.

    Attributes
    ----------
    images : ndarray, shape (B, 3, H, W), uint8, RGB, contiguous
    targets : ndarray, shape (M, 6), float32
        Image index in the batch, class, then centre x, centre y, width, height as fractions of
        the image.
    """

    images: NDArray[np.uint8]
    targets: NDArray[np.float32]
