"""Interactions: shares by hand, and what chance gives."""

import math

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import create_trial

from evolve.analysis.fanova import Fanova, _Leaves
from evolve.analysis.interactions import GRID, measure_interactions, steps

UNIT = FloatDistribution(0.0, 1.0)
SPACE = {
    "lr": FloatDistribution(1e-4, 1e-1, log=True),
    "x": UNIT,
    "kind": CategoricalDistribution(["a", "b", "c"]),
    "y": UNIT,
}


def made_up(count, value, seed=0):
    rng = np.random.default_rng(seed)
    trials = []
    for _ in range(count):
        params = {
            "lr": 10 ** rng.uniform(-4, -1), "x": rng.random(),
            "kind": "abc"[rng.integers(3)], "y": rng.random(),
        }  # fmt: skip
        noise = 0.02 * rng.standard_normal()
        trials.append(
            create_trial(params=params, distributions=SPACE, value=value(params) + noise)
        )
    return trials


def ridge(params):
    """What lr is best depends on x."""
    return -((math.log10(params["lr"]) + 4 - 3 * params["x"]) ** 2) + 0.3 * params["y"]


@pytest.fixture(scope="module")
def found():
    return measure_interactions(made_up(60, ridge), resamples=6)


def test_the_pair_that_interacts_is_first_and_alone_above_chance(found):
    first = found.frame.iloc[0]
    assert (first["first"], first["second"]) == ("lr", "x")
    assert found.above_chance[["first", "second"]].to_numpy().tolist() == [["lr", "x"]]
    assert (found.frame["low"] <= found.frame["share"]).all()
    assert (found.frame["share"] <= found.frame["high"]).all()
    assert found.frame["share"].sum() + sum(found.main.values()) <= 1 + 1e-9
    assert (found.trials, found.of, found.reason) == (60, 60, "")


def test_its_surface_is_high_along_the_ridge(found):
    (surface,) = found.surfaces
    assert surface.values.shape == (GRID, GRID)
    along = np.diag(surface.values).mean()  # x grows with the exponent of lr
    across = np.diag(surface.values[::-1]).mean()
    assert along > across + 0.1


def test_what_only_adds_up_is_not_above_chance():
    def added(params):
        return 2 * params["x"] + params["y"] - (math.log10(params["lr"]) + 2) ** 2

    assert measure_interactions(made_up(50, added), resamples=12).above_chance.empty


@pytest.mark.parametrize(
    ("trials", "why"),
    [
        (made_up(5, ridge), "it takes 20 complete trials, and there are 5"),
        (
            [create_trial(params={"x": 0.01 * n}, distributions={"x": UNIT}, value=0.1 * n)
             for n in range(20)],
            "it takes two parameters",
        ),
        (
            [create_trial(params={"x": 0.01 * n}, distributions={"x": UNIT}, value=0.1)
             for n in range(20)],
            "all complete trials have the same value",
        ),
    ],
)  # fmt: skip
def test_too_little_is_told(trials, why):
    found = measure_interactions(trials)
    assert why in found.reason
    assert found.frame.empty


def test_pairs_are_what_two_explain_beyond_each_alone():
    trials = made_up(40, ridge)
    forest = Fanova(trials, SPACE)
    values = np.array([trial.value for trial in trials])
    for one in forest._grow(np.arange(40), values, 3, 0).estimators_:
        leaves = _Leaves(one.tree_, forest._low, forest._width)
        pairs = leaves.explained_pairs(forest._of)
        alone = [leaves.explained(own) for own in forest._of]
        assert np.diag(pairs) == pytest.approx(alone, abs=1e-12)
        for i in range(4):
            for j in range(i):
                both = np.concatenate([forest._of[i], forest._of[j]])
                expected = leaves.explained(both) - alone[i] - alone[j]
                assert [pairs[i, j], pairs[j, i]] == pytest.approx([expected] * 2, abs=1e-12)


def test_marginals_are_means_over_the_space():
    trials = made_up(40, ridge)
    forest = Fanova(trials, {"x": UNIT, "y": UNIT})
    rows, values = np.arange(40), np.array([trial.value for trial in trials])
    marginals = forest.marginals(rows, values, 4, 0)
    grown = forest._grow(rows, values, 4, 0)
    ys = (np.arange(4000) + 0.5) / 4000
    for x in (0.1, 0.6):
        points = np.column_stack([np.full(4000, x), ys])
        at = marginals.at([0], [np.array([[x]])])
        assert at == pytest.approx([grown.predict(points).mean()], abs=2e-3)
        both = marginals.at([0, 1], [points[::500, :1], points[::500, 1:]])
        assert both == pytest.approx(grown.predict(points[::500]), abs=1e-9)


def test_steps_lie_on_the_scale_of_a_range():
    values = steps(SPACE["lr"])
    assert len(values) == GRID
    assert np.diff(np.log10(values)) == pytest.approx(3 / GRID)
    assert steps(SPACE["kind"]) == ["a", "b", "c"]
