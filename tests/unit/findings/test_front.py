"""What is said of the front of a run with two objectives."""

import math

import pytest

from evolve.findings.front import front_frame, front_of
from evolve.findings.join import join
from tests.unit.findings.made_up import TRIALS, make_record, make_run

COSTS = (4.0, 4.0, 8.0, 2.0, 6.0, 9.0)  # the values are .30 .34 .42 .26 .39 .43


def made(costs=COSTS, trials=TRIALS, cost="latency"):
    run = make_run(trials, cost=cost)
    run.trials["cost"] = list(costs)
    return run


def test_a_run_with_one_objective_has_none():
    assert front_of(make_run()) is None


def test_trials_on_the_front_and_what_dominates_the_others():
    front = front_of(made())
    assert [(one.trial, one.dominated_by) for one in front.trials] == [
        (0, 1), (1, None), (2, None), (3, None), (4, None), (5, None),
    ]  # fmt: skip
    assert [one.trial for one in front.members] == [3, 1, 4, 2, 5]
    assert front.reference == (0.0, pytest.approx(9.9))
    steps = 0.26 * 2 + 0.34 * 2 + 0.39 * 2 + 0.42 * 1 + 0.43 * 0.9
    assert front.area == pytest.approx(steps)
    assert front.growth[-1] == 1.0
    assert list(front.growth) == sorted(front.growth)
    assert front.sentence == (
        "5 of 6 complete trials are non-dominated in AP and latency, "
        "from AP 26.0 at 2 ms to AP 43.0 at 9 ms."
    )


def test_failed_trials_and_those_without_a_cost_do_not_count():
    trials = [(lr, momentum, None if n == 5 else v) for n, (lr, momentum, v) in enumerate(TRIALS)]
    front = front_of(made((4.0, 4.0, math.nan, 2.0, 6.0, 9.0), trials))
    assert [one.trial for one in front.trials] == [0, 1, 3, 4]


def test_nothing_complete_is_said_so():
    front = front_of(made(trials=[(lr, m, None) for lr, m, _ in TRIALS]))
    assert front.members == ()
    assert front.sentence == "No trial is complete in AP and latency yet."
    assert front_frame(front).empty


def test_fresh_seeds_tell_who_stays():
    record = make_record([0.30, 0.31, 0.32], trial_4=[0.41, 0.42, 0.43],
                         trial_2=[0.40, 0.41, 0.42], trial_3=[0.2, 0.2, 0.2])  # fmt: skip
    front = front_of(made(), record)
    assert {row.key: row.dominated_by for row in front.rows} == {
        "default": "", "trial-4": "", "trial-2": "trial-4", "trial-3": "",
    }  # fmt: skip
    (beaten,) = [row for row in front.rows if not row.stays]
    assert beaten.delta.mean == pytest.approx(0.01)
    assert beaten.delta.pairs == 3
    assert front.sentence.endswith(
        "With 3 fresh seeds each on test, the defaults, trial 4 and trial 3 stay on the front. "
        "Trial 2 is dominated: trial 4 costs no more and has 1.0 points more "
        "(95 % interval 1.0 to 1.0)."
    )


def test_a_difference_that_may_be_noise_is_called_so():
    record = make_record([0.10, 0.10], trial_4=[0.41, 0.45], trial_2=[0.44, 0.40])
    assert "2.0 to" not in front_of(made(), record).sentence
    assert ", so it may be noise)." in front_of(made(), record).sentence


def test_rows_that_wait_are_neither_in_nor_out():
    front = front_of(made(), make_record([0.3], trial_4=[None]))
    assert {row.key: row.stays for row in front.rows} == {"default": True, "trial-4": False}
    assert "Trial 4" not in front.sentence


def test_the_frame_has_a_line_a_trial():
    frame = front_frame(front_of(made(cost="BFLOPs")))
    assert list(frame) == ["trial", "AP", "BFLOPs", "on_front", "dominated_by", "hypervolume"]
    assert frame["dominated_by"].tolist() == [1, "", "", "", "", ""]
    assert frame["hypervolume"].iloc[-1] == 1.0


def test_findings_hold_the_front_as_json_types(tmp_path):
    from evolve.findings.cache import Cache

    found = join(made(), None, None, Cache(tmp_path / "findings.json"))
    tree = found.to_dict()["front"]
    assert [one["on_front"] for one in tree["trials"]] == [False, True, True, True, True, True]
    assert tree["sentence"] == found.front.sentence
    assert "front" not in join(make_run(), None, None, Cache(tmp_path / "f.json")).to_dict()
