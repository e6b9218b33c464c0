"""Genomes of a space with choices, orders and conditions."""

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from evolve.search.genome import ABSENT, GenomeSpace

KINDS = {
    "attack": CategoricalDistribution(("none", "fgsm", "pgd")),
    "size": CategoricalDistribution((2, 4, 8, 16)),
    "an_epsilon": FloatDistribution(0.0, 2.0),
    "a_step": IntDistribution(1, 4),
}
CONDITIONS = {
    "an_epsilon": {"attack": ("fgsm", "pgd")},
    "a_step": {"an_epsilon": (0.5,), "attack": ("pgd",)},
}
FGSM, PGD, NONE = 0.5, 2.5 / 3, 0.5 / 3


@pytest.fixture
def space():
    return GenomeSpace(KINDS, frozenset({"size"}), CONDITIONS)


def test_parents_come_before_their_children(space):
    assert space.names == ["attack", "size", "an_epsilon", "a_step"]
    assert [name for name, _ in space.items()] == space.names
    assert len(space) == 4


def test_only_choices_without_an_order_are_nominal(space):
    assert space.nominal.tolist() == [True, False, False, False]


def test_values_that_are_not_there_have_no_gene(space):
    genes = space.encode({"attack": "fgsm", "size": 8, "an_epsilon": 1.5})
    np.testing.assert_allclose(genes, [FGSM, 0.625, 0.75, np.nan])


def test_genes_move_to_the_values_that_they_stand_for(space):
    genes = np.array([[0.3, 0.74, 0.333, 1.0], [0.99, 0.76, 0.0, 0.26]])
    before = genes.copy()
    snapped = space.snap(genes)
    np.testing.assert_allclose(snapped, [[NONE, 0.625, 0.333, 0.875], [PGD, 0.875, 0.0, 0.375]])
    np.testing.assert_array_equal(genes, before)
    assert GenomeSpace({}).snap(np.empty((3, 0))).shape == (3, 0)


def test_a_parameter_exists_when_all_its_parents_exist_and_fit(space):
    genes = np.array(
        [
            [NONE, 0.125, 0.25, 0.125],  # no attack: no epsilon, whatever its gene
            [FGSM, 0.125, 0.25, 0.125],  # an epsilon, but a step needs pgd
            [PGD, 0.125, 0.25, 0.125],  # all there is: 0.25 is an epsilon of 0.5
            [PGD, 0.125, 0.26, 0.125],
        ]
    )
    there = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 0]], dtype=bool)
    np.testing.assert_array_equal(space.active(genes), there)
    decoded = [set(space.decode(row)) for row in genes]
    expected = [{name for name, on in zip(space.names, row, strict=True) if on} for row in there]
    assert decoded == expected


def test_what_does_not_exist_counts_the_same_in_all_genomes(space):
    genes = np.array([[NONE, 0.125, 0.9, 0.9], [NONE, 0.125, np.nan, 0.1]])
    np.testing.assert_allclose(space.complete(genes), [[NONE, 0.125, ABSENT, ABSENT]] * 2)
    assert np.isnan(genes[1, 2])


def test_without_conditions_only_what_is_missing_is_filled():
    space = GenomeSpace({"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)})
    completed = space.complete(np.array([[0.2, np.nan]]))
    np.testing.assert_array_equal(completed, [[0.2, ABSENT]])


def test_values_survive_the_round_trip_through_genes(space):
    values = {"attack": "pgd", "size": 16, "an_epsilon": 0.5, "a_step": 3}
    assert space.decode(space.encode(values)) == values
    assert space.decode(space.encode({**values, "attack": "none"})) == {
        "attack": "none",
        "size": 16,
    }


def test_neighbours_in_order_are_neighbours_in_genes(space):
    genes = [space.encode({"size": size})[1] for size in (2, 4, 8, 16)]
    np.testing.assert_allclose(np.diff(genes), 0.25)


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({"size": {"shape": (1,)}}, "the condition of 'size' names 'shape', which is not there"),
        ({"shape": {"size": (2,)}}, "the condition of 'shape' names 'shape'"),
        (
            {"size": {"attack": ("fgsm",)}, "attack": {"size": (2,)}},
            "the conditions of attack, size go round in a circle",
        ),
    ],
)
def test_conditions_that_cannot_be_are_refused(conditions, message):
    with pytest.raises(ValueError, match=message):
        GenomeSpace(KINDS, conditions=conditions)


def test_every_value_of_a_choice_is_a_branch_that_opens_what_depends_on_it(space):
    found = [(one.column, round(one.gene, 3), one.opens) for one in space.branches()]
    column = space.names.index("attack")
    assert [gene for at, gene, _ in found if at == column] == [0.167, 0.5, 0.833]
    assert {at for at, _, _ in found} == {column}  # the ordinal one is a number
    assert sum(opens for _, _, opens in found) > 0


def test_a_forced_choice_makes_those_that_it_depends_on():
    deep = GenomeSpace(
        {
            "a": CategoricalDistribution(("off", "on")),
            "b": CategoricalDistribution(("p", "q", "r")),
            "c": FloatDistribution(0.0, 1.0),
        },
        conditions={"b": {"a": ("on",)}, "c": {"b": ("q", "r")}},
    )
    genes = np.array([[0.25, 1 / 6, 0.3], [0.75, 0.5, 0.4]])
    branch = next(one for one in deep.branches() if one.column == 1 and one.gene > 0.8)
    forced = deep.forced(genes, branch)
    np.testing.assert_allclose(forced, [[0.75, 5 / 6, 0.3], [0.75, 5 / 6, 0.4]])
    assert deep.active(forced).all()
    assert genes[0, 0] == 0.25
