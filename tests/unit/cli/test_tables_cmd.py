"""`evolve tables` in this process."""

import csv
import io
import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from evolve.ablation.paper import LOGS, NAMES
from evolve.cli.main import BAD_INPUT, VERBS, cli, main


def ask(*arguments, width=100):
    done = CliRunner(env={"COLUMNS": str(width)}).invoke(cli, ["tables", *arguments])
    assert done.exit_code == 0, done.output
    return done.output


def test_the_list_names_every_table_with_its_rows():
    lines = ask(width=120).splitlines()
    rows = [line.split() for line in lines[4:] if line[:5].strip() and line[5:7] == "  "]
    named = {words[1]: words for words in rows}
    assert [*named] == [*NAMES.values(), *LOGS]
    assert named["bof"][0] == "4"
    assert named["bof"][-1] == "17"
    assert named["authors-bos"][0] == "-"
    assert lines[-1] == "evolve tables --show bof  shows one"


@pytest.mark.parametrize("width", [60, 80, 100])
def test_the_list_fits(width):
    assert max(map(len, ask(width=width).splitlines())) <= width


def test_verb_is_listed_after_spaces():
    verbs = list(VERBS)
    assert verbs[verbs.index("spaces") + 1] == "tables"


def test_json_of_the_list():
    told = json.loads(ask("--json"))
    assert [table["name"] for table in told] == [*NAMES.values(), *LOGS]
    assert told[3]["number"] == 4
    assert told[3]["rows"] == 17
    assert told[3]["source"] == "arXiv:2004.10934, Table 4"


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
    assert [row["Name"] for row in listed] == [*NAMES.values(), *LOGS]


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
    assert told.startswith("TableError: the paper has no table 'classifier-resnet'")
    assert "did you mean 'classifier-resnext'?" in told


def test_json_and_a_format_are_not_both_given(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["tables", "--json", "--format", "md"])
    assert stopped.value.code == BAD_INPUT
    assert "not both" in capsys.readouterr().err
