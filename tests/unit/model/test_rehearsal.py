"""A few steps that stand for a whole training."""

import math

import pytest

from model import rehearsal
from model import train as train_module
from model.config import TrainConfig
from model.data.batch_plan import MiniBatch, fixed_mini_batch, plan_epoch
from model.data.coco import load_dataset
from model.rehearsal import FewSteps, mean_step, rehearse, rehearsed, time_measuring
from model.train import Training
from tests.tiny_data import write_tiny_coco


def config(**values):
    return TrainConfig().with_values({"image_size": 64, "precision": "fp32", **values})


class Given:
    """A mini-batch that takes a time of its own on a clock that is made up."""

    def __init__(self, step):
        self.step = step


class MadeUpLoader:
    """Updates of two mini-batches, five to an epoch; each takes as long as the clock is told."""

    positions = 40
    waited_s = 0.0

    def __init__(self):
        self.given, self.closed = [], 0

    def plan(self, epoch):
        return tuple(MiniBatch(4 * i, 4, 32, 8, i % 2 == 0, i % 2 == 1) for i in range(10))

    def epoch(self, epoch, start):
        try:
            for step in self.plan(epoch):
                self.given.append((epoch, step))
                yield Given(step)
        finally:
            self.closed += 1

    def close(self):
        pass


class Clock:
    now = 0.0

    def perf_counter(self):
        return self.now


@pytest.mark.parametrize(("step_s", "timed"), [(0.001, 20), (0.25, 4), (0.4, 2), (7.0, 1)])
def test_as_many_steps_are_timed_as_take_a_second(monkeypatch, step_s, timed):
    clock, loader = Clock(), MadeUpLoader()
    monkeypatch.setattr(rehearsal, "time", clock)
    few, seen = FewSteps(loader, 2, lambda: None), []
    for batch in few.epoch(0):
        seen.append(batch.step)
        clock.now += 50.0 if len(seen) < 4 else step_s  # the first ones are slow
    assert len(seen) == 4 + timed
    assert seen == list(few.plan(0)[: len(seen)])
    assert few.seconds_a_pixel() == pytest.approx(step_s / (4 * 32**2))
    assert loader.closed == math.ceil(len(seen) / 10)


def test_a_rehearsal_has_the_mini_batches_of_the_training():
    before = config(batch_size=64, subdivisions=16, **{"shapes.range": 1.4, "shapes.every": 1})
    after = rehearsed(before)
    assert fixed_mini_batch(after) == fixed_mini_batch(before) == 4
    real = max(step.size_px for step in plan_epoch(before, 64, 640, 0))
    steps = plan_epoch(after, 64, 640, rehearsal.LATE)
    assert {step.size_px for step in steps} == {real} == {128}
    assert [step.last for step in steps[:4]] == [False, True, False, True]


def test_mean_step_is_that_of_all_epochs():
    shapes = {"shapes.range": 1.4, "shapes.every": 1, "epochs": 4, "batch_size": 8}
    varied = config(**shapes)
    plans = [plan_epoch(varied, 64, 160, epoch) for epoch in range(4)]
    pixels = [step.count * step.size_px**2 for plan in plans for step in plan]
    steps, mean = mean_step(varied, 64, 160)
    assert steps == 20
    assert mean == pytest.approx(sum(pixels) / len(pixels))
    assert mean != 8 * 64**2
    assert mean_step(config(epochs=1, batch_size=8), 64, 160) == (20, 8 * 64**2)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return load_dataset(write_tiny_coco(tmp_path_factory.mktemp("tiny") / "set"))


@pytest.mark.slow
def test_a_training_is_left_as_it_was(dataset, monkeypatch):
    monkeypatch.setattr(rehearsal, "MOST_STEPS", 2)
    real = config(batch_size=4, **{"sat.kind": "fgsm", "sat.probability": 0.5})
    training = Training(rehearsed(real), dataset)
    loader, own = training.train_loader, training.config
    before = {name: value.clone() for name, value in training.network.named_parameters()}
    paces, attacks = [], []
    attack, pace = train_module.attack, rehearsal._pace
    monkeypatch.setattr(
        train_module, "attack", lambda *given, **more: attacks.append(1) or attack(*given, **more)
    )

    def noted(training):
        attacks.clear()
        paces.append((pace(training), len(attacks)))
        return paces[-1][0]

    monkeypatch.setattr(rehearsal, "_pace", noted)
    seconds = rehearse(training, real)
    assert training.train_loader is loader
    assert training.config == own
    for name, value in training.network.named_parameters():
        assert (value - before[name]).abs().max() < 1e-5, name
    assert training.optimizer.state  # momentum is there, and its memory
    (plain, attacked) = paces
    assert plain[1] == 0
    assert attacked[1] > 0
    assert seconds == pytest.approx(0.55 * plain[0] + 0.45 * attacked[0])  # warm-up is a tenth


@pytest.mark.slow
def test_measuring_is_timed_when_the_pictures_are_read(dataset):
    training = Training(rehearsed(config(batch_size=4)), dataset)
    report, seconds = time_measuring(training)
    assert 0 < seconds < 60
    assert 0 <= report.metrics["AP"] <= 1
