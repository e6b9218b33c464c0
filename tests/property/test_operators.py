"""What every genetic operator keeps, for any genome and any distribution."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from evolve.search.breeding import OPERATORS, Elites, breed
from evolve.search.genome import GenomeSpace
from evolve.search.operators.adaptation import operator_shares
from evolve.search.operators.correlated import correlated
from evolve.search.operators.crossover import blend, pick
from evolve.search.operators.differential import differential
from evolve.search.operators.encoding import decode, decode_all, encode, encode_all, snap
from evolve.search.operators.mutation import gaussian, reflect, reset
from evolve.search.operators.selection import tournament
from evolve.search.operators.start import keep_mostly, near, sobol_point
from evolve.search.surrogate import Hyper, condition, kernel

units = st.floats(0.0, 1.0)
seeds = st.integers(0, 2**32)
genomes = st.lists(units, min_size=1, max_size=20).map(np.array)
pairs = st.lists(st.tuples(units, units), min_size=1, max_size=20).map(
    lambda rows: tuple(np.array(rows).T)
)


@st.composite
def distributions(draw) -> BaseDistribution:
    kind = draw(st.sampled_from(["float", "log", "step", "int", "int log", "choice"]))
    if kind == "choice":
        return CategoricalDistribution(tuple("abcdefgh"[: draw(st.integers(1, 8))]))
    if kind.startswith("int"):
        low, width = draw(st.integers(1, 100)), draw(st.integers(0, 1000))
        if kind == "int log":
            return IntDistribution(low, low + width, log=True)
        step = draw(st.integers(1, 32))
        return IntDistribution(-low, -low + step * width, step=step)
    low, width = draw(st.floats(1e-6, 100.0)), draw(st.floats(1e-3, 1000.0))
    if kind == "step":
        return FloatDistribution(0.0, 0.25 * draw(st.integers(1, 50)), step=0.25)
    return FloatDistribution(low, low + width, log=kind == "log")


@given(distributions(), units)
def test_a_decoded_value_is_inside_and_encodes_back_to_itself(distribution, gene):
    value = decode(gene, distribution)
    assert distribution._contains(distribution.to_internal_repr(value))
    again = decode(encode(value, distribution), distribution)
    assert again == (pytest.approx(value, rel=1e-9) if isinstance(value, float) else value)


@given(st.integers(1, 40), st.integers(0, 40), st.booleans())
def test_every_whole_number_survives_the_round_trip(low, above, log):
    distribution = IntDistribution(low, low + 40, log=log)
    value = low + above
    assert decode(encode(value, distribution), distribution) == value


@given(distributions(), genomes)
@example(IntDistribution(1, 100_000, log=True), np.array([0.0, 0.05, 0.3, 1.0]))
@example(FloatDistribution(0.5, 0.5), np.array([0.2, 0.8]))
def test_snapping_is_decoding_and_encoding_and_once_is_enough(distribution, genes):
    """A gene on the very edge between two values may go either way; real numbers stay."""
    snapped = snap(genes, distribution)
    np.testing.assert_array_equal(snap(snapped, distribution), snapped)
    if isinstance(distribution, FloatDistribution) and not distribution.step:
        one_value = distribution.low == distribution.high
        np.testing.assert_array_equal(snapped, 0.5 if one_value else genes)
        return
    for gene, found in zip(genes.tolist(), snapped.tolist(), strict=True):
        ways = [encode(decode(at, distribution), distribution) for at in _beside(gene)]
        assert min(abs(found - way) for way in ways) < 1e-9


def _beside(gene: float) -> list[float]:
    return [gene, max(gene - 1e-12, 0.0), min(gene + 1e-12, 1.0)]


@given(st.dictionaries(st.sampled_from("abcdef"), distributions(), min_size=1), st.data())
def test_whole_genomes_round_trip(space, data):
    genes = np.array([data.draw(units) for _ in space])
    values = decode_all(genes, space)
    again = encode_all(decode_all(encode_all(values, space), space), space)
    np.testing.assert_allclose(again, encode_all(values, space), rtol=0, atol=1e-9)
    del values[next(iter(space))]
    assert np.isnan(encode_all(values, space)[0])


@given(pairs, st.floats(0.0, 2.0), seeds)
def test_a_blended_child_is_inside_the_cube_and_around_its_parents(parents, alpha, seed):
    first, second = parents
    child = blend(first, second, alpha, np.random.default_rng(seed))
    assert np.all((child >= 0.0) & (child <= 1.0))
    if alpha == 0.0:
        low, high = np.minimum(first, second), np.maximum(first, second)
        assert np.all((child >= low - 1e-12) & (child <= high + 1e-12))


@given(genomes, st.floats(0.0, 2.0), seeds)
def test_equal_parents_give_that_parent(genes, alpha, seed):
    rng = np.random.default_rng(seed)
    np.testing.assert_array_equal(blend(genes, genes, alpha, rng), genes)
    np.testing.assert_array_equal(pick(genes, genes, rng), genes)


@given(pairs, seeds)
def test_a_picked_gene_is_of_one_parent(parents, seed):
    child = pick(*parents, np.random.default_rng(seed))
    assert np.all((child == parents[0]) | (child == parents[1]))


@given(genomes, st.floats(0.0, 1.0), st.floats(0.0, 5.0), seeds)
def test_mutants_are_inside_and_leave_the_parent_alone(genes, rate, sigma, seed):
    before, rng = genes.copy(), np.random.default_rng(seed)
    for mutant in (gaussian(genes, rate, sigma, rng), reset(genes, rate, rng)):
        assert np.all((mutant >= 0.0) & (mutant <= 1.0))
    np.testing.assert_array_equal(genes, before)


@given(genomes, seeds)
def test_mutation_at_rate_zero_is_a_copy_and_at_one_changes_every_gene(genes, seed):
    rng = np.random.default_rng(seed)
    np.testing.assert_array_equal(gaussian(genes, 0.0, 1.0, rng), genes)
    np.testing.assert_array_equal(reset(genes, 0.0, rng), genes)
    assert np.all(gaussian(genes, 1.0, 0.1, rng) != genes)
    assert np.all(reset(genes, 1.0, rng) != genes)


@given(st.lists(st.floats(-10, 10), min_size=1).map(np.array))
def test_reflection_folds_into_the_cube_and_is_idempotent(genes):
    once = reflect(genes)
    assert np.all((once >= 0.0) & (once <= 1.0))
    np.testing.assert_array_equal(reflect(once), once)


@given(genomes, units, st.floats(0.01, 0.9))
def test_genes_of_the_start_are_inside(genes, centre, part):
    for found in (near(genes, np.array(centre), part), keep_mostly(genes, np.array(centre), part)):
        assert np.all((found >= 0.0) & (found <= 1.0))
    assert np.all(keep_mostly(genes, np.array(centre), part)[genes < part] == centre)


@given(st.integers(0, 200), st.integers(1, 30), st.integers(0, 2**63))
def test_a_point_of_the_sequence_depends_on_its_index_alone(index, dims, seed):
    point = sobol_point(index, dims, seed)
    assert point.shape == (dims,)
    assert np.all((point >= 0.0) & (point < 1.0))
    np.testing.assert_array_equal(sobol_point(index, dims, seed), point)


@given(st.integers(1, 50), st.integers(1, 10), seeds)
def test_a_tournament_has_a_winner_and_a_large_one_the_best(count, size, seed):
    rng = np.random.default_rng(seed)
    assert 0 <= tournament(count, size, rng) < count
    assert tournament(count, 1000, rng) == 0


tables = st.integers(1, 5).flatmap(
    lambda dims: st.lists(st.lists(units, min_size=dims, max_size=dims), min_size=2, max_size=8)
).map(np.array)  # fmt: skip


@given(tables, seeds)
def test_steps_along_the_elites_stay_inside(elites, seed):
    rng = np.random.default_rng(seed)
    weights = np.full(len(elites), 1.0 / len(elites))
    for moved in (
        correlated(elites, elites, weights, 1.0, rng),
        differential(elites, elites[::-1], elites, 0.3, 0.9, rng),
    ):
        assert moved.shape == elites.shape
        assert np.all((moved >= 0.0) & (moved <= 1.0))


@given(
    st.dictionaries(st.sampled_from("abcdef"), distributions(), min_size=1),
    st.sets(st.sampled_from("abcdef")),
    seeds,
)
def test_children_have_values_whatever_the_space(kinds, ordinal, seed):
    space, rng = GenomeSpace(kinds, frozenset(ordinal)), np.random.default_rng(seed)
    elites = Elites(
        np.arange(3), space.snap(rng.random((3, len(space)))), rng.uniform(0.01, 0.5, 3)
    )
    brood = breed(space, elites, dict.fromkeys(OPERATORS, 5), np.ones(len(space)), rng)
    assert brood.genes.shape == (30, len(space))
    for genes in brood.genes:
        for name, value in space.decode(genes).items():
            assert kinds[name]._contains(kinds[name].to_internal_repr(value))


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=8))
def test_shares_are_a_whole_and_never_below_the_least(counts):
    names = [str(place) for place in range(len(counts))]
    uses = {name: max(pair) for name, pair in zip(names, counts, strict=True)}
    successes = {name: min(pair) for name, pair in zip(names, counts, strict=True)}
    shares = operator_shares(uses, successes, names, 0.1)
    assert shares.sum() == pytest.approx(1.0)
    assert shares.min() >= 0.1


@given(tables, seeds)
def test_a_kernel_is_a_covariance_and_data_make_surer(points, seed):
    rng = np.random.default_rng(seed)
    dims = points.shape[1]
    nominal = rng.random(dims) < 0.5
    hyper = Hyper(rng.uniform(0.1, 5.0, dims), rng.uniform(0.1, 5.0), 0.1, 0.0)
    covariance = kernel(points, points, nominal, hyper)
    np.testing.assert_allclose(covariance, covariance.T, atol=1e-12)
    assert np.linalg.eigvalsh(covariance).min() > -1e-9
    values = rng.standard_normal(len(points))
    process = condition(points, values, np.zeros(len(points)), nominal, hyper)
    mean, sd = process.predict(points)
    assert np.isfinite(mean).all()
    assert np.all(sd <= np.sqrt(hyper.variance) + 1e-9)
