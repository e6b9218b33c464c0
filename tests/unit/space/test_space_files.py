import json
import subprocess
import sys
from pathlib import Path

import optuna
import pytest

import evolve
from evolve.errors import SpaceError
from evolve.space import (
    Space,
    apply_overrides,
    bundled_folder,
    bundled_spaces,
    find_space_file,
    load_space,
)
from model.config import key_paths

LR = "{type: float, low: 1.0e-4, high: 0.1, scale: log, default: 0.01}"
MOMENTUM = "{type: float, low: 0.8, high: 0.98, default: 0.9}"


@pytest.fixture
def load(tmp_path):
    def _load(text: str) -> Space:
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        return load_space(path)

    return _load


def parameters(**lines: str) -> str:
    rows = "".join(f"  {key.replace('__', '.')}: {value}\n" for key, value in lines.items())
    return f"parameters:\n{rows}"


def test_a_space_has_what_its_file_says(load):
    space = load(
        "trials: 20\nobjective: AP50\nscheduler: none\n"
        "train: {epochs: 5, optimizer.momentum: 0.8}\n"
        + parameters(
            optimizer__lr=LR,
            image_size="{type: int, low: 320, high: 608, step: 32, default: 416}",
            loss__box="{type: categorical, choices: [giou, ciou], default: ciou, why: why not}",
        )
    )
    assert (space.name, space.trials, space.objective) == ("mine", 20, "AP50")
    assert (space.sampler, space.scheduler) == ("genetic", "none")
    assert (space.base.epochs, space.base.optimizer.momentum) == (5, 0.8)
    assert space.defaults() == {"optimizer.lr": 0.01, "image_size": 416, "loss.box": "ciou"}
    assert space.parameters[2].why == "why not"
    assert space.distributions() == {
        "optimizer.lr": optuna.distributions.FloatDistribution(1e-4, 0.1, log=True),
        "image_size": optuna.distributions.IntDistribution(320, 608, step=32),
        "loss.box": optuna.distributions.CategoricalDistribution(("giou", "ciou")),
    }
    config = space.to_config({"loss.box": "giou"})
    assert (config.loss.box, config.image_size, config.epochs) == ("giou", 416, 5)


@pytest.mark.parametrize("path", bundled_spaces(), ids=lambda path: path.stem)
def test_bundled_spaces_load_and_survive_json(path):
    space = load_space(path)
    assert Space.from_dict(json.loads(json.dumps(space.to_dict()))) == space
    assert space.description
    assert all(parameter.why for parameter in space.parameters)


def test_ga_starts_at_the_defaults_of_the_training():
    space = load_space(find_space_file("ga"))
    assert len(space.parameters) == 14
    assert space.defaults() == {path: key_paths()[path] for path in space.defaults()}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("trials: 3\n", r"'parameters' is missing"),
        ("parameters: {}\n", r"no parameters: nothing to search\n.*mine.yaml:1:1"),
        ("parameters:\n", "the value is empty"),
        (parameters(optimizer__lr="0.1"), "'optimizer.lr'"),
        (
            parameters(optimiser__lr=LR),
            r"'optimiser.lr' is no setting.*\n.*:2:3.*\n.*optimizer.lr",
        ),
        (parameters(optimizer=LR), "'optimizer' is no setting"),
        (
            "trails: 3\n" + parameters(optimizer__lr=LR),
            r"unknown key 'trails'\n.*:1:1.*\n.*'trials'",
        ),
        ("trials: 0\n" + parameters(optimizer__lr=LR), "greater than or equal to 1, got 0"),
        ("trials: 2.5\n" + parameters(optimizer__lr=LR), "should be a valid integer"),
        ("sampler: tpee\n" + parameters(optimizer__lr=LR), "did you mean 'tpe'"),
        ("objective: ap\n" + parameters(optimizer__lr=LR), "did you mean|known: AP, AP50"),
        ("train: {epoch: 3}\n" + parameters(optimizer__lr=LR), r":1:9  train.epoch\n.*'epochs'"),
        ("train: {epochs: 0}\n" + parameters(optimizer__lr=LR), "greater than or equal to 1"),
        (parameters(optimizer__lr=LR) + f"  optimizer.lr: {LR}\n", "twice, on lines 2 and 3"),
        (parameters(optimizer__lr=LR.replace("1.0e-4", "1e-4")), "write 1.0e-4"),
        (parameters(optimizer__lr=LR.replace("1.0e-4", "0.5")), r"low is above high \(low=0.5"),
        (parameters(optimizer__lr=LR.replace("1.0e-4", "0.1")), "low equals high"),
        (parameters(optimizer__lr=LR.replace("1.0e-4", "0.0")), "a log scale needs low > 0"),
        (parameters(optimizer__lr=LR.replace("0.01", "0.2")), "default 0.2 is outside"),
        (parameters(optimizer__lr=LR.replace("0.1,", ".inf,")), "should be a finite number"),
        (parameters(optimizer__lr=LR.replace("scale", "scael")), "did you mean 'scale'"),
        (parameters(optimizer__lr=LR.replace("float", "flaot")), r":2:18.*\n.*'float'"),
        (parameters(optimizer__lr="{low: 1}"), "has no 'type'"),
        (parameters(optimizer__lr="{type: float, low: 1.0}"), "'high' is missing"),
        (parameters(optimizer__momentum=MOMENTUM.replace("0.98", "1.0")), "should be less than 1"),
        (parameters(epochs="{type: float, low: 1, high: 5, default: 2}"), "valid integer"),
        (
            parameters(image_size="{type: int, low: 320, high: 608, default: 416}"),
            "321 is not a multiple of 32",
        ),
        (
            parameters(epochs="{type: int, low: 1, high: 6, step: 2, default: 3}"),
            "high 6 is not reached from low=1 by steps of 2",
        ),
        (
            parameters(epochs="{type: int, low: 1, high: 5, step: 2, scale: log, default: 3}"),
            "a log scale takes no step",
        ),
        (
            parameters(
                loss__box="{type: categorical, choices: [ciou, giou, ciou], default: ciou}"
            ),
            "choice 'ciou' is given twice",
        ),
        (
            parameters(loss__box="{type: categorical, choices: [ciou], default: ciou}"),
            "nothing to search",
        ),
        (
            parameters(loss__box="{type: categorical, choices: [ciou, giou], default: diou}"),
            "default 'diou' is none of the choices",
        ),
        (
            parameters(loss__box="{type: categorical, choices: [ciou, no], default: ciou}"),
            "YAML reads no as the boolean false",
        ),
        (
            parameters(loss__box="{type: categorical, choices: [ciou, cuoi], default: ciou}"),
            r"'loss.box' cannot be 'cuoi'[^$]*loss.box.choices.1",
        ),
    ],
)
def test_a_fault_is_refused_with_its_place_and_mend(load, text, message):
    with pytest.raises(SpaceError, match=message) as caught:
        load(text)
    assert "mine.yaml:" in str(caught.value)


def test_faults_of_different_kinds_are_told_together(load):
    text = "trials: 0\ntrain: {epoch: 3}\n" + parameters(
        optimizer__lr=LR.replace("0.01", "0.2"),
        optimizer__momentum=MOMENTUM.replace("0.98", "1.0"),
        augment__hues=LR,
    )
    with pytest.raises(SpaceError, match="5 faults") as caught:
        load(text)
    for place in (":1:1", ":2:9", ":4:", ":5:", ":6:3"):
        assert f"mine.yaml{place}" in str(caught.value)


def test_a_space_is_found_as_given_then_among_the_bundled(tmp_path, monkeypatch):
    assert bundled_folder() == Path(evolve.__file__).parent.parent / "search_spaces"
    assert find_space_file("ga") == find_space_file("ga.yaml") == bundled_folder() / "ga.yaml"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ga.yaml").write_text("")
    assert find_space_file("ga") == Path("ga.yaml")
    assert find_space_file(tmp_path / "ga") == tmp_path / "ga.yaml"


def test_a_missing_space_names_the_nearest(tmp_path):
    with pytest.raises(SpaceError, match=r"did you mean 'smoke.yaml'"):
        find_space_file("smok")
    (tmp_path / "cells.yaml").write_text("")
    with pytest.raises(SpaceError, match=r"did you mean 'cells.yaml'"):
        find_space_file(tmp_path / "cell.yaml")
    for strange in (tmp_path, "x" * 300, "no/such/folder"):
        with pytest.raises(SpaceError, match=r"known: .*smoke\.yaml"):
            find_space_file(strange)


def test_an_override_fixes_a_parameter_and_sets_the_rest():
    space = load_space(find_space_file("smoke"))
    items = ["optimizer.lr=1e-3", "train.epochs=7", "trials=5", "sampler=tpe", "objective=AP75"]
    changed = apply_overrides(space, items)
    assert changed.base.optimizer.lr == 1e-3
    assert "optimizer.lr" not in changed.defaults()
    assert (changed.base.epochs, changed.trials) == (7, 5)
    assert (changed.sampler, changed.objective) == ("tpe", "AP75")
    assert apply_overrides(space, []) == space
    assert apply_overrides(space, ["schedule.steps=[0.5, 0.6]"]).base.schedule.steps == (0.5, 0.6)
    later = apply_overrides(space, ["train.changes.1.optimizer.lr=0.5"])
    assert later.base.changes == {1: {"optimizer.lr": 0.5}}
    assert "optimizer.lr" in later.defaults()
    with pytest.raises(SpaceError, match=r"'changes.1.seed' cannot be 1: 'seed' cannot change"):
        apply_overrides(space, ["train.changes.1.seed=1"])


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("trials", "must be key=value"),
        ("trials=", "the value is empty"),
        ("trials=[", "the value is not YAML"),
        ("trials=0", "greater than or equal to 1"),
        ("epoch=3", "did you mean 'epochs'"),
        ("epochs=x", "'epochs' cannot be 'x'"),
        ("image_size=33", "not a multiple of 32"),
        ("sampler=tpee", "did you mean 'tpe'"),
        ("epochs=2024-01-01", "'epochs' cannot be '2024-01-01'"),
        (f"epochs={'9' * 5000}", "the value is not YAML"),
    ],
)
def test_a_wrong_override_names_the_item(item, message):
    space = load_space(find_space_file("smoke"))
    with pytest.raises(SpaceError, match=message) as caught:
        apply_overrides(space, [item])
    assert f"--set {item}" in str(caught.value)


def test_all_wrong_overrides_are_told_and_one_parameter_must_stay():
    space = load_space(find_space_file("smoke"))
    with pytest.raises(SpaceError, match="2 faults"):
        apply_overrides(space, ["epoch=3", "trials=0"])
    with pytest.raises(SpaceError, match="last searched parameter"):
        apply_overrides(space, [f"{path}={value}" for path, value in space.defaults().items()])


def test_to_config_refuses_strange_values():
    space = load_space(find_space_file("smoke"))
    with pytest.raises(SpaceError, match=r"'optimizer.rl' is not searched"):
        space.to_config({"optimizer.rl": 0.1})
    with pytest.raises(SpaceError, match="less than 1"):
        space.to_config({"optimizer.momentum": 1.5})


def test_spaces_import_nothing_heavy():
    code = "import sys, evolve.space; print({'torch', 'ray', 'optuna'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
