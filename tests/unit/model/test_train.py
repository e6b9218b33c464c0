"""The training loop, on eight pictures of 64 px."""

import copy
import itertools
import math

import pytest
import torch

from model.config import TrainConfig
from model.data.coco import Dataset, load_dataset
from model.errors import CheckpointError, ConfigurationError, Diverged
from model.train import Training, auto_image_size, dataset_anchors, fit, gains_from_bf16, resolve
from tests.tiny_data import write_tiny_coco

CPU = torch.device("cpu")
TIMES = ("images_per_s", "train_time_s", "eval_time_s")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return load_dataset(write_tiny_coco(tmp_path_factory.mktemp("tiny") / "set"))


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tiny(**values):
    plain = {"image_size": 64, "batch_size": 4, "epochs": 2, "precision": "fp32"}
    return TrainConfig().with_values(
        plain | {name.replace("__", "."): value for name, value in values.items()}
    )


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
    reports = list(fit(tiny(epochs=6), dataset, device="cpu"))
    return [numbers(r) for r in reports], reports[-1]


@pytest.mark.slow
def test_three_and_three_epochs_equal_six(dataset, straight, tmp_path):
    expected, last = straight
    config = tiny(epochs=6)
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
    again = numbers(next(fit(tiny(epochs=6), dataset, device="cpu")))
    other = numbers(next(fit(tiny(epochs=6, seed=1), dataset, device="cpu")))
    assert again == straight[0][0]
    assert other["loss"] != again["loss"]


@pytest.mark.slow
def test_precision_bf16_resumes_as_well(dataset, tmp_path):
    config = tiny(precision="bf16")
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
    training = Training(tiny(subdivisions=4), dataset, device="cpu")
    assert (training.mini_batches, training.updates_per_epoch) == (8, 2)
    assert training.images_per_epoch == 8
    training.train_epoch()
    assert training.ema.updates == 2


def test_resume_from_another_configuration_is_refused(straight, dataset, tmp_path):
    straight[1].save(tmp_path / "last.pt")
    with pytest.raises(CheckpointError, match="another configuration or data set"):
        next(fit(tiny(epochs=7), dataset, device="cpu", resume=tmp_path / "last.pt"))


def test_resume_with_other_data_is_refused(straight, dataset, tmp_path):
    straight[1].save(tmp_path / "last.pt")
    other = Dataset(**(vars(dataset) | {"digest": "0" * 64}))
    with pytest.raises(CheckpointError, match="another configuration or data set"):
        next(fit(tiny(epochs=6), other, device="cpu", resume=tmp_path / "last.pt"))


def test_resume_from_weights_alone_is_refused(straight, dataset, tmp_path):
    straight[1].save_weights(tmp_path / "best.pt")
    with pytest.raises(CheckpointError, match="weights alone"):
        next(fit(tiny(epochs=6), dataset, device="cpu", resume=tmp_path / "best.pt"))


def test_resume_restores_the_random_state(straight, dataset, tmp_path):
    torch.manual_seed(5)
    straight[1].save(tmp_path / "last.pt")
    expected = torch.rand(3)
    list(fit(tiny(epochs=6), dataset, device="cpu", resume=tmp_path / "last.pt"))
    assert torch.equal(torch.rand(3), expected)


def test_resume_of_a_finished_training_trains_no_more(straight, dataset, tmp_path):
    straight[1].save(tmp_path / "last.pt")
    assert list(fit(tiny(epochs=6), dataset, device="cpu", resume=tmp_path / "last.pt")) == []


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
    [
        {"norm": "cmbn", "subdivisions": 2},
        {"norm": "cbn"},
        {"norm": "frn"},
        {"drop__kind": "dropblock-darknet", "drop__probability": 0.3},
        {"model": "yolov4-tiny-nano", "anchors": "optimised"},
        {"model": "yolov4-csp-nano", "loss__objectness_smooth": True},
        {"head__box": "gaussian", "loss__gradient": "darknet", "loss__class_counters": True},
    ],
    ids=str,
)
def test_every_kind_of_state_resumes(dataset, tmp_path, values):
    config = tiny(epochs=3, **values)
    straight = []
    for report in fit(config, dataset, device="cpu"):
        straight.append(report.metrics["loss"])
        if report.epoch == 1:
            report.save(tmp_path / "last.pt")
    resumed = fit(config, dataset, device="cpu", resume=tmp_path / "last.pt")
    assert [report.metrics["loss"] for report in resumed] == straight[1:]


@pytest.mark.parametrize(
    ("model", "anchors", "first"),
    [
        ("yolov4-nano", "auto", (12, 16)),
        ("yolov4-nano", "yolov3", (10, 13)),
        ("yolov3-spp-nano", "auto", (10, 13)),
        ("yolov3-spp-nano", "yolov4", (12, 16)),
        ("yolov4-tiny-nano", "auto", (10, 14)),
    ],
)
def test_anchors_of_a_name(dataset, model, anchors, first):
    training = Training(tiny(model=model, anchors=anchors), dataset, device="cpu")
    assert (training.anchors_wh[0] * training.size).tolist() == pytest.approx(first)


def test_six_anchors_cannot_be_nine(dataset):
    with pytest.raises(ConfigurationError, match="has 6 anchors, those of yolov4 are 9"):
        Training(tiny(model="yolov4-tiny-nano", anchors="yolov4"), dataset, device="cpu")


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [(64, 64, 64), (10, 12, 64), (160, 120, 160), (120, 170, 160), (200, 10, 192), (999, 5, 416)],
)
def test_auto_image_size(dataset, width, height, expected):
    record = copy.copy(dataset.splits["train"][0])
    object.__setattr__(record, "width", width)
    object.__setattr__(record, "height", height)
    one = Dataset(**(vars(dataset) | {"splits": {"train": (record,), "val": ()}}))
    assert auto_image_size(one) == expected
    assert resolve(TrainConfig(image_size="auto"), one).image_size == expected
    assert resolve(TrainConfig(image_size=96), one).image_size == 96


@pytest.mark.parametrize(
    ("able", "expected"),
    [({}, False), ({"amx_bf16": True}, True), ({"avx512_bf16": True}, True),
     ({"avx512_f": True, "amx_bf16": False}, False)],
)  # fmt: skip
def test_bf16_where_the_processor_gains(monkeypatch, dataset, able, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert gains_from_bf16(CPU) is expected
    auto = Training(tiny(precision="auto"), dataset, device="cpu")
    assert auto.autocast is expected
    assert Training(tiny(precision="bf16"), dataset, device="cpu").autocast
    assert not Training(tiny(precision="fp32"), dataset, device="cpu").autocast


def test_anchors_come_from_the_boxes(dataset):
    anchors = dataset_anchors(dataset, 64)
    doubled = dataset_anchors(dataset, 128)
    assert anchors.shape == (9, 2)
    torch.testing.assert_close(torch.tensor(doubled), torch.tensor(anchors * 2))
    assert ((anchors >= 16) & (anchors < 32)).all()


def test_no_box_to_find_anchors_from(dataset):
    empty = []
    for record in dataset.splits["train"]:
        bare = copy.copy(record)
        for name in ("boxes_xyxy_px", "labels", "crowd", "areas"):
            object.__setattr__(bare, name, getattr(record, name)[:0])
        empty.append(bare)
    none = Dataset(**(vars(dataset) | {"splits": {"train": tuple(empty), "val": ()}}))
    with pytest.raises(ConfigurationError, match="no box to find anchors from"):
        dataset_anchors(none, 64)


def test_weight_decay_is_for_convolution_weights_only(dataset):
    training = Training(tiny(optimizer__weight_decay=0.25), dataset, device="cpu")
    decayed, rest = training.optimizer.param_groups
    assert (decayed["weight_decay"], rest["weight_decay"]) == (0.25, 0)
    assert all(p.ndim == 4 for p in decayed["params"])
    assert all(p.ndim == 1 for p in rest["params"])
    count = len(list(training.network.parameters()))
    assert len(decayed["params"]) + len(rest["params"]) == count


@pytest.mark.slow
def test_overfits_four_pictures(tmp_path):
    four = load_dataset(write_tiny_coco(tmp_path / "set", {"train": 4, "val": 4}, seed=3))
    config = without_noise(epochs=60, optimizer__lr=0.002, ema__decay=0)
    training = Training(config, four, device="cpu")
    losses = [training.train_epoch()["loss"] for _ in range(60)]
    assert losses[-1] < 0.2 * losses[0]
