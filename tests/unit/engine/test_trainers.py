"""The trainer of the engines: its task decides what is trained."""

import json

import pytest
import torch

from evolve.engine import trainers
from evolve.engine.trainers import get_trainer, shared_class_data, shared_data
from evolve.engine.trial import TrialTask, run_trial
from evolve.errors import EvolveError
from model.config import TrainConfig
from model.data.cache import ImageCache
from model.data.shared_cache import SharedCache
from model.errors import Halted
from model.halt import Halt
from tests.tiny_data import write_tiny_coco

CLASSIFY = {"task": "classify", "model": "csdarknet53-nano", "image_size": 64, "batch_size": 4,
            "epochs": 2, "precision": "fp32"}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_tiny_coco(tmp_path_factory.mktemp("tiny") / "set")


@pytest.mark.slow
def test_a_trial_may_train_a_classifier(data, tmp_path):
    config = TrainConfig().with_values(CLASSIFY).to_dict()
    task = TrialTask(5, str(tmp_path / "t"), config, str(data), "top1", "detector", 0, 1)
    before = torch.get_num_threads()
    rows = list(run_trial(task))
    torch.set_num_threads(before)
    assert [row["epoch"] for row in rows] == [1, 2]
    assert rows[-1]["objective"] == rows[-1]["metrics"]["top1"]
    assert set(rows[-1]["class_ap"]) == {"red", "green"}
    lines = (tmp_path / "t" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["metrics"]["top5"] == 1
    assert (tmp_path / "t" / "detections.json.gz").is_file()


def test_the_task_decides(data, monkeypatch):
    seen = []
    monkeypatch.setattr(trainers, "train_detector", lambda config, *_, **__: seen.append(config))
    monkeypatch.setattr(trainers, "train_classifier", lambda *_, **__: seen.append(0))
    train = get_trainer("detector")
    config = TrainConfig()
    train(config, data, data_seed=0, resume=None)
    train(config.with_values(CLASSIFY), data, data_seed=0, resume=None)
    assert seen == [config, 0]


def test_a_failure_of_the_data_is_typed(tmp_path):
    config = TrainConfig().with_values(CLASSIFY).to_dict()
    task = TrialTask(
        1, str(tmp_path / "t"), config, str(tmp_path / "no"), "top1", "detector", 0, 1
    )
    before = torch.get_num_threads()
    (row,) = run_trial(task)
    torch.set_num_threads(before)
    assert row["failure"]["type"] == "data"


def test_data_are_read_once(data):
    assert shared_data(data, 0) is shared_data(data, 0)
    assert shared_class_data(data, 0) is shared_class_data(data, 0)


@pytest.mark.parametrize("values", [{}, CLASSIFY])
def test_pictures_lie_where_workers_reach_them(data, values):
    """Trials of one process share them; a cache with a lock could not be sent to a worker."""
    alone = TrainConfig().with_values(values | {"data.workers": 0})
    helped = TrainConfig().with_values(values | {"data.workers": 2})
    first, second = (trainers._cache_for(alone, data, 0, 128) for _ in range(2))
    assert isinstance(first, ImageCache)
    assert first is second
    shared = trainers._cache_for(helped, data, 0, 128)
    assert isinstance(shared, SharedCache)
    assert len(shared._places) == 12


@pytest.mark.slow
@pytest.mark.parametrize("task", ["detect", "classify"])
def test_a_trainer_is_halted_and_continued(data, tmp_path, task):
    own = CLASSIFY if task == "classify" else {"image_size": 64, "batch_size": 4}
    config = TrainConfig().with_values(own | {"epochs": 1})
    train, asked = get_trainer("detector"), []
    halt = Halt(lambda: bool(asked) or bool(asked.append(1)), tmp_path / "halt.pt")
    with pytest.raises(Halted) as caught:
        next(train(config, data, data_seed=0, resume=None, halt=halt))
    assert (caught.value.epoch, caught.value.done) == (0, 1)
    (report,) = train(config, data, data_seed=0, resume=halt.path)
    (straight,) = train(config, data, data_seed=0, resume=None)
    assert report.metrics["loss"] == straight.metrics["loss"]


def test_unknown_trainers_are_named():
    with pytest.raises(EvolveError, match="no such trainer: 'detektor'"):
        get_trainer("detektor")
