"""OpenCV's default border, on any device."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def mirrored(values: "Tensor", reach: int, axis: int) -> "Tensor":
    """Continue an axis by `reach` at both ends, mirrored without repeating the last pixel."""
    import torch

    length = values.shape[axis]
    period = max(2 * (length - 1), 1)  # a mirror at either end: the picture repeats after this
    index = torch.arange(-reach, length + reach, device=values.device).abs() % period
    return values.index_select(axis, torch.minimum(index, period - index))
