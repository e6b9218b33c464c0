"""Recorded studies: how trainings were planned, how regressions were fitted, how they replay."""

import copy
import gzip
import json
import math
import pickle

import numpy as np
import pytest
from scipy.stats import spearmanr

from model.config import TrainConfig
from tests.bench.search import fit_recordings
from tests.bench.search.fit_recordings import Data, Fit, left_out
from tests.bench.search.record_detector import FIRST_NEAR, plan
from tests.bench.search.recorded import (
    FOLDER,
    MAIN_SHARPER,
    Kernel,
    Regression,
    axes,
    noise_sd,
    read_rows,
    recorded_problems,
)
from tests.bench.search.recorded_studies import METRIC, STUDIES

PROBLEMS = recorded_problems()
every_problem = pytest.mark.parametrize("problem", PROBLEMS, ids=lambda one: one.name)
every_study = pytest.mark.parametrize("study", STUDIES.values(), ids=lambda one: one.name)


def params_of(problem, seed):
    return problem.study.from_unit(np.random.default_rng(seed).random(len(problem.distributions)))


def test_both_roles_have_studies_and_no_name_comes_twice():
    assert {p.role for p in PROBLEMS} == {"tune", "judge"}
    assert len({p.name for p in PROBLEMS}) == len(PROBLEMS)
    assert {p.family for p in PROBLEMS} == {"recorded"}


@every_problem
def test_defaults_are_inside_and_no_failure(problem):
    assert problem.defaults.keys() == problem.distributions.keys()
    for name, space in problem.distributions.items():
        assert space._contains(space.to_internal_repr(problem.defaults[name]))
    assert 0.1 < problem.truth(problem.study.initial()) < 1


@every_study
def test_parameters_are_settings_of_a_training(study):
    config = TrainConfig().with_values({**study.settings, **study.defaults})
    assert config.optimizer.lr == study.defaults["optimizer.lr"]


@every_study
def test_unit_cube_and_parameters_are_two_names_of_one_point(study):
    for unit in np.random.default_rng(0).random((50, len(study.distributions))):
        params = study.from_unit(unit)
        again = study.from_unit(study.to_unit(params))
        assert again.keys() == params.keys()
        assert [again[n] for n in params] == [pytest.approx(v) for v in params.values()]


@every_problem
def test_equal_arguments_give_equal_results_and_stay_as_they_are(problem):
    again = pickle.loads(pickle.dumps(problem))
    for seed in range(20):
        params = params_of(problem, seed)
        before = copy.deepcopy(params)
        found = [(p.truth(params), p.observe(params, np.random.default_rng(seed)))
                 for p in (problem, problem, again)]  # fmt: skip
        assert repr(found[0]) == repr(found[1]) == repr(found[2])
        assert params == before


@every_problem
def test_one_trial_draws_as_much_as_another(problem):
    """So that what comes later does not depend on whether a trial failed."""
    ends = []
    for seed in range(12):
        rng = np.random.default_rng(5)
        problem.observe(params_of(problem, seed), rng)
        ends.append(rng.random())
    assert len(set(ends)) == 1


@every_problem
def test_recorded_trainings_are_told_apart(problem):
    rows = read_rows(problem.study)
    well = [row for row in rows if METRIC in row]
    told = np.array([problem.truth(row["params"]) for row in well])
    seen = ~np.isnan(told)
    assert seen.mean() > 0.95
    assert spearmanr(np.array([row[METRIC] for row in well])[seen], told[seen])[0] > 0.9
    failed = [math.isnan(problem.truth(row["params"])) for row in rows if METRIC not in row]
    assert np.mean(failed) > 0.8


@every_problem
def test_trainings_that_the_fit_has_not_seen_are_told_apart(problem):
    fitted = json.loads((FOLDER / f"{problem.name}.fit.json").read_text())
    assert fitted["quality"]["trainings"] == len(read_rows(problem.study))
    assert fitted["quality"]["left_out"]["rank"] > 0.7


@every_problem
def test_trials_scatter_about_the_truth_as_repeated_trainings_do(problem):
    params, rng = problem.study.initial(), np.random.default_rng(0)
    values = [problem.observe(params, rng).value for _ in range(600)]
    seen = np.array([v for v in values if v is not None])
    truth = problem.truth(params)
    sd = noise_sd(problem.noise, truth)
    assert len(seen) > 500
    assert seen.mean() == pytest.approx(truth, abs=0.2 * sd)
    assert 0.6 * sd < seen.std() < 1.4 * sd


@every_problem
def test_where_the_truth_is_nothing_every_trial_fails(problem):
    fails = [
        p for p in (params_of(problem, s) for s in range(300)) if math.isnan(problem.truth(p))
    ]
    assert 0.02 < len(fails) / 300 < 0.5
    rng = np.random.default_rng(1)
    assert {problem.observe(params, rng).value for params in fails} == {None}


@every_problem
def test_a_missing_parameter_is_an_error_and_one_that_does_not_exist_says_nothing(problem):
    params = problem.study.initial()
    truth = problem.truth(params)
    assert problem.truth(dict(problem.defaults)) == truth
    with pytest.raises(KeyError, match=r"optimizer\.lr"):
        problem.truth({n: v for n, v in params.items() if n != "optimizer.lr"})


def test_recordings_are_text_of_some_kilobytes():
    names = {file.name for file in FOLDER.iterdir()}
    assert names == {f"{study}.{end}" for study in STUDIES for end in ("jsonl.gz", "fit.json")}
    for file in FOLDER.iterdir():
        content = file.read_bytes()
        assert len(content) < 100_000
        text = gzip.decompress(content) if file.suffix == ".gz" else content
        assert all(json.loads(line) for line in text.decode().splitlines())


# what a regression is


def test_a_regression_of_one_point_is_its_kernel():
    kernel = Kernel(np.array([False, True]), np.array([1.0, 2.0]), 0.0)
    one = Regression(np.array([[0.2, 0.5]]), kernel, np.array([3.0]), 0.25)
    # another category is one apart, however far its number
    assert one.at(np.array([0.2, 0.5])) == pytest.approx(3.25)
    assert one.at(np.array([0.2, 0.9])) == pytest.approx(0.25 + 3 * matern(2.0))


def matern(distance):
    r = math.sqrt(5) * distance
    return (1 + r + r**2 / 3) * math.exp(-r)


def test_own_effects_of_the_axes_add_up():
    unordered, inverse = np.array([False, False]), np.array([1.0, 2.0])
    joint, both = Kernel(unordered, inverse, 0.0), Kernel(unordered, inverse, 0.8)
    a, b = np.array([[0.0, 0.0]]), np.array([[0.5, 0.3]])
    own = (matern(MAIN_SHARPER * 0.5) + matern(MAIN_SHARPER * 0.6)) / 2
    assert float((both(a, b) - joint(a, b))[0, 0]) == pytest.approx(0.8 * own)


def test_steps_add_up_over_the_memory_of_the_momentum():
    study = STUDIES["recorded-bccd160"]
    base = study.initial()
    slow = axes(study, base | {"optimizer.lr": 0.01, "optimizer.momentum": 0.9})
    fast = axes(study, base | {"optimizer.lr": 0.02, "optimizer.momentum": 0.8})
    assert slow[0] == pytest.approx(fast[0])
    assert slow[1] > fast[1]


def test_noise_near_a_value_is_that_of_trainings_repeated_there():
    noise = {"means": [0.1, 0.1, 0.9], "squares": [1e-4, 3e-4, 1.0], "width": 0.1}
    assert noise_sd(noise, 0.1) == pytest.approx(math.sqrt(2e-4), rel=1e-6)
    assert noise_sd(noise, 0.9) == pytest.approx(1.0)
    assert noise_sd(noise, 50.0) == pytest.approx(1.0)  # far from all: the nearest


# how regressions are fitted


def test_leaving_out_by_algebra_is_leaving_out():
    rng = np.random.default_rng(0)
    points = rng.random((8, 2))
    groups = np.array([0, 1, 2, 3, 4, 4, 5, 5])
    points[5], points[7] = points[4], points[6]
    data = Data(points, rng.random(8), np.full(8, 0.1), np.zeros(2, bool))
    kernel, mean = Kernel(np.zeros(2, bool), np.array([1.0, 2.0]), 0.5), 0.3

    def solved(part):
        covariance = kernel(part.points, part.points) + np.diag(part.noise**2)
        precision = np.linalg.inv(covariance)
        return Fit(kernel, 1.0, 1.0, mean, precision @ (part.values - mean), precision)

    found = left_out(solved(data), data, groups)
    for group in range(6):
        rest = data.part(groups != group)
        expected = solved(rest).at(rest, points[groups == group])
        np.testing.assert_allclose(found[groups == group], expected, atol=1e-9)


def test_a_fit_finds_the_axis_that_matters():
    rng = np.random.default_rng(0)
    points = rng.random((40, 3))
    values = np.sin(5 * points[:, 1])
    data = Data(points, values, np.ones(40), np.zeros(3, bool))
    fitted = fit_recordings.fit(data)
    assert fitted.kernel.inverse_lengths.argmax() == 1
    new = rng.random((30, 3))
    np.testing.assert_allclose(fitted.at(data, new), np.sin(5 * new[:, 1]), atol=0.1)


def test_residuals_are_enlarged_by_what_the_mean_takes():
    rows = [{"index": 0, "of": None, METRIC: 0.1}, {"index": 1, "of": None, METRIC: 0.9},
            {"index": 2, "of": 0, METRIC: 0.3}]  # fmt: skip
    means, rest = fit_recordings.residuals_of(rows)
    np.testing.assert_allclose(means, [0.2, 0.2])
    np.testing.assert_allclose(rest, [-0.1 * math.sqrt(2), 0.1 * math.sqrt(2)])


# how trainings were planned


def planned_rows(study, count):
    rows = []
    for index in range(count):
        row = plan(study, rows)
        failed = index in (2, 5)
        rows.append(row | ({"failure": "exploded"} if failed else {METRIC: 1 / (1 + index)}))
    return rows


def test_a_plan_begins_at_the_defaults_and_depends_on_the_rows_alone():
    study = STUDIES["recorded-bccd160"]
    rows = planned_rows(study, 12)
    assert rows[0]["params"] == study.initial()
    assert plan(study, rows) == plan(study, rows)
    assert len({json.dumps(row["params"]) for row in rows}) == 10  # the defaults came thrice
    assert len({row["seed"] for row in rows}) == 12


def test_half_are_spread_some_are_near_the_best_and_some_repeat():
    rows = planned_rows(STUDIES["recorded-digits"], 70)
    late = [row["turn"] for row in rows[FIRST_NEAR:]]
    assert [late.count(turn) for turn in ("sobol", "near", "repeat")] == [15, 9, 6]
    repeats = [row["of"] for row in rows if row["turn"] == "repeat"]
    assert repeats[::2] == repeats[1::2]
    assert len(set(repeats)) == len(repeats) // 2
    assert all(
        rows[of]["params"] == row["params"] for row in rows if (of := row["of"]) is not None
    )
    assert not {2, 5} & set(repeats)


@every_problem
def test_a_promising_plan_is_where_the_stored_fit_promises_much(problem):
    rows = planned_rows(problem.study, 8)
    row = plan(problem.study, rows, promising=True)
    assert (row["turn"], row["of"], row["seed"]) == ("promising", None, 1008)
    others = [problem.truth(params_of(problem, seed)) for seed in range(40)]
    assert problem.truth(row["params"]) > np.nanmax(others)
    assert plan(problem.study, rows, promising=True) == row
