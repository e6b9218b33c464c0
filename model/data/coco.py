"""COCO annotations -> records: read, checked and split, with nothing dropped in silence.

A data set is a folder with ``annotations/{train,val,test}.json`` (``test`` may be missing) and
``images/``, or of another layout that `model.data.coco_layout` knows; or one annotations file,
which is then split by a seeded hash of the file names.
What cannot be trained on is an error (`model.errors.DataError`); what can be mended is mended and
told in `Dataset.notes`.
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from model.data.coco_layout import SPLITS, UNSPLIT, find_layout, image_folders
from model.data.fit import fit_box, is_finite
from model.data.json_memory import check_json
from model.data.paths import ImageFolders, OutsideFolder
from model.errors import DataError
from model.files import names_beside

_LISTED = 3  # examples named in a message or note


@dataclass(frozen=True, eq=False)
class ImageRecord:
    """One picture and its truths.

    Attributes
    ----------
    image_id : int
        Its id in the annotations; unique within a split.
    file_name : str
        As written in the annotations.
    path : Path
        The image file; it existed when the data set was loaded.
    width, height : int
        Pixels, as written in the annotations.
    boxes_xyxy_px : ndarray, shape (N, 4), float32
        Corners in pixels of the original picture, inside it, with a positive area.
    labels : ndarray, shape (N,), int64
        Index into `Dataset.classes`.
    crowd : ndarray, shape (N,), bool
        Regions of many objects: left out of training, ignored (not missed) at evaluation.
    areas : ndarray, shape (N,), float32
        Square pixels, from the annotation (of the mask, where there is one): COCO's size ranges.
    """

    image_id: int
    file_name: str
    path: Path
    width: int
    height: int
    boxes_xyxy_px: NDArray[np.float32]
    labels: NDArray[np.int64]
    crowd: NDArray[np.bool_]
    areas: NDArray[np.float32]


@dataclass(frozen=True)
class Dataset:
    """A checked data set.

    Attributes
    ----------
    root : Path
        The folder, or the folder of the single annotations file.
    classes : tuple of str
        Names, in the order of `category_ids`; a label is an index into this.
    category_ids : tuple of int
        The annotations' own ids, ascending.
    splits : dict of str -> tuple of ImageRecord
        ``train`` and ``val`` always, ``test`` where there is one.
    digest : str
        SHA-256 over the annotations' bytes and every image's file name and size in bytes.
    notes : tuple of str
        What was mended or left out, one sentence each.
    """

    root: Path
    classes: tuple[str, ...]
    category_ids: tuple[int, ...]
    splits: dict[str, tuple[ImageRecord, ...]]
    digest: str
    notes: tuple[str, ...]


def load_dataset(
    path: Path, *, seed: int = 0, fractions: tuple[float, float, float] = (0.7, 0.15, 0.15)
) -> Dataset:
    """Read and check a data set.

    Parameters
    ----------
    path : Path
        A folder with ``annotations/`` and ``images/`` (pictures may also lie in
        ``images/<split>/`` or ``<split>/``) or of another layout of COCO's, or one annotations
        file with its pictures in ``images/`` beside it, in its own folder, or in ``../images``.
    seed : int
        Of the split of a single annotations file.
    fractions : tuple of three float
        Train, val and test shares of that split; they sum to 1.

    Raises
    ------
    DataError
        With the file and the place in it, and what to do about it.
    """
    path = Path(path)
    if path.is_dir():
        layout = find_layout(path)
        if layout and layout.alone:
            return _load_single(layout.alone, image_folders(path, UNSPLIT), seed, fractions)
        return _load_folder(path)
    if path.is_file():
        return _load_single(path, image_folders(path, UNSPLIT), seed, fractions)
    raise DataError(f"no data set at '{path}'", str(path), names_beside(path))


def _load_folder(root: Path) -> Dataset:
    files = _annotation_files(root)
    readers = {name: _Reader.open(file, image_folders(root, name)) for name, file in files.items()}
    categories = _agreed_categories(list(readers.values()))
    splits = {name: reader.records(categories) for name, reader in readers.items()}
    notes = [note for reader in readers.values() for note in reader.notes()]
    if "test" not in readers:
        notes.append("no annotations/test.json: there is no test split")
    return _dataset(root, categories, splits, list(readers.values()), notes)


def _annotation_files(root: Path) -> dict[str, Path]:
    layout = find_layout(root)
    files = dict(layout.files) if layout else {}
    for name in ("train", "val"):
        if name not in files:
            sought = root / "annotations" / f"{name}.json"
            is_usual = not files or sought.parent in (file.parent for file in files.values())
            raise DataError(
                f"annotations/{name}.json is missing"
                if is_usual
                else f"there are no annotations of '{name}'",
                str(root),
                f"{names_beside(sought)}; or give one annotations file to be split; "
                "folders of classes are for --task classify",
            )
    return files


def _load_single(
    file: Path, folders: Iterable[Path], seed: int, fractions: tuple[float, float, float]
) -> Dataset:
    if min(fractions) < 0 or not math.isclose(sum(fractions), 1.0):
        raise DataError(
            f"the shares {fractions} do not sum to 1", "fractions", "give shares that sum to 1"
        )
    folder = file.parent
    reader = _Reader.open(file, folders)
    categories = _agreed_categories([reader])
    splits = split_by_hash(reader.records(categories), seed, fractions)
    for name in ("train", "val"):
        if not splits.get(name):
            raise DataError(
                f"split by hash, {sum(map(len, splits.values()))} images leave '{name}' empty",
                str(file),
                "add images, take another seed, or write annotations/train.json and val.json",
            )
    shares = ", ".join(f"{name} {len(records)}" for name, records in splits.items())
    notes = [f"{file.name} was split by a hash of seed {seed} and file name: {shares}"]
    return _dataset(folder, categories, splits, [reader], notes + reader.notes())


def find_image(path: Path, split: str, file_name: str) -> Path | None:
    """Image file of a data set without reading its annotations; None if there is none.

    Parameters
    ----------
    path : Path
        As for `load_dataset`.
    split, file_name : str
        As in the annotations.

    Raises
    ------
    DataError
        If the name leads out of the data folder.
    """
    try:
        return ImageFolders(image_folders(path, split)).locate(file_name)
    except OutsideFolder as error:
        what = f"file_name '{file_name}' leaves the data folder ({error})"
        raise DataError(what, str(path), "name files inside of it") from None


class Named(Protocol):
    """Anything with the file name of a picture."""

    @property
    def file_name(self) -> str:
        """As written in the annotations."""


Record = TypeVar("Record", bound=Named)


def split_by_hash(
    records: Sequence[Record], seed: int, fractions: tuple[float, float, float]
) -> dict[str, tuple[Record, ...]]:
    """Each image by its own name alone, so an added image moves no other."""
    marks = np.cumsum(fractions)[:2]
    parts: dict[str, list[Record]] = {name: [] for name in SPLITS}
    for record in records:
        digest = hashlib.sha256(f"{seed}:{record.file_name}".encode()).digest()
        share = int.from_bytes(digest[:8], "big") / 2**64
        parts[SPLITS[int(np.searchsorted(marks, share, side="right"))]].append(record)
    return {name: tuple(part) for name, part in parts.items() if part}


def _dataset(
    root: Path,
    categories: Mapping[int, str],
    splits: dict[str, tuple[ImageRecord, ...]],
    readers: Sequence["_Reader"],
    notes: list[str],
) -> Dataset:
    ids = tuple(sorted(categories))
    classes = tuple(categories[number] for number in ids)
    if not any(len(record.labels) for record in splits["train"]):
        raise DataError("no box is left to train on", str(readers[0].file), "; ".join(notes))
    notes.extend(_coverage_notes(classes, splits))
    return Dataset(root, classes, ids, splits, _digest(splits, readers), tuple(notes))


def _coverage_notes(
    classes: tuple[str, ...], splits: Mapping[str, Sequence[ImageRecord]]
) -> list[str]:
    """Classes nobody can learn, and images that two splits share."""
    seen: Counter[int] = Counter()
    for record in splits["train"]:
        seen.update(record.labels[~record.crowd].tolist())
    unseen = [name for label, name in enumerate(classes) if not seen[label]]
    notes = [f"train: no box of {_few(unseen)}"] if unseen else []
    paths = {name: {record.path for record in records} for name, records in splits.items()}
    names = list(paths)
    for index, one in enumerate(names):
        for other in names[index + 1 :]:
            shared = sorted(path.name for path in paths[one] & paths[other])
            if shared:
                notes.append(f"{one} and {other} share {_few(shared)}: scores will flatter")
    return notes


def _digest(splits: Mapping[str, Sequence[ImageRecord]], readers: Sequence["_Reader"]) -> str:
    total = hashlib.sha256()
    for reader in readers:
        total.update(f"{reader.file.name}:{reader.content_sha256}\n".encode())
    for name, records in sorted(splits.items()):
        for record in sorted(records, key=lambda item: item.file_name):
            size = record.path.stat().st_size
            total.update(json.dumps([name, record.file_name, size]).encode())
    return total.hexdigest()


@dataclass
class _Reader:
    """One annotations file being read: its tree, its folders, and what had to be mended."""

    file: Path
    tree: dict[str, Any]
    content_sha256: str
    folders: ImageFolders
    mended: dict[str, list[Any]] = field(default_factory=dict)
    faults: dict[str, list[DataError]] = field(default_factory=dict)

    @classmethod
    def open(cls, file: Path, roots: Iterable[Path]) -> "_Reader":
        try:
            check_json(file)
            content = file.read_bytes()
        except OSError as error:
            raise DataError(
                f"cannot read it: {error.strerror}",
                str(file),
                "let the file be read, or give another",
            ) from None
        tree = _parse_json(content, file)
        if not isinstance(tree, dict):
            raise DataError("not COCO: the file is not an object", str(file), _COCO)
        for key in ("images", "annotations", "categories"):
            if not isinstance(tree.get(key), list):
                state = "is not a list" if key in tree else "is missing"
                raise DataError(f"not COCO: '{key}' {state}", str(file), _COCO)
        digest = hashlib.sha256(content).hexdigest()
        return cls(file, tree, digest, ImageFolders(roots))

    def categories(self) -> dict[int, str]:
        """Category id -> name; ids and names are each unique."""
        found: dict[int, str] = {}
        for index, entry in enumerate(self.tree["categories"]):
            where = f"{self.file}: categories[{index}]"
            number, name = _get(entry, "id", int, where), _get(entry, "name", str, where)
            if number in found or name in found.values():
                raise DataError(
                    f"category {number} '{name}' is there twice",
                    where,
                    "give each category an id and a name of its own",
                )
            found[number] = name
        if not found:
            raise DataError("there is no category", str(self.file), _COCO)
        return found

    def records(self, categories: Mapping[int, str]) -> tuple[ImageRecord, ...]:
        """All images with their boxes, in the file's order; `categories` of all splits."""
        labels = {number: label for label, number in enumerate(sorted(categories))}
        images = self._images()
        truths = self._truths(images, labels)
        self._refuse_faults()
        return tuple(
            self._record(entry, path, truths.get(number, []))
            for number, (entry, path) in images.items()
        )

    def notes(self) -> list[str]:
        """Sentences on what was mended while reading, one for each kind."""
        return [
            f"{self.file.name}: {text.format(count=len(found), few=_few(found))}"
            for kind, text in _NOTES.items()
            if (found := self.mended.get(kind))
        ]

    def _mend(self, kind: str, what: object) -> None:
        self.mended.setdefault(kind, []).append(what)

    def _refuse(self, kind: str, what: str, where: str, mend: str = "") -> None:
        """Note a fault that data cannot be trained with; all of a kind are told of at once."""
        self.faults.setdefault(kind, []).append(DataError(what, where, mend))

    def _refuse_faults(self) -> None:
        """Raise the first fault, with the number of others of its kind."""
        for found in self.faults.values():
            first, others = found[0], found[1:]
            if not others:
                raise first
            places = _few([error.where.removeprefix(f"{self.file}: ") for error in others])
            raise DataError(
                f"{first.what}, and {len(others)} more of this kind: {places}",
                first.where,
                "; ".join(filter(None, (first.mend, _TELLS_ALL))),
            )

    def _images(self) -> dict[int, tuple[dict[str, Any], Path]]:
        images: dict[int, tuple[dict[str, Any], Path]] = {}
        names: set[str] = set()
        missing: list[str] = []
        for index, entry in enumerate(self.tree["images"]):
            where = f"{self.file}: images[{index}]"
            number, name = _get(entry, "id", int, where), _get(entry, "file_name", str, where)
            for side in ("width", "height"):
                if _get(entry, side, int, where) < 1:
                    raise DataError(
                        f"{side} {entry[side]} is not a positive number",
                        where,
                        "write the size of the image in pixels",
                    )
            if number in images:
                self._refuse("image id", f"image id {number} is there twice", where, _UNIQUE)
            if name in names:
                self._refuse("file name", f"file_name '{name}' is there twice", where, _UNIQUE)
            names.add(name)
            path = self._locate(name, where)
            if path is None:
                missing.append(name)
            else:
                images[number] = (entry, path)
        self._check_found(names, missing)
        return images

    def _locate(self, name: str, where: str) -> Path | None:
        try:
            return self.folders.locate(name)
        except OutsideFolder as error:
            raise DataError(
                f"file_name '{name}' leaves the data folder ({error})",
                where,
                "write names relative to images/; a link may stand for images/ as a whole only",
            ) from None

    def _check_found(self, names: set[str], missing: list[str]) -> None:
        if not names:
            raise DataError("there are no images", str(self.file), _COCO)
        if missing:
            sought = ", ".join(str(root) for root in self.folders.roots)
            raise DataError(
                f"{len(missing)} of {len(names)} image files are missing: {_few(missing)}",
                str(self.file),
                f"looked in {sought}; {_TELLS_ALL}" if len(missing) > 1 else f"looked in {sought}",
            )

    def _truths(
        self, images: Mapping[int, tuple[dict[str, Any], Path]], labels: Mapping[int, int]
    ) -> dict[int, list[tuple[list[float], int, bool, float]]]:
        """Image id -> (box_xyxy_px, label, crowd, area) of every box that makes sense."""
        if not self.tree["annotations"]:
            raise DataError("there are no annotations at all", str(self.file), _COCO)
        truths: dict[int, list[tuple[list[float], int, bool, float]]] = {}
        ids: set[object] = set()
        for index, entry in enumerate(self.tree["annotations"]):
            where = self._annotation_place(index, entry)
            number = _get(entry, "image_id", int, where)
            category = _get(entry, "category_id", int, where)
            if number not in images:
                self._refuse(
                    "image",
                    f"there is no image with id {number}",
                    where,
                    "take the annotation out, or add the image",
                )
            if category not in labels:
                known = f"known: {', '.join(map(str, sorted(labels)))}"
                self._refuse("category", f"there is no category {category}", where, known)
            if number not in images or category not in labels:
                continue
            self._check_annotation_id(entry.get("id"), ids, index)
            box = self._box(entry, images[number][0], where)
            if box is not None:
                crowd = _crowd(entry, where)
                area = self._area(entry, box)
                truths.setdefault(number, []).append((box, labels[category], crowd, area))
                if crowd:
                    self._mend("crowd", _name(entry, index))
        return truths

    def _annotation_place(self, index: int, entry: object) -> str:
        number = entry.get("id") if isinstance(entry, dict) else None
        return f"{self.file}: annotations[{index}] (id {number})"

    def _check_annotation_id(self, number: object, ids: set[object], index: int) -> None:
        """Note ids that are 0, missing or twice: pycocotools scores them wrongly and is silent."""
        plain = isinstance(number, int) and not isinstance(number, bool) and number > 0
        if not plain or number in ids:
            self._mend("ids", f"[{index}]" if number is None else number)
        if plain:
            ids.add(number)

    def _box(self, entry: dict[str, Any], image: dict[str, Any], where: str) -> list[float] | None:
        """COCO's x, y, w, h -> corners inside the image; None where nothing is left."""
        box = entry.get("bbox")
        if not (isinstance(box, list) and len(box) == 4 and all(map(_is_number, box))):
            self._refuse("bbox", f"bbox {box!r} is not four numbers", where, "COCO: [x, y, w, h]")
            return None
        fitted = fit_box(box, image["width"], image["height"])
        if fitted.fault:
            self._mend(_BOX_NOTES[fitted.fault], _name(entry, where))
        return None if fitted.corners_xyxy_px is None else list(fitted.corners_xyxy_px)

    def _area(self, entry: dict[str, Any], box: Sequence[float]) -> float:
        area = entry.get("area")
        if isinstance(area, int | float) and is_finite(area) and area > 0:
            return float(area)
        self._mend("area", _name(entry, "?"))
        return (box[2] - box[0]) * (box[3] - box[1])

    def _record(
        self,
        entry: dict[str, Any],
        path: Path,
        truths: Sequence[tuple[list[float], int, bool, float]],
    ) -> ImageRecord:
        if not truths:
            self._mend("empty", entry["file_name"])
        return ImageRecord(
            image_id=entry["id"],
            file_name=entry["file_name"],
            path=path,
            width=entry["width"],
            height=entry["height"],
            boxes_xyxy_px=np.array([t[0] for t in truths], np.float32).reshape(-1, 4),
            labels=np.array([t[1] for t in truths], np.int64),
            crowd=np.array([t[2] for t in truths], np.bool_),
            areas=np.array([t[3] for t in truths], np.float32),
        )


_BOX_NOTES = {"not-finite": "bad", "no-area": "bad", "outside": "outside", "clipped": "clipped"}
_COCO = "COCO files hold the lists images, annotations and categories"
_TELLS_ALL = "'evolve data check' tells of all of them"
_UNIQUE = "give every image one entry with an id and a file_name of its own"
_NOTES = {
    "bad": "{count} boxes with a NaN, or without width or height, were left out (id {few})",
    "outside": "{count} boxes wholly outside their image were left out (id {few})",
    "clipped": "{count} boxes were clipped to their image (id {few})",
    "ids": "{count} annotation ids are 0, missing or twice (id {few}); all are numbered anew",
    "area": "{count} annotations have no area: that of the box is taken (id {few})",
    "crowd": "{count} crowd boxes are not trained on, and ignored at evaluation (id {few})",
    "empty": "{count} images have no box: background ({few})",
}


def _agreed_categories(readers: Sequence[_Reader]) -> dict[int, str]:
    """Union of all files' categories, which must not contradict each other."""
    union: dict[int, str] = {}
    for reader in readers:
        for number, name in reader.categories().items():
            if union.setdefault(number, name) != name:
                raise DataError(
                    f"category {number} is '{union[number]}' in one split and '{name}' in another",
                    str(reader.file),
                    "write the same categories into every split",
                )
    doubled = [name for name, count in Counter(union.values()).items() if count > 1]
    if doubled:
        raise DataError(
            f"the splits give different ids to {_few(doubled)}",
            str(readers[0].file),
            "write the same categories into every split",
        )
    return union


def _parse_json(content: bytes, file: Path) -> Any:
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        place = f"{file}:{error.lineno}:{error.colno}"
        raise DataError(
            f"broken JSON: {error.msg}",
            place,
            "correct the file there; 'python -m json.tool FILE' shows the place, too",
        ) from None
    except RecursionError:
        raise DataError("broken JSON: it is nested too deeply", str(file), _COCO) from None
    except ValueError as error:  # no text, or a number of thousands of digits
        raise DataError(
            f"broken JSON: {error}", str(file), "write the file anew, in UTF-8"
        ) from None


def _get(entry: Any, key: str, kind: type, where: str) -> Any:
    """Value of a required key, of exactly the type the format names."""
    if not isinstance(entry, dict):
        raise DataError(f"not COCO: {entry!r} is not an object", where, _COCO)
    if key not in entry:
        raise DataError(f"not COCO: '{key}' is missing", where, _COCO)
    value = entry[key]
    if kind is int and isinstance(value, float) and value.is_integer():
        value = entry[key] = int(value)
    if not isinstance(value, kind) or isinstance(value, bool):
        kinds = {int: "a whole number", str: "text"}
        raise DataError(f"not COCO: {key} {value!r} is not {kinds[kind]}", where, _COCO)
    return value


def _crowd(entry: Mapping[str, Any], where: str) -> bool:
    value = entry.get("iscrowd", 0)
    if value not in (0, 1):
        raise DataError(
            f"iscrowd {value!r} is neither 0 nor 1",
            where,
            "write 0, or 1 for a region of many objects",
        )
    return bool(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _name(entry: Mapping[str, Any], fallback: object) -> object:
    return entry.get("id", fallback)


def _few(items: Sequence[object]) -> str:
    text = ", ".join(str(item) for item in items[:_LISTED])
    return f"{text} and {len(items) - _LISTED} more" if len(items) > _LISTED else text
