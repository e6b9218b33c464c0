"""The search benchmark itself: problems, scores, and runs that can be repeated and resumed."""

import json
import math

import numpy as np
import optuna
import pytest

from tests.bench.search import __main__ as bench
from tests.bench.search import problems_learning
from tests.bench.search.peers import BUILDERS, builder, knows_budget
from tests.bench.search.run import Job, Record, run
from tests.bench.search.score import Reference, cells, references, search_reference
from tests.bench.search.suite import problem, problems
from tests.bench.search.surface import Surface, at, existing, exists, from_genes, in_order, real

FAMILIES = ("smooth", "learning", "mixed", "detector")


@pytest.fixture(scope="module", params=FAMILIES)
def some(request):
    """Problems of one family."""
    if request.param == "smooth":
        pytest.importorskip("ioh")
    return problems(family=request.param)


def _random_params(one, seed):
    return from_genes(np.random.default_rng(seed).random(len(one.distributions)), one)


def _observed(one, params, seed):
    return one.observe(params, np.random.default_rng(seed)).value


def test_equal_arguments_give_equal_results(some):
    for one in some:
        params = _random_params(one, 3)
        assert np.array_equal(one.truth(params), one.truth(dict(params)), equal_nan=True)
        assert _observed(one, params, 5) == _observed(one, params, 5)


def test_observations_scatter_about_the_truth(some):
    for one in some:
        params = existing(one.defaults, one)
        seen = np.array([_observed(one, params, seed) for seed in range(100)])
        assert 0 < abs(seen.mean() - one.truth(params)) < 0.5 * seen.std()


def test_defaults_lie_inside_and_never_fail(some):
    for one in some:
        assert set(one.defaults) == set(one.distributions)
        for name, kind in one.distributions.items():
            assert kind._contains(kind.to_internal_repr(one.defaults[name])), name
        params = existing(one.defaults, one)
        assert all(_observed(one, params, seed) is not None for seed in range(50))


def test_conditions_name_parents_and_values_that_there_are(some):
    for one in some:
        for name, wanted in one.conditions.items():
            assert name in one.distributions
            for parent, values in wanted.items():
                kind = one.distributions[parent]
                assert all(kind._contains(kind.to_internal_repr(value)) for value in values)


def test_ordinals_are_choices(some):
    for one in some:
        assert all(hasattr(one.distributions[name], "choices") for name in one.ordinal)


def test_both_roles_are_there_and_names_differ(some):
    assert {one.role for one in some} == {"tune", "judge"}
    assert len({one.name for one in some}) == len(some)


def test_reference_is_up_to_date_and_nothing_random_beats_it(some):
    for one in some:
        reference = references([one])[one.name]
        truths = [one.truth(_random_params(one, seed)) for seed in range(200)]
        assert np.nanmax(truths) <= reference.best + 1e-6
        assert one.truth(existing(one.defaults, one)) < reference.best
        assert 0.02 < np.mean(np.array(truths) > reference.good) < 0.2


def test_roles_share_no_bbob_function():
    smooth = pytest.importorskip("tests.bench.search.problems_smooth")
    tune, judge = ({entry[1] for entry in table} for table in (smooth._TUNE, smooth._JUDGE))
    assert not tune & judge


def test_roles_share_neither_learner_nor_data_set():
    for part in (0, 1):
        used = {"tune": set(), "judge": set()}
        for study in problems_learning.STUDIES:
            used[study.role].add(study.name.split("-")[part])
        assert not used["tune"] & used["judge"]


def test_regression_meets_its_table():
    study = problems_learning.SVC
    (one,) = problems(family="learning", names="learning-svc*")
    with np.load(problems_learning.TABLES / f"{study.name}.npz") as table:
        rows, values = table["genes"].astype(float)[:100], table["values"].mean(axis=1)[:100]
    answers = [one.truth(from_genes(row, one)) for row in rows]
    assert np.corrcoef(answers, values)[0, 1] > 0.97


def test_detector_trainings_diverge_beyond_the_cliff_and_sometimes_before_it():
    one = problem("detector-ridge-14")
    params = existing(one.defaults, one)
    lost = {lr: _failures(one, params | {"lr": lr}) for lr in (2e-3, 2.1e-2, 3e-2)}
    assert lost[2e-3] == 0
    assert 0 < lost[2.1e-2] < 50
    assert lost[3e-2] == 50
    assert math.isnan(one.truth(params | {"lr": 3e-2}))


def _failures(one, params):
    return sum(_observed(one, params, seed) is None for seed in range(50))


def test_learning_rate_and_momentum_make_one_ridge():
    one = problem("detector-ridge-14")
    params = existing(one.defaults, one) | {"lr": 4e-3, "momentum": 0.9}
    along = one.truth(params | {"lr": 2e-3, "momentum": 0.95})
    across = one.truth(params | {"lr": 8e-3, "momentum": 0.95})
    assert abs(along - one.truth(params)) < 0.01 < one.truth(params) - across


def test_children_without_their_parent_do_not_exist():
    conditions = {"b": {"a": (1,)}, "c": {"b": (2,)}}
    assert exists("a", {}, conditions)
    assert not exists("b", {"a": 0}, conditions)
    assert not exists("c", {"a": 1}, conditions)


def test_parents_come_before_children():
    one = problem("mixed-levels-14")
    order = in_order(one)
    assert sorted(order) == sorted(one.distributions)
    for name, wanted in one.conditions.items():
        assert all(order.index(parent) < order.index(name) for parent in wanted)


def test_a_circle_of_conditions_is_refused():
    circle = _parabola(conditions={"x": {"y": (1,)}, "y": {"x": (1,)}})
    with pytest.raises(ValueError, match="conditions in a circle among x, y"):
        in_order(circle)


@pytest.mark.parametrize(
    ("gene", "low", "high", "value"), [(0.0, 1, 4, 1), (0.26, 1, 4, 2), (1.0, 1, 4, 4)]
)
def test_whole_numbers_share_the_range_in_equal_bins(gene, low, high, value):
    assert at(gene, optuna.distributions.IntDistribution(low, high)) == value


def _parabola(**changed):
    told = {
        "name": "parabola",
        "family": "smooth",
        "role": "tune",
        "distributions": {"x": real(0.0, 1.0), "y": real(0.0, 1.0)},
        "defaults": {"x": 0.1, "y": 0.1},
        "surface": lambda p: -((p["x"] - 0.7) ** 2),
        "noise": 0.1,
    }
    return Surface(**(told | changed))


def test_reference_finds_the_optimum_and_the_best_tenth():
    reference = search_reference(_parabola(), n_random=2000, n_climbs=1)
    assert reference.best == pytest.approx(0.0, abs=1e-8)
    assert reference.good == pytest.approx(-(0.05**2), rel=0.2)  # a tenth lies within 0.05


def test_regret_is_0_at_the_best_and_1_at_the_best_tenth():
    reference = Reference(best=0.45, good=0.35)
    assert reference.regret(0.45) == 0.0
    assert reference.regret(0.35) == 1.0
    assert reference.regret(0.25) == pytest.approx(2.0)


def test_a_changed_problem_has_no_reference(tmp_path):
    (known,) = problems(names="mixed-kernel-6", family="mixed")
    changed = _parabola(
        name=known.name, distributions=known.distributions, defaults=known.defaults,
        surface=lambda _: 1.0, conditions=known.conditions,
    )  # fmt: skip
    with pytest.raises(ValueError, match="does not know the present mixed-kernel-6"):
        references([changed])


def test_chosen_is_the_best_of_the_first_n_by_its_noisy_value():
    record = Record(Job("tpe", "p", 0, 1, 9), ((0, 0.1), (1, 0.3), (4, 0.2)), 0, 0.0)
    assert [record.truth(n) for n in (1, 3, 4, 9)] == [0.3, 0.3, 0.2, 0.2]


def test_cells_compare_samplers_seed_by_seed():
    regrets = {"ours": np.array([[0.1, 0.2], [0.3, 0.4]]), "theirs": np.array([[0.2, 0.1]] * 2)}
    found = cells(regrets)
    assert found["ours"].mean == pytest.approx(0.25)
    assert found["ours"].rank == pytest.approx((1 + 2 + 2 + 2) / 4)
    assert found["ours"].difference == (0.0, 0.0, 0.0)
    assert found["theirs"].difference[0] == pytest.approx(-0.1)
    assert found["theirs"].low < found["theirs"].mean < found["theirs"].high


@pytest.mark.parametrize("sampler", ["evolve", "tpe", "de", "yolo-ga"])
def test_one_worker_equals_a_plain_loop(sampler):
    job = Job(sampler, "mixed-optimizer-10", 2, 1, 14)
    one = problem(job.problem)
    told = []

    def objective(trial):
        params = {}
        for name in in_order(one):
            if exists(name, params, one.conditions):
                params[name] = trial._suggest(name, one.distributions[name])
        keys = (job.seed, 0x0 + _crc(one.name), trial.number)
        value = one.observe(params, np.random.default_rng(keys)).value
        told.append((value, params))
        return math.nan if value is None else value

    study = optuna.create_study(
        direction="maximize", sampler=builder(sampler)(one, job.seed, job.budget)
    )
    study.enqueue_trial(dict(one.defaults))
    study.optimize(objective, job.budget)
    best = max((value, index) for index, (value, _) in enumerate(told) if value is not None)[1]
    assert run(job).truth(job.budget) == round(one.truth(told[best][1]), 6)
    assert run(job).failed == sum(value is None for value, _ in told)


def _crc(name):
    import zlib

    return zlib.crc32(name.encode())


def test_workers_change_what_a_sampler_knows_but_not_the_first_trials():
    alone, many = (run(Job("tpe", "mixed-optimizer-10", 0, n, 25)) for n in (1, 4))
    assert alone.chosen[0] == many.chosen[0]
    assert alone.chosen != many.chosen


def test_only_existing_parameters_are_asked(monkeypatch):
    asked = []
    one = problem("mixed-pipeline-13")
    observe = type(one).observe
    monkeypatch.setattr(
        type(one), "observe", lambda self, p, rng: asked.append(dict(p)) or observe(self, p, rng)
    )
    run(Job("random", one.name, 0, 1, 20))
    full = {name: at(0.0, kind) for name, kind in one.distributions.items()}
    assert asked[0] == existing(one.defaults, one)
    assert all(set(params) == set(existing(full | params, one)) for params in asked)


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_every_peer_runs_on_conditions_and_failures(name):
    record = run(Job(name, "mixed-optimizer-10", 1, 2, 12))
    assert [n for n, _ in record.chosen] == sorted({n for n, _ in record.chosen})
    assert record.chosen[-1][0] <= 12


def test_an_unknown_sampler_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match="unknown sampler 'tpf'; there are evolve, random, tpe"):
        builder("tpf")


def test_an_extended_benchmark_equals_a_whole_one(tmp_path, capsys):
    options = ["--family", "mixed", "--samplers", "random,tpe", "--problems", "mixed-k*"]
    options += ["--role", "judge", "--budgets", "3,6"]
    parts, whole = tmp_path / "parts.json", tmp_path / "whole.json"
    bench.main([*options, "--seeds", "1", "--out", str(parts)])
    extended = bench.main([*options, "--seeds", "2", "--out", str(parts)])
    once = bench.main([*options, "--seeds", "2", "--out", str(whole)])
    assert _without_times(parts) == _without_times(whole)
    assert extended.split("Ask and tell")[0] == once.split("Ask and tell")[0]
    assert "| random |" in once


def _without_times(path):
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    return sorted(json.dumps(entry | {"seconds": 0}) for entry in entries)


def test_a_sampler_that_plans_for_its_budget_has_a_run_for_each():
    lengths = bench._budgets("evolve", [30, 100])
    assert lengths == ([30, 100] if knows_budget("evolve") else [100])
    assert bench._budgets("tpe", [30, 100]) == [100]
    assert bench._budgets("gp", [30, 100]) == [30]


def test_the_list_tells_each_problem_and_its_role():
    told = bench.main(["--list", "--family", "mixed"])
    assert "| mixed-optimizer-10 | mixed | tune | 10 | 4 |" in told
    assert "| mixed-kernel-6 | mixed | judge | 6 | 2 |" in told
