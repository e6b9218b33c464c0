"""A split in which no group of images is parted, with classes shared out evenly.

Groups are dealt out one by one, the one with most of what is rare first, each to the split where
it brings the shares of images and of each class nearest to those wanted: the greedy rule of
iterative stratification (Sechidis et al., "On the stratification of multi-label data", ECML PKDD
2011), with groups in place of single examples. Equal groups are taken in an order that a seed
gives, by the names of their images, so an added image does not change that order.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evolve.datasets.alike import alike_groups
from evolve.datasets.clean import Cleaned
from evolve.datasets.findings import Finding
from evolve.datasets.pictures import probe_all
from evolve.datasets.raw import SPLITS, RawDataset, RawImage
from model.errors import DataError

Counts = NDArray[np.float64]


@dataclass(frozen=True)
class GroupedSplit:
    """A new split and what it achieved.

    Attributes
    ----------
    cleaned : Cleaned
        The data with the new splits, and one more finding.
    groups : int
        That were dealt out.
    largest : int
        Images of the largest of them.
    shares : mapping of str -> mapping of str -> float
        Split -> ``images`` or the name of a class -> its share of all; NaN if there is none.
    """

    cleaned: Cleaned
    groups: int
    largest: int
    shares: Mapping[str, Mapping[str, float]]


def split_in_groups(
    cleaned: Cleaned, fractions: tuple[float, float, float], groups: Sequence[int], seed: int
) -> GroupedSplit:
    """Split all images of a data set anew.

    Parameters
    ----------
    cleaned : Cleaned
        Its own splits are put together first.
    fractions : tuple of three float
        Shares of train, val and test; 0 for none.
    groups : sequence of int
        Group of each image, in the order of `images_of`.
    seed : int

    Raises
    ------
    DataError
        If a split that was wanted got no image.
    """
    raw = cleaned.raw
    images = images_of(raw)
    keys = list(raw.categories)
    counts = _counts(images, {key: place for place, key in enumerate(keys)})
    members: dict[int, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    order = sorted(members.values(), key=lambda part: _drawn(images, part, seed))
    totals = np.array([counts[part].sum(0) for part in order])
    owners = _dealt(totals, np.array(fractions))
    parts: dict[str, list[int]] = {name: [] for name in SPLITS}
    for part, owner in zip(order, owners, strict=True):
        parts[SPLITS[owner]] += part
    _check_filled(parts, fractions, len(order), raw)
    splits = {name: tuple(images[i] for i in sorted(part)) for name, part in parts.items() if part}
    shares = {name: _shares(counts, part, raw, keys) for name, part in parts.items() if part}
    largest = max(map(len, order))
    told = ", ".join(f"{name} {len(part)}" for name, part in splits.items())
    what = f"split anew, {len(order)} groups with seed {seed}: {told}"
    told_split = Finding("split", "fixed", "", "", "", what)
    findings = (*cleaned.findings, *_left_out(raw, images), told_split)
    made = replace(raw, splits=splits, findings=findings)
    return GroupedSplit(Cleaned(made, findings), len(order), largest, shares)


def images_of(raw: RawDataset) -> list[RawImage]:
    """Images of all splits; of a file that is in several the first entry."""
    images: dict[Path | None, RawImage] = {}
    for part in raw.splits.values():
        for image in part:
            images.setdefault(image.path, image)
    return list(images.values())


def _left_out(raw: RawDataset, kept: Sequence[RawImage]) -> Iterator[Finding]:
    first = {image.path: image for image in kept}
    for split, part in raw.splits.items():
        for image in part:
            if first[image.path] is not image:
                what = f"the file is in another split too: this entry of {len(image.boxes)} boxes"
                what += " was left out"
                yield Finding("image-twice", "dropped", split, image.file_name, image.where, what)


def groups_by_name(images: Sequence[RawImage], pattern: re.Pattern[str]) -> list[int]:
    """Images whose names give the pattern's first group (or all it matches) the same text.

    An image whose name it does not match is a group of its own.
    """
    numbers: dict[tuple[str, ...], int] = {}
    found = []
    for image in images:
        match = pattern.search(image.file_name)
        key = (
            (image.file_name, "") if match is None else (match[1 if pattern.groups else 0] or "",)
        )
        found.append(numbers.setdefault(key, len(numbers)))
    return found


def groups_by_looks(
    images: Sequence[RawImage],
    *,
    processes: int | None = None,
    tell: Callable[[int], object] = bool,
) -> list[int]:
    """Images that are alike (`alike.alike_groups`), directly or by others between them."""
    jobs = [(str(image.path), image.size_wh or (0, 0)) for image in images]
    found = list(range(len(images)))
    for group in alike_groups(probe_all(jobs, processes=processes, tell=tell)):
        for index in group:
            found[index] = group[0]
    return found


def _counts(images: Sequence[RawImage], places: Mapping[object, int]) -> Counts:
    """One, and boxes of each class, for each image (N, 1 + K)."""
    counts = np.zeros((len(images), 1 + len(places)))
    counts[:, 0] = 1
    for row, image in zip(counts, images, strict=True):
        for box in image.boxes:
            if not box.is_crowd:
                row[1 + places[box.category]] += 1
    return counts


def _drawn(images: Sequence[RawImage], part: Sequence[int], seed: int) -> str:
    """Place of a group in the order that a seed gives."""
    name = min(images[index].file_name for index in part)
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()


def _dealt(totals: Counts, fractions: Counts) -> NDArray[np.intp]:
    """Split of each group (G,), from its images and boxes of each class (G, 1 + K)."""
    wholes = totals.sum(0)
    shares = totals[:, wholes > 0] / wholes[wholes > 0]
    wanted = fractions[:, None]
    have = np.zeros((len(fractions), shares.shape[1]))
    owners = np.zeros(len(shares), np.intp)
    for group in np.argsort(-(shares**2).sum(1), kind="stable"):
        gain = shares[group]
        # growth of the squared distance to the wanted shares, each relative to its split
        growth = ((2 * (have - wanted) + gain) * gain / np.maximum(wanted, 1e-9)).sum(1)
        growth[fractions == 0] = np.inf
        owners[group] = int(growth.argmin())
        have[owners[group]] += gain
    return owners


def _check_filled(
    parts: Mapping[str, Sequence[int]], fractions: Sequence[float], groups: int, raw: RawDataset
) -> None:
    for name, fraction in zip(SPLITS, fractions, strict=True):
        if fraction > 0 and not parts[name]:
            raise DataError(
                f"{groups} groups leave '{name}' empty",
                str(raw.root),
                "a smaller --group-by makes more groups, or give the split a larger fraction",
            )


def _shares(
    counts: Counts, part: Sequence[int], raw: RawDataset, keys: Sequence[object]
) -> dict[str, float]:
    wholes = counts.sum(0)
    mine = counts[list(part)].sum(0)
    shares = np.divide(mine, wholes, out=np.full(len(wholes), np.nan), where=wholes > 0)
    names = ["images", *(raw.categories[key] for key in keys)]
    return dict(zip(names, map(float, shares), strict=True))
