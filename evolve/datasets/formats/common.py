"""What readers share: files within bounds, sizes of pictures, findings."""

import stat
from dataclasses import dataclass, field
from pathlib import Path

from evolve.datasets.findings import Finding, Outcome
from model.data.headers import read_sizes_wh
from model.errors import DataError

MIB = 1 << 20
LIMIT_LIST_BYTES = 256 * MIB  # of a list of images
LIMIT_TEXT_BYTES = 16 * MIB  # of labels, an XML file, names or a data.yaml
LIMIT_LINES = 5_000_000
LIMIT_NAMES = 100_000

_LIMIT_PICTURE_BYTES = 1024 * MIB


class Unreadable(Exception):  # noqa: N818  (it is a finding, told by the caller)
    """A file that cannot be used; the text says why."""


@dataclass
class Log:
    """Findings as they are met."""

    findings: list[Finding] = field(default_factory=list)

    def add(
        self, kind: str, outcome: Outcome, split: str, place: tuple[str, object], what: str,
        mend: str = "",
    ) -> None:  # fmt: skip
        """Note one; `place` is the file and the line or entry in it."""
        file, item = place
        self.findings.append(Finding(kind, outcome, split, file, str(item), what, mend))


def read_bytes(path: Path, limit_bytes: int) -> bytes:
    """Content of a plain file of at most `limit_bytes`; `Unreadable` otherwise."""
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise Unreadable("it is not a plain file")
        if facts.st_size > limit_bytes:
            raise Unreadable(f"it holds {facts.st_size:,} bytes, more than {limit_bytes:,}")
        with path.open("rb") as file:
            return file.read(limit_bytes)
    except OSError as error:
        raise Unreadable(f"it cannot be read: {error.strerror}") from None


def read_lines(
    path: Path, limit_bytes: int = LIMIT_TEXT_BYTES, limit_lines: int = LIMIT_LINES
) -> list[str]:
    """Lines of a UTF-8 file without their ends; `Unreadable` where it is none, or too long."""
    data = read_bytes(path, limit_bytes)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Unreadable(f"line {line} is not UTF-8 text") from None
    lines = [line.rstrip("\r") for line in text.split("\n")]
    if len(lines) > limit_lines + 1:
        raise Unreadable(f"it has {len(lines):,} lines, more than {limit_lines:,}")
    return lines


def lines_of(path: Path, limit_lines: int = LIMIT_LINES) -> list[str]:
    """As `read_lines`, of a file without which nothing can be read: a DataError if it fails."""
    try:
        return read_lines(path, LIMIT_LIST_BYTES, limit_lines)
    except Unreadable as error:
        raise DataError(str(error), str(path), "is this the right file?") from None


def read_names(path: Path) -> dict[object, str]:
    """Class names of a file with one a line, by their number from 0."""
    lines = [line.strip() for line in lines_of(path, LIMIT_NAMES)]
    while lines and not lines[-1]:
        lines.pop()
    return dict(enumerate(lines))


def picture_size(path: Path) -> tuple[int, int] | None:
    """Width and height of a picture as it is shown, in pixels; None if it is none."""
    try:
        if not path.is_file() or path.stat().st_size > _LIMIT_PICTURE_BYTES:
            return None
        sizes = read_sizes_wh(path)
    except OSError:
        return None
    return sizes[1] if sizes and min(sizes[1]) > 0 else None


def few(items: list[str], count: int = 3) -> str:
    """The first of them, and how many more."""
    text = ", ".join(items[:count])
    return f"{text} and {len(items) - count} more" if len(items) > count else text
