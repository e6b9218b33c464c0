import math

import numpy as np
import pytest

from evolve.analysis.judged_rows import judge_table
from evolve.analysis.sequential import LOOKS, Looks, judge_looks, levels
from tests.unit.analysis.test_judged_rows import frame, swinging

BASE = [0.300, 0.310, 0.305, 0.302, 0.308, 0.301]
CLEAR = [value + 0.03 + step for value, step in zip(BASE, [0, 1e-4, -1e-4] * 2, strict=True)]
NOISY = [value + step for value, step in zip(BASE, [0.05, -0.03, 0.04] * 2, strict=True)]


@pytest.mark.parametrize("power", [1.0, 2.0, None])
def test_the_parts_add_up_to_alpha(power):
    parts = levels(LOOKS, 0.05, power=power)
    assert sum(parts) == pytest.approx(0.05)
    assert min(parts) > 0


def test_parts_by_hand():
    assert levels((2, 3, 4), 0.04) == pytest.approx((0.02, 0.01, 0.01))
    assert levels((2, 4), 0.04, power=2) == pytest.approx((0.01, 0.03))
    assert levels((2, 4), 0.05, power=None)[0] == pytest.approx(0.00557, abs=1e-5)


@pytest.mark.parametrize("looks", [(), (1, 3), (3, 3), (4, 3)])
def test_looks_have_to_rise(looks):
    with pytest.raises(ValueError, match="looks are rising numbers of seeds"):
        levels(looks)


def test_one_look_is_a_table():
    trainings = frame(none=BASE, m=CLEAR, ls=NOISY)
    once = judge_looks(trainings, ["none", "m", "ls"], "none", Looks((6,)))
    table = judge_table(trainings, ["none", "m", "ls"], "none")
    kept = [name for name in table if name not in ("more_seeds", "sentence")]
    assert once[kept].equals(table[kept])


def test_a_clear_row_stands_and_the_other_goes_on_with_the_baseline():
    trainings = frame(none=BASE[:3], m=CLEAR[:3], ls=NOISY[:3])
    found = judge_looks(trainings, ["none", "m", "ls"], "none", Looks((3, 6))).set_index("row")
    assert found["word"].tolist() == ["baseline", "helps", "undecided"]
    assert found["stands"].tolist() == [False, True, False]
    assert found["seeds"].tolist() == [6, 3, 6]
    assert found["look"].tolist() == [3, 3, 3]


def test_a_row_that_stands_keeps_its_word_whatever_comes():
    trainings = frame(none=BASE, m=[*CLEAR[:3], 0.2, 0.2, 0.2], ls=NOISY)
    found = judge_looks(trainings, ["none", "m", "ls"], "none", Looks((3, 6))).set_index("row")
    assert (found["word"]["m"], found["n"]["m"], found["pairs"]["m"]) == ("helps", 3, 3)
    assert (found["look"]["ls"], found["n"]["ls"], found["n"]["none"]) == (6, 6, 6)
    assert not found["stands"]["ls"]


def test_before_the_first_look_nothing_is_said():
    trainings = frame(none=BASE[:2], m=CLEAR[:2])
    found = judge_looks(trainings, ["none", "m"], "none", Looks((3, 6))).set_index("row")
    assert (found["word"]["m"], found["look"]["m"], found["seeds"]["m"]) == ("undecided", 0, 3)
    assert math.isnan(found["p"]["m"])
    assert found["more_seeds"]["m"] == 1


def test_a_look_waits_for_all_rows_that_are_due():
    trainings = frame(none=BASE, m=CLEAR[:3], ls=[*NOISY[:2], ...])
    found = judge_looks(trainings, ["none", "m", "ls"], "none", Looks((3, 6)))
    assert found["look"].tolist() == [0, 0, 0]


def test_a_failure_has_ended_and_the_look_takes_place():
    trainings = frame(none=BASE[:4], m=[*CLEAR[:3], "out of memory"])
    found = judge_looks(trainings, ["none", "m"], "none", Looks((4, 6))).set_index("row")
    assert (found["look"]["m"], found["pairs"]["m"], found["word"]["m"]) == (4, 3, "helps")


def test_a_row_that_fails_with_every_seed_gets_no_more():
    trainings = frame(none=BASE[:3], m=["diverged"] * 3, ls=CLEAR[:3])
    found = judge_looks(trainings, ["none", "m", "ls"], "none", Looks((3, 6))).set_index("row")
    assert found["word"].tolist() == ["baseline", "failed", "helps"]
    assert found["stands"].tolist() == [True, True, True]
    assert found["seeds"].tolist() == [3, 3, 3]


def test_when_the_budget_ends_what_is_left_is_spent():
    trainings = frame(none=BASE[:5], m=CLEAR[:5])
    looks = Looks((6, 12))
    assert judge_looks(trainings, ["m"], "none", looks)["word"][0] == "undecided"
    over = judge_looks(trainings, ["m"], "none", looks, is_over=True)
    assert over["word"][0] == "helps"
    assert over["p_holm"][0] == pytest.approx(over["p"][0])  # all of alpha


def test_a_row_that_stands_leaves_its_share_to_the_others():
    both = frame(none=BASE, m=CLEAR, ls=NOISY)
    found = judge_looks(both, ["m", "ls"], "none", Looks((3, 6))).set_index("row")
    assert found["look"].tolist() == [3, 6]
    share = levels((3, 6), 0.05)[1] / 0.05  # of the last look, all of it for this row
    assert found["p_holm"]["ls"] == pytest.approx(found["p"]["ls"] / share)


def test_a_row_that_images_keep_undecided_gets_no_more_seeds():
    steps = np.array([1e-4, -1e-4, 0.0])
    values = [value + 0.01 + step for value, step in zip(BASE[:3], steps, strict=True)]
    drawn = swinging(0.02)
    found = judge_looks(
        frame(none=BASE[:3], m=values), ["m"], "none", Looks((3, 6)), image_values=drawn, images=60
    )
    assert (found["word"][0], found["stands"][0], found["seeds"][0]) == ("undecided", True, 3)
    assert "more seeds cannot tell, about" in found["sentence"][0]


def test_a_baseline_gets_the_seeds_of_its_own_rows_alone():
    trainings = frame(none=BASE[:3], m=CLEAR[:3], old=BASE[:3], ls=NOISY[:3], alone=BASE[:3])
    rows = ["none", "m", "old", "ls", "alone"]
    found = judge_looks(trainings, rows, {"m": "none", "ls": "old"}, Looks((3, 6)))
    found = found.set_index("row")
    assert found["word"].tolist() == ["baseline", "helps", "baseline", "undecided", "baseline"]
    assert found["seeds"].tolist() == [3, 3, 6, 6, 3]
    assert found["stands"].tolist() == [True, True, False, False, True]
    assert found["look"].tolist() == [3, 3, 3, 3, 0]


def test_a_row_that_stands_goes_on_as_the_baseline_of_another():
    trainings = frame(none=BASE[:3], m=CLEAR[:3], ls=[v + 0.03 for v in NOISY[:3]])
    chain = {"m": "none", "ls": "m"}
    found = judge_looks(trainings, ["none", "m", "ls"], chain, Looks((3, 6))).set_index("row")
    assert found["word"].tolist() == ["baseline", "helps", "undecided"]
    assert found["seeds"].tolist() == [3, 6, 6]
    more = frame(none=BASE[:3], m=CLEAR, ls=[v + 0.03 for v in NOISY])
    found = judge_looks(more, ["none", "m", "ls"], chain, Looks((3, 6))).set_index("row")
    assert found["look"].tolist() == [3, 3, 6]
    assert found["pairs"].tolist() == [3, 3, 6]
    assert found["word"]["m"] == "helps"


def test_a_look_does_not_wait_for_a_baseline_that_no_row_needs():
    trainings = frame(none=BASE[:3], m=CLEAR[:3], old=BASE[:3], ls=NOISY[:3])
    ahead = frame(none=BASE[:3], m=CLEAR[:3], old=BASE, ls=NOISY)
    chain, looks = {"m": "none", "ls": "old"}, Looks((3, 6))
    rows = ["none", "m", "old", "ls"]
    assert judge_looks(trainings, rows, chain, looks)["look"].tolist() == [3, 3, 3, 3]
    assert judge_looks(ahead, rows, chain, looks)["look"].tolist() == [3, 3, 6, 6]
