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


@pytest.mark.parametrize("kind", ["cosine", "steps", "constant"])
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
