import math
import re
from dataclasses import replace

import pytest
from made_up_run import make_manifest, make_run, with_trials

from reports.summary import best_score, reasons, summarise


def test_a_gain_is_told_with_both_numbers_and_its_doubt() -> None:
    run = with_trials(
        make_run(("COMPLETE",) * 3),
        value={0: 0.314, 1: 0.30, 2: 0.352},
        AP={0: 0.314, 1: 0.30, 2: 0.352},
    )
    summary = summarise(run)
    assert summary.outcome == "gain"
    assert summary.verdict == (
        "Trial 2 reached AP 35.2 on val, 3.8 points above the defaults (trial 0, 31.4); each is "
        "one training with one seed, so this is a difference found by searching, not a "
        "confirmed gain."
    )
    assert summary.difference == pytest.approx(0.038)
    assert "There is no confidence interval yet" in summary.caveat
    assert "highest of 3 values" in summary.caveat
    assert summary.unfinished == ""


def test_a_tiny_gain_is_not_rounded_to_zero_points() -> None:
    run = with_trials(make_run(("COMPLETE",) * 2), value={0: 0.3, 1: 0.3001})
    assert "less than 0.1 points above" in summarise(run).verdict


def test_of_equal_values_the_defaults_win() -> None:
    run = with_trials(make_run(("COMPLETE",) * 3), value={0: 0.4, 1: 0.4, 2: 0.1})
    summary = summarise(run)
    assert summary.outcome == "default best"
    assert summary.verdict.startswith("No trial beat the defaults: trial 0 has the highest AP")
    assert math.isnan(summary.difference)


def test_one_complete_trial_has_nothing_to_compare_with() -> None:
    summary = summarise(make_run(("COMPLETE",)))
    assert "nothing to compare it with yet" in summary.verdict
    assert "highest of" not in summary.caveat


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("FAIL", r"failed after \d of 10 epochs \(diverged: loss is nan"),
        ("PRUNED", r"were stopped early after \d of 10 epochs at AP \d"),
        ("RUNNING", r"have not ended \(\d of 10 epochs done\)"),
    ],
)
def test_without_the_defaults_there_is_no_difference(state: str, words: str) -> None:
    summary = summarise(make_run((state, "COMPLETE", "COMPLETE")))
    assert summary.outcome == "no baseline"
    assert re.search(words, summary.verdict)
    assert summary.verdict.endswith("so there is no baseline and no difference to give.")
    assert math.isnan(summary.difference)


def test_a_run_without_trial_zero_says_so() -> None:
    run = make_run(("COMPLETE",) * 3)
    run = replace(run, trials=run.trials.iloc[1:])
    assert "the defaults (trial 0) are not in this run" in summarise(run).verdict


def test_all_failed() -> None:
    run = with_trials(make_run(("FAIL",) * 3), reason={2: "oom: 8 GiB asked for"})
    summary = summarise(run)
    assert summary.outcome == "no result"
    assert summary.verdict == (
        "All trials failed (diverged 2\u00d7 and oom 1\u00d7), so this run has no result."
    )
    assert summary.caveat == ""
    assert summary.best is None


def test_no_complete_trial_counts_what_there_is() -> None:
    summary = summarise(make_run(("PRUNED", "FAIL", "RUNNING")))
    assert summary.verdict.endswith("no result yet: 1 pruned, 1 failed and 1 running.")


def test_a_complete_trial_without_a_value_is_never_best() -> None:
    run = with_trials(make_run(("COMPLETE",) * 2), value={1: math.nan})
    best = best_score(run)
    assert best is not None
    assert best.number == 0


def test_a_pruned_trial_is_never_best() -> None:
    run = with_trials(make_run(("COMPLETE", "PRUNED")), value={1: 0.99})
    best = best_score(run)
    assert best is not None
    assert best.number == 0


def test_an_unfinished_run_says_what_is_missing() -> None:
    run = make_run(("COMPLETE", "COMPLETE", "RUNNING"))
    run = replace(run, manifest=make_manifest(10))
    unfinished = summarise(run).unfinished
    assert unfinished.startswith("2 trials of the 10 asked for have ended; trial 2 (epoch ")
    assert "is running or interrupted; 7 have not started" in unfinished


def test_times_and_counts() -> None:
    summary = summarise(make_run())
    assert summary.counts == {"COMPLETE": 6, "PRUNED": 3, "FAIL": 2, "RUNNING": 1}
    assert summary.trial_time_s == pytest.approx(make_run().trials["wall_time_s"].sum())
    assert summary.elapsed_s > 0


def test_nothing_but_running_has_no_elapsed_time() -> None:
    assert math.isnan(summarise(make_run(("RUNNING",))).elapsed_s)


def test_reasons_are_counted_by_kind() -> None:
    run = with_trials(make_run(("FAIL",) * 3), reason={1: "oom: x", 2: ""})
    assert reasons(run.trials) == [("diverged", 1), ("no reason", 1), ("oom", 1)]


def test_another_objective_is_named() -> None:
    run = make_run(("COMPLETE",) * 3)
    run = replace(run, manifest=run.manifest | {"objective": "AP50"})
    assert "reached AP50" in summarise(run).verdict or "highest AP50" in summarise(run).verdict
