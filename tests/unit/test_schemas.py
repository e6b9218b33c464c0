"""The schemas for editors take what evolve takes, and refuse what it refuses for single values."""

import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from click.testing import CliRunner

from evolve.cli.main import cli
from evolve.cli.schema_cmd import KINDS as NAMES
from evolve.schemas import KINDS, leaves, train_schema
from evolve.yaml_marks import load_yaml
from model.config import TrainConfig, key_paths
from tests.doc_lines import NEW_INGREDIENT, PAGES

ROOT = Path(__file__).parents[2]
BUNDLED = [
    *(("space", path) for path in sorted(ROOT.glob("search_spaces/*.yaml"))),
    *(("table", path) for path in sorted(ROOT.glob("search_spaces/tables/*.yaml"))),
]


@pytest.fixture(scope="module")
def faults():
    """Give the faults that a schema finds, as (key path, message)."""
    made = {kind: jsonschema.Draft202012Validator(schema()) for kind, schema in KINDS.items()}

    def find(kind, tree):
        return [
            (".".join(map(str, e.absolute_path)), e.message) for e in made[kind].iter_errors(tree)
        ]

    return find


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_a_schema(kind):
    jsonschema.Draft202012Validator.check_schema(KINDS[kind]())
    assert tuple(KINDS) == NAMES


@pytest.mark.parametrize(
    ("kind", "path"), BUNDLED, ids=lambda value: getattr(value, "stem", value)
)
def test_it_takes_what_comes_with_evolve(faults, kind, path):
    assert not faults(kind, load_yaml(path).data)


SHOWN = [page for page in PAGES if page.name != NEW_INGREDIENT]


@pytest.mark.parametrize("page", SHOWN, ids=lambda page: page.stem)
def test_it_takes_the_yaml_in_the_docs(faults, page):
    texts = re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    for tree in map(yaml.safe_load, texts):
        if isinstance(tree, dict) and "parameters" in tree:
            assert not faults("space", tree)
        elif isinstance(tree, dict) and "title" in tree:
            assert not faults("table", tree)


def test_it_takes_a_whole_configuration_nested_or_by_key_path(faults):
    config = TrainConfig(epochs=8).with_values({"changes.4.optimizer.lr": 0.001})
    assert not faults("train", config.to_dict())
    assert not faults("train", {"optimizer.lr": 0.01, "loss": {"box": "giou"}})


def test_a_setting_has_its_meaning_and_its_default():
    found, paths = leaves(train_schema()), key_paths()
    filled_in = {path for path in paths if path.endswith("_sha256")}
    assert found.keys() == paths.keys() - filled_in
    for path, leaf in found.items():
        assert leaf["description"], path
        assert leaf["default"] == paths[path], path


SPACE = {"parameters": {"optimizer.lr": {"type": "float", "low": 0.1, "high": 1, "default": 0.2}}}
ONE = {"title": "t", "rows": [{"key": "a"}]}


@pytest.mark.parametrize(
    ("kind", "tree", "where"),
    [
        ("train", {"optimizer": {"lr": 0.0}}, "optimizer.lr"),
        ("train", {"optimizer.lr": "fast"}, "optimizer.lr"),
        ("train", {"optimiser": {}}, ""),
        ("train", {"loss": {"box": "liou"}}, "loss.box"),
        ("space", {**SPACE, "trials": 0}, "trials"),
        ("space", {**SPACE, "sampler": "bayes"}, "sampler"),
        ("space", {**SPACE, "objective": ["AP", "latency", "AP50"]}, "objective"),
        ("space", {"parameters": {"optimizer.rate": {"type": "fixed", "value": 1}}}, "parameters"),
        ("space", {"parameters": {"loss.box": {"type": "categorical", "choices": ["giou"],
                                              "default": "giou"}}}, "parameters.loss.box"),
        ("space", {**SPACE, "train": {"epoch": 3}}, "train"),
        ("table", {"rows": []}, ""),
        ("table", {**ONE, "base": {"ingredients": ["Mosaik"]}}, "base.ingredients.0"),
        ("table", {**ONE, "base": {"set": {"seed": 1}}}, "base.set"),
        ("table", {"title": "t", "plan": {"design": "pair", "ingredients": ["M"]}}, "plan"),
    ],
)  # fmt: skip
def test_it_refuses(faults, kind, tree, where):
    found = faults(kind, tree)
    assert [place for place, _ in found if place.startswith(where)], found


@pytest.mark.parametrize(
    "tree",
    [
        {**SPACE, "objective": "AP50"},
        {**SPACE, "objective": ["AP", "latency"], "confirm": 0, "budget": "12h"},
        {**SPACE, "train": {"epochs": 4, "loss.box": "giou", "neck": {"attention": "sam"}}},
        {"parameters": {"loss.ohem": {"type": "int", "low": 1, "high": 9, "default": 2,
                                      "when": {"loss.focal": True, "batch_size": [4, 8]}}}},
    ],
)  # fmt: skip
def test_it_takes_the_short_forms(faults, tree):
    assert not faults("space", tree)


def test_the_command_prints_it_or_writes_it(tmp_path):
    printed = CliRunner().invoke(cli, ["schema", "table"])
    assert json.loads(printed.output) == KINDS["table"]()
    written = CliRunner().invoke(cli, ["schema", "table", "--out", str(tmp_path / "t.json")])
    assert json.loads((tmp_path / "t.json").read_text()) == KINDS["table"]()
    assert written.output.endswith("# yaml-language-server: $schema=t.json\n")


def test_it_loads_nothing_heavy():
    code = "import sys, evolve.schemas as s; s.table_schema(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "ray", "optuna", "pandas"} & set(done.stdout.split())
