"""Random numbers that the two painters of an effect draw alike.

The n-th number of a seed is a function of seed and n alone: no state, so every device computes
any part of the stream at once. The function is a 32-bit integer hash of two multiplications
("lowbias32", C. Wellons, Prospecting for Hash Functions, 2018), applied to n, then to the result
with the seed's bits flipped into it, so that two seeds give no permutations of one another.
"""

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Bits = Literal[8, 16, 32]

_FIRST, _SECOND = 0x7FEB352D, 0x846CA68B
_WORD = 0xFFFFFFFF


def seed_of(draw: float) -> int:
    """The 32-bit seed that a uniform number in [0, 1) stands for."""
    return int(draw * 2**32)


def numbers(seed: int, count: int, bits: Bits) -> NDArray[np.unsignedinteger]:
    """The first `count` numbers of a seed, uniform over all values of so many bits.

    Parameters
    ----------
    seed : int
        In [0, 2**32).
    count : int
    bits : 8, 16 or 32
        Numbers of fewer bits are cut from words of 32, the lowest bits first.

    Returns
    -------
    ndarray, shape (count,), unsigned integers of `bits` bits
    """
    words = np.arange(-(-count * bits // 32), dtype=np.uint32)
    _mix(words)
    words ^= np.uint32(seed)
    _mix(words)
    parts: NDArray[np.unsignedinteger] = words.astype("<u4", copy=False).view(f"<u{bits // 8}")
    return parts[:count]


def _mix(words: NDArray[np.uint32]) -> None:
    """Hash each word, in place."""
    words ^= words >> np.uint32(16)
    words *= np.uint32(_FIRST)
    words ^= words >> np.uint32(15)
    words *= np.uint32(_SECOND)
    words ^= words >> np.uint32(16)


def numbers_on_device(seed: int, count: int, bits: Bits, device: "torch.device") -> "Tensor":
    """As `numbers`, on any device.

    Returns
    -------
    Tensor, shape (count,), int64
    """
    import torch

    words = torch.arange(-(-count * bits // 32), device=device)
    words = _mixed_on_device(_mixed_on_device(words) ^ seed)
    if bits == 32:
        return words
    shifts = torch.arange(0, 32, bits, device=device)
    return (words[:, None] >> shifts & 2**bits - 1).flatten()[:count]


def _mixed_on_device(words: "Tensor") -> "Tensor":
    words = words ^ words >> 16
    words = words * _FIRST & _WORD
    words = words ^ words >> 15
    words = words * (_SECOND - 2**32) & _WORD  # negative: the product stays within 64 bits
    return words ^ words >> 16
