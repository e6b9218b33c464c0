import math
import pickle

import pytest

from evolve.errors import SpaceError
from evolve.space.constraints import NUMBER, TEXT, TRUTH, UNKNOWN, Constraint, kind_of

VALUES = {"a": 0.25, "b.c": 4, "word": "ciou", "on": True}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("a < 1", True),
        ("a + b.c <= 4.25", True),
        ("a + b.c < 4.25", False),
        ("b.c - a * 2 == 3.5", True),
        ("b.c / 8 == 2 * a", True),
        ("b.c ** 0.5 == 2", True),
        ("-b.c ** 2 == -16", True),
        ("+a > -a", True),
        ("0 < a < b.c <= 4", True),
        ("0 < a < 0.1 < b.c", False),
        ("4 > b.c or a != 0.25 or word == 'ciou'", True),
        ("a < 1 and not b.c < 1", True),
        ("not on", False),
        ("on == true and on != false", True),
        ("on == True", True),
        ("word == 'giou' or a < 1", True),
        ("abs(a - 1) == 0.75", True),
        ("min(a, b.c, 1) == 0.25 and max(a, b.c) == 4", True),
        ("log(b.c) > 1.386 and log10(b.c * 25) == 2 and sqrt(b.c) == 2", True),
        ("  a < 1  ", True),
    ],
)
def test_an_expression_means_what_it_means_in_python(text, holds):
    assert Constraint(text)(VALUES) is holds


@pytest.mark.parametrize(
    "text",
    [
        "1 / (a - 0.25) > 0",
        "not 1 / (a - 0.25) > 0",
        "log(-a) < 1",
        "sqrt(a - b.c) < 1",
        "(a - b.c) ** 0.5 < 1",
        "1.0e300 * 1.0e300 * b.c > 0",
        "not 1.0e300 * 1.0e300 - b.c < 0",
        "9 ** 9 ** 9 ** 9 > a",
        "word < 1",
        "a + word < 1",
    ],
)
def test_what_cannot_be_calculated_is_not_satisfied(text):
    assert Constraint(text)(VALUES) is False


def test_a_condition_that_is_never_reached_does_no_harm():
    safe = Constraint("a == 0 or 1 / a > 2")
    assert [safe({"a": a}) for a in (0, 0.25, 1)] == [True, True, False]


def test_paths_are_told_once_in_the_order_of_the_expression():
    assert Constraint("b.c + a * b.c < min(a, x.y.z)").paths == ("b.c", "a", "x.y.z")


def test_a_constraint_survives_pickling_with_what_it_knows():
    copy = pickle.loads(pickle.dumps(Constraint("a < 1", {"a": NUMBER})))
    assert copy(VALUES)
    assert copy.text == "a < 1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("__import__('os').system('true') == 0", "is no function of a constraint"),
        ("().__class__.__bases__ == a", "has no settings"),
        ("(a).real.__class__() == a", "is no function"),
        ("[a for a in (1, 2)] == a", "has no place"),
        ("(lambda: a) == a", "has no place"),
        ("a if a else a", "has no place"),
        ("{'a': a} == a", "has no place"),
        ("f'{a}' == 'x'", "has no place"),
        ("a[0] < 1", "has no place"),
        ("max(*a, 1) < 1", "has no place"),
        ("a < b'1'", "has no place"),
        ("a < 1j", "has no place"),
        ("a == None", "has no place"),
        ("a == ...", "has no place"),
        ("a // 2 < 1", r"only \+ - \* / \*\* are"),
        ("a << 2 < 1", r"only \+ - \* / \*\* are"),
        ("~a < 1", "only - and 'not'"),
        ("a in (1, 2)", "has no place"),
        ("a is 1", "only < <= > >= == != are"),
        ("sum(a, b) < 1", "'sum' is no function.*\n.*\n.*known: abs, min"),
        ("abs(a, b) < 1", "abs takes 1 values"),
        ("min(a) < 1", "min takes 2 to 16 values"),
        ("log(x=a) < 1", "log takes 1 values"),
        ("'x' * 9 == a", "'x'' is text"),
        ("a + (a < 1) < 1", "'a < 1' is true or false, and a number is needed"),
        ("not a + 1", "'a \\+ 1' is a number, and true or false is needed"),
        ("a + 1", "this gives a number, not true or false"),
        ("'text'", "this gives text"),
        ("1 < 2", "speaks of no setting"),
        ("a < 1e999", "a number is too large"),
        ("a < " + "9" * 350, "a number is too large"),
        ("-" * 300 + "a < 1", "more than 40 levels deep"),
        ("a < " + "(" * 300 + "1" + ")" * 90, "no expression"),
        ("a < 1 and " * 60 + "a < 1", "at most 400"),
        ("a = 1", "no expression"),
        ("a < 1; a < 2", "no expression"),
        ("a < 1if a else 2", "no expression"),
        ("a == '\\d'", "no expression"),
        ("a < \x00", "no expression"),
        ("a < \ud800", "no expression"),
        ("", "no expression"),
        ("optimizer.lr optimizer.momentum", "no expression"),
    ],
)
def test_anything_else_is_refused(text, message):
    with pytest.raises(SpaceError, match=message):
        Constraint(text)


def test_kinds_are_checked_where_they_are_known():
    kinds = {"word": TEXT, "on": TRUTH, "a": NUMBER}
    for text, message in {
        "word + 1 < 2": "'word' is text, and a number is needed",
        "word == 1": "compares text with a number",
        "word < 'z'": "only numbers have an order",
        "on > false": "only numbers have an order",
        "on + a < 1": "'on' is true or false",
        "a": "gives a number",
        "a and on": "'a' is a number",
    }.items():
        with pytest.raises(SpaceError, match=message):
            Constraint(text, kinds)
    assert Constraint("word != 'z' and on", kinds)(VALUES)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ((1, 2.5), NUMBER),
        ((math.inf,), NUMBER),
        (("a", "b"), TEXT),
        ((True, False), TRUTH),
        ((True, 1), UNKNOWN),
        (("a", 1), UNKNOWN),
        (((0.8, 0.9),), UNKNOWN),
    ],
)
def test_the_kind_of_values(values, kind):
    assert kind_of(values) == kind
