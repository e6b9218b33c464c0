"""What breeding learns, and operators that act on many genomes at once."""

import numpy as np
import pytest

from evolve.search.operators.adaptation import (
    SIGMA_RANGE,
    adapted_sigmas,
    gene_scales,
    operator_shares,
)
from evolve.search.operators.correlated import correlated
from evolve.search.operators.differential import differential
from evolve.search.operators.niche import far_elites
from evolve.search.operators.start import sobol_point

THREE = ("a", "b", "c")


def test_unknown_operators_share_alike():
    np.testing.assert_allclose(operator_shares({}, {}, THREE, 0.1), 1 / 3)


def test_shares_follow_the_rates_of_success():
    shares = operator_shares({"a": 8, "b": 8}, {"a": 7, "b": 1}, THREE, 0.1)
    rates = np.array([8 / 10, 2 / 10, 1 / 2])
    np.testing.assert_allclose(shares, 0.1 + 0.7 * rates / 1.5)


def test_an_operator_that_never_succeeds_keeps_its_least_share():
    shares = operator_shares({"a": 1000, "b": 1000}, {"b": 1000}, THREE, 0.08)
    assert shares.sum() == pytest.approx(1.0)
    assert 0.08 < shares.min() == shares[0] < 0.082


def test_step_sizes_are_inherited_with_a_change_within_their_range():
    rng = np.random.default_rng(0)
    children = adapted_sigmas(np.full(4000, 0.07), rng)
    assert np.exp(np.mean(np.log(children))) == pytest.approx(0.07, rel=0.05)
    assert np.std(np.log(children)) == pytest.approx(0.7, rel=0.1)
    for parent in SIGMA_RANGE:
        children = adapted_sigmas(np.full(100, parent), rng)
        assert SIGMA_RANGE[0] <= children.min() < children.max() <= SIGMA_RANGE[1]


def test_steps_are_longer_where_the_objective_is_flat():
    scales = gene_scales(np.array([0.2, 0.8, 3.2]), 0.5)
    np.testing.assert_allclose(scales, [np.sqrt(0.3), 1.0, 2.0])
    np.testing.assert_array_equal(gene_scales(np.array([0.2, 9.0]), 0.0), 1.0)


def test_elites_far_from_the_best_in_their_order():
    genes = np.array([[0.5, 0.5], [0.6, 0.5], [0.9, 0.9], [0.1, 0.5], [0.0, 0.0]])
    worth = np.array([9.0, 8.0, 1.0, 5.0, 3.0])
    assert far_elites(genes, worth, 8, 0.2).tolist() == [3, 4, 2]
    assert far_elites(genes, worth, 2, 0.2).tolist() == [3, 4]
    assert far_elites(genes, worth, 8, 0.9).tolist() == []


def test_differential_steps_lie_along_the_difference():
    rng = np.random.default_rng(0)
    base = np.full((500, 2), 0.5)
    apart = np.array([0.2, 0.1])
    first, second = base + apart, base - apart
    steps = differential(base, first, second, 0.3, 0.9, rng) - base
    np.testing.assert_allclose(steps[:, 0], 2 * steps[:, 1])
    assert 0.3 * 0.4 <= steps[:, 0].min() < 0.13
    assert 0.35 < steps[:, 0].max() <= 0.9 * 0.4
    np.testing.assert_array_equal(differential(base, first, first, 0.3, 0.9, rng), base)


def test_correlated_steps_follow_the_elites():
    rng = np.random.default_rng(0)
    along = np.linspace(0.4, 0.6, 20)
    elites = np.stack([along, along], axis=1)
    weights = np.full(20, 0.05)
    steps = correlated(np.full((4000, 2), 0.5), elites, weights, 1.0, rng) - 0.5
    np.testing.assert_allclose(steps.std(axis=0), elites.std(axis=0), rtol=0.05)
    assert np.corrcoef(steps.T)[0, 1] == pytest.approx(20 / 22, abs=0.03)  # 2 dimensions


def test_elites_at_one_place_give_tiny_steps():
    elites = np.full((3, 2), 0.5)
    moved = correlated(elites, elites, np.full(3, 1 / 3), 1.0, np.random.default_rng(0))
    assert 0 < np.abs(moved - 0.5).max() < 0.01


def test_points_of_a_sequence_fill_each_stratum_whenever_it_is_cut():
    points = np.array([sobol_point(index, 3, seed=5) for index in range(16)])
    for count in (2, 4, 8, 16):
        for column in points[:count].T:
            assert sorted((column * count).astype(int)) == list(range(count))
    assert not np.array_equal(points[0], sobol_point(0, 3, seed=6))
