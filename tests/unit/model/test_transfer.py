"""Starting from the backbone of another network."""

import hashlib
import logging

import pytest
import torch

from model.build import build_classifier, build_detector, build_from_config
from model.checkpoint import save_checkpoint
from model.config import TrainConfig
from model.errors import CheckpointError, ConfigurationError
from model.files import file_sha256
from model.recipes import baseline
from model.transfer import check_buildable, load_backbone, weights_digest

NANO = "csdarknet53-nano"


def write(path, network, **values):
    config = TrainConfig().with_values(values)
    save_checkpoint(
        path, {"config": config.to_dict(), "classes": ["a"], "weights": network.state_dict()}
    )
    return path


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """A checkpoint of a classifier with statistics of its own, and its backbone."""
    torch.manual_seed(1)
    network = build_classifier(NANO, 1)
    network(torch.rand(2, 3, 64, 64))
    path = tmp_path_factory.mktemp("classifier") / "best.pt"
    return write(path, network, task="classify", model=NANO), network.backbone


def detector(name="yolov4-nano", **options):
    torch.manual_seed(2)
    return build_detector(name, 1, **options)


def assert_equal(ours, theirs):
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


def test_a_classifier_gives_weights_and_statistics(classifier):
    path, backbone = classifier
    network = detector()
    neck = {name: tensor.clone() for name, tensor in network.neck.state_dict().items()}
    assert load_backbone(network, path) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert_equal(network.backbone.state_dict(), backbone.state_dict())
    assert float(network.backbone.stem.norm.running_mean.abs().sum()) > 0
    assert_equal(network.neck.state_dict(), neck)


def test_a_detector_gives_its_backbone(tmp_path):
    config = {"model": "yolov4-nano", "backbone.activation": "relu"}
    teacher = build_from_config(TrainConfig().with_values(config), 1)
    network = detector(backbone={"activation": "relu"}, neck={"fusion": "bifpn"}, norm="cmbn")
    load_backbone(network, write(tmp_path / "best.pt", teacher, **config))
    assert_equal(network.backbone.state_dict(), teacher.backbone.state_dict())


def test_other_activations_are_told_and_taken(classifier, caplog):
    with caplog.at_level(logging.WARNING):
        load_backbone(detector(), classifier[0])
    (record,) = caplog.records
    assert "was trained with leaky activations and goes on with mish" in record.message


def test_equal_activations_are_not_worth_a_word(classifier, caplog):
    with caplog.at_level(logging.WARNING):
        load_backbone(detector(backbone={"activation": "leaky"}), classifier[0])
    assert not caplog.records


def test_a_configuration_of_another_version_does_no_harm(classifier, tmp_path):
    state = {"config": {"colour": 1}, "weights": {}}
    state["weights"] = torch.load(classifier[0], weights_only=True)["weights"]
    save_checkpoint(tmp_path / "best.pt", state)
    network = detector()
    load_backbone(network, tmp_path / "best.pt")
    assert_equal(network.backbone.state_dict(), classifier[1].state_dict())


@pytest.mark.parametrize(
    ("name", "options", "what"),
    [
        ("yolov4-small", {}, r"stem\.conv\.weight is \d+x3x3x3 there and \d+x3x3x3 here; .*;"),
        ("yolov3-spp-nano", {}, r"is missing there"),
        ("yolov4-nano", {"norm": "frn"}, r"is missing there"),
        ("yolov4-nano", {"backbone": {"attention": "se"}}, r"is missing there"),
    ],
)
def test_what_does_not_fit_is_named(classifier, name, options, what):
    network = detector(name, **options)
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    with pytest.raises(ConfigurationError, match=what) as caught:
        load_backbone(network, classifier[0])
    assert caught.value.where == "backbone.weights"
    assert NANO in caught.value.mend
    assert_equal(network.state_dict(), before)


def test_what_has_no_place_is_named(tmp_path):
    network = build_classifier(NANO, 1, backbone={"attention": "se"})
    path = write(tmp_path / "best.pt", network, model=NANO, task="classify")
    with pytest.raises(ConfigurationError, match=r"has no place here"):
        load_backbone(detector(), path)


def test_another_file_is_refused(classifier):
    path, _ = classifier
    load_backbone(detector(), path, sha256=file_sha256(path))
    with pytest.raises(ConfigurationError, match=r"the file has changed: .*, not 0000"):
        load_backbone(detector(), path, sha256="0" * 64)


def test_no_file_and_no_backbone(tmp_path):
    with pytest.raises(ConfigurationError, match=r"no such file: .*gone\.pt") as caught:
        weights_digest(tmp_path / "gone.pt", "distill.teacher")
    assert caught.value.where == "distill.teacher"
    save_checkpoint(tmp_path / "bare.pt", {"weights": {"head.bias": torch.zeros(1)}})
    with pytest.raises(CheckpointError, match=r"holds no backbone"):
        load_backbone(detector(), tmp_path / "bare.pt")


def test_digest_of_a_file(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    published = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2
    assert file_sha256(tmp_path / "abc") == published


def test_what_cannot_be_built_or_started_from_is_refused_without_training():
    detector = TrainConfig(model="yolov4-nano")
    check_buildable(detector, baseline("classify").with_values({"model": "csdarknet53-nano"}))
    with pytest.raises(ConfigurationError, match="of csresnext50-nano does not fit yolov4-nano"):
        check_buildable(detector, baseline("classify"))
    with pytest.raises(ConfigurationError, match="no such model: 'yolov5'"):
        check_buildable(TrainConfig(model="yolov5"))
