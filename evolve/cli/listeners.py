"""Several that watch one run: one that counts, and others that must never harm it."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evolve.engine.director import Listener, Phase


class Listeners:
    """A listener that tells others: first `main`, whose errors are the run's, then the rest.

    Parameters
    ----------
    main : Listener
    rest : sequence of Listener
        One that raises is told of and left out from then on.
    warn : callable
        Takes one line.
    """

    def __init__(
        self, main: "Listener", rest: "Sequence[Listener]", warn: Callable[[str], object]
    ) -> None:
        self._main, self._rest, self._warn = main, list(rest), warn

    def on_begin(self, manifest: dict[str, Any]) -> None:
        """See `Listener`."""
        self._tell("on_begin", manifest)

    def on_phase(self, phase: "Phase") -> None:
        """See `Listener`."""
        self._tell("on_phase", phase)

    def on_start(self, number: int, params: dict[str, Any], done: int, epochs: int) -> None:
        """See `Listener`."""
        self._tell("on_start", number, params, done, epochs)

    def on_epoch(self, number: int, row: dict[str, Any]) -> None:
        """See `Listener`."""
        self._tell("on_epoch", number, row)

    def on_pause(self, number: int) -> None:
        """See `Listener`."""
        self._tell("on_pause", number)

    def on_retry(self, number: int, reason: str, remedy: str) -> None:
        """See `Listener`."""
        self._tell("on_retry", number, reason, remedy)

    def on_end(self, number: int, state: str, value: float | None, reason: str) -> None:
        """See `Listener`."""
        self._tell("on_end", number, state, value, reason)

    def _tell(self, event: str, *about: Any) -> None:
        getattr(self._main, event)(*about)
        for one in tuple(self._rest):
            try:
                getattr(one, event)(*about)
            except Exception as error:  # whatever it is, the run is worth more
                self._rest.remove(one)
                reason = f"{type(error).__name__}: {error}"
                self._warn(f"{type(one).__name__} is told no more: {reason}")
