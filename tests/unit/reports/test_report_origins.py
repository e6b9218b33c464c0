"""Every number leads to its trainings, and to what is best done next."""

import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pandas as pd
import pytest
from made_up_found import make_final, make_found
from made_up_run import PARAMETERS, make_run
from matplotlib.figure import Figure
from test_report_render import Page

from evolve.analysis.contrasts import row_delta
from evolve.findings import Final, Findings
from evolve.store.records import RunRecord
from reports.citations import _ENTRIES, bibtex, used_works
from reports.hover import MOST_POINTS, note_points, taken_points
from reports.next_step import next_step
from reports.origins import MOST_TOLD, row_origins, told_trials, trial_origins
from reports.render import render_report
from reports.summary import summarise


def make_folder(tmp_path: Path) -> RunRecord:
    run = make_run(("COMPLETE", "COMPLETE", "FAIL"), folder=tmp_path / "runs" / "a b")
    for number in range(3):
        folder = run.folder / "trials" / f"{number:05d}"
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text("model: yolov4-nano\n")
        (folder / "log.txt").write_text("begun\n")
    return run


def trainings_of(final: Final, folder: Path) -> pd.DataFrame:
    lines = [
        {
            "row": row.key, "title": row.title, "seed_index": index, "seed": 70 + index,
            "training": f"{row.key}-{index}", "state": "FAIL" if value != value else "COMPLETE",
            "reason": "oom: no memory" if value != value else "", "value_val": value + 0.1,
            "value_test": value, "metrics": {}, "epochs_done": 10,
            "folder": str(folder / "final" / row.key / str(index)),
        }
        for row in final.rows
        for index, value in enumerate(row.values)
    ]  # fmt: skip
    return pd.DataFrame(lines)


def test_a_trial_tells_its_changes_files_and_command(tmp_path: Path) -> None:
    run = make_folder(tmp_path)
    run = replace(run, manifest=run.manifest | {"outlook": {"placement": {"threads": 1}}})
    out = run.folder / "report"
    defaults, first, failed = trial_origins(run, summarise(run), out)
    assert defaults.changes == ()
    assert first.changes[0][0] == "optimizer.lr"
    assert all(before != here for _, before, here in first.changes)
    (training,) = first.trainings
    assert training.links == (
        ("configuration", "../trials/00001/config.yaml"),
        ("log", "../trials/00001/log.txt"),
    )
    out.mkdir()
    assert all((out / unquote(link)).is_file() for _, link in training.links)
    words = shlex.split(training.command)
    assert words[:2] == ["evolve", "train"]
    assert words[words.index("--config") + 1] == "runs/a b/trials/00001/config.yaml"
    assert words[words.index("--threads") + 1] == "1"
    assert "diverged" in failed.about


def test_links_lead_from_any_place_of_the_page(tmp_path: Path) -> None:
    run = make_folder(tmp_path)
    out = tmp_path / "else#where" / "page"
    (_, link), *_ = trial_origins(run, summarise(run), out)[0].trainings[0].links
    assert link == "../../runs/a%20b/trials/00000/config.yaml"


def test_rows_of_the_comparison_tell_every_seed(tmp_path: Path) -> None:
    run = make_run(folder=tmp_path)
    final = make_final()
    elsewhere = trainings_of(final, tmp_path)
    elsewhere.loc[0, "folder"] = "/another/run/final/default/0"
    rows = row_origins(run, replace(final, trainings=elsewhere), tmp_path / "report")
    assert [row.anchor for row in rows] == ["row-0", "row-1", "row-2"]
    assert [len(row.trainings) for row in rows] == [3, 3, 3]
    assert rows[1].trainings[0].about == "seed 70: complete, 33.2 on test, 43.2 on val"
    assert "oom: no memory" in rows[2].trainings[2].about
    assert rows[0].trainings[0].command == ""  # done by another run, so not below this one
    assert "final/default/1/config.yaml" in rows[0].trainings[1].command
    assert row_origins(run, final, tmp_path) == ()  # an old record without trainings


def test_of_many_trials_those_that_stand_out_are_told() -> None:
    run = make_run(("COMPLETE",) * (MOST_TOLD + 200), parameters=PARAMETERS[:1])
    summary = summarise(run)
    told = told_trials(run, summary)
    assert len(told) <= MOST_TOLD
    assert summary.best is not None
    assert {0, summary.best.number, MOST_TOLD + 199} <= set(told)


def test_every_link_of_a_table_leads_to_an_entry(tmp_path: Path) -> None:
    run = make_folder(tmp_path)
    final = replace(make_final(), trainings=trainings_of(make_final(), run.folder))
    render_report(run, tmp_path / "report", replace(make_found(), final=final))
    html = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    page = Page(html)
    table = html[html.index('<table id="comparison">') : html.index("</table>")]
    assert table.count('href="#row-1"') >= 5  # its title and each of its numbers
    targets = set(re.findall(r'href="#([^"]+)"', html))
    assert {"trial-0", "trial-1", "row-0", "row-2"} <= targets <= set(page.ids)
    points = [v.split("\n") for n, v in page.attributes if n == "data-points" and v]
    told = {line.split(",")[2] for one in points for line in one}
    assert told == {"trial-0", "trial-1", "trial-2"}


# -- what next -----------------------------------------------------------------------------


def step_of(run: RunRecord, found: Findings | None = None) -> tuple[str, str]:
    step = next_step(run, summarise(run, found), found)
    return step.sentence, step.command


def with_verdict(word: str, values: tuple[float, ...], winner: str = "trial-5") -> Findings:
    found = make_found()
    assert found.final is not None
    assert found.final.verdict is not None
    frame = trainings_of(found.final, Path("runs/x"))
    frame.loc[frame["row"] == "trial-5", "value_test"] = values
    delta = row_delta(frame, "default", "trial-5")
    verdict = replace(found.final.verdict, word=word, delta=delta)
    return replace(found, final=replace(found.final, verdict=verdict, winner=winner))


DONE = make_run(("COMPLETE",) * 12)


@pytest.mark.parametrize(
    ("found", "command"),
    [
        (None, "evolve resume runs/digits-ga --confirm 3x3"),
        (
            with_verdict("gain", (0.33, 0.34, 0.35)),
            "evolve train --config runs/digits-ga/best.yaml --data digits",
        ),
        (
            with_verdict("worse", (0.2, 0.2, 0.2)),
            "evolve resume runs/digits-ga --trials 24",
        ),
        (
            with_verdict("no detectable gain", (0.31, 0.34, 0.32), winner="default"),
            "evolve resume runs/digits-ga --trials 24",
        ),
    ],
)
def test_the_next_step_follows_the_verdict(found: Findings | None, command: str) -> None:
    assert step_of(DONE, found)[1] == command


def test_more_seeds_are_asked_for_while_they_can_decide() -> None:
    sentence, command = step_of(DONE, with_verdict("no detectable gain", (0.33, 0.31, 0.36)))
    count = int(re.findall(r"About (\d+) more seeds? would decide", sentence)[0])
    assert 1 <= count <= 30
    assert command == f"evolve resume runs/digits-ga --confirm 2x{3 + count}"
    sentence, command = step_of(DONE, with_verdict("no detectable gain", (0.31, 0.30, 0.325)))
    assert "no affordable number of seeds" in sentence
    assert command.endswith("--trials 24")


def test_an_unfinished_run_goes_on_first() -> None:
    assert step_of(make_run())[1] == "evolve resume runs/digits-ga"
    failed = step_of(make_run(("FAIL",) * 12))
    assert failed[1] == "evolve resume runs/digits-ga --trials 24"


# -- the literature ------------------------------------------------------------------------


def test_what_was_used_is_cited() -> None:
    manifest: dict[str, Any] = {"sampler": "tpe", "scheduler": "hyperband", "engine": "ray"}
    manifest |= {"train": {"loss": {"box": "ciou"}}}
    keys = used_works(manifest, "path", "tune")
    assert keys == ("yolov4", "coco", "optuna", "tune", "hyperband", "tpe", "diou", "path")
    assert used_works({"train": "garbled"}) == ("yolov4", "coco", "optuna")


def test_entries_are_whole() -> None:
    text = bibtex(tuple(_ENTRIES))
    assert text.count("@") == len(_ENTRIES)
    assert text.count("{") == text.count("}")
    keys = re.findall(r"@(?:article|misc|book|inproceedings){([a-z]+\d{4}),", text)
    assert len(set(keys)) == len(_ENTRIES)
    assert {"bochkovskiy2020", "holm1979", "box2005"} <= set(keys)


# -- points under the pointer --------------------------------------------------------------


def test_points_have_the_units_of_the_drawing() -> None:
    figure = Figure(figsize=(4, 2), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 10), ylim=(0, 10))
    note_points(
        axes, [0, 5, float("nan")], [0, 5, 1], ["corner", "middle,\nor so", "none"], ["", "t", ""]
    )
    assert taken_points(figure) == "0,144,,corner\n144,72,t,middle, or so"
    assert taken_points(Figure()) == ""
    many = [1.0] * (MOST_POINTS + 1)
    note_points(axes, many, many, ["x"] * len(many))
    assert taken_points(figure) == ""
