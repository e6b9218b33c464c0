"""Ask and tell of the genetic sampler at 1,000 trials, in memory: below 5 ms.

Run with `pytest tests/bench/bench_sampler.py`; rounds and warm-up are below, the machine is in
the report of pytest-benchmark.
"""

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from evolve.search.genetic import GeneticSampler
from evolve.space import find_space_file, load_space


def _finished(space, number: int, distributions):
    """A trial of a long run: one in ten failed, half stopped at one of three rungs."""
    draw = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=number))
    params = draw.ask(distributions).params
    value = params["optimizer.lr"]
    options = {"params": params, "distributions": distributions}
    if number % 10 == 0:
        return create_trial(state=TrialState.FAIL, **options)
    steps = (1, 3, 9, 27)[: 1 + number % 4]
    curve = {step: value * step for step in steps}
    state = TrialState.COMPLETE if number % 2 else TrialState.PRUNED
    return create_trial(state=state, value=curve[steps[-1]], intermediate_values=curve, **options)


@pytest.mark.benchmark(warmup=True)
def test_ask_and_tell_at_1000_trials(benchmark):
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = load_space(find_space_file("ga"))
    distributions = space.distributions()
    sampler = GeneticSampler(seed=0, defaults=space.defaults(), search_space=distributions)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.add_trials([_finished(space, number, distributions) for number in range(1000)])

    def step() -> None:
        study.tell(study.ask(distributions), 0.5)

    benchmark.pedantic(step, rounds=100, warmup_rounds=10)
    if benchmark.stats:
        assert benchmark.stats.stats.median < 5e-3
