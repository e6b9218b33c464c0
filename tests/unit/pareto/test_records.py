"""Fronts as they are stored."""

import json
import math

import pandas as pd
import pytest

from evolve.errors import ReportError
from evolve.pareto.records import Pareto
from tests.unit.reports.made_up_front import front_of, line


def test_a_front_comes_back_from_json_as_it_was():
    lines = [line("a", 416, 5, 0.3), line("a", 512, 7, 0.4, se=math.nan, seeds=1)]
    front = front_of(lines, 8.0, notes=("one", "two"))
    back = Pareto.from_dict(json.loads(json.dumps(front.to_dict(), allow_nan=False)))
    pd.testing.assert_frame_equal(back.points, front.points[list(back.points)], check_dtype=False)
    assert back.to_dict() == front.to_dict()
    assert back.choice.key == "a@512"
    assert back.families == ("a",)


@pytest.mark.parametrize("tree", [[], {}, {"hypervolume": 3}, {"points": 3}])
def test_what_is_no_front_is_told(tree):
    with pytest.raises(ReportError, match=r"no front of latency and AP(.|\n)*make it anew"):
        Pareto.from_dict(tree)


def test_a_front_without_a_choice():
    front = front_of([line("a", 416, 5, 0.3)])
    assert Pareto.from_dict(front.to_dict()).choice is None
