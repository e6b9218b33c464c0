"""Fronts as they are stored."""

import json
import math

import pandas as pd
import pytest

from evolve.errors import ReportError
from evolve.pareto.records import Pareto, read_pareto
from tests.unit.reports.made_up_front import front_of, line


def test_a_front_comes_back_from_its_file_as_it_was(tmp_path):
    lines = [line("a", 416, 5, 0.3), line("a", 512, 7, 0.4, se=math.nan, seeds=1)]
    front = front_of(lines, 8.0, notes=("one", "two"))
    path = tmp_path / "pareto.json"
    path.write_text(json.dumps(front.to_dict(), allow_nan=False))
    back = read_pareto(path)
    pd.testing.assert_frame_equal(back.points, front.points[list(back.points)], check_dtype=False)
    assert back.to_dict() == front.to_dict()
    assert back.choice.key == "a@512"
    assert back.families == ("a",)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"hypervolume": 3}', '{"points": 3}'])
def test_what_is_no_front_is_told(tmp_path, text):
    path = tmp_path / "pareto.json"
    path.write_text(text)
    with pytest.raises(ReportError):
        read_pareto(path)
    with pytest.raises(ReportError):
        read_pareto(tmp_path / "nowhere.json")


def test_a_front_without_a_choice(tmp_path):
    front = front_of([line("a", 416, 5, 0.3)])
    assert Pareto.from_dict(front.to_dict()).choice is None
