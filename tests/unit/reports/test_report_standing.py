"""A report is drawn again when anything that it is made of has changed, and only then."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_up_ablation import make_found as make_table
from made_up_ablation import write_files
from made_up_found import make_found
from made_up_run import make_run, with_trials

from evolve.findings import Findings
from evolve.store.folder import RunFolder
from evolve.store.records import RunRecord
from reports import render, table_report
from reports.standing import fingerprint, make_report, make_table_report


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Reports that were drawn; each of a page and a table."""
    made: list[Path] = []

    def render_report(run: RunRecord, out: Path, found: Findings) -> list[Path]:
        del run, found
        made.append(out)
        files = [out / "index.html", out / "tables" / "trials.csv"]
        for path in files:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"drawing {len(made)}")
        return [path.resolve() for path in files]

    monkeypatch.setattr(render, "render_report", render_report)
    return made


def test_what_stands_is_not_drawn_again(drawn: list[Path], tmp_path: Path) -> None:
    run, found = make_run(folder=tmp_path), make_found()
    page = make_report(run, found)
    assert page == tmp_path.resolve() / "report" / "index.html"
    assert make_report(make_run(folder=tmp_path), make_found()) == page
    assert len(drawn) == 1
    assert page.read_text() == "drawing 1"


def _delete_table(folder: RunFolder) -> None:
    (folder.report / "tables" / "trials.csv").unlink()


def _change_page(folder: RunFolder) -> None:
    (folder.report / "index.html").write_text("another")


def _add_file(folder: RunFolder) -> None:
    (folder.report / "note.txt").write_text("mine")


def _tear_note(folder: RunFolder) -> None:
    folder.report_note.write_bytes(folder.report_note.read_bytes()[:-10])


def _write_foreign_note(folder: RunFolder) -> None:
    folder.report_note.write_text('["format", "key"]')


def _delete_note(folder: RunFolder) -> None:
    folder.report_note.unlink()


@pytest.mark.parametrize(
    "change",
    [_delete_table, _change_page, _add_file, _tear_note, _write_foreign_note, _delete_note],
)
def test_a_report_that_was_touched_is_drawn_again(
    change: Callable[[RunFolder], None], drawn: list[Path], tmp_path: Path
) -> None:
    run, found = make_run(folder=tmp_path), make_found()
    make_report(run, found)
    change(RunFolder(tmp_path))
    make_report(run, found)
    assert len(drawn) == 2


def test_any_change_of_the_run_or_of_what_was_found_has_another_digest() -> None:
    run, found = make_run(), make_found()
    final, path = found.final, found.path
    assert final is not None
    assert path is not None
    epochs = run.epochs.assign(AP=run.epochs["AP"].where(run.epochs.index != 3))
    shares = found.importances.frame.assign(high=1.0)
    runs = [
        with_trials(run, value={1: 0.123}),
        with_trials(run, reason={1: "why"}),
        with_trials(run, parents={1: (0,)}),
        replace(run, trials=run.trials.iloc[:-1]),
        replace(run, epochs=epochs),
        replace(run, manifest={**run.manifest, "seed": 1}),
        replace(run, parameters=run.parameters[:-1]),
        replace(run, failures={4: {"type": "oom"}}),
        replace(run, folder=Path("runs/another")),
    ]
    findings = [
        replace(found, words="other words"),
        replace(found, importances=replace(found.importances, frame=shares)),
        replace(found, final=replace(final, rows=final.rows[:-1])),
        replace(found, path=replace(path, start=0.123)),
        replace(found, closed="budget"),
    ]
    keys = [fingerprint(one, found) for one in (run, *runs)]
    keys += [fingerprint(run, one) for one in findings]
    assert len(set(keys)) == len(keys)
    assert fingerprint(make_run(), make_found()) == keys[0]


def test_values_of_another_kind_or_grouping_have_another_digest() -> None:
    values: list[Any] = [
        1, 1.0, "1", True, None, "None", b"1", np.int64(1), (1,), [1], [[1]], {1: 1}, {},
        [], [1, 1], [[1], 1], ["a", "b"], ["a b"], np.array([1]), np.array([1.0]), Path("1"),
        pd.DataFrame({"a": [1]}), pd.DataFrame({"a": ["1"]}), pd.DataFrame({"b": [1]}),
    ]  # fmt: skip
    assert len({fingerprint(value) for value in values}) == len(values)


def test_what_has_no_digest_is_drawn_every_time(drawn: list[Path], tmp_path: Path) -> None:
    run = replace(make_run(folder=tmp_path), manifest={"seed": object()})
    with pytest.raises(TypeError, match="no digest of a object"):
        fingerprint(run)
    for _ in range(2):
        make_report(run, make_found())
    assert len(drawn) == 2


def test_a_table_that_stands_is_not_drawn_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made: list[Path] = []

    def render_table_report(found: object, out: Path, behind: object) -> list[Path]:
        made.append(out)
        out.mkdir(exist_ok=True)
        (out / "index.html").write_text(f"drawing {len(made)}")
        return [(out / "index.html").resolve()]

    monkeypatch.setattr(table_report, "render_table_report", render_table_report)
    values = {"base": [0.30, 0.31], "S": [0.33, 0.34]}
    page = make_table_report(write_files(make_table(tmp_path, values)))
    assert page == (tmp_path / "report" / "index.html").resolve()
    assert make_table_report(make_table(tmp_path, values)) == page
    assert len(made) == 1
    (tmp_path / "table" / "S" / "0" / "log.txt").unlink()  # a link of the page would be dead
    make_table_report(make_table(tmp_path, values))
    assert len(made) == 2
    make_table_report(make_table(tmp_path, values | {"S": [0.33, 0.35]}))
    assert len(made) == 3
