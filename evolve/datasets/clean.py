"""What a reader found -> what can be trained on, and one finding for all that had to go.

Only headers of images are read. The rules for boxes are those of a training (`model.data.fit`).
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from evolve.datasets.findings import Finding, Outcome
from evolve.datasets.raw import RawBox, RawDataset, RawImage
from model.data.fit import fit_box, is_finite
from model.data.headers import read_sizes_wh
from model.data.limits import max_pixels

COCO = "coco"
"""The one format whose annotations have ids and areas, so that they can be missing."""


@dataclass(frozen=True)
class Cleaned:
    """A data set that a training takes without a word, and what was done for that.

    Attributes
    ----------
    raw : RawDataset
        Images that are there and of a known format, each with `RawImage.path` and `size_wh` set
        and once in its split; boxes inside their image, of a known category, with an area; each
        category name once. Splits and categories without images are kept.
    findings : tuple of Finding
        Those of the reader, then those of the cleaning in the order of the data.
    """

    raw: RawDataset
    findings: tuple[Finding, ...]


def clean(raw: RawDataset) -> Cleaned:
    """Leave out and mend what cannot be trained on.

    A finding of its own tells of each entry, except of an image without a file of which the
    reader has told: one with the same split and, as its `file`, the same `file_name`.

    Parameters
    ----------
    raw : RawDataset
        Nothing of it is changed. All boxes of all its images are in pixels of the claimed size.
    """
    findings = list(raw.findings)
    categories, key_of = _unique_categories(raw.categories, findings)
    splits = {
        split: _Split(raw, split, key_of, findings).images(images)
        for split, images in raw.splits.items()
    }
    cleaned = replace(raw, categories=categories, splits=splits, findings=tuple(findings))
    return Cleaned(cleaned, tuple(findings))


def _unique_categories(
    categories: Mapping[object, str], findings: list[Finding]
) -> tuple[dict[object, str], dict[object, object]]:
    """Categories with each name once, and key -> key of the first of this name."""
    first: dict[str, object] = {}
    key_of: dict[object, object] = {}
    for key, name in categories.items():
        key_of[key] = first.setdefault(name, key)
        if key_of[key] is not key:
            what = f"categories {first[name]!r} and {key!r} have the same name '{name}'"
            mend = "their boxes become one class; rename one of them if they are two"
            findings.append(Finding("category-twice", "fixed", "", "", str(key), what, mend))
    return {key: name for name, key in first.items()}, key_of


@dataclass
class _Split:
    """One split being cleaned."""

    raw: RawDataset
    name: str
    key_of: Mapping[object, object]
    findings: list[Finding]
    annotation_ids: set[object] = field(default_factory=set)
    image_ids: set[object] = field(default_factory=set)

    def __post_init__(self) -> None:
        split_findings = (found for found in self.raw.findings if found.split == self.name)
        self._told = {found.file for found in split_findings}

    def images(self, images: tuple[RawImage, ...]) -> tuple[RawImage, ...]:
        """Images that are left, in their order; two entries of one file become one."""
        left: dict[Path, RawImage] = {}
        for image in images:
            size_wh = self._size_wh(image)
            if image.path is None or size_wh is None or not self._has_own_id(image):
                continue
            boxes = tuple(self._boxes(replace(image, size_wh=size_wh)))
            before = left.get(image.path)
            if before is not None:
                what = f"the file has a second entry, with {len(boxes)} boxes of its own"
                self._find("image-twice", "fixed", image, what, "all its boxes are taken together")
                left[image.path] = replace(before, boxes=before.boxes + boxes)
            else:
                left[image.path] = replace(image, size_wh=size_wh, boxes=boxes)
        return tuple(replace(image, boxes=tuple(self._distinct(image))) for image in left.values())

    def _size_wh(self, image: RawImage) -> tuple[int, int] | None:
        """Size that the boxes of an image refer to; None if it has to go."""
        if image.path is None:
            if image.file_name not in self._told:
                self._drop("image-missing", image, "the image file is missing")
            return None
        try:
            sizes = read_sizes_wh(image.path)
        except OSError as error:
            self._drop("image-unreadable", image, f"the image cannot be read: {error.strerror}")
            return None
        if sizes is None:
            self._drop("image-unreadable", image, "it is not an image of a known format")
            return None
        stored, upright = sizes
        if stored[0] * stored[1] > max_pixels():
            what = f"it claims {stored[0]} x {stored[1]} pixels, more than {max_pixels()}"
            self._drop("image-too-large", image, what, "cut it into tiles or shrink it")
            return None
        if image.size_wh is None and self.raw.format == COCO:
            what = f"its entry has no width and height: {upright[0]} x {upright[1]} of the file"
            self._find("image-size-missing", "fixed", image, what, "")
        if image.size_wh is None or image.size_wh in sizes:
            return image.size_wh or upright
        claimed = f"the annotations say {image.size_wh[0]} x {image.size_wh[1]}"
        what = f"the image is {upright[0]} x {upright[1]} pixels, {claimed}"
        mend = "annotate the picture as it is, or put the right one there"
        self._drop("image-size-differs", image, what, mend)
        return None

    def _has_own_id(self, image: RawImage) -> bool:
        """Whether no image before has its id: to that one all boxes went."""
        number = image.image_id
        if number is None:
            return True
        is_new = number not in self.image_ids
        self.image_ids.add(number)
        if not is_new:
            what = f"image id {number!r} is there twice: the boxes went to the first of them"
            self._drop("image-id-twice", image, what, "give every image an id of its own")
        return is_new

    def _boxes(self, image: RawImage) -> Iterator[RawBox]:
        for box in image.boxes:
            category = self._category(box, image)
            mended = None if category is None else self._fitted(box, image)
            if mended is not None:
                self._check_id(box, image)
                yield replace(mended, category=category, area_px=self._area(mended, box, image))

    def _category(self, box: RawBox, image: RawImage) -> object:
        try:
            return self.key_of[box.category]
        except (KeyError, TypeError):  # not there, or nothing that could be a key
            what = f"there is no category {box.category!r}"
            self._find("category-unknown", "dropped", image, what, "add it, or mend the box", box)
            return None

    def _fitted(self, box: RawBox, image: RawImage) -> RawBox | None:
        """A box inside its image."""
        width, height = image.size_wh or (0, 0)
        fitted = fit_box(box.xywh_px, width, height)
        if fitted.fault:
            told = _BOX_FAULTS[fitted.fault].format(
                box=", ".join(f"{value:g}" for value in box.xywh_px), size=f"{width} x {height}"
            )
            outcome: Outcome = "fixed" if fitted.fault == "clipped" else "dropped"
            self._find(f"box-{fitted.fault}", outcome, image, told, "", box)
        if fitted.corners_xyxy_px is None:
            return None
        x, y, right, bottom = fitted.corners_xyxy_px
        if _is_inside(box.xywh_px, width, height):
            return box
        return replace(box, xywh_px=(x, y, _side(x, right), _side(y, bottom)))

    def _check_id(self, box: RawBox, image: RawImage) -> None:
        """Tell of ids that pycocotools scores wrongly without a word: 0, or one that is twice."""
        number = box.annotation_id
        if self.raw.format != COCO:
            return
        is_plain = isinstance(number, int) and not isinstance(number, bool) and number > 0
        if not is_plain or number in self.annotation_ids:
            told = "is there twice" if is_plain else "is no positive whole number"
            what = f"annotation id {number!r} {told}; all annotations are numbered anew"
            self._find("annotation-id", "fixed", image, what, "", box)
        if is_plain:
            self.annotation_ids.add(number)

    def _area(self, mended: RawBox, box: RawBox, image: RawImage) -> float:
        if box.area_px is not None and is_finite(box.area_px) and box.area_px > 0:
            return box.area_px
        if self.raw.format == COCO:
            self._find(
                "area-missing", "fixed", image, "no area: that of the box is taken", "", box
            )
        return mended.xywh_px[2] * mended.xywh_px[3]

    def _distinct(self, image: RawImage) -> Iterator[RawBox]:
        """Boxes of an image, each once."""
        seen: set[tuple[object, ...]] = set()
        for box in image.boxes:
            key = (box.category, box.xywh_px, box.is_crowd)
            if key in seen:
                what = "the same box of the same category is there twice"
                self._find("box-twice", "dropped", image, what, "", box)
            else:
                seen.add(key)
                yield box

    def _drop(self, kind: str, image: RawImage, what: str, mend: str = "") -> None:
        lost = f"; {len(image.boxes)} boxes go with it" if image.boxes else ""
        self._find(kind, "dropped", image, what + lost, mend)

    def _find(
        self, kind: str, outcome: Outcome, image: RawImage, what: str, mend: str,
        box: RawBox | None = None,
    ) -> None:  # fmt: skip
        item = name_of(image) if box is None else name_of(box)
        found = Finding(kind, outcome, self.name, image.file_name, item, what, mend)
        self.findings.append(found)


_BOX_FAULTS = {
    "not-finite": "box [{box}] holds a number that is not finite",
    "no-area": "box [{box}] has no width or no height",
    "outside": "box [{box}] is wholly outside its image of {size}",
    "clipped": "box [{box}] is clipped to its image of {size}",
}


def name_of(entry: RawImage | RawBox) -> str:
    """Place of an entry, with its id where it has one."""
    number = entry.image_id if isinstance(entry, RawImage) else entry.annotation_id
    return entry.where if number is None else f"{entry.where} (id {number})"


def _is_inside(xywh_px: tuple[float, ...], width: int, height: int) -> bool:
    x, y, w, h = xywh_px
    return x >= 0 and y >= 0 and x + w <= width and y + h <= height


def _side(low: float, high: float) -> float:
    """Side of a box that, added to `low`, does not exceed `high` by a rounding."""
    side = high - low
    while low + side > high:
        side = math.nextafter(side, 0.0)
    return side
