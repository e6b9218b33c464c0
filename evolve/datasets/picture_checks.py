"""What decoding told, as findings: broken pictures, uncommon ones, and those that are alike."""

from collections.abc import Callable, Iterator, Sequence

from evolve.datasets.alike import alike_groups, correlation
from evolve.datasets.clean import name_of
from evolve.datasets.findings import Finding, Outcome
from evolve.datasets.picture_traits import TRAITS
from evolve.datasets.pictures import Probe, probe_all
from evolve.datasets.raw import RawDataset, RawImage

Entry = tuple[str, RawImage]
"""Split and image."""

BROKEN = "image-undecodable"

_DARK_BELOW = 1 << 14  # of a picture of 16 bits: less than a quarter of the range is used


def probe_entries(
    raw: RawDataset, processes: int | None, tell: Callable[[int, int], object]
) -> tuple[list[Entry], list[Probe]]:
    """All images of a cleaned data set, and what decoding each told."""
    entries = [(split, image) for split, images in raw.splits.items() for image in images]
    jobs = [(str(image.path), image.size_wh or (0, 0)) for _, image in entries]
    return entries, probe_all(jobs, processes=processes, tell=lambda done: tell(done, len(jobs)))


def picture_findings(
    entries: Sequence[Entry], probes: Sequence[Probe], broken: Outcome
) -> Iterator[Finding]:
    """Of each picture by itself.

    Parameters
    ----------
    entries, probes : sequences of the same length
    broken : str
        What becomes of a picture that cannot be decoded.
    """
    for (split, image), found in zip(entries, probes, strict=True):
        if found.fault:
            told = (BROKEN, broken, found.fault, found.mend)
            yield _finding(split, image, *told)
            continue
        for trait in found.traits:
            yield _finding(split, image, f"image-{trait}", "warning", TRAITS[trait], "")
        if 0 < found.greatest < _DARK_BELOW:
            what = f"of 16 bits it uses values up to {found.greatest}: it is trained on as "
            mend = "write it anew with 8 bits, with its values spread"
            what += f"nearly black, with values up to {found.greatest >> 8} of 255"
            yield _finding(split, image, "image-dark", "warning", what, mend)
        if found.orientation != 1:
            what = f"EXIF orientation {found.orientation}: " + (
                "left unturned, for its boxes are in pixels of the picture as it is stored"
                if found.is_as_stored
                else "it is turned upright, and its boxes are taken to be of the upright picture"
            )
            yield _finding(split, image, "image-turned", "warning", what, "")


def alike_findings(entries: Sequence[Entry], probes: Sequence[Probe]) -> Iterator[Finding]:
    """Of pictures that are the same or nearly so: between splits they flatter every score."""
    for group in alike_groups(probes):
        first = entries[group[0]][0]
        for place, index in enumerate(group[1:], 1):
            split = entries[index][0]
            others = [one for one in group[:place] if entries[one][0] == (first or split)]
            yield _alike(entries, probes, index, others)


def _alike(
    entries: Sequence[Entry], probes: Sequence[Probe], index: int, others: list[int]
) -> Finding:
    """One finding on a picture and the most alike of others."""
    near = correlation([probes[index]], [probes[one] for one in others])[0]
    other = others[int(near.argmax())]
    (split, image), (other_split, other_image) = entries[index], entries[other]
    is_same = probes[index].content == probes[other].content
    how = "is the same file as" if is_same else "looks the same as"
    what = f"{image.file_name} {how} {other_image.file_name}"
    kind = "same-image" if is_same else "alike-image"
    if split == other_split:
        return _finding(split, image, kind, "warning", f"{what}, in the same split", "")
    what += f" of {other_split}: scores on {split} flatter"
    mend = "keep such images in one split: 'evolve data split --group-by near-duplicates'"
    return _finding(split, image, f"leak-{kind}", "warning", what, mend)


def _finding(
    split: str, image: RawImage, kind: str, outcome: Outcome, what: str, mend: str
) -> Finding:
    return Finding(kind, outcome, split, image.file_name, name_of(image), what, mend)
