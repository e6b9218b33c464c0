"""The order in which the files of commands under test are begun."""

from pathlib import Path

LONG = ("test_run", "test_cluster", "test_ablate", "test_limits", "test_watching", "test_real_run")
"""With two processes that take a file each, the longest must not be the last."""


def pytest_collection_modifyitems(items):
    """Begin the long files first; the others stay as they are."""
    here = [item for item in items if Path(__file__).parent in item.path.parents]
    ranks = {name: place for place, name in enumerate(LONG)}
    here.sort(key=lambda item: ranks.get(item.path.stem, len(LONG)))
    others = [item for item in items if Path(__file__).parent not in item.path.parents]
    items[:] = others + here
