"""Settings that change during a training: as if it had been stopped there and continued."""

import itertools

import pytest
import torch

from model.checkpoint import load_checkpoint, save_checkpoint
from model.config import TrainConfig
from model.data.classes import load_class_data
from model.data.coco import load_dataset
from model.detect import load_detector
from model.errors import CheckpointError, ConfigurationError
from model.train import Training
from tests.thorough import quick
from tests.tiny_data import write_tiny_coco
from tests.unit.model.undisturbed import SMALL, assert_same, numbers, straight, trained


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_coco(tmp_path_factory.mktemp("tiny") / "set")


@pytest.fixture(scope="module")
def dataset(folder):
    return load_dataset(folder)


pytestmark = pytest.mark.usefixtures("one_thread")


def tiny(values=None):
    plain = {"image_size": 64, "batch_size": 4, "epochs": 3, "precision": "fp32"}
    return TrainConfig().with_values({"model": SMALL} | plain | (values or {}))


def without_config(state):
    return {key: value for key, value in state.items() if key != "config"}


def by_hand(config, changed, dataset, path):
    """Train an epoch, save it, and go on with other settings: what a change must equal.

    Neither `changes` nor the check of checkpoints has a part in it.
    """
    report = next(trained(config, dataset))
    first = numbers(report)
    report.save(path)
    state = load_checkpoint(path)
    groups = state["optimizer"]["param_groups"]
    for group, decay in zip(groups, (changed.optimizer.weight_decay, 0.0), strict=True):
        group |= {"momentum": changed.optimizer.momentum, "weight_decay": decay}
    state["config"] = changed.to_dict()
    save_checkpoint(path, {k: v for k, v in state.items() if k != "format"})
    rest, whole = straight(changed, dataset, resume=path)
    return [first, *rest], whole


VALUES = [
    {"optimizer.lr": 0.008, "optimizer.clip_norm": 0.5},
    {"optimizer.momentum": 0.5, "optimizer.weight_decay": 0.05},
    {"schedule.kind": "constant", "schedule.warmup": 0.0},
    {"loss.box": "giou", "loss.obj_normalizer": 0.5, "loss.label_smoothing": 0.1},
    {"loss.class_counters": True, "loss.ohem": 20},
    {"augment.mosaic": 0.0, "augment.flip": 0.0, "augment.grid_mask.probability": 1.0},
    {"sat.kind": "fgsm", "sat.probability": 1.0},
    {"ema.decay": 0.05},
    {"bn_momentum": 0.5},
    {"nms.kind": "soft", "nms.iou_threshold": 0.3},
]


@pytest.fixture(scope="module")
def unchanged(dataset):
    """Numbers of every epoch of the plain training."""
    return straight(tiny(), dataset)[0]


@pytest.mark.slow
@pytest.mark.parametrize("values", VALUES, ids=str)
def test_a_change_equals_going_on_with_other_settings(dataset, unchanged, tmp_path, values):
    plain = tiny()
    expected, whole = by_hand(plain, plain.with_values(values), dataset, tmp_path / "last.pt")
    config = tiny({"changes": {1: values}})
    found, state = straight(config, dataset)
    assert found == expected
    assert_same(without_config(state), without_config(whole))
    assert TrainConfig.model_validate(state["config"]) == config
    assert found[1:] != unchanged[1:], "it changes nothing"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("start", "values"),
    quick(
        2,
        [
            ({"drop.kind": "dropout"}, {"drop.probability": 0.7}),
            ({"anchors": "optimised", "precision": "bf16"}, {"loss.iou_normalizer": 0.5}),
            (
                {"drop.kind": "dropblock", "drop.probability": 0.3},
                {"drop.block": 0.5, "drop.ramp": 0},
            ),
            ({"model": "yolov4-nano", "drop.kind": "path"}, {"drop.probability": 0.5}),
            (
                {"model": "yolov4-nano", "norm": "cmbn", "subdivisions": 2},
                {"bn_momentum": 0.9, "optimizer.lr": 0.01},
            ),
            ({"data.workers": 1}, {"augment.mosaic": 0.0}),
            ({"data.backend": "device"}, {"augment.mosaic": 0.0, "augment.hue": 0.3}),
        ],
    ),
    ids=str,
)
def test_whatever_the_training_is_like(dataset, tmp_path, start, values):
    plain = tiny(start)
    expected, whole = by_hand(plain, plain.with_values(values), dataset, tmp_path / "last.pt")
    found, state = straight(tiny(start | {"changes": {1: values}}), dataset)
    assert found == expected
    assert_same(without_config(state), without_config(whole))
    assert found[1:] != straight(plain, dataset)[0][1:], "it changes nothing"


@pytest.mark.slow
def test_a_teachers_share_changes(dataset, tmp_path):
    next(trained(tiny({"seed": 5}), dataset)).save_weights(tmp_path / "teacher.pt")
    plain = tiny({"distill.teacher": str(tmp_path / "teacher.pt"), "distill.iou": 0.0})
    values = {"distill.weight": 0.9, "distill.iou": 0.01}
    expected, _ = by_hand(
        Training(plain, dataset, device="cpu").config,
        Training(plain.with_values(values), dataset, device="cpu").config,
        dataset,
        tmp_path / "last.pt",
    )
    changed = plain.with_values({"changes": {1: values}})
    assert straight(changed, dataset)[0] == expected
    (tmp_path / "last.pt").unlink()
    reports = trained(changed, dataset)
    next(reports)
    (tmp_path / "teacher.pt").unlink()  # it is read once
    assert numbers(next(reports)) == expected[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    "values",
    quick(1, [{"augment.cutmix": 1.0}, {"optimizer.lr": 0.01}, {"loss.label_smoothing": 0.3}]),
    ids=str,
)
def test_a_classifier_changes_as_well(folder, tmp_path, values):
    data = load_class_data(folder)
    plain = tiny({"task": "classify", "model": "csdarknet53-nano"})
    expected, whole = by_hand(plain, plain.with_values(values), data, tmp_path / "last.pt")
    found, state = straight(plain.with_values({"changes": {1: values}}), data)
    assert found == expected
    assert_same(without_config(state), without_config(whole))
    assert found[1:] != straight(plain, data)[0][1:]


@pytest.fixture(scope="module")
def twice(dataset):
    """A training of four epochs that changes after the first and after the third."""
    config = tiny({"epochs": 4, "changes": {
        1: {"optimizer.lr": 0.01, "augment.mosaic": 0.0},
        3: {"optimizer.lr": 0.001, "optimizer.momentum": 0.5, "loss.box": "iou"},
    }})  # fmt: skip
    return config, straight(config, dataset)


@pytest.mark.slow
@pytest.mark.parametrize("stop", [1, 2, 3])
def test_it_resumes_before_between_and_after_changes(dataset, twice, tmp_path, stop):
    config, (expected, whole) = twice
    first = []
    for report in itertools.islice(trained(config, dataset), stop):
        first.append(numbers(report))
        report.save(tmp_path / "last.pt")
    torch.manual_seed(999)
    rest, state = straight(config, dataset, resume=tmp_path / "last.pt")
    assert first + rest == expected
    assert_same(state, whole)


@pytest.mark.slow
@pytest.mark.parametrize("stop", [1, 3])
def test_a_checkpoint_goes_on_with_changes_that_it_did_not_know(dataset, twice, tmp_path, stop):
    """As population-based training does it: the history agrees, what follows is new."""
    config, (expected, whole) = twice
    known = {epoch: values for epoch, values in config.changes.items() if epoch < stop}
    before = config.with_values({"changes": known})
    for report in itertools.islice(trained(before, dataset), stop):
        report.save(tmp_path / "last.pt")
    rest, state = straight(config, dataset, resume=tmp_path / "last.pt")
    assert rest == expected[stop:]
    assert_same(state, whole)


@pytest.mark.slow
def test_a_checkpoint_of_another_history_is_refused(dataset, tmp_path):
    config = tiny({"changes.1.optimizer.lr": 0.01})
    for report in itertools.islice(trained(config, dataset), 2):
        report.save(tmp_path / "last.pt")
    others = [{"changes": {}}, {"changes.1.optimizer.lr": 0.02}, {"changes.1.augment.mosaic": 0},
              {"optimizer.lr": 0.1}, {"seed": 1}]  # fmt: skip
    for values in others:
        with pytest.raises(CheckpointError, match="another configuration or data set"):
            next(trained(config.with_values(values), dataset, resume=tmp_path / "last.pt"))
    later = config.with_values({"changes.2.optimizer.lr": 0.02})
    assert next(trained(later, dataset, resume=tmp_path / "last.pt")).epoch == 3


def test_settings_of_the_other_task_are_refused_in_changes(dataset, folder):
    with pytest.raises(ConfigurationError, match=r"changes\.1\.augment\.cutmix = 0\.5") as caught:
        next(trained(tiny({"changes.1.augment.cutmix": 0.5}), dataset))
    assert "changes.1.augment.cutmix = 0.0" in caught.value.mend
    config = tiny({"task": "classify", "model": "csdarknet53-nano", "changes.2.sat.kind": "fgsm"})
    with pytest.raises(ConfigurationError, match=r"only a detector has changes\.2\.sat\.kind"):
        next(trained(config, load_class_data(folder)))


@pytest.mark.slow
def test_weights_are_used_as_they_were_measured(dataset, tmp_path):
    """After an epoch the settings still hold that it was trained with."""
    reports = trained(tiny({"changes.1.nms.kind": "diou"}), dataset)
    for expected in ("greedy", "diou", "diou"):
        report = next(reports)
        assert report._training.protocol("val")["nms"]["kind"] == expected
        report.save_weights(tmp_path / "best.pt")
        found = load_detector(tmp_path / "best.pt", "cpu").config
        assert (found.nms.kind, found.changes) == (expected, {})


@pytest.mark.slow
def test_checkpoints_of_format_1_are_continued(dataset, tmp_path):
    """As they were written before there were changes and halts."""
    expected, whole = straight(tiny(), dataset)
    next(trained(tiny(), dataset)).save(tmp_path / "last.pt")
    state = load_checkpoint(tmp_path / "last.pt")
    assert "part" not in state
    assert "changes" not in state["config"]
    torch.save(state | {"format": 1}, tmp_path / "last.pt")
    rest, again = straight(tiny(), dataset, resume=tmp_path / "last.pt")
    assert rest == expected[1:]
    assert_same(again, whole)
