import math

import numpy as np
import pytest

from evolve.analysis.class_deltas import class_deltas
from evolve.analysis.deltas import paired_delta

SWING = np.tile([1.0, -1.0], 20)
VALUES = {
    ("none", 0): {"cat": 0.3, "dog": 0.5, "cow": math.nan},
    ("none", 1): {"cat": 0.4, "dog": 0.5, "cow": 0.1},
    ("none", 2): {"cat": 0.9, "dog": 0.9},
    ("m", 0): {"cat": 0.4, "dog": 0.5, "cow": 0.2},
    ("m", 1): {"cat": 0.6, "dog": 0.4, "cow": 0.3},
}


def test_each_class_is_paired_by_seed():
    found = class_deltas(VALUES, {"m": "none"}).set_index("class")
    assert found.index.tolist() == ["cat", "dog", "cow"]
    assert found["pairs"].tolist() == [2, 2, 1]
    assert found["mean"].tolist() == pytest.approx([0.15, -0.05, 0.2])
    expected = paired_delta([0.3, 0.4], [0.4, 0.6])
    assert found["high"]["cat"] == pytest.approx(expected.high)
    assert math.isnan(found["low"]["cow"])
    # three classes, of which one has no p
    assert found["p_holm"]["cat"] == pytest.approx(min(1, 3 * found["p"]["cat"]))


def test_images_of_the_class_take_part():
    drawn = {
        key: {
            "cat": (0.01 if key[0] == "m" else 0.0) * SWING,
            "dog": np.where(SWING > 0, 0, np.nan),
        }
        for key in VALUES
    }
    found = class_deltas(VALUES, {"m": "none"}, resampled=drawn, images={"cat": 5, "dog": 1})
    found = found.set_index("class")
    assert found["source"].tolist() == ["seeds and images", "seeds and images", "none"]
    alone = class_deltas(VALUES, {"m": "none"}).set_index("class")
    assert found["se"]["cat"] > alone["se"]["cat"]
    assert found["se"]["dog"] == pytest.approx(alone["se"]["dog"])


def test_swapping_the_rows_turns_every_delta():
    one, two = class_deltas(VALUES, {"m": "none"}), class_deltas(VALUES, {"none": "m"})
    assert one["mean"].tolist() == pytest.approx((-two["mean"]).tolist())
    assert one["low"].tolist() == pytest.approx((-two["high"]).tolist(), nan_ok=True)


def test_without_trainings_there_is_no_line():
    assert class_deltas({}, {"m": "none"}).empty
