"""YOLO data sets: label files beside or next to the pictures, told of by a data.yaml.

Conventions of Ultralytics' data.yaml (docs.ultralytics.com/datasets/detect): ``path`` is the data
folder, ``train``, ``val`` and ``test`` are each a folder of pictures, a text file that lists them,
or several of either, relative to it; ``names`` is a list or a mapping. Without such a file the
folders ``images/`` and ``labels/``, or ``train/images/`` and ``train/labels/``, and a
``classes.txt`` are taken. The files of labels: `yolo_labels`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from evolve.datasets.formats.common import (
    Log,
    read_names,
)
from evolve.datasets.formats.inside import (
    DataFolder,
    Place,
    is_picture,
    names_in,
    pictures_below,
)
from evolve.datasets.formats.yolo_labels import LabelReader
from evolve.datasets.formats.yolo_lists import check_labelled, listed_pictures
from evolve.datasets.formats.yolo_yaml import DataYaml, is_data_yaml, read_data_yaml
from evolve.datasets.raw import RawDataset, RawImage
from model.data.coco_layout import UNSPLIT, split_of
from model.data.paths import ImageFolders, OutsideFolder
from model.errors import DataError

NAME = "yolo"
_YAML = (".yaml", ".yml")
_CLASSES = "classes.txt"


def recognise(path: Path) -> str | None:
    """Why `path` is a YOLO data set; None if it is none."""
    if path.is_file():
        known = path.suffix.lower() in _YAML and is_data_yaml(path)
        return f"{path.name} names classes and images" if known else None
    if file := _yaml_in(path):
        return f"{file.name} names classes and images"
    return _plain_reason(path)


def read(path: Path) -> RawDataset:
    """All of it; a DataError if there is no picture, or no label at all."""
    reason = recognise(path)
    file = path if path.is_file() else _yaml_in(path)
    if file is None and reason is None:
        raise DataError(
            "no YOLO data set", str(path),
            "it has a data.yaml, or the folders images/ and labels/ with a classes.txt",
        )  # fmt: skip
    root = path.parent if path.is_file() else path
    reader = _Reader(root)
    if file is not None:
        return reader.described(read_data_yaml(file), reason or f"{file.name} was given")
    return reader.plain(reason or "")


def _yaml_in(root: Path) -> Path | None:
    """The data.yaml of a folder, whatever its name; a DataError where there are several."""
    files = [root / name for name in names_in(root) if Path(name).suffix.lower() in _YAML]
    found = [file for file in files if file.is_file() and is_data_yaml(file)]
    usual = [file for file in found if file.stem == "data"]
    if len(found) > 1 and len(usual) != 1:
        names = ", ".join(file.name for file in found)
        raise DataError(f"several files could describe it: {names}", str(root), "give one of them")
    return next(iter(usual or found), None)


def _plain_reason(root: Path) -> str | None:
    """Why a folder without a data.yaml is one of YOLO's."""
    for images, labels in _pairs(root):
        if any(name.endswith(".txt") for name in _some_below(labels)):
            names = [folder.relative_to(root).as_posix() for folder in (images, labels)]
            return f"there are {names[0]}/ and {names[1]}/ with text files"
    if (root / _CLASSES).is_file() and any(map(is_picture, names_in(root))):
        return f"there is {_CLASSES} beside pictures"
    return None


def _pairs(root: Path) -> Iterator[tuple[Path, Path]]:
    """Folders of pictures and of their labels, without a data.yaml."""
    splits = [root / name for name in names_in(root) if split_of(name)]
    for folder in (root, *splits):
        if (folder / "images").is_dir() and (folder / "labels").is_dir():
            yield folder / "images", folder / "labels"


def _some_below(folder: Path) -> Iterator[str]:
    """Names in a folder and in the folders of it."""
    for name in names_in(folder):
        yield name
        if (folder / name).is_dir():
            yield from names_in(folder / name)


@dataclass
class _Reader:
    root: Path
    log: Log = field(default_factory=Log)

    def __post_init__(self) -> None:
        self.folder = DataFolder(self.root)
        self.labels = LabelReader(self.folder, self.log)

    def described(self, told: DataYaml, reason: str) -> RawDataset:
        """Read what a data.yaml tells of."""
        self.labels.point_columns = told.point_columns
        for fault in told.faults:
            self.log.add("yaml", "warning", "", (told.file.name, ""), fault)
        base = self._base(told)
        places = {
            split: [place for entry in entries for place in self._entry(entry, base, split, told)]
            for split, entries in told.entries.items()
        }
        return self._dataset(reason, self._categories(told), places)

    def plain(self, reason: str) -> RawDataset:
        """Read folders that nothing describes."""
        places: dict[str, list[Place]] = {}
        for images, _ in _pairs(self.root):
            for split, folder in _splits_of(images, self.root):
                places.setdefault(split, []).extend(self._below(folder, split))
        if not places:
            places[UNSPLIT] = self._below(self.root, UNSPLIT)
        return self._dataset(reason, self._named(), places)

    def _named(self) -> Mapping[object, str]:
        for name in (_CLASSES, f"labels/{_CLASSES}", f"labels/train/{_CLASSES}"):
            if path := self.folder.locate(name):
                return read_names(path)
        self.log.add("no-names", "warning", "", (_CLASSES, ""),
                     "no file names the classes: they are named by their numbers",
                     f"write {_CLASSES} with one name a line")  # fmt: skip
        return {}

    def _categories(self, told: DataYaml) -> Mapping[object, str]:
        names = dict(told.names)
        count = told.count if told.count is not None else len(names)
        if names and count != len(names):
            self.log.add("yaml", "warning", "", (told.file.name, "nc"),
                         f"nc is {count}, but there are {len(names)} names: the names were "
                         "taken")  # fmt: skip
        return names or {number: f"class {number}" for number in range(count)}

    def _base(self, told: DataYaml) -> str:
        """``path`` as a folder in this one, with a slash behind it; empty where it is this one."""
        if told.base in ("", "."):
            return ""
        try:
            place = self.folder.folder(told.base)
        except OutsideFolder:
            place = None
        if place and not place.is_mended:
            return f"{place.name}/"
        if (self.root / told.base).resolve() != self.root.resolve():
            self.log.add("path-mended", "fixed", "", (told.file.name, "path"),
                         f"path is '{told.base}': the folder of {told.file.name} itself was "
                         "taken")  # fmt: skip
        return ""

    def _entry(self, entry: str, base: str, split: str, told: DataYaml) -> list[Place]:
        """Pictures of one value of ``train``, ``val`` or ``test``."""
        at = (told.file.name, split)
        try:
            named = f"{base}{entry}" if base and not entry.startswith("/") else entry
            if folder := self.folder.folder(named) or self.folder.folder(entry):
                self._tell_mended(folder, entry, split, at)
                return self._below(folder.path, split)
            if listed := self.folder.file(named) or self.folder.file(entry):
                self._tell_mended(listed, entry, split, at)
                return self._listed(listed, split)
        except OutsideFolder as error:
            self.log.add("path-outside", "dropped", split, at, f"'{entry}' is not read: {error}")
            return []
        self.log.add(
            "path-missing", "dropped", split, at,
            f"'{entry}' is neither a folder nor a list in the data folder",
            "put it into the data folder, or give the folder that holds it",
        )  # fmt: skip
        return []

    def _tell_mended(self, place: Place, text: str, split: str, at: tuple[str, object]) -> None:
        if place.is_mended:
            self.log.add("path-mended", "fixed", split, at,
                         f"'{text}' leads out of the data folder: '{place.name}' in it was "
                         "taken")  # fmt: skip

    def _below(self, folder: Path, split: str) -> list[Place]:
        """All pictures in a folder; it may be a link, but nothing in it may lead out of it."""
        inside = ImageFolders((folder,))
        found = []
        for name in pictures_below(folder):
            full = (folder / name).relative_to(self.root).as_posix()
            try:
                is_there = inside.locate(name) is not None
            except OutsideFolder as error:
                self._tell_outside(full, "", split, error)
                continue
            if is_there:
                found.append(Place(folder / name, full, is_mended=False))
        return found

    def _listed(self, listed: Place, split: str) -> list[Place]:
        return list(listed_pictures(self.folder, listed, split, self.log))

    def _tell_outside(self, file: str, item: object, split: str, error: OutsideFolder) -> None:
        self.log.add("path-outside", "dropped", split, (file, item),
                     f"the picture is left out: {error}", "put the file itself there")  # fmt: skip

    def _dataset(
        self, reason: str, categories: Mapping[object, str], places: Mapping[str, list[Place]]
    ) -> RawDataset:
        splits = {name: self._images(part, name) for name, part in places.items() if part}
        check_labelled(self.labels, splits, self.root)
        if not categories:
            ids = {box.category for part in splits.values() for i in part for box in i.boxes}
            categories = {number: f"class {number}" for number in sorted(ids, key=_as_number)}
        return RawDataset(
            self.root, NAME, reason, categories, splits, tuple(self.log.findings)
        )  # fmt: skip

    def _images(self, places: list[Place], split: str) -> tuple[RawImage, ...]:
        return tuple(image for place in places if (image := self.labels.image(place, split)))


def _splits_of(images: Path, root: Path) -> Iterator[tuple[str, Path]]:
    """Splits in a folder of pictures: those it holds, or the one it lies in."""
    held = [(split, images / name) for name in names_in(images) if (split := split_of(name))]
    if images.parent != root:
        yield split_of(images.parent.name) or UNSPLIT, images
    elif held:
        yield from held
    else:
        yield UNSPLIT, images


def _as_number(category: object) -> int:
    return category if isinstance(category, int) else 0
