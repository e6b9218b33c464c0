import pandas as pd
import pytest

from evolve.analysis.ancestry import ancestry

ROWS = [  # number, origin, parents, state, value
    (0, "default", (), "COMPLETE", 0.30),
    (1, "start", (), "COMPLETE", 0.35),
    (2, "start", (), "PRUNED", 0.90),
    (3, "crossover", (0, 1), "COMPLETE", 0.40),
    (5, "mutation", (2,), "COMPLETE", 0.38),
    (6, "crossover", (3, 5, 3), "COMPLETE", 0.45),
    (7, "mutation", (9, 7, 4, 6), "COMPLETE", 0.50),  # younger, itself, unknown: left out
    (9, "immigrant", (), "FAIL", float("nan")),
]
TRIALS = pd.DataFrame(ROWS, columns=["number", "origin", "parents", "state", "value"])


def test_ancestors_stand_by_steps_back_and_the_line_takes_the_best_parent():
    found = ancestry(TRIALS, 7)
    frame = found.frame
    assert frame["number"].tolist() == [7, 6, 3, 5, 0, 1, 2]
    assert frame["generation"].tolist() == [0, 1, 2, 2, 3, 3, 3]
    assert frame["parents"].tolist()[:2] == [(6,), (3, 5)]
    assert found.line == (7, 6, 3, 1)  # 0.9 of a pruned trial is below that of a complete one
    assert frame.loc[frame["on_line"], "number"].tolist() == [7, 6, 3, 1]
    assert found.more == 0


def test_of_many_ancestors_the_line_and_the_nearest_are_kept():
    found = ancestry(TRIALS, 7, most=5)
    assert found.frame["number"].tolist() == [7, 6, 3, 5, 1]
    assert found.more == 2


def test_a_trial_without_parents_stands_alone():
    found = ancestry(TRIALS, 9)
    assert (found.frame["number"].tolist(), found.line, found.more) == ([9], (9,), 0)


def test_a_long_descent_is_cut():
    count = 5000
    rows = [(n, "x", (n - 1,) if n else (), "COMPLETE", 0.1) for n in range(count)]
    found = ancestry(pd.DataFrame(rows, columns=TRIALS.columns), count - 1)
    assert len(found.line) == 20
    assert len(found.frame) == 40
    assert found.more == count - 40


@pytest.mark.parametrize("number", [6, 7])
def test_no_parent_is_named_twice(number):
    parents = ancestry(TRIALS, number).frame["parents"]
    assert all(len(set(own)) == len(own) for own in parents)
