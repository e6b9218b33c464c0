"""Data to train a classifier on: folders of pictures, or the boxes of a detection data set."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.data.cache import Pictures, shrunk_wh
from model.data.class_folders import LabelledPictures, holds_classes, read_class_folders
from model.data.coco import Dataset, ImageRecord, load_dataset
from model.effect import Picture
from model.errors import DataError

LEAST_SIDE_PX = 4
"""Boxes that are less wide or high show nothing that could be told apart."""


@dataclass(frozen=True, eq=False, slots=True)
class ClassSample:
    """A picture, or a part of one, and its class.

    Attributes
    ----------
    record : ImageRecord
        The picture; its boxes are not looked at.
    label : int
        Index into `ClassDataset.classes`.
    crop_xyxy_px : tuple of int, optional
        The part, in whole pixels of the original picture and inside it; None: all of it.
    """

    record: ImageRecord
    label: int
    crop_xyxy_px: tuple[int, int, int, int] | None = None

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height in pixels of the original picture."""
        if self.crop_xyxy_px is None:
            return self.record.width, self.record.height
        x0, y0, x1, y1 = self.crop_xyxy_px
        return x1 - x0, y1 - y0

    def picture(self, pictures: Pictures) -> Picture:
        """What is to be seen (H, W, 3), uint8, RGB: a view of the picture that is held."""
        whole = pictures.get(self.record)
        (x0, x1), (y0, y1) = self._spans(whole.shape[1], whole.shape[0])
        return whole[y0:y1, x0:x1]

    def held_wh(self, max_side: int | None) -> tuple[int, int]:
        """Width and height of `picture` from a cache that shrinks pictures to `max_side`."""
        (x0, x1), (y0, y1) = self._spans(
            *shrunk_wh(self.record.width, self.record.height, max_side)
        )
        return x1 - x0, y1 - y0

    def _spans(self, width: int, height: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """Columns and rows of the picture, held in this size, that are seen."""
        if self.crop_xyxy_px is None:
            return (0, width), (0, height)
        across = _scaled(self.crop_xyxy_px[::2], width / self.record.width)
        return across, _scaled(self.crop_xyxy_px[1::2], height / self.record.height)


def _scaled(span: tuple[int, ...], scale: float) -> tuple[int, int]:
    """Pixels of a picture that may be held smaller than it is; one at the least."""
    start = int(span[0] * scale)
    return start, max(start + 1, round(span[1] * scale))


@dataclass(frozen=True)
class ClassDataset:
    """A checked data set for a classifier.

    Attributes
    ----------
    root : Path
    classes : tuple of str
        Names; a label is an index into this.
    splits : dict of str -> tuple of ClassSample
        ``train`` and ``val`` always, ``test`` where there is one.
    digest : str
        SHA-256 over what tells this data set from others.
    notes : tuple of str
        What was mended or left out, one sentence each.
    """

    root: Path
    classes: tuple[str, ...]
    splits: dict[str, tuple[ClassSample, ...]]
    digest: str
    notes: tuple[str, ...]

    def held_side(self, size_px: int) -> int | None:
        """Longest side in pixels in which pictures are to be held, for a network's input.

        Twice the input; None, as they are, where it is parts of them that are shown.
        """
        whole = all(s.crop_xyxy_px is None for part in self.splits.values() for s in part)
        return 2 * size_px if whole else None


def load_class_data(path: Path, *, seed: int = 0) -> ClassDataset:
    """Read and check data for a classifier.

    Parameters
    ----------
    path : Path
        A folder with ``train/<class>/`` and ``val/<class>/`` (``test/`` may be missing); a folder
        of classes, which is then split by a seeded hash of the file names; or what
        `model.data.coco.load_dataset` reads, whose boxes are cut out, see `crops_of`.
    seed : int
        Of a split by hash.

    Raises
    ------
    DataError
        With the place, and what to do about it.
    """
    path = Path(path)
    if not holds_classes(path):
        _refuse_mere_pictures(path)
        return crops_of(load_dataset(path, seed=seed))
    found = read_class_folders(path, seed)
    splits = {
        name: tuple(ClassSample(record, label) for record, label in pictures)
        for name, pictures in found.splits.items()
    }
    return _checked(path, found.classes, splits, _digest(found), found.notes)


def _refuse_mere_pictures(path: Path) -> None:
    if path.is_dir() and not (path / "annotations").exists():
        raise DataError(
            "there are neither folders of classes nor COCO annotations",
            str(path),
            "put the pictures of each class into a folder that is named after it",
        )


def crops_of(dataset: Dataset) -> ClassDataset:
    """Every box of a detection data set as a picture of its own.

    A box is cut out at the pixels that it touches, without a margin, so that a crop shows its
    object and not its neighbours. Crowds are left out, and boxes under 4 px wide or high. The
    splits and classes stay as they are.

    Raises
    ------
    DataError
        If there are not two classes to tell apart, or nothing to measure on.
    """
    splits: dict[str, tuple[ClassSample, ...]] = {}
    notes = list(dataset.notes)
    for name, records in dataset.splits.items():
        crops = [crop for record in records for crop in _crops(record)]
        splits[name] = tuple(crop for crop in crops if min(crop.size_wh) >= LEAST_SIDE_PX)
        if small := len(crops) - len(splits[name]):
            notes.append(
                f"{name}: {small} of {len(crops)} boxes are under {LEAST_SIDE_PX} px wide or "
                "high: not cut out"
            )
    digest = hashlib.sha256(f"crops:{LEAST_SIDE_PX}:{dataset.digest}".encode()).hexdigest()
    return _checked(dataset.root, dataset.classes, splits, digest, notes)


def _crops(record: ImageRecord) -> list[ClassSample]:
    boxes = record.boxes_xyxy_px[~record.crowd]
    corners = np.concatenate([np.floor(boxes[:, :2]), np.ceil(boxes[:, 2:])], axis=1).astype(int)
    labels = record.labels[~record.crowd].tolist()
    return [
        ClassSample(record, label, (x0, y0, x1, y1))
        for (x0, y0, x1, y1), label in zip(corners.tolist(), labels, strict=True)
    ]


def _checked(
    root: Path,
    classes: tuple[str, ...],
    splits: dict[str, tuple[ClassSample, ...]],
    digest: str,
    notes: Sequence[str],
) -> ClassDataset:
    counts = class_counts(splits["train"], len(classes))
    seen = [name for name, count in zip(classes, counts, strict=True) if count]
    if len(seen) < 2:
        only = f"only one class to train on, '{seen[0]}'" if seen else "no class to train on"
        raise DataError(
            f"there is {only}",
            str(root),
            "a classifier tells classes apart: give at least two, each with pictures",
        )
    if not splits["val"]:
        raise DataError(
            "there is nothing in val to measure on", str(root), "put pictures of each class there"
        )
    return ClassDataset(root, classes, splits, digest, tuple(notes))


def class_counts(samples: Sequence[ClassSample], num_classes: int) -> NDArray[np.int64]:
    """Samples of each class (K,)."""
    labels = np.array([sample.label for sample in samples], np.int64)
    return np.bincount(labels, minlength=num_classes)


def _digest(found: LabelledPictures) -> str:
    """Of classes, names and sizes in bytes, as the digest of a detection data set."""
    total = hashlib.sha256(json.dumps(found.classes).encode())
    for name, pictures in sorted(found.splits.items()):
        for record, label in sorted(pictures, key=lambda item: item[0].file_name):
            size = record.path.stat().st_size
            total.update(json.dumps([name, record.file_name, label, size]).encode())
    return total.hexdigest()
