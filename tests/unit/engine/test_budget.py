"""Budgets as people write them."""

import pytest

from evolve.budget import Budget
from evolve.errors import SpaceError


@pytest.mark.parametrize(
    ("text", "seconds", "of"),
    [
        ("45m", 2700, "wall"),
        ("12h", 43200, "wall"),
        ("1h30m", 5400, "wall"),
        ("2d", 172800, "wall"),
        ("90s", 90, "wall"),
        ("1.5h", 5400, "wall"),
        ("24gpuh", 86400, "gpu"),
        ("24GPUh", 86400, "gpu"),
        ("90cpum", 5400, "cpu"),
    ],
)
def test_times_are_read(text, seconds, of):
    budget = Budget.parse(text)
    assert (budget.seconds, budget.of) == (seconds, of)


@pytest.mark.parametrize("text", ["", "45", "m", "45x", "1h 30m", "-3h", "1e3s", "3hours", "0m"])
def test_what_is_no_time_is_refused_with_examples(text):
    with pytest.raises(SpaceError) as caught:
        Budget.parse(text, "--budget")
    assert "24gpuh" in caught.value.mend
    assert caught.value.where == "--budget"


def test_clocks_do_not_mix():
    with pytest.raises(SpaceError, match="mixes clocks"):
        Budget.parse("1h30gpum")
