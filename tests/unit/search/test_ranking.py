"""The order in which finished trials may become parents."""

import itertools

from evolve.search.operators.selection import Individual, rank


def complete(number: int, fitness: float, **curve: float) -> Individual:
    return Individual(number, fitness, None, {int(k[1:]): v for k, v in curve.items()})


def stopped(number: int, step: int, fitness: float) -> Individual:
    return Individual(number, fitness, step, {step: fitness})


def order(*individuals: Individual, sign: float = 1.0) -> list[int]:
    results = {
        tuple(one.number for one in rank(arrival, sign))
        for arrival in itertools.permutations(individuals)
    }
    assert len(results) == 1, "the order of arrival matters"
    return list(results.pop())


def test_complete_trials_stand_by_value_and_ties_by_number():
    assert order(complete(0, 0.1), complete(1, 0.3), complete(2, 0.1)) == [1, 0, 2]


def test_a_stopped_trial_is_not_compared_with_a_final_value():
    # At step 1 the stopped one was behind, though its 0.2 is above the final 0.1.
    assert order(complete(0, 0.1, s1=0.3), stopped(1, 1, 0.2)) == [0, 1]


def test_a_stopped_trial_passes_what_it_had_beaten_at_its_step():
    best, worst = complete(0, 0.5, s1=0.3), complete(1, 0.4, s1=0.1)
    assert order(best, worst, stopped(2, 1, 0.2)) == [0, 2, 1]


def test_a_stopped_trial_never_passes_one_that_was_as_good():
    # It beat the winner at step 1, but not the last one: it stays below both.
    assert order(complete(0, 0.5, s1=0.1), complete(1, 0.4, s1=0.2), stopped(2, 1, 0.2))[-1] == 2


def test_a_complete_trial_without_a_value_at_the_step_is_taken_as_good():
    nan = complete(1, 0.2, s1=float("nan"))
    assert order(complete(0, 0.3), nan, stopped(2, 1, 0.9)) == [0, 1, 2]


def test_stopped_trials_stand_by_step_then_value():
    trials = (stopped(0, 1, 0.9), stopped(1, 3, 0.2), stopped(2, 3, 0.4))
    assert order(*trials) == [2, 1, 0]


def test_minimising_turns_the_curves_too():
    best = Individual(0, -1.0, None, {1: 3.0})
    worst = Individual(1, -2.0, None, {1: 9.0})
    assert order(best, worst, Individual(2, -5.0, 1, {1: 5.0}), sign=-1.0) == [0, 2, 1]
