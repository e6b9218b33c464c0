"""What a training does about a fault of COCO data, where an import would do something else.

A training (`model.data.coco.load_dataset`, then `model.data.cache.load_image`) refuses what an
import leaves out or guesses: whoever trains on data as they are shall know them to be whole.
"""

from collections.abc import Iterator
from dataclasses import replace

from evolve.datasets.findings import Finding
from evolve.datasets.raw import RawDataset

_REFUSED = frozenset(
    {
        "annotation-broken",
        "bbox-broken",
        "category-broken",
        "category-conflict",
        "category-twice",
        "category-unknown",
        "image-broken",
        "image-id-twice",
        "image-missing",
        "image-size-differs",
        "image-size-missing",
        "image-too-large",
        "image-twice",
        "image-unknown",
        "image-unreadable",
        "iscrowd",
        "path-outside",
        "polygon",
    }
)
_LEFT_AS_IT_IS = frozenset({"box-twice", "project-class"})
_MEND = "mend the file, or let 'evolve data import' make a clean data set without such entries"


def of_training(finding: Finding) -> Finding:
    """A finding of a reader or of `clean` with the outcome that it has in a training."""
    if finding.kind in _REFUSED:
        return replace(finding, outcome="error", mend=finding.mend or _MEND)
    if finding.kind in _LEFT_AS_IT_IS:
        return replace(finding, outcome="warning")
    return finding


def ids_not_whole(raw: RawDataset) -> Iterator[Finding]:
    """Ids that an import takes as they are, and a training only if they are whole numbers."""
    mend = f"write whole numbers; {_MEND}"
    for key in raw.categories:
        if not _is_whole(key):
            what = f"category id {key!r} is no whole number"
            yield Finding("id-not-whole", "error", "", "", "", what, mend)
    for split, images in raw.splits.items():
        for image in images:
            if not _is_whole(image.image_id):
                what = f"image id {image.image_id!r} is no whole number"
                file = image.file_name
                yield Finding("id-not-whole", "error", split, file, image.where, what, mend)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
