import itertools
import math

import numpy as np
import pytest

from evolve.analysis.effects import (
    factorial_effects,
    pair_interactions,
    shapley_values,
    shapley_weights,
)
from evolve.analysis.sampled_shapley import draw_orders, sampled_shapley
from tests.unit.analysis.test_contrasts import frame

BY = " \u00d7 "


def subsets(names):
    sizes = range(len(names) + 1)
    every = [frozenset(c) for size in sizes for c in itertools.combinations(names, size)]
    return {"+".join(sorted(on)) or "none": on for on in every}


def train(design, value, seeds=3, noise=0.0, rng=None):
    """Trainings whose value is a function of what is on."""
    rng = rng or np.random.default_rng(0)
    shift = rng.normal(0, 0.1, seeds)  # of a seed, on all rows
    rows = {
        row: (value(on) + shift + noise * rng.normal(size=seeds)).tolist()
        for row, on in design.items()
    }
    return frame(**rows)


def worth(on):
    return 0.3 + 0.02 * ("a" in on) + 0.01 * ("b" in on) + 0.04 * ({"a", "c"} <= on)


def test_full_factorial_by_hand():
    design = subsets("abc")
    found = factorial_effects(train(design, worth), design).set_index("name")
    assert found["mean"].to_dict() == pytest.approx(
        {"a": 0.04, "b": 0.01, "c": 0.02, f"a{BY}b": 0, f"a{BY}c": 0.04, f"b{BY}c": 0}, abs=1e-12
    )
    assert found["kind"].tolist() == ["main effect"] * 3 + ["interaction"] * 3
    assert set(found["aliases"]) == {()}
    assert (found["pairs"] == 3).all()


def test_a_half_fraction_names_its_aliases():
    full = subsets("abcd")
    half = {row: on for row, on in full.items() if len(on) % 2 == 0}  # I = abcd
    found = factorial_effects(train(half, worth), half).set_index("name")
    assert found["aliases"]["a"] == (f"b{BY}c{BY}d",)
    assert found["aliases"][f"a{BY}c"] == (f"b{BY}d",)
    assert found.index.tolist() == ["a", "b", "c", "d", f"a{BY}b", f"a{BY}c", f"a{BY}d"]
    assert found["mean"][f"a{BY}c"] == pytest.approx(0.04)
    assert found["mean"]["a"] == pytest.approx(0.04)


def test_the_other_half_has_the_opposite_sign():
    half = {row: on for row, on in subsets("abcd").items() if len(on) % 2}
    found = factorial_effects(train(half, worth), half).set_index("name")
    assert found["aliases"][f"a{BY}c"] == (f"\u2212b{BY}d",)


def test_rows_out_of_balance_have_no_effects():
    design = {"none": frozenset(), "a": frozenset("a"), "b": frozenset("b")}
    with pytest.raises(ValueError, match="the rows are not in balance for a"):
        factorial_effects(train(design, worth), design)
    mixed = {str(i): frozenset(on) for i, on in enumerate(["", "a", "ab", "ab", "b", ""])}
    with pytest.raises(ValueError, match="a and b are neither apart nor the same"):
        factorial_effects(train(mixed, worth), mixed)


def test_a_failed_row_leaves_its_seed_out():
    design = subsets("ab")
    trainings = train(design, worth)
    trainings.loc[1, ["state", "value_test"]] = ["FAIL", math.nan]
    assert (factorial_effects(trainings, design)["pairs"] == 2).all()


def test_interactions_of_pairs():
    design = {row: on for row, on in subsets("abc").items() if len(on) < 3}
    del design["b+c"]
    found = pair_interactions(train(design, worth), design).set_index("name")
    assert found["mean"].to_dict() == pytest.approx({f"a{BY}b": 0, f"a{BY}c": 0.04}, abs=1e-12)


def test_shapley_by_hand():
    design = subsets("abc")
    found = shapley_values(train(design, worth), design).set_index("ingredient")
    assert found["mean"].to_dict() == pytest.approx({"a": 0.04, "b": 0.01, "c": 0.02})


def test_shapley_values_add_up_to_all_minus_none():
    weights = shapley_weights(subsets("abcd"))
    total = {row: sum(one[row] for one in weights.values()) for row in subsets("abcd")}
    assert total == pytest.approx(
        {row: (row == "a+b+c+d") - (row == "none") for row in total}, abs=1e-12
    )


def test_shapley_takes_every_subset():
    design = subsets("ab")
    del design["a"]
    with pytest.raises(ValueError, match="3 rows for the 4 subsets of 2 ingredients"):
        shapley_weights(design)


def test_all_orders_give_the_exact_values():
    design, orders = subsets("abc"), list(itertools.permutations("abc"))
    trainings = train(design, worth, noise=0.01)
    exact = shapley_values(trainings, design).set_index("ingredient")
    found = sampled_shapley(trainings, design, orders, antithetic=False).set_index("ingredient")
    assert found["mean"].to_dict() == pytest.approx(exact["mean"].to_dict())


def test_few_orders_are_less_sure_than_all_subsets():
    design = subsets("abc")
    trainings = train(design, worth, noise=0.001)
    orders = draw_orders("abc", 4, np.random.default_rng(0), antithetic=False)
    exact = shapley_values(trainings, design).set_index("ingredient")
    found = sampled_shapley(trainings, design, orders, antithetic=False).set_index("ingredient")
    assert found["se"]["c"] > 1.9 * exact["se"]["c"]


def test_antithetic_orders_come_with_their_reverse():
    orders = draw_orders("abcd", 6, np.random.default_rng(0))
    assert [one[::-1] for one in orders[::2]] == list(orders[1::2])
    assert all(sorted(one) == list("abcd") for one in orders)
    with pytest.raises(ValueError, match="5 orders are not pairs"):
        draw_orders("abcd", 5, np.random.default_rng(0))


def test_one_draw_tells_nothing_of_the_next():
    design = subsets("ab")
    with pytest.raises(ValueError, match="2 orders do not tell"):
        sampled_shapley(train(design, worth), design, [("a", "b"), ("b", "a")])
    with pytest.raises(ValueError, match=r"no row has on just \['c'\]"):
        sampled_shapley(train(design, worth), design, [("a", "c"), ("c", "a")], antithetic=False)


@pytest.mark.parametrize("antithetic", [False, True])
def test_19_of_20_intervals_of_drawn_orders_hold_the_truth(antithetic):
    names, rng, held = "abcd", np.random.default_rng(7), []
    design = subsets(names)
    gains = {pair: rng.normal(0, 0.02) for pair in itertools.combinations(names, 2)}

    def value(on):
        return sum(gain for pair, gain in gains.items() if set(pair) <= on)

    truth = {n: sum(gain for pair, gain in gains.items() if n in pair) / 2 for n in names}
    for _ in range(25):
        orders = draw_orders(names, 12, rng, antithetic=antithetic)
        used = {frozenset(order[:i]) for order in orders for i in range(len(names) + 1)}
        rows = {row: on for row, on in design.items() if on in used}
        trainings = train(rows, value, seeds=3, noise=0.002, rng=rng)
        found = sampled_shapley(trainings, rows, orders, antithetic=antithetic)
        held += [
            low <= truth[n] <= high
            for n, low, high in zip(found["ingredient"], found["low"], found["high"], strict=True)
        ]
    assert 0.90 <= np.mean(held) <= 1.0
