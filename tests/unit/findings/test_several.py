"""Several runs beside each other: what may be compared, and how far apart they are."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from evolve.errors import ReportError, StoreError
from evolve.findings.several import Line, apart, find_several, history_of
from evolve.protocol import Protocol
from reports.several import line_frame, line_table, several_files, verdict_of

from .made_up_table import make_folder, train

DATA = {"digest": "sha256:1", "classes": ["a"], "name": "one"}
OTHER = {"digest": "sha256:2", "classes": ["a"], "name": "other"}
HOSTILE = '<script>alert(1)</script> | "x" \x1b[31m'


def a_line(*values, **changes):
    given = {
        "run": 0, "key": "k", "title": "t", "is_lead": True, "values": values, "metrics": {},
        "delta": None, "word": "", "protocol": Protocol(),
    }  # fmt: skip
    return Line(**(given | changes))


def a_run(path, values, data=DATA, **manifest):
    """An ablation whose rows have these values on three seeds."""
    folder = make_folder(path, data=data, train={"image_size": 96}, name=path.name, **manifest)
    base, best = values
    return train(folder, {"base": base, "S": best, "M": [None, None, None]})


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    path = tmp_path_factory.mktemp("several")
    a_run(path / "first", ([0.30, 0.31, 0.32], [0.35, 0.36, 0.37]))
    a_run(path / "second", ([0.31, 0.32, 0.33], [0.30, 0.30, 0.30]))
    a_run(path / "larger", ([0.40, 0.41, 0.42], [0.45, 0.46, 0.47]))
    folder = make_folder(path / "strange", data=OTHER, name=HOSTILE)
    train(folder, {"base": [0.5, 0.5], "S": [0.6, 0.6], "M": [None, None]})
    make_folder(path / "empty", data=DATA, name="empty")
    return path


def test_lines_of_all_runs_stand_together(two):
    found = find_several([two / "first", two / "second"])
    assert [(line.run, line.key, line.is_lead) for line in found.lines] == [
        (0, "base", False), (0, "S", True), (0, "M", False),
        (1, "base", True), (1, "S", False), (1, "M", False),
    ]  # fmt: skip
    assert found.lines[1].values == (0.35, 0.36, 0.37)
    assert found.lines[1].delta is not None
    assert math.isclose(found.lines[1].delta.mean, 0.05)
    assert found.lines[0].delta is None
    assert [run.trainings for run in found.runs] == [6, 6]
    assert not found.notes
    (pair,) = found.apart
    assert math.isclose(pair.difference, 0.32 - 0.36)
    assert "first (+ S) is highest, 36.0 AP on test, 4.0 points above second" in verdict_of(found)
    frame = line_frame(found)
    assert frame.loc[1, "delta"] == pytest.approx(0.05)
    assert frame["n"].tolist() == [3, 3, 0, 3, 3, 0]


def test_what_was_measured_otherwise_has_a_mark_and_no_difference(two):
    manifest = two / "larger" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"image_size": 96', '"image_size": 128'))
    found = find_several([two / "first", two / "larger", two / "second"])
    assert [line.mark for line in found.lines] == [""] * 3 + ["†"] * 3 + [""] * 3
    assert [note.split(" (")[0] for note in found.notes] == ["† other input size"]
    assert [(pair.first.run, pair.second.run) for pair in found.apart] == [(0, 2)]
    assert line_table(found).rows[3].cells[3].endswith("†")


def test_runs_on_nothing_in_common_are_refused(two):
    with pytest.raises(ReportError, match="nothing in common: they differ in data"):
        find_several([two / "first", two / "strange"])
    with pytest.raises(StoreError, match="named twice"):
        find_several([two / "first", two / "." / "first"])
    with pytest.raises(ReportError, match="no complete training"):
        find_several([two / "first", two / "empty"])
    with pytest.raises(StoreError, match="no such run folder"):
        find_several([two / "first", two / "none"])


def test_pages_hold_outside_text_as_text(two):
    found = find_several([two / "strange", two / "first", two / "second"])
    files = several_files(found)
    for name, content in files.items():
        assert b"\x1b" not in content or name.endswith(".png")
    page = files["index.html"].decode()
    assert page.count("<script") == 1
    assert "&lt;script&gt;" in page
    assert several_files(found) == files


def test_the_interval_is_welchs():
    rng = np.random.default_rng(5)
    for count, other in ((2, 3), (5, 4), (8, 8)):
        first, second = rng.normal(0.3, 0.01, count), rng.normal(0.32, 0.03, other)
        pair = apart(a_line(*first), a_line(*second))
        low, high = stats.ttest_ind(second, first, equal_var=False).confidence_interval(0.95)
        assert (pair.low, pair.high) == pytest.approx((low, high))
    alone = apart(a_line(0.3), a_line(0.4, 0.5))
    assert alone.difference == pytest.approx(0.15)
    assert math.isnan(alone.low)


def test_a_history_is_the_best_of_the_complete_so_far():
    trials = pd.DataFrame(
        {
            "number": [0, 1, 2, 3],
            "state": ["FAIL", "COMPLETE", "PRUNED", "COMPLETE"],
            "value": [math.nan, 0.2, 0.9, 0.3],
            "wall_time_s": [3600.0, 3600.0, math.nan, 1800.0],
        }
    )
    found = history_of(trials)
    assert found["trial"].tolist() == [1, 2, 3]
    assert found["best"].tolist() == [0.2, 0.2, 0.3]
    assert found["hours"].tolist() == [2.0, 2.0, 2.5]
