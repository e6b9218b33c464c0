"""Decoded pictures that several processes share, held once and within a bound."""

import os
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.data._shared import SharedPages
from model.data.cache import load_image, shrink, shrunk_wh
from model.data.coco import ImageRecord

_Key = tuple[str, int, int]


class _Place(NamedTuple):
    """Where a picture lies: its flag's number, its first byte, and its shape."""

    flag: int
    start: int
    shape: tuple[int, int, int]

    @property
    def nbytes(self) -> int:
        height, width, channels = self.shape
        return height * width * channels


class SharedCache:
    """What `ImageCache` promises, with the pixels in memory that other processes map.

    Every picture has its place from the start: the annotations tell its size, and a file of
    another size is an error. A byte for each says whether its pixels are there; it is written
    after them. Two processes that decode the same picture write the same bytes to the same place,
    so there is no lock, and a process killed half way leaves only a picture that the next decodes
    again. The pixels are mapped for reading and written by system calls, which also keep that
    order for the other processors.

    As in `ImageCache` nothing is thrown out, and what finds no room is decoded anew each time.
    Which pictures those are is settled by the order of the records, not of their first use; as an
    epoch visits every picture once, any choice of as many bytes serves as well.

    Pickles to processes that live while this one does (see `SharedPages`).

    Parameters
    ----------
    records : sequence of ImageRecord
        The pictures that may be kept; others are decoded each time.
    limit_bytes : int
        Bound on all pictures held together; 0 holds none.
    max_side : int, optional
        Pictures whose longer side is above this are shrunk to it, as in `ImageCache`.
    """

    def __init__(
        self, records: Sequence[ImageRecord], limit_bytes: int, max_side: int | None = None
    ) -> None:
        self._max_side = max_side
        self._places, size = _plan_places(records, limit_bytes, max_side)
        self._pages = SharedPages(max(1, size))
        self._map()

    def _map(self) -> None:
        self._bytes = np.frombuffer(self._pages.map(), np.uint8)

    @property
    def held_bytes(self) -> int:
        """Bytes of all pictures held now, by whichever process they were decoded."""
        return sum(place.nbytes for place in self._places.values() if self._bytes[place.flag])

    def get(self, record: ImageRecord) -> NDArray[np.uint8]:
        """Picture of a record, decoded if it is not held.

        Returns
        -------
        ndarray, shape (H, W, 3), uint8, RGB
            Read-only; H, W are the record's, or smaller in proportion (`max_side`).

        Raises
        ------
        DataError
            If the file cannot be decoded, is not of the annotated size, or is a bomb.
        """
        place = self._places.get(_key(record))
        if place is not None and self._bytes[place.flag]:
            return self._held(place)
        picture = shrink(load_image(record), self._max_side)
        picture.setflags(write=False)
        if place is None:
            return picture
        self._keep(place, picture)
        return self._held(place)

    def _held(self, place: _Place) -> NDArray[np.uint8]:
        return self._bytes[place.start : place.start + place.nbytes].reshape(place.shape)

    def _keep(self, place: _Place, picture: NDArray[np.uint8]) -> None:
        assert picture.shape == place.shape
        rest = picture.data.cast("B")
        while rest:
            done = os.pwrite(self._pages.descriptor, rest, place.start + place.nbytes - len(rest))
            rest = rest[done:]
        os.pwrite(self._pages.descriptor, b"\1", place.flag)

    def __getstate__(self) -> tuple[int | None, dict[_Key, _Place], SharedPages]:
        return self._max_side, self._places, self._pages

    def __setstate__(self, state: tuple[int | None, dict[_Key, _Place], SharedPages]) -> None:
        self._max_side, self._places, self._pages = state
        self._map()


def _key(record: ImageRecord) -> _Key:
    return str(record.path), record.width, record.height


def _plan_places(
    records: Iterable[ImageRecord], limit_bytes: int, max_side: int | None
) -> tuple[dict[_Key, _Place], int]:
    """Places of the pictures that fit, in the order of the records, and the size of it all."""
    shapes: dict[_Key, tuple[int, int, int]] = {}
    held = 0
    for record in records:
        width, height = shrunk_wh(record.width, record.height, max_side)
        key = _key(record)
        if key not in shapes and held + 3 * width * height <= limit_bytes:
            shapes[key] = (height, width, 3)
            held += 3 * width * height
    places = {}
    start = len(shapes)  # the flags come first
    for flag, (key, shape) in enumerate(shapes.items()):
        places[key] = _Place(flag, start, shape)
        start += places[key].nbytes
    return places, start
