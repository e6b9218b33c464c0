"""All pictures of a training set, held on the device that trains."""

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray

from model.data.augment.opencv import mean_colour
from model.data.cache import shrunk_wh
from model.data.recipe import Recipe, Size
from model.effect import Picture
from model.errors import DataError

CHUNK_BYTES = 64 << 20
"""Pictures are decoded and sent in chunks of about this size, so the host never holds them all."""

THREADS = 8
"""That decode; OpenCV does so outside of Python's lock."""


class DevicePictures:
    """Pictures of a recipe, decoded once and kept on a device.

    Every picture is followed by one pixel of its mean colour, which fills what lies outside of it;
    so an address is all that a painter needs to find a colour.

    Parameters
    ----------
    recipe : Recipe
        Gives the pictures; it is not kept.
    device : torch.device
    sizes_wh : sequence of (width, height), optional
        Of all the recipe's pictures. Without them each picture is looked at twice, which decodes
        it twice unless the recipe's cache holds it.

    Attributes
    ----------
    pixels : Tensor, shape (N, 3), uint8
        Rows of one picture after the other.
    sizes_wh : tuple of (width, height)
    starts : tuple of int
        Address of each picture's first pixel in `pixels`.
    """

    def __init__(
        self, recipe: Recipe, device: torch.device, sizes_wh: Sequence[Size] | None = None
    ) -> None:
        if sizes_wh is None:
            sizes_wh = measured_sizes(recipe)
        if len(sizes_wh) != recipe.count:
            raise ValueError(f"{len(sizes_wh)} sizes for {recipe.count} pictures")
        self.sizes_wh = tuple(sizes_wh)
        counts = [0, *(width * height + 1 for width, height in sizes_wh)]
        starts = np.cumsum(counts).tolist()
        self.starts: tuple[int, ...] = tuple(starts[:-1])
        self.pixels = torch.empty((starts[-1], 3), dtype=torch.uint8, device=device)
        self._fill(recipe)

    @property
    def device(self) -> torch.device:
        """Where the pixels are."""
        return self.pixels.device

    def size_wh(self, member: int) -> Size:
        """Width and height of a picture."""
        return self.sizes_wh[member]

    def _fill(self, recipe: Recipe) -> None:
        with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
            for members in _chunks(self.sizes_wh):
                parts = list(pool.map(lambda member: self._flat(recipe, member), members))
                start = self.starts[members.start]
                chunk = torch.from_numpy(np.concatenate(parts))
                self.pixels[start : start + len(chunk)].copy_(chunk)

    def _flat(self, recipe: Recipe, member: int) -> NDArray[np.uint8]:
        """Pixels (W * H + 1, 3) of a picture, the last one its mean."""
        picture = recipe.picture(member)
        if _size_of(picture) != tuple(self.sizes_wh[member]):
            raise DataError(
                f"picture {member} is of another size than was said: "
                f"{_size_of(picture)}, not {self.sizes_wh[member]}",
                "",
                "correct width and height in the annotations",
            )
        mean = mean_colour(picture).round().astype(np.uint8)
        return np.concatenate([picture.reshape(-1, 3), mean[None]])


def _size_of(picture: Picture) -> Size:
    height, width = picture.shape[:2]
    return width, height


def _chunks(sizes_wh: Sequence[Size]) -> Iterator[range]:
    """Members that are sent together."""
    first, held = 0, 0
    for member, (width, height) in enumerate(sizes_wh):
        size = 3 * width * height
        if held and held + size > CHUNK_BYTES:
            yield range(first, member)
            first, held = member, 0
        held += size
    yield range(first, len(sizes_wh))


def bytes_on_device(sizes_wh: Sequence[Size]) -> int:
    """Bytes that `DevicePictures` of these sizes take."""
    return sum(3 * (width * height + 1) for width, height in sizes_wh)


def fits(sizes_wh: Sequence[Size], limit_bytes: int) -> bool:
    """Whether `DevicePictures` of these sizes stay within a bound; nothing is decoded for it."""
    return bytes_on_device(sizes_wh) <= limit_bytes


def held_sizes(sizes_wh: Iterable[Size], max_side: int | None = None) -> list[Size]:
    """Width and height of pictures as a cache of this `max_side` gives them."""
    return [shrunk_wh(width, height, max_side) for width, height in sizes_wh]


def measured_sizes(recipe: Recipe) -> list[Size]:
    """Width and height of all pictures of a recipe, each of which is decoded for it."""
    return [_size_of(recipe.picture(member)) for member in range(recipe.count)]
