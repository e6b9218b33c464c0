"""One objective, or a metric against a cost."""

import pytest

from evolve.errors import SpaceError
from evolve.objectives import cost_label, cost_text, names_of
from evolve.space import Space, apply_overrides, find_space_file, load_space

REST = """
scheduler: none
parameters:
  optimizer.lr: {type: float, low: 1.0e-3, high: 0.1, scale: log, default: 2.0e-3}
"""


def write(tmp_path, head, rest=REST):
    path = tmp_path / "mine.yaml"
    path.write_text(f"trials: 4\n{head}{rest}")
    return path


@pytest.mark.parametrize("cost", ["latency", "BFLOPs", "parameters"])
def test_a_metric_and_a_cost(tmp_path, cost):
    space = load_space(write(tmp_path, f"objective: [AP50, {cost}]"))
    assert (space.objective, space.cost) == ("AP50", cost)
    assert space.to_dict()["objective"] == ["AP50", cost]
    assert Space.from_dict(space.to_dict()) == space


@pytest.mark.parametrize("written", ["AP75", "[AP75]"])
def test_one_objective_is_stored_as_it_always_was(tmp_path, written):
    space = load_space(write(tmp_path, f"objective: {written}"))
    assert (space.objective, space.cost) == ("AP75", "")
    assert space.to_dict()["objective"] == "AP75"


@pytest.mark.parametrize(
    ("written", "what", "place"),
    [
        ("[AP, latncy]", r"'objective\[1\]' cannot be 'latncy'", "2:17  objective.1"),
        ("latency", "first objective must be a metric of val", "2:1  objective"),
        ("[latency, AP]", "one of AP, AP50, AP75, not latency", "2:1  objective"),
        ("[AP, AP50]", "must be a cost, one of latency, BFLOPs, parameters, not AP50", "2:1"),
        ("[AP, latency, BFLOPs]", "3 objectives: a search has one, or two", "2:1  objective"),
        ("[]", "0 objectives", "2:1  objective"),
        ("3", "'objective' cannot be 3", "2:1  objective"),
        ("{AP: latency}", "'objective' cannot be", "2:1  objective"),
    ],
)
def test_other_objectives_are_refused_where_they_stand(tmp_path, written, what, place):
    with pytest.raises(SpaceError, match=what) as error:
        load_space(write(tmp_path, f"objective: {written}"))
    assert f"mine.yaml:{place}" in error.value.where


def test_a_scheduler_that_stops_trials_is_refused(tmp_path):
    path = write(tmp_path, "objective: [AP, latency]", REST.replace("none", "median"))
    with pytest.raises(SpaceError, match="'median' would stop the trials of little lat") as error:
        load_space(path)
    assert error.value.where.endswith("mine.yaml:2:1  objective")
    assert error.value.mend == "take scheduler: none"


def test_a_sampler_of_one_objective_is_refused(tmp_path):
    path = write(tmp_path, "objective: [AP, latency]\nsampler: cmaes")
    with pytest.raises(SpaceError, match="'cmaes' searches for one objective") as error:
        load_space(path)
    assert error.value.where.endswith("mine.yaml:3:1  sampler")


def test_set_may_give_two_objectives_and_take_one_back(tmp_path):
    space = load_space(write(tmp_path, "objective: AP"))
    two = apply_overrides(space, ["objective=[AP50, parameters]"])
    assert (two.objective, two.cost) == ("AP50", "parameters")
    one = apply_overrides(two, ["objective=AP"])
    assert (one.objective, one.cost) == ("AP", "")


def test_what_does_not_go_together_is_seen_when_all_is_set(tmp_path):
    ga = load_space(find_space_file("ga.yaml"))
    with pytest.raises(SpaceError, match="with two objectives the scheduler 'asha'"):
        apply_overrides(ga, ["objective=[AP, latency]"])
    assert apply_overrides(ga, ["objective=[AP, latency]", "scheduler=none"]).cost == "latency"


def test_costs_in_words():
    assert cost_text("latency", 3.2149) == "3.21 ms"
    assert cost_text("BFLOPs", 1.0) == "1 BFLOPs"
    assert cost_text("parameters", 1_234_567) == "1.23 M parameters"
    assert cost_text("parameters", 8_421.0) == "8,421 parameters"
    assert cost_text("latency", 12_345.6) == "12,346 ms"
    assert cost_text("latency", float("nan")) == "- ms"
    assert [cost_label(name) for name in ("latency", "BFLOPs")] == ["latency, ms", "BFLOPs"]
    assert names_of("AP", "latency") == ["AP", "latency, ms"]
    assert names_of("AP", "") == ["AP"]
