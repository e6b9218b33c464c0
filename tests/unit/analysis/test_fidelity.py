"""What early values say of final ones, on made-up values."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from evolve.analysis.fidelity import Rule, _kendall, audit, groups_of

ASHA, PROMOTE = Rule("asha"), Rule("promote", 4)


def made_up(early, final, *, at=3):
    """Trials and epochs; a final value of None was stopped."""
    trials = pd.DataFrame(
        {
            "number": range(len(early)),
            "state": ["PRUNED" if value is None else "COMPLETE" for value in final],
            "value": [e if f is None else f for e, f in zip(early, final, strict=True)],
        }
    )
    epochs = pd.DataFrame({"number": range(len(early)), "epoch": at, "value": early})
    return trials, epochs


def noisy(count, noise, seed=0):
    rng = np.random.default_rng(seed)
    early = rng.uniform(0.1, 0.4, count)
    return early.tolist(), (1.5 * early + noise * rng.standard_normal(count)).tolist()


@pytest.mark.parametrize("scheduler", ["none", "pbt"])
def test_a_scheduler_that_stops_nothing_is_not_audited(scheduler):
    assert audit(*made_up([0.1, 0.2], [0.3, 0.4]), Rule(scheduler)) is None


def test_correlations_are_scipys_and_their_intervals_hold_them():
    early, final = noisy(20, 0.1)
    found = audit(*made_up([*early, 0.05], [*final, None]), ASHA)
    row = found.ranks[found.ranks["group"] == "all"].iloc[0]
    assert row["spearman"] == pytest.approx(stats.spearmanr(early, final)[0])
    assert row["kendall"] == pytest.approx(stats.kendalltau(early, final)[0])
    assert row["spearman_low"] < row["spearman"] < row["spearman_high"]
    assert row["kendall_low"] < row["kendall"] < row["kendall_high"]
    assert (found.epoch, found.stopped, row["trials"]) == (3, 1, 20)
    again = audit(*made_up([*early, 0.05], [*final, None]), ASHA)
    pd.testing.assert_frame_equal(found.ranks, again.ranks)


def test_the_resampled_tau_is_that_of_the_resample():
    rng = np.random.default_rng(1)
    x, y = rng.integers(5, size=12) / 5, rng.integers(5, size=12) / 5
    draws = np.vstack([rng.integers(12, size=(5, 12)), np.full(12, 3)])
    expected = [stats.kendalltau(x[draw], y[draw])[0] for draw in draws]
    assert math.isnan(expected[-1])
    np.testing.assert_allclose(_kendall(x, y, draws), expected)


def test_the_sentence_says_how_much():
    early, final = noisy(30, 0.01)
    found = audit(*made_up([*early, 0.05], [*final, None]), ASHA)
    assert found.sentence.startswith("The order after epoch 3 says much of the final one: rank")
    assert "30 trials" in found.sentence
    assert "would have overtaken trial" in found.sentence
    assert "is below 0.01" in found.sentence
    assert "spared whatever" in found.caveat
    weak = audit(*made_up([*early, 0.05], [*noisy(30, 1.0, seed=3)[1], None]), ASHA)
    assert "may say nothing of the final one" in weak.sentence


def test_too_few_trials_say_so():
    found = audit(*made_up([0.1, 0.2, 0.3, 0.05], [0.2, 0.4, 0.6, None]), ASHA)
    assert "it takes 8 trials that were trained to their end, and there are only 3" in (
        found.sentence
    )
    assert math.isnan(found.overtakes)
    assert found.ranks["spearman"].isna().all()


def test_nothing_was_stopped_yet():
    found = audit(*made_up([0.1, 0.2], [0.2, 0.4]), ASHA)
    assert found.sentence.startswith("No trial was stopped early")
    assert found.pairs.empty


def test_an_interval_that_no_resample_doubts_is_none():
    early = [0.1 + 0.01 * n for n in range(9)]
    found = audit(*made_up([*early, 0.05], [*(2 * e + e**3 for e in early), None]), ASHA)
    row = found.ranks[found.ranks["group"] == "all"].iloc[0]
    assert row["spearman"] == pytest.approx(1)
    assert math.isnan(row["spearman_low"])
    assert "how much less it may be cannot be told" in found.sentence


def test_a_close_stopped_trial_is_likely_to_overtake():
    early, final = noisy(30, 0.05)
    best = early[int(np.argmax(final))]
    near = audit(*made_up([*early, best], [*final, None]), ASHA)
    far = audit(*made_up([*early, 0.1], [*final, None]), ASHA)
    both = audit(*made_up([*early, best, 0.1], [*final, None, None]), ASHA)
    assert far.overtakes < near.overtakes <= both.overtakes
    assert both.likeliest == 30
    assert "one of the 2 trials stopped there" in both.sentence


def test_whom_the_lot_promoted_follows_from_the_ranks():
    early = pd.Series([0.1, 0.5, 0.4, 0.3, 0.2, 0.05, 0.02], index=range(7))
    groups = groups_of(early, [0, 1, 2, 5], Rule("promote", 2))
    assert groups == {0: "defaults", 1: "best", 2: "best", 5: "by lot"}
    assert groups_of(early, [2, 3], ASHA) == {2: "spared", 3: "others"}
    assert groups_of(early, [2, 3], Rule("hyperband")) == {2: "others", 3: "others"}


def test_of_promote_each_group_is_told_apart():
    early = [0.12, 0.40, 0.35, 0.30, 0.28, 0.15, 0.10, 0.2, 0.22]
    final = [0.30, 0.61, 0.60, 0.50, 0.52, 0.55, 0.20, None, None]
    found = audit(*made_up(early, final), PROMOTE)
    assert dict(found.shown["group"].value_counts()) == {"best": 4, "by lot": 2, "defaults": 1}
    assert "Of 2 trials promoted by lot 1 ended above the last of the 4 best." in found.sentence
    assert "narrows the range" in found.caveat
    none = audit(*made_up(early, [*final[:5], 0.21, *final[6:]]), PROMOTE)
    assert "promoted by lot none ended above any of the 4 best" in none.sentence


def test_several_rungs_are_told_apart_and_bounded():
    trials, epochs = made_up([*noisy(10, 0.1)[0]], [*noisy(10, 0.1)[1]])
    more = [epochs, *(epochs.assign(epoch=at) for at in range(4, 10))]
    stopped = pd.DataFrame(
        [{"number": 10 + at, "epoch": at, "value": 0.1} for at in range(3, 10)]
        + [{"number": 30, "epoch": 5, "value": 0.1}]
    )
    pruned = pd.DataFrame({"number": stopped["number"], "state": "PRUNED", "value": 0.1})
    found = audit(pd.concat([trials, pruned]), pd.concat([*more, stopped]), ASHA)
    assert found.epoch == 5
    assert found.ranks["epoch"].nunique() == 4
    assert found.stopped == 8


def test_ten_thousand_trials_are_drawn_from():
    early, final = noisy(10_000, 0.1)
    found = audit(*made_up([*early, *early], [*final, *([None] * 10_000)]), ASHA)
    row = found.ranks[found.ranks["group"] == "all"].iloc[0]
    assert row["trials"] == 10_000
    assert row["spearman"] == pytest.approx(stats.spearmanr(early, final)[0], abs=0.1)
