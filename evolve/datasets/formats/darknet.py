"""Darknet's data sets: a ``.data`` file that names lists of pictures, and labels of YOLO.

Its lines are ``key = value`` (github.com/AlexeyAB/darknet, "How to train"): ``classes``,
``train`` and ``valid``, lists of pictures one a line, and ``names``, class names one a line. All
paths are relative to where darknet is started, or absolute; they are sought by their tails. The
export of Roboflow for darknet is read too: ``train/_darknet.labels`` beside the pictures.
"""

from collections.abc import Mapping
from pathlib import Path

from evolve.datasets.formats.common import (
    LIMIT_TEXT_BYTES,
    Log,
    Unreadable,
    read_lines,
    read_names,
)
from evolve.datasets.formats.inside import DataFolder, Place, names_in, pictures_below
from evolve.datasets.formats.yolo_labels import LabelReader
from evolve.datasets.formats.yolo_lists import check_labelled, listed_pictures
from evolve.datasets.raw import RawDataset, RawImage
from model.data.coco_layout import split_of
from model.data.paths import OutsideFolder
from model.errors import DataError

NAME = "darknet"
_FOLDERS = ("", "data", "cfg", "backup")
_LISTS = {"train": "train", "valid": "val", "val": "val", "test": "test"}
_ROBOFLOW = "_darknet.labels"


def recognise(path: Path) -> str | None:
    """Why `path` is a data set of darknet's; None if it is none."""
    if path.is_file():
        return f"{path.name} names lists of images" if _is_data_file(path) else None
    if file := _data_file(path):
        return f"{file.relative_to(path).as_posix()} names lists of images"
    folders = _roboflow_folders(path)
    return f"there is {folders[0][1]}/{_ROBOFLOW}" if folders else None


def read(path: Path) -> RawDataset:
    """All of it; a DataError if there is no picture, or no label at all."""
    root = path.parent if path.is_file() else path
    file = path if path.is_file() else _data_file(path)
    reason = recognise(path)
    if reason is None:
        raise DataError("no data set of darknet's", str(path),
                        "a .data file names the lists train and valid, and names")  # fmt: skip
    log, folder = Log(), DataFolder(root)
    if file is None:
        return _read_roboflow(root, folder, log, reason)
    values = _values(file)
    categories = _categories(values, folder, log, file.name)
    places = {
        split: _listed(folder, values[key], split, log, file.name)
        for key, split in _LISTS.items()
        if key in values
    }
    return _dataset(folder, log, reason, categories, places)


def _read_roboflow(root: Path, folder: DataFolder, log: Log, reason: str) -> RawDataset:
    categories: Mapping[object, str] = {}
    places: dict[str, list[Place]] = {}
    for split, name in _roboflow_folders(root):
        categories = categories or read_names(root / name / _ROBOFLOW)
        places[split] = []
        for picture in pictures_below(root / name):
            try:
                path = folder.locate(f"{name}/{picture}")
            except OutsideFolder as error:
                log.add("path-outside", "dropped", split, (f"{name}/{picture}", ""),
                        f"the picture is left out: {error}")  # fmt: skip
                continue
            if path is not None:
                places[split].append(Place(path, f"{name}/{picture}", is_mended=False))
    return _dataset(folder, log, reason, categories, places)


def _dataset(
    folder: DataFolder, log: Log, reason: str, categories: Mapping[object, str],
    places: Mapping[str, list[Place]],
) -> RawDataset:  # fmt: skip
    labels = LabelReader(folder, log)
    splits: dict[str, tuple[RawImage, ...]] = {}
    for split, part in places.items():
        images = tuple(image for place in part if (image := labels.image(place, split)))
        if images:
            splits[split] = images
    check_labelled(labels, splits, folder.root)
    return RawDataset(folder.root, NAME, reason, categories, splits, tuple(log.findings))


def _data_file(root: Path) -> Path | None:
    found = [
        root / folder / name
        for folder in _FOLDERS
        for name in names_in(root / folder)
        if name.lower().endswith(".data") and _is_data_file(root / folder / name)
    ]
    if len(found) > 1:
        names = ", ".join(file.relative_to(root).as_posix() for file in found)
        raise DataError(f"several files could describe it: {names}", str(root), "give one of them")
    return found[0] if found else None


def _is_data_file(file: Path) -> bool:
    if file.suffix.lower() != ".data":
        return False
    try:
        return "train" in _values(file)
    except DataError:
        return False


def _values(file: Path) -> dict[str, str]:
    """``key = value`` by key; what is no such line is passed over, as darknet does."""
    try:
        lines = read_lines(file, LIMIT_TEXT_BYTES, 10_000)
    except Unreadable as error:
        raise DataError(str(error), str(file), "give the .data file, a short text") from None
    pairs = [line.split("=", 1) for line in lines if "=" in line and not line.startswith("#")]
    return {key.strip(): value.strip() for key, value in pairs}


def _categories(
    values: Mapping[str, str], folder: DataFolder, log: Log, file: str
) -> Mapping[object, str]:
    text = values.get("classes", "")
    count = int(text) if text.isdecimal() and len(text) < 7 else None
    place = _place(folder, values.get("names", ""), log, (file, "names"))
    names = read_names(place.path) if place else {}
    if place and count is not None and count != len(names):
        log.add("names", "warning", "", (place.name, ""),
                f"{file} says classes = {count}, but there are {len(names)} names: the names "
                "were taken")  # fmt: skip
    if names or count is None:
        return names
    log.add("no-names", "warning", "", (file, "names"),
            "the names of the classes were not found: they are named by their numbers",
            "put the file of names into the data folder")  # fmt: skip
    return {number: f"class {number}" for number in range(count)}


def _listed(folder: DataFolder, text: str, split: str, log: Log, file: str) -> list[Place]:
    place = _place(folder, text, log, (file, split))
    return list(listed_pictures(folder, place, split, log)) if place else []


def _place(folder: DataFolder, text: str, log: Log, at: tuple[str, object]) -> Place | None:
    try:
        place = folder.file(text)
    except OutsideFolder as error:
        log.add("path-outside", "dropped", "", at, f"'{text}' is not read: {error}")
        return None
    if place is None:
        log.add("path-missing", "dropped", "", at, f"there is no '{text}' in the data folder",
                "put it there, or give the folder that holds it")  # fmt: skip
    return place


def _roboflow_folders(root: Path) -> list[tuple[str, str]]:
    """Split and name of every folder with Roboflow's file of class names."""
    return [
        (split, name)
        for name in names_in(root)
        if (split := split_of(name)) and (root / name / _ROBOFLOW).is_file()
    ]
