"""From what a user gives as `--data` to a data set."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from model.errors import CheckpointError, DataError
from model.files import names_beside

if TYPE_CHECKING:
    from model.data.classes import ClassDataset
    from model.data.coco import Dataset

EMBEDDED = "digits"


@dataclass(frozen=True)
class DataSource:
    """Where a data set lies, its name in messages and default folders, and what finds it again.

    `argument` is the value of `--data` that gives it from any folder.
    """

    path: Path
    name: str
    argument: str


def resolve_data(text: str | None) -> DataSource:
    """Where the data are; nothing of them is read.

    Parameters
    ----------
    text : str or None
        A COCO folder or annotations file, or class folders. None is the embedded set `digits`,
        and so is that word, unless a folder of this name exists; the set is built if this is its
        first use.

    Raises
    ------
    DataError
        If nothing is there (the nearest names are given), or a data set of another format is.
    """
    if text is None or (text == EMBEDDED and not Path(text).exists()):
        from model.data.digits import digits_folder

        return DataSource(digits_folder(), EMBEDDED, EMBEDDED)
    path = Path(text).expanduser()
    if not _exists(path):
        raise DataError(f"no data set at '{text}'", str(path), names_beside(path))
    full = path.resolve()
    _refuse_other_formats(full, text)
    name = (full.name if full.is_dir() else full.stem) or "data"
    return DataSource(full, name, str(full))


def _refuse_other_formats(path: Path, text: str) -> None:
    """Say how to import a data set of another format, instead of what COCO's lacks."""
    from evolve.datasets.read import recognise

    reasons = recognise(path)
    if not reasons or "coco" in reasons:
        return
    name, reason = next(iter(reasons.items()))
    out = f"{text.rstrip('/')}-coco" if path.is_dir() else f"{Path(text).parent}-coco"
    source, out = shlex.quote(text), shlex.quote(out)
    mend = f"evolve data import {source} --out {out}, then --data {out}"
    raise DataError(
        f"this looks like {name} ({reason}); what is read here is COCO", str(path), mend
    )


def open_data(text: str | None, seed: int = 0) -> tuple[Path, str, "Dataset"]:
    """Path, name and checked content of a data set.

    Parameters
    ----------
    text : str or None
        As for `resolve_data`.
    seed : int
        Of the split of a single annotations file.

    Raises
    ------
    DataError
        With the file and the place in it.
    """
    # the reader of the trainer, so that a training of this process reads the set once
    from evolve.engine.trainers import shared_data

    source = resolve_data(text)
    return source.path, source.name, shared_data(source.path, seed)


def open_class_data(text: str | None, seed: int = 0) -> tuple[Path, str, "ClassDataset"]:
    """As `open_data`, for a classifier: class folders, or the boxes of a detection data set."""
    from evolve.engine.trainers import shared_class_data

    source = resolve_data(text)
    return source.path, source.name, shared_class_data(source.path, seed)


def find_weights(path: Path) -> Path:
    """Give back the path of a weights file that exists.

    Raises
    ------
    CheckpointError
        If there is no such file; the nearest names are given.
    """
    if path.is_dir():
        inside = sorted(str(file) for file in path.glob("*.pt"))
        mend = f"in it: {', '.join(inside)}" if inside else "give the path of a .pt file"
        raise CheckpointError(
            "a folder is given where a weights file is expected", str(path), mend
        )
    if not _exists(path):
        raise CheckpointError("no such weights file", str(path), names_beside(path))
    return path


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long, a folder that may not be read
        return False
