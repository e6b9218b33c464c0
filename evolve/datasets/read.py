"""From a path to a `RawDataset`, whatever format it is in."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from evolve.datasets.findings import Finding
from evolve.datasets.formats import coco, darknet, voc, yolo
from evolve.datasets.formats.common import few
from evolve.datasets.formats.inside import is_picture, names_in
from evolve.datasets.raw import RawDataset, RawImage
from model.data.coco import split_by_hash
from model.data.coco_layout import SPLITS, UNSPLIT, split_of
from model.errors import DataError, nearest

SHARES = (0.7, 0.15, 0.15)
"""Train, val and test of a data set without splits: those of `model.data.coco`."""


class Reader(Protocol):
    """A module of `evolve.datasets.formats`."""

    NAME: str

    def recognise(self, path: Path) -> str | None:
        """Why `path` is of this format; None if it is not."""

    def read(self, path: Path) -> RawDataset:
        """All of it."""


FORMATS: Mapping[str, Reader] = {module.NAME: module for module in (coco, yolo, voc, darknet)}

_SOUGHT = {
    "coco": "annotations/train.json, annotations/instances_train2017.json, "
    "train/_annotations.coco.json or a .json file",
    "yolo": "a data.yaml, or images/ and labels/, or classes.txt beside pictures",
    "voc": "Annotations/ with XML files, or XML beside pictures",
    "darknet": "a .data file that names lists, or train/_darknet.labels",
}


def read_raw(path: Path, format: str | None = None, *, seed: int = 0) -> RawDataset:
    """Read a data set; what is wrong in it is in `RawDataset.findings`.

    Parameters
    ----------
    path : Path
        A folder, or the file that describes it: annotations JSON, data.yaml, ``.data``.
    format : str, optional
        One of `FORMATS`; recognised by what lies there if not given.
    seed : int
        Of the split by a hash of file names, where the data have no splits, or train without val.

    Returns
    -------
    RawDataset
        With a train split, and val where there are two images to part.

    Raises
    ------
    DataError
        If there is nothing, no format or more than one fits, or nothing of it can be read.
    """
    path = Path(path)
    if not path.exists():
        beside = nearest(path.name, names_in(path.parent))
        raise DataError(f"no data set at '{path}'", str(path), beside)
    if format is not None and format not in FORMATS:
        raise DataError(f"unknown format '{format}'", "", nearest(format, FORMATS))
    name = format or _only(recognise(path), path)
    return _with_splits(FORMATS[name].read(path), seed)


def recognise(path: Path) -> dict[str, str]:
    """Formats that a path could be of, each with the reason."""
    reasons = {name: reader.recognise(path) for name, reader in FORMATS.items()}
    return {name: reason for name, reason in reasons.items() if reason}


def class_folders_in(path: Path) -> list[str]:
    """Folders of pictures that would be the classes of a classification data set.

    They are ``train/<class>/`` or ``<class>/``, without anything that looks like labels.
    """
    base = path / "train" if (path / "train").is_dir() else path
    folders = [name for name in names_in(base) if (base / name).is_dir()]
    usual = {"images", "labels", "annotations", "jpegimages"}
    if any(split_of(name) or name.lower() in usual for name in folders):
        return []
    return [name for name in folders if any(map(is_picture, names_in(base / name)))]


def _only(reasons: Mapping[str, str], path: Path) -> str:
    """The one format that fits."""
    if len(reasons) == 1:
        return next(iter(reasons))
    if reasons:
        told = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        raise DataError(f"more than one format fits: {told}", str(path),
                        f"say which with --format {'|'.join(reasons)}")  # fmt: skip
    if path.is_dir() and (classes := class_folders_in(path)):
        raise DataError(
            f"these are folders of classes ({few(classes)}) without boxes: nothing to import",
            str(path),
            f"a classifier trains on them as they are: --data {path} --task classify",
        )
    raise DataError("no format that is known", str(path), _sought(path))


def _sought(path: Path) -> str:
    if path.is_file():
        return "give annotations JSON, a data.yaml or a .data file, or the folder that holds all"
    sought = "; ".join(f"{what} ({name})" for name, what in _SOUGHT.items())
    names = names_in(path)
    return f"sought was {sought}. Here lies: {few(names, 12) if names else 'nothing'}"


def _with_splits(raw: RawDataset, seed: int) -> RawDataset:
    """The data with train and val, split by hash as far as they have none."""
    splits = {name: part for name, part in raw.splits.items() if part and name != UNSPLIT}
    findings = list(raw.findings)
    unsplit = raw.splits.get(UNSPLIT, ())
    if unsplit:
        parts = _parted(unsplit, seed, SHARES)
        for name, part in parts.items():
            splits[name] = (*splits.get(name, ()), *part)
        findings = _placed(findings, parts)
        findings.append(_split_finding("the data have no splits", parts, seed))
    elif "val" not in splits and len(splits.get("train", ())) > 1:
        train, val, _ = SHARES
        shares = (train / (train + val), val / (train + val), 0.0)
        parts = _parted(splits["train"], seed, shares)
        splits |= parts
        findings = _placed(findings, parts)
        findings.append(_split_finding("there is no val split: train was split", parts, seed))
    ordered = {name: splits[name] for name in SPLITS if name in splits}
    if "train" not in ordered:
        raise DataError("there are no images to train on", str(raw.root),
                        few([finding.what for finding in findings]))  # fmt: skip
    return replace(raw, splits=ordered, findings=tuple(findings))


def _parted(
    images: tuple[RawImage, ...], seed: int, shares: tuple[float, float, float]
) -> dict[str, tuple[RawImage, ...]]:
    """Images split by hash; val and train get one each in any case, where there are two."""
    parts = split_by_hash(images, seed, shares)
    for name in ("train", "val"):
        if name not in parts and len(images) > 1:
            giver = max(parts, key=lambda other: len(parts[other]))
            parts[name], parts[giver] = parts[giver][-1:], parts[giver][:-1]
    return {name: part for name, part in parts.items() if part}


def _placed(
    findings: Iterable[Finding], parts: Mapping[str, tuple[RawImage, ...]]
) -> list[Finding]:
    """Findings about an image with the split that the image came into."""
    split_by_file = {
        file: split
        for split, images in parts.items()
        for image in images
        for file in (image.file_name, image.where)
    }
    return [replace(one, split=split_by_file.get(one.file, one.split)) for one in findings]


def _split_finding(what: str, parts: Mapping[str, tuple[RawImage, ...]], seed: int) -> Finding:
    shares = ", ".join(f"{name} {len(part)}" for name, part in parts.items())
    told = f"{what}; by a hash of seed {seed} and file name: {shares}"
    return Finding("split", "fixed", "", "", "", told, "another --seed gives another split")
