"""The report of an ablation: what it says, where it leads, and that hostile text stays text."""

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import pytest
from made_up_ablation import a_table, design_table, make_found, values_of, write_files
from test_report_render import HOSTILE, Page, read_all

from evolve.errors import ReportError
from evolve.findings.table import TableFindings
from reports.table_report import render_table_report
from reports.table_summary import next_steps, tiles, verdict

MEANS = {"base": 0.300, "S": 0.331, "M": 0.3012, "IT": 0.285, "CIoU": 0.340, "no": 0.3}
STEP = "evolve resume runs/mine"


def make_plain(folder: Path) -> TableFindings:
    values = values_of(MEANS, 5)
    values["no"] = ["the loss is not finite"] * 5
    values["M"][4] = "no memory"
    return write_files(make_found(folder, values))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain") / "runs" / "mine"
    found = make_plain(folder)
    render_table_report(found, folder / "report")
    return folder


def page_of(folder: Path) -> Page:
    return Page((folder / "report" / "index.html").read_text(encoding="utf-8"))


def test_all_files_are_there_and_the_same_findings_give_the_same_bytes(
    run: Path, tmp_path: Path
) -> None:
    first = read_all(run / "report")
    pictures = ("curves", "roadmap", "trainings")
    assert set(first) == {
        *("index.html", "report.md"),
        *(f"tables/mine{end}" for end in (".md", ".csv", "-rows.csv", "-seeds.csv", ".tex")),
        *(f"figures/{name}{end}" for name in pictures for end in (".png", ".svg")),
    }
    paths = render_table_report(make_plain(run), run / "report")
    assert paths[0] == (run / "report" / "index.html").resolve()
    assert read_all(run / "report") == first


def test_the_page_is_well_formed_and_asks_for_nothing(run: Path) -> None:
    page = page_of(run)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    targets = [v[1:] for n, v in page.attributes if n == "href" and v and v.startswith("#")]
    labels = [v for n, v in page.attributes if n == "aria-labelledby" and v]
    assert set(targets) | set(labels) <= set(page.ids)
    assert not {"link", "iframe", "object", "img", "form"} & set(page.tags)
    assert page.tags.count("script") == page.tags.count("h1") == 1
    names = {name for name, _ in page.attributes}
    assert not [name for name in names if name == "style" or name.startswith("on")]


def test_figures_have_the_colours_of_the_page_also_where_they_are_hatched(run: Path) -> None:
    html = (run / "report" / "index.html").read_text(encoding="utf-8")
    drawn = "".join(re.findall(r"<figure>.*?</figure>", html, re.DOTALL))
    assert "<pattern" in drawn
    assert "var(--paper)" in drawn
    assert not re.search(r"#[0-9a-f]{6}", drawn)


def test_the_first_screen_has_verdict_number_and_next_step(run: Path) -> None:
    text = " ".join(page_of(run).text.split())
    assert re.search(r"\+ CIoU and \+ S help by 4\.\d and 3\.\d AP points on test", text)
    assert "+ IT hurts by" in text
    assert "nothing is decided about + M; + no failed." in text
    assert "Best row + CIoU" in text
    assert re.search(
        r"\+4\.\d ± 0\.\d points AP on test; 95 % from \+3\.\d to \+4\.\d; helps", text
    )
    assert re.search(r"Decide about \+ M \(about (\d+) more\).*?runs/mine --seeds \d+", text)
    assert "picked by the same trainings" in text


def test_more_seeds_are_what_the_judgement_asks_for(tmp_path: Path) -> None:
    found = make_plain(tmp_path)
    more = int(found.judged.set_index("row")["more_seeds"]["M"])
    (_, first), (_, second) = next_steps(found)
    assert first.endswith(f" --seeds {5 + more}")
    assert second == (f"evolve train --config {tmp_path}/table/CIoU/0/config.yaml --data cells")


def test_every_value_leads_to_its_trainings_and_these_to_their_files(run: Path) -> None:
    html = (run / "report" / "index.html").read_text(encoding="utf-8")
    assert re.search(r'<a href="#row-S">3\d\.\d</a>', html)
    assert html.count('href="#row-CIoU"') == 2  # AP and AP50
    page = page_of(run)
    links = [v for n, v in page.attributes if n == "href" and v and not v.startswith("#")]
    assert len(links) == 3 * (5 * 4 + 4)
    assert all((run / "report" / unquote(link)).resolve().is_file() for link in links)
    (block,) = re.findall(r'<details class="row" id="row-S">(.*?)</details>', html, re.DOTALL)
    detail = Page(block).text
    assert "loss.box" in re.sub(r"\s", "", detail)
    assert "mse → S" in detail
    assert (
        "evolve train --config runs/mine/table/S/2/config.yaml --data cells --threads 2 "
        "--out runs/again-S-2"
    ) in detail
    assert "102" in detail


def test_only_files_inside_the_run_are_linked(tmp_path: Path) -> None:
    found = make_plain(tmp_path / "mine")
    secret = tmp_path / "secret.txt"
    secret.write_text("none of the run's")
    log = tmp_path / "mine" / "table" / "S" / "0" / "log.txt"
    log.unlink()
    log.symlink_to(secret)
    render_table_report(found, tmp_path / "mine" / "report")
    html = (tmp_path / "mine" / "report" / "index.html").read_text(encoding="utf-8")
    assert "secret" not in html
    assert "table/S/0/log.txt" not in html
    assert "table/S/1/log.txt" in html


def test_trainings_of_others_say_whose_they_are(tmp_path: Path) -> None:
    found = make_plain(tmp_path)
    frame = found.trainings.copy()
    frame.loc[frame["training"] == "S/1", "taken_from"] = "an-older-run"
    frame.loc[frame["training"] == "M/0", "training"] = "S/0"
    render_table_report(replace(found, trainings=frame), tmp_path / "report")
    text = page_of(tmp_path).text
    assert "taken over from the run an-older-run" in text
    assert "the same training as that of + S" in text


def test_failed_rows_are_there_with_reasons_and_last_log_lines(run: Path) -> None:
    text = " ".join(page_of(run).text.split())
    assert "6 of 30 trainings failed." in text
    assert "diverged: no memory" in text
    assert "stopped: the loss is not finite" in text
    assert "0 of 5 trainings; 5 failed" in text


def test_a_half_finished_table_says_what_is_missing(tmp_path: Path) -> None:
    values = values_of({"base": 0.3, "S": 0.33, "M": 0.3}, 3)
    values["S"][2], values["M"] = None, [None] * 3
    found = write_files(make_found(tmp_path, values))
    render_table_report(found, tmp_path / "report")
    text = " ".join(page_of(tmp_path).text.split())
    assert "Unfinished table. 5 of 9 trainings of the table have ended" in text
    assert "Finish the trainings that are left" in text
    assert "5 complete, 4 waiting" in text
    assert not re.search(r"\b(nan|None|NaT)\b", text)


@pytest.mark.parametrize("value", [None, "no memory"])
def test_without_a_complete_training_one_line_says_so(value: str | None, tmp_path: Path) -> None:
    found = make_found(tmp_path, {"base": [value] * 2, "S": [value] * 2})
    render_table_report(found, tmp_path / "report")
    assert not (tmp_path / "report" / "figures").exists()
    text = " ".join(page_of(tmp_path).text.split())
    assert "so nothing can be said of its rows" in text
    assert ("4 of 4 failed" in text) == (value is not None)
    assert not re.search(r"\b(nan|None|NaT)\b", text)
    assert tiles(found) == ()


def test_a_baseline_that_nothing_beats_is_told_as_the_best(tmp_path: Path) -> None:
    found = make_found(tmp_path, values_of({"base": 0.33, "S": 0.30}, 4))
    titles = [(tile.kind, tile.title) for tile in tiles(found)]
    assert titles == [
        ("default", "Best other row"), ("best", "Baseline"), ("difference", "Difference"),
    ]  # fmt: skip
    assert verdict(found).startswith("+ S hurts by 2.8 AP points on test")
    assert not [command for _, command in next_steps(found) if "train" in command]


def test_designs_have_their_figures(tmp_path: Path) -> None:
    table = design_table("full-factorial", ["S", "M", "IT"])
    means = {row.key: 0.3 + 0.02 * ("S" in row.on) for row in table.rows}
    render_table_report(make_found(tmp_path, values_of(means, 3), table), tmp_path / "report")
    figures = {path.stem for path in (tmp_path / "report" / "figures").glob("*.svg")}
    assert figures == {"roadmap", "trainings", "effects", "interactions"}
    markdown = (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    assert "![Interactions](figures/interactions.svg)" in markdown
    assert "contrasts over all rows of the full factorial" in markdown
    assert "@book{box2005" in markdown


def test_method_and_references_are_told(run: Path) -> None:
    text = " ".join(page_of(run).text.split())
    for words in (
        "The baseline trains yolov4-nano (96 \u00d7 96 px) for 8 epochs",
        "The 6 rows of the table were trained with 5 seeds each, the same for all rows",
        "the 400 images of test were resampled jointly",
        "after Holm's correction over 5 rows, is at most 0.05",
        "within ±0.2 points",
        "@article{holm1979",
        "2 boxes outside were dropped",
    ):
        assert words in text, words


def make_hostile(folder: Path) -> TableFindings:
    table = a_table(
        ["base", "S"], title=HOSTILE, description=HOSTILE, columns={"S": HOSTILE},
        name="../../evil", metrics=("AP", HOSTILE),
    )  # fmt: skip
    rows = tuple(replace(row, title=HOSTILE) for row in table.rows)
    data = {"name": HOSTILE, "path": HOSTILE, "classes": [HOSTILE], "notes": [HOSTILE]}
    config = {"config": {HOSTILE: HOSTILE}, "pretrain": HOSTILE}
    found = make_found(
        folder, {"base": [0.3, 0.31, 0.3], "S": [0.33, 0.34, HOSTILE]},
        replace(table, rows=rows),
        manifest={
            "data": data, "command": HOSTILE, "created": HOSTILE, "versions": {HOSTILE: HOSTILE},
            "rows": {"base": {"config": {HOSTILE: 1}, "pretrain": None}, "S": config},
        },
    )  # fmt: skip
    frame = found.trainings.assign(taken_from=HOSTILE)
    return write_files(replace(found, trainings=frame))


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    folder = tmp_path / "$(rm x) 'y' \"><b>"
    render_table_report(make_hostile(folder), folder / "report")
    page = page_of(folder)
    assert page.open == []
    assert "img" not in page.tags
    assert "b" not in page.tags
    assert page.tags.count("script") == 1
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    links = [v for n, v in page.attributes if n == "href" and v and not v.startswith("#")]
    assert links
    assert all((folder / "report" / unquote(link)).resolve().is_file() for link in links)
    assert "<script>alert(1)</script>" in page.text
    assert """'"'"'y'"'"'""" in page.text
    files = read_all(folder / "report")
    assert {name for name in files if name.endswith(".md")} == {"report.md", "tables/evil.md"}
    for name, content in files.items():
        text = content.decode(errors="replace")
        assert name.endswith(".png") or not set(text) & {"\x1b", "\u202e"}, name
        prose = [line for line in text.splitlines() if not line.startswith("    ")]
        # commands are code, and a CSV file has text as it is
        assert name.endswith(".csv") or "<img" not in "\n".join(prose), name
    lines = files["report.md"].decode().splitlines()
    for previous, line in pairwise(lines):
        if previous.startswith("|") and line.startswith("|"):
            bars = [len(re.findall(r"(?<!\\)\|", text)) for text in (previous, line)]
            assert bars[0] == bars[1]


def test_a_large_table_is_a_small_page(tmp_path: Path) -> None:
    means = {f"row-{n:02d}": 0.3 + 0.002 * (n % 7) for n in range(30)}
    found = write_files(make_found(tmp_path, values_of(means, 5)), epochs=100)
    render_table_report(found, tmp_path / "report")
    assert (tmp_path / "report" / "index.html").stat().st_size < 450_000


def test_another_folder_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("mine")
    with pytest.raises(ReportError, match="something else"):
        render_table_report(make_plain(tmp_path / "mine"), tmp_path)
    assert (tmp_path / "letters.txt").read_text() == "mine"
