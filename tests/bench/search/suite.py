"""All problems of the search benchmark, by role, family and name."""

import fnmatch
import functools
import importlib
import importlib.util
from collections.abc import Callable

from tests.bench.search.problem import Family, Problem, Role

_HERE = "tests.bench.search"
_MAKERS: dict[Family, tuple[str, str]] = {
    "smooth": ("problems_smooth", "smooth_problems"),
    "learning": ("problems_learning", "learning_problems"),
    "mixed": ("problems_mixed", "mixed_problems"),
    "detector": ("problems_detector", "detector_problems"),
    "recorded": ("recorded", "recorded_problems"),
}


def problems(
    role: Role | None = None, family: Family | None = None, names: str = "*"
) -> list[Problem]:
    """Problems of a role and a family whose names match a pattern; None is any.

    Raises
    ------
    ModuleNotFoundError
        If the smooth ones are wanted and ioh is not installed (extra ``bench``).
    """
    families = [family] if family else list(_MAKERS)
    found = [problem for one in families for problem in _family(one)]
    return [
        problem
        for problem in found
        if role in (None, problem.role) and fnmatch.fnmatchcase(problem.name, names)
    ]


def problem(name: str) -> Problem:
    """One problem; its family is the word before the first hyphen of its name."""
    family = name.split("-")[0]
    if family not in _MAKERS:
        raise KeyError(f"unknown problem '{name}': a name begins with one of {', '.join(_MAKERS)}")
    by_name = {one.name: one for one in _family(family)}
    if name not in by_name:
        raise KeyError(f"unknown problem '{name}'; there are {', '.join(by_name)}")
    return by_name[name]


@functools.cache
def _family(family: Family) -> tuple[Problem, ...]:
    module, maker = _MAKERS[family]
    if importlib.util.find_spec(f"{_HERE}.{module}") is None:
        return ()
    make: Callable[[], list[Problem]] = getattr(
        importlib.import_module(f"{_HERE}.{module}"), maker
    )
    return tuple(make())
