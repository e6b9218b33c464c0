"""The mini-batches of an epoch: where each begins, how many images it has, and how large."""

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from model.config import TrainConfig
from model.errors import ConfigurationError

STRIDE_PX = 32


@dataclass(frozen=True)
class MiniBatch:
    """One mini-batch of an epoch's plan.

    Attributes
    ----------
    start : int
        Its first position in the order of the epoch.
    count : int
        Its images.
    size_px : int
        Width and height of the network's input, a multiple of 32.
    batch_images : int
        Images of the whole batch that it belongs to, by which the loss is divided.
    first, last : bool
        Whether it opens its batch, and whether the update follows it.
    """

    start: int
    count: int
    size_px: int
    batch_images: int
    first: bool
    last: bool


def plan_epoch(
    config: TrainConfig, size_px: int, images: int, epoch: int
) -> tuple[MiniBatch, ...]:
    """Mini-batches of an epoch, in order; a pure function of its arguments.

    With random shapes the size is drawn anew every `shapes.every` updates, counted within the
    epoch. The first draw of a training and its end take the largest size. darknet's end is the
    last 100 iterations; `shapes.last` is a fraction of the training, for trainings of any length.

    A dynamic mini-batch is larger where the size is smaller, and with it the batch. The images
    of an epoch stay the same, and its last batch takes what is left.

    Parameters
    ----------
    config : TrainConfig
        Its `seed`, `epochs`, `batch_size`, `subdivisions`, `batch_policy` and `shapes` are used.
    size_px : int
        The network's size, a multiple of 32.
    images : int
        Pictures to train on, at least 1.
    epoch : int
        Counted from 0.

    References
    ----------
    darknet's detector.c (random, dynamic_minibatch).
    """
    positions = epoch_positions(config, images)
    sizes = _sizes(config, size_px, epoch)
    steps: list[MiniBatch] = []
    size, update, done = size_px, 0, 0
    while done < positions:
        if update % config.shapes.every == 0:
            size = next(sizes)
        at_the_end = progress_of(config, positions, epoch, done) >= 1 - config.shapes.last
        now = largest_size(config, size_px) if at_the_end else size
        whole = min(_mini_batch(config, size_px, now) * config.subdivisions, positions - done)
        steps += _cut(done, whole, now, min(config.subdivisions, whole))
        update, done = update + 1, done + whole
    return tuple(steps)


def epoch_positions(config: TrainConfig, images: int) -> int:
    """Images that an epoch trains on: whole batches of `batch_size`, one at the least.

    What is left over is left out; a set smaller than one batch fills one by repetition.
    """
    return max(1, images // config.batch_size) * config.batch_size


def progress_of(config: TrainConfig, positions: int, epoch: int, done: int) -> float:
    """Fraction of the training that is done after `done` of an epoch's `positions` images."""
    return (epoch * positions + done) / (config.epochs * positions)


def fixed_mini_batch(config: TrainConfig) -> int:
    """Images of a mini-batch of fixed size.

    Raises
    ------
    ConfigurationError
        If a batch cannot be cut into equal mini-batches.
    """
    if config.batch_size % config.subdivisions:
        raise ConfigurationError(
            f"a batch of {config.batch_size} cannot be cut into {config.subdivisions} equal "
            "mini-batches",
            "subdivisions",
            "take a divisor of batch_size",
        )
    return config.batch_size // config.subdivisions


def largest_size(config: TrainConfig, size_px: int) -> int:
    """Largest width and height of the network's input, for a network of `size_px`."""
    if config.shapes.range == 1:
        return size_px
    return _size_at(config.shapes.range, size_px)


def smallest_size(config: TrainConfig, size_px: int) -> int:
    """Smallest width and height of the network's input, for a network of `size_px`."""
    return _size_at(1 / config.shapes.range, size_px) if config.shapes.range > 1 else size_px


def _sizes(config: TrainConfig, size_px: int, epoch: int) -> Iterator[int]:
    """Drawn sizes of an epoch, one after the other, without end."""
    largest = largest_size(config, size_px)
    stream = np.random.SeedSequence(config.seed, spawn_key=(epoch, zlib.crc32(b"shapes")))
    rng = np.random.default_rng(stream)
    if epoch == 0:
        yield largest  # a network that does not fit into memory fails at once
    while True:
        factor = rng.uniform(1.0, config.shapes.range)
        drawn = _size_at(factor if rng.random() < 0.5 else 1 / factor, size_px)
        yield min(drawn, largest)


def _size_at(factor: float, size_px: int) -> int:
    """Rounded as darknet does: a whole step is added, but none is larger that shall be smaller."""
    size = math.floor(factor * size_px / STRIDE_PX + 1 + 0.5) * STRIDE_PX
    return min(size, size_px) if factor < 1 else size


def _mini_batch(config: TrainConfig, size_px: int, now_px: int) -> int:
    """Images of a mini-batch at `now_px`; a dynamic one fills a fifth less than memory allows."""
    usual = fixed_mini_batch(config)
    if config.batch_policy == "fixed":
        return usual
    room = usual * largest_size(config, size_px) ** 2
    cautious = 4 * room // (5 * now_px**2)
    return cautious if cautious > usual else room // now_px**2


def _cut(start: int, whole: int, size_px: int, parts: int) -> Iterator[MiniBatch]:
    """Mini-batches of one batch, as equal as can be, the larger ones first."""
    least, more = divmod(whole, parts)
    for part in range(parts):
        count = least + (part < more)
        yield MiniBatch(start, count, size_px, whole, part == 0, part == parts - 1)
        start += count
