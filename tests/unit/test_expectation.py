"""What differences a table will find."""

import pandas as pd
import pytest

from evolve import expectation as module
from evolve.expectation import GUESSED_SD, Scatter, expectation, scatter_of
from evolve.store.comparison import FINAL, ComparisonRecord, PlanRecord, RowRecord
from evolve.store.folder import RunFolder


def record(values, objective="AP"):
    rows = tuple(RowRecord(key, key, {}, tuple(f"{key}{i}" for i in range(len(own))))
                 for key, own in values.items())  # fmt: skip
    lines = [
        {"row": key, "seed_index": i, "state": "COMPLETE", "value_test": value}
        for key, own in values.items()
        for i, value in enumerate(own)
    ]
    return ComparisonRecord(
        PlanRecord(FINAL, "t", objective, "test", (1, 2, 3), rows), pd.DataFrame(lines)
    )


@pytest.fixture
def stored(monkeypatch):
    """Runs by their names, each with one comparison."""
    found = {}
    monkeypatch.setattr(module, "begun", lambda _: [FINAL])
    monkeypatch.setattr(module, "read_comparison", lambda path, _: found[path.name])
    return found


def test_scatter_is_pooled_over_rows_and_runs(stored, tmp_path):
    stored["one"] = record({"base": [0.3, 0.3, 0.3], "a": [0.31, 0.33, 0.32]})  # sd 0.01, 2 df
    stored["two"] = record({"base": [0.3, 0.3], "a": [0.30, 0.34]})  # variance 0.0008, 1 df
    runs = [RunFolder(tmp_path / name) for name in stored]
    found = scatter_of(runs, "AP")
    assert found.sd == pytest.approx(((2 * 0.01**2 + 0.0008) / 3) ** 0.5)
    assert found.source == "as in one, two"


def test_other_metrics_and_single_seeds_tell_nothing(stored, tmp_path):
    stored["one"] = record({"base": [0.3, 0.3], "a": [0.3, 0.4]}, "AP50")
    stored["two"] = record({"base": [0.3], "a": [0.4]})
    runs = [RunFolder(tmp_path / name) for name in stored]
    assert scatter_of(runs, "AP") == Scatter(GUESSED_SD, "guessed")


def test_more_seeds_find_smaller_differences():
    first, second = expectation(Scatter(0.01, "guessed"), 16, 3, "AP")
    assert first.startswith("finds  differences of 3.8 AP points with 3 seeds in 8 of 10 tables")
    assert "(2.2 with 5; 1.6 with 8)" in first
    assert "1.0 points between seeds, guessed" in second


def test_one_seed_finds_nothing_for_sure():
    (line,) = expectation(Scatter(0.01, "guessed"), 4, 1, "AP")
    assert "one seed" in line
    assert expectation(Scatter(0.0, "as in x"), 4, 3, "AP") == []
