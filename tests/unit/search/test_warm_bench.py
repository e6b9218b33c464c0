"""The earlier studies of the warm-start benchmark."""

import numpy as np
import pytest

from evolve.search.operators.encoding import encode
from tests.bench.search import warm
from tests.bench.search.suite import problem
from tests.bench.search.surface import from_genes


@pytest.fixture(scope="module")
def schedule():
    return problem("detector-schedule-16")


@pytest.fixture(scope="module")
def earlier(schedule):
    return warm.earlier_study(schedule, seed=0, trials=10)


def genes(params, one):
    return np.array([encode(value, one.distributions[name]) for name, value in params.items()])


def test_numbers_are_moved_by_5_to_10_percent_of_their_range(schedule):
    shifts = warm.draw_shifts(schedule, np.random.default_rng(0))
    assert shifts.keys() == schedule.distributions.keys()  # its only choice is in order
    assert all(0.05 <= abs(shift) <= 0.1 for shift in shifts.values())
    params = from_genes(np.full(len(shifts), 0.5), schedule)
    apart = genes(warm.moved(params, schedule, shifts), schedule) - genes(params, schedule)
    exact = [i for i, name in enumerate(params) if name not in ("batch", "freeze")]
    assert apart[exact] == pytest.approx(np.array(list(shifts.values()))[exact], abs=1e-9)
    assert warm.moved(params, schedule, {}) == params


def test_an_earlier_study_is_of_a_seed_and_the_best_come_first(schedule, earlier):
    assert earlier == warm.earlier_study(schedule, seed=0, trials=10)
    assert earlier != warm.earlier_study(schedule, seed=1, trials=10)
    assert 3 <= len(earlier.values) <= 10
    assert earlier.values[0] > earlier.values[-1]


def test_what_misleads_is_the_same_turned_round(schedule, earlier):
    assert warm.as_told("helpful", earlier, schedule) == earlier
    negated = warm.as_told("negated", earlier, schedule)
    assert negated.values == tuple(-value for value in earlier.values[::-1])
    assert negated.params == earlier.params[::-1]
    mirrored = warm.as_told("mirrored", earlier, schedule)
    assert mirrored.values == earlier.values
    for told, true in zip(mirrored.params, earlier.params, strict=True):
        assert genes(told, schedule) == pytest.approx(1 - genes(true, schedule), abs=1e-9)


def test_parents_keep_their_values():
    tree = next(one for one in warm.problems("judge", "mixed") if one.conditions)
    parents = {name for names in tree.conditions.values() for name in names}
    assert not parents & warm.draw_shifts(tree, np.random.default_rng(0)).keys()
    params = from_genes(np.full(len(tree.distributions), 0.2), tree)
    mirrored = warm._mirrored(params, tree)
    assert {name: mirrored[name] for name in parents & params.keys()} == {
        name: params[name] for name in parents & params.keys()
    }


def test_the_table_has_a_line_an_arm(capsys):
    table = warm.main(["--arms", "cold", "--problems", "detector-twin-15", "--seeds", "1",
                       "--budgets", "3,5"])  # fmt: skip
    assert "| sampler | 3: regret | rank | less cold | 5: regret" in table
    assert "\n| cold | " in table
    assert "1/1" in capsys.readouterr().err
    with pytest.raises(ValueError, match="unknown arm 'hot'; there are cold, helpful"):
        warm.main(["--arms", "hot"])
