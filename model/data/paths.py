"""Find image files by a name that may be hostile."""

import os
import stat
from collections.abc import Iterable
from pathlib import Path, PurePosixPath, PureWindowsPath

from model.files import is_file


class OutsideFolder(Exception):  # noqa: N818  (it is a finding, told to the user by the caller)
    """A file name that leads out of every image folder."""


class ImageFolders:
    """The folders an image may lie in, tried in order.

    A folder may itself be a link (the user made it one); a name inside it may not lead out of it,
    neither by ``..`` nor by a link.

    Parameters
    ----------
    roots : iterable of Path
        They need not exist.
    """

    def __init__(self, roots: Iterable[Path]) -> None:
        self.roots = tuple(roots)
        self._real = tuple(Path(os.path.realpath(root)) for root in self.roots)
        self._real_folders: dict[Path, Path] = {}

    def locate(self, name: str) -> Path | None:
        """Path of the file `name`, or None if there is none.

        Raises
        ------
        OutsideFolder
            If the name is absolute, contains ``..``, or a link leads out of the folder.
        """
        _check_name(name)
        for root in self._real:
            path = root / name
            try:
                mode = path.lstat().st_mode
            except (OSError, ValueError):
                continue
            real = self._resolve(path, is_link=stat.S_ISLNK(mode))
            if not real.is_relative_to(root):
                raise OutsideFolder(f"a link leads to {real}")
            if is_file(real):
                return path
        return None

    def _resolve(self, path: Path, *, is_link: bool) -> Path:
        """Real path; the folder's is looked up once, for a data set has many files in few."""
        if is_link:
            return Path(os.path.realpath(path))
        folder = path.parent
        if folder not in self._real_folders:
            self._real_folders[folder] = Path(os.path.realpath(folder))
        return self._real_folders[folder] / path.name


def _check_name(name: str) -> None:
    if not name or "\0" in name:
        raise OutsideFolder("it is empty or contains NUL")
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    if posix.is_absolute() or windows.drive or windows.root:
        raise OutsideFolder("it is absolute")
    if ".." in posix.parts or ".." in windows.parts:
        raise OutsideFolder("it contains '..'")
