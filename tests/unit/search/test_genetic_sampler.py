"""The genetic sampler as a study sees it, in all its variants."""

import math
import warnings
from functools import partial

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState, create_trial

from evolve.search import judge as judge_module
from evolve.search.genetic import VARIANTS, GeneticSampler
from evolve.search.variants import guided as guided_module
from evolve.testing import samplers as contract
from evolve.testing.samplers import Case

SPACE = {
    "lr": FloatDistribution(1e-4, 1e-1, log=True),
    "layers": IntDistribution(1, 64, log=True),
    "size": IntDistribution(320, 608, step=32),
    "box": CategoricalDistribution(("giou", "ciou", "mse")),
    "alpha": FloatDistribution(0.0, 1.0),
    "batch": CategoricalDistribution((2, 4, 8, 16)),
}
DEFAULTS = {"lr": 0.013, "layers": 8, "size": 416, "box": "ciou", "batch": 4, "alpha": 0.7}
CONDITIONS = {"alpha": {"box": ("ciou",)}}
OPTIONS = {
    "seed": 0,
    "defaults": DEFAULTS,
    "search_space": SPACE,
    "ordinal": frozenset({"batch"}),
    "conditions": CONDITIONS,
}
LINE = {"x": FloatDistribution(0.0, 1.0)}
PLANE = {"x": FloatDistribution(0.0, 1.0), "y": FloatDistribution(0.0, 1.0)}
CUBE = {name: FloatDistribution(0.0, 1.0) for name in "xyz"}

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


@pytest.fixture(autouse=True)
def _quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


@pytest.fixture(params=VARIANTS)
def variant(request):
    return request.param


@pytest.fixture
def case(variant):
    return case_of(variant=variant)


def case_of(**options) -> Case:
    options = OPTIONS | options
    conditions = options["conditions"] or {}
    return Case(partial(GeneticSampler, **options), options["search_space"] or SPACE, conditions)


def plain_case(space, variant="evolve", seed=0, directions=("maximize",), **options) -> Case:
    build = partial(GeneticSampler, seed=seed, search_space=space, variant=variant, **options)
    return Case(build, space, directions=directions)


def origins(study: optuna.Study) -> list[str]:
    return [trial.user_attrs["evolve:origin"] for trial in study.trials]


# what every sampler of ours promises


@pytest.mark.parametrize(
    "check",
    [
        contract.check_repeats,
        contract.check_resume,
        contract.check_order,
        contract.check_pickles,
        contract.check_no_memory,
    ],
)
def test_contract(case, check):
    check(case)


@pytest.mark.parametrize(
    ("check", "seed"),
    [
        (contract.check_repeats, None),
        (contract.check_resume, 0),
        (contract.check_pickles, 0),
        (contract.check_no_memory, 0),
    ],
)
def test_contract_sees_a_sampler_that_breaks_it(check, seed):
    case = Case(partial(optuna.samplers.RandomSampler, seed=seed), PLANE)
    with pytest.raises(AssertionError):
        check(case)


def test_contract_sees_that_the_order_of_endings_plays_a_part():
    case = Case(partial(_AfterTheLast, seed=0, search_space=PLANE), PLANE)
    with pytest.raises(AssertionError, match="the order in which trials end"):
        contract.check_order(case)


class _AfterTheLast(GeneticSampler):
    """Proposes, from trial 20 on, what the trial that ended last had."""

    def sample_relative(self, study, trial, search_space):
        if trial.number < 20:
            return super().sample_relative(study, trial, search_space)
        ended = [one for one in study.trials if one.state.is_finished()]
        return max(ended, key=lambda one: one.datetime_complete).params


def test_a_new_process_has_the_same_trials():
    contract.check_new_process(*(case_of(variant=variant) for variant in VARIANTS))


def test_a_resume_with_several_objectives_changes_nothing(variant):
    contract.check_resume(plain_case(CUBE, variant, directions=("maximize", "minimize")))


@pytest.mark.parametrize(
    "check",
    [
        contract.check_repeats,
        contract.check_resume,
        contract.check_order,
        contract.check_no_memory,
    ],
)
def test_contract_of_a_long_study(monkeypatch, check):
    monkeypatch.setattr(judge_module, "LONG", 12)
    check(case_of())


def some_of_many(study: optuna.Study, asks: int) -> None:
    """Further trials of a study with some under way, of which one in five fails."""
    for _ in range(asks):
        study.ask(CUBE)
        busy = study.get_trials(states=(TrialState.RUNNING,))
        if len(busy) > 5:
            ends = busy[len(study.trials) % 3]
            failed = ends.number % 5 == 0
            value = None if failed else -sum((x - 0.4) ** 2 for x in ends.params.values())
            study.tell(ends.number, value, TrialState.FAIL if failed else None)


def test_a_long_study_goes_on_as_if_it_never_stopped(monkeypatch):
    monkeypatch.setattr(judge_module, "LONG", 25)
    studies = [optuna.create_study(direction="maximize") for _ in range(2)]
    for study, sessions in zip(studies, [(60,), (20, 13, 27)], strict=True):
        for asks in sessions:
            study.sampler = GeneticSampler(seed=0, search_space=CUBE)
            some_of_many(study, asks)
    assert sum("evolve:fitted" in trial.user_attrs for trial in studies[0].trials) > 2
    copied = optuna.create_study(direction="maximize")
    copied.add_trials(studies[0].trials)
    copied.sampler = GeneticSampler(seed=0, search_space=CUBE)
    assert studies[0].ask(CUBE).params == copied.ask(CUBE).params
    assert [t.params for t in studies[0].trials[:60]] == [t.params for t in studies[1].trials[:60]]


@pytest.fixture
def crowded(monkeypatch):
    """Studies that are long, and crowded, when they are still short."""
    monkeypatch.setattr(judge_module, "LONG", 12)
    monkeypatch.setattr(guided_module, "_CROWDS", (1000, 4))


@pytest.mark.usefixtures("crowded")
def test_a_crowded_study_goes_on_as_if_it_never_stopped():
    studies = [optuna.create_study(direction="maximize") for _ in range(2)]
    for study, sessions in zip(studies, [(60,), (22, 13, 25)], strict=True):
        for asks in sessions:  # they end among trials that are chosen together
            study.sampler = GeneticSampler(seed=0, search_space=CUBE)
            some_of_many(study, asks)
    one, other = studies
    assert [t.params for t in one.trials] == [t.params for t in other.trials]
    assert [t.user_attrs for t in one.trials] == [t.user_attrs for t in other.trials]
    noting = [trial.number for trial in one.trials if "evolve:spares" in trial.user_attrs]
    assert len(noting) > 5
    assert all(number % 4 == 0 for number in noting)


@pytest.mark.usefixtures("crowded")
def test_of_a_larger_crowd_more_are_chosen_at_once(monkeypatch):
    study = optuna.create_study(direction="maximize")
    study.sampler = GeneticSampler(seed=0, search_space=CUBE)
    some_of_many(study, 36)
    monkeypatch.setattr(guided_module, "_CROWDS", (5, 4))
    some_of_many(study, 36)
    noted = {t.number: len(t.user_attrs.get("evolve:spares", ())) for t in study.trials}
    assert [noted[number] for number in (28, 32)] == [3, 3]
    assert [noted[number] for number in (48, 52, 56, 60)] == [7, 0, 7, 0]
    taken = [study.trials[number].params.values() for number in range(57, 64)]
    spares = study.trials[56].user_attrs["evolve:spares"]
    assert [list(values) for values in taken] == [pytest.approx(one["genes"]) for one in spares]


@pytest.mark.usefixtures("crowded")
def test_trials_that_are_chosen_together_are_different_and_have_their_descent():
    study = optuna.create_study(
        direction="maximize", sampler=GeneticSampler(seed=1, search_space=CUBE)
    )
    some_of_many(study, 48)
    assert len({tuple(trial.params.values()) for trial in study.trials}) == 48
    first = next(t for t in study.trials if "evolve:spares" in t.user_attrs)
    spares = first.user_attrs["evolve:spares"]
    assert len(spares) == 3
    for spare, trial in zip(spares, study.trials[first.number + 1 :], strict=False):
        assert list(trial.params.values()) == pytest.approx(spare["genes"])
        noted = [trial.user_attrs[f"evolve:{name}"] for name in ("origin", "parents")]
        assert noted == [spare["origin"], list(spare["parents"])]


@pytest.mark.usefixtures("crowded")
def test_what_was_tried_meanwhile_or_is_of_another_space_is_not_taken_from_the_notes():
    study = optuna.create_study(
        direction="maximize", sampler=GeneticSampler(seed=1, search_space=CUBE)
    )
    some_of_many(study, 40)
    noted = [t.number for t in study.trials if "evolve:spares" in t.user_attrs][-1]
    before = study.trials[: noted + 1]
    spares = before[noted].user_attrs["evolve:spares"]

    def following(change):
        other = optuna.create_study(direction="maximize")
        other.add_trials(before)
        return change(other)

    def same(other):
        other.sampler = GeneticSampler(seed=1, search_space=CUBE)
        return other.ask(CUBE).params

    def tried(other):
        params = dict(zip(CUBE, spares[1]["genes"], strict=True))
        other.add_trial(optuna.create_trial(value=0.0, params=params, distributions=CUBE))
        return same(other)

    def narrower(other):
        space = dict(list(CUBE.items())[:-1])
        other.sampler = GeneticSampler(seed=1, search_space=space)
        return other.ask(space).params

    assert list(following(same).values()) == pytest.approx(spares[0]["genes"])
    assert list(following(tried).values()) != pytest.approx(spares[1]["genes"])
    assert set(following(narrower)) == set(list(CUBE)[:-1])


def test_another_seed_has_other_trials(variant):
    first, second = (contract.trials_of(case_of(variant=variant, seed=s), 12) for s in (0, 1))
    assert first[0] == second[0]
    assert all(one != other for one, other in zip(first[1:], second[1:], strict=True))


# trial 0


def test_the_first_trial_is_the_defaults_exactly(case):
    study = case.study()
    assert case.ask(study).params == DEFAULTS
    assert study.trials[0].user_attrs == {"evolve:origin": "default", "evolve:parents": []}


def test_the_first_trial_is_the_defaults_without_a_space_too(variant):
    case = case_of(variant=variant, search_space=None)
    assert case.ask(case.study()).params == DEFAULTS


def test_without_defaults_the_first_trial_is_the_middle(variant):
    first = case_of(variant=variant, defaults=None, ordinal=frozenset()).study().ask(SPACE).params
    assert first["lr"] == pytest.approx(10**-2.5)
    assert (first["alpha"], first["box"], first["batch"]) == (0.5, "giou", 2)
    assert first["size"] in (448, 480)


def test_the_middle_of_what_is_in_order_is_in_the_middle():
    case = case_of(defaults=None, ordinal=frozenset({"batch"}))
    assert case.ask(case.study()).params["batch"] in (4, 8)


def test_defaults_of_parameters_that_do_not_exist_are_left_out(variant):
    case = case_of(variant=variant, defaults=DEFAULTS | {"box": "mse"})
    expected = {name: value for name, value in DEFAULTS.items() if name != "alpha"}
    assert case.ask(case.study()).params == expected | {"box": "mse"}


# lineage


def test_trials_carry_their_lineage():
    case = case_of()
    study = case.study()
    case.go_on(study, 60)
    useful = {t.number for t in study.trials if t.state in FINISHED}
    most = {"crossover": 2, "mutation": 1, "recombination": 2, "differential": 3,
            "correlated": 2, "immigrant": 1, "restart": 3}  # fmt: skip
    assert origins(study)[:5] == ["default"] + ["start"] * 4
    for trial in study.trials[8:]:
        parents = trial.user_attrs["evolve:parents"]
        assert len(set(parents)) == len(parents) <= most[trial.user_attrs["evolve:origin"]]
        assert useful >= set(parents)
        assert all(parent < trial.number for parent in parents)
        assert 0.01 <= trial.user_attrs["evolve:sigma"] <= 0.5
    assert len(set(origins(study)[8:])) >= 3


@pytest.mark.parametrize(
    ("variant", "known"), [("paper", {"crossover", "mutation"}), ("yolov5", {"mutation"})]
)
def test_other_variants_have_their_own_operators(variant, known):
    case = case_of(variant=variant)
    study = case.study()
    case.go_on(study, 30)
    assert set(origins(study)[8:]) == known


def test_a_trial_that_was_enqueued_is_told_apart(case):
    study = case.study()
    case.go_on(study, 9)
    study.enqueue_trial({"lr": 0.05})
    study.enqueue_trial({"lr": 0.06}, user_attrs={"evolve:origin": "mine"})
    assert case.ask(study).params == DEFAULTS | {"lr": 0.05}
    assert case.ask(study).params == DEFAULTS | {"lr": 0.06}
    assert origins(study)[9:] == ["given", "mine"]


def test_a_first_trial_that_was_enqueued_is_not_called_the_defaults(case):
    study = case.study()
    study.enqueue_trial({"lr": 0.05})
    assert case.ask(study).params == DEFAULTS | {"lr": 0.05}
    assert origins(study) == ["given"]


# several at once, and equal ones


def test_trials_that_run_at_once_are_all_different(case):
    study = case.study()
    case.go_on(study, 12)
    asked = [case.ask(study).params for _ in range(8)]
    assert len({tuple(params.values()) for params in asked}) == 8


SMALL = {"a": IntDistribution(0, 4), "b": CategoricalDistribution((0, 1, 2, 3))}


@pytest.mark.parametrize("running", [True, False])
def test_nothing_is_tried_twice_until_all_is_tried(variant, running):
    case = plain_case(SMALL, variant)
    study = case.study()
    for _ in range(26):
        trial = case.ask(study)
        if not running:
            case.finish(study, trial)
    params = [tuple(trial.params.values()) for trial in study.trials]
    assert len(set(params[:20])) == 20
    assert set(params[20:]) <= set(params[:20])


def test_whole_numbers_of_a_wide_range_are_not_tried_twice(variant):
    case = plain_case({"n": IntDistribution(1, 1000, log=True)}, variant)
    values = [params["n"] for params in contract.trials_of(case, 50)]
    assert len(set(values)) == 50


# constraints


def inside(params) -> bool:
    """Keeps to 5 % of the unit square."""
    return params["x"] + params["y"] <= 0.32


def inside_where_it_exists(params) -> bool:
    return params.get("alpha", 0.0) <= 0.3


def test_constraints_hold_from_the_first_trial_on(variant):
    middle = {"x": 0.16, "y": 0.1}
    for seed in range(3):
        case = plain_case(CUBE, variant, seed, feasible=inside, defaults=middle)
        trials = contract.trials_of(case, 30)
        assert all(map(inside, trials))
        assert len({tuple(params.values()) for params in trials}) == 30


def test_constraints_on_parameters_that_may_not_exist_hold(variant):
    defaults = DEFAULTS | {"alpha": 0.1}
    case = case_of(variant=variant, defaults=defaults, feasible=inside_where_it_exists)
    trials = contract.trials_of(case, 40)
    assert all(map(inside_where_it_exists, trials))
    assert {"alpha" in params for params in trials} == {True, False}


def test_defaults_that_violate_a_constraint_are_refused(variant):
    with pytest.raises(ValueError, match="the defaults do not keep the constraints"):
        GeneticSampler(search_space=PLANE, variant=variant, feasible=inside)
    unknown = optuna.create_study(sampler=GeneticSampler(variant=variant, feasible=inside))
    unknown.add_trial(create_trial(value=1.0, params={"x": 0.0, "y": 0.0}, distributions=PLANE))
    with pytest.raises(ValueError, match="the defaults do not keep the constraints"):
        unknown.ask(PLANE)


# conditions


def test_only_what_exists_is_proposed(case):
    study = case.study()
    sampler = study.sampler
    case.go_on(study, 20)
    for _ in range(10):
        trial = study.ask()
        exists = trial.relative_params["box"] == "ciou"
        assert set(trial.relative_params) == set(SPACE) - (set() if exists else {"alpha"})
        assert sampler.infer_relative_search_space(study, trial) == SPACE


def test_a_parameter_is_inherited_from_parents_that_have_it():
    """`alpha` is good at 0.9 and exists with ciou alone: its children keep near it."""
    case = case_of()
    study = case.study()
    for _ in range(50):
        trial = case.ask(study)
        miss = abs(trial.params["alpha"] - 0.9) if "alpha" in trial.params else 0.5
        study.tell(trial, -miss)
    late = [t.params["alpha"] for t in study.trials[30:] if "alpha" in t.params]
    assert len(late) > 10
    assert np.median(np.abs(np.array(late) - 0.9)) < 0.1


# endings of all kinds


def test_it_works_when_all_fail_or_are_pruned_without_a_value(case):
    study = case.study()
    for number in range(20):
        study.tell(case.ask(study), state=FINISHED[1] if number % 2 else TrialState.FAIL)
    assert set(origins(study)[1:]) == {"start"}


def test_stopped_trials_alone_can_be_parents(case):
    study = case.study()
    for _ in range(14):
        trial = case.ask(study)
        trial.report(case.worth(trial.params)[0], 1)
        study.tell(trial, state=TrialState.PRUNED)
    bred = [trial for trial in study.trials[8:] if trial.user_attrs["evolve:parents"]]
    assert len(bred) >= 4
    assert "start" not in origins(study)[8:]


@pytest.mark.filterwarnings("ignore:The value nan")
@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_a_value_that_is_not_finite_counts_as_a_failure(value):
    """Told to a study, it changes what is proposed exactly as a failed trial does."""
    asked = []
    for told in (value, None):
        case = case_of()
        study = case.study()
        case.go_on(study, 10)
        for _ in range(3):
            trial = case.ask(study)
            study.tell(trial, told, state=TrialState.FAIL if told is None else None)
        asked.append([case.ask(study).params for _ in range(3)])
    assert asked[0] == asked[1]


def test_it_learns_where_trials_fail():
    """Beyond x = 0.6 all fail, 0.4 of random ones; the best is near by."""
    failed = [late_failures(plain_case(PLANE, seed=seed)) for seed in range(3)]
    assert max(failed) <= 0.25 * 40
    assert np.mean(failed) < 0.15 * 40


def late_failures(case: Case) -> int:
    """Failures among trials 20 to 60."""
    study = case.study()
    for _ in range(60):
        trial = case.ask(study)
        x, y = trial.params.values()
        if x > 0.6:
            study.tell(trial, state=TrialState.FAIL)
        else:
            study.tell(trial, -((x - 0.5) ** 2) - (y - 0.4) ** 2)
    return sum(trial.state == TrialState.FAIL for trial in study.trials[20:])


def test_it_seeks_another_place_once_nothing_better_is_found():
    """The defaults are the best there is, so a search comes to rest at once."""
    found = {}
    for best in (0, 60):
        case = plain_case(PLANE)
        study = case.study()
        for number in range(90):
            trial = case.ask(study)
            miss = sum((value - 0.5) ** 2 for value in trial.params.values())
            study.tell(trial, float(number) if best else -miss)
        found[best] = origins(study).count("restart")
    assert found[0] >= 2
    assert found[60] == 0


# several objectives


def ap_and_latency(params) -> tuple[float, float]:
    """What a larger x brings and costs; y and z are to be 0.3 and 0.8 for both."""
    off = (params["y"] - 0.3) ** 2 + (params["z"] - 0.8) ** 2
    return math.sqrt(params["x"]) - off, params["x"] + 2.0 * off


def hypervolume(pairs: list[tuple[float, float]]) -> float:
    """Area between the front and AP 0, latency 2."""
    area, top = 0.0, 0.0
    best_ap_at = sorted((latency, ap) for ap, latency in pairs)
    for latency, ap in best_ap_at:
        if ap > top and latency < 2.0:
            area += (ap - top) * (2.0 - latency)
            top = ap
    return area


def test_the_area_under_a_front_by_hand():
    assert hypervolume([(0.5, 1.0), (1.0, 1.5), (0.4, 1.2), (-1.0, 0.1)]) == 0.5 + 0.25


def front_area(sampler: optuna.samplers.BaseSampler) -> float:
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    for _ in range(40):
        trial = study.ask(CUBE)
        study.tell(trial, ap_and_latency(trial.params))
    return hypervolume([ap_and_latency(trial.params) for trial in study.best_trials])


def test_several_objectives_have_a_front_beyond_that_of_chance():
    for seed in range(3):
        ours = front_area(GeneticSampler(seed=seed, search_space=CUBE))
        assert ours > front_area(optuna.samplers.RandomSampler(seed=seed))


# without a space, with threads, with a file


def conditional(trial: optuna.Trial) -> float:
    kind = trial.suggest_categorical("kind", ["a", "b"])
    x = trial.suggest_float("x", -5, 5)
    if kind == "a":
        return x**2 + trial.suggest_int("n", 0, 10)
    return x**2 + 20 + trial.suggest_float("z", 1e-3, 1, log=True)


def test_it_works_alone_with_parameters_of_some_trials_only(variant):
    studies = [
        optuna.create_study(sampler=GeneticSampler(seed=0, variant=variant)) for _ in range(2)
    ]
    studies[0].optimize(conditional, n_trials=50)
    for count in (20, 30):
        studies[1].optimize(conditional, n_trials=count)
    assert [t.params for t in studies[0].trials] == [t.params for t in studies[1].trials]
    assert studies[0].trials[0].params == {"kind": "a", "x": 0.0, "n": 5}
    best = studies[0].best_trial
    assert best.params["kind"] == "a"
    assert best.value < 2.0


def test_it_works_in_threads(variant):
    study = optuna.create_study(sampler=GeneticSampler(seed=0, variant=variant))
    study.optimize(conditional, n_trials=30, n_jobs=4)
    assert len({tuple(sorted(t.params.items())) for t in study.trials}) > 25


def test_it_works_with_hyperband_brackets_and_a_file(tmp_path):
    storage = JournalStorage(JournalFileBackend(f"{tmp_path}/study.log"))
    pruner = optuna.pruners.HyperbandPruner(1, 9, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sampler = GeneticSampler(seed=0, search_space=LINE)
        study = optuna.create_study(
            storage=storage, sampler=sampler, pruner=pruner, study_name="brackets"
        )

    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        for step in range(9):
            trial.report(x + 1 / (step + 1), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return x

    study.optimize(objective, n_trials=15)
    assert {trial.state for trial in study.trials} == set(FINISHED)
    assert study.best_value < 0.1


# how well it searches


def best_truth(sampler: optuna.samplers.BaseSampler, seed: int) -> float:
    """Smallest squared distance from a hidden centre in 60 trials whose values are noisy."""
    rng = np.random.default_rng(seed)
    centre = rng.uniform(0.2, 0.8, 6)
    space = {f"x{index}": FloatDistribution(0.0, 1.0) for index in range(6)}
    study = optuna.create_study(sampler=sampler)
    truths = []
    for _ in range(60):
        trial = study.ask(space)
        truths.append(float(np.sum((np.array([*trial.params.values()]) - centre) ** 2)))
        study.tell(trial, truths[-1] + 0.02 * rng.standard_normal())
    return min(truths)


def median_truth(build) -> float:
    return float(np.median([best_truth(build(seed), seed) for seed in range(5)]))


def test_it_is_far_better_than_chance_on_a_noisy_sphere(variant):
    space = {f"x{index}": FloatDistribution(0.0, 1.0) for index in range(6)}
    ours = median_truth(
        lambda seed: GeneticSampler(seed=seed, search_space=space, variant=variant)
    )
    chance = median_truth(lambda seed: optuna.samplers.RandomSampler(seed=seed))
    assert ours < {"evolve": 0.15, "paper": 0.7, "yolov5": 0.7}[variant] * chance


# what is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed must not be negative, got -1"),
        ({"variant": "best"}, "variant must be one of evolve, paper, yolov5"),
        ({"defaults": {"lr": 5.0}}, r"the default of 'lr' is outside its range: 5.0"),
        ({"defaults": {"box": "diou"}}, "diou"),
        ({"defaults": {"rl": 0.1}}, "the default 'rl' is not in search_space: lr"),
        ({"conditions": {"alpha": {"bax": ("ciou",)}}}, "'alpha' names 'bax', which is not there"),
        ({"conditions": {"alpha": {"alpha": (0.5,)}}}, "alpha go round in a circle"),
    ],
)
def test_wrong_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        GeneticSampler(**({"search_space": SPACE} | options))
