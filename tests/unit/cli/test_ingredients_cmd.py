"""`evolve ingredients` in this process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from evolve.cli.main import BAD_INPUT, VERBS, cli, main
from model.ingredient import catalogue

ROOT = Path(__file__).parents[3]


def ask(*arguments, width=100):
    done = CliRunner(env={"COLUMNS": str(width)}).invoke(cli, ["ingredients", *arguments])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("width", [80, 100, 200])
def test_list_names_every_key_and_fits(width):
    lines = ask(width=width).splitlines()
    heads = [
        line.split() for line in lines if line.startswith((" * ", "   ")) and line[3:4] != " "
    ]
    keys = [words[1] if words[0] == "*" else words[0] for words in heads]
    assert sorted(keys) == sorted(catalogue())
    assert max(map(len, lines)) <= min(width, 100)


def test_line_of_an_ingredient():
    lines = ask("--family", "special").splitlines()
    place = next(i for i, line in enumerate(lines) if line.startswith("   SAM "))
    assert lines[place].endswith("+1.4 M, +1.1 BFLOPs")
    assert lines[place + 1].strip() == "neck.attention=sam; conflicts with BiFPN"
    assert "arXiv:2004.10934" in lines[place + 2]


def test_one_in_full():
    text = ask("sam")
    assert text.startswith("SAM: ")
    assert "neck.attention=sam (without it none)" in text
    assert "+1,379,840 parameters, +1.063 BFLOPs" in text
    assert "conflicts with BiFPN" in text


def test_several_in_the_order_asked_for_each_once():
    text = ask("KD", "CGBN", "kd", "CBN", "GA", "MSE", "Flip", "Soft-NMS")
    heads = [line.split(":")[0] for line in text.splitlines() if line and line[0] != " "]
    assert heads == ["KD", "CGBN", "CBN", "GA", "MSE", "Flip", "Soft-NMS"]
    for words in (
        "distill.teacher=...",
        "listed only",
        "needs subdivisions >= 2",
        "of any slots",
        "until another takes its slot",
        "-Flip takes it away",
        "suppression one",
    ):
        assert words in text


def test_json_is_complete():
    listed = {entry["key"]: entry for entry in json.loads(ask("--json"))}
    assert listed.keys() == catalogue().keys()
    assert listed["CIoU"]["sets"] == [
        {"slot": "loss.box", "on": "ciou", "off": "mse", "on_classify": None},
        {"slot": "loss.iou_normalizer", "on": 1.0, "off": 0.75, "on_classify": None},
    ]
    assert listed["SAM"]["cost"]["parameters"] == 1_379_840


def test_by_family_and_task():
    losses = [entry["key"] for entry in json.loads(ask("--family", "loss", "--json"))]
    assert losses == ["CIoU", "DIoU", "GIoU", "IoU", "MSE", "SmoothL1"]
    both = json.loads(ask("--task", "classify", "--json"))
    assert {"CutMix", "Mish"} <= {entry["key"] for entry in both}
    assert "SAM" not in {entry["key"] for entry in both}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["bipfn"], "did you mean 'BiFPN'"),
        (["--family", "los"], "did you mean 'loss'"),
        (["--task", "segment"], "segment"),
    ],
)
def test_unknown_words_exit_with_2_and_the_nearest(arguments, told, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["ingredients", *arguments])
    assert ended.value.code == BAD_INPUT
    assert told in capsys.readouterr().err


def test_page_in_docs_is_the_output():
    page = (ROOT / "docs" / "ingredients.md").read_text(encoding="utf-8")
    assert page == ask("--markdown"), "evolve ingredients --markdown > docs/ingredients.md"
    assert all(f"| `{key}`" in page for key in catalogue())


def test_it_is_a_verb_that_does_not_load_torch():
    assert "ingredients" in VERBS
    code = (
        "import sys; from click.testing import CliRunner; from evolve.cli.main import cli;"
        "assert CliRunner().invoke(cli, ['ingredients', 'SAM']).exit_code == 0;"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "ray", "optuna", "pandas"} & set(done.stdout.split())


def test_conflicts_are_told_on_both_sides():
    listed = {entry["key"]: entry for entry in json.loads(ask("--json"))}
    assert "SAM" in listed["BiFPN"]["conflicts"]
    assert "BiFPN" in listed["SAM"]["conflicts"]


@pytest.mark.parametrize(
    "arguments", [["Mish", "--family", "loss"], ["CutMix", "--task", "detect"],
                  ["--json", "--markdown"]],
)  # fmt: skip
def test_what_can_show_nothing_is_refused(arguments):
    done = CliRunner().invoke(cli, ["ingredients", *arguments])
    assert done.exit_code == BAD_INPUT
