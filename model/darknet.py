"""Darknet's `.weights` files: read into a network, and written from one.

Such a file has a header and then bare float32 numbers, layer by layer, without names or shapes.
Only the order says what is what, and it is that of `model.graph.trace_layers`.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray

from model.darknet_parts import Field, Network, Part, network_parts, own_classes
from model.errors import CheckpointError
from model.files import write_atomically

Floats = NDArray[np.float32]

VERSION = (0, 2, 5)  # of the files that darknet writes today
TRANSPOSED = 1000  # a version above this marks transposed weights of an old classifier
HEADER_BYTES = 20  # of the files written here
FLOAT_BYTES = 4

_WRONG_FILE = "take the whole file, and the network that it was trained for"


@dataclass(frozen=True)
class LoadedWeights:
    """What was in a `.weights` file, and how much of it was taken.

    Attributes
    ----------
    major, minor, revision : int
        Version of the file.
    seen : int
        Images it was trained on.
    layers, layers_known : int
        Layers with weights that were filled, and that the network has.
    heads_skipped : int
        Layers whose weights are for other classes; they are as they were.
    classes : int or None
        Classes of the file; None if it ends before the first layer that depends on them.
    partial : bool
        Whether the file ends before the last layer.
    """

    major: int
    minor: int
    revision: int
    seen: int
    layers: int
    layers_known: int
    heads_skipped: int
    classes: int | None
    partial: bool


@dataclass(frozen=True)
class _Header:
    """First bytes of a file; `size` is their number, `floats` that of the numbers after them."""

    major: int
    minor: int
    revision: int
    seen: int
    size: int
    floats: int


@dataclass(frozen=True, eq=False)
class _Block:
    """Numbers of one layer of a file, where they begin, and whether they fit the network's."""

    part: Part
    numbers: Floats
    byte: int
    fits: bool


def file_size(network: Network) -> int:
    """Bytes of the file that `save_weights` writes; the network may be on the meta device.

    Raises
    ------
    CheckpointError
        If the network has weights for which darknet's files have no place.
    """
    return HEADER_BYTES + FLOAT_BYTES * sum(part.floats for part in network_parts(network))


def file_classes(network: Network, path: Path) -> int | None:
    """Classes of a whole `.weights` file, from its size; None for a partial file.

    Parameters
    ----------
    network : Detector or Classifier
        Of the file's kind, with any number of classes; it may be on the meta device.
    path : Path

    Raises
    ------
    CheckpointError
        If the file is of no size that the network's could have; see `load_weights`.
    """
    parts = network_parts(network)
    header = _read_header(Path(path))
    count, classes = _understand(parts, own_classes(network), header, Path(path))
    return classes if count == len(parts) else None


def load_weights(network: Network, path: Path) -> LoadedWeights:
    """Fill a network from darknet's `.weights` file, all of which is checked before.

    Files that end after any layer are taken (``yolov4.conv.137``, or ``csdarknet53.conv.105``
    for a detector's backbone), and those of other class counts, whose heads are skipped.

    Parameters
    ----------
    network : Detector or Classifier
        Changed in place: weights, biases, scales and rolling statistics.
    path : Path

    Raises
    ------
    CheckpointError
        If the file is missing, no `.weights` file, cut inside a layer, too long, or holds
        numbers that cannot be weights, or if the network has weights for which such a file has
        no place. The network is then as it was.
    """
    path = Path(path)
    parts = network_parts(network)
    header = _read_header(path)
    count, classes = _understand(parts, own_classes(network), header, path)
    blocks = _cut(parts[:count], classes, header, _read_floats(path, header))
    taken = [block for block in blocks if block.fits]
    for block in taken:
        for field, numbers, byte in _fields_of(block):
            _check(block.part, field, numbers, f"{path}, byte {byte}")
    for block in taken:
        for field, numbers, _ in _fields_of(block):
            _fill(field, numbers)
    return LoadedWeights(
        header.major, header.minor, header.revision, header.seen,
        len(taken), len(parts), len(blocks) - len(taken),
        classes if any(block.part.slots for block in blocks) else None,
        count < len(parts),
    )  # fmt: skip


def save_weights(network: Network, path: Path, *, seen: int = 0) -> None:
    """Write darknet's `.weights` file of a network, in one step.

    Parameters
    ----------
    network : Detector or Classifier
    path : Path
        An older file is replaced.
    seen : int
        Images the network was trained on.

    Raises
    ------
    CheckpointError
        If the network has weights for which such a file has no place, or that are not finite.
    OSError
        If the file cannot be written; an older one is left as it was.
    """
    path = Path(path)
    parts = network_parts(network)
    for part in parts:
        for field in part.fields:
            _check(part, field, _numbers(field), str(path))
    head = struct.pack("<3iQ", *VERSION, seen)

    def write(file: BinaryIO) -> None:
        file.write(head)
        for part in parts:
            for field in part.fields:
                file.write(_numbers(field).astype("<f4").tobytes())

    write_atomically(path, write)


def _read_header(path: Path) -> _Header:
    if not path.is_file():
        raise CheckpointError(
            "no such weights file", str(path), "give the path of a .weights file"
        )
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(HEADER_BYTES)
    if size < 16:
        raise CheckpointError(
            f"{size} bytes are too few for the header of a .weights file", str(path), _WRONG_FILE
        )
    major, minor, revision = struct.unpack("<3i", head[:12])
    if min(major, minor, revision) < 0 or max(major, minor) > TRANSPOSED:
        raise CheckpointError(
            f"version {major}.{minor}.{revision} is none of darknet's, "
            f"or (above {TRANSPOSED}) one with transposed weights",
            f"{path}, byte 0",
            "give a .weights file written by darknet since 2016",
        )
    long_seen = 10 * major + minor >= 2
    if long_seen and size < HEADER_BYTES:
        raise CheckpointError("the file ends in its header", f"{path}, byte 12", _WRONG_FILE)
    (seen,) = struct.unpack("<Q", head[12:20]) if long_seen else struct.unpack("<I", head[12:16])
    start = HEADER_BYTES if long_seen else 16
    floats, rest = divmod(size - start, FLOAT_BYTES)
    if rest:
        raise CheckpointError(
            f"the file ends {rest} bytes into a number of four", f"{path}, byte {size - rest}",
            _WRONG_FILE,
        )  # fmt: skip
    if not floats:
        raise CheckpointError("the file holds no weights", f"{path}, byte {start}", _WRONG_FILE)
    return _Header(major, minor, revision, seen, start, floats)


def _understand(parts: Sequence[Part], own: int, header: _Header, path: Path) -> tuple[int, int]:
    """How many layers the file has, and for how many classes; its size is all that tells.

    Where a size can be read in two ways, a whole file goes before a partial one.
    """
    for classes in (own, _classes_of_whole(parts, header.floats)):
        if classes and sum(part.floats_with(classes) for part in parts) == header.floats:
            return len(parts), classes
    end = 0
    for count, part in enumerate(parts):
        if end == header.floats:
            return count, own
        if end + part.floats > header.floats:
            raise _cut_inside(part, end, header, path)
        end += part.floats
    byte = header.size + FLOAT_BYTES * end
    raise CheckpointError(
        f"the file goes on for {header.floats - end:,} numbers after the network's last layer, "
        f"{parts[-1]}, and its size is that of no other class count",
        f"{path}, byte {byte}",
        _WRONG_FILE,
    )


def _classes_of_whole(parts: Sequence[Part], floats: int) -> int:
    """Classes with which all layers have so many numbers; 0 if there are none."""
    none = sum(part.floats_with(0) for part in parts)
    each = sum(part.slots * part.per_output for part in parts)
    classes, rest = divmod(floats - none, each)
    return 0 if rest else max(classes, 0)


def _cut_inside(part: Part, end: int, header: _Header, path: Path) -> CheckpointError:
    return CheckpointError(
        f"the file ends inside {part}: {header.floats - end:,} of its {part.floats:,} numbers are "
        "there",
        f"{path}, byte {header.size + FLOAT_BYTES * end}",
        "take the whole file and the network that it was trained for; a partial file must end "
        "after a layer, before the heads if it was trained on other classes",
    )


def _read_floats(path: Path, header: _Header) -> Floats:
    data = np.fromfile(path, "<f4", header.floats, offset=header.size)
    if len(data) < header.floats:
        raise CheckpointError("the file became shorter while it was read", str(path), "try again")
    return data.astype(np.float32, copy=False)


def _cut(parts: Sequence[Part], classes: int, header: _Header, data: Floats) -> list[_Block]:
    blocks, start = [], 0
    for part in parts:
        count = part.floats_with(classes)
        byte = header.size + FLOAT_BYTES * start
        numbers = data[start : start + count]
        blocks.append(_Block(part, numbers, byte, count == part.floats))
        start += count
    return blocks


def _fields_of(block: _Block) -> list[tuple[Field, Floats, int]]:
    """Fields of a layer, their numbers and where these begin."""
    found, start = [], 0
    for field in block.part.fields:
        numbers = block.numbers[start : start + field.count]
        found.append((field, numbers, block.byte + FLOAT_BYTES * start))
        start += field.count
    return found


def _check(part: Part, field: Field, numbers: Floats, where: str) -> None:
    """Refuse numbers that no training gives; they mean a damaged file or another network's."""
    finite = np.isfinite(numbers)
    if not finite.all():
        first = int(np.argmin(finite))
        what = f"number {first} of the {field.kind} of {part} is {numbers[first]}"
    elif field.kind == "rolling variances" and (numbers < 0).any():
        first = int(np.argmax(numbers < 0))
        what = f"number {first} of the {field.kind} of {part} is negative, {numbers[first]:g}"
    elif field.tensor is None and numbers.any():
        what = f"{part} has no biases, and those in the file are not zero"
    else:
        return
    raise CheckpointError(what, where, "the file is damaged, or of another network")


def _numbers(field: Field) -> Floats:
    if field.tensor is None:
        return np.zeros(field.count, np.float32)
    return field.tensor.detach().float().cpu().contiguous().numpy().ravel()


@torch.no_grad()
def _fill(field: Field, numbers: Floats) -> None:
    if field.tensor is not None:
        field.tensor.copy_(torch.from_numpy(numbers).view(field.tensor.shape))
