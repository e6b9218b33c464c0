import math

import numpy as np
import pandas as pd
import pytest

from evolve.analysis.verdict import judge, judge_luck

TITLES = {"default": "the defaults", "evolved": "evolved"}


def frame(default, evolved):
    """Trainings of two rows from their values on test; None is a failure. Val is 0.1 above."""
    records = [
        {
            "row": row,
            "seed_index": index,
            "seed": 100 + index,
            "state": "FAIL" if value is None else "COMPLETE",
            "value_val": math.nan if value is None else value + 0.1,
            "value_test": math.nan if value is None else value,
        }
        for row, values in (("default", default), ("evolved", evolved))
        for index, value in enumerate(values)
    ]
    return pd.DataFrame(records)


def drawn(spread, seeds=3):
    """Image replicates: all trainings alike but for a swing of the evolved ones."""
    swing = spread * np.tile([1.0, -1.0], 50)
    values = {("default", s): np.zeros(100) for s in range(seeds)}
    return values | {("evolved", s): 0.03 + swing for s in range(seeds)}


def test_a_gain_is_said_with_interval_seeds_images_and_probability():
    verdict = judge(
        frame([0.30, 0.31, 0.32], [0.332, 0.340, 0.351]),
        "evolved", TITLES, image_values=drawn(0.005), images=96,
    )  # fmt: skip
    assert verdict.word == "gain"
    assert verdict.sentence == (
        "Evolved beats the defaults by 3.1 AP points on test "
        "(95 % interval 2.1 to 4.1; 3 fresh seeds, 96 images; P(better) above 0.99)."
    )
    assert verdict.values["evolved"].count == 3
    assert verdict.values["default"].mean == pytest.approx(0.31)
    assert verdict.values["default"].sd == pytest.approx(0.01)
    assert (verdict.winner, verdict.baseline, verdict.planned) == ("evolved", "default", 3)


def test_no_detectable_gain_has_its_own_words():
    verdict = judge(frame([0.30, 0.31, 0.32], [0.31, 0.30, 0.35]), "evolved", TITLES)
    assert verdict.word == "no detectable gain"
    assert verdict.sentence == (
        "No detectable gain: evolved minus the defaults is 1.0 AP points on test "
        "(95 % interval \u22124.0 to 6.0; 3 fresh seeds; P(better) 0.76). "
        "The interval holds nothing of what other images would change."
    )


def test_worse_is_said_plainly():
    verdict = judge(frame([0.30, 0.31], [0.27, 0.2799]), "evolved", TITLES, metric="AP50")
    assert verdict.word == "worse"
    assert verdict.sentence.startswith(
        "Evolved is worse than the defaults by 3.0 AP50 points on test (95 % interval \u2212"
    )


def test_a_verdict_on_the_images_of_the_choice_says_so():
    verdict = judge(frame([0.30, 0.31], [0.33, 0.341]), "evolved", TITLES, split="val")
    assert verdict.sentence.endswith(
        " There is no test split: the winner was chosen on these images, which flatters it."
    )


def test_other_images_can_take_a_gain_away():
    trainings = frame([0.30, 0.31, 0.32], [0.332, 0.340, 0.351])
    verdict = judge(trainings, "evolved", TITLES, image_values=drawn(0.03), images=96)
    assert verdict.word == "no detectable gain"


def test_a_small_gain_is_not_written_as_none():
    trainings = frame([0.3, 0.3, 0.3], [0.3002, 0.3003, 0.3003])
    assert judge(trainings, "evolved", TITLES).sentence.startswith(
        "Evolved beats the defaults by less than 0.1 AP points on test (95 % interval 0.01 to 0.04"
    )


def test_a_failed_training_takes_its_pair_away_and_is_told():
    trainings = frame([0.30, None, 0.32], [0.33, 0.90, 0.351])
    verdict = judge(trainings, "evolved", TITLES, image_values=drawn(0.001), images=40)
    assert (verdict.delta.pairs, verdict.planned) == (2, 3)
    assert verdict.delta.mean == pytest.approx(0.0305)
    assert "; 2 of 3 fresh seeds, 40 images; " in verdict.sentence
    assert verdict.sentence.endswith(" 1 seed without both trainings is left out.")


def test_one_seed_is_judged_by_its_images_and_told():
    verdict = judge(
        frame([0.30], [0.33]), "evolved", TITLES, image_values=drawn(0.01, 1), images=40
    )
    assert verdict.delta.source == "images"
    assert "1 fresh seed, 40 images" in verdict.sentence
    assert verdict.sentence.endswith("holds nothing of what another seed would change.")


def test_images_that_not_every_training_has_take_no_part():
    values = drawn(0.03)
    del values["default", 1]
    trainings = frame([0.30, 0.31, 0.32], [0.332, 0.340, 0.351])
    assert judge(trainings, "evolved", TITLES, image_values=values).delta.source == "seeds"


def test_one_seed_without_images_is_undecided():
    verdict = judge(frame([0.30, None], [0.28, 0.5]), "evolved", TITLES)
    assert verdict.word == "undecided"
    assert verdict.sentence == (
        "Undecided: evolved is 2.0 AP points on test below the defaults, but one fresh seed alone "
        "gives no interval."
    )


def test_without_a_pair_it_is_undecided():
    verdict = judge(frame([None, 0.3], [0.3, None]), "evolved", TITLES)
    assert verdict.word == "undecided"
    assert verdict.sentence == (
        "Undecided: with no seed are the defaults and evolved both trained to the end."
    )
    assert verdict.values["default"].count == 1


def test_the_defaults_can_win():
    verdict = judge(frame([0.3, 0.3], [0.2, 0.2]), "default", TITLES)
    assert verdict.word == "no detectable gain"
    assert verdict.sentence == "The defaults stay: nothing else was better on val."
    assert verdict.delta.mean == 0


@pytest.mark.parametrize(
    ("searched", "values", "sentence"),
    [
        (
            0.115, [0.341, 0.343],
            "Of the 11.5 points seen in the search, 4.2 were confirmed on val (95 % interval 2.9 "
            "to 5.5; 2 fresh seeds); 7.3 were luck of the draw.",
        ),
        (
            0.02, [0.29, 0.30],
            "None of the 2.0 points seen in the search were confirmed: fresh seeds give \u22120.5 "
            "points on val (95 % interval \u22126.9 to 5.9; 2 fresh seeds), so all of it was luck "
            "of the draw.",
        ),
        (
            0.02, [0.33],
            "The search saw 2.0 points and fresh seeds give 3.0 on val (1 fresh seed): no sign "
            "that the gain was luck.",
        ),
        (
            -0.01, [0.31],
            "The search saw no gain on val (\u22121.0 points), so there was no luck to take off; "
            "fresh seeds give 1.0 points (1 fresh seed).",
        ),
        (
            0.02, [None],
            "None of the 2.0 points seen in the search could be tried on fresh seeds.",
        ),
    ],
)  # fmt: skip
def test_luck_is_what_fresh_seeds_do_not_confirm(searched, values, sentence):
    trainings = frame([0.3] * len(values), values)
    luck = judge_luck(trainings, "evolved", {"default": 0.4, "evolved": 0.4 + searched})
    assert luck.sentence == sentence
    assert luck.searched == pytest.approx(searched)


def test_luck_is_the_difference():
    trainings = frame([0.3, 0.3], [0.34, 0.34])
    luck = judge_luck(trainings, "evolved", {"default": 0.4, "evolved": 0.5})
    assert luck.luck == pytest.approx(0.06)


@pytest.mark.parametrize("values", [{}, {"default": None, "evolved": 0.5}])
def test_luck_needs_both_values_of_the_search(values):
    luck = judge_luck(frame([0.3], [0.34]), "evolved", values)
    assert math.isnan(luck.luck)
    assert luck.sentence.startswith("How much of the gain was luck cannot be told")


def test_the_defaults_had_no_luck():
    assert judge_luck(frame([0.3], [0.34]), "default", {"default": 0.4}).sentence == ""
