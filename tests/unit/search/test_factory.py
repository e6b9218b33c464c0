import importlib.util
from typing import get_args

import optuna
import pytest

from evolve.errors import SpaceError
from evolve.search import factory
from evolve.search.factory import build_sampler
from evolve.search.genetic import GeneticSampler
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


@pytest.mark.parametrize("name", ["tpe", "nsga2", "random"])
def test_samplers_of_optuna_are_seeded_and_do_not_repeat_after_a_resume(space, name):
    fresh = ask(space, name, 0, 4)
    assert fresh == ask(space, name, 0, 4)
    resumed = ask(space, name, 4, 4)
    assert resumed == ask(space, name, 4, 4)
    assert not [params for params in resumed if params in fresh]


def test_an_unknown_sampler_names_the_nearest(space):
    with pytest.raises(SpaceError, match="did you mean 'genetic'"):
        build_sampler("genetc", 0, space)


def test_cmaes_says_what_it_needs(space, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(SpaceError, match="needs the package cmaes"):
        build_sampler("cmaes", 0, space)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    with pytest.raises(SpaceError, match=r"cannot search choices: loss\.box"):
        build_sampler("cmaes", 0, space)
