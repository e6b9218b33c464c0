import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.analysis.contrasts import complete_values, contrast, row_delta


def frame(**rows):
    """Trainings from the values of each row; None is a failure."""
    return pd.DataFrame(
        {
            "row": row,
            "seed_index": index,
            "state": "FAIL" if value is None else "COMPLETE",
            "value_test": math.nan if value is None else value,
        }
        for row, values in rows.items()
        for index, value in enumerate(values)
    )


def test_values_are_by_seed_whatever_the_order():
    trainings = frame(a=[0.1, 0.2, None], b=[0.3, None, 0.5])[::-1]
    found = complete_values(trainings, ["a", "b"])
    assert found.to_dict("list") == {"a": [0.1], "b": [0.3]}
    assert found.index.tolist() == [0]


def test_an_interaction_is_summed_seed_by_seed():
    trainings = frame(o=[0.1, 0.2], a=[0.2, 0.3], b=[0.2, 0.2], ab=[0.5, 0.4])
    found = contrast(trainings, {"o": 1, "a": -1, "b": -1, "ab": 1})
    assert found.differences == pytest.approx((0.2, 0.1))
    assert found.mean == pytest.approx(0.15)


def test_a_seed_that_one_row_lacks_is_left_out():
    trainings = frame(o=[0.1, 0.2, 0.3], a=[0.2, None, 0.3], b=[0.2, 0.2, 0.6])
    found = contrast(trainings, {"o": -1, "a": 0.5, "b": 0.5})
    assert (found.pairs, found.mean) == (2, pytest.approx(0.125))


def test_images_are_summed_resample_by_resample():
    trainings = frame(o=[0.1], a=[0.2])
    drawn = {("o", 0): np.array([0.0, 1.0, 2.0]), ("a", 0): np.array([1.0, 3.0, 5.0])}
    found = contrast(trainings, {"o": -1, "a": 2}, image_values=drawn)  # 2, 5, 8
    assert (found.source, found.se) == ("images", pytest.approx(3))
    del drawn["o", 0]
    assert contrast(trainings, {"o": -1, "a": 2}, image_values=drawn).source == "none"


def test_a_row_minus_itself_is_nothing():
    found = row_delta(frame(a=[0.3, 0.5]), "a", "a")
    assert (found.mean, found.low, found.high, found.p_better) == (0, 0, 0, 0.5)


values = st.lists(st.floats(0, 1), min_size=2, max_size=6)


@given(values, values)
def test_swapping_the_rows_turns_the_delta(a, b):
    count = min(len(a), len(b))
    trainings = frame(a=a[:count], b=b[:count])
    one, two = row_delta(trainings, "a", "b"), row_delta(trainings, "b", "a")
    assert (one.mean, one.se) == pytest.approx((-two.mean, two.se))
    assert (one.low, one.high) == pytest.approx((-two.high, -two.low))
    assert one.p_better == pytest.approx(1 - two.p_better)


@given(values, st.floats(-2, 2))
def test_contrasts_are_linear(a, factor):
    trainings = frame(a=a, b=[0.5] * len(a))
    one, many = (contrast(trainings, {"a": w, "b": -w}) for w in (1.0, factor))
    assert many.mean == pytest.approx(factor * one.mean, abs=1e-12)
    assert many.se == pytest.approx(abs(factor) * one.se, abs=1e-12)
