"""Reading a run of 10,000 trials over 14 parameters: its status, its frames, its report.

Run with ``pytest tests/bench/bench_large_run.py --benchmark-only``.
"""

import pytest

from evolve.findings import find
from evolve.space import find_space_file, load_space
from evolve.store.read import read_run
from evolve.store.status import StatusReader
from evolve.testing.large_run import make_large_run
from reports.render import render_report

TRIALS = 10_000


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    space = load_space(find_space_file("ga.yaml"))
    return make_large_run(tmp_path_factory.mktemp("large") / "run", space, TRIALS).path


@pytest.mark.timeout(600)
def test_status(benchmark, path):
    """A first look; compare with `evolve status`, which starts Python too."""
    status = benchmark.pedantic(lambda: StatusReader(path).read(), rounds=3)
    assert sum(status.states.values()) == TRIALS


@pytest.mark.timeout(600)
def test_status_again(benchmark, path):
    """A later look of `--watch`."""
    reader = StatusReader(path)
    reader.read()
    benchmark.pedantic(reader.read, rounds=3)


@pytest.mark.timeout(600)
def test_read_run(benchmark, path):
    """Frames of trials and epochs."""
    run = benchmark.pedantic(lambda: read_run(path), rounds=3)
    assert len(run.trials) == TRIALS


@pytest.mark.timeout(600)
def test_findings(benchmark, path):
    """Importances and the path, which are stored: a report finds them there from then on."""
    run = read_run(path)
    (path / "findings.json").unlink(missing_ok=True)
    benchmark.pedantic(lambda: find(path, run=run), rounds=1)


@pytest.mark.timeout(600)
def test_report(benchmark, path, tmp_path):
    """The page and its figures, with the findings there."""
    run, found = read_run(path), find(path)
    benchmark.pedantic(lambda: render_report(run, tmp_path / "report", found), rounds=1)
    assert (tmp_path / "report" / "index.html").stat().st_size < 8e6
