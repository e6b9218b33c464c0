"""Files that are either whole or not there, and whether they are there."""

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from model.errors import ConfigurationError, nearest


def require_folder_of(path: Path) -> None:
    """Refuse a file to be written whose folder is not there, with a ConfigurationError."""
    if not path.parent.is_dir():
        raise ConfigurationError(
            "there is no such folder", str(path.parent), "make it, or name another file"
        )


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Create or replace `path` in one step: temporary name, fsync, rename, fsync of the folder.

    Parameters
    ----------
    path : Path
        Final name; its folder must exist.
    write : callable
        Gets the open binary file and fills it. If it raises, `path` is left as it was.

    Raises
    ------
    OSError
        If the file cannot be written, or a device, pipe or folder has its name.
    """
    if path.exists() and not path.is_file():
        raise FileExistsError(errno.EEXIST, "there is something that is no file", str(path))
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def link_or_copy(source: Path, path: Path) -> None:
    """Give a file a second name, in the place of any that had it; a copy where links are not."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        temporary = Path(folder) / path.name
        try:
            temporary.hardlink_to(source)
        except OSError:
            shutil.copyfile(source, temporary)
        temporary.replace(path)


def write_text_atomically(path: Path, text: str) -> None:
    """Create or replace the UTF-8 text file `path` in one step."""
    write_atomically(path, lambda file: file.write(text.encode("utf-8")))


def is_file(path: Path) -> bool:
    """As `Path.is_file`; a name that no file can have, such as a too long one, is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """As `Path.is_dir`; a name that no folder can have is none."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def names_beside(path: Path) -> str:
    """Names where a missing file was sought, the nearest first; for an error's `mend`."""
    folder = path.parent
    try:
        while not folder.is_dir() and folder != folder.parent:
            folder = folder.parent
        names = sorted(item.name for item in folder.iterdir() if not item.name.startswith("."))
    except OSError:
        return f"{folder} cannot be listed"
    if not names:
        return f"check the path: there is nothing in {folder}"
    return f"in {folder}: {nearest(path.name, names[:50])}"
