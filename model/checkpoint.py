"""Checkpoints: whole or not there, read without running code from the file."""

import pickle
import warnings
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
        If the file is missing, torn, not a checkpoint of ours, or of a newer format.
    """
    if not path.is_file():
        raise CheckpointError("no such checkpoint", str(path), "give the path of a .pt file")
    try:
        with warnings.catch_warnings():  # of pickles that it refuses a moment later
            warnings.simplefilter("ignore")
            state = torch.load(path, map_location=device, weights_only=True)
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


def _unreadable(path: Path, error: Exception) -> tuple[str, str, str]:
    """Tell what, where and how to mend it, without torch's advice to trust the file."""
    if path.suffix == ".weights":
        what = "these are darknet's weights"
        return what, str(path), "make a checkpoint of them with evolve import-weights"
    reason = "it is not in PyTorch's format"
    if isinstance(error, pickle.UnpicklingError):
        reason = "it is not in PyTorch's format, or holds more than tensors and plain values"
    elif isinstance(error, (RuntimeError, EOFError)) and str(error):
        reason = str(error).split(". ")[0].splitlines()[0]
    mend = "take another one; a run keeps last.pt and best.pt of every trial"
    return f"this is not a readable checkpoint ({reason})", str(path), mend
