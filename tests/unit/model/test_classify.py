"""The training of a classifier, on the crops of a dozen pictures of 64 px."""

import itertools
import re

import numpy as np
import pytest
import torch

from model.class_targets import cross_entropy
from model.classifier import evaluate_classes, is_classifier, load_classifier
from model.classify import (
    ClassTraining,
    class_image_size,
    fit_classifier,
    resolve_classifier,
)
from model.config import TrainConfig
from model.data.classes import ClassDataset, ClassSample, load_class_data
from model.data.coco import ImageRecord
from model.detect import load_detector
from model.errors import CheckpointError, ConfigurationError, DataError, Diverged
from model.recipes import baseline
from model.tasks import check_task
from model.train import fit
from tests.thorough import quick
from tests.tiny_data import write_tiny_coco

TIMES = ("images_per_s", "train_time_s", "eval_time_s", "wait_share")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = write_tiny_coco(tmp_path_factory.mktemp("tiny") / "set", {"train": 12, "val": 6})
    return load_class_data(folder)


pytestmark = pytest.mark.usefixtures("one_thread")


def tiny(**values):
    plain = {"task": "classify", "model": "csdarknet53-nano", "image_size": 64, "batch_size": 4,
             "epochs": 2, "precision": "fp32"}  # fmt: skip
    named = {name.replace("__", "."): value for name, value in values.items()}
    return TrainConfig().with_values(plain | named)


def numbers(report):
    return {k: v for k, v in report.metrics.items() if k not in TIMES} | report.class_ap


@pytest.fixture(scope="module")
def straight(dataset):
    """Four epochs in one go: numbers of every epoch, and the last report."""
    reports = list(fit_classifier(tiny(epochs=4), dataset, device="cpu"))
    return [numbers(r) for r in reports], reports[-1]


@pytest.mark.slow
def test_two_and_two_epochs_equal_four(dataset, straight, tmp_path):
    expected, last = straight
    first = []
    for report in itertools.islice(fit_classifier(tiny(epochs=4), dataset, device="cpu"), 2):
        first.append(numbers(report))
        report.save(tmp_path / "last.pt")
    torch.manual_seed(999)
    rest = list(fit_classifier(tiny(epochs=4), dataset, device="cpu", resume=tmp_path / "last.pt"))
    assert [r.epoch for r in rest] == [3, 4]
    assert first + [numbers(r) for r in rest] == expected
    ours, theirs = rest[-1]._training, last._training
    for mine, other in zip(
        (*ours.network.state_dict().values(), *ours.ema.network.state_dict().values()),
        (*theirs.network.state_dict().values(), *theirs.ema.network.state_dict().values()),
        strict=True,
    ):
        assert torch.equal(mine, other)


@pytest.mark.slow
@pytest.mark.parametrize(
    "values",
    quick(
        2,
        [
            {"model": "csresnext50-nano", "augment__cutmix": 0.5, "augment__mixup": 0.5},
            {"drop__kind": "dropblock", "augment__mosaic": 1.0, "augment__mosaic_images": 9},
            {"norm": "cmbn", "subdivisions": 2, "loss__label_smoothing": 0.1},
            {"data__workers": 1, "precision": "bf16", "backbone__activation": "mish"},
        ],
    ),
    ids=str,
)
def test_every_kind_of_state_resumes(dataset, tmp_path, values):
    config, losses = tiny(epochs=3, **values), []
    for report in fit_classifier(config, dataset, device="cpu"):
        losses.append(report.metrics["loss"])
        if report.epoch == 1:
            report.save(tmp_path / "last.pt")
    resumed = fit_classifier(config, dataset, device="cpu", resume=tmp_path / "last.pt")
    assert [report.metrics["loss"] for report in resumed] == losses[1:]


@pytest.mark.slow
def test_another_seed_gives_other_numbers(dataset, straight):
    other = next(fit_classifier(tiny(epochs=4, seed=1), dataset, device="cpu"))
    assert other.metrics["loss"] != straight[0][0]["loss"]


def test_report(straight, dataset):
    _, last = straight
    assert (last.epoch, last.epochs) == (4, 4)
    assert set(last.metrics) == {"top1", "top5", "loss", "lr", *TIMES}
    assert set(last.class_ap) == {"red", "green"}
    labels = np.array([sample.label for sample in dataset.splits["val"]])
    shares = {"red": (labels == 0).mean(), "green": (labels == 1).mean()}
    weighted = sum(last.class_ap[name] * share for name, share in shares.items())
    assert last.metrics["top1"] == pytest.approx(weighted)
    assert last.metrics["top5"] == 1


@pytest.mark.slow
def test_learns_two_colours(dataset):
    """Red and green boxes are told apart."""
    config = tiny(epochs=20, augment__mosaic=0, ema__decay=0, optimizer__lr=0.02, augment__hue=0)
    top1 = [report.metrics["top1"] for report in fit_classifier(config, dataset, device="cpu")]
    assert top1[-1] == 1


@pytest.mark.slow
def test_a_batch_larger_than_the_data_is_filled(dataset):
    few = ClassDataset(**(vars(dataset) | {
        "splits": {name: part[:3] for name, part in dataset.splits.items()}}))  # fmt: skip
    config = tiny(batch_size=16, epochs=1, subdivisions=4)
    training = ClassTraining(config, few, device="cpu")
    training.train_epoch()
    assert training.train_loader.positions == 16
    assert training.ema.updates == 1


@pytest.mark.slow
def test_the_device_may_paint(dataset):
    """The same images as OpenCV's, within rounding."""
    ours = ClassTraining(tiny(), dataset, device="cpu")
    theirs = ClassTraining(tiny(data__backend="device"), dataset, device="cpu")
    batch, painted = (next(one.train_loader.epoch(0)) for one in (ours, theirs))
    difference = np.abs(batch.images.astype(int) - painted.images.numpy())
    assert difference.mean() < 0.5
    np.testing.assert_array_equal(batch.targets, painted.targets)
    assert theirs.train_epoch()["loss"] == pytest.approx(ours.train_epoch()["loss"], rel=0.05)


def test_loss_is_the_mean_over_the_whole_batch(dataset):
    training = ClassTraining(tiny(subdivisions=2, augment__mosaic=0), dataset, device="cpu")
    training.network.eval()
    batch = next(training.train_loader.epoch(0))
    assert len(batch.targets) == 2
    loss = training._loss_of(batch, 0, 0.0)
    assert loss.box == loss.objectness == 0
    with torch.no_grad():
        logits = training.network(torch.from_numpy(batch.images).float() / 255)
    single = torch.nn.functional.cross_entropy(logits, torch.from_numpy(batch.targets))
    assert loss.total.item() == pytest.approx(float(single) / 2, rel=1e-5)


@pytest.mark.slow
def test_diverges_at_once(dataset):
    wild = tiny(optimizer__lr=1e9, optimizer__clip_norm=0, schedule__warmup=0, epochs=4)
    with pytest.raises(Diverged, match=r"is not finite|exploded") as caught:
        list(fit_classifier(wild, dataset, device="cpu"))
    assert caught.value.where.startswith("epoch 1, step")


def test_resume_from_another_configuration_is_refused(straight, dataset, tmp_path):
    straight[1].save(tmp_path / "last.pt")
    with pytest.raises(CheckpointError, match="another configuration or data set"):
        next(fit_classifier(tiny(epochs=5), dataset, device="cpu", resume=tmp_path / "last.pt"))


@pytest.mark.parametrize(
    ("values", "what", "mend"),
    [
        ({"sat__kind": "fgsm"}, "only a detector has sat.kind = fgsm", "sat.kind = none"),
        ({"loss__ohem": 8}, "only a detector has loss.ohem = 8", "loss.ohem = 0"),
        ({"batch_policy": "dynamic"}, "batch_policy = dynamic", "batch_policy = fixed"),
        ({"neck__asff": True, "anchors": "optimised"},
         "only a detector has anchors = optimised, neck.asff = True",
         "anchors = auto, neck.asff = False"),
        ({"loss__focal": True, "loss__label_smoothing": 0.1},
         "only a detector has loss.focal = True", "loss.focal = False"),
        ({"task": "detect"}, "this configuration is for a detector", "set task to classify"),
    ],
    ids=str,
)  # fmt: skip
def test_settings_of_detectors_are_refused(values, what, mend):
    with pytest.raises(ConfigurationError, match=re.escape(what)) as caught:
        check_task(tiny(**values), "classify")
    assert mend in caught.value.mend


def test_the_baseline_of_classifiers_is_taken():
    check_task(baseline("classify"), "classify")


@pytest.mark.parametrize(
    ("sides", "expected"), [((10, 20), 64), ((100, 300), 96), ((400, 900), 256)]
)
def test_size_follows_the_shorter_sides(sides, expected):
    record = ImageRecord(1, "a", None, *sides, *(np.zeros(0),) * 4)
    assert class_image_size([ClassSample(record, 0)] * 3) == expected
    assert class_image_size([ClassSample(record, 0, (0, 0, 80, 60))] * 3) == 64


def test_size_is_settled_for_the_data(dataset):
    assert resolve_classifier(tiny(image_size="auto"), dataset).image_size == 64


def test_a_checkpoint_is_read_and_measured_again(straight, dataset, tmp_path):
    path = tmp_path / "best.pt"
    straight[1].save_weights(path)
    assert is_classifier(path)
    classifier = load_classifier(path, "cpu")
    assert classifier.classes == ("red", "green")
    scores = evaluate_classes(classifier, dataset, "val", batch_size=5)
    assert scores.metrics["top1"] == straight[1].metrics["top1"]
    assert scores.class_recall == straight[1].class_ap
    with pytest.raises(DataError, match="the data have no 'test' split"):
        evaluate_classes(classifier, dataset, "test")
    other = ClassDataset(**(vars(dataset) | {"classes": ("green", "red")}))
    with pytest.raises(DataError, match="the classifier knows 2 classes"):
        evaluate_classes(classifier, other, "val")


def test_a_classifier_is_no_detector(straight, tmp_path):
    path = tmp_path / "best.pt"
    straight[1].save_weights(path)
    with pytest.raises(CheckpointError, match=r"this is a classifier \(csdarknet53-nano\)"):
        load_detector(path, "cpu")


def test_a_torn_classifier_is_refused(straight, tmp_path):
    path = tmp_path / "best.pt"
    straight[1].save_weights(path)
    state = torch.load(path, weights_only=True)
    state["weights"].pop("predict.bias")
    torch.save(state, path)
    with pytest.raises(CheckpointError, match=r"'predict.bias' is missing"):
        load_classifier(path, "cpu")


@pytest.mark.slow
def test_a_detector_starts_from_its_backbone(straight, tmp_path):
    """Other activations are told of; a detector is no classifier."""
    from model.data.coco import load_dataset
    from model.train import Training

    path = tmp_path / "best.pt"
    straight[1].save_weights(path)
    found = load_dataset(write_tiny_coco(tmp_path / "set"))
    config = TrainConfig().with_values(
        {"image_size": 64, "batch_size": 4, "epochs": 1, "backbone.weights": str(path),
         "backbone.activation": "leaky"}
    )  # fmt: skip
    backbone = Training(config, found, device="cpu").network.backbone
    trained = straight[1]._training.ema.network.backbone
    for ours, theirs in zip(
        backbone.state_dict().values(), trained.state_dict().values(), strict=True
    ):
        assert torch.equal(ours, theirs)
    report = next(fit(config, found, device="cpu"))
    report.save_weights(tmp_path / "detector.pt")
    assert not is_classifier(tmp_path / "detector.pt")
    with pytest.raises(CheckpointError, match=r"this is a detector \(yolov4-nano\)"):
        load_classifier(tmp_path / "detector.pt")


def test_a_classifier_starts_from_a_backbone(straight, dataset, tmp_path):
    path = tmp_path / "best.pt"
    straight[1].save_weights(path)
    training = ClassTraining(tiny(backbone__weights=str(path), seed=5), dataset, device="cpu")
    trained = straight[1]._training.ema.network
    ours, theirs = training.network.state_dict(), trained.state_dict()
    name = next(iter(ours))
    assert torch.equal(ours[name], theirs[name])
    assert not torch.equal(ours["predict.weight"], theirs["predict.weight"])
    assert len(training.config.backbone.weights_sha256) == 64


def test_a_teacher_refines_the_targets(straight, dataset, tmp_path):
    path = tmp_path / "best.pt"
    straight[1].save_weights(path)
    config = tiny(distill__teacher=str(path), distill__weight=0.25, loss__label_smoothing=0.1)
    training = ClassTraining(config, dataset, device="cpu")
    batch = next(training.train_loader.epoch(0))
    images = torch.from_numpy(batch.images).float() / 255
    with torch.no_grad():
        told = straight[1]._training.ema.network(images).softmax(dim=1)
    mix = 0.75 * torch.from_numpy(batch.targets) + 0.25 * told
    expected = 0.9 * mix + 0.1 * (1 - mix)
    wanted = training._wanted(images, torch.from_numpy(batch.targets))
    torch.testing.assert_close(wanted, expected, atol=1e-5, rtol=0)
    logits = training.network.eval()(images)
    loss = training._loss_of(batch, 0, 0.0).total.item()
    assert loss == pytest.approx(cross_entropy(logits, expected, 4).item(), rel=1e-4)


def test_a_teacher_of_other_classes_is_refused(straight, dataset, tmp_path):
    path = tmp_path / "best.pt"
    straight[1].save_weights(path)
    other = ClassDataset(**(vars(dataset) | {"classes": ("blue", "green")}))
    with pytest.raises(ConfigurationError, match="tells 2 classes"):
        ClassTraining(tiny(distill__teacher=str(path)), other, device="cpu")
    with pytest.raises(ConfigurationError, match="no such file"):
        ClassTraining(tiny(distill__teacher=str(tmp_path / "gone.pt")), dataset, device="cpu")


def test_a_teacher_that_changed_is_refused(straight, dataset, tmp_path):
    path = tmp_path / "best.pt"
    straight[1].save_weights(path)
    config = tiny(distill__teacher=str(path), distill__teacher_sha256="0" * 64)
    with pytest.raises(ConfigurationError, match="is not the file whose digest is 000000000000"):
        ClassTraining(config, dataset, device="cpu")
