"""Trials that take less memory and learn the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.engine.shrinking import how_to_shrink, mend_memory, smaller
from model.config import TrainConfig
from model.data.batch_plan import fixed_mini_batch, plan_epoch


def config(batch, parts, **values):
    return TrainConfig().with_values({"batch_size": batch, "subdivisions": parts, **values})


@pytest.mark.parametrize(
    ("batch", "parts", "expected"),
    [
        (8, 1, 2),
        (64, 16, 32),
        (12, 1, 2),
        (12, 4, 12),
        (15, 1, 3),
        (7, 1, 7),
        (6, 2, 6),
        (2, 1, 2),
    ],
)
def test_smaller_mini_batches_of_the_same_batch(batch, parts, expected):
    before = config(batch, parts)
    after = smaller(before)
    assert after.batch_size == batch
    assert after.subdivisions == expected
    assert fixed_mini_batch(after) <= fixed_mini_batch(before) / 2
    assert after.with_values({"subdivisions": parts}) == before


def test_a_mini_batch_of_one_image_is_the_smallest():
    assert smaller(config(8, 8)) is None
    assert smaller(config(1, 1)) is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"image_size": 32}, None),
        ({"image_size": 32, "norm": "cmbn"}, None),
        ({"image_size": 64, "shapes.range": 5.0}, None),
        ({"image_size": 32, "norm": "frn"}, 4),
        ({"image_size": 64}, 4),
        ({"image_size": "auto"}, 4),
    ],
)
def test_one_image_has_no_variance_where_its_coarsest_map_is_one_value(values, expected):
    after = smaller(config(4, 2, **values))
    assert (after.subdivisions if after else None) == expected
    assert smaller(config(8, 2, **values)).subdivisions == 4


@given(st.integers(1, 200), st.integers(1, 200))
def test_updates_stay_the_same_and_mini_batches_shrink(batch, parts):
    if batch % parts:
        return
    before = config(batch, parts)
    after = smaller(before)
    if after is None:
        assert batch == parts
        return
    old, new = (plan_epoch(one, 96, 3 * batch, 0) for one in (before, after))
    assert [s.start for s in old if s.first] == [s.start for s in new if s.first]
    assert {s.batch_images for s in new} == {batch}
    assert 2 * max(s.count for s in new) <= max(s.count for s in old)


def test_mini_batches_of_dynamic_size_shrink_in_proportion():
    values = {"batch_policy": "dynamic", "shapes.range": 1.4, "shapes.every": 1}
    before = config(64, 4, **values)
    old, new = (plan_epoch(one, 416, 6400, 3) for one in (before, smaller(before)))
    pixels = [max(s.count * s.size_px**2 for s in plan) for plan in (old, new)]
    assert pixels[1] <= pixels[0] / 2 * 1.01


def test_advice():
    assert mend_memory(config(8, 2)).startswith("set subdivisions=4 (mini-batches of 4 now), or")
    assert mend_memory(config(8, 8, image_size=608)) == "lower image_size (608 now)"
    assert how_to_shrink(1, 0) == "take a smaller model"
