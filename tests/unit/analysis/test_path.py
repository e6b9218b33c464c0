import math

import numpy as np
import pytest

from evolve.analysis.path import find_path, path_frame, path_rows

GAINS = {"lr": 3.0, "momentum": 0.0, "wd": 1.0}


def predict(configs):
    """Each parameter adds its gain when it is 1."""
    return [sum(GAINS.get(name, 0.5) * value for name, value in c.items()) for c in configs]


def names(steps):
    return [step.parameters for step in steps]


def test_the_best_switch_comes_first():
    steps = find_path(
        {"momentum": 0, "wd": 0, "lr": 0}, {"momentum": 1, "wd": 1, "lr": 1}, predict
    )
    assert names(steps) == [("lr",), ("wd",), ("momentum",)]
    assert [step.predicted for step in steps] == [3.0, 4.0, 4.0]
    assert [step.gain for step in steps] == [3.0, 1.0, 0.0]
    assert all(math.isnan(step.gain_sd) for step in steps)
    assert steps[0].title == "lr (0 -> 1)"
    assert steps[-1].config == {"momentum": 1, "wd": 1, "lr": 1}


def test_a_gain_is_counted_after_the_steps_before():
    def product(configs):
        return [c["a"] * c["b"] for c in configs]

    steps = find_path({"a": 1, "b": 1}, {"a": 3, "b": 4}, product)
    assert [(s.parameters, s.gain) for s in steps] == [(("b",), 3), (("a",), 8)]


def test_equal_parameters_are_no_step():
    assert names(find_path({"lr": 0, "wd": 1}, {"lr": 1, "wd": 1}, predict)) == [("lr",)]
    assert find_path({"lr": 0}, {"lr": 0}, predict) == []


def test_a_child_is_switched_with_its_parent():
    default = {"loss": 0, "lr": 0}
    evolved = {"loss": 1, "gamma": 1, "alpha": 1, "lr": 1}
    conditions = {"gamma": {"loss": (1,)}, "alpha": {"gamma": (1,)}}
    steps = find_path(default, evolved, predict, conditions=conditions)
    assert names(steps) == [("lr",), ("loss", "gamma", "alpha")]
    assert steps[1].old == {"loss": 0}
    assert steps[1].new == {"loss": 1, "gamma": 1, "alpha": 1}
    assert steps[1].title == "loss (0 -> 1), gamma (off -> 1), alpha (off -> 1)"


def test_a_child_that_vanishes_is_taken_away():
    steps = find_path({"a": 1, "b": 1}, {"a": 0}, predict, conditions={"b": ["a"]})
    assert steps[0].config == {"a": 0}
    assert steps[0].new == {"a": 0}


def test_a_child_is_free_where_its_parent_stays():
    conditions = {"lr": ["opt"]}
    steps = find_path({"opt": 1, "lr": 0}, {"opt": 1, "lr": 1}, predict, conditions=conditions)
    assert names(steps) == [("lr",)]


def test_what_may_not_be_trained_is_joined_with_the_fewest_others():
    default, evolved = dict.fromkeys("abcd", 0), dict.fromkeys("abcd", 1)

    def together(c):
        return c["a"] == c["b"] and c["c"] == c["d"]

    steps = find_path(default, evolved, predict, ok=together)
    assert names(steps) == [("a", "b"), ("c", "d")]
    assert all(together(step.config) for step in steps)


def test_more_than_two_are_joined_in_the_order_of_their_gains():
    default, evolved = (
        dict.fromkeys(["x", "lr", "wd", "y"], 0),
        dict.fromkeys(["x", "lr", "wd", "y"], 1),
    )
    steps = find_path(default, evolved, predict, ok=lambda c: sum(c.values()) in (0, 3, 4))
    assert names(steps) == [("lr", "wd", "x"), ("y",)]


def test_an_end_that_may_not_be_trained_is_reached_all_the_same():
    steps = find_path({"lr": 0, "wd": 0}, {"lr": 1, "wd": 1}, predict, ok=lambda _: False)
    assert names(steps) == [("lr", "wd")]


def test_the_spread_of_a_gain_comes_from_the_covariance():
    def covariance(configs):
        assert len(configs) == 3
        return np.array([[4.0, 3.0, 0.0], [3.0, 4.0, 4.0], [0.0, 4.0, 4.0]])

    steps = find_path({"lr": 0, "wd": 0}, {"lr": 1, "wd": 1}, predict, covariance=covariance)
    assert [s.gain_sd for s in steps] == pytest.approx([math.sqrt(2), 0])


def test_rows_to_train_are_the_configurations_after_each_step():
    steps = find_path({"lr": 0, "wd": 0}, {"lr": 1, "wd": 1}, predict)
    assert path_rows(steps) == [
        ("lr (0 -> 1)", {"wd": 0, "lr": 1}),
        ("wd (0 -> 1)", {"lr": 1, "wd": 1}),
    ]


def test_the_frame_has_a_line_for_each_parameter():
    steps = find_path({"a": 1}, {"a": 0, "b": 1, "lr": 1}, predict, conditions={"b": ["a"]})
    frame = path_frame(steps)
    assert frame["parameter"].tolist() == ["lr", "a", "b"]
    assert frame.index.tolist() == [1, 2, 2]
    assert frame["gain"].tolist() == [3.0, 0.0, 0.0]
    assert frame.loc[1, "to"] == 1
    assert path_frame([]).empty
