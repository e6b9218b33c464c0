"""A detection data set as its files say it, right or wrong: what all formats are read into."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from evolve.datasets.findings import Finding

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class RawBox:
    """One annotation, with nothing checked but its types.

    Attributes
    ----------
    where : str
        Place in its file, such as ``labels/train/a.txt:3`` or ``annotations[7]``.
    annotation_id : object
        As written; None where the format has none.
    category : object
        Key of `RawDataset.categories`, as written; it may be missing there.
    xywh_px : tuple of four float
        Left, top, width and height in pixels; possibly NaN, negative, or outside the image.
    is_crowd : bool
        A region of many objects.
    area_px : float or None
        Square pixels, of the mask where there is one; None where the format has none.
    """

    where: str
    annotation_id: object
    category: object
    xywh_px: tuple[float, float, float, float]
    is_crowd: bool = False
    area_px: float | None = None


@dataclass(frozen=True, slots=True)
class RawImage:
    """One entry of an image.

    Attributes
    ----------
    where : str
        Place in its file.
    image_id : object
        As written; None where the format has none.
    file_name : str
        As written: hostile until `path` is set.
    path : Path or None
        The file, found inside the data folder; None where there is none, or none may be read.
    size_wh : tuple of int, or None
        Pixels as the annotations claim; None where they claim nothing.
    boxes : tuple of RawBox
    """

    where: str
    image_id: object
    file_name: str
    path: Path | None
    size_wh: tuple[int, int] | None
    boxes: tuple[RawBox, ...]


@dataclass(frozen=True)
class RawDataset:
    """All that a reader found.

    Attributes
    ----------
    root : Path
        The folder that no file may lie outside of.
    format : str
        One of `read.FORMATS`.
    reason : str
        One sentence: what made it be taken for this format.
    categories : mapping of key -> name
        In the order of the format; keys as written.
    splits : mapping of str -> tuple of RawImage
        ``train``, ``val`` and ``test`` where they exist.
    findings : tuple of Finding
        What the reader itself met: files that are not there or cannot be read, broken lines.
    """

    root: Path
    format: str
    reason: str
    categories: Mapping[object, str]
    splits: Mapping[str, tuple[RawImage, ...]]
    findings: tuple[Finding, ...] = ()
