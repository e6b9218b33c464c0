import math

import pandas as pd
import pytest

from evolve.analysis.deltas import Delta
from evolve.analysis.importance import COLUMNS, Importances
from evolve.analysis.path import Step
from evolve.analysis.words import explain, step_deltas


def step(name, old, new, gain, sd=0.0005):
    return Step((name,), {name: old}, {name: new}, {}, 0.5, gain, sd)


LR = step("optimizer.lr", 0.002, 0.0071, 0.029)
BOX = step("loss.iou_normalizer", 1.0, 1.5, 0.008)
REST = step("optimizer.momentum", 0.9, 0.92, 0.0002)
BASIS = "These are estimates from 60 trials of the search, not trainings."


def importances(above, below=()):
    rows = [(n, "fANOVA", 0.5, 0.4, 0.6, 0.1, 1) for n in above]
    rows += [(n, "fANOVA", 0.01, 0.0, 0.1, 0.1, 1) for n in below]
    return Importances(pd.DataFrame(rows, columns=list(COLUMNS)), 60)


def test_the_parts_of_the_gain_are_told_from_large_to_none():
    assert explain([LR, BOX, REST], 60) == (
        "Most of the gain came from optimizer.lr (0.002 -> 0.0071): 2.9 of 3.7 points. "
        "loss.iou_normalizer added 0.8. optimizer.momentum did not matter. " + BASIS
    )


def test_a_part_below_half_is_not_most():
    said = explain([LR, step("a", 0, 1, 0.02), step("b", 0, 1, 0.015)], 60)
    assert said.startswith("The largest part of the gain came from optimizer.lr")
    assert "a added 2.0 and b 1.5." in said


def test_a_part_that_may_be_nothing_is_doubted():
    said = explain([step("lr", 1, 2, 0.029, sd=0.02), step("b", 0, 1, 0.01, sd=0.02)], 60)
    assert (
        "points. That is uncertain: its 95 % interval \u22121.0 to 6.8 includes no gain." in said
    )
    assert "b added 1.0 (uncertain)." in said


def test_a_step_that_lost_is_told():
    said = explain([LR, step("flip", 0.5, 0.1, -0.004)], 60)
    assert ": 2.9 of 2.9 points. flip cost 0.4. " in said


def test_no_difference_seen_is_not_no_difference():
    said = explain([LR, step("wd", 0.1, 0.2, 0.0, sd=0.01)], 60)
    assert "wd made no difference that can be seen." in said


def test_few_trials_cannot_say_that_something_did_not_matter():
    few, enough = (explain([LR, REST], trials) for trials in (4, 30))
    assert "optimizer.momentum made no difference that can be seen." in few
    assert "optimizer.momentum did not matter." in enough


def test_a_parameter_that_matters_may_have_hardly_changed():
    said = explain([LR, BOX, REST], 60, importances(["optimizer.momentum"], ["loss.x"]))
    assert (
        "optimizer.momentum mattered in the search, but this change made little difference."
        in said
    )
    assert "did not matter" not in said


def test_importance_within_chance_changes_nothing():
    found = importances(["optimizer.lr"], ["optimizer.momentum"])
    assert "optimizer.momentum did not matter." in explain([LR, REST], 60, found)
    empty = Importances(pd.DataFrame(columns=list(COLUMNS)), 3, "too few")
    assert explain([LR, REST], 60, empty) == explain([LR, REST], 60)


def test_many_names_are_counted():
    rest = [step(name, 0, 1, 0.0) for name in "abcdefg"]
    assert "a, b, c, d and 3 others did not matter." in explain([LR, *rest], 60)


def test_fewer_trials_than_changes_tell_nothing():
    assert explain([LR, BOX, REST], 3) == (
        "3 complete trials cannot tell apart what 3 changed parameters do; evolve explain "
        "--retrain trains every step of the path."
    )
    trained = [Delta(0.01, 0.002, 3, "seeds", low=0.007, high=0.017)] * 3
    assert explain([LR, BOX, REST], 3, trained=trained).startswith("The largest part of the gain")


def test_few_trials_give_hints():
    assert explain([LR], 12).endswith("from 12 trials of the search, not trainings; so few give "
                                      "hints at best.")  # fmt: skip


def test_trained_steps_stand_for_the_estimates():
    trained = [
        Delta(0.012, 0.002, 3, "seeds", low=0.007, high=0.017),
        Delta(0.001, 0.004, 3, "seeds", low=-0.009, high=0.011),
    ]
    assert explain([LR, REST], 60, trained=trained) == (
        "Most of the gain came from optimizer.lr (0.002 -> 0.0071): 1.2 of 1.3 points. "
        "optimizer.momentum added 0.1 (uncertain). Every step was trained with 3 seeds or more."
    )


def test_a_single_training_a_step_tells_no_doubt():
    said = explain([LR], 60, trained=[Delta(0.012, math.nan, 1, "none")])
    assert "How sure that is cannot be told." in said


def test_a_step_without_training_stops_the_story():
    trained = [Delta(0.01, 0.002, 3, "seeds"), Delta(math.nan, math.nan, 0, "none")]
    assert explain([LR, BOX], 60, trained=trained) == (
        "Not every step of the path has been trained, so its parts cannot be told."
    )


@pytest.mark.parametrize("gains", [(-0.01, 0.002), (0.0, 0.0003)])
def test_without_gain_there_is_nothing_to_explain(gains):
    steps = [step(f"p{i}", 0, 1, gain) for i, gain in enumerate(gains)]
    said = explain(steps, 60)
    assert said == f"On the way from the defaults there is no gain to explain. {BASIS}"


def test_the_defaults_need_no_path():
    assert explain([], 60) == "The evolved configuration is the default one."


def test_gains_of_trained_steps_are_paired_by_seed():
    records = [
        {"row": row, "seed_index": index, "state": "COMPLETE", "value_val": value}
        for row, values in (("start", (0.25, 0.5)), ("1", (0.5, 0.75)), ("2", (0.5, None)))
        for index, value in enumerate(values)
    ]
    first, second = step_deltas(pd.DataFrame(records), ["start", "1", "2"])
    assert (first.mean, first.sd, first.pairs) == (0.25, 0.0, 2)
    assert (second.mean, second.pairs) == (0.0, 1)
