import math

import numpy as np
import pytest
from scipy import stats

from evolve.analysis.decisions import Rule, decide
from evolve.analysis.deltas import estimate
from evolve.analysis.outlook import detectable_difference
from tests.unit.analysis.synthetic import Parts, draw_study

SWING = np.tile([1.0, -1.0], 30)


def word(values, image_deltas=None, **rule):
    return decide({"a": estimate(values, image_deltas)}, Rule(**rule))["a"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.03, 0.031, 0.029], "helps"),
        ([-0.03, -0.031, -0.029], "hurts"),
        ([0.0001, -0.0002, 0.0001], "no effect"),
        ([0.03, -0.02, 0.05], "undecided"),
        ([0.03], "undecided"),
        ([], "undecided"),
        ([0.001, 0.0011, 0.0009], "no effect"),  # surely above 0, and surely too small to matter
    ],
)
def test_the_word(values, expected):
    assert word(values).word == expected


def test_the_region_is_given():
    assert word([0.001, 0.0011, 0.0009], region=0.0005).word == "helps"


def test_images_take_a_verdict_away_and_more_seeds_cannot_give_it():
    values = np.array([0.030, 0.031, 0.029, 0.030])
    found = word(values, 0.02 * SWING)
    assert (found.word, found.more_seeds) == ("undecided", None)
    images_se = 0.02 * math.sqrt(60 / 59)
    assert found.more_images == pytest.approx((1.96 * images_se / 0.03) ** 2, rel=0.01)


def test_one_seed_is_undecided_however_well_the_images_know_it():
    found = word([0.03], 0.001 * SWING)
    assert (found.word, found.test, found.more_seeds) == ("undecided", "", 1)


def test_more_rows_take_more():
    delta = estimate([0.03, 0.015, 0.025])
    alone = decide({"a": delta})["a"]
    among = decide({"a": delta, "b": estimate([0.01, -0.01, 0.0])})["a"]
    assert (alone.word, among.word) == ("helps", "undecided")
    assert among.p == alone.p
    assert among.p_holm == pytest.approx(2 * alone.p_holm)


def test_a_row_without_interval_counts_in_the_family():
    found = decide({"a": estimate([0.03, 0.02, 0.025]), "b": estimate([])})
    assert found["a"].p_holm == pytest.approx(2 * found["a"].p)
    assert math.isnan(found["b"].p_holm)


def test_spending_a_part_of_alpha_raises_p():
    whole, part = word([0.03, 0.02, 0.025]), word([0.03, 0.02, 0.025], share=0.1)
    assert part.p_holm == pytest.approx(10 * whole.p_holm)
    assert (whole.word, part.word) == ("helps", "undecided")


def test_further_seeds_are_the_first_number_that_decides():
    values = [0.03, -0.01, 0.035]
    found = word(values)
    delta = estimate(values)
    enough = delta.pairs + found.more_seeds
    assert [_reaches(delta.mean, delta.sd, n) for n in (enough - 1, enough)] == [False, True]


def _reaches(mean, sd, seeds):
    return mean * math.sqrt(seeds) / sd >= stats.t.ppf(0.975, seeds - 1)


@pytest.mark.parametrize(
    ("rows", "seeds", "most"),
    [(1, 5, 0.85), (4, 5, 0.85), (12, 3, 0.89)],  # many rows find rather more than it says
)
def test_a_plan_finds_what_it_says(rows, seeds, most):
    rng, repeats = np.random.default_rng(0), (600 if rows == 1 else 150)
    size = detectable_difference(seeds, 0.01, 0.004, rows=rows)
    found = []
    for _ in range(repeats):
        study = draw_study([size] * rows, seeds, Parts(0.01, 0.004, 0.0), rng)
        deltas = study.deltas(seeds).values()
        found += [delta.mean > delta.spread.reach(1 - 0.05 / rows) for delta in deltas]
    assert 0.75 <= np.mean(found) <= most


def test_a_plan_of_one_seed_finds_nothing():
    assert math.isnan(detectable_difference(1, 0.01))
    assert detectable_difference(3, 0.0) == 0
    assert detectable_difference(3, 0.01) > detectable_difference(6, 0.01)
    assert detectable_difference(3, 0.01, rows=8) > detectable_difference(3, 0.01)
