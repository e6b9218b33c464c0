"""A table's findings as text and files, looked at as a reader does."""

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest

from evolve.ablation import shown
from evolve.ablation.files import file_name, markdown, table_files, table_text
from evolve.ablation.shown import classes_layout, table_layout
from evolve.findings import images as images_module
from evolve.findings.table import find_table
from tests.golden.read_tables import read_latex
from tests.unit.findings.made_up_table import (
    RUNNING,
    a_table,
    bundled_table,
    design_table,
    make_detected,
    make_folder,
    train,
)

BASE = [0.300, 0.310, 0.305]
CLEAR = [0.331, 0.340, 0.336]


def read(text):
    return list(csv.reader(io.StringIO(text)))


@pytest.fixture
def plain(tmp_path):
    """A table of curves in which one row failed."""
    train(make_folder(tmp_path), {"base": BASE, "S": CLEAR, "M": ["no memory", RUNNING, "no"]})
    return tmp_path


@pytest.fixture
def factorial(tmp_path):
    table, tree = design_table("fractional-factorial", ["S", "M", "LS", "IT"])
    noise = np.random.default_rng(1).normal(0, 1e-3, (len(table.rows), 2))
    values = {row.key: (0.3 + 0.05 * ("M" in row.marks) + noise[i]).tolist()
              for i, row in enumerate(table.rows)}  # fmt: skip
    train(make_folder(tmp_path, table, seeds=2, design=tree), values, table)
    return tmp_path


def test_the_table_of_the_paper_fits_into_120_columns(tmp_path):
    table = bundled_table("bof")
    rng = np.random.default_rng(0)
    values = {row.key: (0.3 + rng.normal(0, 0.03, 3)).tolist() for row in table.rows}
    values["IT"][1:] = ["CUDA out of memory"] * 2
    folder = train(make_folder(tmp_path, table), values, table)
    cost = {"parameters": 4600000, "bflops": 1.2, "latency_ms": 31.0, "latency_p95_ms": 33.0}
    tree = {"device": "a GPU", "protocol": "batch 1", "rows": dict.fromkeys(values, cost)}
    folder.write_json(tmp_path / "costs.json", tree)
    found = find_table(tmp_path)
    for encoding in ("utf-8", "ascii"):
        lines = table_text(found, 120, encoding=encoding).splitlines()
        assert max(map(len, lines)) <= 120
        rows = lines[5:22]
        assert len({len(line) for line in rows}) == 1  # each ends with its time
        assert "as published" in lines[2]
    assert "4.60 M parameters, 1.20 BFLOPs, 31 ms on a GPU for all rows" in "\n".join(lines)


def test_text_is_the_table_then_the_effects_then_words(factorial):
    lines = table_text(find_table(factorial), 100).splitlines()
    assert max(map(len, lines)) <= 100
    text = " ".join(" ".join(lines).split())
    order = [
        "Mine (test)",
        "2 seeds a row, the same for all; 95 % intervals over seeds alone",
        "helps, hurts: p at most 0.05 after Holm over 7 rows (moderated t test)",
        "no effect: surely within ±0.2 AP",
        "Effects in AP points on test",
        "An ingredient: what it adds on average over what the others are",
        "Of 7 rows",
    ]
    places = [text.index(part) for part in order]
    assert places == sorted(places)


def test_effects_that_are_not_there_yet_are_told(tmp_path):
    table, tree = design_table("shapley", ["S", "M"])
    make_folder(tmp_path, table, design=tree)
    found = find_table(tmp_path)
    assert "No effects are told yet: they take rows of which" in table_text(found)
    assert "No effects are told yet" in markdown(found)


def test_a_brief_table_has_no_explanations(plain):
    found = find_table(plain)
    whole, brief = table_layout(found), table_layout(found, is_brief=True)
    assert "cost" in {column.group for column in whole.columns}
    assert "cost" not in {column.group for column in brief.columns}
    assert [note.text for note in brief.notes] == [
        "oom: no memory; oom: no",
        "(in brackets): so far; verdicts are reached when all trainings have ended",
        "8 of 9 trainings of the table have ended; what is said of rows may change.",
    ]


def test_words_of_a_half_done_table_are_provisional_everywhere(plain):
    found = find_table(plain)
    files = table_files(found)
    assert "(helps)" in table_text(found)
    assert "| (helps) |" in files["mine.md"].replace("\\", "")
    head, _, line, *_ = read(files["mine.csv"])
    assert line[head.index("verdict")] == "(helps)"
    head, *lines = read(files["mine-rows.csv"])
    assert {line[head.index("provisional")] for line in lines} == {"True"}
    assert found.to_dict()["provisional"]
    assert found.sentences[0].startswith("So far, of 2 rows 1 helps")
    assert found.sentences[1].startswith("So far: + S helps by 3.1 AP points")


@pytest.mark.parametrize("change", [{"over": True}, {"seeds": "auto", "looks": [3, 4]}])
def test_words_that_a_look_allowed_for_are_not_provisional(plain, change):
    manifest = json.loads((plain / "manifest.json").read_text())
    (plain / "manifest.json").write_text(json.dumps(manifest | change))
    found = find_table(plain)
    assert found.unfinished
    text = table_text(found)
    assert "(helps)" not in text
    assert "(undecided)" not in text
    assert "o far" not in text
    assert not found.to_dict()["provisional"]


def test_a_declared_spending_is_told(tmp_path):
    folder = make_folder(tmp_path, seeds="auto", looks=[3, 4, 6])
    train(folder, {"base": BASE, "S": CLEAR, "M": [0.31, 0.35, 0.29]})
    text = " ".join(table_text(find_table(tmp_path), 100).split())
    assert "rows are judged at 3, 4 and 6 seeds, which spend 0.025, 0.008, 0.017 of 0.05" in text
    assert "3 to 6 seeds a row, the first of one list for all" in text
    assert "2 rows will get more seeds." in text


def test_time_of_classifiers_is_said_to_be_left_out(plain):
    found = find_table(plain)
    told = "train does not count the classifiers that rows start from"
    assert told not in table_text(found)
    record = found.record
    rows = tuple(replace(row, after=("x", "y", "z")) for row in record.rows)
    record = replace(record, plan=replace(record.plan, rows=rows))
    assert told in table_text(replace(found, record=record))


def test_several_baselines_are_told(tmp_path):
    rows = [("base", (), "base"), ("S", ("S",), "base"), ("M", ("S", "M"), "S")]
    table = a_table(rows)
    train(make_folder(tmp_path, table), {"base": BASE, "S": CLEAR, "M": CLEAR}, table)
    text = table_text(find_table(tmp_path))
    assert "Compared with base: + S" in text
    assert "Compared with + S: + M" in text


def test_files_of_a_table(plain):
    found = find_table(plain)
    files = table_files(found)
    assert list(files) == ["mine.md", "mine.csv", "mine-rows.csv", "mine-seeds.csv", "mine.tex"]
    head, base, first, failed = read(files["mine.csv"])
    assert head[:4] == ["row", "title", "S", "M"]
    assert first[:4] == ["S", "'+ S", "1", "0"]
    assert dict(zip(head, first, strict=True))["verdict"] == "(helps)"  # one still runs
    assert base[head.index("Δ AP")] == ""
    assert "no memory" in failed[-1]
    rows = read(files["mine-rows.csv"])
    assert rows[0][:3] == ["row", "title", "n"]
    assert float(rows[2][rows[0].index("delta")]) == found.judged["delta"][1]
    assert rows[2][rows[0].index("train_s")] == "63.0"
    first, *lines = read(files["mine-seeds.csv"])
    seeds = [dict(zip(first, line, strict=True)) for line in lines]
    assert len(seeds) == 9
    assert seeds[3] == {
        "row": "S", "title": "'+ S", "seed_index": "0", "seed": "100", "state": "COMPLETE",
        "reason": "", "AP": "0.331", "AP50": str(0.331 + 0.1), "train_s": "60.0",
    }  # fmt: skip
    assert (seeds[6]["state"], seeds[6]["reason"]) == ("FAIL", "oom: no memory")
    assert (seeds[7]["state"], seeds[7]["AP"]) == ("RUNNING", "")
    rows = read_latex(files["mine.tex"])
    assert [row[0][0] for row in rows] == ["", "\u2713", ""]
    assert [row[-2][0] for row in rows] == ["baseline", "(helps)", "-"]
    assert rows[2][-2][2] == "a"


def test_files_of_classes_and_effects_are_there_if_they_are_known(tmp_path, monkeypatch):
    monkeypatch.setattr(images_module, "RESAMPLES", 20)
    table, tree = design_table("full-factorial", ["S", "M"])
    shares = {row.key: [(0.5, 0.6), (0.6 + 0.1 * i, 0.6)] for i, row in enumerate(table.rows)}
    folder = make_detected(tmp_path, shares, table, design=tree).path
    files = table_files(find_table(folder))
    assert list(files)[4:] == [
        "mine-classes.csv", "mine-effects.csv",
        "mine.tex", "mine-classes.tex", "mine-effects.tex",
    ]  # fmt: skip
    classes, effects = read(files["mine-classes.csv"]), read(files["mine-effects.csv"])
    assert classes[0][:5] == ["row", "title", "baseline", "class", "mean"]
    assert len(classes) == 1 + 3 * 2
    assert [line[0] for line in effects[1:]] == ["S", "M", "M × S"]  # noqa: RUF001
    assert effects[3][2] == "M; S"
    assert r"\label{tab:mine-effects}" in files["mine-effects.tex"]
    without = table_files(find_table(folder, images=False))
    assert list(without)[4:] == ["mine-effects.csv", "mine.tex", "mine-effects.tex"]


def test_a_run_that_has_not_begun_has_files_too(tmp_path):
    make_folder(tmp_path)
    found = find_table(tmp_path)
    files = table_files(found)
    assert all(files.values())
    assert "No training has begun." in files["mine.md"]


EVIL = "=cmd|' /C calc'!A0 <img src=x> *b* `c` [l](u)\n| # h \x1b[2J\u202e"


def test_text_from_outside_does_no_harm(tmp_path):
    table = a_table(
        [("base", (), "base"), ("S", (EVIL,), "base")],
        title=EVIL, description=EVIL, metrics=("AP", "AP50"), name="../../evil",
    )  # fmt: skip
    train(make_folder(tmp_path, table), {"base": BASE, "S": [0.33, EVIL, EVIL]}, table)
    found = find_table(tmp_path)
    files = table_files(found)
    assert {name.partition(".")[0].partition("-")[0] for name in files} == {"evil"}
    text = files["evil.md"]
    assert "<img" not in text
    assert "*b*" not in text.replace(r"\*b\*", "")
    assert not any(line.startswith("| #") for line in text.splitlines())
    for name, content in files.items():
        assert not set(content) & set("\x1b\u202e")
        if not name.endswith(".csv"):
            continue
        cells = [cell for line in read(content) for cell in line]
        assert not [c for c in cells if c[:1] in "=@" and c]
    assert not set(table_text(found)) & set("\x1b\u202e")


@pytest.mark.parametrize(
    ("name", "file"),
    [("bof", "bof"), ("..", "table"), ("a/b c", "a-b-c"), ("", "table"), ("x" * 300, "x" * 80)],
)
def test_names_stay_in_their_folder(name, file):
    assert file_name(name) == file


def test_markdown_has_its_parts(factorial):
    text = markdown(find_table(factorial))
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        "# Mine",
        "## What the ingredients add",
        "## In words",
    ]
    assert text.endswith("\n")
    assert "\n\n\n" not in text


SHARES = {
    "base": [(0.5, 0.6), (0.55, 0.6), (0.5, 0.65)],
    "S": [(0.9, 0.6), (0.95, 0.65), (0.9, 0.65)],
    "M": [(0.5, 0.6), (0.55, 0.55), (0.5, 0.6)],
}


def test_classes_stand_side_by_side(tmp_path, monkeypatch):
    monkeypatch.setattr(images_module, "RESAMPLES", 50)
    found = find_table(make_detected(tmp_path, SHARES, images=30).path)
    layout = classes_layout(found)
    assert [column.heading for column in layout.columns] == [
        "row",
        *found.class_deltas["class"].unique(),
    ]
    assert len(layout.rows) == found.class_deltas["row"].nunique() == 2
    first = found.class_deltas.iloc[0]
    assert layout.rows[0].cells[1].value == round(100 * first["mean"], 4)
    sure = found.class_deltas["p_holm"] <= 0.05
    bold = [cell.bold for row in layout.rows for cell in row.cells[1:]]
    assert bold == sure.tolist()
    assert any(bold)
    assert "## Class by class" in markdown(found)


def test_of_many_classes_those_that_change_most_are_shown(tmp_path, monkeypatch):
    monkeypatch.setattr(images_module, "RESAMPLES", 50)
    found = find_table(make_detected(tmp_path, SHARES, images=30).path)
    monkeypatch.setattr(shown, "MOST_CLASSES", 1)
    layout = classes_layout(found)
    means = found.class_deltas.groupby("class")["mean"].agg(lambda one: one.abs().max())
    assert [column.heading for column in layout.columns] == ["row", means.idxmax()]
    assert "1 more class, in which rows change less" in layout.notes[-1].text
