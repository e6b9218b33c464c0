"""Clean COCO: what is left of a data set, written whole or not at all.

``annotations/{train,val,test}.json`` with ids from 1, ``images/`` and ``import-log.csv``, which
tells of every change. The same data give the same bytes.
"""

import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evolve.ablation.render import clean as on_one_line
from evolve.ablation.render import csv_text
from evolve.datasets.clean import Cleaned
from evolve.datasets.file_names import safe_names
from evolve.datasets.findings import OUTCOMES, Finding
from evolve.datasets.formats.common import few, picture_size
from evolve.datasets.raw import RawBox, RawDataset, RawImage
from model.data.limits import max_pixels
from model.errors import DataError
from model.files import write_text_atomically

LOG = "import-log.csv"
_COLUMNS = ("outcome", "kind", "split", "file", "item", "what", "mend")
_DECIMALS = 4  # of a pixel: finer than any annotation


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes
    ----------
    path : Path
    classes : tuple of str
    images, boxes : mapping of str -> int
        By split; a crowd is no box.
    findings : tuple of Finding
        All, in the order of the log.
    """

    path: Path
    classes: tuple[str, ...]
    images: Mapping[str, int]
    boxes: Mapping[str, int]
    findings: tuple[Finding, ...]

    @property
    def changes(self) -> list[tuple[str, str, int, str]]:
        """Outcome, kind, number and an example of findings, the worst first."""
        counts = Counter((one.outcome, one.kind) for one in self.findings)
        examples = {(one.outcome, one.kind): one for one in reversed(self.findings)}
        ordered = sorted(counts, key=lambda key: (OUTCOMES.index(key[0]), key[1]))
        return [(*key, counts[key], _told(examples[key])) for key in ordered]


def _told(finding: Finding) -> str:
    """A finding on one line, with its place."""
    places = [one for one in (finding.file, finding.item) if one]
    at = f" ({', '.join(places)})" if places else ""
    return on_one_line(finding.what + at)


def check_out(out: Path) -> None:
    """Refuse, with a DataError, a folder that holds something, or that cannot be looked into."""
    try:
        taken = out.is_symlink() or (
            out.exists() and not (out.is_dir() and not any(out.iterdir()))
        )
    except OSError as error:
        raise DataError(
            f"it cannot be looked into: {error.strerror}", str(out), "name another folder"
        ) from None
    if taken:
        raise DataError("there is something already", str(out), "name a new folder")


def write_coco(cleaned: Cleaned, out: Path, *, copy: bool = False) -> Written:
    """Write a data set that `clean` has been over.

    Parameters
    ----------
    cleaned : Cleaned
    out : Path
        Must not exist, or be an empty folder; it appears whole or not at all.
    copy : bool
        Copy images in any case; otherwise they are linked where the file system can (one file
        under two names: changing the one changes the other).

    Raises
    ------
    DataError
        If nothing is left to train on or to measure on, there is something at `out`, or it
        cannot be written.
    """
    out = Path(out)
    _check_usable(cleaned)
    check_out(out)
    writer = _Writer(cleaned, copy=copy)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as temporary:
            made = Path(temporary) / out.name
            made.mkdir()
            writer.write(made)
            made.replace(out)
    except OSError as error:
        what, where = f"cannot write the data set: {error.strerror}", str(error.filename or out)
        mend = "make room, or name a folder that can be written"
        raise DataError(what, where, mend) from error
    return writer.written(out)


def _check_usable(cleaned: Cleaned) -> None:
    errors = [one for one in cleaned.findings if one.outcome == "error"]
    told = few([f"{one.what} ({one.file})" if one.file else one.what for one in errors])
    if errors:
        raise DataError(
            f"the data cannot be trained on: {told}",
            str(cleaned.raw.root),
            "mend that in the files; 'evolve data check' tells of all of it",
        )
    kinds = Counter(one.kind for one in cleaned.findings if one.outcome == "dropped")
    lost = few([f"{count} {kind}" for kind, count in kinds.most_common()], 6)
    mend = f"left out were: {lost}" if kinds else ""
    for split in ("train", "val"):
        images = cleaned.raw.splits.get(split, ())
        if not any(not box.is_crowd for image in images for box in image.boxes):
            what = f"no box is left in {split}, of {len(images)} images"
            raise DataError(what, str(cleaned.raw.root), mend)


def _without_empty_test(raw: RawDataset, findings: list[Finding]) -> RawDataset:
    """The data without a test split of which no image has a box: nothing can be measured on it."""
    images = raw.splits.get("test")
    if images is None or any(image.boxes for image in images):
        return raw
    what = f"none of {len(images)} images has a box: there is no test split"
    findings.append(Finding("no-test", "dropped", "test", "", "", what))
    return replace(raw, splits={name: raw.splits[name] for name in raw.splits if name != "test"})


class _Writer:
    """One data set being written."""

    def __init__(self, cleaned: Cleaned, *, copy: bool) -> None:
        self._copy = copy
        self._findings = list(cleaned.findings)
        self.raw = _without_empty_test(cleaned.raw, self._findings)
        self._number = {key: i for i, key in enumerate(self.raw.categories, 1)}
        self._classes = _class_names(self.raw.categories, self._findings)
        self._names = safe_names(self.raw.splits, self.raw.root, self._findings)
        self._images: dict[str, int] = {}
        self._boxes: dict[str, int] = {}

    def write(self, folder: Path) -> None:
        """Fill a new folder."""
        (folder / "annotations").mkdir()
        (folder / "images").mkdir()
        first_image, first_box = 1, 1
        for split, images in self.raw.splits.items():
            tree = self._tree(split, images, first_image, first_box)
            text = json.dumps(tree, separators=(",", ":"), allow_nan=False)
            write_text_atomically(folder / "annotations" / f"{split}.json", text + "\n")
            first_image += len(tree["images"])
            first_box += len(tree["annotations"])
            for image in images:
                self._place(image, folder / "images")
        write_text_atomically(folder / LOG, self._log())

    def written(self, out: Path) -> Written:
        """What `write` wrote."""
        return Written(out, tuple(self._classes), self._images, self._boxes,
                       tuple(self._findings))  # fmt: skip

    def _tree(
        self, split: str, images: Sequence[RawImage], first_image: int, first_box: int
    ) -> dict[str, Any]:
        """COCO's lists of a split."""
        entries: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for number, image in enumerate(images, first_image):
            width, height = size = _size(image)
            name = self._name(image)
            entries.append({"id": number, "file_name": name, "width": width, "height": height})
            for box in image.boxes:
                box_id = first_box + len(annotations)
                annotations.append(self._annotation(box, box_id, number, size))
        self._images[split] = len(entries)
        self._boxes[split] = sum(not one["iscrowd"] for one in annotations)
        categories = [{"id": i, "name": name} for i, name in enumerate(self._classes, 1)]
        return {"images": entries, "annotations": annotations, "categories": categories}

    def _annotation(
        self, box: RawBox, number: int, image_number: int, size_wh: tuple[int, int]
    ) -> dict[str, Any]:
        xywh = _rounded(box.xywh_px, size_wh)
        area = box.area_px if box.area_px and box.area_px > 0 else xywh[2] * xywh[3]
        return {
            "id": number,
            "image_id": image_number,
            "category_id": self._number[box.category],
            "bbox": xywh,
            "area": _plain(round(area, _DECIMALS)) or area,
            "iscrowd": int(box.is_crowd),
        }

    def _name(self, image: RawImage) -> str:
        assert image.path is not None  # cleaned
        return self._names[image.path]

    def _place(self, image: RawImage, folder: Path) -> None:
        """The image file under its new name, as a link or a copy."""
        target = folder / self._name(image)
        assert image.path is not None
        source = os.path.realpath(image.path)  # a link to a link would lead to nothing elsewhere
        if not self._copy and not target.exists():
            try:
                target.hardlink_to(source)
            except OSError:  # another file system, or one without links
                pass
            else:
                return
        if not target.exists():
            shutil.copyfile(source, target)

    def _log(self) -> str:
        lines = [
            (one.outcome, one.kind, one.split, one.file, one.item, one.what, one.mend)
            for one in self._findings
        ]
        return csv_text([_COLUMNS, *lines])


def _size(image: RawImage) -> tuple[int, int]:
    size = image.size_wh or (picture_size(image.path) if image.path else None)
    if size is None or size[0] * size[1] > max_pixels():
        raise DataError("not an image that can be read", str(image.path), "take it away")
    return size


def _rounded(
    xywh_px: tuple[float, float, float, float], size_wh: tuple[int, int]
) -> list[float | int]:
    """The box with few decimals, still inside its image."""
    left, top, width, height = (round(value, _DECIMALS) for value in xywh_px)
    width = _side(left, width or xywh_px[2], size_wh[0])
    height = _side(top, height or xywh_px[3], size_wh[1])
    return [_plain(value) for value in (left, top, width, height)]


def _side(low: float, side: float, limit: int) -> float:
    """A side that does not reach over the limit by a rounding."""
    step = 10.0**-_DECIMALS
    while low + side > limit and side > step:
        side = round(side - step, _DECIMALS)
    return side


def _plain(value: float) -> float | int:
    return int(value) if float(value).is_integer() else value


def _class_names(categories: Mapping[object, str], findings: list[Finding]) -> list[str]:
    """Names on one line, each once."""
    found: list[str] = []
    for number, (key, name) in enumerate(categories.items(), 1):
        plain = on_one_line(name) or f"class {number}"
        while plain in found:
            plain += f" ({number})"
        if plain != name:
            what = f"the category {name!r} was renamed to '{plain}'"
            findings.append(Finding("renamed", "fixed", "", "", str(key), what))
        found.append(plain)
    return found
