"""Lists of pictures as YOLO's data sets have them, and what all of those must have."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from evolve.datasets.formats.common import LIMIT_LIST_BYTES, Log, Unreadable, read_lines
from evolve.datasets.formats.inside import DataFolder, Place
from evolve.datasets.formats.yolo_labels import LabelReader
from model.data.paths import OutsideFolder
from model.errors import DataError


def listed_pictures(folder: DataFolder, listed: Place, split: str, log: Log) -> Iterator[Place]:
    """Pictures that a text file lists, one a line; absolute names are sought by their tails."""
    try:
        lines = read_lines(listed.path, LIMIT_LIST_BYTES)
    except Unreadable as error:
        log.add(
            "list-unreadable",
            "dropped",
            split,
            (listed.name, ""),
            f"the list is not read: {error}",
        )
        return
    beside = listed.name.rpartition("/")[0]
    seen: set[str] = set()
    mended = 0
    for number, line in enumerate(lines, 1):
        text, at = line.strip(), (listed.name, number)
        if not text:
            continue
        try:
            place = folder.file(text) or (folder.file(f"{beside}/{text}") if beside else None)
        except OutsideFolder as error:
            log.add("path-outside", "dropped", split, at, f"'{text}' is not read: {error}")
            continue
        if place is None:
            log.add("image-missing", "dropped", split, at,
                    f"there is no '{text}' in the data folder")  # fmt: skip
        elif place.name in seen:
            log.add("listed-twice", "dropped", split, at, f"'{text}' is listed a second time")
        else:
            seen.add(place.name)
            mended += place.is_mended
            yield place
    if mended:
        log.add("path-mended", "fixed", split, (listed.name, ""),
                f"{mended} names lead out of the data folder: their tails in it were "
                "taken")  # fmt: skip


def check_labelled(labels: LabelReader, splits: Mapping[str, object], root: Path) -> None:
    """Refuse a data set without pictures, or without one label; tell of background."""
    if not any(splits.values()):
        told = [f"{one.what} ({one.file})" for one in labels.log.findings[:3]]
        raise DataError("no picture was found", str(root), "; ".join(told))
    if not labels.seen:
        raise DataError(
            f"none of {len(labels.sought)} pictures has a label file", str(root),
            f"sought was {labels.sought[0]}" if labels.sought else labels.log.findings[0].what,
        )  # fmt: skip
    if labels.sought:
        labels.log.add("no-labels", "warning", "", (labels.sought[0], ""),
                       f"{len(labels.sought)} pictures have no label file: "
                       "background")  # fmt: skip
