import math
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from model.blocks.batch_aware import BatchAware
from model.config import TrainConfig
from model.data.batch_plan import MiniBatch, epoch_positions, plan_epoch
from model.losses import Loss
from model.training import BaseTraining, gains_from_bf16, parameter_groups, pick_device, wants_bf16

CPU = torch.device("cpu")
NOTHING = torch.zeros(())


class Telling(BatchAware):
    """A convolution that writes down what it is told."""

    def __init__(self):
        super().__init__()
        self.told = []
        self.conv = nn.Conv2d(1, 1, 1)

    def begin_batch(self, progress):
        self.told.append(progress)


@dataclass
class Batch:
    step: MiniBatch


class Numbers(BaseTraining):
    """A training without data: the loss of a mini-batch is (weight - 1)^2 for each image."""

    def __init__(self, images=10, **values):
        config = TrainConfig().with_values(
            {"batch_size": 4, "schedule.warmup": 0.0, "ema.decay": 0.0} | values
        )
        super().__init__(config, ("one",), "digest", "cpu")
        self.seen = []
        self.train_loader = SimpleNamespace(
            positions=epoch_positions(config, images),
            plan=lambda epoch: plan_epoch(config, 64, images, epoch),
            epoch=lambda epoch, start: map(Batch, plan_epoch(config, 64, images, epoch)[start:]),
        )
        self._start(Telling())

    def _rebuild(self):
        self._start(Telling())

    def train_epoch(self):
        sums, updates = self._train_epoch()
        return {"loss": sums.sum() / updates}

    def measure(self):
        return lambda numbers: numbers

    def loss(self):
        return (self.network.conv.weight - 1).square().sum()

    def _loss_of(self, batch, index, progress):
        self.seen.append((index, progress))
        return Loss(self.loss() * batch.step.count / batch.step.batch_images, NOTHING, NOTHING)


def test_modules_and_losses_are_told_how_far_it_is():
    training = Numbers(epochs=2, subdivisions=2)
    training._train_epoch()
    training._train_epoch()
    assert training.network.told == [0, 0.25, 0.5, 0.75]
    assert training.seen[:4] == [(0, 0), (1, 0), (2, 0.25), (3, 0.25)]
    assert training.seen[4:] == [(0, 0.5), (1, 0.5), (2, 0.75), (3, 0.75)]
    assert (training.epoch, training.ema.updates) == (2, 4)


def test_an_update_counts_itself_in_the_schedule():
    training = Numbers(epochs=2, **{"schedule.kind": "poly", "schedule.power": 1})
    rates = []
    training.optimizer.register_step_pre_hook(
        lambda optimizer, *_: rates.append(optimizer.param_groups[0]["lr"])
    )
    training._train_epoch()
    training._train_epoch()
    peak = training.config.optimizer.lr
    assert rates == pytest.approx([0.75 * peak, 0.5 * peak, 0.25 * peak, 0])


@pytest.mark.parametrize("subdivisions", [1, 2, 4])
def test_losses_of_mini_batches_add_up_to_those_of_updates(subdivisions):
    training = Numbers(subdivisions=subdivisions, **{"optimizer.lr": 1e-12})
    first = training.loss().item()
    sums, updates = training._train_epoch()
    assert updates == 2
    assert sums / updates == pytest.approx([first, 0, 0])


def test_dynamic_batches_have_as_much_weight_as_others():
    values = {"shapes.range": 2.0, "shapes.every": 1, "batch_policy": "dynamic", "epochs": 9}
    training = Numbers(100, **values, **{"optimizer.lr": 1e-12})
    training._train_epoch()
    plan = training.train_loader.plan(1)
    assert len({step.batch_images for step in plan}) > 1
    sums, updates = training._train_epoch()
    assert updates == len(plan)
    first = training.loss().item()
    assert sums[0] / updates == pytest.approx(first)


@pytest.mark.parametrize(
    ("able", "expected"),
    [({}, False), ({"amx_bf16": True}, True), ({"avx512_bf16": True}, True),
     ({"avx512_f": True, "amx_bf16": False}, False)],
)  # fmt: skip
def test_bf16_where_the_processor_gains(monkeypatch, able, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert gains_from_bf16(CPU) is expected
    assert wants_bf16("auto", CPU) is expected
    assert wants_bf16("bf16", CPU)
    assert not wants_bf16("fp32", CPU)
    assert Numbers(precision="auto").autocast is expected


def test_a_named_device_is_taken():
    assert pick_device("cpu") == CPU
    assert pick_device(torch.device("meta")).type == "meta"


@pytest.mark.parametrize("there", [True, False])
def test_a_gpu_is_taken_where_there_is_one(monkeypatch, there):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert pick_device().type == ("cuda" if there else "cpu")


def test_weight_decay_is_for_convolution_weights_only():
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Conv2d(2, 1, 1, bias=False))
    decayed, rest = parameter_groups(network, 0.25)
    assert (decayed["weight_decay"], rest["weight_decay"]) == (0.25, 0)
    assert [p.ndim for p in decayed["params"]] == [4, 4]
    assert [p.ndim for p in rest["params"]] == [1, 1, 1]


def test_clipping_bounds_the_step():
    training = Numbers(**{"optimizer.clip_norm": 0.5, "optimizer.weight_decay": 0.0, "epochs": 1,
                          "schedule.kind": "constant", "optimizer.momentum": 0.0})  # fmt: skip
    with torch.no_grad():
        training.network.conv.weight.fill_(100.0)
    training._train_epoch()
    moved = 100 - training.network.conv.weight.item()
    assert moved == pytest.approx(2 * 0.5 * training.config.optimizer.lr, rel=1e-2)


def test_state_goes_on_where_it_was():
    ours, theirs = Numbers(epochs=3), Numbers(epochs=3)
    ours._train_epoch()
    state = ours.state_dict({"AP": 0.5})
    assert (state["epoch"], state["metrics"], state["classes"]) == (1, {"AP": 0.5}, ["one"])
    theirs.load_state_dict(state, "last.pt")
    for training in (ours, theirs):
        training._train_epoch()
    assert torch.equal(ours.network.conv.weight, theirs.network.conv.weight)
    assert torch.equal(ours.ema.network.conv.weight, theirs.ema.network.conv.weight)
    assert math.isfinite(ours.network.conv.weight.item())


def test_what_the_configuration_says_of_the_optimiser_holds():
    values = {"optimizer.momentum": 0.5, "optimizer.weight_decay": 0.25}
    ours, theirs = Numbers(epochs=3), Numbers(epochs=3, changes={1: values})
    ours._train_epoch()
    theirs.load_state_dict(ours.state_dict({}), "last.pt")
    assert theirs.optimizer.param_groups[0]["momentum"] == 0.9
    theirs.settle()
    groups = theirs.optimizer.param_groups
    assert [(g["momentum"], g["weight_decay"]) for g in groups] == [(0.5, 0.25), (0.5, 0.0)]
    assert theirs.config.optimizer.momentum == 0.5
    assert theirs.whole.optimizer.momentum == 0.9
    kept = theirs.network
    theirs.settle()
    assert theirs.network is kept


def test_reports_hold_losses_and_times_and_the_loader_is_closed():
    training = Numbers(epochs=3)
    closed = []
    training.train_loader.waited_s = 0.0
    training.train_loader.close = lambda: closed.append(training.epoch)
    reports = training.run()
    first = next(reports)
    assert first.keys() == {
        "loss", "images_per_s", "train_time_s", "eval_time_s", "wait_share",
    }  # fmt: skip
    assert first["images_per_s"] == pytest.approx(8 / first["train_time_s"])
    assert not closed
    assert len(list(reports)) == 2
    assert closed == [3]
