"""COCO annotations (cocodataset.org/#format-data) in the layouts of `model.data.coco_layout`.

Here nothing is refused but what is no COCO at all: `model.data.coco` is the strict reader.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evolve.datasets.formats.common import Log, Unreadable, read_bytes
from evolve.datasets.raw import RawBox, RawDataset, RawImage
from model.data.coco_layout import ROBOFLOW, UNSPLIT, find_layout, image_folders
from model.data.json_memory import check_json
from model.data.limits import max_json_bytes
from model.data.paths import ImageFolders, OutsideFolder
from model.errors import DataError

NAME = "coco"
_WRITE_ANEW = "export the file anew"
_LISTS = ("images", "annotations", "categories")
_FORMAT = "COCO files hold the lists images, annotations and categories"


def recognise(path: Path) -> str | None:
    """Why `path` is a COCO data set; None if it is none."""
    if path.is_file():
        return f"{path.name} is JSON" if path.suffix.lower() == ".json" else None
    layout = find_layout(path)
    return layout.reason if layout else None


def read(path: Path) -> RawDataset:
    """All of it; a DataError if an annotations file is no COCO."""
    reason = recognise(path)
    layout = find_layout(path) if path.is_dir() else None
    files = {UNSPLIT: path} if path.is_file() else dict(layout.files if layout else {})
    if not files:
        raise DataError(
            "no COCO data set", str(path), "it has annotations/train.json and val.json"
        )
    root = path.parent if path.is_file() else path
    log = Log()
    readers = {
        split: _File(file, file.relative_to(root).as_posix(), split,
                     ImageFolders(image_folders(path, split)), log)
        for split, file in files.items()
    }  # fmt: skip
    categories: dict[object, str] = {}
    for reader in readers.values():
        reader.add_categories(categories)
    splits = {split: reader.images() for split, reader in readers.items()}
    _drop_project_class(categories, list(readers.values()), log)
    reason = reason or f"{path.name} was given"
    return RawDataset(root, NAME, reason, categories, splits, tuple(log.findings))


@dataclass
class _File:
    """One annotations file."""

    file: Path
    name: str
    split: str
    folders: ImageFolders
    log: Log
    tree: dict[str, Any] = field(init=False)
    used: set[object] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.tree = _parsed(self.file)

    def add_categories(self, categories: dict[object, str]) -> None:
        """Add those of this file; the first name of an id stays."""
        for index, entry in enumerate(self.tree["categories"]):
            item = f"categories[{index}]"
            known = isinstance(entry, dict) and "id" in entry
            if not known or not isinstance(entry.get("name"), str):
                self._find(
                    "category-broken", "dropped", item, f"{_short(entry)} has no id or name"
                )
                continue
            number, name = _key(entry["id"]), entry["name"]
            if categories.setdefault(number, name) != name:
                self._find("category-conflict", "dropped", item,
                           f"category {number} is '{categories[number]}' elsewhere and '{name}' "
                           "here: the first name was kept")  # fmt: skip

    def images(self) -> tuple[RawImage, ...]:
        """All images with their boxes, in the order of the file."""
        boxes = self._boxes()
        found = []
        for index, entry in enumerate(self.tree["images"]):
            item = f"images[{index}]"
            number = _key(entry.get("id")) if isinstance(entry, dict) else None
            if number is None or not isinstance(entry.get("file_name"), str):
                what = f"{_short(entry)} has no id or file_name"
                self._find("image-broken", "dropped", item, what)
                continue
            found.append(
                RawImage(
                    where=f"{self.name}: {item}",
                    image_id=number,
                    file_name=entry["file_name"],
                    path=self._locate(entry["file_name"], item),
                    size_wh=_size(entry),
                    boxes=tuple(boxes.pop(number, ())),
                )
            )
        for number, orphans in boxes.items():
            for box in orphans:
                self._find("image-unknown", "dropped", box.where.partition(": ")[2],
                           f"there is no image with id {number!r}")  # fmt: skip
        return tuple(found)

    def _locate(self, name: str, item: str) -> Path | None:
        try:
            return self.folders.locate(name)
        except OutsideFolder as error:
            self.log.add("path-outside", "dropped", self.split, (name, f"{self.name}: {item}"),
                         f"the image is left out: its name leaves the data folder ({error})",
                         "write names relative to images/")  # fmt: skip
            return None

    def _boxes(self) -> dict[object, list[RawBox]]:
        """Boxes by the id of their image."""
        found: dict[object, list[RawBox]] = {}
        for index, entry in enumerate(self.tree["annotations"]):
            item = f"annotations[{index}]"
            if not isinstance(entry, dict):
                self._find("annotation-broken", "dropped", item, f"{_short(entry)} is no object")
                continue
            xywh = self._xywh(entry, item)
            if xywh is None:
                continue
            category = _key(entry.get("category_id"))
            self.used.add(category)
            box = RawBox(
                where=f"{self.name}: {item}",
                annotation_id=entry.get("id"),
                category=category,
                xywh_px=xywh,
                is_crowd=self._crowd(entry, item),
                area_px=_number(entry.get("area")),
            )
            found.setdefault(_key(entry.get("image_id")), []).append(box)
        return found

    def _xywh(
        self, entry: Mapping[str, Any], item: str
    ) -> tuple[float, float, float, float] | None:
        box = entry.get("bbox")
        numbers = [_number(value) for value in box] if isinstance(box, list) else []
        if len(numbers) == 4 and None not in numbers:
            x, y, w, h = (float(value) for value in numbers if value is not None)
            return x, y, w, h
        around = _around(entry.get("segmentation"))
        if around is None:
            self._find("bbox-broken", "dropped", item, f"bbox {_short(box)} is not four numbers",
                       "COCO: [x, y, width, height]")  # fmt: skip
        else:
            self._find("polygon", "fixed", item, "it has no bbox: the box around its polygons "
                       "was taken")  # fmt: skip
        return around

    def _crowd(self, entry: Mapping[str, Any], item: str) -> bool:
        value = entry.get("iscrowd", 0)
        if value not in (0, 1):
            self._find("iscrowd", "fixed", item, f"iscrowd {_short(value)} is neither 0 nor 1: "
                       "taken as 0")  # fmt: skip
        return bool(value == 1)

    def _find(self, kind: str, outcome: Any, item: str, what: str, mend: str = "") -> None:
        self.log.add(kind, outcome, self.split, (self.name, item), what, mend)


def _parsed(file: Path) -> dict[str, Any]:
    try:
        content = read_bytes(file, max_json_bytes())
        check_json(file)
        tree = json.loads(content)
    except Unreadable as error:
        raise DataError(str(error), str(file), _FORMAT) from None
    except json.JSONDecodeError as error:
        raise DataError(
            f"broken JSON: {error.msg}", f"{file}:{error.lineno}:{error.colno}", _WRITE_ANEW
        ) from None
    except (ValueError, RecursionError) as error:  # no text, a number of thousands of digits
        raise DataError(f"broken JSON: {error}", str(file), _WRITE_ANEW) from None
    if not isinstance(tree, dict):
        raise DataError("not COCO: the file is not an object", str(file), _FORMAT)
    for key in _LISTS:
        if not isinstance(tree.get(key), list):
            state = "is not a list" if key in tree else "is missing"
            raise DataError(f"not COCO: '{key}' {state}", str(file), _FORMAT)
    return tree


def _drop_project_class(categories: dict[object, str], files: list[_File], log: Log) -> None:
    """Leave out the class that Roboflow makes of a project's name, which no box is of."""
    if not all(reader.file.name == ROBOFLOW for reader in files):
        return
    entries = [e for reader in files for e in reader.tree["categories"] if isinstance(e, dict)]
    parents = {entry.get("supercategory") for entry in entries if _key(entry.get("id")) != 0}
    used = set().union(*(reader.used for reader in files))
    if 0 in categories and 0 not in used and categories[0] in parents:
        name = categories.pop(0)
        log.add("project-class", "fixed", "", (files[0].name, "categories"),
                f"category 0 '{name}' is the name of the project, and no box is of it: it was "
                "left out")  # fmt: skip


def _key(value: object) -> object:
    """An id as something that can be a key; ``true`` is not 1."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    plain = value is None or isinstance(value, int | float | str)
    return value if plain and not isinstance(value, bool) else _short(value)


def _number(value: object) -> float | None:
    """A number as float, infinite where it is too large; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def _size(entry: Mapping[str, Any]) -> tuple[int, int] | None:
    sides = [_number(entry.get(side)) for side in ("width", "height")]
    if any(side is None or not 1 <= side < 1e9 or not side.is_integer() for side in sides):
        return None
    width, height = (int(side) for side in sides if side is not None)
    return width, height


def _around(polygons: object) -> tuple[float, float, float, float] | None:
    """Box around polygons of COCO's; None for a mask or anything else."""
    if not isinstance(polygons, list) or not all(isinstance(one, list) for one in polygons):
        return None
    xs = [_number(value) for one in polygons for value in one[::2]]
    ys = [_number(value) for one in polygons for value in one[1::2]]
    if not xs or not ys or None in xs or None in ys:
        return None
    left, top = min(x for x in xs if x is not None), min(y for y in ys if y is not None)
    right, bottom = max(x for x in xs if x is not None), max(y for y in ys if y is not None)
    return left, top, right - left, bottom - top


def _short(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:60]}..."
