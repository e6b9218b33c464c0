"""Log lines: what of them reaches stderr, and the last of them for a report of a fault of ours."""

import logging
from collections import deque

OURS = ("evolve", "model", "reports")
FORMAT = "%(levelname)s %(name)s %(message)s"
KEPT = 60


class _LastLines(logging.Handler):
    """Keeps the last log lines."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: deque[str] = deque(maxlen=KEPT)
        self.setFormatter(logging.Formatter(f"%(asctime)s {FORMAT}"))

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record's line."""
        self.lines.append(self.format(record))


_kept = _LastLines()
_shown_from = [logging.WARNING]


def set_up_logs(*, verbose: bool, debug: bool) -> None:
    """Let log lines reach stderr: all of them, ours that tell what happens, or warnings."""
    level = logging.DEBUG if debug else logging.INFO if verbose else logging.WARNING
    _shown_from[0] = level
    logging.basicConfig(format=FORMAT)
    root = logging.getLogger()
    root.setLevel(logging.DEBUG if debug else logging.WARNING)
    for name in OURS:
        logging.getLogger(name).setLevel(min(level, logging.INFO))
    for handler in root.handlers:
        if handler is not _kept:
            handler.setLevel(level)
    if _kept not in root.handlers:
        root.addHandler(_kept)


def shows_logs() -> bool:
    """Whether more than warnings reach stderr."""
    return _shown_from[0] < logging.WARNING


def last_lines() -> list[str]:
    """The last log lines, shown or not."""
    return list(_kept.lines)
