"""How images for a classifier are made, in training and at evaluation."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from model.config import TrainConfig
from model.data.augment.opencv import paint
from model.data.augment.params import ImageParams, TileParams, Zoom
from model.data.augment.plan import plan_image
from model.data.cache import Pictures
from model.data.classes import ClassSample
from model.data.recipe import Planned, Recipe, Truths
from model.effect import Boxes, Picture

_NO_BOXES: Boxes = np.zeros((0, 4), np.float32)
_STILL = ImageParams((0,), (TileParams(zoom=Zoom(1.0)),))


class ClassRecipe(Recipe):
    """Mini-batches for a classifier; see `Recipe`.

    The targets of a mini-batch (B, K) are the shares that each class has of each image: of its
    area in a mosaic or with CutMix, half each with MixUp. A row sums to 1.

    Parameters
    ----------
    samples : sequence of ClassSample
    pictures : Pictures
        Where decoded pictures come from.
    config : TrainConfig
        Of task ``classify``.
    size_wh : tuple of int
        The network's width and height in pixels.
    num_classes : int
        K.

    References
    ----------
    arXiv:2004.10934 sec. 3.4; darknet's src/data.c (load_data_augment).
    """

    def __init__(
        self,
        samples: Sequence[ClassSample],
        pictures: Pictures,
        config: TrainConfig,
        size_wh: tuple[int, int],
        num_classes: int,
    ) -> None:
        super().__init__(len(samples), config, size_wh)
        self.num_classes = num_classes
        self._samples = tuple(samples)
        self._pictures = pictures

    def picture(self, member: int) -> Picture:
        """What a sample shows."""
        return self._samples[member].picture(self._pictures)

    def truths(self, member: int) -> Truths:
        """No box, and the sample's class alone."""
        return _NO_BOXES, np.array([self._samples[member].label], np.int64)

    def targets(self, images: Sequence[Planned]) -> NDArray[np.float32]:
        """Shares (B, K) of each class."""
        shares = np.zeros((len(images), self.num_classes), np.float32)
        for row, image in zip(shares, images, strict=True):
            for tile, (label,) in zip(image.plan.tiles, image.labels, strict=True):
                row[label] += tile.share
        return shares


@dataclass(frozen=True, eq=False)
class ClassBatch:
    """One mini-batch of evaluation.

    Attributes
    ----------
    images : ndarray, shape (B, 3, H, W), uint8, RGB, contiguous
    labels : ndarray, shape (B,), int64
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


class ClassEvalLoader:
    """Every sample once, in order; the last mini-batch may be smaller.

    As in darknet's validation (src/classifier.c: resize_min, crop_image) a picture is resized,
    its shape kept, until its shorter side is the network's, and its middle is cut out.

    Parameters
    ----------
    samples : sequence of ClassSample
    pictures : Pictures
    size_wh : tuple of int
        The network's width and height in pixels.
    batch_size : int
    """

    def __init__(
        self,
        samples: Sequence[ClassSample],
        pictures: Pictures,
        size_wh: tuple[int, int],
        batch_size: int,
    ) -> None:
        self.samples = tuple(samples)
        self._pictures = pictures
        self._size_wh = size_wh
        self._batch_size = batch_size

    @property
    def labels(self) -> NDArray[np.int64]:
        """Classes (N,) of all samples."""
        return _labels(self.samples)

    def __iter__(self) -> Iterator[ClassBatch]:
        for start in range(0, len(self.samples), self._batch_size):
            yield self._batch(self.samples[start : start + self._batch_size])

    def _batch(self, samples: Sequence[ClassSample]) -> ClassBatch:
        width, height = self._size_wh
        images = np.empty((len(samples), 3, height, width), np.uint8)
        for sample, planes in zip(samples, images, strict=True):
            cv2.split(centred(sample.picture(self._pictures), self._size_wh), list(planes))
        return ClassBatch(images, _labels(samples))


def _labels(samples: Sequence[ClassSample]) -> NDArray[np.int64]:
    return np.array([sample.label for sample in samples], np.int64)


def centred(picture: Picture, size_wh: tuple[int, int]) -> Picture:
    """Middle of a picture whose shorter side is resized to the network's.

    Parameters
    ----------
    picture : ndarray, shape (H, W, 3), uint8
    size_wh : tuple of int
        The network's width and height in pixels.
    """
    plan = plan_image(_STILL, [(picture.shape[1], picture.shape[0])], size_wh)
    return paint(plan, [picture])
