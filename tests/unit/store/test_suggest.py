"""Parameters set several at once, as Optuna sets them one by one."""

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler, TPESampler

from evolve.search.genetic import GeneticSampler
from evolve.store import mirror as mirror_module
from evolve.store.study import open_own_storage, sqlite_url, suggest

KINDS = {
    "optimizer": CategoricalDistribution(("sgd", "adam")),
    "lr": FloatDistribution(1e-5, 1.0, log=True),
    "momentum": FloatDistribution(0.5, 0.99),
    "depth": IntDistribution(1, 9, step=2),
    "fixed": IntDistribution(3, 3),
}
PARENTS = {"momentum": {"optimizer": ("sgd",)}}
SAMPLERS = {
    "genetic": lambda: GeneticSampler(seed=1, search_space=KINDS, conditions=PARENTS),
    "tpe": lambda: TPESampler(seed=1, multivariate=True, n_startup_trials=3),
    "random": lambda: RandomSampler(seed=1),
}


def existing(values):
    """All parameters, momentum with SGD alone."""
    return [name for name in KINDS if name != "momentum" or values.get("optimizer") == "sgd"]


def one_by_one(trial):
    values = {}
    while missing := [name for name in existing(values) if name not in values]:
        values[missing[0]] = trial._suggest(missing[0], KINDS[missing[0]])


def at_once(trial):
    suggest(trial, KINDS, existing)


def run(storage, sampler, ask):
    """What a study of ten trials has in the end; one trial was given, one begun before."""
    study = optuna.create_study(storage=storage, sampler=SAMPLERS[sampler]())
    study.enqueue_trial({"lr": 0.1, "optimizer": "adam"})
    for number in range(10):
        trial = study.ask()
        if number == 4:
            trial._suggest("lr", KINDS["lr"])
        ask(trial)
        study.tell(trial, trial.params["lr"] + number % 3)
    return [(t.params, t.distributions, t.user_attrs, t.value) for t in study.get_trials()]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_equal_to_one_by_one(tmp_path, sampler):
    mirrored = open_own_storage(sqlite_url(tmp_path / "study.db"))
    expected = run(None, sampler, one_by_one)
    assert run(None, sampler, at_once) == expected
    assert run(mirrored, sampler, at_once) == expected
    assert any("momentum" in params for params, *_ in expected)
    assert not all("momentum" in params for params, *_ in expected)


def test_what_is_proposed_together_is_set_together(tmp_path, monkeypatch):
    storage = open_own_storage(sqlite_url(tmp_path / "study.db"))
    study = optuna.create_study(storage=storage, sampler=SAMPLERS["genetic"]())
    calls = []
    set_them = mirror_module.MirroredStorage.set_trial_params

    def noted(self, trial_id, params):
        calls.append(list(params))
        set_them(self, trial_id, params)

    monkeypatch.setattr(mirror_module.MirroredStorage, "set_trial_params", noted)
    trial = study.ask()
    at_once(trial)
    assert calls == [["optimizer", "lr", "momentum", "depth"], ["fixed"]]
    assert list(trial.params) == ["optimizer", "lr", "momentum", "depth", "fixed"]
