"""Data that travel to machines which do not have them: packed once, unpacked once on each.

An archive is a stream of pieces, so that none of it is ever held whole. Only plain files are
packed, and whoever unpacks takes nothing else: no link, no device, no name that leads outside.
"""

import fcntl
import hashlib
import io
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import platformdirs

from evolve.errors import EvolveError

PIECE_BYTES = 32 << 20


def files_of(data: Path) -> tuple[Path, list[Path]]:
    """The folder to pack, and the files of a data set in it, in order of their names.

    An annotations file brings its pictures along: those of its folder, or of ``images`` beside it.
    Links to folders are followed, once each.
    """
    if data.is_dir():
        return data, sorted(_walked(data, set()))
    beside, here = data.parent.parent / "images", data.parent
    if not (here / "images").is_dir() and beside.is_dir():
        return here.parent, sorted({data, *_walked(beside, set())})
    pictures = here / "images"
    return here, sorted({data, *_walked(pictures if pictures.is_dir() else here, set())})


def _walked(folder: Path, seen: set[Path]) -> Iterator[Path]:
    real = folder.resolve()
    if real in seen:
        return
    seen.add(real)
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        if entry.is_dir():
            yield from _walked(Path(entry.path), seen)
        elif entry.is_file():
            yield Path(entry.path)


def cheap_digest(data: Path) -> str:
    """Digest of a data set's annotations, and of the names of its files; no picture is read."""
    root, files = files_of(data)
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.relative_to(root).as_posix().encode() + b"\0")
        if path.suffix == ".json":
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


class _Pieces(io.RawIOBase):
    """A file that hands what is written to it on in pieces."""

    def __init__(self, put: Callable[[bytes], Any], piece_bytes: int) -> None:
        self.handed: list[Any] = []
        self.digest = hashlib.sha256()
        self._put, self._size, self._buffer = put, piece_bytes, bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._buffer += data
        while len(self._buffer) >= self._size:
            self._hand_on(self._size)
        return len(data)

    def finish(self) -> None:
        """Hand on what is left."""
        if self._buffer:
            self._hand_on(len(self._buffer))

    def _hand_on(self, count: int) -> None:
        piece = bytes(self._buffer[:count])
        del self._buffer[:count]
        self.digest.update(piece)
        self.handed.append(self._put(piece))


class _Stream(io.RawIOBase):
    """A file that is read from pieces, one after the other."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.digest = hashlib.sha256()
        self._pieces, self._rest = iter(pieces), b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self.digest.update(piece)
            self._rest = piece
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count


def pack(
    data: Path, put: Callable[[bytes], Any], piece_bytes: int = PIECE_BYTES
) -> tuple[str, list[Any], str]:
    """Pack a data set; the digest of the archive, what `put` gave for its pieces, and its name.

    The same files give the same digest. The name is the path of `data` in the archive.
    """
    root, files = files_of(data)
    out = _Pieces(put, piece_bytes)
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for path in files:
            info = tarfile.TarInfo(path.relative_to(root).as_posix())
            info.size = path.stat().st_size
            with path.open("rb") as file:
                tar.addfile(info, file)
    out.finish()
    return out.digest.hexdigest(), out.handed, data.relative_to(root).as_posix()


def shipped_folder(digest: str) -> Path:
    """Where an archive of this digest is unpacked, in the user's cache folder."""
    override = os.environ.get("EVOLVE_CACHE_DIR")
    cache = Path(override) if override else platformdirs.user_cache_path("evolve")
    return cache / "shipped" / digest[:32]


def unpack_once(digest: str, pieces: Iterable[bytes]) -> Path:
    """Folder of an archive, unpacked if this machine does not have it yet.

    It appears whole or not at all; of several processes one unpacks, and the others wait.

    Raises
    ------
    EvolveError
        If the archive is not what was packed, or has what no data set has.
    """
    target = shipped_folder(digest)
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / f".{target.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.is_dir():
            return target
        made = Path(tempfile.mkdtemp(dir=target.parent, prefix=".unpacking-"))
        try:
            _unpack(pieces, made, digest)
            made.rename(target)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return target


def _unpack(pieces: Iterable[bytes], folder: Path, digest: str) -> None:
    stream = _Stream(pieces)
    try:
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            for member in tar:
                _take_out(tar, member, folder)
        while stream.read(1 << 20):  # what follows the end of the archive belongs to its digest
            pass
    except (tarfile.TarError, EOFError) as error:
        raise EvolveError(
            f"shipped data cannot be unpacked: {error}",
            str(folder),
            "make room on that machine, or put the data there and leave --ship-data out",
        ) from error
    if stream.digest.hexdigest() != digest:
        raise EvolveError("shipped data were changed on their way", str(folder), "ship them again")


def _take_out(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    name = PurePosixPath(member.name)
    if not member.isreg() or name.is_absolute() or ".." in name.parts or not name.parts:
        raise EvolveError(
            f"shipped data have an entry that is not taken: '{member.name}'",
            str(folder),
            "replace it by a file or a folder, or leave --ship-data out",
        )
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    source = tar.extractfile(member)
    assert source is not None
    with path.open("xb") as file:
        shutil.copyfileobj(source, file)
