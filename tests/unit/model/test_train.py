"""The training loop, on eight pictures of 64 px."""

import itertools
import math

import numpy as np
import pytest
import torch

from model.build import build_classifier
from model.checkpoint import save_checkpoint
from model.config import TrainConfig
from model.data.cache import ImageCache
from model.data.coco import Dataset, load_dataset
from model.data.loader import RecipeLoader
from model.errors import CheckpointError, ConfigurationError, Diverged
from model.files import file_sha256
from model.train import Training, fit, resolve
from tests.thorough import quick
from tests.tiny_data import write_tiny_coco
from tests.unit.model.undisturbed import SMALL

TIMES = ("images_per_s", "train_time_s", "eval_time_s", "wait_share")
SHAPES = {"shapes__range": 1.5, "shapes__every": 1}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return load_dataset(write_tiny_coco(tmp_path_factory.mktemp("tiny") / "set"))


pytestmark = pytest.mark.usefixtures("one_thread")


def tiny(**values):
    plain = {"image_size": 64, "batch_size": 4, "epochs": 2, "precision": "fp32"}
    return TrainConfig().with_values(
        plain | {name.replace("__", "."): value for name, value in values.items()}
    )


def small(**values):
    """Where the training is what is looked at, not the network."""
    return tiny(**{"model": SMALL} | values)


def numbers(report):
    kept = {k: v for k, v in report.metrics.items() if k not in TIMES}
    return {k: "nan" if math.isnan(v) else v for k, v in kept.items()}


def assert_same_state(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name


@pytest.fixture(scope="module")
def straight(dataset):
    """Six epochs in one go: numbers of every epoch, and the last report."""
    reports = list(fit(small(epochs=6), dataset, device="cpu"))
    return [numbers(r) for r in reports], reports[-1]


@pytest.mark.slow
def test_three_and_three_epochs_equal_six(dataset, straight, tmp_path):
    expected, last = straight
    config = small(epochs=6)
    first = []
    for report in itertools.islice(fit(config, dataset, device="cpu"), 3):
        first.append(numbers(report))
        report.save(tmp_path / "last.pt")
    torch.manual_seed(999)
    torch.rand(7)
    rest = list(fit(config, dataset, device="cpu", resume=tmp_path / "last.pt"))
    assert [r.epoch for r in rest] == [4, 5, 6]
    assert first + [numbers(r) for r in rest] == expected
    ours, theirs = rest[-1]._training, last._training
    assert_same_state(ours.network.state_dict(), theirs.network.state_dict())
    assert_same_state(ours.ema.network.state_dict(), theirs.ema.network.state_dict())
    for mine, other in zip(
        ours.optimizer.state.values(), theirs.optimizer.state.values(), strict=True
    ):
        assert torch.equal(mine["momentum_buffer"], other["momentum_buffer"])


@pytest.mark.slow
def test_same_seed_same_numbers_and_another_seed_others(dataset, straight):
    again = numbers(next(fit(small(epochs=6), dataset, device="cpu")))
    other = numbers(next(fit(small(epochs=6, seed=1), dataset, device="cpu")))
    assert again == straight[0][0]
    assert other["loss"] != again["loss"]


@pytest.mark.slow
def test_precision_bf16_resumes_as_well(dataset, tmp_path):
    config = small(precision="bf16")
    expected = [numbers(r) for r in fit(config, dataset, device="cpu")]
    next(fit(config, dataset, device="cpu")).save(tmp_path / "last.pt")
    rest = list(fit(config, dataset, device="cpu", resume=tmp_path / "last.pt"))
    assert [numbers(r) for r in rest] == expected[1:]


def test_report(straight):
    _, last = straight
    assert (last.epoch, last.epochs) == (6, 6)
    parts = (last.metrics[f"loss_{part}"] for part in ("box", "obj", "cls"))
    assert last.metrics["loss"] == pytest.approx(sum(parts))
    assert set(last.class_ap) == {"red", "green"}
    assert all(last.metrics[name] > 0 for name in TIMES)
    assert last.metrics["lr"] > 0
    assert last.metrics["wait_share"] < 1


def without_noise(**values):
    """No augmentation, so that two loaders of other mini-batches show the same pictures."""
    still = {"augment__mosaic": 0, "augment__flip": 0, "augment__jitter": 0, "augment__hue": 0,
             "augment__saturation": 1, "augment__exposure": 1}  # fmt: skip
    return tiny(**still, **values)


@pytest.mark.slow
def test_subdivisions_add_up_to_the_gradient_of_the_batch(dataset):
    # With batch statistics the two differ by design (mini-batches are normalised apart, no
    # CmBN), so norms are frozen to their rolling statistics; then gradients agree to rounding.
    gradients, losses = [], []
    for subdivisions in (1, 2):
        training = Training(
            without_noise(subdivisions=subdivisions, optimizer__clip_norm=0), dataset, device="cpu"
        )
        training.network.eval().train = bool  # `train()` does nothing from here on
        caught = []

        def catch(update, training=training, caught=caught):
            caught.append([p.grad.clone() for p in training.network.parameters()])
            training.optimizer.zero_grad()

        training._update = catch
        losses.append(training.train_epoch()["loss"])
        gradients.append(caught)
    assert len(gradients[0]) == len(gradients[1]) == 2
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for whole, halves in zip(gradients[0][0], gradients[1][0], strict=True):
        scale = float(whole.abs().max()) + 1e-6
        torch.testing.assert_close(whole / scale, halves / scale, atol=1e-4, rtol=0)


def test_every_update_takes_all_subdivisions(dataset):
    training = Training(small(subdivisions=4), dataset, device="cpu")
    assert len(training.train_loader.plan(0)) == training.train_loader.positions == 8
    training.train_epoch()
    assert training.ema.updates == 2


def test_resume_from_another_configuration_is_refused(straight, dataset, tmp_path):
    straight[1].save(tmp_path / "last.pt")
    with pytest.raises(CheckpointError, match="another configuration or data set"):
        next(fit(small(epochs=7), dataset, device="cpu", resume=tmp_path / "last.pt"))


def test_resume_with_other_data_is_refused(straight, dataset, tmp_path):
    straight[1].save(tmp_path / "last.pt")
    other = Dataset(**(vars(dataset) | {"digest": "0" * 64}))
    with pytest.raises(CheckpointError, match="another configuration or data set"):
        next(fit(small(epochs=6), other, device="cpu", resume=tmp_path / "last.pt"))


def test_resume_from_weights_alone_is_refused(straight, dataset, tmp_path):
    straight[1].save_weights(tmp_path / "best.pt")
    with pytest.raises(CheckpointError, match="weights alone"):
        next(fit(small(epochs=6), dataset, device="cpu", resume=tmp_path / "best.pt"))


def test_resume_restores_the_random_state(straight, dataset, tmp_path):
    torch.manual_seed(5)
    straight[1].save(tmp_path / "last.pt")
    expected = torch.rand(3)
    list(fit(small(epochs=6), dataset, device="cpu", resume=tmp_path / "last.pt"))
    assert torch.equal(torch.rand(3), expected)


def test_resume_of_a_finished_training_trains_no_more(straight, dataset, tmp_path):
    straight[1].save(tmp_path / "last.pt")
    assert list(fit(small(epochs=6), dataset, device="cpu", resume=tmp_path / "last.pt")) == []


@pytest.mark.slow
def test_diverges_at_once_with_epoch_step_and_part(dataset):
    wild = tiny(optimizer__lr=1e6, optimizer__clip_norm=0, schedule__warmup=0)
    with pytest.raises(Diverged, match=r"is not finite|exploded") as caught:
        list(fit(wild, dataset, device="cpu"))
    assert caught.value.where == "epoch 1, step 2 of 2"
    assert "optimizer.lr" in caught.value.mend


@pytest.mark.slow
@pytest.mark.parametrize(
    "values",
    quick(
        5,
        [
            {"norm": "cbn"},
            {"drop__kind": "dropblock-darknet", "drop__probability": 0.3},
            {"head__box": "gaussian", "loss__gradient": "darknet", "loss__class_counters": True},
            SHAPES | {"batch_policy": "dynamic", "sat__kind": "darknet", "subdivisions": 2},
            {"sat__kind": "fgsm", "schedule__cycle": 0.25, "drop__kind": "dropout"},
            {"model": "yolov4-nano", "norm": "cmbn", "subdivisions": 2},
            {"norm": "frn"},
            {"model": "yolov4-tiny-nano", "anchors": "optimised"},
            {"model": "yolov4-csp-nano", "loss__objectness_smooth": True},
        ],
    ),
    ids=str,
)
def test_every_kind_of_state_resumes(dataset, tmp_path, values):
    config = small(epochs=3, **values)
    straight = []
    for report in fit(config, dataset, device="cpu"):
        straight.append(report.metrics["loss"])
        if report.epoch == 1:
            report.save(tmp_path / "last.pt")
    resumed = fit(config, dataset, device="cpu", resume=tmp_path / "last.pt")
    assert [report.metrics["loss"] for report in resumed] == straight[1:]


@pytest.mark.slow
def test_overfits_four_pictures(tmp_path):
    four = load_dataset(write_tiny_coco(tmp_path / "set", {"train": 4, "val": 4}, seed=3))
    config = without_noise(model=SMALL, epochs=60, optimizer__lr=0.002, ema__decay=0)
    training = Training(config, four, device="cpu")
    losses = [training.train_epoch()["loss"] for _ in range(60)]
    assert losses[-1] < 0.2 * losses[0]


def watched(training):
    """Sizes, anchors in pixels and batches of every loss, in a list that grows."""
    seen, plain = [], training.loss

    class Watching:
        def __setattr__(self, name, value):
            setattr(plain, name, value)

        def __call__(self, maps, targets, batch_size, **rest):
            size = maps[0].shape[-1] * 8
            seen.append((len(maps[0]), size, float(plain.anchors_wh[0, 0]) * size, batch_size))
            return plain(maps, targets, batch_size, **rest)

    training.loss = Watching()
    return seen


def test_images_of_every_size_meet_anchors_of_the_same_pixels(dataset):
    config = tiny(**SHAPES, batch_policy="dynamic", subdivisions=2, batch_size=2, shapes__last=0)
    training = Training(config, dataset, device="cpu")
    training.epoch = 1
    seen = watched(training)
    training.train_epoch()
    plan = training.train_loader.plan(1)
    assert len({step.size_px for step in plan}) > 1
    assert seen == [(s.count, s.size_px, pytest.approx(12), s.batch_images) for s in plan]


def test_evaluation_keeps_the_size(dataset):
    training = Training(tiny(**SHAPES), dataset, device="cpu")
    training.train_epoch()
    sizes = []
    training.ema.network.register_forward_pre_hook(lambda _, given: sizes.append(given[0].shape))
    training.detect(training.val_loader)
    assert sizes == [(4, 3, 64, 64)]
    assert training.protocol("val")["image_size"] == 64
    assert float(training.anchors_wh[0, 0]) * 64 == pytest.approx(12)


def test_pictures_are_kept_for_the_largest_size(dataset):
    assert Training(tiny(), dataset, device="cpu").val_loader._cache._max_side == 128
    larger = Training(tiny(**SHAPES), dataset, device="cpu")
    assert larger.val_loader._cache._max_side == 256


@pytest.mark.slow
def test_a_cache_that_workers_cannot_share_is_left_alone(dataset):
    given = ImageCache(1 << 20)
    training = Training(small(data__workers=1), dataset, cache=given, device="cpu")
    training.train_epoch()
    training.train_loader.close()
    assert given.held_bytes == 0
    assert training.val_loader._cache is not given


def test_images_painted_on_the_device_train_alike(dataset):
    def losses(backend):
        training = Training(small(data__backend=backend), dataset, device="cpu")
        return training.train_epoch()

    here, there = losses("opencv"), losses("device")
    assert there == pytest.approx(here, rel=1e-3)
    assert not np.isnan(there["loss"])


@pytest.mark.slow
def test_attacks_begin_after_the_warm_up(dataset, monkeypatch):
    calls = []

    def leave(network, images, targets, loss, config, progress, *, autocast):
        calls.append((network.training, config.kind, progress, autocast))
        return images

    monkeypatch.setattr("model.train.attack", leave)
    attacked = small(sat__kind="fgsm", sat__probability=1.0, schedule__warmup=0.5, subdivisions=2)
    losses = [r.metrics["loss"] for r in fit(attacked, dataset, device="cpu")]
    assert calls == [(True, "fgsm", 0.75, False)] * 2
    plain = small(schedule__warmup=0.5, subdivisions=2)
    assert losses == [r.metrics["loss"] for r in fit(plain, dataset, device="cpu")]


def test_attacks_follow_their_draw(dataset, monkeypatch):
    asked, calls = [], []
    monkeypatch.setattr(
        "model.train.sat_turns", lambda *given: asked.append(given) or [False, True]
    )
    monkeypatch.setattr(
        "model.train.attack", lambda _, images, *rest, **_kw: calls.append(rest) or images
    )
    attacked = small(sat__kind="fgsm", sat__probability=0.3, schedule__warmup=0.0, seed=5)
    training = Training(attacked, dataset, device="cpu")
    training.train_epoch()
    assert asked == [(5, 0, 2, 0.3)]
    assert [rest[3] for rest in calls] == [0.25]


def test_the_teacher_sees_what_is_not_yet_attacked(dataset, monkeypatch, tmp_path):
    events, refined = [], []

    class FakeTeacher:
        def refine(self, images, targets, autocast):
            events.append(("teacher", float(images.sum()), autocast))
            refined.append(torch.full((len(targets), 2), 0.5))
            return refined[-1]

    def blacken(network, images, *rest, **_):
        events.append(("attack", float(images.sum()), False))
        return torch.zeros_like(images)

    (tmp_path / "best.pt").write_bytes(b"weights")
    monkeypatch.setattr("model.train.load_teacher", lambda *_: FakeTeacher())
    monkeypatch.setattr("model.train.attack", blacken)
    config = small(distill__teacher=str(tmp_path / "best.pt"), sat__kind="fgsm", batch_size=8,
                   sat__probability=1, schedule__warmup=0)  # fmt: skip
    training = Training(config, dataset, device="cpu")
    training.epoch = 1
    plain, met = training.loss, []

    def loss(maps, targets, batch_size, **rest):
        met.append(rest["refined"])
        return plain(maps, targets, batch_size, **rest)

    loss.anchors_wh = None
    training.loss = loss
    training.train_epoch()
    assert [name for name, *_ in events] == ["teacher", "attack"]
    assert events[0][1] == events[1][1] > 0
    assert met[0] is refined[0]


@pytest.mark.slow
def test_a_trained_teacher_refines(straight, dataset, tmp_path):
    straight[1].save_weights(tmp_path / "best.pt")
    values = {"distill__teacher": str(tmp_path / "best.pt"), "distill__iou": 0.1}
    config = resolve(small(**values), dataset)
    assert config.distill.teacher_sha256 == file_sha256(tmp_path / "best.pt")
    next(fit(config, dataset, device="cpu")).save(tmp_path / "last.pt")
    expected = [numbers(r) for r in fit(config, dataset, device="cpu")]
    rest = fit(config, dataset, device="cpu", resume=tmp_path / "last.pt")
    assert [numbers(r) for r in rest] == expected[1:]


@pytest.fixture
def classifier(tmp_path):
    """Checkpoint of a classifier's training."""
    torch.manual_seed(7)
    network = build_classifier("csdarknet53-nano", 3, backbone={"activation": "mish"})
    config = tiny(task="classify", model="csdarknet53-nano", backbone__activation="mish")
    state = {"config": config.to_dict(), "classes": ["a"], "weights": network.state_dict()}
    save_checkpoint(tmp_path / "classifier.pt", state)
    return tmp_path / "classifier.pt", network.backbone.state_dict()


def test_training_starts_from_a_classifier(classifier, dataset):
    path, weights = classifier
    training = Training(tiny(backbone__weights=str(path)), dataset, device="cpu")
    assert_same_state(training.network.backbone.state_dict(), weights)
    assert_same_state(training.ema.network.backbone.state_dict(), weights)
    assert training.config.backbone.weights_sha256 == file_sha256(path)


def test_all_but_the_backbone_starts_as_ever(classifier, dataset):
    with_weights = Training(tiny(backbone__weights=str(classifier[0])), dataset, device="cpu")
    without = Training(tiny(), dataset, device="cpu")
    for part in ("neck", "head"):
        ours, theirs = (getattr(t.network, part).state_dict() for t in (with_weights, without))
        assert_same_state(ours, theirs)


@pytest.mark.parametrize("key", ["backbone.weights", "distill.teacher"])
def test_a_file_is_told_by_its_digest(classifier, dataset, key):
    path, _ = classifier
    config = resolve(tiny(**{key.replace(".", "__"): str(path)}), dataset)
    path.write_bytes(path.read_bytes() + b"more")
    assert resolve(config, dataset) == config
    with pytest.raises(ConfigurationError, match=r"has changed|is not the file") as caught:
        Training(config, dataset, device="cpu")
    assert caught.value.where.startswith(key)
    path.unlink()
    with pytest.raises(ConfigurationError, match=r"no such file") as caught:
        resolve(tiny(**{key.replace(".", "__"): str(path)}), dataset)
    assert caught.value.where == key


@pytest.mark.slow
def test_resume_needs_no_weights_to_start_from(classifier, dataset, tmp_path):
    path, _ = classifier
    config = resolve(tiny(backbone__weights=str(path)), dataset)
    reports = fit(config, dataset, device="cpu")
    next(reports).save(tmp_path / "last.pt")
    expected = numbers(next(reports))
    path.unlink()
    (last,) = fit(config, dataset, device="cpu", resume=tmp_path / "last.pt")
    assert numbers(last) == expected


def test_leaving_closes_the_loader(dataset, monkeypatch):
    closed = []
    monkeypatch.setattr(RecipeLoader, "close", lambda self: closed.append(self))
    reports = fit(small(), dataset, device="cpu")
    report = next(reports)
    assert closed == []
    reports.close()
    assert closed == [report._training.train_loader]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"augment__cutmix": 0.5}, r"only a classifier has augment.cutmix = 0.5"),
        ({"augment__zoom_max": 2.0}, r"only a classifier has augment.zoom_max = 2.0"),
        ({"task": "classify"}, r"this configuration is for a classifier"),
    ],
)
def test_what_only_a_classifier_has_is_refused(dataset, values, message):
    with pytest.raises(ConfigurationError, match=message):
        resolve(tiny(**values), dataset)


def test_files_are_settled_as_whole_paths(dataset, tmp_path, monkeypatch):
    (tmp_path / "teacher.pt").write_bytes(b"any")
    monkeypatch.chdir(tmp_path)
    settled = resolve(tiny(distill__teacher="teacher.pt"), dataset)
    assert settled.distill.teacher == str(tmp_path / "teacher.pt")
    assert settled.distill.teacher_sha256 == file_sha256(tmp_path / "teacher.pt")
    assert resolve(settled, dataset) == settled
