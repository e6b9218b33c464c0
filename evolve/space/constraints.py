"""Constraints between settings: small expressions, parsed by hand and never handed to `eval`.

An expression such as ``augment.jitter + augment.hue <= 0.5`` is read with `ast`, and only what
is listed here is understood: numbers, text, true and false, key paths, + - * / **, comparisons
and chains of them, and, or, not, and the functions abs, min, max, log, log10, sqrt. What cannot
be calculated (a division by zero, the logarithm of a negative number, an overflow) counts as not
satisfied.
"""

import ast
import math
import operator
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from evolve.errors import SpaceError

LIMIT_CHARACTERS = 400
LIMIT_DEPTH = 40

Values = Mapping[str, Any]
_Step = Callable[[Values], Any]

NUMBER, TEXT, TRUTH, UNKNOWN = "a number", "text", "true or false", ""

_ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: math.pow,  # unlike **, it never gives a complex number
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_FUNCTIONS: dict[str, tuple[Callable[..., float], int, int]] = {
    "abs": (abs, 1, 1),
    "min": (min, 2, 16),
    "max": (max, 2, 16),
    "log": (math.log, 1, 1),
    "log10": (math.log10, 1, 1),
    "sqrt": (math.sqrt, 1, 1),
}
_WORDS = {"true": True, "false": False}
_MEND = "write a comparison, such as 'augment.jitter + augment.hue <= 0.5'"


class Constraint:
    """A condition on several settings, compiled once.

    Parameters
    ----------
    text : str
        The expression, as in a space file.
    kinds : mapping of key path -> str, optional
        `NUMBER`, `TEXT` or `TRUTH`, for the settings of which that is known: what is calculated
        and compared must fit.

    Attributes
    ----------
    text : str
    paths : tuple of str
        The settings it speaks of, in the order of the expression.

    Raises
    ------
    SpaceError
        If the expression is anything but a constraint.
    """

    def __init__(self, text: str, kinds: Mapping[str, str] | None = None) -> None:
        self.text = text
        reader = _Reader(text, kinds or {})
        kind, self._holds = reader.read(_tree(text), 0)
        if kind not in (TRUTH, UNKNOWN):
            raise reader.fault(f"this gives {kind}, not true or false")
        self._kinds = dict(kinds or {})
        self.paths = tuple(dict.fromkeys(reader.paths))
        if not self.paths:
            raise reader.fault("this speaks of no setting")

    def __call__(self, values: Values) -> bool:
        """Whether it is satisfied; `values` must have every one of `paths`."""
        try:
            return bool(self._holds(values))
        except (ArithmeticError, ValueError, TypeError):
            return False

    def __reduce__(self) -> tuple[Any, ...]:
        return Constraint, (self.text, self._kinds)


def kind_of(values: Iterable[Any]) -> str:
    """Kind that all the values have; `UNKNOWN` if they differ, or are none of the three."""
    kinds = {
        TRUTH
        if isinstance(value, bool)
        else NUMBER
        if isinstance(value, int | float)
        else TEXT
        if isinstance(value, str)
        else UNKNOWN
        for value in values
    }
    return kinds.pop() if len(kinds) == 1 else UNKNOWN


def _tree(text: str) -> ast.expr:
    if len(text) > LIMIT_CHARACTERS:
        what = f"a constraint of {len(text)} characters; at most {LIMIT_CHARACTERS} are read"
        raise SpaceError(what, text[:40] + "...", "split it: all constraints must hold anyway")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what Python finds doubtful is refused here
            return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError, Warning) as error:
        reason = getattr(error, "msg", None) or "it cannot be read"
        raise SpaceError(f"this is no expression: {reason}", text, _MEND) from error


class _Reader:
    """Turns nodes into functions of the values; every node gives its kind and its function."""

    def __init__(self, text: str, kinds: Mapping[str, str]) -> None:
        self.text = text
        self.kinds = kinds
        self.paths: list[str] = []

    def fault(self, what: str, mend: str = _MEND) -> SpaceError:
        return SpaceError(what, self.text, mend)

    def read(self, node: ast.expr, depth: int) -> tuple[str, _Step]:
        if depth > LIMIT_DEPTH:
            raise self.fault(f"more than {LIMIT_DEPTH} levels deep", "split it")
        read = _READERS.get(type(node))
        if read is None:
            raise self.fault(f"'{_shown(node)}' has no place in a constraint")
        return read(self, node, depth + 1)

    def of_kind(self, node: ast.expr, wanted: str, depth: int) -> _Step:
        kind, step = self.read(node, depth)
        if kind not in (wanted, UNKNOWN):
            raise self.fault(f"'{_shown(node)}' is {kind}, and {wanted} is needed there")
        return step

    def constant(self, node: ast.Constant, _: int) -> tuple[str, _Step]:
        value = node.value
        if not isinstance(value, int | float | str):
            raise self.fault(f"'{_shown(node)}' has no place in a constraint")
        kind = kind_of([value])
        if not isinstance(value, str) and abs(value) > sys.float_info.max:
            raise self.fault("a number is too large")
        return kind, partial(_constant, value)

    def path(self, node: ast.Name | ast.Attribute, _: int) -> tuple[str, _Step]:
        path = self._spelt(node)
        if path in _WORDS:
            return TRUTH, partial(_constant, _WORDS[path])
        self.paths.append(path)
        return self.kinds.get(path, UNKNOWN), operator.itemgetter(path)

    def _spelt(self, node: ast.expr) -> str:
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            raise self.fault(f"'{_shown(node)}' has no settings", "write a key path")
        return ".".join((node.id, *reversed(parts)))

    def arithmetic(self, node: ast.BinOp, depth: int) -> tuple[str, _Step]:
        if type(node.op) not in _ARITHMETIC:
            raise self.fault(f"'{_shown(node)}': only + - * / ** are understood")
        left = self.of_kind(node.left, NUMBER, depth)
        right = self.of_kind(node.right, NUMBER, depth)
        return NUMBER, partial(_calculate, _ARITHMETIC[type(node.op)], (left, right))

    def sign(self, node: ast.UnaryOp, depth: int) -> tuple[str, _Step]:
        if isinstance(node.op, ast.Not):
            return TRUTH, partial(_not, self.of_kind(node.operand, TRUTH, depth))
        if not isinstance(node.op, ast.USub | ast.UAdd):
            raise self.fault(f"'{_shown(node)}': only - and 'not' may stand before a value")
        change = operator.neg if isinstance(node.op, ast.USub) else operator.pos
        return NUMBER, partial(_calculate, change, (self.of_kind(node.operand, NUMBER, depth),))

    def comparison(self, node: ast.Compare, depth: int) -> tuple[str, _Step]:
        read = [self.read(side, depth) for side in (node.left, *node.comparators)]
        compare = []
        for place, found in enumerate(node.ops):
            if type(found) not in _COMPARISONS:
                raise self.fault(f"'{_shown(node)}': only < <= > >= == != are understood")
            self._check_comparable(node, found, read[place][0], read[place + 1][0])
            compare.append(_COMPARISONS[type(found)])
        return TRUTH, partial(_compare, tuple(compare), tuple(step for _, step in read))

    def _check_comparable(
        self, node: ast.Compare, found: ast.cmpop, left: str, right: str
    ) -> None:
        if UNKNOWN not in (left, right) and left != right:
            raise self.fault(f"'{_shown(node)}' compares {left} with {right}")
        if not isinstance(found, ast.Eq | ast.NotEq) and {left, right} & {TEXT, TRUTH}:
            raise self.fault(f"'{_shown(node)}': only numbers have an order")

    def logic(self, node: ast.BoolOp, depth: int) -> tuple[str, _Step]:
        steps = tuple(self.of_kind(value, TRUTH, depth) for value in node.values)
        return TRUTH, partial(_all if isinstance(node.op, ast.And) else _any, steps)

    def call(self, node: ast.Call, depth: int) -> tuple[str, _Step]:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name not in _FUNCTIONS:
            what = f"'{_shown(node.func)}' is no function of a constraint"
            raise self.fault(what, f"known: {', '.join(_FUNCTIONS)}")
        function, least, most = _FUNCTIONS[name]
        if node.keywords or not least <= len(node.args) <= most:
            count = str(least) if least == most else f"{least} to {most}"
            raise self.fault(f"{name} takes {count} values", f"in '{_shown(node)}'")
        steps = tuple(self.of_kind(argument, NUMBER, depth) for argument in node.args)
        return NUMBER, partial(_calculate, function, steps)


_READERS: dict[type[ast.expr], Callable[[_Reader, Any, int], tuple[str, _Step]]] = {
    ast.Constant: _Reader.constant,
    ast.Name: _Reader.path,
    ast.Attribute: _Reader.path,
    ast.BinOp: _Reader.arithmetic,
    ast.UnaryOp: _Reader.sign,
    ast.Compare: _Reader.comparison,
    ast.BoolOp: _Reader.logic,
    ast.Call: _Reader.call,
}


def _shown(node: ast.expr) -> str:
    try:
        text = ast.unparse(node)
    except (RecursionError, ValueError):
        return type(node).__name__
    return text if len(text) <= 60 else f"{text[:57]}..."


def _constant(value: Any, _: Values) -> Any:
    return value


def _calculate(function: Callable[..., float], steps: tuple[_Step, ...], values: Values) -> float:
    result = function(*(float(step(values)) for step in steps))
    if not math.isfinite(result):  # 'not (x < nan)' would be satisfied
        raise OverflowError
    return result


def _compare(
    compare: tuple[Callable[[Any, Any], bool], ...], steps: tuple[_Step, ...], values: Values
) -> bool:
    sides: Iterator[Any] = (step(values) for step in steps)
    left = next(sides)
    for holds, right in zip(compare, sides, strict=True):
        if not holds(left, right):
            return False
        left = right
    return True


def _all(steps: tuple[_Step, ...], values: Values) -> bool:
    return all(step(values) for step in steps)


def _any(steps: tuple[_Step, ...], values: Values) -> bool:
    return any(step(values) for step in steps)


def _not(step: _Step, values: Values) -> bool:
    return not step(values)
