"""Where the files of a COCO data set lie: the layouts that are in use.

- ``annotations/{train,val,test}.json`` and ``images/``: what evolve writes.
- ``annotations/instances_train2017.json`` and ``train2017/`` or ``images/train2017/``: COCO's own
  (cocodataset.org), also without a year, and as CVAT writes it (``instances_Train.json``).
- ``train/_annotations.coco.json`` beside the pictures, ``valid/``, ``test/``: Roboflow's.
- One file for all, such as ``annotations/instances_default.json`` (CVAT): to be split.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from model.errors import DataError

SPLITS = ("train", "val", "test")
UNSPLIT = ""
"""Name of the split of a data set that has none."""

ROBOFLOW = "_annotations.coco.json"
_SPLIT_NAMES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
_ALONE = (
    "annotations/instances_default.json",
    "annotations/instances.json",
    "annotations/annotations.json",
    ROBOFLOW,
    "annotations.json",
)
_INSTANCES = re.compile(r"(?:instances_)?([a-z]+?)_?((?:19|20)\d\d)?\.json", re.IGNORECASE)


@dataclass(frozen=True)
class CocoLayout:
    """Annotation files of a COCO folder.

    Attributes
    ----------
    files : mapping of str -> Path
        By split; one file with the name `UNSPLIT` where all is in one.
    reason : str
        The names that it was known by.
    """

    files: Mapping[str, Path]
    reason: str

    @property
    def alone(self) -> Path | None:
        """The file that holds all, still to be split."""
        return self.files.get(UNSPLIT)


def split_of(name: str) -> str | None:
    """Split that a folder or file is named after in whatever way: ``valid`` is val."""
    word = name.lower()
    return next((split for split, names in _SPLIT_NAMES.items() if word in names), None)


def find_layout(root: Path) -> CocoLayout | None:
    """Layout of a folder; None if it is none of COCO's.

    Raises
    ------
    DataError
        If two files could be the annotations of one split.
    """
    own = {name: root / "annotations" / f"{name}.json" for name in SPLITS}
    if own["train"].is_file() and own["val"].is_file():
        return _layout({name: file for name, file in own.items() if file.is_file()}, root)
    for candidates in (_official(root), _roboflow(root)):
        files = _one_each(candidates)
        if "train" in files:
            return _layout(files, root)
    alone = next((root / name for name in _ALONE if (root / name).is_file()), None)
    return _layout({UNSPLIT: alone}, root) if alone else None


def image_folders(path: Path, split: str) -> tuple[Path, ...]:
    """Where the pictures of a split may lie, in order.

    Parameters
    ----------
    path : Path
        A COCO folder, or one annotations file.
    split : str
        It matters to a folder only.
    """
    if path.is_file():
        return (path.parent / "images", path.parent, path.parent.parent / "images")
    folders = [path / "images", path / "images" / split, path / split]
    layout = find_layout(path)
    if layout is None or layout.files.get(split) == path / "annotations" / f"{split}.json":
        return tuple(folders)
    file = layout.alone or layout.files.get(split)
    return tuple(dict.fromkeys((*folders, *_others(path, file)))) if file else tuple(folders)


def _others(root: Path, file: Path) -> Iterator[Path]:
    """Folders named as the annotations are, and that of the annotations file itself."""
    if file.parent.name != "annotations":
        yield file.parent
        return
    name = file.stem.removeprefix("instances_")
    yield from (root / "images" / name, root / name, root)


def _layout(files: Mapping[str, Path], root: Path) -> CocoLayout:
    names = [file.relative_to(root).as_posix() for file in files.values()]
    return CocoLayout(files, f"there {'are' if len(names) > 1 else 'is'} {', '.join(names)}")


def _official(root: Path) -> Iterator[tuple[str, Path]]:
    for name in _names(root / "annotations"):
        match = _INSTANCES.fullmatch(name)
        split = split_of(match[1]) if match else None
        if split and (root / "annotations" / name).is_file():
            yield split, root / "annotations" / name


def _roboflow(root: Path) -> Iterator[tuple[str, Path]]:
    for name in _names(root):
        split = split_of(name)
        if split and (root / name / ROBOFLOW).is_file():
            yield split, root / name / ROBOFLOW


def _one_each(candidates: Iterator[tuple[str, Path]]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for split, file in candidates:
        if split in found:
            raise DataError(
                f"both {found[split].name} and {file.name} could be the annotations of '{split}'",
                str(file.parent),
                "move one of them away, or give one annotations file",
            )
        found[split] = file
    return {split: found[split] for split in SPLITS if split in found}


def _names(folder: Path) -> list[str]:
    try:
        return sorted(item.name for item in folder.iterdir())
    except OSError:
        return []
