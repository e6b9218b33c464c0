"""Checkpoints: whole or not there, read without running code from the file."""

import pickle
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from model.errors import CheckpointError
from model.files import write_atomically

FORMAT = 2
"""Since 2 a training may change its settings, and be left within an epoch; 1 is read as before."""


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors and plain Python values) in one step.

    Raises
    ------
    OSError
        If the disk is full or the folder cannot be written; an older file is left as it was.
    """
    write_atomically(path, lambda file: torch.save({"format": FORMAT, **state}, file))


def load_checkpoint(path: Path, device: str | torch.device = "cpu") -> dict[str, Any]:
    """Read a checkpoint; nothing in it is executed (``weights_only``).

    Raises
    ------
    CheckpointError
        If the file is missing, torn, not a checkpoint of ours, of a newer format, or would take
        more memory than its own size.
    """
    if not path.is_file():
        raise CheckpointError("no such checkpoint", str(path), "give the path of a .pt file")
    try:
        _check_packing(path)
        with warnings.catch_warnings():  # of pickles that it refuses a moment later
            warnings.simplefilter("ignore")
            state = torch.load(path, map_location=device, weights_only=True)
        _check_tensors(state)
    except (OSError, MemoryError):
        raise
    except Exception as e:  # whatever torch's readers make of bytes that are none of theirs
        raise CheckpointError(*_unreadable(path, e)) from e
    if not isinstance(state, dict) or "format" not in state:
        raise CheckpointError(
            "this file was not written by evolve",
            str(path),
            "give best.pt or last.pt of a training, or make one with 'evolve import-weights'",
        )
    if state["format"] > FORMAT:
        raise CheckpointError(
            f"written by a newer version (format {state['format']}, known {FORMAT})",
            str(path),
            "update evolve",
        )
    return state


class _InflatedError(ValueError):
    """A file that would be larger in memory than on disk, which none of PyTorch's is."""


def _check_packing(path: Path) -> None:
    """Refuse archives whose parts are packed or overlap, and the formats of old PyTorch."""
    with zipfile.ZipFile(path) as archive:
        if sum(part.file_size for part in archive.infolist()) > path.stat().st_size:
            raise _InflatedError("it would unpack to more than its size")


def _check_tensors(state: Any) -> None:
    """Refuse tensors that repeat their numbers: a few bytes, which copying would make many."""
    for tensor in _tensors(state):
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise _InflatedError("a tensor would unpack to more than it stores")


def _tensors(state: Any) -> Iterator[torch.Tensor]:
    """All tensors in dictionaries, lists and tuples; what stands in many places is met once."""
    waiting, met = [state], set()
    while waiting:
        one = waiting.pop()
        if isinstance(one, torch.Tensor):
            yield one
        elif isinstance(one, (dict, list, tuple)) and id(one) not in met:
            met.add(id(one))
            waiting.extend(one.values() if isinstance(one, dict) else one)


def _unreadable(path: Path, error: Exception) -> tuple[str, str, str]:
    """Tell what, where and how to mend it, without torch's advice to trust the file."""
    if path.suffix == ".weights":
        what = "these are darknet's weights"
        return what, str(path), "make a checkpoint of them with evolve import-weights"
    reason = "it is not in PyTorch's format, or was cut off"
    if isinstance(error, _InflatedError):
        reason = str(error)
    elif isinstance(error, pickle.UnpicklingError):
        reason = "it is not in PyTorch's format, or holds more than tensors and plain values"
    elif isinstance(error, (RuntimeError, EOFError)) and str(error):
        reason = str(error).split(". ")[0].splitlines()[0]
    mend = "take another one; a run keeps last.pt and best.pt of every trial"
    return f"this is not a readable checkpoint ({reason})", str(path), mend
