"""Parameters that exist only at times, that are fixed, in order, or bound by constraints."""

import json
import pickle

import optuna
import pytest

from evolve.errors import SpaceError
from evolve.space import Space, apply_overrides, load_space

SPACE = """
trials: 20
train: {epochs: 3, optimizer.lr: 0.005}
parameters:
  sat.strength: {type: float, low: 0.1, high: 1.0, default: 0.5, when: {sat.kind: darknet}}
  sat.epsilon: {type: float, low: 0.01, high: 0.1, default: 0.02, when: {sat.kind: [fgsm]}}
  sat.kind: {type: categorical, choices: [none, darknet, fgsm], default: none}
  loss.ohem: {type: int, low: 0, high: 64, step: 32, default: 0}
  loss.ohem_iou: {type: float, low: 0.5, high: 0.9, default: 0.7, when: {loss.ohem: [32, 64]}}
  batch_size: {type: ordinal, choices: [2, 4, 8], default: 4, why: a power of two}
  loss.box: {type: fixed, value: giou, why: as in the paper}
constraints:
  - sat.strength <= 0.8
  - sat.epsilon * batch_size < 0.5 and loss.box == 'giou'
  - loss.box == 'giou' or batch_size > 4
"""


@pytest.fixture
def load(tmp_path):
    def _load(text: str) -> Space:
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        return load_space(path)

    return _load


@pytest.fixture
def space(load):
    return load(SPACE)


def test_a_file_gives_conditions_orders_and_fixed_values(space):
    assert space.conditions() == {
        "sat.strength": {"sat.kind": ("darknet",)},
        "sat.epsilon": {"sat.kind": ("fgsm",)},
        "loss.ohem_iou": {"loss.ohem": (32, 64)},
    }
    assert space.ordinal() == frozenset({"batch_size"})
    assert space.distributions()["batch_size"] == optuna.distributions.CategoricalDistribution(
        (2, 4, 8)
    )
    assert [(entry.path, entry.value) for entry in space.fixed] == [("loss.box", "giou")]
    assert space.base.loss.box == "giou"
    assert "loss.box" not in space.distributions()


def test_parameters_exist_when_their_parents_have_the_value(space):
    always = ("sat.kind", "loss.ohem", "batch_size")
    assert space.active({}) == always
    assert space.active({"sat.kind": "none", "loss.ohem": 0}) == always
    assert space.active({"sat.kind": "fgsm", "loss.ohem": 32}) == (
        *always,
        "sat.epsilon",
        "loss.ohem_iou",
    )


def test_a_parent_that_does_not_exist_meets_no_condition(load):
    space = load(
        "parameters:\n"
        "  sat.kind: {type: categorical, choices: [none, fgsm], default: none}\n"
        "  batch_size: {type: ordinal, choices: [2, 4], default: 2, when: {sat.kind: fgsm}}\n"
        "  loss.ohem: {type: int, low: 0, high: 9, default: 0, when: {batch_size: 4}}\n"
    )
    assert space.active({"sat.kind": "none", "batch_size": 4}) == ("sat.kind",)
    assert space.active({"sat.kind": "fgsm", "batch_size": 4}) == (
        "sat.kind",
        "batch_size",
        "loss.ohem",
    )
    assert space.complete({"sat.kind": "fgsm"}) == {"sat.kind": "fgsm", "batch_size": 2}
    assert space.complete({"sat.kind": "none", "batch_size": 4}) == {"sat.kind": "none"}


def test_an_inactive_parameter_leaves_the_training_as_it_was(load):
    space = load(
        "train: {optimizer.lr: 0.005}\n"
        "parameters:\n"
        "  sat.kind: {type: categorical, choices: [none, fgsm], default: none}\n"
        "  optimizer.lr: {type: float, low: 0.01, high: 0.1, default: 0.02, when: "
        "{sat.kind: fgsm}}\n"
    )
    assert space.to_config({}).optimizer.lr == 0.005
    assert space.to_config({"optimizer.lr": 0.03}).optimizer.lr == 0.005
    assert space.to_config({"sat.kind": "fgsm"}).optimizer.lr == 0.02
    assert space.to_config({"sat.kind": "fgsm", "optimizer.lr": 0.03}).optimizer.lr == 0.03


def test_constraints_bind_what_exists(space):
    assert space.satisfied(space.complete({}))
    assert space.violated({"sat.kind": "darknet", "sat.strength": 0.9}) == "sat.strength <= 0.8"
    assert space.satisfied({"sat.kind": "darknet", "sat.strength": 0.8})
    assert space.satisfied({"sat.kind": "none", "sat.strength": 0.9})
    assert space.satisfied({"sat.kind": "darknet"})
    values = {"sat.kind": "fgsm", "sat.epsilon": 0.1, "batch_size": 8}
    assert space.violated(values).startswith("sat.epsilon * batch_size")
    assert space.satisfied(values | {"batch_size": 4})


def test_a_space_survives_json_and_its_constraints_pickling(space):
    assert Space.from_dict(json.loads(json.dumps(space.to_dict()))) == space
    satisfied = pickle.loads(pickle.dumps(space.satisfied))
    assert not satisfied({"sat.kind": "darknet", "sat.strength": 0.9})


def test_spaces_of_older_manifests_load_and_are_written_as_before(load):
    space = load("parameters:\n  loss.ohem: {type: int, low: 0, high: 9, default: 0}\n")
    stored = space.to_dict()
    assert not {"constraints", "variant"} & stored.keys()
    assert stored["parameters"]["loss.ohem"].keys() == {
        *("type", "low", "high", "scale", "step", "default", "why"),
    }
    del stored["confirm"]
    assert Space.from_dict(stored) == space


def test_a_whole_number_may_be_searched_on_a_log_scale(load):
    space = load(
        "parameters:\n  loss.ohem: {type: int, low: 1, high: 512, scale: log, default: 8}\n"
    )
    kind = optuna.distributions.IntDistribution(1, 512, log=True)
    assert space.distributions() == {"loss.ohem": kind}


def parameters(**lines: str) -> str:
    rows = "".join(f"  {key.replace('__', '.')}: {value}\n" for key, value in lines.items())
    return f"parameters:\n{rows}"


LR = "{type: float, low: 1.0e-4, high: 0.1, scale: log, default: 0.01}"
KIND = "{type: categorical, choices: [none, fgsm], default: none}"


def flip(when: str) -> str:
    return "{type: float, low: 0.0, high: 0.5, default: 0.5, when: " + when + "}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            parameters(sat__kind=KIND, augment__flip=flip("{sat.kid: fgsm}")),
            r"'sat.kid' is no setting.*\n.*mine.yaml:3:73.*when.sat.kid\n.*'sat.kind'",
        ),
        (
            parameters(sat__kind=KIND, augment__flip=flip("{sat.epsilon: 0.1}")),
            r"'sat.epsilon' is no parameter of this space\n.*:3:73.*\n.*did you mean 'sat.kind'",
        ),
        (
            parameters(sat__kind=KIND, augment__flip=flip("{sat.kind: fgms}")),
            r"'sat.kind' never has the value 'fgms'\n.*:3:73.*\n.*known: 'none', 'fgsm'",
        ),
        (
            parameters(sat__kind=KIND, augment__flip=flip("{sat.kind: [fgsm, 1]}")),
            "'sat.kind' never has the value 1",
        ),
        (
            parameters(sat__kind=KIND, augment__flip=flip("{sat.kind: []}")),
            "no value of 'sat.kind' is named",
        ),
        (parameters(sat__kind=KIND, augment__flip=flip("fgsm")), "'when' should be"),
        (
            parameters(optimizer__lr=LR, augment__flip=flip("{optimizer.lr: 0.01}")),
            "'optimizer.lr' is a float",
        ),
        (
            parameters(
                loss__ohem="{type: int, low: 0, high: 8, step: 4, default: 0}",
                augment__flip=flip("{loss.ohem: [4, 6]}"),
            ),
            r"'loss.ohem' never has the value 6\n.*\n.*from 0 to 8 in steps of 4",
        ),
        (
            parameters(
                loss__ohem="{type: int, low: 0, high: 8, default: 0}",
                augment__flip=flip("{loss.ohem: true}"),
            ),
            "'loss.ohem' never has the value True",
        ),
        (
            parameters(
                loss__focal="{type: categorical, choices: [true, false], default: true}",
                augment__flip=flip("{loss.focal: 1}"),
            ),
            "'loss.focal' never has the value 1",
        ),
        (
            parameters(
                sat__kind="{type: fixed, value: none}", augment__flip=flip("{sat.kind: fgsm}")
            ),
            r"'sat.kind' never has the value 'fgsm'\n.*\n.*it is fixed to 'none'",
        ),
        (
            parameters(
                sat__kind="{type: categorical, choices: [none, fgsm], default: none, "
                "when: {batch_size: 2}}",
                batch_size="{type: ordinal, choices: [2, 4], default: 2, when: {sat.kind: fgsm}}",
            ),
            r"the conditions go in a circle: .*(sat.kind <- batch_size|batch_size <- sat.kind)",
        ),
        (
            parameters(
                batch_size="{type: ordinal, choices: [2, 4], default: 2, when: {batch_size: 2}}"
            ),
            "in a circle: batch_size <- batch_size",
        ),
        (
            parameters(batch_size="{type: ordinal, choices: [2, 8, 4], default: 2}"),
            r"the numbers are not in order[^$]*:2:31[^$]*write \[2, 4, 8\], or categorical",
        ),
        (
            parameters(batch_size="{type: ordinal, choices: [2, b], default: 2}"),
            "must be all numbers, or all text",
        ),
        (
            parameters(loss__focal="{type: ordinal, choices: [true, false], default: true}"),
            "must be all numbers, or all text",
        ),
        (
            parameters(optimizer__lr=LR, batch_size="{type: fixed, value: 0}"),
            r"'batch_size' cannot be 0: .*\n.*:3:29",
        ),
        (
            parameters(optimizer__lr=LR, batch_size="{type: fixed, value: 2, default: 2}"),
            "unknown key 'default'",
        ),
        (parameters(batch_size="{type: fixed, value: 2}"), "nothing to search"),
        (
            "train: {batch_size: 4}\n"
            + parameters(optimizer__lr=LR, batch_size="{type: fixed, value: 2}"),
            r"'batch_size' is fixed here and set under train\n.*:4:3",
        ),
        (
            parameters(optimizer__lr=LR) + "constraints: [optimizer.lr << 2]\n",
            r"only \+ - .*\(in 'optimizer.lr << 2'\)\n.*mine.yaml:3:15  constraints.0",
        ),
        (
            parameters(optimizer__lr=LR) + "constraints: ['optimizer.rl < 1']\n",
            r"'optimizer.rl' is no setting.*\n.*:3:15.*\n.*did you mean 'optimizer.lr'",
        ),
        (
            parameters(optimizer__lr=LR) + "constraints: ['optimizer.lr < schedule.steps']\n",
            "'schedule.steps' is a list",
        ),
        (
            parameters(optimizer__lr=LR, sat__kind=KIND)
            + "constraints: ['optimizer.lr < sat.kind']\n",
            "compares a number with text",
        ),
        (
            parameters(optimizer__lr=LR)
            + "constraints:\n  - optimizer.lr < 1\n  - optimizer.lr > optimizer.momentum\n",
            r"the defaults do not satisfy 'optimizer.lr > optimizer.momentum' "
            r"\(optimizer.lr=0.01, optimizer.momentum=0.9\)\n.*:5:5  constraints.1\n.*change a",
        ),
        (
            "sampler: tpe\nvariant: paper\n" + parameters(optimizer__lr=LR),
            r"the sampler 'tpe' has no variant 'paper'\n.*:2:1",
        ),
        ("variant: papr\n" + parameters(optimizer__lr=LR), "did you mean 'paper'"),
    ],
)
def test_a_fault_is_refused_with_its_place_and_mend(load, text, message):
    with pytest.raises(SpaceError, match=message) as caught:
        load(text)
    assert "mine.yaml:" in str(caught.value)


def test_faults_of_conditions_are_told_together(load):
    with pytest.raises(SpaceError, match="3 faults"):
        load(
            parameters(
                sat__kind=KIND,
                augment__flip=flip("{sat.kind: fgms, sat.epsilon: 0.1}"),
                augment__mixup=flip("{sat.kind: fmgs}"),
            )
        )


def test_a_value_is_tried_where_its_parameter_exists(load):
    space = load(
        parameters(
            task="{type: fixed, value: detect}",
            sat__kind=KIND,
            sat__epsilon="{type: float, low: 0.01, high: 0.1, default: 0.02, "
            "when: {sat.kind: fgsm, task: detect}}",
        )
    )
    assert space.conditions() == {"sat.epsilon": {"sat.kind": ("fgsm",)}}
    assert space.parameters[1].when == {"sat.kind": ("fgsm",), "task": ("detect",)}


def test_setting_a_parent_keeps_or_drops_its_children(space):
    on = apply_overrides(space, ["sat.kind=fgsm"])
    assert on.base.sat.kind == "fgsm"
    assert set(on.defaults()) == {"sat.epsilon", "loss.ohem", "loss.ohem_iou", "batch_size"}
    assert "sat.epsilon" in on.active({})
    assert Space.from_dict(json.loads(json.dumps(on.to_dict()))) == on
    assert on.constraints == space.constraints[1:]
    off = apply_overrides(on, ["sat.kind=none", "loss.ohem=0"])
    assert set(off.defaults()) == {"batch_size"}
    assert off.constraints == space.constraints[2:]
    assert {entry.path: entry.value for entry in off.fixed} == {
        "loss.box": "giou",
        "sat.kind": "none",
        "loss.ohem": 0,
    }


def test_setting_a_child_sets_it_for_good(space):
    changed = apply_overrides(space, ["sat.epsilon=0.05"])
    assert changed.base.sat.epsilon == 0.05
    assert "sat.epsilon" not in changed.conditions()


def test_the_last_parameter_is_not_dropped_with_its_parent(load):
    space = load(
        parameters(
            sat__kind=KIND,
            sat__epsilon="{type: float, low: 0.01, high: 0.1, default: 0.02, "
            "when: {sat.kind: fgsm}}",
        )
    )
    with pytest.raises(SpaceError, match="last searched parameter"):
        apply_overrides(space, ["sat.kind=none"])
    assert set(apply_overrides(space, ["sat.kind=fgsm"]).defaults()) == {"sat.epsilon"}


def test_an_override_may_not_break_a_constraint(space):
    with pytest.raises(SpaceError, match=r"do not satisfy[^$]*loss.box=ciou[^$]*--set"):
        apply_overrides(space, ["loss.box=ciou"])


def test_the_variant_is_set_with_the_genetic_sampler_only(space):
    assert apply_overrides(space, ["variant=paper"]).variant == "paper"
    assert apply_overrides(space, ["sampler=gp"]).sampler == "gp"
    with pytest.raises(SpaceError, match="the sampler 'qmc' has no variant 'yolov5'"):
        apply_overrides(space, ["variant=yolov5", "sampler=qmc"])
