import math

import numpy as np
import pandas as pd
import pytest

from evolve.analysis.judged_rows import COLUMNS, judge_table

SWING = np.tile([1.0, -1.0], 30)
TITLES = {"none": "the baseline", "m": "mosaic", "ls": "label smoothing"}


def frame(**rows):
    """Trainings from values; None is a failure and a text its reason, ... has not begun."""
    return pd.DataFrame(
        [
            _training(row, i, value)
            for row, values in rows.items()
            for i, value in enumerate(values)
        ]
    )


def swinging(spread):
    """Image replicates: the mosaic row's three seeds swing together, the baseline's stay."""
    size = {"none": 0.0, "m": spread}
    return {(row, seed): size[row] * SWING for row in size for seed in range(3)}


def _training(row, index, value):
    is_value = isinstance(value, float)
    state = "COMPLETE" if is_value else ("WAITING" if value is ... else "FAIL")
    return {
        "row": row,
        "title": TITLES.get(row, row),
        "seed_index": index,
        "state": state,
        "reason": value if isinstance(value, str) else "",
        "value_test": value if is_value else math.nan,
        "metrics": {"test/AP50": value + 0.2} if is_value else {},
    }


BASE = [0.300, 0.310, 0.305]


def test_each_row_has_its_line_in_order():
    trainings = frame(none=BASE, m=[0.331, 0.340, 0.336], ls=[0.2801, 0.2900, 0.2852])
    table = judge_table(trainings, ["m", "none", "ls"], "none")
    assert list(table.columns) == [*COLUMNS, "AP50", "AP75"]
    assert table["row"].tolist() == ["m", "none", "ls"]
    assert table["word"].tolist() == ["helps", "baseline", "hurts"]
    first = table.iloc[0]
    assert (first["n"], first["planned"], first["failed"], first["pairs"]) == (3, 3, 0, 3)
    assert first["mean"] == pytest.approx(np.mean([0.331, 0.340, 0.336]))
    assert first["sd"] == pytest.approx(np.std([0.331, 0.340, 0.336], ddof=1))
    assert first["delta"] == pytest.approx(np.mean([0.031, 0.030, 0.031]))
    assert first["AP50"] == pytest.approx(first["mean"] + 0.2)
    assert math.isnan(first["AP75"])
    assert first["p_holm"] == pytest.approx(max(2 * first["p"], table["p_holm"][2]), rel=1)
    assert (first["test"], first["source"]) == ("moderated t", "seeds")
    assert first["lent"] == pytest.approx(first["df"] - 2, rel=1e-3)
    assert math.isnan(table["delta"][1])


def test_a_row_that_helps_says_by_how_much_and_what_it_rests_on():
    trainings = frame(none=BASE, m=[0.331, 0.340, 0.336])
    drawn = {("none", s): 0 * SWING for s in range(3)} | {
        ("m", s): 0.001 * SWING for s in range(3)
    }
    table = judge_table(trainings, ["none", "m"], "none", image_values=drawn, images=60)
    assert table["source"][1] == "seeds and images"
    assert table["sentence"][1] == (
        "Mosaic helps by 3.1 AP points on test (95 % interval 2.8 to 3.3; 3 seeds, 60 images; "
        "t p below 0.01; P(better) above 0.99)."
    )


def test_no_effect_names_the_region():
    trainings = frame(none=BASE, m=[0.3001, 0.3099, 0.3051])
    (line,) = judge_table(trainings, ["m"], "none").to_dict("records")
    assert line["word"] == "no effect"
    assert line["sentence"] == (
        "Mosaic has no effect, nothing beyond \u00b10.2 AP points on test: 0.00 (95 % interval "
        "\u22120.03 to 0.03; 3 seeds; equivalence p below 0.01; P(better) 0.67). "
        "The interval holds nothing of what other images would change."
    )


def test_undecided_says_how_many_more_seeds():
    trainings = frame(none=BASE, m=[0.331, 0.310, 0.326])
    (line,) = judge_table(trainings, ["m"], "none").to_dict("records")
    assert (line["word"], line["more_seeds"]) == ("undecided", 3)
    assert "; about 3 more seeds needed." in line["sentence"]


def test_more_seeds_than_anybody_trains_are_not_counted():
    trainings = frame(none=BASE, m=[0.321, 0.290, 0.306])
    (line,) = judge_table(trainings, ["m"], "none").to_dict("records")
    assert line["more_seeds"] > 99
    assert "; more than 99 more seeds needed." in line["sentence"]


def test_undecided_says_when_more_seeds_cannot_tell():
    trainings = frame(none=BASE, m=[0.311, 0.320, 0.316])
    drawn = swinging(0.01)
    (line,) = judge_table(trainings, ["m"], "none", image_values=drawn, images=60).to_dict(
        "records"
    )
    assert line["word"] == "undecided"
    assert math.isnan(line["more_seeds"])
    images_se = 0.01 * 60 / 59
    assert line["more_images"] == pytest.approx((2.001 * images_se / (0.032 / 3)) ** 2, rel=1e-3)
    assert "; more seeds cannot tell, about 3.6 times the images could." in line["sentence"]


def test_a_failed_row_is_shown_with_its_reason():
    trainings = frame(none=BASE, m=["out of memory", "out of memory", 0.34], ls=BASE)
    table = judge_table(trainings, ["none", "m", "ls"], "none")
    line = table.iloc[1]
    assert (line["word"], line["n"], line["planned"], line["failed"]) == ("failed", 1, 3, 2)
    assert line["reason"] == "2 \u00d7 out of memory"
    assert line["sentence"] == "Mosaic failed: 2 of 3 trainings (2 \u00d7 out of memory)."
    assert table["p_holm"][2] == min(1, 2 * table["p"][2])


def test_a_row_with_some_failures_is_judged_by_its_pairs_and_says_so():
    trainings = frame(none=BASE, m=[0.331, 0.3405, "the loss is not finite"])
    (line,) = judge_table(trainings, ["m"], "none").to_dict("records")
    assert (line["word"], line["n"], line["pairs"]) == ("helps", 2, 2)
    assert "2 of 3 seeds" in line["sentence"]
    assert (
        " 1 of its 3 trainings failed (the loss is not finite); what they would have given is "
        "not in the mean." in line["sentence"]
    )


def test_a_row_that_waits_is_undecided_and_not_failed():
    trainings = frame(none=BASE, m=[..., ..., "out of memory"])
    (line,) = judge_table(trainings, ["m"], "none").to_dict("records")
    assert (line["word"], line["n"]) == ("undecided", 0)
    assert line["sentence"] == (
        "Mosaic: undecided; with no seed are the baseline and it both trained to the end."
    )


def test_one_seed_is_undecided():
    (line,) = judge_table(frame(none=[0.3], m=[0.4]), ["m"], "none").to_dict("records")
    assert line["sentence"] == (
        "Mosaic: undecided, 10.0 AP points on test (1 seed); 1 more seed at least needed."
    )


def test_a_value_that_could_not_be_measured_is_a_failure():
    trainings = frame(none=BASE, m=[0.3, 0.3, math.nan])
    (line,) = judge_table(trainings, ["m"], "none").to_dict("records")
    assert (line["n"], line["failed"], line["reason"]) == (2, 1, "it could not be measured")


def test_metrics_on_val_bear_no_name_of_a_split():
    trainings = frame(none=BASE).assign(metrics=[{"AP50": v, "test/AP50": 0.9} for v in BASE])
    table = judge_table(trainings, ["none"], "none", split="val")
    assert table["AP50"][0] == pytest.approx(0.305)


SEVERAL = frame(
    none=BASE, m=[0.331, 0.340, 0.336], ls=[0.3611, 0.3699, 0.3661], other=[0.1, 0.11, 0.105]
)
BASELINES = {"m": "none", "ls": "m", "none": "none"}


def test_each_row_may_have_a_baseline_of_its_own_and_all_are_one_family():
    table = judge_table(SEVERAL, ["none", "m", "ls", "other"], BASELINES).set_index("row")
    assert table["word"].tolist() == ["baseline", "helps", "helps", "baseline"]
    assert table["delta"]["ls"] == pytest.approx(0.03, abs=1e-3)  # to m, not to none
    first = judge_table(SEVERAL, ["m"], "none").iloc[0]
    assert first["delta"] == table["delta"]["m"]
    assert table["p_holm"].min() == 2 * table["p"].min()
    assert table["sentence"]["ls"].startswith("Against mosaic, label smoothing helps by 3.0 AP")
    assert "after Holm over 2 rows" in table["sentence"]["ls"]
    assert table["sentence"]["other"] == ""


def test_the_sentence_of_a_row_without_pairs_names_its_own_baseline():
    trainings = frame(none=BASE, m=[...], ls=[...])
    table = judge_table(trainings, ["none", "m", "ls"], {"m": "none", "ls": "m"})
    assert [text.partition("; ")[2] for text in table["sentence"][1:]] == [
        "with no seed are the baseline and it both trained to the end.",
        "with no seed are mosaic and it both trained to the end.",
    ]


def test_one_baseline_in_a_mapping_is_that_baseline():
    rows = ["none", "m", "ls"]
    named = judge_table(SEVERAL, rows, "none")
    assert named.equals(judge_table(SEVERAL, rows, dict.fromkeys(rows, "none")))
