"""Paths as they are told to users."""

from pathlib import Path

from model.harmless import printable


def shown_path(path: Path) -> str:
    """`path` as a user would type it from here."""
    absolute, here = path.absolute(), Path.cwd()
    path = absolute.relative_to(here) if absolute.is_relative_to(here) else absolute
    return printable(str(path))
