import math
import types

import numpy as np
import pytest
import torch

from model.errors import Diverged
from model.losses import Loss
from model.watch import LossWatch

CPU = torch.device("cpu")
ELSEWHERE = types.SimpleNamespace(type="cuda")  # numbers are looked at a step later


def loss(*parts):
    return Loss(*(torch.tensor(float(part)) for part in parts))


@pytest.mark.parametrize(
    ("parts", "named"),
    [
        ((math.nan, 1, 1), "the box loss"),
        ((1, math.inf, 1), "the objectness loss"),
        ((1, 1, math.nan), "the class loss"),
        ((math.nan, 1, math.nan), "the box and class loss"),
    ],
)
def test_the_part_that_is_not_finite_is_named(parts, named):
    with pytest.raises(Diverged, match=f"^Diverged: {named} is not finite") as caught:
        LossWatch(CPU).see(loss(*parts), "epoch 1, step 2 of 2")
    assert caught.value.where == "epoch 1, step 2 of 2"


def test_exploding_is_twenty_times_the_first_loss():
    watch = LossWatch(CPU)
    watch.see(loss(2, 0, 0), "here")
    watch.see(loss(40, 0, 0), "here")
    with pytest.raises(Diverged, match=r"exploded to 40\.01, from 2 at the start"):
        watch.see(loss(40.01, 0, 0), "here")


def test_the_first_loss_is_remembered():
    with pytest.raises(Diverged, match="from 1 at the start"):
        LossWatch(CPU, first=1.0).see(loss(21, 0, 0), "here")


@pytest.mark.parametrize("device", [CPU, ELSEWHERE], ids=["cpu", "cuda"])
def test_sums_begin_anew(device):
    watch = LossWatch(device)
    for k in range(3):
        watch.see(loss(k, 2 * k, 1), "here")
    np.testing.assert_array_equal(watch.close(), [3, 6, 3])
    np.testing.assert_array_equal(watch.close(), [0, 0, 0])
    assert watch.first == 1


@pytest.mark.parametrize("device", [CPU, ELSEWHERE], ids=["cpu", "cuda"])
def test_sums_are_carried_over(device):
    watch, whole = LossWatch(device), LossWatch(device)
    for k in range(5):
        if k == 3:
            watch = LossWatch(device, watch.first, tuple(watch.catch_up().tolist()))
        for one in (watch, whole):
            one.see(loss(0.1 * k, 1 / (k + 1), 1), "here")
    np.testing.assert_array_equal(watch.close(), whole.close())
    np.testing.assert_array_equal(watch.close(), [0, 0, 0])
    assert watch.first == whole.first


def test_a_gpu_is_judged_one_step_later_or_at_the_end():
    watch = LossWatch(ELSEWHERE)
    watch.see(loss(1, 1, 1), "step 1")
    watch.see(loss(math.nan, 1, 1), "step 2")
    with pytest.raises(Diverged) as caught:
        watch.see(loss(1, 1, 1), "step 3")
    assert caught.value.where == "step 2"
    last = LossWatch(ELSEWHERE)
    last.see(loss(math.nan, 1, 1), "step 1")
    with pytest.raises(Diverged):
        last.close()
