"""What took long to compute from stored results, kept beside them.

The file may be deleted at any time: all in it follows from the store.
"""

import hashlib
import json
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from evolve.store.folder import write_json

logger = logging.getLogger(__name__)

FORMAT = 1


class Cache:
    """Named results in a JSON file, each with a hash of all that it depends on.

    Parameters
    ----------
    path : Path
        Of the file. One that is missing, torn, or of another format counts as empty.
    keeps : bool
        Whether `write` keeps what was not asked for.
    """

    def __init__(self, path: Path, *, keeps: bool = False) -> None:
        self._path = path
        self._keeps = keeps
        self._stored = _read(path)
        self._used: dict[str, Any] = {}

    def get(self, name: str, depends: Any, compute: Callable[[], Any]) -> Any:
        """The stored result if it depends on the same, else a new one.

        Parameters
        ----------
        name : str
        depends : JSON types
        compute : callable
            Gives JSON types, see `plain`; or None, which is not stored.
        """
        key = hashlib.sha256(json.dumps(plain(depends), sort_keys=True).encode()).hexdigest()[:20]
        entry = self._stored.get(name)
        if not isinstance(entry, dict) or entry.get("key") != key:
            value = compute()
            if value is None:
                return None
            # a new result and a stored one are the same to the last bit and type
            entry = {"key": key, "value": json.loads(json.dumps(value, allow_nan=False))}
        self._used[name] = entry
        return entry["value"]

    def write(self) -> None:
        """Store what was asked for, and forget the rest; a folder that is read-only stays so."""
        results = {**self._stored, **self._used} if self._keeps else dict(self._used)
        if results == self._stored:
            return
        try:
            write_json(self._path, {"format": FORMAT, "results": results})
            self._stored = results
        except OSError as error:
            logger.info("findings are not kept: %s", error)


def _read(path: Path) -> dict[str, Any]:
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        results = tree["results"] if tree["format"] == FORMAT else {}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}
    return results if isinstance(results, dict) else {}


def plain(tree: Any) -> Any:
    """Copy of JSON types in which numbers that JSON lacks are text that `float` reads."""
    if isinstance(tree, dict):
        return {str(key): plain(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [plain(value) for value in tree]
    return str(tree) if isinstance(tree, float) and not math.isfinite(tree) else tree
