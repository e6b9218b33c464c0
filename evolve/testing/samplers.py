"""What a sampler promises that keeps nothing outside its study, as checks to be run over all.

Each check raises an AssertionError that says which promise is broken. Trials end in all ways:
every fifth fails, some are stopped early, the others are complete.
"""

import multiprocessing
import pickle
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, Literal

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, Trial, TrialState

from evolve.search.genome import Conditions
from evolve.search.operators.encoding import encode

_BEST_GENE = 0.3
_STEP = 1  # at which every trial reports, and some are stopped
_AT_ONCE = 10
_LATER = 5


@dataclass(frozen=True)
class Case:
    """A sampler, and a space for it to search.

    Attributes
    ----------
    build : callable
        Gives a new sampler, always the same one; must pickle for `check_new_process`.
    space : mapping of name -> distribution
        Parents before the parameters whose existence depends on them.
    conditions : mapping of name -> {parent: values}
        A parameter exists only when each of its parents exists and has one of the values.
    directions : tuple of str
        minimize or maximize, for each objective.
    """

    build: Callable[[], BaseSampler]
    space: Mapping[str, BaseDistribution]
    conditions: Conditions = field(default_factory=dict)
    directions: tuple[Literal["minimize", "maximize"], ...] = ("maximize",)

    def study(self, trials: Iterable[FrozenTrial] = ()) -> optuna.Study:
        """A study in memory with a new sampler and copies of trials."""
        study = optuna.create_study(directions=list(self.directions), sampler=self.build())
        study.add_trials(trials)
        return study

    def ask(self, study: optuna.Study) -> Trial:
        """A trial with a value for every parameter that exists."""
        trial = study.ask()
        for name, kind in self.space.items():
            parents = self.conditions.get(name, {})
            if all(trial.params.get(parent, _Nothing) in v for parent, v in parents.items()):
                trial._suggest(name, kind)
        return trial

    def finish(self, study: optuna.Study, trial: Trial) -> None:
        """End a trial in the way that its number tells."""
        values = self.worth(trial.params)
        if len(values) == 1:
            trial.report(values[0] / 2, _STEP)
        if trial.number % 5 == 4:
            study.tell(trial, state=TrialState.FAIL)
        elif trial.number % 3 == 2 and len(values) == 1:
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, values)

    def worth(self, params: Mapping[str, Any]) -> list[float]:
        """A bowl for each objective, each with another bottom."""
        genes = [encode(value, self.space[name]) for name, value in params.items()]
        bottoms = (_BEST_GENE + 0.4 * index for index in range(len(self.directions)))
        costs = [sum((gene - bottom) ** 2 for gene in genes) for bottom in bottoms]
        signs = (1.0 if one == "minimize" else -1.0 for one in self.directions)
        return [sign * cost for sign, cost in zip(signs, costs, strict=True)]

    def go_on(self, study: optuna.Study, count: int) -> list[dict[str, Any]]:
        """Ask and finish so many trials one by one; the parameters of all that there are then."""
        for _ in range(count):
            self.finish(study, self.ask(study))
        return [trial.params for trial in study.trials]


class _Nothing:
    """No value of any parameter."""


def trials_of(case: Case, count: int) -> list[dict[str, Any]]:
    """Parameters of the first trials of a new study."""
    return case.go_on(case.study(), count)


def check_repeats(case: Case, count: int = 20) -> None:
    """Studies with equal samplers have equal trials."""
    assert trials_of(case, count) == trials_of(case, count), "the seed does not decide all"


def check_new_process(*cases: Case, count: int = 20) -> None:
    """A process that is started anew, not forked, has the same trials."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        for case, found in zip(cases, pool.map(trials_of, cases, repeat(count)), strict=True):
            assert found == trials_of(case, count), f"another process, other trials: {case.build}"


def check_resume(case: Case, count: int = 31, whole: Sequence[int] = (0, 1, 8, 20)) -> None:
    """A study that is stopped and resumed, at any trial, goes on as if it never stopped.

    Parameters
    ----------
    count : int
        Trials of the study. After every stop one trial is asked for.
    whole : sequence of int
        Trials after which it is also run to its end.
    """
    straight = case.study()
    expected = case.go_on(straight, count)
    for stop in range(count):
        resumed = case.study(straight.trials[:stop])
        trial = case.ask(resumed)
        assert trial.params == expected[stop], f"trial {stop} is another one after a resume"
        if stop in whole:
            case.finish(resumed, trial)
            found = case.go_on(resumed, count - stop - 1)
            assert found == expected, f"a resume at trial {stop} changes later ones"


def check_order(case: Case, before: int = 10) -> None:
    """Trials that run at once may end in any order: those asked for later are the same."""
    forth = list(range(_AT_ONCE))
    there_and_back = forth[::2] + forth[::-2]
    found = [_after(case, before, order) for order in (forth, forth[::-1], there_and_back)]
    assert found[1] == found[0] == found[2], "the order in which trials end plays a part"


def _after(case: Case, before: int, order: Sequence[int]) -> list[dict[str, Any]]:
    """Some trials one by one, ten at once that end in an order, and what is asked for then."""
    study = case.study()
    case.go_on(study, before)
    running = [case.ask(study) for _ in order]
    for index in order:
        case.finish(study, running[index])
    return [case.ask(study).params for _ in range(_LATER)]


def check_pickles(case: Case, count: int = 15) -> None:
    """A pickled sampler proposes what the sampler does, and takes nothing of the study along."""
    study = case.study()
    before = pickle.dumps(study.sampler)
    case.go_on(study, count)
    assert pickle.dumps(study.sampler) == before, "something of the study is in the pickle"
    other = case.study(study.trials)
    other.sampler = pickle.loads(before)
    assert case.ask(other).params == case.ask(study).params, "the pickle proposes something else"


def check_no_memory(case: Case, count: int = 15) -> None:
    """A sampler that served another study proposes what a new one does, in turns with it too."""
    expected = trials_of(case, count)
    used, other = case.study(), case.study()
    other.sampler = used.sampler
    for number in range(count):
        trial = case.ask(other)
        other.tell(trial, [float(number)] * len(case.directions))
        case.go_on(used, 1)
    later = case.study()
    later.sampler = used.sampler
    found = [trial.params for trial in used.trials]
    assert found == expected, "another study beside it changes its trials"
    assert case.go_on(later, count) == expected, "another study before it changes its trials"
