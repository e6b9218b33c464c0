import importlib.util
from dataclasses import replace
from typing import get_args

import optuna
import pytest

from evolve.errors import SpaceError
from evolve.search import factory
from evolve.search.factory import build_sampler
from evolve.search.genetic import GeneticSampler
from evolve.search.prior import Prior
from evolve.space import find_space_file, load_space
from evolve.space.schema import Sampler


@pytest.fixture
def space():
    return load_space(find_space_file("smoke"))


def ask(space, name: str, n_existing: int, count: int) -> list[dict]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=build_sampler(name, 0, space, n_existing))
    return [study.ask(space.distributions()).params for _ in range(count)]


def test_every_sampler_of_a_space_file_is_known():
    assert set(get_args(Sampler)) == set(factory._BUILDERS)


def test_the_genetic_sampler_begins_at_the_defaults_of_the_space(space):
    assert isinstance(build_sampler("genetic", 0, space), GeneticSampler)
    assert ask(space, "genetic", 0, 1) == [space.defaults()]


@pytest.mark.parametrize("name", ["tpe", "cmaes", "gp", "nsga2", "random"])
def test_samplers_of_optuna_are_seeded_and_do_not_repeat_after_a_resume(space, name):
    fresh = ask(space, name, 0, 4)
    assert fresh == ask(space, name, 0, 4)
    resumed = ask(space, name, 4, 4)
    assert resumed == ask(space, name, 4, 4)
    assert not [params for params in resumed if params in fresh]


def test_the_sequence_of_qmc_goes_on_after_a_resume(space):
    straight = qmc_after_trial_0(space, [6])
    resumed = qmc_after_trial_0(space, [2, 4])
    assert resumed == straight
    assert len({params["optimizer.lr"] for params in straight}) == 6


def qmc_after_trial_0(space, sessions: list[int]) -> list[dict]:
    """Parameters asked for in sessions of so many trials each, after one with the defaults."""
    study = optuna.create_study(sampler=build_sampler("qmc", 0, space))
    study.enqueue_trial(space.defaults())
    study.tell(study.ask(space.distributions()), 0.5)
    asked = []
    for count in sessions:
        study.sampler = build_sampler("qmc", 0, space, len(study.trials))
        for _ in range(count):
            trial = study.ask(space.distributions())
            asked.append(trial.params)
            study.tell(trial, 0.5)
    return asked


def test_an_unknown_sampler_names_the_nearest(space):
    with pytest.raises(SpaceError, match="did you mean 'genetic'"):
        build_sampler("genetc", 0, space)


def test_cmaes_says_what_it_needs(space, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(SpaceError, match="needs the package cmaes"):
        build_sampler("cmaes", 0, space)


def test_cmaes_leaves_choices_to_chance_and_says_so(space, caplog):
    with caplog.at_level("INFO"):
        sampler = build_sampler("cmaes", 0, space)
    assert "at_random=loss.box" in caplog.text
    study = optuna.create_study(sampler=sampler)
    assert "loss.box" not in sampler.infer_relative_search_space(study, study.ask())


def test_cmaes_searches_numbers(space):
    choices = tuple(p for p in space.parameters if p.choices is not None)
    with pytest.raises(SpaceError, match="no number here is without conditions"):
        build_sampler("cmaes", 0, replace(space, parameters=choices))


def test_cmaes_goes_on_when_a_condition_takes_parameters_away(tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text(CONDITIONAL)
    space = load_space(path)
    study = optuna.create_study(sampler=build_sampler("cmaes", 0, space))
    kinds = space.distributions()
    for number in range(12):
        trial = study.ask()
        values = {"loss.focal": number % 2 == 0}
        for name in ("optimizer.lr", "optimizer.momentum"):
            values[name] = trial._suggest(name, kinds[name])
        if number % 2 == 0:
            trial._suggest("loss.cls_normalizer", kinds["loss.cls_normalizer"])
        study.tell(trial, values["optimizer.momentum"])
    generations = [trial.system_attrs.get("cma:generation") for trial in study.trials]
    assert generations[0] is None  # the start
    assert generations[1:7] == [0] * 6
    assert generations[-1] == 1


CONDITIONAL = """
parameters:
  loss.focal: {type: categorical, choices: [true, false], default: true}
  loss.cls_normalizer: {type: float, low: 0.5, high: 2.0, default: 1.0, when: {loss.focal: true}}
  optimizer.lr: {type: float, low: 1.0e-4, high: 0.1, scale: log, default: 0.01}
  optimizer.momentum: {type: float, low: 0.8, high: 0.98, default: 0.9}
"""


def test_two_objectives_take_no_warm_start():
    space = replace(load_space(find_space_file("smoke")), cost="latency")
    with pytest.raises(SpaceError, match="earlier studies tell one objective"):
        build_sampler("genetic", 0, space, warm_start=[Prior("x", (), ())])
