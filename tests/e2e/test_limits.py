"""Limits, schedulers and preemption of `evolve run`, on learning curves."""

import json
import os
import signal
import time

import pytest

from evolve.store.journal import read_journal
from tests.e2e.test_run import SPACE, run, start, told, trials, wait_until
from tests.thorough import quick

FIXED = ("--space", "my.yaml", "--trainer", "curve", "--out", "out", "--engine", "inline")


@pytest.fixture
def work(tmp_path):
    """A folder with a space file and data whose epochs last."""
    (tmp_path / "my.yaml").write_text(SPACE)
    for seconds in ("0", "0.2", "3"):
        (tmp_path / f"curve-{seconds}").mkdir()
    return tmp_path


def on_curves(*more, data="curve-0", confirm="0"):
    return ("run", *FIXED, "--data", data, "--confirm", confirm, *more)


def test_a_budget_ends_the_run_with_its_final_comparison(work):
    began = time.monotonic()
    budget = ("--budget", "14s", "--trials", "50", "--scheduler", "none")
    done = run(work, *on_curves(*budget, data="curve-0.2", confirm="1x2"))
    assert done.returncode == 0, done.stderr
    assert "budget 14s" in done.stderr
    assert "[final comparison 4/4]" in done.stderr
    assert "2 of 2 seeds" in done.stdout
    assert 2 <= len(trials(work)) < 20
    events = list(read_journal(work / "out" / "journal.jsonl"))
    assert {"budget"} == {e["why"] for e in events if e["event"] == "close"}
    final = list(read_journal(work / "out" / "final" / "journal.jsonl"))
    assert events[-1]["at"] + final[-1]["at"] <= 14
    assert time.monotonic() - began < 120


def test_no_gain_ends_the_search_and_a_larger_limit_goes_on(work):
    run(work, *on_curves("--until-no-gain", "2", "--trials", "40", "--sampler", "random"))
    before = told(work)
    assert len(before) < 40
    assert told(work) == before
    done = run(work, "resume", "out", "--until-no-gain", "4")
    assert done.returncode == 0, done.stderr
    after = told(work)
    assert len(after) > len(before)
    assert {n: after[n] for n in before} == before


@pytest.mark.parametrize("scheduler", quick(2, ["promote", "pbt", "median", "hyperband"]))
def test_every_scheduler_brings_a_run_to_its_end(work, scheduler):
    more = ("--scheduler", scheduler, "--trials", "9", "--set", "epochs=9", "--promote", "2")
    done = run(work, *on_curves(*more, confirm="1x1"))
    assert done.returncode == 0, done.stderr
    states = [state for state, *_ in told(work).values()]
    assert len(states) == 9
    assert set(states) <= {"COMPLETE", "PRUNED"}
    assert (work / "out" / "report" / "index.html").is_file()


def test_fidelity_and_promote_name_their_scheduler(work):
    run(work, *on_curves("--fidelity", "0.4", "--promote", "1", "--trials", "6"))
    manifest = json.loads((work / "out" / "manifest.json").read_text())
    assert manifest["scheduler"] == "promote"
    assert manifest["space"]["fidelity"] == 0.4
    lengths = [len(t.intermediate_values) for t in trials(work)]
    assert set(lengths) == {2, 5}


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
def test_a_preempted_run_writes_a_checkpoint_within_the_epoch(work, kind):
    process = start(work, *on_curves("--no-probe", "--trials", "2", data="curve-3"))
    wait_until((work / "out" / "trials" / "00000" / "metrics.jsonl").exists)
    time.sleep(0.5)  # into the second epoch
    began = time.monotonic()
    os.kill(process.pid, kind)
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - began < 15
    assert process.returncode == 130
    assert "evolve resume out" in errors
    checkpoint = json.loads((work / "out" / "trials" / "00000" / "last.pt").read_text())
    assert checkpoint["epoch"] >= 1
    assert checkpoint["slept_s"] > 0
    assert not (work / "out" / ".halt").exists()


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("--budget", "5x"), "write 45m, 12h"),
        (("--budget", "2s"), "too little for one trial"),
        (("--budget", "1gpuh"), "this machine has no GPU"),
        (("--scheduler", "pbt", "--set", "optimizer.lr=0.01", "--set", "x"), "key=value"),
        (("--gpus-per-trial", "many"), "give one, or auto"),
        (("--workers", "0"), "--workers"),
        (("--max-failures", "-1"), "--max-failures"),
        (("--fidelity", "1"), "--fidelity"),
    ],
)
def test_bad_limits_are_refused_with_code_2_and_nothing_made(work, arguments, what):
    done = run(work, *on_curves(*arguments, data="curve-0.2", confirm="1x1"))
    assert done.returncode == 2
    assert what in done.stderr
    assert not (work / "out" / "study.db").exists()


def test_a_newer_store_is_refused(work):
    run(work, *on_curves())
    manifest = work / "out" / "manifest.json"
    tree = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(tree | {"format": 99}))
    done = run(work, "resume", "out")
    assert done.returncode == 2
    assert "made by a newer version" in done.stderr
