"""What the driver of a run did, in order: the one thing that results alone do not tell.

A scheduler's decisions depend on the order in which results came in, and a budget on how long the
run has been at work. So every event is a line of ``journal.jsonl``, written when it happens. Times
are seconds of work, sessions added up, by a clock that no change of the date moves.
"""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, AnyStr, Literal, TextIO, cast, get_args

from evolve.clock import Clock, SystemClock
from evolve.errors import MAKE_ROOM, WriteError
from evolve.store.bulk import no_garbage

Kind = Literal["session", "begin", "epoch", "leave", "end", "moved", "retry", "close", "open"]

Why = Literal["paused", "interrupted", "stopped"]
"""Why a training left before its end: its scheduler paused it, somebody asked all trainings to
stop, or the run stopped because of a failure."""

LONGEST_S = 1e12

_BATCH = 1000  # lines parsed by one call: a call for each takes four times as long


class Journal:
    """Journal of one director; what stands in the file is read first.

    Parameters
    ----------
    path : Path
        Made with the first event.
    clock : Clock, optional

    Attributes
    ----------
    earlier : list of dict
        Events of earlier sessions, each with `event` and `at`; a torn last line is left out.
        Who has read them may drop them.
    """

    def __init__(self, path: Path, clock: Clock | None = None) -> None:
        self.path = path
        self._clock = clock or SystemClock()
        self.earlier = list(read_journal(path))
        self._before = max((event["at"] for event in self.earlier), default=0.0)
        self._began = self._clock.now()
        self._file: TextIO | None = None

    def now(self) -> float:
        """Seconds of work so far, those of earlier sessions included."""
        return self._before + self._clock.now() - self._began

    def note(self, event: Kind, number: int | None = None, **more: Any) -> None:
        """Write an event; a kill of the process after the call does not lose it.

        Raises
        ------
        WriteError
            If there is no room, or the folder is gone.
        """
        line = {"event": event, "at": round(self.now(), 3)}
        line |= {} if number is None else {"number": number}
        try:
            if self._file is None:
                self._file = self._open()
            self._file.write(json.dumps(line | more, allow_nan=False) + "\n")
            self._file.flush()
        except OSError as error:
            what = f"the journal cannot be written: {error.strerror}"
            raise WriteError(what, str(self.path), MAKE_ROOM) from error

    def _open(self) -> TextIO:
        """Open the file behind its last whole line."""
        file = self.path.open("a+", encoding="utf-8")
        file.truncate(whole_lines(self.path))
        return file

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


class JournalTail:
    """Reads what has come to a journal since the last time.

    Parameters
    ----------
    path : Path
        It need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0

    def new(self) -> tuple[list[dict[str, Any]], bool]:
        """Events since the last call, and whether they are all there are: the file is another."""
        try:
            size = self._path.stat().st_size
        except OSError:
            size = 0
        anew = size < self._read
        if anew:
            self._read = 0
        if size == self._read:
            return [], anew
        found = []
        with self._path.open("rb") as file, no_garbage():
            file.seek(self._read)
            for lines in _batches(file):
                events = _events([line.decode("utf-8", errors="replace") for line in lines])
                found += events
                self._read += sum(len(line) for line in lines[: len(events)])
                if len(events) < len(lines):  # torn, or being written
                    break
        return found, anew


def read_journal(path: Path) -> Iterator[dict[str, Any]]:
    """Events of a journal in order, up to the first line that is none."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for lines in _batches(file):
            events = _events(lines)
            yield from events
            if len(events) < len(lines):
                return


def why_left(event: Mapping[str, Any], said: str) -> Why:
    """Why a training left, from its `leave`.

    Parameters
    ----------
    event : mapping
    said : str
        What was said of its last epoch before. Journals that were begun before reasons were
        written down have no other sign.
    """
    why = event.get("why")
    if why in get_args(Why):
        return cast("Why", why)
    return "paused" if said == "pause" else "interrupted"


def whole_lines(path: Path) -> int:
    """Bytes of a journal up to the first line that is no event."""
    size = 0
    with path.open("rb") as file:
        for line in file:
            if _event(line.decode("utf-8", errors="replace")) is None:
                break
            size += len(line)
    return size


def _batches(file: Iterable[AnyStr]) -> Iterator[list[AnyStr]]:
    lines = iter(file)
    while batch := list(itertools.islice(lines, _BATCH)):
        yield batch


def _events(lines: Sequence[str]) -> list[dict[str, Any]]:
    """Events of lines up to the first that is none; parsed together if all are whole."""
    found: list[dict[str, Any]]
    try:
        found = json.loads(f"[{','.join(lines)}]")
    except (ValueError, RecursionError):
        found = []
    if len(found) == len(lines) and lines[-1].endswith("\n") and all(map(_is_event, found)):
        return found
    events = []
    for line in lines:
        event = _event(line)
        if event is None:
            break
        events.append(event)
    return events


def _event(line: str) -> dict[str, Any] | None:
    if not line.endswith("\n"):
        return None
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return event if _is_event(event) else None


def _is_event(found: Any) -> bool:
    known = isinstance(found, dict) and isinstance(found.get("event"), str)
    return known and isinstance(found.get("number", 0), int) and _is_time(found.get("at"))


def _is_time(seconds: Any) -> bool:
    return isinstance(seconds, int | float) and 0 <= seconds < LONGEST_S
