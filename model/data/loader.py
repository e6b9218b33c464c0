"""Mini-batches: shuffled and augmented for training, in order and plain for evaluation."""

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from model.config import TrainConfig
from model.data.augment import (
    Boxes,
    EpochDraws,
    ImageParams,
    Picture,
    TileParams,
    apply,
    epoch_order,
    letter_box_margins,
    sample_params,
)
from model.data.batch import Batch
from model.data.batch_plan import MiniBatch, epoch_positions, fixed_mini_batch, plan_epoch
from model.data.cache import ImageCache
from model.data.coco import ImageRecord
from model.errors import DataError

T = TypeVar("T")
_AHEAD = 2  # mini-batches in the making, per worker
_NO_BOXES = (np.zeros((0, 4), np.float32), np.zeros(0, np.int64))


class TrainLoader:
    """Augmented mini-batches of an epoch.

    The same seed and epoch give the same batches, bit for bit, with any number of workers. An
    epoch is whole batches of `batch_size` images: what is left over is left out (another part in
    each epoch, as each is shuffled anew). A set smaller than one batch fills one by repetition.

    Parameters
    ----------
    records : sequence of ImageRecord
        Crowd boxes are not trained on.
    cache : ImageCache
    config : TrainConfig
        Its `seed`, `batch_size`, `subdivisions`, `augment` and `data.letter_box` are used.
    size_wh : tuple of int
        The network's width and height in pixels.
    workers : int
        Threads that prepare mini-batches ahead; 0 prepares each when it is asked for.

    Attributes
    ----------
    positions : int
        Images of an epoch.
    waited_s : float
        Time that the running epoch, or the last one, spent waiting for mini-batches.
    """

    def __init__(
        self,
        records: Sequence[ImageRecord],
        cache: ImageCache,
        config: TrainConfig,
        size_wh: tuple[int, int],
        workers: int = 0,
    ) -> None:
        if not records:
            raise DataError("there is no image to train on")
        fixed_mini_batch(config)
        self._records = tuple(records)
        self._truths = [_relative_truths(record) for record in records]
        self._cache = cache
        self._config = config
        self._size_wh = size_wh
        self._workers = workers
        self.positions = epoch_positions(config, len(records))
        self.waited_s = 0.0
        self._running: Generator[Batch] | None = None

    def __len__(self) -> int:
        """Mini-batches of the first epoch; of every one unless they are dynamic."""
        return len(self.plan(0))

    def plan(self, epoch: int) -> tuple[MiniBatch, ...]:
        """Mini-batches of an epoch, in order."""
        return plan_epoch(self._config, self._size_wh[0], len(self._records), epoch)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Mini-batches of an epoch; closing the iterator stops the workers.

        Parameters
        ----------
        epoch : int
            Counted from 0.
        """
        steps = self.plan(epoch)
        draws = EpochDraws(self._config.seed, epoch, self.positions)
        order = epoch_order(self._config.seed, epoch, len(self._records))
        order = np.resize(order, self.positions)

        def make(index: int) -> Batch:
            step = steps[index]
            span = range(step.start, step.start + step.count)
            return self._batch([self._params(draws, p, int(order[p])) for p in span], step)

        self.close()
        self.waited_s = 0.0
        self._running = self._timed(_produce(make, len(steps), self._workers))
        return self._running

    def close(self) -> None:
        """Stop the workers of the running epoch, if there is one."""
        if self._running is not None:
            self._running.close()
            self._running = None

    def _timed(self, batches: Generator[Batch]) -> Generator[Batch]:
        """Batches as they come; adds up how long each was waited for."""
        with closing(batches):
            while True:
                asked = time.perf_counter()
                batch = next(batches, None)
                self.waited_s += time.perf_counter() - asked
                if batch is None:
                    return
                yield batch

    def _params(self, draws: EpochDraws, position: int, own: int) -> ImageParams:
        return sample_params(draws, position, own, len(self._records), self._config.augment)

    def _batch(self, plans: Sequence[ImageParams], step: MiniBatch) -> Batch:
        width, height = size_wh = self._size_of(step)
        images = np.empty((len(plans), 3, height, width), np.uint8)
        targets = []
        for index, params in enumerate(plans):
            picture, boxes, labels = self._image(params, size_wh)
            _to_planes(picture, images[index])
            targets.append(_target_rows(index, boxes, labels))
        return Batch(images, np.concatenate(targets), step)

    def _size_of(self, step: MiniBatch) -> tuple[int, int]:
        """Width and height in the proportion of the network's."""
        width, height = self._size_wh
        return step.size_px, step.size_px * height // width

    def _image(
        self, params: ImageParams, size_wh: tuple[int, int]
    ) -> tuple[Picture, Boxes, NDArray[np.int64]]:
        return apply(
            params,
            [self._cache.get(self._records[member]) for member in params.members],
            [self._truths[member][0] for member in params.members],
            [self._truths[member][1] for member in params.members],
            size_wh,
            letter_box=self._config.data.letter_box,
        )


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
    cache : ImageCache
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
        cache: ImageCache,
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


def resized(picture: Picture, size_wh: tuple[int, int], *, letter_box: bool = False) -> Picture:
    """Picture as a network sees it at evaluation: what training does with all turned off.

    Parameters
    ----------
    picture : ndarray, shape (H, W, 3), uint8
    size_wh : tuple of int
        The network's width and height in pixels.
    letter_box : bool
        Keep the aspect and fill with the picture's mean, instead of stretching.
    """
    plain = ImageParams((0,), (TileParams(),))
    boxes, labels = _NO_BOXES
    return apply(plain, [picture], [boxes], [labels], size_wh, letter_box=letter_box)[0]


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


def _relative_truths(record: ImageRecord) -> tuple[Boxes, NDArray[np.int64]]:
    """Boxes to train on, as fractions of the picture, and their labels."""
    size = np.array((record.width, record.height) * 2, np.float32)
    return record.boxes_xyxy_px[~record.crowd] / size, record.labels[~record.crowd]


def _to_planes(picture: Picture, planes: Picture) -> None:
    """(H, W, 3) into (3, H, W)."""
    cv2.split(picture, list(planes))


def _target_rows(index: int, boxes: Boxes, labels: NDArray[np.int64]) -> NDArray[np.float32]:
    rows = np.empty((len(labels), 6), np.float32)
    rows[:, 0] = index
    rows[:, 1] = labels
    rows[:, 2:4] = (boxes[:, :2] + boxes[:, 2:]) / 2
    rows[:, 4:] = boxes[:, 2:] - boxes[:, :2]
    return rows


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
