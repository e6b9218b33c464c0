"""Each broken input is told with its place and how to mend it, and nothing is done meanwhile."""

import re

import pytest

from model.harmless import is_harmless
from tests.e2e.broken_inputs import ROOT, cases, tell

CASES = list(cases())
PAGE = ROOT / "docs" / "messages.md"


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.group}: {case.title}")
def test_it_is_refused_with_a_message(case, tmp_path):
    (tmp_path / "work").mkdir()
    found = tell(case, tmp_path / "work")
    assert found.code == case.code == 2, found.said
    assert "Traceback" not in found.said
    assert all(is_harmless(c) for c in found.said.replace("\n", ""))
    assert re.search(r"Error: |^error ", found.said, re.MULTILINE)
    if re.search(r"\w+Error: ", found.said):  # one of ours: with its place
        assert "\n  at   " in found.said
    assert [path.name for path in tmp_path.iterdir()] == ["work"]
    assert not list((tmp_path / "work").rglob("pwned"))
    assert not (tmp_path / "work" / "new").exists()


def test_debug_shows_where_it_came_from(tmp_path):
    case = next(one for one in CASES if one.title == "JSON that ends early")
    debugged = type(case)(case.group, case.title, (*case.arguments, "--debug"), case.make)
    found = tell(debugged, tmp_path)
    assert found.code == 2
    assert "Traceback" in found.said
    assert "DataError: broken JSON" in found.said


def test_the_page_has_every_case():
    text = PAGE.read_text()
    assert len(CASES) >= 45
    for case in CASES:
        assert f"**{case.title}** (exit code {case.code})" in text
