"""Darknet's `.cfg` files: sections of keys and values, with the line of each.

Numbers are read strictly and every fault is told as file:line. What a value means is the matter
of `model.darknet_cfg.layers` and `model.darknet_cfg.settings`.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from model.errors import ConfigurationError

LIMIT_BYTES = 1_000_000
LIMIT_SECTIONS = 2000
LIMIT_NUMBER = 1e12

_INTEGER = re.compile(r"[-+]?[0-9]{1,12}")
_DECIMAL = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,3})?")
_SECTION = re.compile(r"\[([A-Za-z0-9_]+)\]")

# darknet's own short forms
ALIASES = {
    "network": "net",
    "conv": "convolutional",
    "max": "maxpool",
    "avg": "avgpool",
    "soft": "softmax",
    "gaussian_yolo": "Gaussian_yolo",
}

Value = TypeVar("Value")


@dataclass(frozen=True)
class Entry:
    """A value as text without blanks, and its line from 1."""

    text: str
    line: int


@dataclass(frozen=True)
class Section:
    """A section: its name, the line of its head, and its entries by key.

    `cfg_path` is the file's, for errors.
    """

    name: str
    line: int
    cfg_path: str
    entries: dict[str, Entry] = field(default_factory=dict)

    def where(self, key: str = "") -> str:
        """Place of a key, or of the section if it has no such key."""
        line = self.entries[key].line if key in self.entries else self.line
        return f"{self.cfg_path}:{line}"

    def text(self, key: str, default: str) -> str:
        """A word."""
        entry = self.entries.get(key)
        return entry.text if entry else default

    def integer(self, key: str, default: int) -> int:
        """A whole number."""
        return self._read(key, default, _integer, "a whole number")

    def number(self, key: str, default: float) -> float:
        """A finite number."""
        return self._read(key, default, _decimal, "a number")

    def integers(self, key: str) -> tuple[int, ...]:
        """Whole numbers with commas between them; none without the key."""
        return self._read(key, (), _listed(_integer), "whole numbers with commas between them")

    def numbers(self, key: str) -> tuple[float, ...]:
        """Numbers with commas between them; none without the key."""
        return self._read(key, (), _listed(_decimal), "numbers with commas between them")

    def _read(self, key: str, default: Value, read: Callable[[str], Value], kind: str) -> Value:
        entry = self.entries.get(key)
        if entry is None:
            return default
        try:
            return read(entry.text)
        except ValueError:
            shown = entry.text[:40] or "nothing"
            raise ConfigurationError(
                f"'{key}' of [{self.name}] is {shown}, not {kind}",
                self.where(key),
                "correct the value",
            ) from None


@dataclass(frozen=True)
class Cfg:
    """A cfg file.

    Attributes
    ----------
    path : Path
    net : Section
        The first one, ``[net]``.
    layers : tuple of Section
        All others; the place of each is darknet's number of the layer.
    notes : tuple of str
        What is odd in the file but does no harm.
    """

    path: Path
    net: Section
    layers: tuple[Section, ...]
    notes: tuple[str, ...]


def read_cfg(path: Path) -> Cfg:
    """Read a cfg file as darknet does: blanks count for nothing, ``#`` and ``;`` begin comments.

    Raises
    ------
    ConfigurationError
        If the file is missing, too large, or no cfg file; with file:line.
    """
    path = Path(path)
    sections: list[Section] = []
    notes: list[str] = []
    for number, line in enumerate(_read_text(path).split("\n"), 1):
        bare = "".join(line.split()).partition("#")[0]
        if not bare or bare[0] == ";":
            continue
        if bare[0] == "[":
            sections.append(_begin(bare, number, path, len(sections)))
        else:
            _add(bare, number, sections, path, notes)
    if not sections:
        raise ConfigurationError("the file has no section", str(path), "is this a cfg file?")
    if sections[0].name != "net":
        raise ConfigurationError(
            f"the first section is [{sections[0].name}], not [net]", sections[0].where(),
            "begin the file with [net] and the size of the input",
        )  # fmt: skip
    for section in sections[1:]:
        if section.name == "net":
            raise ConfigurationError("a second [net]", section.where(), "remove it")
    return Cfg(path, sections[0], tuple(sections[1:]), tuple(notes))


def _read_text(path: Path) -> str:
    if not path.is_file():
        raise ConfigurationError("no such cfg file", str(path), "give the path of a .cfg file")
    if path.stat().st_size > LIMIT_BYTES:
        raise ConfigurationError(
            f"the file is larger than {LIMIT_BYTES:,} bytes", str(path), "is this the right file?"
        )
    try:
        raw = path.read_bytes()
    except OSError as fault:
        raise ConfigurationError(
            f"cannot read the file: {fault.strerror}",
            str(path),
            "let the file be read, or give another",
        ) from fault
    if b"\0" in raw:
        line = raw.count(b"\n", 0, raw.index(b"\0")) + 1
        raise ConfigurationError(
            "the file is no text", f"{path}:{line}", "weights are read by 'evolve import-weights'"
        )
    return raw.decode("utf-8-sig", errors="replace")  # comments are in any encoding


def _begin(bare: str, number: int, path: Path, before: int) -> Section:
    match = _SECTION.fullmatch(bare)
    if match is None:
        raise ConfigurationError(
            f"'{bare[:40]}' is no head of a section", f"{path}:{number}", "write [name]"
        )
    if before >= LIMIT_SECTIONS:
        raise ConfigurationError(
            f"more than {LIMIT_SECTIONS:,} sections",
            f"{path}:{number}",
            "give the cfg file of one network",
        )
    name = ALIASES.get(match[1].lower(), match[1])
    return Section(name, number, str(path))


def _add(bare: str, number: int, sections: list[Section], path: Path, notes: list[str]) -> None:
    """Put a line's entry into the last section; of two with one key darknet takes the first."""
    key, equals, text = bare.partition("=")
    place = f"{path}:{number}"
    if not equals or not key:
        raise ConfigurationError(
            f"'{bare[:40]}' is neither [section] nor key=value", place,
            "begin a comment with '#'",
        )  # fmt: skip
    if not sections:
        raise ConfigurationError(
            f"'{key[:40]}' stands before the first section", place, "begin the file with [net]"
        )
    entries = sections[-1].entries
    if key in entries:
        notes.append(
            f"line {number}: '{key}' is given again; line {entries[key].line} counts "
            f"({entries[key].text}), not {text}"
        )
    else:
        entries[key] = Entry(text, number)


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError(text)
    return int(text)


def _decimal(text: str) -> float:
    if not _DECIMAL.fullmatch(text):
        raise ValueError(text)
    value = float(text)
    if not math.isfinite(value) or abs(value) > LIMIT_NUMBER:
        raise ValueError(text)
    return value


def _listed(read: Callable[[str], Value]) -> Callable[[str], tuple[Value, ...]]:
    """Reader of several values; darknet lets the list end in a comma."""
    return lambda text: tuple(read(part) for part in text.rstrip(",").split(","))
