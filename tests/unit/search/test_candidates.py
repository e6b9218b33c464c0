"""Which trials are confirmed."""

import math

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial

from evolve.search.candidates import pick_candidates
from evolve.search.estimate import estimate_values
from evolve.search.genetic import DEFAULT, ORIGIN
from evolve.space import load_space

X = {"x": FloatDistribution(0.0, 1.0)}
SPACE = "parameters: {optimizer.momentum: {type: float, low: 0.0, high: 0.9, default: 0.2}}\n"
PATH = "optimizer.momentum"


def trial(x, value, **more):
    given = {"params": {"x": x}, "distributions": X} | more
    return create_trial(value=value, **given)


@pytest.fixture
def study(tmp_path):
    (tmp_path / "s.yaml").write_text(SPACE)
    return optuna.create_study(direction="maximize"), load_space(tmp_path / "s.yaml")


def add(study, space, momentum, value, state=TrialState.COMPLETE, origin="random"):
    study.add_trial(
        create_trial(
            state=state,
            value=value,
            params={PATH: momentum},
            distributions=space.distributions(),
            user_attrs={ORIGIN: origin},
        )
    )


def test_best_first_without_the_defaults_and_what_did_not_end(study):
    study, space = study
    add(study, space, 0.2, 0.9, origin=DEFAULT)
    add(study, space, 0.1, 0.3)
    add(study, space, 0.5, 0.8, TrialState.PRUNED)
    add(study, space, 0.6, None, TrialState.FAIL)
    add(study, space, 0.7, 0.5)
    assert [t.number for t in pick_candidates(study, space, 3)] == [4, 1]
    assert [t.number for t in pick_candidates(study, space, 1)] == [4]


def test_estimates_decide_and_the_earlier_of_equals_wins(study):
    study, space = study
    for value in (0.1, 0.2, 0.3):
        add(study, space, value, value)
    found = pick_candidates(study, space, 3, estimates={0: 0.5, 1: 0.7, 2: 0.5})
    assert [t.number for t in found] == [1, 0, 2]


def test_a_lucky_trial_among_bad_ones_loses_to_a_good_neighbourhood(study):
    study, space = study
    for x in (0.01, 0.02, 0.03, 0.04):
        add(study, space, x, 0.2)
    add(study, space, 0.025, 0.45)  # one spike
    for x in (0.80, 0.81, 0.83, 0.84, 0.85):
        add(study, space, x, 0.42)
    best = pick_candidates(study, space, 3)
    assert {t.params[PATH] for t in best} <= {0.80, 0.81, 0.83, 0.84, 0.85}


def numbered(*trials):
    for number, one in enumerate(trials):
        one.number = number
    return trials


def test_a_smooth_response_is_left_in_its_order():
    found = estimate_values(numbered(*(trial(i / 10, i / 10) for i in range(11))), X)
    assert sorted(found, key=lambda number: found[number].mean) == list(range(11))
    assert [found[n].mean for n in (1, 5, 9)] == pytest.approx([0.1, 0.5, 0.9], abs=0.05)


def test_three_trials_keep_their_values():
    few = numbered(*(trial(x, x) for x in (0.1, 0.2, 0.4)))
    found = estimate_values(few, X)
    assert [one.mean for one in found.values()] == [0.1, 0.2, 0.4]
    assert all(math.isnan(one.sd) for one in found.values())


def test_equal_trials_are_worth_what_they_all_have():
    found = estimate_values(numbered(*(trial(i / 10, 0.3) for i in range(8))), X)
    assert [one.mean for one in found.values()] == pytest.approx([0.3] * 8)


def test_a_choice_is_drawn_towards_its_own_kind():
    kinds = {"c": CategoricalDistribution(("a", "b", "c")), **X}
    pairs = [*[("a", v) for v in (0.1, 0.12, 0.1, 0.11, 0.3)], *[("c", v) for v in (0.9,) * 4]]
    full = [
        create_trial(params={"c": c, "x": x / 10}, distributions=kinds, value=v)
        for x, (c, v) in enumerate(pairs)
    ]
    found = estimate_values(numbered(*full), kinds)
    assert found[4].mean < 0.3
    assert found[8].mean > 0.7
    assert found[4].sd > 0


def test_stopped_trials_count_and_failed_ones_do_not():
    stopped = create_trial(
        params={"x": 0.5},
        distributions=X,
        state=TrialState.PRUNED,
        intermediate_values={1: 0.2},
    )
    failed = create_trial(params={"x": 0.6}, distributions=X, state=TrialState.FAIL)
    found = estimate_values(numbered(trial(0.1, 0.3), stopped, failed), X)
    assert sorted(found) == [0, 1]


def test_no_trials_give_no_candidates(study):
    assert pick_candidates(*study, 3) == []
