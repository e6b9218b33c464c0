"""Searches whose trials are stopped early: learning curves, and ASHA in the benchmark's runner."""

import json
import math
import zlib

import numpy as np
import optuna
import pytest
from scipy.stats import spearmanr

from evolve.engine.schedulers import Decision, build_scheduler
from tests.bench.search import __main__ as bench
from tests.bench.search import run as runner
from tests.bench.search.curves import curves_of
from tests.bench.search.recorded import read_rows, recorded_problems
from tests.bench.search.recorded_studies import EARLY_EPOCHS, EPOCHS, STOP_EPOCH
from tests.bench.search.run import Job, run
from tests.bench.search.suite import problem, problems
from tests.bench.search.surface import existing, from_genes, in_order

MADE_UP = ("mixed", "detector", "learning")
JOB = Job("random", "mixed-layers-10", 3, 1, 25, "asha")


def random_trials(one, count=80):
    """Parameters, final values and early values of random configurations that do not fail."""
    rng, curves = np.random.default_rng(0), curves_of(one)
    found = []
    while len(found) < count:
        params = from_genes(rng.random(len(one.distributions)), one)
        final = one.observe(params, rng).value
        if final is not None:
            found.append((params, final, curves.early(params, final, rng)))
    return found


@pytest.mark.parametrize("family", MADE_UP)
def test_early_order_is_a_guide_to_the_final_one_and_a_better_one_later(family):
    told = []
    for one in problems("tune", family):
        trials = random_trials(one)
        finals = [final for _, final, _ in trials]
        epochs = list(trials[0][2])
        assert epochs == sorted(epochs)
        assert epochs[-1] < curves_of(one).epochs
        told.append([spearmanr([e[epoch] for _, _, e in trials], finals)[0] for epoch in epochs])
    first, second = np.mean(told, axis=0)
    assert 0.6 < first < 0.9
    assert first < second < 0.98


def test_early_values_depend_on_the_configuration_more_than_on_the_seed():
    one = problem("detector-valley-13")
    curves = curves_of(one)
    rng = np.random.default_rng(0)
    configurations = [from_genes(rng.random(len(one.distributions)), one) for _ in range(40)]
    final = one.truth(existing(one.defaults, one))
    seen = np.array(
        [[curves.early(c, final, np.random.default_rng(s))[6] for s in range(8)]
         for c in configurations]
    )  # fmt: skip
    assert seen.mean(axis=1).std() > seen.std(axis=1).mean()


@pytest.mark.parametrize("one", recorded_problems(), ids=lambda one: one.name)
def test_recorded_early_values_come_back(one):
    rows = [row for row in read_rows(one.study) if "AP50" in row]
    for row in rows:
        assert list(row["early"]) == [str(epoch) for epoch in EARLY_EPOCHS]
    rng = np.random.default_rng(0)
    seen = [row["early"][str(STOP_EPOCH)] for row in rows]
    told = [one.early_value(row["params"], row["AP50"], rng) for row in rows]
    assert min(told) >= 0.0
    assert max(told) <= 1.0
    assert spearmanr(seen, told)[0] > 0.6
    assert curves_of(one).epochs == EPOCHS
    assert list(curves_of(one).early(rows[0]["params"], 0.3, rng)) == [STOP_EPOCH]


def test_recorded_early_luck_goes_with_luck_at_the_end():
    (one,) = (one for one in recorded_problems() if one.name == "recorded-digits")
    params = one.study.initial()
    low, high = (one.truth(params) + step for step in (-0.05, 0.05))
    early = [[one.early_value(params, final, np.random.default_rng(s)) for s in range(30)]
             for final in (low, high)]  # fmt: skip
    assert np.mean(early[0]) < np.mean(early[1])


def test_stopped_trials_cost_less_and_are_never_chosen():
    whole = run(Job(JOB.sampler, JOB.problem, JOB.seed, 1, JOB.budget))
    stopped = run(JOB)
    assert whole.cost == JOB.budget
    assert JOB.budget / 4 < stopped.cost < 0.75 * JOB.budget
    assert stopped.chosen[-1][1] <= whole.chosen[-1][1] + 1.0
    assert run(JOB).chosen == stopped.chosen


def test_one_worker_with_asha_equals_a_plain_loop():
    one = problem(JOB.problem)
    curves = curves_of(one)
    scheduler = build_scheduler("asha", curves.epochs)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(3))
    study.enqueue_trial(dict(one.defaults))
    ended = {}
    for number in range(JOB.budget):
        trial = study.ask()
        params = runner.suggest(trial, one, in_order(one))
        name = zlib.crc32(one.name.encode())
        final = one.observe(params, np.random.default_rng((JOB.seed, name, number))).value
        scheduler.add(number)
        early = curves.early(params, final, np.random.default_rng((JOB.seed, name, number, 2)))
        if all(
            scheduler.take(number, {"epoch": epoch, "objective": value}) is Decision.GO
            for epoch, value in early.items()
        ):
            ended[number] = (final, one.truth(params))
        study.tell(trial, final)  # a random sampler does not care
    assert 3 <= len(ended) < JOB.budget / 2
    assert run(JOB).truth(JOB.budget) == round(max(ended.values())[1], 6)


def test_samplers_see_stopped_trials_as_pruned_with_their_curve(monkeypatch):
    studies = []
    create = optuna.create_study
    monkeypatch.setattr(
        runner.optuna, "create_study", lambda **k: studies.append(create(**k)) or studies[-1]
    )
    run(JOB)
    states = [trial.state.name for trial in studies[0].trials]
    assert set(states) == {"COMPLETE", "PRUNED"}
    assert states[:3] == ["COMPLETE"] * 3
    for trial in studies[0].trials:
        steps = list(trial.intermediate_values)
        assert steps == ([6, 18] if trial.state.name == "COMPLETE" else steps)
        assert steps in ([6], [6, 18])


@pytest.mark.parametrize("sampler", ["evolve", "tpe", "cmaes"])
def test_workers_share_a_scheduler(sampler):
    job = Job(sampler, "recorded-digits", 0, 3, 14, "asha")
    record = run(job)
    assert record.chosen == run(job).chosen
    assert record.chosen[-1][0] <= 14
    assert math.isfinite(record.chosen[-1][1])


def test_results_of_before_there_was_a_scheduler_still_count(tmp_path):
    options = ["--family", "mixed", "--samplers", "random", "--problems", "mixed-kernel-6"]
    options += ["--role", "judge", "--budgets", "3", "--seeds", "1"]
    out = tmp_path / "out.jsonl"
    told = bench.main([*options, "--out", str(out)])
    entry = json.loads(out.read_text())
    del entry["job"]["scheduler"], entry["cost"]
    out.write_text(json.dumps(entry) + "\n")
    assert bench.main([*options, "--out", str(out)]) == told
    bench.main([*options, "--scheduler", "asha", "--out", str(out)])
    assert len(out.read_text().splitlines()) == 2
