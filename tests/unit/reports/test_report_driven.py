import json
import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from made_up_found import make_found
from made_up_run import make_run

from evolve.analysis.fidelity import Rule, audit
from evolve.analysis.ledger import Devices, make_ledger
from evolve.findings import Cost, Findings
from evolve.store.records import RunRecord
from reports import driven, driven_figures, schedules
from reports.driven_figures import draw_audit, draw_schedule
from reports.figures import parameter_data, to_svg
from reports.render import render_report
from reports.summary import summarise
from reports.tables import over_time, parameter_table, trial_table

HOSTILE = "<script>alert(1)</script>"
RECIPE = {
    "root": 1,
    "params": {"optimizer.lr": 0.001, "optimizer.momentum": 0.9, "augment.mosaic": 0.5},
    "changes": {"4": {"optimizer.lr": 0.002}, "6": {"optimizer.lr": 0.004}},
    "lineage": [{"epoch": 4, "number": 1}, {"epoch": 6, "number": 3}],
}
OOM = {"type": "oom", "what": "CUDA out of memory", "remedy": "alone", "log": ["a", HOSTILE]}


def make_cost(trials: int = 12) -> Cost:
    events: list[dict[str, object]] = [{"event": "session", "at": 0.0}]
    for number in range(trials):
        events += [
            {"event": "begin", "at": 10.0 * number, "number": number},
            {"event": "end", "at": 10.0 * number + 8, "number": number, "state": "COMPLETE"},
        ]
    return Cost(make_ledger(events, Devices("core", 2.0, 2.0, 1)), None, 100.0)


def with_driven(found: Findings) -> Findings:
    numbers = range(12)
    early = [0.1 + 0.01 * n for n in numbers]
    final = [0.3 + 0.02 * n + (0.05 if n % 3 else 0.0) for n in numbers]
    trials = pd.DataFrame({"number": numbers, "state": "COMPLETE", "value": final})
    stopped = pd.DataFrame({"number": [12], "state": ["PRUNED"], "value": [0.05]})
    epochs = pd.DataFrame({"number": range(13), "epoch": 3, "value": [*early, 0.05]})
    told = audit(pd.concat([trials, stopped]), epochs, Rule("promote", 8))
    return replace(found, cost=make_cost(), audit=told, moved=1)


def make_driven_run() -> RunRecord:
    """Trial 5 is the winner of `make_found`; it went through other hands, and 3 was retried."""
    return replace(make_run(), recipes={5: RECIPE}, attempts={3: (OOM,), 4: (OOM, OOM)})


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    out = tmp_path_factory.mktemp("driven") / "report"
    paths = render_report(make_driven_run(), out, with_driven(make_found()))
    return {
        path.relative_to(out).as_posix(): path.read_text(encoding="utf-8")
        for path in paths
        if path.suffix != ".png"
    }


def test_every_section_is_there_in_page_and_markdown(files: dict[str, str]) -> None:
    for name in ("index.html", "report.md"):
        for title in ("Cost", "Early stopping", "Changes during training", "Failures"):
            assert title in files[name]
    tables = {f"tables/{name}.csv" for name in ("ledger", "early", "early-ranks")}
    figures = {f"figures/{name}.svg" for name in ("early", "schedule")}
    assert {"tables/schedules.json", *tables, *figures} <= set(files)
    assert "Importances and path leave out 1 complete trial" in files["report.md"]
    assert HOSTILE not in files["index.html"]


def test_expected_stands_beside_actual_time() -> None:
    cost = make_cost()
    (row,) = driven.cost_table(cost).rows
    assert row.cells[:4] == ("Search", "12", "1.7 min", "2.0 min")
    assert row.cells[-1] == "19 %"
    both = driven.cost_table(replace(cost, final=cost.search)).rows
    assert both[-1].cells[1] == "24"
    assert both[-1].cells[2] == "--"  # half of it is unknown
    assert "19 % of the time of 1 worker was idle" in driven.cost_sentence(cost)


def test_the_page_stays_small_with_many_trials() -> None:
    ledger = make_cost(10_000).search
    assert len(driven.costliest_table(ledger).rows) == driven.COSTLIEST
    assert len(driven.spending_table(ledger).rows) == 1


def test_rows_tell_which_try_it_was() -> None:
    run = make_driven_run()
    rows = {row.cells[0]: row.cells[-1] for row in trial_table(run, summarise(run)).rows}
    assert rows["3"] == "2nd try, after oom"
    assert rows["4"].endswith("(3rd try, after oom)")
    assert driven.retry_sentence(run) == "2 trials were tried again: oom 3×."  # noqa: RUF001
    first, _ = driven.retry_table(run).rows
    assert first.cells == (
        *("3", "complete", "2"),
        "oom: CUDA out of memory; went on alone on its device",
    )
    assert driven.failure_logs(run)[0] == ("oom, trial 4", f"a\n{HOSTILE}")


def test_stretches_of_a_training_that_changed_hands() -> None:
    run = make_driven_run()
    found = schedules.stretches(run, 5, 10)
    spans = [(one.first, one.last, one.trial, one.values["optimizer.lr"]) for one in found]
    assert spans == [(1, 4, 1, 0.001), (5, 6, 3, 0.002), (7, 10, 5, 0.004)]
    assert [p.path for p in schedules.changed(run, found)] == ["optimizer.lr"]
    assert schedules.stretches(run, 3, 10)[0].last == 10
    (row,) = schedules.lineage_table(run).rows
    assert row.cells[-1] == "1 (1 – 4), 3 (5 – 6), 5 (7 – 10)"  # noqa: RUF001


def test_no_one_value_is_told_of_what_changed() -> None:
    run = make_driven_run()
    assert over_time(RECIPE, "optimizer.lr") == "0.001 → 0.004"
    assert over_time(RECIPE, "optimizer.momentum") == "0.9"
    summary = summarise(run, make_found())
    assert parameter_table(run, summary).rows[0].cells[3] == "0.001 → 0.004"
    assert 5 not in set(parameter_data(run, run.parameters[0])["number"])


def test_schedules_are_a_file_to_replay_from(files: dict[str, str]) -> None:
    (one,) = json.loads(files["tables/schedules.json"])
    assert (one["number"], one["seed"], one["changes"]) == (5, 1001, RECIPE["changes"])


def test_groups_have_shapes_of_their_own() -> None:
    found = with_driven(make_found())
    assert found.audit is not None
    for wide in (True, False):
        figure = draw_audit(found.audit, "AP", wide=wide)
        assert figure is not None
        assert "promoted by lot" in to_svg(figure)
    shapes = {tuple(map(tuple, c.get_paths()[0].vertices)) for c in figure.axes[0].collections}
    assert len(shapes) == len(figure.axes[0].collections)


def test_of_very_many_pairs_a_part_is_drawn_with_those_that_stand_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = with_driven(make_found())
    told = found.audit
    assert told is not None
    assert len(driven_figures.drawn_pairs(told)) == 12
    monkeypatch.setattr(driven_figures, "MOST_DRAWN", 2)
    drawn = driven_figures.drawn_pairs(told)
    apart = told.shown[~told.shown["group"].isin(("best", "others"))]
    assert {told.winner, *apart["number"]} <= set(drawn["number"])
    assert len(drawn) < 12
    render_report(make_driven_run(), tmp_path / "report", found)
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert "Of 12 of them 2 are drawn, picked at random, and those that stand out." in page


def test_steps_are_drawn_only_where_something_changed() -> None:
    run = make_driven_run()
    assert draw_schedule(run, schedules.stretches(run, 3, 10), wide=True) is None
    figure = draw_schedule(run, schedules.stretches(run, 5, 10), wide=True)
    assert figure is not None
    (step,) = figure.axes[0].patches
    assert list(step.get_data().values) == [0.001, 0.002, 0.004]
    assert list(step.get_data().edges) == [0, 4, 6, 10]


def test_without_a_journal_nothing_is_said(tmp_path: Path) -> None:
    render_report(make_run(), tmp_path / "report", make_found())
    page = (tmp_path / "report" / "index.html").read_text()
    assert 'id="cost"' not in page
    assert 'id="early"' not in page
    assert math.isnan(Cost(make_ledger([])).planned_search_s)


def test_a_search_that_its_budget_ended_is_not_unfinished(tmp_path: Path) -> None:
    run = make_run(("COMPLETE", "COMPLETE"))
    run.manifest["trials"] = 50
    found = Findings("AP", None, make_found().importances, None, "", "", closed="budget")
    assert "48 have not started" in summarise(run, replace(found, closed="")).unfinished
    assert summarise(run, found).unfinished == ""
    render_report(run, tmp_path / "report", found)
    assert "ended before 50 trials: budget" in (tmp_path / "report" / "report.md").read_text()
