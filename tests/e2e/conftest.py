"""The order in which the files of commands under test are begun, and what they share."""

import os
from pathlib import Path

import pytest

# Ray's trials would otherwise get what the other tests leave of the processors: almost nothing
os.environ.setdefault("RAY_worker_niceness", "0")

LONG = ("test_run", "test_cluster", "test_ablate", "test_limits", "test_watching", "test_real_run")
"""With two processes that take a file each, the longest must not be the last."""


def pytest_collection_modifyitems(items):
    """Begin the long files first; the others stay as they are."""
    here = [item for item in items if Path(__file__).parent in item.path.parents]
    ranks = {name: place for place, name in enumerate(LONG)}
    here.sort(key=lambda item: ranks.get(item.path.stem, len(LONG)))
    others = [item for item in items if Path(__file__).parent not in item.path.parents]
    items[:] = others + here


@pytest.fixture
def refused(work, monkeypatch, capsys):
    """Run a command in this process, for speed: what it says when it refuses its input."""
    from evolve.cli.main import main

    def refuse(*arguments):
        monkeypatch.chdir(work)
        with pytest.raises(SystemExit) as left:
            main(list(arguments))
        error = capsys.readouterr().err
        assert left.value.code == 2, error
        assert "Traceback" not in error
        return error

    return refuse
