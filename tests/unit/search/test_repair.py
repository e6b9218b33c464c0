import pytest

from evolve.search.repair import repair
from evolve.space import load_space

SPACE = """
parameters:
  sat.kind: {type: categorical, choices: [none, fgsm], default: none}
  sat.epsilon: {type: float, low: 0.01, high: 0.1, default: 0.02, when: {sat.kind: fgsm}}
  optimizer.lr: {type: float, low: 1.0e-4, high: 0.1, scale: log, default: 1.0e-3}
  batch_size: {type: ordinal, choices: [2, 4, 8, 16, 32], default: 2}
constraints: CONSTRAINT
"""


@pytest.fixture
def space_with(tmp_path):
    def _space_with(constraint):
        path = tmp_path / "space.yaml"
        path.write_text(SPACE.replace("CONSTRAINT", f'["{constraint}"]'))
        return load_space(path)

    return _space_with


def test_values_go_back_on_their_scale_until_they_fit(space_with):
    space = space_with("optimizer.lr <= 0.02 and batch_size < 16")
    proposal = {"sat.kind": "none", "optimizer.lr": 0.1, "batch_size": 32}
    found = repair(space, proposal, space.complete({}))
    assert found["optimizer.lr"] == pytest.approx(0.01)  # half way from 0.001, by its logarithm
    assert found["batch_size"] == 8
    assert space.satisfied(found)


def test_the_step_is_halved_as_often_as_it_takes(space_with):
    space = space_with("optimizer.lr <= 0.002")
    proposal = {"sat.kind": "none", "optimizer.lr": 0.1, "batch_size": 2}
    found = repair(space, proposal, space.complete({}))
    assert found["optimizer.lr"] == pytest.approx(10 ** (-3 + 2 / 8))


def test_a_choice_stays_as_proposed_with_the_parameters_it_brings(space_with):
    space = space_with("optimizer.lr <= 0.02")
    proposal = {"sat.kind": "fgsm", "sat.epsilon": 0.09, "optimizer.lr": 0.1, "batch_size": 2}
    found = repair(space, proposal, space.complete({}))
    assert (found["sat.kind"], found["sat.epsilon"]) == ("fgsm", 0.09)


def test_the_anchor_is_given_where_no_step_helps(space_with):
    space = space_with("sat.kind == 'none'")
    proposal = {"sat.kind": "fgsm", "sat.epsilon": 0.09, "optimizer.lr": 0.1, "batch_size": 2}
    assert repair(space, proposal, space.complete({})) == space.complete({})
