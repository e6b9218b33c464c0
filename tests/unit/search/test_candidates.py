"""Which trials are confirmed."""

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial

from evolve.search.candidates import pick_candidates, smoothed_values
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
    found = smoothed_values(numbered(*(trial(i / 10, i / 10) for i in range(11))), X)
    assert sorted(found, key=found.get) == list(range(11))


def test_few_or_equal_trials_keep_their_values():
    assert smoothed_values(numbered(trial(0.1, 0.3), trial(0.2, 0.4)), X) == {0: 0.3, 1: 0.4}
    equal = numbered(*(trial(i / 10, 0.3) for i in range(8)))
    assert list(smoothed_values(equal, X).values()) == pytest.approx([0.3] * 8)


def test_choices_and_missing_parameters_are_all_or_nothing():
    kinds = {"c": CategoricalDistribution(("a", "b", "c")), **X}
    pairs = [*[("a", v) for v in (0.1, 0.1, 0.1, 0.1, 0.3)], *[("c", v) for v in (0.9,) * 4]]
    full = [
        create_trial(params={"c": c, "x": 0.5}, distributions=kinds, value=v) for c, v in pairs
    ]
    bare = create_trial(params={"c": "c"}, distributions={"c": kinds["c"]}, value=0.7)
    found = smoothed_values(numbered(*full, bare), kinds)
    assert found[4] < 0.3  # drawn down by those of its own choice
    assert found[9] > 0.7  # drawn up by those of its own choice, without the parameter x


def test_no_trials_give_no_candidates(study):
    assert pick_candidates(*study, 3) == []
