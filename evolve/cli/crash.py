"""What is said when something goes wrong that is no fault of the input."""

import errno
import os
import platform
import shlex
import sys
import tempfile
import traceback
from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from evolve.cli.invocation import SECRET, Invocation
from evolve.cli.logs import last_lines
from evolve.masks import masked

ISSUES = "the issues of evolve-yolo"
PACKAGES = ("evolve-yolo", "torch", "ray", "optuna", "numpy", "pandas", "click", "pydantic")
_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


def told_crash(error: Exception, call: Invocation, arguments: Sequence[str]) -> list[str]:
    """Lines on an error that is none of ours to tell: plain words, or where a report lies.

    Parameters
    ----------
    error : Exception
    call : Invocation
    arguments : sequence of str
        The command line, the program first.
    """
    words = plain_words(error)
    if words:
        return words
    said = masked(f"{type(error).__name__}: {error}")
    head = f"evolve met an error of its own: {said.splitlines()[0]}"
    text = report_text(error, arguments)
    for folder in _folders(call):
        path = _written(folder, text)
        if path is not None:
            return [head, f"  at   {path}  (a report, passwords left out)",
                    f"  mend send that file to {ISSUES}; what is finished is kept"]  # fmt: skip
    return [head, f"  mend run it again with --debug, and send what it shows to {ISSUES}"]


def plain_words(error: Exception) -> list[str]:
    """What and mend of errors that the machine makes, not the program; empty for others."""
    from evolve.errors import MAKE_ROOM

    if isinstance(error, MemoryError):
        return ["memory ran out", "  mend take a smaller --set batch_size, fewer --workers, or "
                "end other programs; what is finished is kept"]  # fmt: skip
    if isinstance(error, RecursionError):
        return ["something is nested too deeply",
                "  mend look for an endless or very deep nesting "
                "in the files that were given; --debug shows where"]  # fmt: skip
    if not isinstance(error, OSError):
        return []
    place = [f"  at   {error.filename}"] if error.filename else []
    if error.errno in _FULL:
        return ["there is no space left to write to", *place, f"  mend {MAKE_ROOM}"]
    if isinstance(error, PermissionError):
        return ["it is not allowed to read or write this", *place,
                "  mend change the permissions, or give another folder"]  # fmt: skip
    return []


def report_text(error: Exception, arguments: Sequence[str]) -> str:
    """The report of an error: what ran, on what, where it failed, and the last log lines."""
    called = " ".join(["evolve", *map(shlex.quote, without_secrets(arguments[1:]))])
    lines = [
        f"evolve crash report, {datetime.now().astimezone().isoformat(timespec='seconds')}",
        "",
        f"command     {called}",
        f"platform    {platform.platform()}, {os.cpu_count()} CPUs",
        f"python      {sys.version.split()[0]}",
        *(f"{name:<12}{_version(name)}" for name in PACKAGES),
        "",
        "".join(traceback.format_exception(error)).rstrip(),
        "",
        "last log lines",
        *(last_lines() or ["none"]),
    ]
    return masked("\n".join(lines)) + "\n"


def without_secrets(arguments: Sequence[str]) -> list[str]:
    """Arguments with '***' for the values of options that may be secret."""
    kept: list[str] = []
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        if kept and kept[-1] in SECRET:
            kept.append("***")
        else:
            kept.append(f"{name}=***" if equals and name in SECRET else argument)
    return kept


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _folders(call: Invocation) -> list[Path]:
    """Where a report is tried to be written, the best place first."""
    run = [call.folder] if call.folder is not None and call.folder.is_dir() else []
    return [*run, Path.cwd(), Path(tempfile.gettempdir())]


def _written(folder: Path, text: str) -> Path | None:
    """A new file with the report; None where none can be written."""
    time = datetime.now().strftime("%Y%m%d-%H%M%S")
    for number in range(1, 100):
        path = folder / f"evolve-crash-{time}{'' if number == 1 else f'-{number}'}.txt"
        try:
            with path.open("x", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
        except FileExistsError:
            continue
        except OSError:
            return None
        return path
    return None
