"""Trainings that are halted within an epoch go on as if they had not been, bit for bit."""

import pickle

import numpy as np
import pytest

from model.checkpoint import load_checkpoint, save_checkpoint
from model.config import TrainConfig
from model.data.classes import load_class_data
from model.data.coco import load_dataset
from model.detect import load_detector
from model.errors import CheckpointError, Halted, ModelError
from model.halt import Halt
from model.train import Training
from tests.thorough import quick
from tests.tiny_data import write_tiny_coco
from tests.unit.model.undisturbed import (
    SMALL,
    assert_same,
    halt_at,
    halted,
    numbers,
    straight,
    trained,
)

SHAPES = {"shapes.range": 1.5, "shapes.every": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_coco(tmp_path_factory.mktemp("tiny") / "set")


@pytest.fixture(scope="module")
def dataset(folder):
    return load_dataset(folder)


pytestmark = pytest.mark.usefixtures("one_thread")


def tiny(values=None):
    plain = {"image_size": 64, "batch_size": 2, "epochs": 2, "precision": "fp32"}
    return TrainConfig().with_values({"model": SMALL} | plain | (values or {}))


@pytest.fixture(scope="module")
def expected(dataset):
    return straight(tiny(), dataset)


@pytest.mark.slow
@pytest.mark.parametrize("question", [0, 1, 3, 4, 5, 6, 9])
def test_a_halt_anywhere_changes_nothing(dataset, expected, tmp_path, question):
    """Before the first mini-batch of an epoch, after any of its four updates, also the last."""
    path = tmp_path / "halt.pt"
    first, halt = halted(tiny(), dataset, question, path)
    epoch, done = divmod(question, 5)
    assert (halt.epoch, halt.done, halt.steps, halt.path) == (epoch, done, 4, str(path))
    assert len(first) == epoch
    rest, state = straight(tiny(), dataset, resume=path)
    assert first + rest == expected[0]
    assert_same(state, expected[1])


@pytest.mark.slow
@pytest.mark.parametrize(
    "values",
    quick(
        5,
        [
            {"precision": "bf16", "ema.decay": 0.9, "optimizer.momentum": 0.5},
            {"norm": "cbn"},
            SHAPES | {"batch_policy": "dynamic", "sat.kind": "darknet", "subdivisions": 2},
            {"sat.kind": "fgsm", "schedule.cycle": 0.25, "drop.kind": "dropout"},
            {"changes": {1: {"optimizer.lr": 0.005, "augment.mosaic": 0.1}}},
            {"model": "yolov4-nano", "norm": "cmbn", "subdivisions": 2},
            {"drop.kind": "dropblock-darknet", "drop.probability": 0.3},
            {"head.box": "gaussian", "loss.class_counters": True, "loss.ohem": 20},
            {"data.backend": "device", "augment.mixup": 0.5},
            {"data.workers": 1},
        ],
    ),
    ids=str,
)
def test_every_kind_of_state_survives_a_halt(dataset, tmp_path, values):
    config, path = tiny(values), tmp_path / "halt.pt"
    expected, whole = straight(config, dataset)
    updates = len(
        [s for s in Training(config, dataset, device="cpu").train_loader.plan(0) if s.last]
    )
    first, halt = halted(config, dataset, updates + 1 + 3, path)
    assert (halt.epoch, 0 < halt.done < halt.steps) == (1, True)
    rest, state = straight(config, dataset, resume=path)
    assert first + rest == expected
    assert_same(state, whole)


@pytest.mark.slow
def test_a_taught_training_is_halted_as_well(dataset, tmp_path):
    next(trained(tiny({"seed": 5}), dataset)).save_weights(tmp_path / "teacher.pt")
    config = tiny({"distill.teacher": str(tmp_path / "teacher.pt"), "distill.iou": 0.0,
                   "changes": {1: {"distill.weight": 0.9}}})  # fmt: skip
    expected, whole = straight(config, dataset)
    first, _ = halted(config, dataset, 7, tmp_path / "halt.pt")
    rest, state = straight(config, dataset, resume=tmp_path / "halt.pt")
    assert first + rest == expected
    assert_same(state, whole)


@pytest.mark.slow
@pytest.mark.parametrize(
    "values", quick(1, [{"changes.1.optimizer.lr": 0.01}, {}, {"drop.kind": "dropout"}])
)
def test_a_classifier_is_halted_as_well(folder, tmp_path, values):
    data = load_class_data(folder)
    config = tiny({"task": "classify", "model": "csdarknet53-nano", "loss.label_smoothing": 0.1,
                   "augment.cutmix": 0.5} | values)  # fmt: skip
    expected, whole = straight(config, data)
    steps = len(data.splits["train"]) // 2
    assert steps > 3
    first, halt = halted(config, data, steps + 1 + 2, tmp_path / "halt.pt")
    assert (halt.epoch, halt.done, halt.steps) == (1, 2, steps)
    rest, state = straight(config, data, resume=tmp_path / "halt.pt")
    assert first + rest == expected
    assert_same(state, whole)


@pytest.mark.slow
def test_halts_may_follow_on_each_other(dataset, expected, tmp_path):
    """Each takes its checkpoint's place; one that is wanted at once gives the same again."""
    path, seen, resume = tmp_path / "halt.pt", [], None
    for question, place in [(2, (0, 2)), (0, (0, 2)), (1, (0, 3)), (3, (1, 1)), (2, (1, 3))]:
        before = load_checkpoint(path) if question == 0 else None
        first, halt = halted(tiny(), dataset, question, path, resume)
        assert (halt.epoch, halt.done) == place
        if before is not None:
            assert_same(load_checkpoint(path), before)
        seen, resume = seen + first, path
    rest, state = straight(tiny(), dataset, resume=path)
    assert seen + rest == expected[0]
    assert_same(state, expected[1])


@pytest.mark.slow
def test_images_that_were_trained_on_are_not_made_again(dataset, tmp_path, monkeypatch):
    halted(tiny(), dataset, 3, tmp_path / "halt.pt")
    made = []
    training = Training(tiny(), dataset, device="cpu", resume=tmp_path / "halt.pt")
    plain = training.train_loader.recipe.make
    monkeypatch.setattr(
        training.train_loader.recipe, "make", lambda *at: made.append(at) or plain(*at)
    )
    next(training.run())
    assert made == [(0, 3)]


@pytest.mark.slow
def test_times_of_an_epoch_are_those_of_all_its_parts(dataset, tmp_path):
    path = tmp_path / "halt.pt"
    halted(tiny(), dataset, 3, path)
    state = load_checkpoint(path)
    assert 0 < state["part"]["waited_s"] < state["part"]["trained_s"]
    state["part"] |= {"trained_s": 1000.0, "waited_s": 500.0}
    save_checkpoint(path, {k: v for k, v in state.items() if k != "format"})
    metrics = next(trained(tiny(), dataset, resume=path)).metrics
    assert 1000 < metrics["train_time_s"] < 1100
    assert metrics["images_per_s"] == pytest.approx(8 / metrics["train_time_s"])
    assert 0.4 < metrics["wait_share"] < 0.6


@pytest.mark.slow
def test_nothing_is_asked_while_the_network_is_measured(dataset, tmp_path, monkeypatch):
    measuring, asked = [], []

    def measure(self):
        measuring.append(True)
        give = plain(self)
        measuring.pop()
        return give

    plain = Training.measure
    monkeypatch.setattr(Training, "measure", measure)
    halt = Halt(lambda: bool(asked.append(bool(measuring))), tmp_path / "halt.pt")
    reports = list(trained(tiny({"subdivisions": 2}), dataset, halt=halt))
    assert [numbers(r) for r in reports] == straight(tiny({"subdivisions": 2}), dataset)[0]
    assert asked == [False] * (2 * 5)
    assert not (tmp_path / "halt.pt").exists()


def test_a_finished_training_is_not_halted(dataset, tmp_path):
    config = tiny({"epochs": 1})
    next(trained(config, dataset)).save(tmp_path / "last.pt")
    halt = halt_at(0, tmp_path / "halt.pt")
    assert list(trained(config, dataset, resume=tmp_path / "last.pt", halt=halt)) == []


def test_a_halted_training_leaves_no_worker(dataset, tmp_path):
    config = tiny({"data.workers": 1})
    training = Training(config, dataset, device="cpu")
    with pytest.raises(Halted):
        next(training.run(halt_at(1, tmp_path / "halt.pt")))
    assert training.train_loader._pool is None


def test_a_halt_from_the_start_trains_nothing(dataset, tmp_path):
    _, halt = halted(tiny(), dataset, 0, tmp_path / "halt.pt")
    assert (halt.epoch, halt.done) == (0, 0)
    state = load_checkpoint(tmp_path / "halt.pt")
    assert "part" not in state
    assert state["optimizer"]["state"] == {}


def test_what_is_wrong_within_an_epoch_is_refused(dataset, tmp_path):
    """After a halt the settings of the epoch under way belong to the past."""
    path = tmp_path / "halt.pt"
    halted(tiny({"epochs": 3}), dataset, 6, path)
    state = load_checkpoint(path)
    assert (state["epoch"], state["part"]["done"], state["part"]["updates"]) == (1, 1, 1)
    with pytest.raises(CheckpointError, match="another configuration or data set"):
        next(trained(tiny({"epochs": 3, "changes.1.optimizer.lr": 0.1}), dataset, resume=path))
    next(trained(tiny({"epochs": 3, "changes.2.optimizer.lr": 0.1}), dataset, resume=path))


def test_weights_of_a_halted_training_can_be_used(dataset, tmp_path):
    path = tmp_path / "halt.pt"
    values = {"changes.1.nms.kind": "diou"}
    halted(tiny(values), dataset, 6, path)
    assert load_detector(path, "cpu").config.nms.kind == "diou"
    halted(tiny(values), dataset, 5, path)
    assert load_detector(path, "cpu").config.nms.kind == "greedy"


def test_a_halt_survives_the_way_between_processes():
    halt = Halted("/a/halt.pt", 3, 5, 20)
    again = pickle.loads(pickle.dumps(halt))
    assert isinstance(again, ModelError)
    assert (again.path, again.epoch, again.done, again.steps) == ("/a/halt.pt", 3, 5, 20)
    assert str(again) == str(halt)
    assert "epoch 4, after step 5 of 20" in str(halt)
    assert np.all(again.args == halt.args)
