"""One mini-batch of training, as plain arrays."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.data.batch_plan import MiniBatch


@dataclass(frozen=True, eq=False)
class Batch:
    """One mini-batch of training.

    Attributes
    ----------
    images : ndarray, shape (B, 3, H, W), uint8, RGB, contiguous
    targets : ndarray, shape (M, 6), float32
        Image index in the batch, class, then centre x, centre y, width, height as fractions of
        the image.
    step : MiniBatch
        Its place in the plan of the epoch.
    """

    images: NDArray[np.uint8]
    targets: NDArray[np.float32]
    step: MiniBatch
