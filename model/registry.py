"""Named choices: a typed registry that refuses doubles and helps with misspellings."""

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from model.errors import ConfigurationError, nearest

T = TypeVar("T")


class Registry(Generic[T]):
    """Names of one kind of thing, such as activations or models.

    Parameters
    ----------
    kind : str
        Singular noun for messages.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Give a decorator that files the decorated thing under `name`."""

        def file(entry: T) -> T:
            if name in self._entries:
                raise ValueError(f"{self.kind} '{name}' is registered twice")
            self._entries[name] = entry
            return entry

        return file

    def get(self, name: str) -> T:
        """Look `name` up; a ConfigurationError lists the known names and the nearest."""
        if name not in self._entries:
            raise ConfigurationError(
                f"no such {self.kind}: '{name}'", self.kind, nearest(name, self._entries)
            )
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._entries))

    def __contains__(self, name: object) -> bool:
        return name in self._entries
