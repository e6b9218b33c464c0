"""Groups of pictures that are the same or nearly so, without comparing each with each.

Two pictures are alike if the bytes of their files are equal, or if in both directions their
difference hashes (`pictures.difference_hash`) differ in at most `MOST_BITS` of 64 bits and their
grey thumbnails correlate by `LEAST_CORRELATION`. Hashes alone find flat backgrounds alike that
are not; thumbnails alone would have to be compared each with each. Cut into one band of bits more
than may differ, two hashes that are near have a band in common (the pigeonholes of Manku et al.,
"Detecting near-duplicates for web crawling", WWW 2007): only such pairs are looked at.
Mirrored and cropped copies are not found.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from evolve.datasets.pictures import Probe

MOST_BITS = 6
LEAST_CORRELATION = 0.98
_FLAT_LEVELS = 2.0  # below this spread of grey levels a correlation is noise
_BITS = 64

Indices = NDArray[np.intp]


def alike_groups(probes: Sequence[Probe]) -> list[list[int]]:
    """Indices of pictures that are alike, directly or by others between them.

    Returns
    -------
    list of list of int
        Each of two members at least, in ascending order; broken pictures are in none.
    """
    whole = [index for index, found in enumerate(probes) if not found.fault]
    first: dict[bytes, int] = {}
    labels = np.arange(len(probes))
    for index in whole:
        labels[index] = first.setdefault(probes[index].content, index)
    _unite(labels, probes, np.array(sorted(first.values()), np.intp))
    groups: dict[int, list[int]] = {}
    for index in whole:
        groups.setdefault(int(labels[index]), []).append(index)
    return [group for group in groups.values() if len(group) > 1]


def correlation(one: Sequence[Probe], other: Sequence[Probe]) -> NDArray[np.float64]:
    """Correlation of thumbnails (N, M); 1 for two flat pictures of one grey, 0 for others."""
    thumbs, others = _thumbs(one), _thumbs(other)
    spread, other_spread = thumbs.std(1), others.std(1)
    centred = (thumbs - thumbs.mean(1, keepdims=True)) / np.maximum(spread, 1e-9)[:, None]
    other_centred = (others - others.mean(1, keepdims=True)) / np.maximum(other_spread, 1e-9)[
        :, None
    ]
    found = centred @ other_centred.T / thumbs.shape[1]
    flat = (spread < _FLAT_LEVELS)[:, None] | (other_spread < _FLAT_LEVELS)[None]
    same_grey = np.abs(thumbs[:, None] - others[None]).mean(2) < _FLAT_LEVELS if flat.any() else 0
    result: NDArray[np.float64] = np.where(flat, np.where(same_grey, 1.0, 0.0), found)
    return result


def _thumbs(probes: Sequence[Probe]) -> NDArray[np.float64]:
    return np.array([np.frombuffer(found.thumb, np.uint8) for found in probes], np.float64)


def _unite(labels: NDArray[np.intp], probes: Sequence[Probe], chosen: Indices) -> None:
    """Give pictures that are alike the label of one of them; `labels` is changed."""
    hashes = np.array([probes[index].dhash for index in chosen], np.uint64).reshape(-1, 2)
    for bucket in _buckets(hashes[:, 0]):
        for place, one in enumerate(bucket[:-1]):
            others = bucket[place + 1 :]
            distance = np.bitwise_count(hashes[others] ^ hashes[one])
            near = others[(distance <= MOST_BITS).all(1)]
            near = near[labels[chosen[near]] != labels[chosen[one]]]
            if len(near):
                _join(labels, probes, chosen[one], chosen[near])


def _join(labels: NDArray[np.intp], probes: Sequence[Probe], one: int, others: Indices) -> None:
    same = correlation([probes[one]], [probes[index] for index in others])[0] >= LEAST_CORRELATION
    if same.any():
        labels[np.isin(labels, labels[others[same]])] = labels[one]


def _buckets(hashes: NDArray[np.uint64]) -> Iterator[Indices]:
    """Indices of hashes with a band in common, ascending, from all bands."""
    edges = np.linspace(0, _BITS, MOST_BITS + 2).round().astype(int)
    for low, high in pairwise(edges):
        band = (hashes >> np.uint64(low)) & np.uint64((1 << int(high - low)) - 1)
        order = np.argsort(band, kind="stable")
        starts = np.flatnonzero(np.diff(band[order])) + 1
        yield from (part for part in np.split(order, starts) if len(part) > 1)
