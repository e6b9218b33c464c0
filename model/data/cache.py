"""Decoded pictures, held once and within a bound."""

import threading
from collections.abc import Callable
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from model.data.coco import ImageRecord
from model.data.headers import (
    exif_orientation,
    header_size_wh,
    is_complete,
    is_tiff,
    upright_size_wh,
)
from model.data.limits import PIXELS, max_pixels
from model.errors import DataError


class Pictures(Protocol):
    """Where decoded pictures come from."""

    def get(self, record: ImageRecord) -> NDArray[np.uint8]:
        """Picture of a record (H, W, 3), uint8, RGB, read-only."""


class ImageCache:
    """Pictures by path, decoded on first use; safe to share between threads.

    When the bound is reached nothing more is put in and nothing is thrown out: an epoch visits
    every picture once, and under such a scan the least recently used is the one needed soonest.

    Parameters
    ----------
    limit_bytes : int
        Bound on all pictures held together; 0 holds none.
    max_side : int, optional
        Pictures whose longer side is above this are shrunk to it (area average) when decoded.
        Boxes are not touched: keep them relative to the picture, as the loaders do.
    """

    def __init__(self, limit_bytes: int, max_side: int | None = None) -> None:
        self._limit_bytes = limit_bytes
        self._max_side = max_side
        self._pictures: dict[str, NDArray[np.uint8]] = {}
        self._held_bytes = 0
        self._lock = threading.Lock()

    @property
    def held_bytes(self) -> int:
        """Bytes of all pictures held now."""
        return self._held_bytes

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
        key = str(record.path)
        found = self._pictures.get(key)
        if found is not None:
            return found
        picture = shrink(load_image(record), self._max_side)
        picture.setflags(write=False)
        with self._lock:
            if self._held_bytes + picture.nbytes <= self._limit_bytes:
                if key not in self._pictures:
                    self._held_bytes += picture.nbytes
                return self._pictures.setdefault(key, picture)
        return picture


def load_image(record: ImageRecord) -> NDArray[np.uint8]:
    """Decode a record's file as uint8 RGB, upright, in its annotated size.

    Grey, palette and CMYK pictures become RGB, of 16 bits the upper 8 are taken, an alpha channel
    is dropped, of several pages or frames the first is taken. The EXIF orientation is followed,
    unless only the picture as stored has the annotated size: then the boxes were drawn on that
    one.

    Returns
    -------
    ndarray, shape (height, width, 3), uint8
    """
    where = str(record.path)
    try:
        data = record.path.read_bytes()
    except OSError as error:
        raise DataError(
            f"cannot read the image: {error.strerror}",
            where,
            "let the file be read, or take the image out of the annotations",
        ) from None
    _check_header(data, where)
    wanted = (record.height, record.width)
    picture = _decode(data, where)
    picture = _turned(picture, data, (record.width, record.height))
    if picture.shape[:2] != wanted:
        raise DataError(
            f"the image is {picture.shape[1]} x {picture.shape[0]} pixels, "
            f"its annotation says {record.width} x {record.height}",
            where,
            "annotate the picture as it is, or put the right one there",
        )
    return picture


def _check_header(data: bytes, where: str) -> None:
    size = header_size_wh(data)
    if size is None:
        raise DataError(
            "not an image of a known format", where, "use PNG, JPEG, WebP, BMP, TIFF or GIF"
        )
    most = max_pixels()
    if size[0] * size[1] > most:  # a decompression bomb
        raise DataError(
            f"the image claims {size[0]} x {size[1]} pixels, more than {most}",
            where,
            f"cut it into tiles or shrink it; {PIXELS} sets another bound",
        )
    if not is_complete(data):
        raise DataError("the image file is cut short", where, "fetch it again")


def _turned(
    picture: NDArray[np.uint8], data: bytes, wanted_wh: tuple[int, int]
) -> NDArray[np.uint8]:
    """Follow EXIF; done here because versions of OpenCV differ in whose orientation they heed."""
    orientation = exif_orientation(data)
    if orientation == 1:
        return picture
    only_as_stored = wanted_wh == header_size_wh(data) != upright_size_wh(data)
    if only_as_stored != is_tiff(data):
        return picture
    back = {6: 8, 8: 6}.get(orientation, orientation) if only_as_stored else orientation
    turned: NDArray[np.uint8] = np.ascontiguousarray(_TURNS[back](picture))
    return turned


_TURNS: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: stored.swapaxes(0, 1)[:, ::-1],
    7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1),
    8: lambda stored: stored.swapaxes(0, 1)[::-1],
}
"""Picture as shown by EXIF orientation, of the picture as stored."""


def _decode(data: bytes, where: str) -> NDArray[np.uint8]:
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise DataError(
            f"the image cannot be decoded: {error.err}",
            where,
            "replace the file, or take the image out of the annotations",
        ) from None
    if picture is None:
        raise DataError("the image cannot be decoded", where, "write it anew as PNG or JPEG")
    rgb: NDArray[np.uint8] = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB, dst=picture)
    return rgb


def shrink(picture: NDArray[np.uint8], max_side: int | None) -> NDArray[np.uint8]:
    """Picture of the size `shrunk_wh` tells, by area average; itself if that is its own."""
    height, width = picture.shape[:2]
    size_wh = shrunk_wh(width, height, max_side)
    if size_wh == (width, height):
        return picture
    shrunk: NDArray[np.uint8] = cv2.resize(picture, size_wh, interpolation=cv2.INTER_AREA)
    return shrunk


def shrunk_wh(width: int, height: int, max_side: int | None) -> tuple[int, int]:
    """Width and height in pixels once the longer side is at most `max_side`."""
    if max_side is None or max(height, width) <= max_side:
        return width, height
    scale = max_side / max(height, width)
    return max(1, round(width * scale)), max(1, round(height * scale))
