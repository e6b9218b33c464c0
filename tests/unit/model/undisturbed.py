"""Trainings that are stopped and continued, held against those that nothing disturbed."""

import itertools
import math

import pytest
import torch

from model.classify import fit_classifier
from model.data.classes import ClassDataset
from model.errors import Halted
from model.halt import Halt
from model.train import fit

SMALL = "yolov4-tiny-3l-nano"
"""Trains four times as fast as the default model, at the same three strides."""

TIMES = ("images_per_s", "train_time_s", "eval_time_s", "wait_share")


def numbers(report):
    """All that a report says but times; NaN as text, so that it equals itself."""
    kept = {k: v for k, v in report.metrics.items() if k not in TIMES} | report.class_ap
    return {k: "nan" if math.isnan(v) else v for k, v in kept.items()}


def trained(config, dataset, **options):
    """Reports of a training on the CPU."""
    train = fit_classifier if isinstance(dataset, ClassDataset) else fit
    return train(config, dataset, device="cpu", **options)


def straight(config, dataset, resume=None):
    """Numbers of every epoch, and the state after the last one."""
    reports = list(trained(config, dataset, resume=resume))
    return list(map(numbers, reports)), reports[-1]._training.state_dict({})


def halt_at(question, path):
    """A halt that is wanted from its `question`-th asking on, counted from 0."""
    asked = itertools.count()
    return Halt(lambda: next(asked) >= question, path)


def halted(config, dataset, question, path, resume=None):
    """Numbers of the epochs before a halt, and the halt."""
    reports = trained(config, dataset, halt=halt_at(question, path), resume=resume)
    seen: list = []
    with pytest.raises(Halted) as caught:
        seen.extend(map(numbers, reports))  # keeps those before the error
    torch.manual_seed(999)  # whatever the process does meanwhile
    return seen, caught.value


def assert_same(ours, theirs, where="state"):
    """Two states are the same, bit for bit."""
    assert type(ours) is type(theirs), where
    if isinstance(ours, dict):
        assert ours.keys() == theirs.keys(), where
        for key, value in ours.items():
            assert_same(value, theirs[key], f"{where}.{key}")
    elif isinstance(ours, (list, tuple)):
        assert len(ours) == len(theirs), where
        for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            assert_same(one, other, f"{where}[{index}]")
    elif isinstance(ours, torch.Tensor):
        assert torch.equal(ours, theirs), where
    else:
        assert ours == theirs, where
