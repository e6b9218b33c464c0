"""Reports from folders: formats, several runs, and a page that follows a run."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from made_up_run import make_run

from evolve.errors import ReportError
from reports import making, place
from reports.place import put_report
from reports.render import render_report

FILES = {"index.html": b"", "report.md": b"m", "tables/a.tex": b"t", "tables/a.csv": b"c"}


def names(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    ("formats", "kept"),
    [
        (("md",), {"report.md", "tables/a.csv", ".evolve-report"}),
        (("tex",), {"tables/a.tex", "tables/a.csv", ".evolve-report"}),
        (("html", "tex"), {"index.html", "tables/a.tex", "tables/a.csv"}),
    ],
)
def test_formats_choose_and_the_place_is_known_again(
    formats: tuple[str, ...], kept: set[str], tmp_path: Path
) -> None:
    page = b'<meta name="generator" content="evolve report">'
    out, files = tmp_path / "out", FILES | {"index.html": page}
    made = put_report(out, files, formats)
    assert names(out) == kept == {path.relative_to(out).as_posix() for path in made}
    assert names(out) == kept
    put_report(out, files)  # it is ours, and may be replaced
    assert names(out) == set(files)


def test_another_who_is_quicker_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "report"
    render_report(make_run(), out)
    moved = place._moved

    def slow(there: Path, old: Path) -> bool:
        there.rename(tmp_path / "taken")  # by somebody else, in the meantime
        return moved(there, old)

    monkeypatch.setattr(place, "_moved", slow)
    render_report(make_run(), out)
    assert names(out) == names(tmp_path / "taken")


def test_a_living_page_reloads_until_nothing_is_due(tmp_path: Path) -> None:
    run = make_run()  # one trial runs
    render_report(run, tmp_path / "a", living=True)
    html = (tmp_path / "a" / "index.html").read_text(encoding="utf-8")
    assert '<html lang="en" data-reload="5">' in html
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in html
    render_report(make_run(("COMPLETE",) * 12), tmp_path / "b", living=True)
    over = (tmp_path / "b" / "index.html").read_text(encoding="utf-8")
    assert "data-reload=" not in over.partition("<head>")[0]
    assert 'http-equiv="refresh"' not in over


def a_status(state: str, complete: int, running: int = 1) -> Any:
    states = {"COMPLETE": complete, "RUNNING": running}
    return SimpleNamespace(state=state, states=states, final=None, phase="search")


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """What happens while a run is followed that ends with its third look but one."""
    told: list[tuple[str, Any]] = []
    looks = iter([a_status("running", n) for n in (0, 1, 1, 2)] + [a_status("done", 2, 0)])

    class Reader:
        def __init__(self, run: Path) -> None:
            self.read = looks.__next__

    def make(run: Path, out: Any, data: Any, formats: Any, *, living: bool) -> Path:
        if not any(kind == "tried" for kind, _ in told):
            told.append(("tried", living))
            raise ReportError("the run holds no trial", "here", "wait")
        told.append(("made", living))
        return run

    monkeypatch.setattr(making, "StatusReader", Reader)
    monkeypatch.setattr(making, "make_run_report", make)
    return told


def test_a_run_is_followed_to_its_end(watched: list[tuple[str, Any]]) -> None:
    def sleep(seconds: float) -> None:
        watched.append(("slept", seconds))

    pages: Iterator[Path] = making.living_reports(Path("runs/x"), 3.0, sleep=sleep)
    assert list(pages) == [Path("runs/x")] * 3
    assert watched == [
        ("tried", True), ("slept", 3.0), ("made", True), ("slept", 3.0), ("slept", 3.0),
        ("made", True), ("slept", 3.0), ("made", False),
    ]  # fmt: skip


def test_comparisons_move_a_report_on(watched: list[tuple[str, Any]]) -> None:
    status = a_status("running", 3)
    final = SimpleNamespace(ended=1, states={"COMPLETE": 1})
    moved = SimpleNamespace(**(vars(status) | {"final": final}))
    assert making.ended_trainings(status) != making.ended_trainings(moved)
