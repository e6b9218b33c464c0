"""An interrupt that loses nothing: every training writes a checkpoint where it is, then all stop.

A cluster that takes a machine back sends SIGTERM and gives some seconds. So trainings are asked to
stop by a file in the run folder, which their processes look for after every update, on whatever
machine they are; the driver waits for them, but not for ever.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

GRACE_S = 20.0  # for checkpoints to be written; then whoever still works is killed
LOOK_EVERY_S = 0.1
INTERRUPTED = 130  # exit code


class Interrupt:
    """Whether a run is to stop.

    Parameters
    ----------
    path : Path
        File that says so while it is there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._asked = False

    def ask(self) -> None:
        """Ask all trainings of the run to stop."""
        self._asked = True
        self.path.touch()

    @property
    def asked(self) -> bool:
        """Whether this process was asked."""
        return self._asked

    def clear(self) -> None:
        """Forget an interrupt of an earlier session."""
        self.path.unlink(missing_ok=True)


class Lookout:
    """Looks for the file of an interrupt, but not too often; for the process of a training."""

    def __init__(self, path: Path) -> None:
        self._path, self._seen, self._next = path, False, 0.0

    def __call__(self) -> bool:
        """Whether the training is to stop."""
        now = time.monotonic()
        if not self._seen and now >= self._next:
            self._seen, self._next = self._path.exists(), now + LOOK_EVERY_S
        return self._seen


_current: list[Interrupt] = []  # the innermost last


@contextmanager
def stoppable(interrupt: Interrupt) -> Iterator[None]:
    """While a run is at work, a signal asks it to stop instead of tearing it down."""
    interrupt.clear()
    _current.append(interrupt)
    try:
        yield
    finally:
        _current.remove(interrupt)
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        interrupt.clear()


@contextmanager
def signals(last_words: Callable[[], object] | None) -> Iterator[None]:
    """Handle SIGINT and SIGTERM: the first asks a run that is at work to stop, others interrupt.

    Only the main thread can; in another all stays as it is.

    Where a cluster has ended Ray's own processes, too, their library can wait for them for a
    minute; then this process ends by itself, as nothing is lost any more.

    Parameters
    ----------
    last_words : callable or None
        Called before that; None where the process is not ours to end, as a notebook's.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def give_up() -> None:
        assert last_words is not None
        last_words()
        os._exit(INTERRUPTED)

    stuck = threading.Timer(GRACE_S + 5.0, give_up)
    stuck.daemon = True

    def on_signal(*_: object) -> None:
        if not _current or _current[-1].asked:
            raise KeyboardInterrupt
        _current[-1].ask()
        signal.setitimer(signal.ITIMER_REAL, GRACE_S)
        if last_words is not None:
            stuck.start()

    kinds = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
    before = {kind: signal.getsignal(kind) for kind in kinds}
    for kind in kinds:
        if before[kind] is not signal.SIG_IGN:  # a background shell's Ctrl-C is not ours
            signal.signal(kind, on_signal)
    try:
        yield
    finally:
        stuck.cancel()
        for kind, handler in before.items():
            signal.signal(kind, handler)
