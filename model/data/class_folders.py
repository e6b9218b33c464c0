"""Class folders -> labelled pictures: one folder of pictures for each class.

What lies in them is read as it is found: links may not lead out of the data folder, a file that
is no picture is told of, and sizes come from the files' headers without decoding anything.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from model.data.coco import ImageRecord, split_by_hash
from model.data.coco_layout import SPLITS, find_layout
from model.data.headers import IMAGE_SUFFIXES, read_sizes_wh
from model.errors import DataError

FRACTIONS = (0.7, 0.15, 0.15)
"""Train, val and test shares of a split by hash."""

_LISTED = 3  # examples named in a message or note

Labelled = tuple[ImageRecord, int]


@dataclass(frozen=True)
class LabelledPictures:
    """What class folders hold.

    Attributes
    ----------
    classes : tuple of str
        Names of the training folders, in alphabetical order.
    splits : dict of str -> tuple of (ImageRecord, label)
    notes : tuple of str
    """

    classes: tuple[str, ...]
    splits: dict[str, tuple[Labelled, ...]]
    notes: tuple[str, ...]


def holds_classes(path: Path) -> bool:
    """Whether a folder is one of classes, not of COCO annotations."""
    return path.is_dir() and not _may_be_coco(path) and bool(_folders(path))


def _may_be_coco(path: Path) -> bool:
    return (path / "annotations").exists() or find_layout(path) is not None


def read_class_folders(root: Path, seed: int = 0) -> LabelledPictures:
    """Read ``root/<split>/<class>/``, or ``root/<class>/`` and split it by hash.

    Pictures may lie deeper below their class's folder. Hidden files are not looked at.

    Parameters
    ----------
    root : Path
    seed : int
        Of the split by hash.

    Raises
    ------
    DataError
        If a class has no picture to train on, a split has a class that ``train`` lacks, a file
        is not the picture its name promises, or a link leads out of its split's folder.
    """
    if not (root / "train").is_dir() or not _folders(root / "train"):
        return _read_unsplit(root, seed)
    if not (root / "val").is_dir():
        raise DataError(
            "there is no folder 'val' beside 'train'",
            str(root),
            "put some pictures of each class there, to measure on",
        )
    folders = {name: _Folder(root / name) for name in SPLITS if (root / name).is_dir()}
    classes = tuple(folders["train"].classes)
    _check_agreed(folders, classes)
    splits = {name: tuple(folder.read(classes, name)) for name, folder in folders.items()}
    _check_trained(splits["train"], classes, root / "train")
    notes = [note for name, folder in folders.items() for note in folder.notes(name)]
    if "test" not in folders:
        notes.append("no folder 'test': there is no test split")
    return LabelledPictures(classes, splits, tuple(notes))


def _read_unsplit(root: Path, seed: int) -> LabelledPictures:
    folder = _Folder(root)
    classes = tuple(folder.classes)
    pictures = list(folder.read(classes, ""))
    labels = {record.image_id: label for record, label in pictures}
    parts = split_by_hash([record for record, _ in pictures], seed, FRACTIONS)
    splits = {
        name: tuple((record, labels[record.image_id]) for record in parts.get(name, ()))
        for name in SPLITS
    }
    _check_trained(splits["train"], classes, root)
    shares = ", ".join(f"{name} {len(part)}" for name, part in splits.items())
    note = f"the pictures were split by a hash of seed {seed} and file name: {shares}"
    return LabelledPictures(classes, splits, (note, *folder.notes("")))


def _folders(path: Path) -> list[str]:
    """Names of the folders in one, in order."""
    try:
        return sorted(
            item.name for item in path.iterdir() if item.is_dir() and not _is_hidden(item.name)
        )
    except OSError as error:
        raise DataError(
            f"the folder cannot be read: {error.strerror}", str(path), "let the folder be read"
        ) from None


def _is_hidden(name: str) -> bool:
    return name.startswith(".")


def _check_agreed(folders: Mapping[str, "_Folder"], classes: Sequence[str]) -> None:
    for name, folder in folders.items():
        strange = sorted(set(folder.classes) - set(classes))
        if strange:
            raise DataError(
                f"{name} holds classes that train does not: {_few(strange)}",
                str(folder.path),
                f"train has: {_few(classes)}",
            )


def _check_trained(pictures: Sequence[Labelled], classes: Sequence[str], folder: Path) -> None:
    seen = {label for _, label in pictures}
    empty = [name for label, name in enumerate(classes) if label not in seen]
    if empty:
        raise DataError(
            f"these classes have no picture to train on: {_few(empty)}",
            str(folder),
            "add pictures to their folders, or take the folders away; "
            "a COCO data set has a folder 'annotations'",
        )


@dataclass
class _Folder:
    """The class folders of one split, and what in them is no picture."""

    path: Path
    classes: list[str] = field(init=False)
    others: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.classes = _folders(self.path)
        self._real = Path(os.path.realpath(self.path))

    def read(self, classes: Sequence[str], prefix: str) -> Iterator[Labelled]:
        """Pictures of all classes, in order; file names are relative to the data folder."""
        number = 0
        for label, name in enumerate(classes):
            if name not in self.classes:
                continue
            self._check_link(self.path / name)
            for path in self._pictures(self.path / name):
                number += 1
                file_name = (Path(prefix) / path.relative_to(self.path)).as_posix()
                yield _record(path, file_name, number), label

    def notes(self, name: str) -> list[str]:
        """A sentence on what was left out."""
        if not self.others:
            return []
        start = f"{name}: " if name else ""
        count = len(self.others)
        return [f"{start}{count} files are no pictures and were left out ({_few(self.others)})"]

    def _pictures(self, folder: Path) -> Iterator[Path]:
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            raise DataError(
                f"the folder cannot be read: {error.strerror}",
                str(folder),
                "let the folder be read",
            ) from None
        for entry in entries:
            path = folder / entry.name
            if _is_hidden(entry.name):
                continue
            if entry.is_symlink():
                self._check_link(path)
            if entry.is_dir():
                yield from self._pictures(path)
            elif path.suffix.lower() in IMAGE_SUFFIXES:
                yield path
            else:
                self.others.append(entry.name)

    def _check_link(self, path: Path) -> None:
        """Refuse a link to a folder (it may be its own), out of this one, or to nothing."""
        if not path.is_symlink():
            return
        real = Path(os.path.realpath(path))
        if not real.is_relative_to(self._real):
            what = f"a link leads out of the data folder, to {real}"
        elif path.is_dir():
            what = f"a link stands for a folder, {real}"
        elif not path.exists():
            what = f"a link leads to nothing, {real}"
        else:
            return
        raise DataError(
            what, str(path), f"put the files themselves there; {self.path} itself may be a link"
        )


def _record(path: Path, file_name: str, number: int) -> ImageRecord:
    try:
        sizes = read_sizes_wh(path)
    except OSError as error:
        raise DataError(
            f"cannot read the image: {error.strerror}",
            str(path),
            "let the file be read, or take it out of the folder",
        ) from None
    if sizes is None:
        raise DataError(
            "not an image of a known format", str(path), "take it away, or write it anew as PNG"
        )
    return ImageRecord(number, file_name, path, *sizes[1], _BOXES, _LABELS, _CROWD, _AREAS)


_BOXES, _LABELS = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
_CROWD, _AREAS = np.zeros(0, np.bool_), np.zeros(0, np.float32)


def _few(items: Sequence[str]) -> str:
    text = ", ".join(items[:_LISTED])
    return f"{text} and {len(items) - _LISTED} more" if len(items) > _LISTED else text
