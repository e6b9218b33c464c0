"""Recipes: ingredients put into a configuration and taken away."""

import subprocess
import sys

import pytest

from model.config import TrainConfig, key_paths
from model.errors import ConfigurationError
from model.recipes import (
    active,
    baseline,
    find_ingredient,
    recipe_faults,
    with_ingredients,
    without_ingredients,
)

BASE = baseline()


def changes(config, start=BASE):
    """Key paths in which a configuration differs from another."""
    before = key_paths(start)
    return {path: value for path, value in key_paths(config).items() if before[path] != value}


def test_baseline_is_the_papers_first_row():
    shown = {
        "model": "yolov4-nano",
        "subdivisions": 2,
        "anchors": "yolov3",
        "scale_xy": False,
        "norm": "bn",
        "loss.box": "mse",
        "loss.iou_normalizer": 0.75,
        "loss.iou_threshold": 1.0,
        "augment.mosaic": 0.0,
        "schedule.kind": "steps",
        "ema.decay": 0.0,
        "nms.kind": "greedy",
        "backbone.activation": "leaky",
    }
    assert shown.items() <= key_paths(BASE).items()
    base = {"MSE", "SPP", "PAN", "Leaky", "Crop", "Flip", "Hue", "Saturation", "Exposure"}
    assert base <= set(active(BASE))
    assert (BASE.epochs, BASE.optimizer.lr) == (TrainConfig().epochs, TrainConfig().optimizer.lr)


def test_classifier_baseline_is_darknets():
    config = baseline("classify")
    assert (config.task, config.model, config.image_size) == ("classify", "csresnext50-nano", 256)
    assert (config.optimizer.lr, config.batch_size, config.subdivisions) == (0.1, 128, 4)
    assert config.augment.rotate == 7.0
    classifiers = {"Zoom", "Aspect", "Leaky", "Flip", "Hue", "Saturation", "Exposure"}
    assert classifiers <= set(active(config))
    assert not {"MSE", "SPP", "Crop", "CutMix", "Mish"} & set(active(config))


def test_what_the_baseline_has_comes_back_at_the_strength_of_its_task():
    config = baseline("classify")
    without = without_ingredients(config, ["Saturation"])
    assert changes(without, config) == {"augment.saturation": 1.0}
    assert with_ingredients(without, ["Saturation"]) == config


def test_no_keys_change_nothing():
    assert with_ingredients(BASE, []) == BASE


def test_row_of_the_papers_table():
    row = with_ingredients(BASE, ["s", " M ", "IT", "ga", "OA", "ciou", "-Flip"])
    assert changes(row) == {
        "scale_xy": True,
        "augment.mosaic": 0.5,
        "augment.flip": 0.0,
        "loss.iou_threshold": 0.213,
        "optimizer.lr": 0.00261,
        "optimizer.momentum": 0.949,
        "anchors": "optimised",
        "loss.box": "ciou",
        "loss.iou_normalizer": 1.0,
    }
    expected = {*active(BASE), "S", "M", "IT", "GA", "OA", "CIoU"} - {"Flip", "MSE"}
    assert set(active(row)) == expected
    assert without_ingredients(with_ingredients(row, ["Flip"]),
                               ["S", "M", "IT", "GA", "OA", "CIoU"]) == BASE  # fmt: skip


def test_order_does_not_matter():
    keys = ["S", "M", "IT", "GA", "CIoU", "Mish", "SAM", "-Crop"]
    values = {"GA": {"loss.iou_threshold": 0.3, "optimizer.lr": 0.01}}
    assert with_ingredients(BASE, keys, values) == with_ingredients(BASE, keys[::-1], values)


def test_one_loss_replaces_another_in_one_call():
    config = with_ingredients(BASE, ["GIoU"])
    assert with_ingredients(config, ["-GIoU", "DIoU"]) == with_ingredients(BASE, ["DIoU"])
    assert with_ingredients(config, ["-GIoU", "MSE"]) == BASE
    with pytest.raises(ConfigurationError, match=r"GIoU wants loss\.box = giou, DIoU wants diou"):
        with_ingredients(config, ["DIoU"])


def test_tuned_strength_still_counts_as_on():
    config = BASE.with_values({"augment.mosaic": 0.9, "augment.mosaic_images": 9})
    assert "Mosaic9" in active(config)
    assert "M" not in active(config)
    assert without_ingredients(config, ["Mosaic9"]) == BASE


def test_cycle_tells_restarts_from_one_cosine():
    one, three = with_ingredients(BASE, ["CA"]), with_ingredients(BASE, ["SGDR"])
    assert ("CA" in active(one), "SGDR" in active(one)) == (True, False)
    assert ("CA" in active(three), "SGDR" in active(three)) == (False, True)


def test_strength_can_be_given():
    config = with_ingredients(BASE, ["M"], {"m": {"augment.mosaic": 1.0}})
    assert changes(config) == {"augment.mosaic": 1.0}


def test_values_of_absent_ingredients_do_nothing():
    values = {"KD": {"distill.teacher": "best.pt"}, "GA": {"optimizer.lr": 0.01}}
    assert with_ingredients(BASE, ["S"], values) == with_ingredients(BASE, ["S"])


SEARCHED = {
    "optimizer.lr": 0.01,
    "loss.iou_threshold": 0.3,
    "loss.iou_normalizer": 3.0,
    "augment.mosaic": 0.7,
    "augment.flip": 0.1,
}


def test_ga_alone_turns_no_other_ingredient_on():
    config = with_ingredients(BASE, ["GA"], {"GA": SEARCHED})
    assert changes(config) == {"optimizer.lr": 0.01, "augment.flip": 0.1}
    assert set(active(config, {"GA": SEARCHED})) == {*active(BASE), "GA"}
    assert without_ingredients(config, ["GA"], {"GA": SEARCHED}) == BASE


def test_ga_tunes_what_the_recipe_has_on():
    config = with_ingredients(BASE, ["GA", "M", "IT", "CIoU", "-Flip"], {"GA": SEARCHED})
    holds = key_paths(config)
    expected = SEARCHED | {"augment.flip": 0.0}
    assert {path: holds[path] for path in expected} == expected
    rest = without_ingredients(config, ["GA"], {"GA": SEARCHED})
    assert rest == with_ingredients(BASE, ["M", "IT", "CIoU", "-Flip"])


def test_ga_can_take_the_papers_normaliser_with_its_gradient():
    given = {"loss.gradient": "darknet", "loss.iou_normalizer": 0.07, "loss.max_delta": 5.0}
    config = with_ingredients(BASE, ["GA", "GIoU"], {"GA": given})
    assert given.items() <= changes(config).items()
    assert config.optimizer.lr == BASE.optimizer.lr  # not given, so not tuned


@pytest.mark.parametrize(
    ("keys", "values", "what", "where", "mend"),
    [
        (["bipfn"], {}, "there is no ingredient 'bipfn'", "bipfn", "'BiFPN'"),
        (["Mosiac"], {}, "there is no ingredient 'Mosiac'", "Mosiac", "mean 'M' or 'Mosaic9'"),
        (["S", "s"], {}, "S is named twice", "s", "once"),
        (["M", "-M"], {}, "M is named twice", "-M", "once"),
        (["-M"], {}, "M is not on", "-M", "leave it out"),
        (["-MSE"], {}, "MSE is what stands there", "-MSE", "replace"),
        (["CGBN"], {}, "CGBN cannot be used", "CGBN", "one GPU"),
        (["CutMix"], {}, "CutMix is not for task detect", "CutMix", "task classify"),
        (["DM"], {}, "DM requires RS", "DM", "add RS"),
        (["BiFPN", "SAM"], {}, "BiFPN conflicts with SAM", "BiFPN", "leave one"),
        (["Mish", "FRN"], {}, "wants backbone.activation = ", "Mish", "leave one"),
        (["M", "Mosaic9"], {}, "augment.mosaic_images = 4, Mosaic9 wants 9", "M", "leave one"),
        (["KD"], {}, "KD needs the checkpoint", "KD", "distill.teacher"),
        (["KD"], {"KD": {"distill.teacher": ""}}, "KD needs", "KD", "distill.teacher"),
        (["S"], {"SS": {}}, "there is no ingredient 'SS'", "SS", "'S"),
        (["LS"], {"LS": {"loss.box": "iou"}}, "LS does not set 'loss.box'", "LS", "smoothing"),
        (["GA"], {"GA": {"optimizer.lrr": 1}}, "does not set 'optimizer.lrr'", "GA", "er.lr'"),
        (["LS"], {"LS": {"loss.label_smoothing": 2}}, "less than 1", "loss.label_smoothing", ""),
    ],
)  # fmt: skip
def test_faults(keys, values, what, where, mend):
    with pytest.raises(ConfigurationError) as caught:
        with_ingredients(BASE, keys, values)
    assert what in caught.value.what
    assert caught.value.where == where
    assert mend in caught.value.mend


def test_all_faults_are_told_at_once():
    with pytest.raises(ConfigurationError) as caught:
        with_ingredients(BASE, ["Misch", "DM", "CGBN", "-M"])
    assert caught.value.what.startswith("4 faults in the recipe")
    for told in ("'Misch'", "DM requires RS", "CGBN cannot be used", "M is not on"):
        assert told in caught.value.what
    assert caught.value.where == "Misch, CGBN, -M, DM"


def test_taking_away_what_another_requires():
    config = with_ingredients(BASE, ["RS", "DM"])
    with pytest.raises(ConfigurationError, match="DM requires RS"):
        without_ingredients(config, ["RS"])
    assert without_ingredients(config, ["DM", "RS"]) == BASE


def test_cmbn_over_one_mini_batch_is_refused():
    with pytest.raises(ConfigurationError, match="CBN changes nothing where subdivisions is 1"):
        with_ingredients(BASE.with_values({"subdivisions": 1}), ["CBN"])
    assert with_ingredients(BASE, ["CBN"]).norm == "cmbn"


def test_find_ingredient_in_any_case():
    assert find_ingredient(" diou-nms ").key == "DIoU-NMS"


def test_recipes_do_not_load_torch():
    code = "import sys, model.recipes as r; r.active(r.baseline()); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "ray", "optuna", "pandas"} & set(done.stdout.split())


def test_a_classifier_may_take_another_strength():
    on = {
        task: with_ingredients(baseline(task), ["Blur"]).augment.blur.probability
        for task in ("detect", "classify")
    }
    assert on == {"detect": 2 / 3, "classify": 0.25}


def test_faults_of_a_recipe_are_told_one_by_one():
    faults = recipe_faults(BASE, ["CIoU", "GIoU", "DM"])
    assert {fault.where for fault in faults} == {"CIoU", "DM"}
    assert any("GIoU wants giou" in fault.what for fault in faults)
    assert recipe_faults(BASE, ["CIoU", "M"]) == ()
