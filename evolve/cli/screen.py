"""What stands between us and a terminal: no text gets through that could command it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO, cast

from evolve.cli.logs import shows_logs
from model.harmless import printable

if TYPE_CHECKING:
    from rich.console import Console


class Screen:
    """A text stream that writes '?' for control characters of outside text.

    Names of files and classes, and all that is read from a file, may hold escape codes. All that
    the command prints passes here, so none of them reaches the terminal; our own colours and the
    live display go around it, see `unfiltered`.

    Parameters
    ----------
    stream : TextIO
        Where it is written to.
    """

    buffer = None  # or click writes past us where the encoding is ASCII

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.encoding = stream, stream.encoding or "ascii"

    def write(self, text: str) -> int:
        """Write text without what could command a terminal."""
        if not isinstance(text, str):  # click asks so whether a stream is one of bytes
            raise TypeError("a text stream takes text")
        shown = printable(text, keep="\n\t")
        try:
            self.stream.write(shown)
        except UnicodeEncodeError:  # a stream of few characters
            self.stream.write(shown.encode(self.encoding, "replace").decode(self.encoding))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def unfiltered(stream: TextIO) -> TextIO:
    """The stream behind a `Screen`, for text that holds nothing but our own codes."""
    return cast(TextIO, getattr(stream, "stream", stream))


@contextmanager
def screened() -> Iterator[None]:
    """Let what is written to stdout and stderr pass through a `Screen`."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast(TextIO, Screen(stream)) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


# -- colours ---------------------------------------------------------------------------------


def has_colours(stream: TextIO) -> bool:
    """Whether colours are wanted on a stream, by its kind and the environment.

    ``NO_COLOR`` switches them off, ``FORCE_COLOR`` or ``CLICOLOR_FORCE`` on even in a pipe;
    ``CLICOLOR=0`` and ``TERM=dumb`` switch them off on a terminal (no-color.org, bixense.com).
    """
    asked = asked_colours()
    if asked is not None:
        return asked
    plain = os.environ.get("CLICOLOR") == "0" or os.environ.get("TERM") == "dumb"
    return stream.isatty() and not plain


def asked_colours() -> bool | None:
    """What the environment says of colours whatever the stream is; None if nothing."""
    if os.environ.get("NO_COLOR"):
        return False
    forced = (os.environ.get(name, "") for name in ("FORCE_COLOR", "CLICOLOR_FORCE"))
    return True if any(value not in ("", "0") for value in forced) else None


def draws_live(stream: TextIO | None = None) -> bool:
    """Whether progress may be drawn anew in place: on a terminal that no log is written to."""
    stream = sys.stderr if stream is None else stream
    return stream.isatty() and os.environ.get("TERM") != "dumb" and not shows_logs()


def console(stream: TextIO | None = None) -> "Console":
    """A console of rich, on stderr if nothing else is said, with colours where they are wanted."""
    from rich.console import Console

    stream = sys.stderr if stream is None else stream
    return Console(file=unfiltered(stream), no_color=not has_colours(stream))
