import math

import numpy as np
import pytest
from scipy import stats

from evolve.analysis.intervals import Part, Spread


@pytest.mark.parametrize("df", [1, 2, 9])
def test_seeds_alone_are_the_t(df):
    spread = Spread(Part(0.25, df))
    away = np.array([0.0, 0.3, 1.0, 30.0])
    assert spread.tail(away) == pytest.approx(stats.t.sf(away / 0.5, df))
    assert spread.reach() == pytest.approx(0.5 * stats.t.ppf(0.975, df))
    assert (spread.se, spread.df()) == (0.5, pytest.approx(df, rel=1e-4))


@pytest.mark.parametrize("df", [1, 2, 9])
@pytest.mark.parametrize("tiny", [1e-12, 1e-4])
def test_a_tiny_image_part_changes_nothing(df, tiny):
    away = np.array([0.1, 1.0, 30.0])
    spread = Spread(Part(0.25, df), (Part(tiny, 99),))
    assert spread.tail(away) == pytest.approx(stats.t.sf(away / 0.5, df), rel=0.01)


def test_seeds_that_hardly_differ_leave_the_t_of_the_images():
    spread = Spread(Part(1e-12, 4), (Part(0.25, 7),))
    assert spread.tail(1.0) == pytest.approx(stats.t.sf(2, 7), rel=1e-4)


@pytest.mark.parametrize(("df", "part"), [(1, 0.5), (2, 0.1), (4, 2.0)])
def test_both_parts_are_the_sum_of_a_t_and_a_normal(df, part):
    rng = np.random.default_rng(0)
    drawn = rng.standard_t(df, 400_000) + math.sqrt(part) * rng.normal(size=400_000)
    spread = Spread(Part(1.0, df), (Part(part, math.inf),))
    away = [0.5, 2.0, 6.0]
    assert spread.tail(away) == pytest.approx([np.mean(drawn > x) for x in away], abs=0.003)


def test_the_variance_is_never_below_the_least():
    agreeing = Spread(Part(0.0, 1), (Part(0.5, 19),), Part(0.75, 19))
    assert agreeing.se == pytest.approx(math.sqrt(0.75))
    assert agreeing.reach() == pytest.approx(math.sqrt(0.75) * stats.t.ppf(0.975, 19))


def test_errors_to_both_sides_are_alike():
    spread = Spread(Part(1.0, 2), (Part(0.5, 9),))
    assert spread.tail(-1.3) + spread.tail(1.3) == pytest.approx(1)
    assert spread.tail(0.0) == pytest.approx(0.5)


def test_more_seeds_lower_their_part_alone():
    more = Spread(Part(1.0, 2), (Part(0.5, 9),)).with_seeds(6)
    assert (more.seeds, more.fixed) == (Part(0.5, 5), 0.5)


@pytest.mark.parametrize(("away", "chance"), [(0.0, 0.5), (0.1, 0.0), (-0.1, 1.0)])
def test_without_variance_there_is_no_error(away, chance):
    none = Spread(Part(0.0, 2))
    assert (none.tail(away), none.reach(), none.df()) == (chance, 0.0, math.inf)
