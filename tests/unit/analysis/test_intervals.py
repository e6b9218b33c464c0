import math

import numpy as np
import pytest
from scipy import integrate, stats

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
def test_both_parts_are_averaged_over_what_the_seeds_part_may_be(df, part):
    def density(log):
        ratio = math.exp(log)  # of the mean square to the variance
        lean = (1 + 0.035 * math.sqrt(df) * part * ratio) ** 2
        return stats.chi2.pdf(df * ratio, df) * ratio * lean

    def beyond(log, away):
        return density(log) * stats.norm.sf(away / math.sqrt(math.exp(-log) + part))

    whole = integrate.quad(density, -60, 10, limit=200)[0]
    spread = Spread(Part(1.0, df), (Part(part, math.inf),))
    away = [0.5, 2.0, 6.0]
    expected = [integrate.quad(beyond, -60, 10, args=(x,), limit=200)[0] / whole for x in away]
    assert spread.tail(away) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("part", [0.03, 0.3, 3.0])
@pytest.mark.parametrize(("df", "least"), [(1, 0.94), (2, 0.95), (4, 0.95)])
def test_95_of_100_intervals_hold_the_truth_whatever_the_parts(df, least, part):
    nodes, weights = np.polynomial.legendre.leggauss(64)
    squares = stats.chi2.ppf((nodes + 1) / 2, df) / df  # of seeds whose variance is 1
    reaches = [Spread(Part(one, df), (Part(part, math.inf),)).reach() for one in squares]
    held = 1 - 2 * stats.norm.sf(np.array(reaches) / math.sqrt(1 + part))
    assert least <= held @ weights / 2 + 5e-4
    assert held @ weights / 2 <= 0.9705


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


def test_what_other_rows_lend_stays_with_more_seeds():
    more = Spread(Part(1.0, 5.5), (Part(0.5, 9),), lent=3.5).with_seeds(6)
    assert (more.seeds, more.lent) == (Part(0.5, 8.5), 3.5)


@pytest.mark.parametrize(("away", "chance"), [(0.0, 0.5), (0.1, 0.0), (-0.1, 1.0)])
def test_without_variance_there_is_no_error(away, chance):
    none = Spread(Part(0.0, 2))
    assert (none.tail(away), none.reach(), none.df()) == (chance, 0.0, math.inf)
