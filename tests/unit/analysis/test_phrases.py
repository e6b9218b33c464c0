import pytest

from evolve.analysis.phrases import change, digits_for, listed, points, probability, span


@pytest.mark.parametrize(
    ("fraction", "text"),
    [(0.0314, "3.1"), (-0.0314, "\u22123.1"), (-0.0001, "0.0"), (0.0, "0.0")],
)
def test_points(fraction, text):
    assert points(fraction) == text


def test_an_interval_beside_zero_shows_on_which_side():
    assert span(0.0003, 0.021) == "95 % interval 0.03 to 2.10"
    assert span(-0.0112, 0.021) == "95 % interval \u22121.1 to 2.1"
    assert digits_for(0.0, 0.02) == 1


@pytest.mark.parametrize(
    ("p", "text"),
    [(0.9973, "above 0.99"), (1.0, "above 0.99"), (0.97, "0.97"), (0.0, "below 0.01")],
)
def test_no_probability_is_certain(p, text):
    assert probability(p) == text


def test_lists_read_as_prose():
    assert [listed(items) for items in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "", "a", "a and b", "a, b and c",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (0.002, 0.00713, "0.002 -> 0.0071"),
        (0.9, 0.9041, "0.9 -> 0.904"),
        (0.1, 0.1 + 1e-12, "0.1 -> 0.100000000001"),
        ("sgd", "adam", "sgd -> adam"),
        (16, 1024, "16 -> 1,024"),
        (False, True, "False -> True"),
        (None, 0.5, "off -> 0.5"),
    ],
)
def test_a_change_shows_a_difference(old, new, text):
    assert change(old, new) == text
