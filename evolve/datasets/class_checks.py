"""Classes that a split lacks, images without a box, and names that are no plain text."""

from collections import Counter
from collections.abc import Iterator

from evolve.datasets.clean import name_of
from evolve.datasets.findings import Finding
from evolve.datasets.raw import RawDataset
from evolve.outside_text import is_harmless

FEW_BOXES = 10
"""A class with fewer boxes to train on is hardly learnt."""


def class_findings(raw: RawDataset) -> Iterator[Finding]:
    """Of a data set that `clean` has been over."""
    counts = {split: _boxes_by_class(raw, split) for split in raw.splits}
    for key, name in raw.categories.items():
        total = sum(count[key] for count in counts.values())
        if not total:
            what, mend = f"no split has a box of '{name}'", "take the class away, or label it"
            yield Finding("class-empty", "warning", "", "", str(key), what, mend)
            continue
        for split, count in counts.items():
            if not count[key]:
                yield _lacking(split, key, name)
        if 0 < counts.get("train", Counter())[key] < FEW_BOXES:
            what = f"'{name}' has {counts['train'][key]} boxes to train on"
            yield Finding("class-rare", "warning", "train", "", str(key), what, "label more")


def _lacking(split: str, key: object, name: str) -> Finding:
    if split == "train":
        what, mend = f"no box of '{name}' to train on: it cannot be learnt", "label some in train"
    else:
        what = f"no box of '{name}': its AP is not measured here"
        mend = "split anew with 'evolve data split', which keeps classes in all splits"
    return Finding("class-missing", "warning", split, "", str(key), what, mend)


def image_findings(raw: RawDataset) -> Iterator[Finding]:
    """Images without any box, and file names with characters that are not shown."""
    for split, images in raw.splits.items():
        for image in images:
            item = name_of(image)
            if not image.boxes:
                what = "it has no box: it is trained on as background"
                mend = "label it, if there is something"
                yield Finding("image-empty", "warning", split, image.file_name, item, what, mend)
            if not all(map(is_harmless, image.file_name)):
                what = "its name has control or direction characters, which are shown by nothing"
                mend = "rename it"
                yield Finding("name-strange", "warning", split, image.file_name, item, what, mend)


def _boxes_by_class(raw: RawDataset, split: str) -> Counter[object]:
    boxes = (box for image in raw.splits[split] for box in image.boxes)
    return Counter(box.category for box in boxes if not box.is_crowd)
