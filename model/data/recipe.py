"""How every training image of every epoch is made, apart from where and when that is done.

A recipe holds no state that matters: `make(epoch, index)` gives the same mini-batch in any process
and in any order. So it can be sent to worker processes, and a painter on a GPU can take its plans.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from model.config import TrainConfig
from model.data.augment.draws import epoch_order
from model.data.augment.opencv import paint
from model.data.augment.params import ImageParams, ParamSampler
from model.data.augment.plan import ImagePlan, Labels, plan_image, truths_of
from model.data.batch import Batch
from model.data.batch_plan import MiniBatch, epoch_positions, fixed_mini_batch, plan_epoch
from model.data.cache import Pictures
from model.data.coco import ImageRecord
from model.effect import Boxes, Picture
from model.errors import DataError

Size = tuple[int, int]
Truths = tuple[Boxes, Labels]


@dataclass(frozen=True, eq=False)
class Planned:
    """One training image before any pixel is touched.

    Attributes
    ----------
    plan : ImagePlan
    boxes : tuple of ndarray, shape (N, 4), float32
        Corners of each member's truths, relative to its picture.
    labels : tuple of ndarray, shape (N,), int64
    pictures_wh : tuple of (width, height)
        Of the members' pictures, as they are held.
    """

    plan: ImagePlan
    boxes: tuple[Boxes, ...]
    labels: tuple[Labels, ...]
    pictures_wh: tuple[Size, ...]


class Recipe(ABC):
    """Mini-batches of every epoch, a pure function of configuration and data.

    Parameters
    ----------
    count : int
        Pictures to train on.
    config : TrainConfig
    size_wh : tuple of int
        The network's width and height in pixels.

    Attributes
    ----------
    positions : int
        Images of an epoch.
    """

    def __init__(self, count: int, config: TrainConfig, size_wh: Size) -> None:
        if not count:
            raise DataError(
                "there is no image to train on", "", "put at least one image into train"
            )
        fixed_mini_batch(config)
        self.count = count
        self.config = config
        self.size_wh = size_wh
        self.positions = epoch_positions(config, count)
        self._epoch: _Epoch | None = None

    @abstractmethod
    def picture(self, member: int) -> Picture:
        """One picture (H, W, 3), uint8, RGB, not to be changed."""

    @abstractmethod
    def truths(self, member: int) -> Truths:
        """Boxes (N, 4) relative to that picture and their classes (N,)."""

    @abstractmethod
    def targets(self, images: Sequence[Planned]) -> NDArray[np.float32]:
        """What the network shall say of a mini-batch."""

    def steps(self, epoch: int) -> tuple[MiniBatch, ...]:
        """Mini-batches of an epoch, in order."""
        return self._of(epoch).steps

    def planned(
        self, epoch: int, index: int, picture_wh: Callable[[int], Size]
    ) -> tuple[Planned, ...]:
        """Images of a mini-batch, for a painter.

        Parameters
        ----------
        epoch, index : int
            Counted from 0.
        picture_wh : callable of member -> (width, height)
            Sizes of the pictures as the painter holds them.
        """
        now = self._of(epoch)
        step = now.steps[index]
        size_wh = self._size_of(step)
        params = (
            now.sampler.sample(position, int(now.order[position]))
            for position in range(step.start, step.start + step.count)
        )
        return tuple(self._planned(one, size_wh, picture_wh) for one in params)

    def _planned(
        self, params: ImageParams, size_wh: Size, picture_wh: Callable[[int], Size]
    ) -> Planned:
        sizes = tuple(picture_wh(member) for member in params.members)
        boxes, labels = zip(*(self.truths(member) for member in params.members), strict=True)
        plan = plan_image(params, sizes, size_wh, letter_box=self.config.data.letter_box)
        return Planned(plan, boxes, labels, sizes)

    def make(self, epoch: int, index: int) -> Batch:
        """Paint a mini-batch with OpenCV."""
        step = self.steps(epoch)[index]
        width, height = self._size_of(step)
        planned = self.planned(epoch, index, self.held_wh)
        images = np.empty((len(planned), 3, height, width), np.uint8)
        for one, planes in zip(planned, images, strict=True):
            pictures = [self.picture(member) for member in one.plan.members]
            cv2.split(paint(one.plan, pictures, one.boxes), list(planes))
        return Batch(images, self.targets(planned), step)

    def held_wh(self, member: int) -> Size:
        """Width and height of a picture as it is held, which may be shrunk."""
        height, width = self.picture(member).shape[:2]
        return width, height

    def _size_of(self, step: MiniBatch) -> Size:
        """Width and height in the proportion of the network's."""
        width, height = self.size_wh
        return step.size_px, step.size_px * height // width

    def _of(self, epoch: int) -> "_Epoch":
        """Order, plan and draws of an epoch; those of the last one asked for are kept."""
        now = self._epoch
        if now is None or now.number != epoch:
            order = np.resize(epoch_order(self.config.seed, epoch, self.count), self.positions)
            steps = plan_epoch(self.config, self.size_wh[0], self.count, epoch)
            self._epoch = now = _Epoch(
                epoch, order, steps, ParamSampler(self.config, epoch, self.count)
            )
        return now


@dataclass(frozen=True, eq=False)
class _Epoch:
    number: int
    order: NDArray[np.int64]
    steps: tuple[MiniBatch, ...]
    sampler: ParamSampler


class DetectionRecipe(Recipe):
    """Mini-batches for a detector; see `Recipe`.

    Parameters
    ----------
    records : sequence of ImageRecord
        Crowd boxes are not trained on.
    pictures : Pictures
        Where decoded pictures come from.
    """

    def __init__(
        self,
        records: Sequence[ImageRecord],
        pictures: Pictures,
        config: TrainConfig,
        size_wh: Size,
    ) -> None:
        super().__init__(len(records), config, size_wh)
        self._records = tuple(records)
        self._truths = [_relative_truths(record) for record in records]
        self._pictures = pictures

    def picture(self, member: int) -> Picture:
        """Decoded picture of a record."""
        return self._pictures.get(self._records[member])

    def truths(self, member: int) -> Truths:
        """Boxes of a record, relative to it."""
        return self._truths[member]

    def targets(self, images: Sequence[Planned]) -> NDArray[np.float32]:
        """Rows (M, 6): image index, class, centre x, y, width, height relative to the image."""
        return np.concatenate(
            [
                _target_rows(index, *truths_of(one.plan, one.boxes, one.labels, one.pictures_wh))
                for index, one in enumerate(images)
            ]
        )


def _relative_truths(record: ImageRecord) -> Truths:
    """Boxes to train on, as fractions of the picture, and their labels."""
    size = np.array((record.width, record.height) * 2, np.float32)
    return record.boxes_xyxy_px[~record.crowd] / size, record.labels[~record.crowd]


def _target_rows(index: int, boxes: Boxes, labels: Labels) -> NDArray[np.float32]:
    rows = np.empty((len(labels), 6), np.float32)
    rows[:, 0] = index
    rows[:, 1] = labels
    rows[:, 2:4] = (boxes[:, :2] + boxes[:, 2:]) / 2
    rows[:, 4:] = boxes[:, 2:] - boxes[:, :2]
    return rows
