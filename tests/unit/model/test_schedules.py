import math

import pytest

from model.config import ScheduleConfig
from model.schedules import lr_multiple

COSINE = ScheduleConfig(kind="cosine", warmup=0.0, final=0.1)


@pytest.mark.parametrize(
    ("progress", "expected"),
    [(0, 1), (0.5, 0.55), (1, 0.1), (0.25, 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi / 4)))],
)
def test_cosine(progress, expected):
    assert lr_multiple(progress, COSINE) == pytest.approx(expected)


@pytest.mark.parametrize(("progress", "expected"), [(0.79, 1), (0.8, 0.1), (0.9, 0.01), (1, 0.01)])
def test_steps_multiply(progress, expected):
    config = ScheduleConfig(kind="steps", warmup=0.0, steps=(0.8, 0.9), scale=0.1)
    assert lr_multiple(progress, config) == pytest.approx(expected)


def test_constant():
    assert lr_multiple(1.0, ScheduleConfig(kind="constant", warmup=0.0)) == 1


@pytest.mark.parametrize(
    ("progress", "power", "expected"), [(0, 4, 1), (0.5, 4, 0.0625), (0.75, 1, 0.25), (1, 4, 0)]
)
def test_poly(progress, power, expected):
    config = ScheduleConfig(kind="poly", warmup=0.0, power=power)
    assert lr_multiple(progress, config) == expected


@pytest.mark.parametrize(
    ("progress", "place"),
    [(0, 0), (0.05, 0.5), (0.1, 1), (0.1001, 0.0005), (0.2, 0.5), (0.3, 1), (0.5, 0.5), (0.7, 1)],
)
def test_restarts_of_growing_cycles(progress, place):
    config = COSINE.model_copy(update={"cycle": 0.1, "cycle_factor": 2.0})
    expected = lr_multiple(place, COSINE)
    assert lr_multiple(progress, config) == pytest.approx(expected)


@pytest.mark.parametrize("cycles", [1, 2, 3, 7, 10, 49, 1000])
def test_the_training_ends_with_the_last_of_equal_cycles(cycles):
    config = COSINE.model_copy(update={"cycle": 1 / cycles, "cycle_factor": 1.0})
    assert lr_multiple(1.0, config) == pytest.approx(0.1)
    assert lr_multiple(1e-6, config) == pytest.approx(1, abs=1e-3)


def test_one_cycle_is_the_plain_cosine_to_the_last_bit():
    for update in range(1, 98):
        progress = update / 97
        plain = 0.1 + (1 - 0.1) * (0.5 * (1 + math.cos(math.pi * progress)))
        assert lr_multiple(progress, COSINE) == plain


@pytest.mark.parametrize("kind", ["cosine", "steps", "poly", "constant"])
@pytest.mark.parametrize(("power", "expected"), [(1, 0.25), (4, 0.25**4)])
def test_warm_up(kind, power, expected):
    config = ScheduleConfig(kind=kind, warmup=0.2, warmup_power=power)
    assert lr_multiple(0, config) == 0
    assert lr_multiple(0.05, config) == pytest.approx(expected)


def test_the_cosine_counts_from_the_start_not_from_the_end_of_warm_up():
    warm = COSINE.model_copy(update={"warmup": 0.3})
    assert lr_multiple(0.3, warm) == lr_multiple(0.3, COSINE)


def test_warm_up_over_the_whole_training():
    assert lr_multiple(0.5, ScheduleConfig(warmup=1.0, warmup_power=1)) == 0.5
