"""Ask and tell of the genetic sampler at 10, 1,000 and 10,000 trials, in memory.

The medians' limits leave room for a loaded machine. `evolve` draws from a Gaussian process every
time and fits it now and then, so its slowest ask counts too. Run with
`pytest tests/bench/bench_sampler.py`; rounds and warm-up are below, the machine is in the report
of pytest-benchmark.
"""

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from evolve.search.factory import build_sampler
from evolve.search.genetic import VARIANTS, GeneticSampler
from evolve.space import Space, find_space_file, load_space

CONDITIONAL = """
parameters:
  sat.kind: {type: categorical, choices: [none, darknet, fgsm], default: none}
  sat.strength: {type: float, low: 0.1, high: 1.0, default: 0.5, when: {sat.kind: darknet}}
  sat.epsilon: {type: float, low: 0.01, high: 0.1, default: 0.02, when: {sat.kind: fgsm}}
  optimizer.lr: {type: float, low: 1.0e-4, high: 0.1, scale: log, default: 2.0e-3}
  optimizer.momentum: {type: float, low: 0.8, high: 0.98, default: 0.9}
  batch_size: {type: ordinal, choices: [2, 4, 8], default: 4}
  loss.ohem: {type: int, low: 1, high: 512, scale: log, default: 16}
constraints:
  - 50 * optimizer.lr + optimizer.momentum <= 1.4
  - sat.epsilon * batch_size <= 0.3
"""
LIMITS_S = {"evolve": 30e-3, "paper": 20e-3, "yolov5": 20e-3}


@pytest.fixture(autouse=True)
def _quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def _ask(study: optuna.Study, space: Space, distributions) -> optuna.Trial:
    """A trial with a value for every parameter that exists."""
    trial = study.ask()
    values = {}
    while missing := [name for name in space.active(values) if name not in values]:
        values[missing[0]] = trial._suggest(missing[0], distributions[missing[0]])
    return trial


def _finished(space: Space, number: int, distributions):
    """A trial of a long run: one in ten failed, half stopped at one of three rungs."""
    draw = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=number))
    params = _ask(draw, space, distributions).params
    value = params["optimizer.lr"]
    options = {"params": params, "distributions": {name: distributions[name] for name in params}}
    if number % 10 == 0:
        return create_trial(state=TrialState.FAIL, **options)
    steps = (1, 3, 9, 27)[: 1 + number % 4]
    curve = {step: value * step for step in steps}
    state = TrialState.COMPLETE if number % 2 else TrialState.PRUNED
    return create_trial(state=state, value=curve[steps[-1]], intermediate_values=curve, **options)


def _history(space: Space, trials: int, running: int, distributions):
    """Ended trials, a thousand different ones, and trials under way."""
    several = [_finished(space, number, distributions) for number in range(min(trials, 1000))]
    yield from (several[number % 1000] for number in range(trials))
    for number in range(running):
        one = _finished(space, 1 + trials + number, distributions)
        yield create_trial(
            state=TrialState.RUNNING, params=one.params, distributions=one.distributions
        )


def _time_steps(
    benchmark, space: Space, sampler, trials: int, rounds: int, running: int = 0
) -> None:
    """Asks and tells; every other trial has a curve, which tells of the stopped ones."""
    distributions = space.distributions()
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.add_trials(list(_history(space, trials, running, distributions)))
    busy = [trial.number for trial in study.get_trials(states=(TrialState.RUNNING,))]

    def step() -> None:
        trial = _ask(study, space, distributions)
        busy.append(trial.number)
        if trial.number % 2:
            for epoch in (1, 3, 9):
                trial.report(0.01 * epoch, epoch)
        study.tell(busy.pop(0), 0.5)

    benchmark.pedantic(step, rounds=rounds, warmup_rounds=5)


@pytest.mark.benchmark(warmup=True)
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("trials", [10, 1000, 10_000])
def test_ask_and_tell(benchmark, variant, trials):
    space = load_space(find_space_file("ga"))
    sampler = GeneticSampler(
        seed=0,
        defaults=space.defaults(),
        search_space=space.distributions(),
        ordinal=space.ordinal(),
        variant=variant,
    )
    _time_steps(benchmark, space, sampler, trials, rounds=50)
    if benchmark.stats:
        assert benchmark.stats.stats.median < LIMITS_S[variant]


@pytest.mark.benchmark(warmup=True)
def test_ask_and_tell_with_conditions_and_constraints(benchmark, tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text(CONDITIONAL)
    space = load_space(path)
    _time_steps(benchmark, space, build_sampler("genetic", 0, space), 1000, rounds=50)
    if benchmark.stats:
        assert benchmark.stats.stats.median < LIMITS_S["evolve"]


@pytest.mark.benchmark(warmup=True)
@pytest.mark.parametrize("trials", [1000, 10_000])
def test_ask_and_tell_beside_512_trials_under_way(benchmark, trials):
    space = load_space(find_space_file("ga"))
    _time_steps(benchmark, space, build_sampler("genetic", 0, space), trials, 50, running=512)
    if benchmark.stats:
        assert benchmark.stats.stats.median < LIMITS_S["evolve"]
