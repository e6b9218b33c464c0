"""What every wait and every duration asks for the time, so that tests can bring their own."""

import time
from typing import Protocol


class Clock(Protocol):
    """Seconds that only grow, from an origin of its own."""

    def now(self) -> float:
        """Seconds since some moment."""


class SystemClock:
    """The machine's monotonic clock: setting the date does not move it."""

    def now(self) -> float:
        """As in `Clock`."""
        return time.monotonic()
