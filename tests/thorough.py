"""Which cases are run by `make thorough` alone.

The suite that every change has to pass is to end in minutes on two cores. Where one test is done
for many cases that each take seconds, a few of them show that the code works, and the others that
nobody forgot a case: those are run before a release, and by who changes what they are about.
"""

from collections.abc import Iterable
from typing import Any

import pytest

thorough = pytest.mark.thorough
ON_RAY = pytest.param("ray", marks=[thorough, pytest.mark.ray])


def quick(number: int, cases: Iterable[Any]) -> list[Any]:
    """Give the cases of a parametrised test, all but the first `number` marked `thorough`."""
    return [
        case if place < number else pytest.param(*_values(case), marks=thorough)
        for place, case in enumerate(cases)
    ]


def _values(case: Any) -> tuple[Any, ...]:
    return case if isinstance(case, tuple) else (case,)
