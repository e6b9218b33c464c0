"""Trials of a study as arrays."""

import math

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial

from evolve.search.archive import Encoder, read_archive
from evolve.search.genome import ABSENT, GenomeSpace

X, KIND = FloatDistribution(0.0, 1.0), CategoricalDistribution(("a", "b"))
KINDS = {"x": X, "kind": KIND}
SPACE = GenomeSpace(KINDS, conditions={"x": {"kind": ("b",)}})


@pytest.fixture(autouse=True)
def _quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def trial(x: float = 0.5, value=None, kind: str = "b", curve=None, state=None):
    values = {} if value is None else {"values": [value] if np.isscalar(value) else value}
    state = state or (TrialState.FAIL if value is None else TrialState.COMPLETE)
    return create_trial(
        state=state,
        params={"x": x, "kind": kind},
        distributions=KINDS,
        intermediate_values=curve,
        **values,
    )


def stopped(x: float, curve: dict[int, float]):
    return trial(x, curve=curve, state=TrialState.PRUNED)


def archive_of(*trials, directions=("maximize",), number: int = 1000):
    study = optuna.create_study(directions=list(directions))
    study.add_trials(trials)
    return read_archive(study, number, Encoder(SPACE))


def test_each_ending_has_its_place():
    study = optuna.create_study(direction="maximize")
    study.add_trials([trial(0.1, 0.7), trial(0.2), stopped(0.3, {1: 0.4}), trial(0.4, 0.6)])
    study.enqueue_trial({"x": 0.7, "kind": "b"})
    study.enqueue_trial({"x": 0.8, "kind": "b"})
    study.ask(KINDS)
    found = read_archive(study, 3, Encoder(SPACE))
    assert found.numbers.tolist() == [0, 2]
    assert len(found) == 2
    np.testing.assert_allclose(found.genes, [[0.75, 0.1], [0.75, 0.3]])
    np.testing.assert_allclose(found.failed, [[0.75, 0.2]])
    np.testing.assert_allclose(found.running, [[0.75, 0.7]])
    held = [x for x in np.arange(1, 10) / 10 if found.holds(np.array([0.75, x + 1e-12]))]
    assert held == [0.1, 0.2, 0.3, 0.7]
    assert not found.holds(np.array([0.25, 0.1]))


def test_of_nothing_there_are_empty_arrays():
    found = archive_of()
    assert len(found) == 0
    assert found.genes[:].shape == found.failed.shape == found.running.shape == (0, 2)
    assert found.values.shape == (0, 1)
    assert found.numbers.tolist() == []


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_a_failure(value):
    curves = [{1: 0.2, 2: end} for end in (value, math.nan)]
    found = archive_of(trial(0.1, 0.5), trial(0.2, value), *(stopped(0.3, c) for c in curves))
    assert found.numbers.tolist() == [0]
    assert found.failed[:, 1].tolist() == [0.2, 0.3, 0.3]


def test_a_trial_that_was_put_aside_is_neither_good_nor_failed():
    found = archive_of(trial(0.1, 0.5), stopped(0.3, {}))
    assert found.numbers.tolist() == [0]
    assert len(found.failed) == 0


def test_minimising_turns_values_and_curves():
    complete = [trial(0.1, e + 1, curve={1: float(e)}) for e in (3.0, 1.0, 2.0)]
    trials = [*complete, stopped(0.2, {1: 4.0})]
    low = archive_of(*trials, directions=["minimize"])
    assert low.values[:3, 0].tolist() == [-4.0, -2.0, -3.0]
    assert low.values[3, 0] == pytest.approx(-4.0)  # as the slope of 1 counts half
    high = archive_of(*trials)
    assert high.values[3, 0] == pytest.approx(4.0)


def test_only_stopped_trials_have_an_error():
    complete = [trial(0.1, e, curve={1: e}) for e in (0.1, 0.3, 0.4)]
    found = archive_of(*complete, stopped(0.2, {1: 0.2}))
    assert found.errors[:3].tolist() == [0.0, 0.0, 0.0]
    assert found.errors[3] > 0


def test_several_objectives_point_upwards_and_share_no_weight_at_two_asks():
    trials = [trial(0.1, [0.5, 20.0]), trial(0.2, [0.6, 30.0])]
    found = archive_of(*trials, directions=["maximize", "minimize"])
    assert found.values.tolist() == [[0.5, -20.0], [0.6, -30.0]]
    rng = np.random.default_rng(0)
    worth = np.array([found.fitness(rng) for _ in range(20)])
    assert set(np.argmax(worth, axis=1).tolist()) == {0, 1}
    assert archive_of(trial(0.1, 0.7)).fitness(rng).tolist() == [0.7]


def test_what_does_not_exist_or_has_another_range_counts_as_absent():
    elsewhere = create_trial(
        value=0.2,
        params={"x": 0.9, "kind": "b"},
        distributions={"x": FloatDistribution(0.0, 2.0), "kind": KIND},
    )
    without = create_trial(value=0.3, params={"kind": "a"}, distributions={"kind": KIND})
    found = archive_of(trial(0.1, 0.5, "a"), elsewhere, without)
    np.testing.assert_allclose(found.genes, [[0.25, ABSENT], [0.75, ABSENT], [0.25, ABSENT]])


def test_trials_that_end_late_take_their_place():
    study = optuna.create_study(direction="maximize")
    encoder = Encoder(SPACE)
    study.add_trials([trial(0.1, 0.7), trial(0.2)])
    late = study.ask(KINDS)
    study.add_trials([trial(0.3, 0.6), trial(0.4)])
    before = read_archive(study, 1000, encoder)
    assert (before.numbers.tolist(), len(before.failed), len(before.running)) == ([0, 3], 2, 1)
    study.tell(late, 0.5)
    study.add_trials([trial(0.5, 0.4)])
    after, anew = (read_archive(study, 1000, e) for e in (encoder, Encoder(SPACE)))
    assert after.numbers.tolist() == [0, 2, 3, 5]
    for name in ("numbers", "genes", "values", "errors", "failed", "running"):
        np.testing.assert_array_equal(getattr(after, name), getattr(anew, name))
    without = read_archive(study, 0, encoder)
    assert without.numbers.tolist() == [2, 3, 5]


def test_what_is_kept_equals_what_is_read_anew_whatever_happens():
    rng = np.random.default_rng(0)
    study = optuna.create_study(direction="minimize")
    encoder, busy, earlier = Encoder(SPACE), [], []
    for turn in range(150):
        if len(busy) < 12:
            busy.append(study.ask(KINDS))
        for asked in (busy[int(rng.integers(len(busy)))] for _ in range(2)):
            step = len(study.trials[asked.number].intermediate_values)
            asked.report(math.nan if rng.random() < 0.05 else rng.random(), 3**step)
        if rng.random() < 0.7:
            asked = busy.pop(int(rng.integers(len(busy))))
            end = int(rng.integers(3))
            state = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)[end]
            study.tell(asked, None if end else rng.random(), state=state)
        number = int(rng.integers(turn + 2))
        kept, anew = (read_archive(study, number, e) for e in (encoder, Encoder(SPACE)))
        for name in ("numbers", "genes", "values", "errors", "failed", "running"):
            np.testing.assert_array_equal(getattr(kept, name), getattr(anew, name))
        assert [t.number for t in kept.trials] == kept.numbers.tolist()
        assert number not in kept.numbers
        earlier.append((kept, kept.genes[:], kept.genes[:, 0]))
    for archive, genes, first in earlier:  # they stay as they were
        np.testing.assert_array_equal(archive.genes, genes)
        np.testing.assert_array_equal(genes[:, 0], first)


def test_notes_of_the_surrogate_are_those_of_the_newest_trial_that_has_some():
    study = optuna.create_study(direction="maximize")
    encoder = Encoder(SPACE)
    for number in range(4):
        asked = study.ask(KINDS)
        if number in (1, 3):
            asked.set_user_attr("evolve:fitted", {"value": number})
    assert read_archive(study, 1000, encoder).fitted == {"value": 3}
    assert read_archive(study, 3, encoder).fitted == {"value": 1}
    assert archive_of(trial(0.1, 0.7)).fitted == {}
