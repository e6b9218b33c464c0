"""What a JSON file will take in memory, told from its bytes before it is parsed.

Three bytes of a file may become sixty or more in memory (``[],``), so the size of a file bounds
little. Counting the marks that begin lists, objects, texts and numbers does, and is many times
quicker than parsing.
"""

import os
from contextlib import suppress
from pathlib import Path

from model.data.limits import JSON, max_json_bytes
from model.errors import DataError

_CHUNK_BYTES = 1 << 20
_BYTES = {"[": 96, "{": 264, ",": 44, ":": 72}
"""Of CPython 3.11 to 3.13 on 64 bits: a list with its first places; an object with its first
table; the place of a value and a number in it; a table's growth for a key and a number."""
_TEXT_BYTES = 28  # of half a text: its head, and what is lost between texts
_SHARE = 0.8  # of the machine's memory, at most


def json_bytes(file: Path) -> int:
    """Bytes of memory that the content of `file` takes once it is read and parsed, at most.

    Marks within texts are counted, too, so a file of long texts seems larger than it is.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    counts = dict.fromkeys(_BYTES, 0)
    quotes = size = widest = 0
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            size += len(chunk)
            quotes += chunk.count(b'"')
            for mark in counts:
                counts[mark] += chunk.count(mark.encode())
            if not chunk.isascii():
                widest = max(widest, max(chunk))
    width = 4 if widest >= 0xF0 else 2 if widest >= 0xC4 else 1  # bytes a character of a text
    marks = sum(_BYTES[mark] * count for mark, count in counts.items())
    return size + 2 * width * size + marks + _TEXT_BYTES * quotes


def check_json(file: Path) -> None:
    """Refuse a file that is larger than is meant, or would not fit into memory.

    Raises
    ------
    DataError
        If it holds more bytes than `limits.max_json_bytes`, or would take more than four fifths
        of the machine's memory, or of the limit of its control group.
    OSError
        If the file cannot be read.
    """
    size, most = file.stat().st_size, max_json_bytes()
    if size > most:
        raise DataError(
            f"the file holds {size:,} bytes, more than {most:,}",
            str(file),
            f"is this the right file? If so set {JSON}; reading takes eight times the memory",
        )
    needed, there = json_bytes(file), _memory_bytes()
    if needed > _SHARE * there:
        raise DataError(
            f"reading it would take {needed / 2**30:.1f} GiB of the {there / 2**30:.1f} GiB of "
            "memory",
            str(file),
            "is this the right file? If so cut it into several, or take a larger machine",
        )


def _memory_bytes() -> int:
    """Memory of the machine, or of the container that this runs in."""
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with suppress(OSError, ValueError):  # version 1 of control groups, or "max"
        whole = min(whole, int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
    return whole
