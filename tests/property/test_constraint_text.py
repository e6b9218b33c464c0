"""Whatever stands in a constraint, it is understood or refused, and never does anything else."""

import operator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.errors import SpaceError
from evolve.space.constraints import Constraint

PIECES = [
    *("a", "b.c", "1", "0.5", "2.0e3", "'x'", "true", "(", ")", "[", "]", ",", ".", ":", "="),
    *("+", "-", "*", "/", "**", "//", "%", "<", "<=", "==", "!=", "~", "@", "|", "{", "}"),
    *(" and ", " or ", "not ", " if ", " else ", " in ", " is ", " for ", "lambda ", "await "),
    *("min(", "log(", "abs(", "__import__(", ".__class__", "exec(", "\\", "\n", "#", "f'{a}'"),
]
numbers = st.floats(-4, 4).map(lambda x: round(x, 2))


def check(text):
    try:
        constraint = Constraint(text)
    except SpaceError:
        return
    assert constraint(dict.fromkeys(constraint.paths, 0.5)) in (True, False)
    assert constraint(dict.fromkeys(constraint.paths, "x")) in (True, False)


@given(st.lists(st.sampled_from(PIECES), max_size=20).map("".join))
def test_pieces_of_python_are_understood_or_refused(text):
    check(text)


@given(st.text(max_size=60))
def test_any_text_is_understood_or_refused(text):
    check(text)


@given(numbers, numbers, numbers, st.sampled_from("+-*"), st.sampled_from(["<", "<=", ">", ">="]))
def test_a_comparison_of_sums_and_products_is_pythons(a, b, c, sign, relation):
    calculate = {"+": operator.add, "-": operator.sub, "*": operator.mul}[sign]
    compare = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}[relation]
    constraint = Constraint(f"x {sign} ({b}) {relation} y.z")
    assert constraint({"x": a, "y.z": c}) == compare(calculate(a, b), c)
    assert Constraint(f"not (x {sign} ({b}) {relation} y.z)")({"x": a, "y.z": c}) != constraint(
        {"x": a, "y.z": c}
    )


def test_the_pieces_can_make_a_constraint():
    assert Constraint("a+1<b.c")({"a": 0, "b.c": 2})
    with pytest.raises(SpaceError):
        Constraint("a+1<b.c.__class__(")
