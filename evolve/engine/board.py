"""TensorBoard's events of a trial, which are an extra: without them the trial goes on."""

import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tensorboardX.event_file_writer import EventsWriter

logger = logging.getLogger(__name__)

FLUSH_EVERY_S = 20.0


class Board:
    """Writes the metrics of a trial as TensorBoard events, as long as that works.

    The first thing that fails, a full disk or a broken writer, is told in the trial's log, and
    nothing more is written. tensorboardX's `SummaryWriter` is not used: its thread dies of a full
    disk, and then `add_scalar` waits for ever on the thread's queue.

    Parameters
    ----------
    folder : Path
        Of the trial; events of an earlier session are replaced.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: EventsWriter | None = None
        self._broken = False
        self._flushed = -math.inf
        self._attempt(self._open)

    def _open(self) -> None:
        from tensorboardX.event_file_writer import EventsWriter  # which imports torch

        for old in self._folder.glob("events.out.tfevents.*"):
            old.unlink()
        self._writer = EventsWriter(str(self._folder / "events"))

    def draw(self, row: dict[str, Any]) -> None:
        """Write the finite metrics of an epoch."""
        self._attempt(lambda: self._write(row))

    def _write(self, row: dict[str, Any]) -> None:
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import scalar

        assert self._writer is not None
        for name, value in row["metrics"].items():
            if math.isfinite(value):
                summary = scalar(name, value)
                event = Event(step=row["epoch"], wall_time=row["time"], summary=summary)
                self._writer.write_event(event)
        if time.monotonic() - self._flushed > FLUSH_EVERY_S:
            self._writer.flush()
            self._flushed = time.monotonic()

    def close(self) -> None:
        """Write what is left."""
        writer, self._writer = self._writer, None
        if writer is not None:
            self._attempt(writer.close)
        self._broken = True

    def _attempt(self, action: Callable[[], object]) -> None:
        if self._broken:
            return
        try:
            action()
        except Exception as error:
            self._broken = True
            reason = f"{type(error).__name__}: {error}"
            logger.warning("no more TensorBoard events of this trial: %s", reason)
