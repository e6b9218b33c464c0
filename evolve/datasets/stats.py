"""What a data set is made of, in numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evolve.datasets.clean import Cleaned
from evolve.datasets.raw import RawImage

SMALL_PX, MEDIUM_PX = 32, 96
"""COCO's ranges: a small object has an area below 32 squared, a large one above 96 squared."""
BORDER = 0.01
"""A box is at the border if less than this share of the image's side is between them."""
QUANTILES = (0.05, 0.5, 0.95)

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DataStats:
    """All images and boxes as columns; crowds are counted and left out.

    Attributes
    ----------
    name : str
    size_px : int
        Side of the square that a training stretches every image to.
    classes, splits : tuple of str
    image_split : ndarray, shape (N,)
        Index into `splits`.
    image_wh_px : ndarray, shape (N, 2)
    box_image, box_class : ndarray, shape (M,)
        Index of the image, and into `classes`.
    box_xywh_px : ndarray, shape (M, 4)
    crowds : int
    """

    name: str
    size_px: int
    classes: tuple[str, ...]
    splits: tuple[str, ...]
    image_split: NDArray[np.int64]
    image_wh_px: Floats
    box_image: NDArray[np.int64]
    box_class: NDArray[np.int64]
    box_xywh_px: Floats
    crowds: int

    @property
    def box_split(self) -> NDArray[np.int64]:
        """Index of the split of each box."""
        return self.image_split[self.box_image]

    @property
    def box_side_px(self) -> Floats:
        """Square root of the area of each box, in pixels of its image."""
        side: Floats = np.sqrt(self.box_xywh_px[:, 2:].prod(1))
        return side

    @property
    def trained_side_px(self) -> Floats:
        """The same in pixels of the network's input."""
        scale = self.size_px / np.sqrt(self.image_wh_px.prod(1))
        side: Floats = self.box_side_px * scale[self.box_image]
        return side

    @property
    def box_aspect(self) -> Floats:
        """Width over height of each box."""
        aspect: Floats = self.box_xywh_px[:, 2] / self.box_xywh_px[:, 3]
        return aspect

    @property
    def boxes_per_image(self) -> NDArray[np.int64]:
        """Number of boxes of each image."""
        return np.bincount(self.box_image, minlength=len(self.image_split))

    @property
    def centres(self) -> Floats:
        """Centres of boxes (M, 2) relative to their image."""
        centres: Floats = (self.box_xywh_px[:, :2] + self.box_xywh_px[:, 2:] / 2) / (
            self.image_wh_px[self.box_image]
        )
        return centres

    @property
    def is_at_border(self) -> NDArray[np.bool_]:
        """Whether each box is at the border of its image."""
        whole = self.image_wh_px[self.box_image]
        low, size = self.box_xywh_px[:, :2], self.box_xywh_px[:, 2:]
        near = (low < BORDER * whole) | (low + size > (1 - BORDER) * whole)
        return near[:, 0] | near[:, 1]

    @property
    def boxes_by_class(self) -> NDArray[np.int64]:
        """Boxes of each class in each split (K, S)."""
        counts = np.zeros((len(self.classes), len(self.splits)), np.int64)
        np.add.at(counts, (self.box_class, self.box_split), 1)
        return counts

    @property
    def images_with_both(self) -> NDArray[np.int64]:
        """Images in which two classes are seen (K, K); on the diagonal those with the one."""
        seen = np.zeros((len(self.image_split), len(self.classes)), np.int64)
        seen[self.box_image, self.box_class] = 1
        both: NDArray[np.int64] = seen.T @ seen
        return both

    def to_dict(self) -> dict[str, Any]:
        """Summaries, as JSON can hold them."""
        return {
            "name": self.name,
            "size_px": self.size_px,
            "classes": list(self.classes),
            "splits": {split: self._of_split(index) for index, split in enumerate(self.splits)},
            "crowds": self.crowds,
            "boxes_by_class": {
                name: dict(zip(self.splits, counts.tolist(), strict=True))
                for name, counts in zip(self.classes, self.boxes_by_class, strict=True)
            },
            "images_with_both": self.images_with_both.tolist(),
        }

    def _of_split(self, index: int) -> dict[str, Any]:
        images, boxes = self.image_split == index, self.box_split == index
        per_image = self.boxes_per_image[images]
        return {
            "images": int(images.sum()),
            "images_without_box": int((per_image == 0).sum()),
            "boxes": int(boxes.sum()),
            "boxes_per_image": quantiles(per_image),
            "most_boxes": int(per_image.max(initial=0)),
            "image_width_px": quantiles(self.image_wh_px[images, 0]),
            "image_height_px": quantiles(self.image_wh_px[images, 1]),
            "box_side_px": quantiles(self.box_side_px[boxes]),
            "box_side_trained_px": quantiles(self.trained_side_px[boxes]),
            "box_width_over_height": quantiles(self.box_aspect[boxes]),
            "sizes": size_shares(self.box_side_px[boxes]),
            "sizes_trained": size_shares(self.trained_side_px[boxes]),
            "at_border": share(self.is_at_border[boxes]),
        }


def data_stats(cleaned: Cleaned, name: str, size_px: int) -> DataStats:
    """Columns of a data set that `clean` has been over."""
    raw = cleaned.raw
    place = {key: index for index, key in enumerate(raw.categories)}
    images: list[RawImage] = [image for part in raw.splits.values() for image in part]
    boxes = [(index, box) for index, image in enumerate(images) for box in image.boxes]
    single = [(index, box) for index, box in boxes if not box.is_crowd]
    sizes = [len(part) for part in raw.splits.values()]
    return DataStats(
        name=name,
        size_px=size_px,
        classes=tuple(raw.categories.values()),
        splits=tuple(raw.splits),
        image_split=np.repeat(np.arange(len(sizes)), sizes),
        image_wh_px=np.array([image.size_wh for image in images], float).reshape(-1, 2),
        box_image=np.array([index for index, _ in single], np.int64),
        box_class=np.array([place[box.category] for _, box in single], np.int64),
        box_xywh_px=np.array([box.xywh_px for _, box in single], float).reshape(-1, 4),
        crowds=len(boxes) - len(single),
    )


def quantiles(values: NDArray[Any]) -> dict[str, float | None]:
    """5 %, median and 95 %; None of nothing."""
    found: Sequence[Any] = (
        np.quantile(values, QUANTILES).tolist() if len(values) else [None] * len(QUANTILES)
    )
    return dict(zip(("p5", "median", "p95"), found, strict=True))


def size_shares(sides_px: Floats) -> dict[str, float | None]:
    """Shares of COCO's small, medium and large objects."""
    return {
        "small": share(sides_px < SMALL_PX),
        "medium": share((sides_px >= SMALL_PX) & (sides_px <= MEDIUM_PX)),
        "large": share(sides_px > MEDIUM_PX),
    }


def share(which: NDArray[np.bool_]) -> float | None:
    """Share of what is true; None of nothing."""
    return float(which.mean()) if len(which) else None
