"""`evolve tables` in this process."""

import csv
import io
import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from evolve.ablation.paper import LOGS, NAMES
from evolve.ablation.table import bundled_tables, load_table
from evolve.cli.main import BAD_INPUT, VERBS, cli, main
from tests.golden.read_tables import read_html, read_latex

TRAINED = ["bof", "bos", "backbone", "minibatch", "classifier-resnext", "classifier-darknet"]
MINE = """title: Do mosaic and CIoU help?
model: yolov4-nano
values: {loss: [MSE, CIoU]}
base: {ingredients: [S]}
rows:
  - {key: plain, title: squared errors}
  - {key: mosaic, ingredients: [M]}
  - {key: ciou, ingredients: [CIoU], baseline: mosaic}
"""


def ask(*arguments, width=100):
    done = CliRunner(env={"COLUMNS": str(width)}).invoke(cli, ["tables", *arguments])
    assert done.exit_code == 0, done.output
    return done.output


def test_the_list_names_every_published_table_with_its_rows():
    lines = ask(width=120).split("Tables of the YOLOv4 paper")[1].splitlines()
    rows = [line.split() for line in lines[4:] if line[:5].strip() and line[5:7] == "  "]
    named = {words[1]: words for words in rows}
    assert [*named] == [*NAMES.values(), *LOGS]
    assert named["bof"][0] == "4"
    assert named["bof"][-1] == "17"
    assert named["authors-bos"][0] == "-"
    assert lines[-1] == "evolve ablate --table bof        trains it"


def test_tables_that_can_be_trained_come_first():
    lines = ask(width=120).split("Tables of the YOLOv4 paper")[0].splitlines()
    assert lines[0] == "Tables that can be trained"
    rows = [line.split() for line in lines[5:] if line[:2] == "  " and line[2:3] > " "]
    assert [words[0] for words in rows] == TRAINED
    assert sorted(TRAINED) == [path.stem for path in bundled_tables()]
    assert rows[0][-3:] == ["17", "csresnext50-panet-spp-nano", "4"]
    headings = [line for line in lines[4:] if line and not line.startswith(" ")]
    assert headings == ["Detectors to train", "Classifiers to train"]


@pytest.mark.parametrize("width", [60, 80, 100])
def test_the_list_fits(width):
    assert max(map(len, ask(width=width).splitlines())) <= width


def test_verb_is_listed_after_spaces():
    verbs = list(VERBS)
    assert verbs[verbs.index("spaces") + 1] == "tables"


def test_json_of_the_list():
    told = json.loads(ask("--json"))
    assert [*told] == ["runnable", "paper"]
    paper = told["paper"]
    assert [table["name"] for table in paper] == [*NAMES.values(), *LOGS]
    assert paper[3]["number"] == 4
    assert paper[3]["rows"] == 17
    assert paper[3]["source"] == "arXiv:2004.10934, Table 4"
    assert [table["name"] for table in told["runnable"]] == TRAINED
    assert told["runnable"][3] == {
        "name": "minibatch",
        "title": "Mini-batches of 4 and of 8",
        "task": "detect",
        "rows": 4,
        "models": ["csresnext50-panet-spp-nano", "yolov4-nano"],
        "paper": 7,
    }


def test_json_of_one_tells_what_is_not_confirmed():
    table = json.loads(ask("--show", "bof", "--json"))
    assert [column["key"] for column in table["columns"]][-4:] == ["loss", "AP", "AP50", "AP75"]
    first, last = table["rows"][0], table["rows"][16]
    assert first["unconfirmed"] == ["AP", "AP75"]
    assert last["marks"] == ["S", "M", "IT", "GA", "OA"]
    assert last["cells"] == {"loss": "CIoU", "AP": 42.4, "AP50": 64.4, "AP75": 45.9}
    assert last["unconfirmed"] == []


def test_one_in_other_formats():
    assert ask("--show", "4", "--format", "md").startswith("**Table 4: Ablation Studies")
    rows = list(csv.DictReader(io.StringIO(ask("--show", "table4", "--format", "csv"))))
    assert rows[16]["AP"] == "42.4"
    listed = list(csv.DictReader(io.StringIO(ask("--format", "csv"))))
    assert [row["Name"] for row in listed] == [*TRAINED, *NAMES.values(), *LOGS]
    assert (listed[0]["Group"], listed[-1]["Group"]) == ("Detectors to train", "As published")
    assert ask("--format", "md").startswith("**Tables that can be trained**\n\n| Name |")


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "my tables.yaml"
    path.write_text(MINE)
    return str(path)


def test_a_file_is_shown_as_it_would_be_trained(mine):
    lines = ask("--show", mine).splitlines()
    assert lines[:6] == [
        "Do mosaic and CIoU help?",
        "",
        "Row     M  loss  baseline",
        "──────  ─  ────  ────────",
        "plain      MSE",
        "mosaic  ✓  MSE   plain",
    ]
    assert lines[6].split() == ["ciou", "CIoU", "mosaic"]
    assert "3 rows of yolov4-nano, compared in AP." in lines
    assert lines[-1] == f"evolve ablate --table '{mine}'  trains it"
    assert ask("--show", mine, "--rows").splitlines() == lines


def test_one_as_latex_and_html_that_other_programs_read():
    text = ask("--show", "4", "--format", "latex")
    assert text.startswith("% Needs")
    assert r"\label{tab:bof}" in text
    assert len(read_latex(text)) == 17
    text = ask("--show", "4", "--format", "html")
    assert text.isascii()
    assert len(read_html(text)) == 17
    assert '<table id="bof">' in text


def test_the_list_as_latex_is_one_file_and_as_html_two_tables():
    assert ask("--format", "latex").count(r"\documentclass") == 1
    text = ask("--format", "html")
    assert [text.count(f'id="tables-{i}"') for i in (1, 2, 3)] == [1, 1, 0]


def test_a_file_in_other_formats(mine):
    assert "mosaic & " in ask("--show", mine, "--format", "latex")
    rows = list(csv.DictReader(io.StringIO(ask("--show", mine, "--format", "csv"))))
    assert [row["M"] for row in rows] == ["0", "1", "0"]
    told = json.loads(ask("--show", mine, "--json"))
    assert (told["task"], told["objective"], told["baseline"]) == ("detect", "AP", "plain")
    assert [row["model"] for row in told["rows"]] == ["yolov4-nano"] * 3
    assert told["rows"][1]["marks"] == ["M"]


@pytest.mark.parametrize("name", ["bof", "4", "table4"])
def test_rows_of_a_table_of_the_paper_are_shown_when_asked_for(name):
    told = ask("--show", name, "--rows")
    assert told.startswith("Bag of freebies\n")
    assert "17 rows of csresnext50-panet-spp-nano, compared with 'baseline' in AP." in told
    assert told.endswith("\nevolve ablate --table bof  trains it\n")
    assert "%" not in told.split("17 rows")[0]
    assert ask("--show", name).startswith("Table 4: ")


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("width", [80, 120])
def test_rows_of_every_table_can_be_shown(name, width):
    told = ask("--show", name, "--rows", width=width)
    assert max(map(len, told.splitlines())) <= width
    keys = {line.split(" ")[0] for line in told.splitlines()[4:]}
    assert {row.key for row in load_table(name).file.rows} <= keys  # never wrapped


def test_a_design_is_told_with_the_rows_that_it_makes(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("title: t\nplan: {design: pairs, ingredients: [S, M]}\n")
    told = ask("--show", str(path))
    assert "Made by the design pairs of S, M, 2 seeds or more." in told


def test_figures_that_cannot_be_trained_have_no_rows_to_show(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["tables", "--show", "volta", "--rows"])
    assert stopped.value.code == BAD_INPUT
    told = capsys.readouterr().err
    assert "'volta' of the paper is published figures alone" in told
    assert "these can be trained: backbone, bof, bos" in told


def test_faults_of_a_file_are_told_with_their_places(tmp_path, capsys):
    path = tmp_path / "mine.yaml"
    path.write_text(MINE.replace("[M]", "[Mm]"))
    with pytest.raises(SystemExit) as stopped:
        main(["tables", "--show", str(path)])
    assert stopped.value.code == BAD_INPUT
    assert "mine.yaml:7:" in capsys.readouterr().err


def test_rows_are_of_a_table_that_is_named(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["tables", "--rows"])
    assert stopped.value.code == BAD_INPUT
    assert "--rows goes with --show" in capsys.readouterr().err


def test_a_terminal_without_check_marks_gets_letters():
    code = "from evolve.cli.main import main; main(['tables', '--show', 'bof'])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True,
        env={"PYTHONIOENCODING": "ascii", "PYTHONPATH": ":".join(filter(None, sys.path))},
    )  # fmt: skip
    assert done.stdout.decode("ascii").splitlines()[5].split() == [
        "x",
        "MSE",
        "37.7%",
        *("59.9%", "40.5%"),
    ]


def test_an_unknown_name_is_bad_input_with_the_nearest(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["tables", "--show", "classifier-resnet"])
    assert stopped.value.code == BAD_INPUT
    told = capsys.readouterr().err
    assert told.startswith("TableError: there is no table 'classifier-resnet'")
    assert "did you mean 'classifier-resnext'?" in told


def test_json_and_a_format_are_not_both_given(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["tables", "--json", "--format", "md"])
    assert stopped.value.code == BAD_INPUT
    assert "not both" in capsys.readouterr().err
