"""Mini-batches of evaluation: every picture once, in order, only resized."""

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from model.data.augment.opencv import resized
from model.data.augment.plan import letter_box_margins
from model.data.cache import Pictures
from model.data.coco import ImageRecord
from model.effect import Boxes, Picture

T = TypeVar("T")
_AHEAD = 2  # mini-batches in the making, per worker


@dataclass(frozen=True, eq=False)
class EvalBatch:
    """One mini-batch of evaluation.

    Attributes
    ----------
    images : ndarray, shape (B, 3, H, W), uint8, RGB, contiguous
    records : tuple of ImageRecord
        One for each image.
    scale_px, offset_px : ndarray, shape (B, 2), float32
        Position in the original picture = fraction of the network's image * scale + offset.
    """

    images: NDArray[np.uint8]
    records: tuple[ImageRecord, ...]
    scale_px: NDArray[np.float32]
    offset_px: NDArray[np.float32]

    def boxes_to_px(self, index: int, boxes_xyxy: Boxes) -> Boxes:
        """Boxes in pixels of the original picture, clipped to it.

        Parameters
        ----------
        index : int
            Which image of the batch.
        boxes_xyxy : ndarray, shape (N, 4), float32
            Corners as fractions of the network's image.
        """
        scale, offset = self.scale_px[index], self.offset_px[index]
        record = self.records[index]
        limit = np.array((record.width, record.height) * 2, np.float32)
        boxes_px: Boxes = np.clip(boxes_xyxy * np.tile(scale, 2) + np.tile(offset, 2), 0, limit)
        return boxes_px


class EvalLoader:
    """Every picture once, in order, only resized; the last batch may be smaller.

    Parameters
    ----------
    records : sequence of ImageRecord
    cache : Pictures
    size_wh : tuple of int
        The network's width and height in pixels.
    letter_box : bool
        Keep the aspect and fill with the picture's mean, instead of stretching.
    batch_size : int
    workers : int
        Threads that prepare batches ahead.
    """

    def __init__(
        self,
        records: Sequence[ImageRecord],
        cache: Pictures,
        size_wh: tuple[int, int],
        letter_box: bool,
        batch_size: int,
        workers: int = 0,
    ) -> None:
        self._records = tuple(records)
        self._cache = cache
        self._size_wh = size_wh
        self._letter_box = letter_box
        self._batch_size = batch_size
        self._workers = workers

    def __len__(self) -> int:
        """Batches."""
        return -(-len(self._records) // self._batch_size)

    def __iter__(self) -> Iterator[EvalBatch]:
        return _produce(self._batch, len(self), self._workers)

    def _batch(self, index: int) -> EvalBatch:
        start = index * self._batch_size
        records = self._records[start : start + self._batch_size]
        width, height = self._size_wh
        images = np.empty((len(records), 3, height, width), np.uint8)
        frames = []
        for row, record in enumerate(records):
            picture = self._cache.get(record)
            _to_planes(resized(picture, self._size_wh, letter_box=self._letter_box), images[row])
            frames.append(_frame_px(picture, record, self._size_wh, self._letter_box))
        scale, offset = np.array(frames, np.float32).transpose(1, 0, 2)
        return EvalBatch(images, records, scale, offset)


def _frame_px(
    picture: Picture, record: ImageRecord, size_wh: tuple[int, int], letter_box: bool
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Size and corner of what the network sees, in pixels of the original picture."""
    if not letter_box:
        return (record.width, record.height), (0.0, 0.0)
    height, width = picture.shape[:2]
    across, down = letter_box_margins(width, height, size_wh)
    # The fill is of whole pixels of the (perhaps shrunk) picture, as `apply` paints it.
    x0, x1 = round(-across * width), round((1.0 + across) * width)
    y0, y1 = round(-down * height), round((1.0 + down) * height)
    unit_x, unit_y = record.width / width, record.height / height
    return ((x1 - x0) * unit_x, (y1 - y0) * unit_y), (x0 * unit_x, y0 * unit_y)


def _to_planes(picture: Picture, planes: Picture) -> None:
    """(H, W, 3) into (3, H, W)."""
    cv2.split(picture, list(planes))


def _produce(make: Callable[[int], T], count: int, workers: int) -> Generator[T]:
    """make(0), make(1), ... in order, made ahead by threads where there are workers."""
    if workers == 0:
        yield from map(make, range(count))
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="data")
    try:
        waiting: deque[Future[T]] = deque()
        for index in range(count):
            waiting.append(pool.submit(make, index))
            if len(waiting) > _AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
