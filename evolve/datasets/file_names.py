"""Names of image files that are safe everywhere, and each of them once."""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from evolve.datasets.findings import Finding
from evolve.datasets.raw import RawImage
from model.data.headers import IMAGE_SUFFIXES

_UNSAFE = re.compile(r"[^A-Za-z0-9._+=@-]+")
_LONGEST = 120  # characters, of the 255 bytes that file systems take
_FOLDERS = ("images", "JPEGImages")  # they tell nothing about a picture


def safe_names(
    splits: Mapping[str, Sequence[RawImage]], root: Path, findings: list[Finding]
) -> dict[Path, str]:
    """New name of each image file.

    An image keeps the last part of its name. Where two files share that, the folders they lie in
    go before it, and numbers behind what is still the same; names that differ in upper and lower
    case alone are the same. Letters beyond ASCII lose their accents or become ``_``. A file that
    is in two splits has one name. Each renaming is added to `findings`.
    """
    files = list(dict.fromkeys(i.path for part in splits.values() for i in part if i.path))
    inner = {path: _inside(path, root) for path in files}
    shared = Counter(_safe(inner[path].name).lower() for path in files)
    taken: set[str] = set()
    name_of: dict[Path, str] = {}
    for path in files:
        name = _safe(inner[path].name)
        if shared[name.lower()] > 1:
            name = _safe("_".join(p for p in inner[path].parts if p not in _FOLDERS))
        name_of[path] = _free(name, taken)
        taken.add(name_of[path].lower())
    for split, images in splits.items():
        for image in images:
            if image.path and name_of[image.path] != image.path.name:
                what = f"the image is called '{name_of[image.path]}' here"
                findings.append(
                    Finding("image-renamed", "fixed", split, image.file_name, "", what)
                )
    return name_of


def _inside(path: Path, root: Path) -> PurePosixPath:
    """Path within the data folder, or its name where a link leads elsewhere."""
    for base in (root, root.resolve(), root.parent.resolve()):
        if path.is_relative_to(base):
            return PurePosixPath(path.relative_to(base).as_posix())
    return PurePosixPath(*path.parts[-3:])


def _safe(name: str) -> str:
    """A name of ASCII letters, digits and few signs, with its suffix."""
    suffix = PurePosixPath(name).suffix.lower()
    stem = name[: -len(suffix)] if suffix in IMAGE_SUFFIXES else name
    bare = (c for c in unicodedata.normalize("NFKD", stem) if not unicodedata.combining(c))
    plain = _UNSAFE.sub("_", "".join(bare)).lstrip(".-_=+@")[:_LONGEST]
    ending = name[-len(suffix) :] if suffix in IMAGE_SUFFIXES else ""
    return f"{plain or 'image'}{ending}"


def _free(name: str, taken: set[str]) -> str:
    """The name, or with a number behind its stem where it is taken."""
    path, number, free = PurePosixPath(name), 1, name
    while free.lower() in taken:
        number += 1
        free = f"{path.stem}-{number}{path.suffix}"
    return free
