import json
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from evolve.search.genetic import GeneticSampler

SPACE = {
    "lr": FloatDistribution(1e-4, 1e-1, log=True),
    "momentum": FloatDistribution(0.8, 0.98),
    "layers": IntDistribution(1, 64, log=True),
    "size": IntDistribution(320, 608, step=32),
    "box": CategoricalDistribution(("giou", "ciou", "mse")),
}
DEFAULTS = {"lr": 0.01, "momentum": 0.9, "layers": 8, "size": 416, "box": "ciou"}


@pytest.fixture(autouse=True)
def _quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def score(params: dict) -> float:
    return -abs(np.log10(params["lr"]) + 3) - (params["box"] != "giou") - params["layers"] / 64


def finish(study: optuna.Study, trial: optuna.Trial) -> None:
    """One of each ending: every fifth trial fails, every third is pruned."""
    value = score(trial.params)
    trial.report(value / 2, 1)
    if trial.number % 5 == 4:
        study.tell(trial, state=TrialState.FAIL)
    elif trial.number % 3 == 2:
        study.tell(trial, state=TrialState.PRUNED)
    else:
        study.tell(trial, value)


def new_study(**options) -> optuna.Study:
    options = {"seed": 0, "defaults": DEFAULTS, "search_space": SPACE, **options}
    return optuna.create_study(direction="maximize", sampler=GeneticSampler(**options))


def go_on(study: optuna.Study, count: int) -> list[dict]:
    for _ in range(count):
        finish(study, study.ask(SPACE))
    return [trial.params for trial in study.trials]


def copy_of(study: optuna.Study, trials: list) -> optuna.Study:
    other = new_study()
    other.add_trials(trials)
    return other


def test_the_first_trial_is_the_defaults_exactly():
    study = new_study()
    assert go_on(study, 1) == [DEFAULTS]
    assert study.trials[0].user_attrs == {"evolve:origin": "default", "evolve:parents": []}


def test_without_defaults_the_first_trial_is_the_middle():
    study = new_study(defaults=None)
    first = study.ask(SPACE).params
    assert first["lr"] == pytest.approx(10**-2.5)
    assert first["momentum"] == 0.89
    assert first["box"] == "giou"
    assert first["size"] in (448, 480)


def test_the_start_fills_the_space_and_stays_half_near_the_defaults():
    study = new_study(population_size=17)
    start = go_on(study, 17)[1:]
    assert {t.user_attrs["evolve:origin"] for t in study.trials[1:]} == {"start"}
    near = [np.log10(params["lr"]) + 2 for params in start[0::2]]
    wide = [np.log10(params["lr"]) for params in start[1::2]]
    assert max(map(abs, near)) < 1.0
    assert max(wide) > -1.5
    assert min(wide) < -3.5


def test_later_trials_carry_their_lineage():
    study = new_study(immigrant_rate=0.2)
    go_on(study, 60)
    failed = {t.number for t in study.trials if t.state == TrialState.FAIL}
    parents_of = {"crossover": 2, "mutation": 1, "immigrant": 0}
    seen = set()
    for trial in study.trials[8:]:
        origin, parents = (trial.user_attrs[f"evolve:{key}"] for key in ("origin", "parents"))
        seen.add(origin)
        assert len(set(parents)) == len(parents) == parents_of[origin]
        assert all(parent < trial.number and parent not in failed for parent in parents)
    assert seen == set(parents_of)


def test_the_same_seed_gives_the_same_trials_and_another_seed_others():
    assert go_on(new_study(), 30) == go_on(new_study(), 30)
    assert go_on(new_study(seed=1), 30)[1:] != go_on(new_study(), 30)[1:]


def test_a_new_process_gives_the_same_trials():
    code = (
        "import sys, json; sys.path.insert(0, sys.argv[1]); import test_genetic_sampler as t;"
        "print(json.dumps(t.go_on(t.new_study(), 20)))"
    )
    folder = str(Path(__file__).parent)
    command = [sys.executable, "-c", code, folder]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == go_on(new_study(), 20)


@pytest.mark.parametrize("stop", range(0, 30, 3))
def test_a_resumed_study_goes_on_as_if_it_never_stopped(stop):
    straight = new_study()
    expected = go_on(straight, 30)
    resumed = copy_of(straight, straight.trials[:stop])
    assert go_on(resumed, 30 - stop) == expected


def test_the_order_of_completion_plays_no_part():
    proposals = []
    for order in ([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [9, 3, 7, 1, 5, 0, 8, 2, 6, 4]):
        study = new_study()
        trials = [study.ask(SPACE) for _ in range(10)]
        for index in order:
            finish(study, trials[index])
        proposals.append([study.ask(SPACE).params for _ in range(5)])
    assert proposals[0] == proposals[1]


def test_it_pickles_and_holds_no_state():
    study = new_study()
    before = pickle.dumps(study.sampler)
    go_on(study, 15)
    assert pickle.dumps(study.sampler) == before
    other = copy_of(study, study.trials)
    other.sampler = pickle.loads(before)
    other.sampler.reseed_rng()
    assert other.ask(SPACE).params == study.ask(SPACE).params


def test_no_two_trials_are_equal_even_when_all_run_at_once():
    space = {"a": IntDistribution(0, 5), "b": CategoricalDistribution((0, 1, 2, 3))}
    study = optuna.create_study(sampler=GeneticSampler(seed=0, search_space=space))
    params = [tuple(study.ask(space).params.values()) for _ in range(18)]
    assert len(set(params)) == 18


def test_an_exhausted_space_repeats_instead_of_hanging():
    space = {"a": IntDistribution(0, 1)}
    study = optuna.create_study(sampler=GeneticSampler(seed=0, search_space=space))
    for _ in range(12):
        trial = study.ask(space)
        study.tell(trial, trial.params["a"])
    assert {t.params["a"] for t in study.trials} == {0, 1}


def test_children_keep_away_from_failures():
    space = {"x": FloatDistribution(0, 1)}

    def nearest_failed(radius: float) -> int:
        options = {"seed": 0, "search_space": space, "failure_radius": radius}
        study = optuna.create_study(sampler=GeneticSampler(**options))
        failures = 0
        for _ in range(60):
            trial = study.ask(space)
            x = trial.params["x"]
            failures += x > 0.6
            study.tell(trial, None if x > 0.6 else 1 - x, TrialState.FAIL if x > 0.6 else None)
        return failures

    assert nearest_failed(0.1) < 0.7 * nearest_failed(0.0)


def test_it_works_when_all_fail_or_are_pruned_without_a_value():
    study = new_study()
    for number in range(20):
        state = TrialState.FAIL if number % 2 else TrialState.PRUNED
        study.tell(study.ask(SPACE), state=state)
    assert {t.user_attrs["evolve:origin"] for t in study.trials[8:]} == {"immigrant"}


def test_stopped_trials_alone_can_be_parents():
    study = new_study(immigrant_rate=0.0)
    for _ in range(12):
        trial = study.ask(SPACE)
        trial.report(score(trial.params), 1)
        study.tell(trial, state=TrialState.PRUNED)
    assert all(t.user_attrs["evolve:parents"] for t in study.trials[8:])


def conditional(trial: optuna.Trial) -> float:
    kind = trial.suggest_categorical("kind", ["a", "b"])
    x = trial.suggest_float("x", -5, 5)
    if kind == "a":
        return x**2 + trial.suggest_int("n", 0, 10)
    return x**2 + 20 + trial.suggest_float("z", 1e-3, 1, log=True)


def test_it_works_alone_with_parameters_of_some_trials_only():
    study = optuna.create_study(sampler=GeneticSampler(seed=0))
    study.optimize(conditional, n_trials=60)
    again = optuna.create_study(sampler=GeneticSampler(seed=0))
    again.optimize(conditional, n_trials=25)
    again.optimize(conditional, n_trials=35)
    assert [t.params for t in again.trials] == [t.params for t in study.trials]
    assert study.best_value < 1.0
    assert study.trials[0].params == {"kind": "a", "x": 0.0, "n": 5}


def test_a_conditional_gene_comes_from_the_parent_that_has_it():
    n = IntDistribution(0, 1000)
    kind = CategoricalDistribution(("a", "b"))
    options = {"seed": 0, "mutation_rate": 0.0, "crossover_rate": 1.0, "immigrant_rate": 0.0}
    study = optuna.create_study(sampler=GeneticSampler(population_size=2, **options))
    study.add_trial(
        create_trial(value=0, params={"kind": "a", "n": 777}, distributions={"kind": kind, "n": n})
    )
    study.add_trial(create_trial(value=1, params={"kind": "b"}, distributions={"kind": kind}))
    trials = [study.ask({"kind": kind, "n": n}) for _ in range(20)]
    with_the_parent = [
        t for t in trials if 0 in study.trials[t.number].user_attrs["evolve:parents"]
    ]
    assert len(with_the_parent) > 10
    assert {t.params["n"] for t in with_the_parent} == {777}


def test_it_works_in_threads():
    study = optuna.create_study(sampler=GeneticSampler(seed=0))
    study.optimize(conditional, n_trials=30, n_jobs=4)
    assert len({tuple(sorted(t.params.items())) for t in study.trials}) > 25


def test_it_works_with_hyperband_brackets_and_a_file(tmp_path):
    storage = f"sqlite:///{tmp_path}/study.db"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = optuna.create_study(
            storage=storage,
            sampler=GeneticSampler(seed=0),
            pruner=optuna.pruners.HyperbandPruner(1, 9, 3),
        )

    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        for step in range(9):
            trial.report(x + 1 / (step + 1), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return x

    study.optimize(objective, n_trials=15)
    assert len(study.trials) == 15


@pytest.mark.parametrize("dimensions", [4, 13])
def test_it_is_better_than_random_on_a_sphere(dimensions):
    space = {f"x{i}": FloatDistribution(0, 1) for i in range(dimensions)}

    def best(sampler: optuna.samplers.BaseSampler, seed: int) -> float:
        centre = np.random.default_rng(seed).uniform(0.2, 0.8, dimensions)
        study = optuna.create_study(sampler=sampler)
        for _ in range(60):
            trial = study.ask(space)
            study.tell(trial, float(np.sum((np.array([*trial.params.values()]) - centre) ** 2)))
        return study.best_value

    seeds = range(5)
    ours = np.mean([best(GeneticSampler(seed=s, search_space=space), s) for s in seeds])
    theirs = np.mean([best(optuna.samplers.RandomSampler(seed=s), s) for s in seeds])
    assert ours < 0.6 * theirs


def test_many_objectives_are_refused():
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=GeneticSampler())
    with pytest.raises(ValueError, match="one objective, and the study has 2"):
        study.ask(SPACE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed must not be negative"),
        ({"crossover_rate": 1.5}, r"crossover_rate must be in \[0, 1\]"),
        ({"mutation_rate": -0.1}, "mutation_rate"),
        ({"population_size": 1}, "at least 2"),
        ({"tournament_size": 0}, "at least 1"),
        ({"mutation_sigma": -1.0}, "must not be negative"),
        ({"defaults": {"lr": 5.0}, "search_space": SPACE}, r"default 5.0 of 'lr' is outside"),
        ({"defaults": {"box": "diou"}, "search_space": SPACE}, "diou"),
        ({"defaults": {"rl": 0.1}, "search_space": SPACE}, "'rl' is not in search_space: lr"),
    ],
)
def test_wrong_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        GeneticSampler(**options)
