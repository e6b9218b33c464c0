import math
import warnings

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from evolve.analysis import importance
from evolve.analysis.fanova import Fanova
from evolve.analysis.importance import COLUMNS, measure_importance, trials_of
from evolve.analysis.ped_anova import PedAnova
from evolve.search.operators.encoding import decode_all

SPACE = {
    "lr": FloatDistribution(1e-4, 1e-1, log=True),
    "batch": IntDistribution(1, 8),
    "loss": CategoricalDistribution(["iou", "giou", "ciou"]),
}


def made_up(count, value=lambda p: -((math.log10(p["lr"]) + 2) ** 2), space=SPACE, seed=0):
    """Random trials whose value is a function of their parameters."""
    rng = np.random.default_rng(seed)
    params = [decode_all(rng.random(len(space)), space) for _ in range(count)]
    return [create_trial(params=p, distributions=space, value=value(p)) for p in params]


@pytest.fixture(scope="module")
def measured():
    return measure_importance(made_up(30), resamples=8)


def test_the_only_parameter_that_matters_is_first_and_above_chance(measured):
    for _, rows in measured.frame.groupby("method"):
        assert rows["parameter"].tolist()[0] == "lr"
        assert rows["rank"].tolist() == [1, 2, 3]
        first = rows.iloc[0]
        assert first["importance"] > max(0.6, first["chance"])
    assert measured.trials == 30
    assert measured.reason == ""


def test_of_many_parameters_without_effect_few_are_above_chance():
    space = {f"x{i}": FloatDistribution(0.0, 1.0) for i in range(12)}
    noise = np.random.default_rng(1)
    studies = [made_up(30, lambda _: noise.normal(), space, seed) for seed in range(4)]
    frames = [measure_importance(trials, resamples=20).frame for trials in studies]
    seen = [((f["importance"] > f["chance"]).groupby(f["method"]).any()).sum() for f in frames]
    assert sum(seen) <= 2  # of 8 measurements with 12 parameters each


def test_shares_sum_to_one_and_lie_in_their_intervals(measured):
    frame = measured.frame
    assert tuple(frame.columns) == COLUMNS
    np.testing.assert_allclose(frame.groupby("method")["importance"].sum(), 1)
    assert (frame["low"] <= frame["importance"]).all()
    assert (frame["importance"] <= frame["high"]).all()
    assert (frame["high"] - frame["low"] > 0).any()


def test_ped_anova_is_optunas(measured):
    study = optuna.create_study(direction="maximize")
    study.add_trials(made_up(30))
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=5 / 30)
    expected = optuna.importance.get_param_importances(study, evaluator=evaluator)
    found = measured.frame[measured.frame["method"] == "PED-ANOVA"]
    found = found.set_index("parameter")["importance"].to_dict()
    assert found == pytest.approx(expected)


KINDS = {
    "plain": FloatDistribution(-1.0, 2.0),
    "log": FloatDistribution(1e-4, 1e-1, log=True),
    "stepped": FloatDistribution(0.5, 0.95, step=0.05),
    "whole": IntDistribution(1, 8),
    "wide": IntDistribution(0, 300, step=3),
    "whole log": IntDistribution(2, 600, log=True),
    "choice": CategoricalDistribution(["iou", "giou", "ciou", "diou"]),
    "switch": CategoricalDistribution([True, False]),
}


def of_every_kind(count, seed=0):
    """Trials whose values have ties; of two parts of them one more parameter has two ranges."""
    rng = np.random.default_rng(seed)
    trials = []
    for _ in range(count):
        params, kinds = decode_all(rng.random(len(KINDS)), KINDS), dict(KINDS)
        value = math.log10(params["log"]) + (params["choice"] == "giou") + 0.1 * params["whole"]
        if params["switch"]:
            kinds["sometimes"] = FloatDistribution(0.0, 1.0 if params["whole"] > 3 else 2.0)
            params["sometimes"] = rng.random()
            value += params["sometimes"]
        trials.append(create_trial(params=params, distributions=kinds, value=round(value, 1)))
    return trials


def of_optuna(trials, evaluator, names):
    study = optuna.create_study(direction="minimize")
    study.add_trials(trials)
    found = optuna.importance.get_param_importances(
        study, evaluator=evaluator, params=names, normalize=False
    )
    return [found[name] for name in names]


@pytest.mark.parametrize("count", [9, 40, 150])
def test_both_measures_are_optunas_of_resamples_too(count):
    trials = of_every_kind(count)
    rows = np.random.default_rng(1).integers(count, size=count)
    some, values = [trials[row] for row in rows], np.array([trials[row].value for row in rows])
    names = [*KINDS, "sometimes"]
    divergence = PedAnova(trials, names, 0.2).measure(rows, values)
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=0.2)
    np.testing.assert_allclose(divergence, of_optuna(some, evaluator, names), rtol=1e-9)
    names = sorted(KINDS)
    space = {name: KINDS[name] for name in names}
    variance = Fanova(trials, space).measure(rows, values, 5, 7)
    evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=5, max_depth=6, seed=7)
    expected = of_optuna(some, evaluator, names)
    np.testing.assert_allclose(variance, expected, rtol=1e-9, atol=1e-15)


def test_a_forest_without_a_split_tells_nothing():
    trials = made_up(9)
    assert np.isnan(Fanova(trials, SPACE).measure(np.arange(9), np.ones(9), 3, 0)).all()


def test_the_only_parameter_has_all_of_the_variance():
    frame = measure_importance(made_up(12, space={"lr": SPACE["lr"]}), resamples=3).frame
    assert frame["parameter"].tolist() == ["lr", "lr"]
    np.testing.assert_allclose(frame["importance"], 1.0)


def test_what_is_drawn_of_many_trials_ranks_as_all_do(monkeypatch):
    space = {f"x{i}": FloatDistribution(0.0, 1.0) for i in range(5)}

    def value(params):
        return 4 * params["x0"] ** 2 + 2 * params["x1"] + 0.8 * params["x2"]

    trials = made_up(1500, value, space)
    drawn = measure_importance(trials, resamples=3)
    monkeypatch.setattr(importance, "MOST_TRIALS", len(trials))
    whole = measure_importance(trials, resamples=3)
    assert (drawn.trials, drawn.of, whole.trials) == (500, 1500, 1500)
    for method in importance.METHODS:
        shares = [
            found.frame[found.frame["method"] == method].set_index("parameter")["importance"]
            for found in (drawn, whole)
        ]
        assert [list(own.index[:3]) for own in shares] == [["x0", "x1", "x2"]] * 2
        assert (shares[0] - shares[1]).abs().max() < 0.1


def test_the_same_seed_gives_the_same_frame():
    one, two, other = (measure_importance(made_up(12), resamples=2, seed=s) for s in (1, 1, 2))
    pd.testing.assert_frame_equal(one.frame, two.frame)
    assert not one.frame.equals(other.frame)


def test_minimising_turns_the_best_around():
    trials = made_up(20, lambda p: p["batch"])
    up = measure_importance(trials, resamples=2)
    down = measure_importance(trials, resamples=2, direction="minimize")
    shares = [found.frame["importance"].tolist()[0] for found in (up, down)]
    assert shares[0] != pytest.approx(shares[1])


def test_a_conditional_parameter_has_ped_anova_alone():
    trials = made_up(20)
    child = {"focal": FloatDistribution(0.0, 1.0)}
    with_child = [
        create_trial(
            params={**t.params, "focal": n / 20},
            distributions={**t.distributions, **child},
            value=t.value,
        )
        for n, t in enumerate(trials[:12])
    ]
    found = measure_importance([*with_child, *trials[12:]], resamples=2).frame
    methods = found.groupby("parameter")["method"].agg(set)
    assert methods["focal"] == {"PED-ANOVA"}
    assert methods["lr"] == {"PED-ANOVA", "fANOVA"}


def test_a_parameter_with_a_single_value_is_left_out():
    space = {**SPACE, "fixed": FloatDistribution(0.5, 0.5)}
    found = measure_importance(made_up(10, space=space), resamples=2).frame
    assert set(found["parameter"]) == set(SPACE)


def test_failed_and_stopped_trials_do_not_count():
    failed = [
        create_trial(
            params={"lr": 0.01}, distributions={"lr": SPACE["lr"]}, state=state, value=value
        )
        for state, value in ((TrialState.FAIL, None), (TrialState.PRUNED, 0.3))
    ]
    found = measure_importance([*made_up(7), *failed])
    assert found.frame.empty
    assert tuple(found.frame.columns) == COLUMNS
    assert found.reason == "it takes 8 complete trials, and there are 7"


def test_equal_values_tell_nothing():
    found = measure_importance(made_up(9, lambda _: 0.25))
    assert found.frame.empty
    assert found.reason == "all complete trials have the same value"


def test_nothing_searched_tells_nothing():
    space = {"fixed": IntDistribution(3, 3)}
    values = iter(range(9))
    found = measure_importance(made_up(9, lambda _: next(values), space))
    assert found.reason == "no parameter was searched"


def test_resamples_of_equal_values_are_passed_over():
    values = iter([1.0] + [0.0] * 8)
    found = measure_importance(made_up(9, lambda _: next(values)), resamples=12).frame
    assert found.notna().all(axis=None)


def test_no_warning_and_no_log_leaks(capfd):
    level = optuna.logging.get_verbosity()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        measure_importance(made_up(8), resamples=2)
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == level


def test_trials_come_back_from_the_frame_of_a_run():
    frame = pd.DataFrame(
        {
            "state": ["COMPLETE", "COMPLETE", "FAIL"],
            "value": [0.5, 0.25, math.nan],
            "params.lr": [0.01, 0.02, 0.03],
            "params.batch": [4.0, math.nan, 2.0],
            "params.loss": ["iou", "giou", None],
        }
    )
    one, two = trials_of(frame, SPACE)
    assert one.params == {"lr": 0.01, "batch": 4, "loss": "iou"}
    assert isinstance(one.params["batch"], int)
    assert two.params == {"lr": 0.02, "loss": "giou"}
    assert (one.value, two.value) == (0.5, 0.25)


def test_of_many_trials_a_part_is_drawn_always_the_same(monkeypatch):
    monkeypatch.setattr(importance, "MOST_TRIALS", 30)
    trials = made_up(60)
    first = measure_importance(trials, resamples=4)
    assert (first.trials, first.of) == (30, 60)
    pd.testing.assert_frame_equal(first.frame, measure_importance(trials, resamples=4).frame)
    few = measure_importance(trials[:30], resamples=4)
    assert (few.trials, few.of) == (30, 30)
    assert not few.frame.equals(first.frame)  # the part is not the first trials
