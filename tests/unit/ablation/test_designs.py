"""Designs fit the functions that judge them, and fractions have the resolution they claim."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from evolve.ablation.designs import (
    KINDS,
    add_one_in,
    cumulative,
    fractional_factorial,
    full_factorial,
    leave_one_out,
    make_design,
    pairs,
    shapley,
)
from evolve.ablation.fractions import LETTERS, Fraction, resolution_four
from evolve.analysis.effects import factorial_effects, pair_interactions, shapley_values
from evolve.analysis.judged_rows import judge_table
from evolve.analysis.sampled_shapley import sampled_shapley
from evolve.errors import TableError

GAINS = {"S": 0.01, "M": 0.04, "LS": -0.02, "IT": 0.005, "CA": 0.03, "OA": 0.015, "GA": 0.0}


def trained(design, seeds=3):
    """Trainings whose value is the sum of the gains, and a little that is the seed's own."""
    noise = np.random.default_rng(0).normal(0, 1e-4, (len(design.rows), seeds))
    lines = [
        {"row": key, "seed_index": seed, "state": "COMPLETE",
         "value_test": 0.4 + sum(GAINS[one] for one in on) + 0.01 * seed + noise[i, seed]}
        for i, (key, on) in enumerate(design.on.items())
        for seed in range(seeds)
    ]  # fmt: skip
    return pd.DataFrame(lines)


def keys(design):
    return [row.key for row in design.rows]


def test_one_at_a_time():
    design = add_one_in(["S", "M"])
    assert [(r.key, r.title, set(r.on)) for r in design.rows] == [
        ("base", "baseline", set()), ("S", "+ S", {"S"}), ("M", "+ M", {"M"}),
    ]  # fmt: skip
    assert design.baseline == "base"
    left = leave_one_out(["S", "M"])
    assert [(r.key, set(r.on)) for r in left.rows] == [
        ("all", {"S", "M"}), ("without-S", {"M"}), ("without-M", {"S"}),
    ]  # fmt: skip
    assert left.baseline == "all"
    road = cumulative(["S", "M", "-Flip"])
    assert keys(road) == ["base", "1-S", "2-M", "3-no-Flip"]
    assert road.rows[-1].title == "\u2212 Flip"
    assert road.rows[-1].on == {"S", "M", "-Flip"}


def test_pairs_and_full_factorials_have_all_of_their_rows():
    assert keys(pairs(["S", "M", "LS"])) == ["base", "S", "M", "LS", "S+M", "S+LS", "M+LS"]
    design = full_factorial(["S", "M", "LS"])
    assert len(set(design.on.values())) == 8
    assert design.rows[-1].title == "S + M + LS"


def test_rows_of_every_design_can_name_folders_and_hold_the_baseline():
    for kind in KINDS:
        design = make_design(kind, ["S", "M", "LS", "-Flip"])
        names = [key.casefold() for key in keys(design)]
        assert len(set(names)) == len(names)
        assert design.baseline in keys(design)
        assert all(key[0].isalnum() for key in names)


def test_long_names_are_numbered():
    names = [f"{letter}-a-rather-long-name" for letter in "ABCDE"]
    last = full_factorial(names).rows[-1]
    assert (last.key, len(last.on)) == ("5-on-31", 5)


@pytest.mark.parametrize("count", range(4, 17))
def test_no_main_effect_is_mixed_with_another_or_with_a_pair(count):
    fraction = resolution_four(LETTERS[:count])
    rows = list(fraction.subsets())
    assert len(rows) == {4: 8}.get(count, 16 if count <= 8 else 32) == len(set(rows))
    assert rows[0] == frozenset()
    signs = np.array([[1 if f in on else -1 for f in fraction.factors] for on in rows])
    assert not signs.sum(axis=0).any()  # balance
    assert not (signs.T @ signs - len(rows) * np.eye(count)).any()  # mains are apart
    for i, j in itertools.combinations(range(count), 2):
        assert not (signs.T @ (signs[:, i] * signs[:, j])).any()  # and apart from pairs
    assert fraction.resolution >= 4


@pytest.mark.parametrize("count", [4, 5, 6, 8, 9])
def test_aliases_are_those_of_the_signs(count):
    fraction = resolution_four(LETTERS[:count])
    rows = list(fraction.subsets())

    def signs(effect):
        return np.array([math.prod(1 if f in on else -1 for f in effect) for on in rows])

    aliases = fraction.aliases()
    for effect, other in itertools.permutations(aliases, 2):
        same = abs(signs(effect) @ signs(other)) == len(rows)
        assert (other in aliases[effect]) == same


def test_defining_relation_of_a_quarter():
    fraction = resolution_four("ABCDEF")
    words = {"".join(sorted(word)) for word in fraction.relation()}
    assert words == {"ABCE", "BCDF", "ADEF"}
    assert resolution_four("ABCDE").resolution == 5
    assert fraction.aliases()[frozenset("AE")] == (frozenset("BC"), frozenset("DF"))
    assert Fraction(("A", "B"), (("B", frozenset("A")),)).resolution == 2


@pytest.mark.parametrize("make", [full_factorial, fractional_factorial])
def test_factorial_effects_take_factorials(make):
    frame = factorial_effects(trained(d := make(list(GAINS)[:4])), d.on).set_index("name")
    for one in d.ingredients:
        assert frame.loc[one, "mean"] == pytest.approx(GAINS[one], abs=1e-3)


def test_the_largest_fraction_has_main_effects():
    names = [f"X{i}" for i in range(16)]
    design = fractional_factorial(names)
    rng = np.random.default_rng(1)
    lines = [
        {"row": key, "seed_index": s, "state": "COMPLETE",
         "value_test": 0.1 * ("X3" in on) + 1e-4 * rng.normal()}
        for key, on in design.on.items() for s in range(2)
    ]  # fmt: skip
    frame = factorial_effects(pd.DataFrame(lines), design.on).set_index("name")
    assert frame.loc["X3", "mean"] == pytest.approx(0.1, abs=1e-3)
    assert abs(frame.loc["X15", "mean"]) < 1e-3


def test_pair_interactions_take_pairs_and_shapley_values_all_subsets():
    design = pairs(["S", "M", "LS"])
    frame = pair_interactions(trained(design), design.on)
    assert sorted(frame["name"]) == ["LS \u00d7 M", "LS \u00d7 S", "M \u00d7 S"]
    assert np.allclose(frame["mean"], 0, atol=1e-3)
    exact = shapley(["S", "M", "LS"])
    values = shapley_values(trained(exact), exact.on).set_index("ingredient")["mean"]
    assert values.to_dict() == pytest.approx({k: GAINS[k] for k in exact.ingredients}, abs=1e-3)
    assert not exact.orders


def test_sampled_shapley_takes_drawn_orders():
    design = shapley(list(GAINS), orders=4, seed=3)
    assert design == shapley(list(GAINS), orders=4, seed=3) != shapley(list(GAINS), 4, 4)
    assert [order[::-1] for order in design.orders[::2]] == list(design.orders[1::2])
    assert len(design.rows) < 2 ** len(GAINS)
    values = sampled_shapley(trained(design), design.on, design.orders).set_index("ingredient")
    assert values["mean"].to_dict() == pytest.approx(GAINS, abs=1e-3)


def test_rows_can_be_judged_against_the_named_baseline():
    design = leave_one_out(["S", "M"])
    frame = judge_table(trained(design), keys(design), design.baseline).set_index("row")
    assert frame.loc["all", "word"] == "baseline"
    assert frame.loc["without-M", "delta"] == pytest.approx(-0.04, abs=1e-3)


@pytest.mark.parametrize(
    ("kind", "ingredients", "message"),
    [
        ("pairs", ["S"], "1 ingredient has no others.*\n.*pairs\n.*add-one-in"),
        ("full-factorial", list("ABCDEFGH"), "256 rows\n.*\n.*fractional-factorial"),
        ("fractional-factorial", ["S", "M"], "of 4 to 16 ingredients, not 2\n.*\n.*full-"),
        ("fractional-factorial", list(LETTERS + "Z"), "not 17\n.*\n.*name 16 at most"),
        ("add-one-in", ["S", "M", "S"], "S is named twice"),
    ],
)
def test_too_few_or_too_many_are_refused(kind, ingredients, message):
    with pytest.raises(TableError, match=message):
        make_design(kind, ingredients)


@pytest.mark.parametrize("orders", [2, 5])
def test_orders_come_in_pairs(orders):
    with pytest.raises(TableError, match="take an even number from 4 on"):
        shapley(list(GAINS), orders=orders)
