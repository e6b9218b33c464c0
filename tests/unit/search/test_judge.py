"""What the surrogate is taken to say of trials and of children."""

import json

import numpy as np
import pytest

from evolve.search import judge as judge_module
from evolve.search.judge import Fits, Judge, Observations, informative, scale

LINE = np.zeros(1, dtype=bool)


def observed(x, values, errors=None, failed=(), running=()) -> Observations:
    genes, lost, under_way = (np.array(list(g), dtype=float).reshape(-1, 1) for g in
                              (x, failed, running))  # fmt: skip
    values = np.array(values, dtype=float)
    extra = np.zeros(len(values)) if errors is None else np.array(errors, dtype=float)
    return Observations(genes, values, extra, lost, under_way, LINE)


def some_seen(count: int = 24, **others) -> Observations:
    """The first so many of always the same trials."""
    rng = np.random.default_rng(0)
    x, noise = rng.random(300), rng.standard_normal(300)
    return observed(x[:count], (-((x - 0.4) ** 2) + 0.01 * noise)[:count], **others)


def test_a_lucky_value_among_mediocre_ones_is_not_the_best():
    rng = np.random.default_rng(1)
    poor, good = 0.2 + 0.05 * rng.random(12), 0.8 + 0.05 * rng.random(6)
    values = [*rng.normal(0.0, 0.1, 12), *rng.normal(0.7, 0.1, 6)]
    values[3] = 1.0  # the highest of all
    found = Judge(observed([*poor, *good], values), Fits())
    assert np.argmax(values) == 3
    assert found.rows[np.argmax(found.means)] >= 12
    assert set(np.argsort(-found.means)[:6]) == set(range(12, 18))


def test_without_noise_the_order_is_that_of_the_values():
    x = np.linspace(0, 1, 15)
    values = np.sin(3 * x)
    found = Judge(observed(x, values), Fits())
    assert np.argmax(found.means) == np.argmax(values)
    assert np.corrcoef(found.means, values)[0, 1] > 0.99


def test_a_doubtful_value_moves_less_than_a_sure_one():
    x, values = [*np.linspace(0, 0.5, 10), 1.0], [*np.linspace(0, 0.1, 10), 1.0]
    sure = Judge(observed(x, values), Fits()).means[-1]
    doubtful = Judge(observed(x, values, [0.0] * 10 + [1.0]), Fits()).means[-1]
    assert doubtful < sure - 0.1


def test_where_a_trial_runs_there_is_less_to_learn():
    def spread(**others) -> float:
        """Deviation of draws at 0.9, far from all that has ended."""
        seen = observed(np.linspace(0, 0.5, 12), np.sin(np.arange(12)), **others)
        one = Judge(seen, Fits())
        return np.std([one.draw(np.array([[0.9]]), 1.0, np.random.default_rng(s))[0]
                       for s in range(50)])  # fmt: skip

    assert spread(running=[0.9]) < 0.5 * spread()


def test_what_runs_changes_neither_order_nor_expectation():
    seen, beside = some_seen(), some_seen(running=[0.9])
    alone, together = Judge(seen, Fits()), Judge(beside, Fits())
    np.testing.assert_array_equal(alone.means, together.means)
    children = np.array([[0.1], [0.5], [0.9]])
    rng = np.random.default_rng
    np.testing.assert_allclose(
        together.draw(children, 0.0, rng(0)), alone.draw(children, 0.0, rng(0)), atol=1e-3
    )


def test_a_place_where_trials_fail_is_worth_less_however_good_it_looks():
    x = np.linspace(0, 0.6, 13)
    children = np.array([[0.55], [0.8]])
    rng = np.random.default_rng
    promising = Judge(observed(x, x), Fits()).draw(children, 0.0, rng(0))
    warned = Judge(observed(x, x, failed=[0.75, 0.8, 0.85, 0.9]), Fits())
    learned = warned.draw(children, 0.0, rng(0))
    assert promising[1] > promising[0]
    assert learned[1] < learned[0] - 1.0


def test_boldness_nothing_is_the_expectation_and_draws_scatter_about_it():
    one, children = Judge(some_seen(), Fits()), np.array([[0.05], [0.5], [0.95]])
    expected = one.draw(children, 0.0, np.random.default_rng(0))
    drawn = [one.draw(children, 1.0, np.random.default_rng(s)) for s in range(300)]
    np.testing.assert_array_equal(one.draw(children, 0.0, np.random.default_rng(9)), expected)
    np.testing.assert_allclose(np.mean(drawn, axis=0), expected, atol=0.15)
    assert np.std(drawn, axis=0).min() > 0


def test_what_fits_remember_changes_nothing():
    fits = Fits()
    for count in range(3, 30):
        seen = some_seen(count, failed=np.linspace(0, 1, count))
        for rng in (None, np.random.default_rng(count)):
            fresh = None if rng is None else np.random.default_rng(count)
            used, new = Judge(seen, fits, rng), Judge(seen, Fits(), fresh)
            np.testing.assert_array_equal(used.means, new.means)
            np.testing.assert_array_equal(used.hyper.weights, new.hyper.weights)


def test_few_asks_need_a_fit(monkeypatch):
    made = []
    plain = judge_module.fit
    monkeypatch.setattr(
        judge_module, "fit", lambda *data, **more: made.append(1) or plain(*data, **more)
    )
    fits = Fits()
    for count in range(3, 60):
        Judge(some_seen(count), fits)
    assert 5 < len(made) < 25
    made.clear()
    fitted = {}
    for count in range(220, 240):  # beyond 160 only some count
        seen = some_seen(count, failed=np.linspace(0.9, 1, 200)[: count // 2])
        fitted = Judge(seen._replace(fitted=fitted), fits).fitted or fitted
    assert len(made) <= 6
    assert len(fits._known) <= 16


def test_length_scales_are_drawn_about_the_fitted_ones():
    seen, fits = some_seen(), Fits()
    fitted = Judge(seen, fits).hyper.weights[0]
    drawn = [Judge(seen, fits, np.random.default_rng(s)).hyper.weights[0] for s in range(60)]
    assert np.median(drawn) == pytest.approx(fitted, rel=0.3)
    assert min(drawn) < 0.6 * fitted
    assert max(drawn) > 1.6 * fitted


def test_of_many_trials_the_good_and_the_new_ones_count():
    values = np.array([9.0, 0, 0, 0, 8.0, 0, 0, 1.0, 0, 0])
    assert informative(values, 4).tolist() == [0, 4, 8, 9]
    assert informative(values, 10).tolist() == list(range(10))
    seen = some_seen(230)
    found = Judge(seen, Fits())
    assert len(found.rows) == len(found.means) == 160
    assert {int(np.argmax(seen.values)), 229} <= set(found.rows.tolist())


def test_values_and_their_errors_are_scaled_alike():
    scaled, extra, mean = scale(np.array([1.0, 2.0, 3.0]), np.array([0.0, 0.5, 0.0]))
    np.testing.assert_allclose(scaled, np.array([-1.0, 0.0, 1.0]) * np.sqrt(2))
    np.testing.assert_allclose(extra, [0.0, 1.0, 0.0])
    assert mean == pytest.approx(-0.5 * np.sqrt(2))  # a quarter of the way up


def test_equal_values_are_no_obstacle():
    found = Judge(observed([0.1, 0.5, 0.9], [0.3, 0.3, 0.3]), Fits())
    np.testing.assert_allclose(found.means, 0.0, atol=1e-9)


@pytest.mark.parametrize("count", [6, 7, 50])
def test_informative_rows_are_the_best_and_of_the_others_the_newest(count):
    rng = np.random.default_rng(3)
    for scaled in (rng.random(80), rng.integers(4, size=80).astype(float)):
        order = np.argsort(-scaled, kind="stable")
        best, others = order[: count // 2], np.sort(order[count // 2 :])
        wanted = np.sort([*best, *others[-(count - count // 2) :]])
        assert informative(scaled, count).tolist() == wanted.tolist()


@pytest.fixture
def _long_from_20(monkeypatch):
    monkeypatch.setattr(judge_module, "LONG", 20)


@pytest.mark.usefixtures("_long_from_20")
def test_a_long_study_is_fitted_once_in_a_while():
    first = Judge(some_seen(40, failed=[0.9, 0.95]), Fits())
    assert set(first.fitted) == {"value", "survival"}
    noted = json.loads(json.dumps(first.fitted))
    again = Judge(some_seen(40, failed=[0.9, 0.95])._replace(fitted=noted), Fits())
    assert again.fitted == {}
    np.testing.assert_array_equal(again.means, first.means)
    assert Judge(some_seen(43, failed=[0.9])._replace(fitted=noted), Fits()).fitted == {}
    later = Judge(some_seen(48, failed=[0.9])._replace(fitted=noted), Fits()).fitted
    assert (later["value"]["trials"], later["survival"]["trials"]) == (48, 49)


def test_a_study_that_is_not_long_notes_nothing():
    assert Judge(some_seen(60, failed=[0.9]), Fits()).fitted == {}


@pytest.mark.usefixtures("_long_from_20")
def test_of_many_trials_under_way_the_promising_and_the_newest_count(monkeypatch):
    monkeypatch.setattr(judge_module, "_MOST_RUNNING", 6)
    seen = some_seen(30, running=[0.41, 0.42, 0.43, *np.linspace(0.8, 0.9, 30), 0.1, 0.11, 0.12])
    spread = Judge(seen, Fits())._process.predict(np.array([[0.42], [0.85], [0.11]]))[1]
    alone = Judge(seen._replace(running=np.empty((0, 1))), Fits())._process
    before = alone.predict(np.array([[0.42], [0.85], [0.11]]))[1]
    assert spread[0] < before[0]
    assert spread[2] < before[2]
    assert len(Judge(seen, Fits())._process.points) == 30 + 6
