"""What every genetic operator keeps, for any genome and any distribution."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from evolve.search.operators.crossover import blend, pick
from evolve.search.operators.encoding import decode, decode_all, encode, encode_all
from evolve.search.operators.mutation import gaussian, reflect, reset
from evolve.search.operators.novelty import distance
from evolve.search.operators.selection import tournament
from evolve.search.operators.start import keep_mostly, latin_gene, near

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


@given(st.integers(1, 30), seeds)
def test_a_latin_dimension_uses_every_stratum_once(count, seed):
    genes = [latin_gene(i, count, np.random.default_rng(seed)) for i in range(count)]
    assert sorted(int(gene * count) for gene in genes) == list(range(count))


@given(units, units, st.floats(0.01, 0.9))
def test_genes_of_the_start_are_inside(gene, centre, part):
    assert 0.0 <= near(gene, centre, part) <= 1.0
    assert 0.0 <= keep_mostly(gene, centre, part) <= 1.0


@given(st.integers(1, 50), st.integers(1, 10), seeds)
def test_a_tournament_has_a_winner_and_a_large_one_the_best(count, size, seed):
    rng = np.random.default_rng(seed)
    assert 0 <= tournament(count, size, rng) < count
    assert tournament(count, 1000, rng) == 0


@settings(max_examples=50)
@given(pairs)
def test_distance_is_symmetric_zero_to_itself_and_at_most_one(parents):
    first, second = parents
    nominal = np.zeros(first.shape, dtype=bool)
    assume(first.size > 0)
    assert distance(first, [second], nominal) == distance(second, [first], nominal) <= 1.0
    assert distance(first, [second, first], nominal) == 0.0
    assert distance(first, [], nominal) == np.inf
