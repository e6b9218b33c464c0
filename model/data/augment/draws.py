"""Random numbers of the augmentation: a stream for each ingredient, found by position."""

import zlib

import numpy as np
from numpy.typing import NDArray

_BLOCK = 64  # positions drawn at once: few generators to set up, little to keep
_KEPT = 256  # blocks, of all streams together


class EpochDraws:
    """Uniform numbers in [0, 1) for every position of an epoch.

    The numbers of a stream depend on nothing but seed, epoch, the stream's name and the position:
    not on which other streams are asked for, nor in which order or by whom.

    Parameters
    ----------
    seed, epoch : int
        Not negative.
    """

    def __init__(self, seed: int, epoch: int) -> None:
        self.seed = seed
        self.epoch = epoch
        self._blocks: dict[tuple[str, int], list[list[list[float]]]] = {}

    def at(self, name: str, position: int, width: int, slots: int = 1) -> list[list[float]]:
        """Draws of one stream at a position: `slots` lists of `width` numbers.

        A stream is always to be asked for the same width and slots.
        """
        key = (name, position // _BLOCK)
        block = self._blocks.get(key)
        if block is None:
            if len(self._blocks) >= _KEPT:
                self._blocks.clear()
            shape = (_BLOCK, slots, width)
            block = _generator(self.seed, self.epoch, name, key[1]).random(shape).tolist()
            self._blocks[key] = block
        return block[position % _BLOCK]


def epoch_order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """Shuffled indices 0..count-1 of an epoch, from a stream of their own."""
    return _generator(seed, epoch, "order", 0).permutation(count)


def _generator(seed: int, epoch: int, name: str, block: int) -> np.random.Generator:
    key = (epoch, zlib.crc32(name.encode()), block)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
