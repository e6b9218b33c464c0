"""Every picture of a data set decoded once, as a training decodes it, over all cores."""

import hashlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from evolve.datasets.picture_traits import traits_of
from evolve.errors import EvolveError
from model.data.cache import load_image
from model.data.coco import ImageRecord
from model.data.headers import exif_orientation, header_size_wh, upright_size_wh
from model.errors import DataError

THUMB_PX = 16
_GRID = 8
_AT_ONCE = 64  # pictures a process is given
_LARGE_PIXELS = 1 << 24  # such pictures are decoded one at a time, to bound the memory

Job = tuple[str, tuple[int, int]]
"""File of a picture, and the size that its annotations speak of."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What decoding a picture told.

    Attributes
    ----------
    fault, mend : str
        Why a training cannot decode it; empty where it can, and all below is only set then.
    traits : tuple of str
        Of `picture_traits.TRAITS`.
    orientation : int
        EXIF's, from 1 to 8.
    is_as_stored : bool
        It is left unturned, because the boxes were drawn on it so.
    greatest : int
        Largest value of a picture of 16 bits; 0 for others.
    content : bytes
        Digest of the file.
    dhash : tuple of two int
        Difference hashes of 64 bits from left to right and from top to bottom.
    thumb : bytes
        Grey, `THUMB_PX` squared.
    """

    fault: str = ""
    mend: str = ""
    traits: tuple[str, ...] = ()
    orientation: int = 1
    is_as_stored: bool = False
    greatest: int = 0
    content: bytes = b""
    dhash: tuple[int, int] = (0, 0)
    thumb: bytes = b""


def probe(job: Job) -> Probe:
    """Decode one picture."""
    path, size_wh = Path(job[0]), job[1]
    try:
        pixels = load_image(_record(path, size_wh))
        data = path.read_bytes()
    except DataError as error:
        return Probe(fault=error.what, mend=error.mend)
    except OSError as error:
        return Probe(fault=f"cannot read the image: {error.strerror}")
    orientation, traits = exif_orientation(data), traits_of(data)
    small = cv2.resize(pixels, (4 * _GRID, 4 * _GRID), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    return Probe(
        traits=traits,
        orientation=orientation,
        is_as_stored=orientation != 1 and size_wh == header_size_wh(data) != upright_size_wh(data),
        greatest=_greatest(data) if "16-bit" in traits else 0,
        content=hashlib.blake2b(data, digest_size=16).digest(),
        dhash=difference_hash(grey),
        thumb=_shrunk(grey, THUMB_PX, THUMB_PX).tobytes(),
    )


def difference_hash(grey: NDArray[np.uint8]) -> tuple[int, int]:
    """Bits of whether a place is darker than its right, and than its lower neighbour.

    dHash of N. Krawetz ("Kind of Like That", hackerfactor.com, 2013) in both directions: it
    stays the same under changes of brightness, contrast, size and compression.
    """
    wide = _shrunk(grey, _GRID + 1, _GRID)
    high = _shrunk(grey, _GRID, _GRID + 1)
    bits = (wide[:, :-1] < wide[:, 1:], high[:-1] < high[1:])
    return _number(bits[0]), _number(bits[1])


def probe_all(
    jobs: Sequence[Job], *, processes: int | None = None, tell: Callable[[int], object] = bool
) -> list[Probe]:
    """Decode pictures in processes of their own, which end with this call whatever happens.

    Parameters
    ----------
    jobs : sequence of Job
    processes : int, optional
        Default: one for each core that this process may use.
    tell : callable
        Called with the number of pictures that are done.

    Raises
    ------
    EvolveError
        If a process died, of too little memory or of a fault in a decoder.
    """
    found: dict[int, Probe] = {}
    order = sorted(range(len(jobs)), key=lambda index: jobs[index][1][0] * jobs[index][1][1])
    small = [index for index in order if _pixels(jobs[index]) <= _LARGE_PIXELS]
    large = order[len(small) :]
    count = processes or len(os.sched_getaffinity(0))
    for indices, at_once, workers in ((sorted(small), _AT_ONCE, count), (large, 1, 1)):
        for done in _run(jobs, indices, at_once, workers):
            found |= done
            tell(len(found))
    return [found[index] for index in range(len(jobs))]


def _run(
    jobs: Sequence[Job], indices: Sequence[int], at_once: int, workers: int
) -> Iterator[dict[int, Probe]]:
    parts = [indices[start : start + at_once] for start in range(0, len(indices), at_once)]
    if not parts:
        return
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(parts)), mp_context=spawn, initializer=_prepare)
    try:
        waiting: dict[Future[list[Probe]], Sequence[int]] = {
            pool.submit(_probe_part, [jobs[index] for index in part]): part for part in parts
        }
        for future in as_completed(waiting):
            yield dict(zip(waiting.pop(future), future.result(), strict=True))
    except BrokenProcessPool:
        raise EvolveError(
            "a process that decoded pictures died", "", "it may have met the end of the memory"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _prepare() -> None:
    """Leave Ctrl-C to the parent, and swallow what decoders say of broken files."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    cv2.setNumThreads(1)


def _probe_part(jobs: Sequence[Job]) -> list[Probe]:
    return [probe(job) for job in jobs]


def _pixels(job: Job) -> int:
    return job[1][0] * job[1][1]


def _greatest(data: bytes) -> int:
    whole = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return int(whole.max()) if whole is not None and whole.dtype == np.uint16 else 0


def _shrunk(grey: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    shrunk: NDArray[np.uint8] = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)
    return shrunk


def _number(bits: NDArray[np.bool_]) -> int:
    return int.from_bytes(np.packbits(bits.ravel()).tobytes(), "big")


def _record(path: Path, size_wh: tuple[int, int]) -> ImageRecord:
    none = np.zeros(0, np.float32)
    return ImageRecord(
        0, path.name, path, *size_wh, none.reshape(0, 4), none.astype(np.int64), none > 0, none
    )
