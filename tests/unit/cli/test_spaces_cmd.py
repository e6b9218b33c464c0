import json

from click.testing import CliRunner

from evolve.cli.spaces_cmd import command

SPACE = """
description: a bit of everything
variant: paper
train: {epochs: 3}
parameters:
  sat.kind: {type: categorical, choices: [none, darknet, fgsm], default: none}
  sat.epsilon: {type: float, low: 0.01, high: 0.1, default: 0.02, why: step,
                when: {sat.kind: [darknet, fgsm], loss.box: giou}}
  batch_size: {type: ordinal, choices: [2, 4, 8], default: 4}
  loss.box: {type: fixed, value: giou, why: as in the paper}
constraints: [sat.epsilon * batch_size < 0.5]
"""


def show(tmp_path, *arguments):
    path = tmp_path / "mine.yaml"
    path.write_text(SPACE)
    done = CliRunner().invoke(command, [str(path), *arguments], standalone_mode=False)
    assert done.exception is None
    return done.stdout


def test_a_space_is_shown_with_conditions_orders_fixed_values_and_constraints(tmp_path):
    shown = show(tmp_path).splitlines()
    assert "sampler genetic (paper), scheduler asha" in shown[1]
    assert shown[2:] == [
        "",
        "  sat.kind  none, darknet, fgsm (default none)",
        "",
        "  sat.epsilon  0.01 to 0.1 (default 0.02), "
        "when sat.kind is darknet or fgsm and loss.box is giou",
        "    step",
        "",
        "  batch_size  2, 4, 8, in this order (default 4)",
        "",
        "  loss.box  fixed to giou",
        "    as in the paper",
        "",
        "constraints",
        "  sat.epsilon * batch_size < 0.5",
    ]


def test_as_json_it_is_what_a_manifest_holds(tmp_path):
    stored = json.loads(show(tmp_path, "--json"))
    assert stored["parameters"]["loss.box"]["value"] == "giou"
    assert stored["parameters"]["sat.epsilon"]["when"] == {
        "sat.kind": ["darknet", "fgsm"],
        "loss.box": ["giou"],
    }
    assert stored["constraints"] == ["sat.epsilon * batch_size < 0.5"]


def test_the_list_names_fixed_settings_too(tmp_path, monkeypatch):
    path = tmp_path / "mine.yaml"
    path.write_text(SPACE)
    monkeypatch.setattr("evolve.space.bundled_spaces", lambda: [path])
    done = CliRunner().invoke(command, [], standalone_mode=False)
    assert done.stdout == (
        "mine: a bit of everything\n  sat.kind, sat.epsilon, batch_size, loss.box\n"
    )
