"""Children by every operator."""

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from evolve.search.breeding import (
    CORRELATED,
    CROSSOVER,
    DIFFERENTIAL,
    IMMIGRANT,
    MUTATION,
    OPERATORS,
    RECOMBINATION,
    Elites,
    breed,
)
from evolve.search.genome import GenomeSpace

SPACE = GenomeSpace(
    {
        "kind": CategoricalDistribution(tuple("abcdefgh")),
        "size": CategoricalDistribution((2, 4, 8, 16, 32, 64, 128, 256)),
        "x": FloatDistribution(0.0, 1.0),
        "y": FloatDistribution(0.0, 1.0),
    },
    frozenset({"size"}),
)
GENES = np.array([[0.5, 3.5, 0.30 * 8, 0.5 * 8], [1.5, 3.5, 0.32 * 8, 0.6 * 8],
                  [0.5, 4.5, 0.28 * 8, 0.4 * 8], [1.5, 4.5, 0.31 * 8, 0.5 * 8]]) / 8  # fmt: skip
ELITES = Elites(np.array([7, 2, 9, 4]), GENES, np.array([0.1, 0.1, 0.05, 0.2]))
FLAT = np.ones(4)


def brood_of(*operators: str, count: int = 200, elites: Elites = ELITES, scales=FLAT):
    return breed(SPACE, elites, dict.fromkeys(operators, count), scales, np.random.default_rng(0))


def test_the_best_breed_most_and_the_shares_are_whole():
    np.testing.assert_allclose(ELITES.weights.sum(), 1.0)
    assert (np.diff(ELITES.weights) < 0).all()
    parents = [one for family in brood_of(MUTATION, count=2000).parents for one in family]
    shares = [parents.count(number) / 2000 for number in ELITES.numbers]
    np.testing.assert_allclose(shares, ELITES.weights, atol=0.04)


def test_every_operator_breeds_its_number_of_children_that_have_values():
    counts = {name: place for place, name in enumerate(OPERATORS)}
    brood = breed(SPACE, ELITES, counts, FLAT, np.random.default_rng(0))
    assert len(brood) == len(brood.parents) == len(brood.sigmas) == sum(counts.values())
    assert {name: brood.origins.count(name) for name in OPERATORS} == counts
    np.testing.assert_array_equal(SPACE.snap(brood.genes), brood.genes)
    assert ((brood.genes >= 0) & (brood.genes <= 1)).all()
    assert ((brood.sigmas >= 0.01) & (brood.sigmas <= 0.5)).all()


@pytest.mark.parametrize(
    ("operator", "most"),
    [(CROSSOVER, 2), (MUTATION, 1), (RECOMBINATION, 2), (DIFFERENTIAL, 3), (CORRELATED, 2),
     (IMMIGRANT, 1)],
)  # fmt: skip
def test_parents_are_named_once_each(operator, most):
    brood = brood_of(operator)
    assert max(map(len, brood.parents)) == most
    for family in brood.parents:
        assert len(set(family)) == len(family)
        assert set(family) <= set(ELITES.numbers.tolist())


@pytest.mark.parametrize("operator", [CROSSOVER, DIFFERENTIAL, CORRELATED])
def test_choices_come_from_a_parent_and_numbers_from_near_by(operator):
    brood = brood_of(operator)
    by_number = dict(zip(ELITES.numbers.tolist(), GENES, strict=True))
    for genes, family in zip(brood.genes, brood.parents, strict=True):
        assert genes[0] in [by_number[number][0] for number in family]
    assert np.abs(brood.genes[:, 2] - 0.3).max() < 0.2


def test_most_mutants_of_an_order_move_to_its_neighbours():
    brood = brood_of(MUTATION, elites=Elites(np.array([7]), GENES[:1], np.array([0.1])))
    steps = np.round((brood.genes[:, 1] - GENES[0, 1]) * 8).astype(int)
    near, far = np.abs(steps) == 1, np.abs(steps) > 1
    assert near.sum() > 20
    assert near.sum() > far.sum()
    kinds = brood.genes[:, 0]
    assert len(np.unique(kinds)) == 8  # without an order, all are as near
    assert 0.4 < np.mean(kinds == GENES[0, 0]) < 0.95


def test_every_mutant_differs_and_some_in_one_gene_only():
    brood = brood_of(MUTATION, elites=Elites(np.array([7]), GENES[:1], np.array([0.1])))
    changed = (brood.genes[:, 2:] != GENES[0, 2:]).sum(axis=1)
    assert {0, 1, 2} == set(changed.tolist())


def test_scales_stretch_the_steps_of_their_gene():
    brood = brood_of(MUTATION, RECOMBINATION, scales=np.array([1.0, 1.0, 0.3, 4.0]))
    off = np.abs(brood.genes[:, 2:] - GENES[0, 2:])
    assert np.mean(off[:, 1]) > 2 * np.mean(off[:, 0])


def test_an_immigrant_keeps_some_genes_of_an_elite_and_draws_the_others_from_anywhere():
    brood = brood_of(IMMIGRANT, count=400)
    numbers = ELITES.numbers.tolist()
    parents = np.array([GENES[numbers.index(number)] for (number,) in brood.parents])
    new = np.mean(np.abs(brood.genes[:, 2:] - parents[:, 2:]) > 1e-12)
    assert 0.4 < new < 0.7
    assert brood.genes[:, 2].min() < 0.1
    assert brood.genes[:, 2].max() > 0.9
    assert len(np.unique(brood.genes[:, 1])) == 8


def test_one_elite_is_enough():
    alone = Elites(np.array([3]), GENES[:1], np.array([0.1]))
    brood = brood_of(*OPERATORS, count=10, elites=alone)
    assert set(brood.parents) == {(3,)}


def test_rows_of_a_brood_stay_together():
    brood = brood_of(MUTATION, IMMIGRANT, count=3)
    some = brood[np.array([4, 0])]
    assert some.origins == [IMMIGRANT, MUTATION]
    assert some.parents == [brood.parents[4], brood.parents[0]]
    np.testing.assert_array_equal(some.genes, brood.genes[[4, 0]])
    np.testing.assert_array_equal(some.sigmas, brood.sigmas[[4, 0]])
