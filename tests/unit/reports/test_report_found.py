"""What a report says of the comparison, of luck, and of what mattered."""

import csv
import io
import math
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from made_up_found import (
    SENTENCE,
    make_final,
    make_found,
    make_importances,
    make_row,
    make_trained,
)
from made_up_run import make_run
from test_report_render import HOSTILE, Page, read_all

from evolve.analysis.importance import Importances
from evolve.findings import Findings
from reports import found_figures, found_tables, tables
from reports.found import found_caption, tiles
from reports.method import describe_method, reuse_commands
from reports.render import render_report
from reports.summary import summarise
from reports.text import MINUS, MISSING

FOUND = make_found()


def render(found: Findings, out: Path) -> dict[str, str]:
    """Text files of a report of the made-up run."""
    render_report(make_run(), out / "report", found)
    files = read_all(out / "report")
    return {name: data.decode() for name, data in files.items() if not name.endswith(".png")}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return render(replace(FOUND, path=make_trained()), tmp_path_factory.mktemp("found"))


def text_of(html: str) -> str:
    return " ".join(Page(html).text.split())


def test_the_verdict_comes_first_and_nothing_says_that_it_is_unconfirmed(
    files: dict[str, str],
) -> None:
    for text in (text_of(files["index.html"]), files["report.md"]):
        assert SENTENCE.split("(")[0] in text
        for old in ("not a confirmed gain", "no confidence interval yet", "found by searching"):
            assert old not in text
    html = files["index.html"]
    names = ("verdict", "comparison", "trainings", "luck", "mattered", "compare", "history")
    places = [html.index(f'id="{name}"') for name in names]
    assert places == sorted(places)
    heads = [line for line in files["report.md"].splitlines() if line.startswith("## ")]
    assert heads[:5] == [
        *("## Verdict", "## Every training of the comparison", "## How much was luck"),
        *("## What mattered", "## Winner and defaults"),
    ]


def test_a_search_alone_keeps_its_doubt_and_says_what_mattered(tmp_path: Path) -> None:
    files = render(replace(FOUND, final=None), tmp_path)
    text = text_of(files["index.html"])
    assert "not a confirmed gain" in text
    assert "What mattered" in text
    assert "How much was luck" not in text
    assert "tables/comparison.csv" not in files
    assert "tables/path.csv" in files


def test_the_page_with_all_sections_is_well_formed(files: dict[str, str]) -> None:
    page = Page(files["index.html"])
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    targets = {v[1:] for n, v in page.attributes if n == "href" and v and v.startswith("#")}
    assert targets <= set(page.ids)
    assert page.tags.count("caption") == page.tags.count("table")
    assert not re.search(r"\b(nan|None)\b", page.text.replace("loss is nan", ""))
    assert "style" not in {name for name, _ in page.attributes}


def test_every_table_and_figure_is_a_file(files: dict[str, str]) -> None:
    for name in ("comparison", "luck", "importance", "path"):
        assert files[f"tables/{name}.md"].startswith("| ")
    assert {name for name in files if name.endswith(".csv")} == {
        f"tables/{n}.csv"
        for n in ("trials", "comparison", "trainings", "importance", "path", "ancestry")
    }
    for name in ("rows", "importance", "path"):
        assert f"figures/{name}.svg" in files
        assert f"figures/{name}.svg" in files["report.md"]


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_files_hold_full_precision(files: dict[str, str]) -> None:
    default, winner, _ = rows_of(files["tables/comparison.csv"])
    assert (default["delta"], default["winner"]) == ("", "False")
    assert (winner["delta"], winner["interval_over"]) == ("0.031", "seeds and images")
    assert winner["judged_on"] == "test"
    trainings = rows_of(files["tables/trainings.csv"])
    assert [row["test"] for row in trainings if row["row"] == "trial-3"] == ["0.3", "0.3", ""]
    steps = rows_of(files["tables/path.csv"])
    assert [row["step"] for row in steps] == ["1", "2", "2"]
    assert [row["measured"] for row in steps] == ["0.031", "", ""]
    assert rows_of(files["tables/importance.csv"])[0]["chance"] == "0.2"


def test_rows_of_the_comparison() -> None:
    table = found_tables.comparison_table(make_final(), "AP")
    assert [row.cells for row in table.rows] == [
        ("The defaults", "40.0", "31.0 ± 1.0", "3 of 3", "", "", ""),
        ("Trial 5 (winner)", "49.4", "34.1 ± 1.0", "3 of 3", "+3.1", "+2.1 to +4.1", "above 0.99"),
        ("Trial 3", "49.4", "30.0 ± 0.0", "2 of 3", f"{MINUS}0.2", f"{MINUS}2.7 to +2.3", "0.38"),
    ]
    assert [row.mark for row in table.rows] == ["default", "best", ""]


def test_a_row_without_a_training_is_missing() -> None:
    row = make_row("trial-5", (math.nan,), make_trained().trained[1])
    final = replace(make_final(), rows=(make_row("default", (0.3,)), row), winner="")
    cells = found_tables.comparison_table(final, "AP").rows[1].cells
    assert cells == ("Trial 5", "49.4", MISSING, "0 of 3", MISSING, MISSING, MISSING)
    assert tiles(final, "AP") == ()


def test_luck_is_shown_row_by_row() -> None:
    table = found_tables.luck_table(make_final(), "AP")
    assert [row.cells for row in table.rows] == [
        ("The defaults", "40.0", "41.0 ± 1.0", "+1.0"),
        ("Trial 5", "49.4", "44.1 ± 1.0", f"{MINUS}5.3"),
        ("Gain, points", "+9.4", "+3.5", f"{MINUS}5.9"),
    ]


def test_metrics_are_means_over_the_seeds_on_the_judged_split() -> None:
    winner, default, difference = found_tables.metric_table(make_final()).rows
    assert winner.cells == ("Trial 5", "34.1", "54.1", *(MISSING,) * 4)
    assert default.cells[:3] == ("The defaults", "31.0", "51.0")
    assert difference.cells[:3] == ("Difference, points", "+3.1", "+3.1")


def test_shares_stand_side_by_side_and_may_be_missing() -> None:
    table = found_tables.importance_table(FOUND)
    assert [column.head for column in table.columns] == [
        *("Parameter", "PED-ANOVA", "95 % interval", "Chance"),
        *("fANOVA", "95 % interval", "Chance"),
    ]
    assert [row.cells for row in table.rows] == [
        ("optimizer.lr", "70.0", "50.0 to 80.0", "20.0", "100.0", "90.0 to 100.0", "30.0"),
        ("augment.mosaic", "30.0", "10.0 to 50.0", "40.0", *(MISSING,) * 3),
    ]


def test_steps_of_several_parameters_share_their_numbers() -> None:
    table = found_tables.path_table(make_trained())
    assert table.columns[5].head == "Measured on test, points"
    assert [row.cells for row in table.rows] == [
        ("1", "optimizer.lr", "0.01 → 0.02", "+3.0", "+1.0 to +5.0", "+3.1", "+2.1 to +4.1", "3"),
        ("2", "sat.kind", "none → fgsm", f"{MINUS}0.5", MISSING, MISSING, MISSING, "0"),
        ("2", "sat.epsilon", "off → 0.02", "", "", "", "", ""),
    ]


def test_bars_of_a_path_stand_on_those_before() -> None:
    first, second = found_figures.bar_data(make_trained())
    assert (first.start, first.gain) == (0.0, 3.0)
    assert (first.low, first.high) == pytest.approx((1.04, 4.96))
    assert (second.start, second.gain) == (3.0, -0.5)
    assert second.label == "sat.kind (none → fgsm), sat.epsilon (off → 0.02)"
    measured = found_figures.bar_data(make_trained(), measured=True)
    assert [bar.start for bar in measured] == pytest.approx([0.0, 3.1])
    assert math.isnan(measured[1].gain)


def test_dots_are_the_trainings_that_ended() -> None:
    rows = found_figures.dot_data(make_final())
    assert [row.values for row in rows] == [
        pytest.approx((30, 31, 32)), pytest.approx((33.2, 34.0, 35.1)), (30.0, 30.0)
    ]  # fmt: skip
    assert [row.is_winner for row in rows] == [False, True, False]
    assert (rows[1].low, rows[1].high) == pytest.approx((2.1, 4.1))
    assert math.isnan(rows[0].delta)


def test_many_parameters_are_cut_and_that_is_told() -> None:
    frame = make_importances().frame
    more = [frame.iloc[:1].assign(parameter=f"p{n}", importance=0.001) for n in range(30)]
    pooled = Importances(pd.concat([frame, *more], ignore_index=True), 40)
    many = replace(FOUND, importances=pooled)
    assert found_caption("importance", "AP", many).endswith("The first 20 of 32 are shown.")
    figure = found_figures.draw_importance(pooled.frame, wide=True)
    assert figure is not None
    assert len(figure.axes[0].get_yticklabels()) == 20
    assert len(found_tables.importance_table(many).rows) == 32


def test_the_winner_is_the_star_of_the_search_too(files: dict[str, str]) -> None:
    summary = summarise(make_run(), FOUND)
    assert (summary.outcome, summary.role) == ("compared", "winner")
    assert summary.best is not None
    assert summary.best.number == 5
    assert "winner (trial 5)" in files["figures/history.svg"]
    assert tables.parameter_table(make_run(), summary).columns[3].head == "Winner"


def test_the_defaults_as_winner_stand_alone() -> None:
    final = replace(make_final(), winner="default")
    assert [(tile.title, tile.about) for tile in tiles(final, "AP")] == [
        ("Winner", "the defaults")
    ]
    summary = summarise(make_run(), replace(FOUND, final=final))
    assert summary.best is not None
    assert summary.best.number == 0
    assert len(found_tables.metric_table(final).rows) == 1


def test_the_first_screen_has_the_numbers_of_the_winner() -> None:
    winner, default, difference = tiles(make_final(), "AP")
    assert (winner.about, winner.number) == ("trial 5", "34.1")
    assert winner.detail == "test, mean of 3 seeds, sd 1.0"
    assert default.number == "31.0"
    assert (difference.number, difference.detail) == ("+3.1", "95 %: +2.1 to +4.1")


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    nothing = Importances(make_importances().frame.iloc[:0], 3, "it takes 8 complete trials")
    final = replace(make_final(), unfinished="5 of 9 trainings have ended.", no_images="data gone")
    found = Findings("AP", final, nothing, None, "it takes 4 complete trials", "")
    text = text_of(render(found, tmp_path)["index.html"])
    assert "5 of 9 trainings have ended." in text
    assert "Intervals allow for seeds alone: data gone." in text
    assert "No importance of parameters can be told: it takes 8 complete trials." in text
    assert "No path from the defaults to the winner can be told: it takes 4" in text


def test_a_comparison_without_a_training_has_a_page(tmp_path: Path) -> None:
    rows = (make_row("default", (math.nan,)), make_row("trial-5", (math.nan,)))
    final = replace(make_final(), rows=rows, winner="", verdict=None, luck=None,
                    sentence="Undecided: nothing is complete.", folders={})  # fmt: skip
    files = render(replace(FOUND, final=final), tmp_path)
    assert "Undecided: nothing is complete." in text_of(files["index.html"])
    assert "figures/rows.svg" not in files


def test_method_and_commands_are_of_the_winner() -> None:
    run = make_run()
    paragraph = describe_method(run, FOUND).paragraph
    assert "2 candidates" in paragraph
    assert "3 fresh seeds each, and measured on test" in paragraph
    assert "seeds and the images" in paragraph
    commands = dict(reuse_commands(run, summarise(run, FOUND), FOUND.final))
    assert commands["Measure weights of the winner"] == (
        "evolve eval --weights runs/digits-ga/final/trial-5/0/last.pt --data digits --split test"
    )


def hostile_found() -> Findings:
    final = make_final()
    rows = tuple(replace(row, title=HOSTILE, key=f"k{n}") for n, row in enumerate(final.rows))
    final = replace(final, rows=rows, winner="k1", sentence=HOSTILE, judged_on=HOSTILE,
                    no_images=HOSTILE, unfinished=HOSTILE, folders={"k1": "$(rm x)"})  # fmt: skip
    path = make_trained()
    step = replace(path.steps[0], parameters=(HOSTILE,), old={HOSTILE: HOSTILE}, new={HOSTILE: 1})
    path = replace(path, steps=(step, path.steps[1]), split=HOSTILE, training=HOSTILE)
    frame = make_importances().frame.replace("optimizer.lr", HOSTILE)
    return replace(FOUND, final=final, path=path, importances=Importances(frame, 9), words=HOSTILE)


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    files = render(hostile_found(), tmp_path)
    page = Page(files["index.html"])
    assert "img" not in page.tags
    assert page.tags.count("script") == 1
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert page.open == []
    for name, text in files.items():
        assert "\x1b" not in text
        assert "\u202e" not in text
        if not name.endswith(".csv"):
            prose = [line for line in text.splitlines() if not line.startswith("    evolve")]
            assert "".join(prose).count("<script") == name.endswith(".html")
    assert "'$(rm x)" in files["report.md"] or "$(rm x)/last.pt'" in files["report.md"]
    for row in csv.reader(io.StringIO(files["tables/path.csv"])):
        assert not [cell for cell in row if cell.startswith("=")]


def test_the_same_findings_give_the_same_bytes(files: dict[str, str], tmp_path: Path) -> None:
    assert render(replace(FOUND, path=make_trained()), tmp_path) == files
