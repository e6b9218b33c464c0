"""Processes that others have started on our behalf, and their end."""

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Collection
from pathlib import Path

GRACE_S = 10.0
KILLED_WITHIN_S = 2.0


def children(parents: Collection[int]) -> set[int]:
    """Processes whose parent is one of `parents`, by their numbers."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):  # it may end meanwhile
            text = stat.read_text(encoding="utf-8", errors="replace")
            # the name may hold anything, brackets too; state and parent come behind it
            if int(text.rpartition(")")[2].split()[1]) in parents:
                found.add(int(stat.parent.name))
    return found


def families(heads: Collection[int]) -> set[int]:
    """Processes with all that descend from them."""
    found, newest = set(heads), set(heads)
    while newest:
        newest = children(newest) - found
        found |= newest
    return found


def end_with(stop: Callable[[], None], heads: Collection[int], grace_s: float = GRACE_S) -> None:
    """Stop what keeps processes, and come back when they and all their descendants are gone.

    Parameters
    ----------
    stop : callable
        Tells them to end.
    heads : collection of int
        Processes that it keeps.
    grace_s : float
        What has not ended by then is killed.
    """
    handles = []
    for pid in sorted(families(heads)):
        with contextlib.suppress(OSError):
            handles.append(os.pidfd_open(pid))  # its number may come to be another's
    try:
        stop()
    finally:
        deadline = time.monotonic() + grace_s
        for handle in handles:
            if not _ends(handle, deadline - time.monotonic()):
                with contextlib.suppress(OSError):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                _ends(handle, KILLED_WITHIN_S)
            os.close(handle)


def _ends(handle: int, within_s: float) -> bool:
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(max(0.0, 1000 * within_s)))
