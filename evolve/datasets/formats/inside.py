"""Find what a data set names inside its own folder, however the name was written elsewhere."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from model.data.headers import IMAGE_SUFFIXES
from model.data.paths import ImageFolders, OutsideFolder
from model.files import is_folder

LINKED = ("images", "labels", "JPEGImages", "Annotations")
"""Folders that may be links as a whole: the user made them so; names in them lead nowhere else."""

_LONGEST_NAME = 4096  # bytes of a path on Linux


@dataclass(frozen=True, slots=True)
class Place:
    """Something found in the data folder.

    Attributes
    ----------
    path : Path
    name : str
        Relative to the data folder.
    is_mended : bool
        The name as written leads elsewhere; its tail was found here.
    """

    path: Path
    name: str
    is_mended: bool


class DataFolder:
    """The one folder that nothing may lie outside of.

    Lists of images and data.yaml files often keep absolute paths, or ``../``, of the machine that
    made them. Such a name is sought by its tail, the longest first.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._real = Path(os.path.realpath(root))
        self._folders = ImageFolders((root,))
        self._linked = {
            name: ImageFolders((root / name,)) for name in LINKED if (root / name).is_symlink()
        }
        self._dropped = 0  # leading parts that the last name had to lose: the next is alike

    def file(self, text: str) -> Place | None:
        """The file of a name; None if there is none.

        Raises
        ------
        OutsideFolder
            If it is there but a link leads out of the folder.
        """
        return self._find(text, self.locate)

    def folder(self, text: str) -> Place | None:
        """As `file`, for a folder."""
        return self._find(text, self._locate_folder)

    def locate(self, name: str) -> Path | None:
        """The file of a name that is relative to the folder, as it is; None if there is none."""
        top, _, rest = name.partition("/")
        if rest and top in self._linked:
            return self._linked[top].locate(rest)
        found = self._folders.locate(name)
        return self.root / name if found else None

    def _locate_folder(self, name: str) -> Path | None:
        path = self.root / name
        if not is_folder(path):
            return None
        real = Path(os.path.realpath(path))
        top = name.partition("/")[0]
        allowed = [self._real] + [Path(os.path.realpath(self.root / top))] * (top in self._linked)
        if not any(real.is_relative_to(folder) for folder in allowed):
            raise OutsideFolder(f"a link leads to {real}")
        return path

    def _find(self, text: str, locate: Callable[[str], Path | None]) -> Place | None:
        if len(text.encode("utf-8", "replace")) > _LONGEST_NAME or "\0" in text:
            return None
        for parts in _readings(text):
            for dropped in dict.fromkeys((0, self._dropped, *range(len(parts)))):
                name = "/".join(parts[dropped:])
                path = locate(name) if _is_relative(name) else None
                if path is not None:
                    self._dropped = dropped
                    return Place(path, name, self._leads_elsewhere(text, dropped, path))
        return None

    def _leads_elsewhere(self, text: str, dropped: int, path: Path) -> bool:
        if not dropped and not text.startswith(("/", "..")) and ".." not in text.split("/"):
            return False
        return os.path.realpath(self.root / text) != os.path.realpath(path)


def _readings(text: str) -> Iterator[list[str]]:
    """Parts of a path, as POSIX writes it and then as Windows does; ``..`` and ``.`` are gone."""
    for written in dict.fromkeys((text, text.replace("\\", "/"))):
        yield [part for part in written.split("/") if part not in ("", ".", "..")]


def _is_relative(name: str) -> bool:
    """Whether a name stays in a folder on Windows as well."""
    windows = PureWindowsPath(name)
    return bool(name) and not (windows.drive or windows.root or ".." in windows.parts)


def pictures_below(folder: Path) -> list[str]:
    """Names of all pictures in a folder, relative to it, in order; hidden ones are left out."""
    found: list[str] = []
    for base, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inner = Path(base).relative_to(folder)
        found += [(inner / name).as_posix() for name in files if is_picture(name)]
    return sorted(found)


def is_picture(name: str) -> bool:
    """Whether a name is that of a picture."""
    return not name.startswith(".") and name.lower().endswith(IMAGE_SUFFIXES)


def names_in(folder: Path) -> list[str]:
    """Names in a folder, in order; empty where it cannot be listed."""
    try:
        return sorted(item.name for item in folder.iterdir() if not item.name.startswith("."))
    except OSError:
        return []
