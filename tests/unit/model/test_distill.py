import hashlib
import math

import pytest
import torch
from torch import nn

from model.build import build_detector
from model.checkpoint import save_checkpoint
from model.config import DistillConfig, TrainConfig
from model.distill import Teacher, load_teacher
from model.errors import ConfigurationError
from model.geometry import Geometry

CLASSES = ("cat", "dog")
GEOMETRY = Geometry((32,), ((0,),), (1.0,), ((1, 1),))
ANCHORS_PX = torch.tensor([[16.0, 16.0]])
LOGIT = math.log(3)  # of 3/4


class Fixed(nn.Module):
    """A network of one anchor that sees the same in every image."""

    def __init__(self, raw, geometry=GEOMETRY):
        super().__init__()
        self.raw = raw
        self.geometry = geometry

    def forward(self, images):
        return [self.raw[: len(images)]]


def raw_map(columns=2, channels=7, batch=2):
    """Cells that see nothing; boxes are their anchor in the middle of a cell."""
    raw = torch.zeros(batch, channels, columns, columns)
    raw[:, 4] = -20.0
    return raw


def teacher(raw, weight=0.5, iou=0.5, geometry=GEOMETRY):
    return Teacher(Fixed(raw, geometry), ANCHORS_PX, weight, iou)


def see(raw, image, row, column, chances):
    raw[image, 4, row, column] = 20.0
    raw[image, 5:, row, column] = torch.logit(torch.tensor(chances))


def refine(raw, targets, side=64, **values):
    images = torch.rand(2, 3, side, side)
    return teacher(raw, **values).refine(images, torch.tensor(targets), False).tolist()


# at 64 px the anchor is a quarter of the image; this is cell (1, 0) of 2x2
TRUTH = [0.0, 0.0, 0.75, 0.25, 0.25, 0.25]


@pytest.mark.parametrize(
    ("weight", "expected"), [(0.0, [1, 0]), (0.5, [0.8, 0.15]), (1.0, [0.6, 0.3])]
)
def test_the_prediction_is_mixed_in_by_its_weight(weight, expected):
    raw = raw_map()
    see(raw, 0, 0, 1, [0.6, 0.3])
    assert refine(raw, [TRUTH], weight=weight)[0] == pytest.approx(expected, abs=1e-6)


def test_only_predictions_of_the_same_image_count():
    raw = raw_map()
    see(raw, 1, 0, 1, [0.6, 0.3])
    there = [1.0, *TRUTH[1:]]
    assert refine(raw, [TRUTH, there]) == [[1, 0], pytest.approx([0.8, 0.15])]


def test_the_best_overlap_speaks():
    raw = raw_map()
    see(raw, 0, 0, 1, [0.6, 0.3])
    see(raw, 0, 0, 0, [0.3, 0.9])
    raw[0, 0, 0, 0] = 20.0  # at the right edge of cell (0, 0), and twice as wide: IoU 1/5
    raw[0, 2, 0, 0] = math.log(2)
    assert refine(raw, [TRUTH], iou=0.0)[0] == pytest.approx([0.8, 0.15])


@pytest.mark.parametrize(("iou", "refined"), [(0.24, True), (0.26, False)])
def test_a_match_needs_enough_overlap(iou, refined):
    raw = raw_map()
    see(raw, 0, 0, 1, [0.6, 0.3])
    large = [*TRUTH[:4], 0.5, 0.5]  # IoU 1/4
    found = refine(raw, [large], iou=iou)[0]
    assert found == (pytest.approx([0.8, 0.15]) if refined else [1, 0])


def test_slots_that_see_nothing_are_no_match():
    raw = raw_map()  # all boxes are there, of low scores
    raw[:, 5:] = LOGIT
    assert refine(raw, [TRUTH], iou=0.0) == [[1, 0]]
    raw[:, 4] = math.log(0.32 / 0.68)  # score 0.24, and then 0.255
    assert refine(raw, [TRUTH]) == [[1, 0]]
    raw[:, 4] = math.log(0.34 / 0.66)
    assert refine(raw, [TRUTH])[0] == pytest.approx([0.875, 0.375])


def test_anchors_keep_their_pixels_at_another_size():
    raw = raw_map(columns=4)
    see(raw, 0, 1, 2, [0.6, 0.3])
    small = [0.0, 0.0, 2.5 / 4, 1.5 / 4, 16 / 128, 16 / 128]  # exactly the box at 128 px
    assert refine(raw, [small], side=128, iou=0.999)[0] == pytest.approx([0.8, 0.15])


def test_logistic_maps_are_taken_as_they_are():
    geometry = Geometry((32,), ((0,),), (1.0,), ((1, 1),), new_coords=True)
    raw = torch.full((2, 7, 2, 2), 0.5)
    raw[:, 4] = 0.0
    raw[0, 4:, 0, 1] = torch.tensor([1.0, 0.6, 0.3])
    assert refine(raw, [TRUTH], geometry=geometry)[0] == pytest.approx([0.8, 0.15])


def test_a_gaussian_teacher():
    geometry = Geometry((32,), ((0,),), (1.0,), ((1, 1),), gaussian=True)
    raw = torch.zeros(2, 11, 2, 2)
    raw[:, 1:8:2] = -20.0  # no variance
    raw[:, 8] = -20.0
    raw[0, 8, 0, 1] = 20.0
    raw[0, 9:, 0, 1] = torch.logit(torch.tensor([0.6, 0.3]))
    assert refine(raw, [TRUTH], geometry=geometry)[0] == pytest.approx([0.8, 0.15])


def test_no_truth_gives_no_target():
    found = teacher(raw_map()).refine(torch.rand(2, 3, 64, 64), torch.zeros(0, 6), False)
    assert found.shape == (0, 2)


def test_many_truths_are_looked_at_in_parts(monkeypatch):
    raw = raw_map()
    see(raw, 0, 0, 1, [0.6, 0.3])
    see(raw, 1, 0, 1, [0.2, 0.9])
    truths = [[float(i % 2), float(i % 3 == 0), *TRUTH[2:]] for i in range(9)]
    whole = refine(raw, truths)
    monkeypatch.setattr("model.distill.OVERLAPS_AT_ONCE", 8)  # two truths of four slots
    assert refine(raw, truths) == whole


def state(**changes):
    torch.manual_seed(0)
    return {
        "config": TrainConfig(image_size=64, precision="fp32").to_dict(),
        "data": "abc",
        "classes": list(CLASSES),
        "anchors_wh": torch.full((9, 2), 0.25),
        "epoch": 3,
        "weights": build_detector("yolov4-nano", 2).state_dict(),
    } | changes


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("teacher") / "w.pt"
    save_checkpoint(path, state())
    return path


def test_a_teacher_is_read_and_asked(weights):
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    config = DistillConfig(teacher=str(weights), teacher_sha256=digest, weight=0.3, iou=0.6)
    read = load_teacher(config, CLASSES, "cpu")
    assert read.anchors_wh_px.tolist() == [[16, 16]] * 9
    assert (read.weight, read.iou) == (0.3, 0.6)
    assert not read.network.training
    assert not any(p.requires_grad for p in read.network.parameters())
    for autocast in (False, True):
        found = read.refine(torch.rand(1, 3, 96, 96), torch.tensor([TRUTH]), autocast)
        assert found.tolist() == [[1, 0]]  # it has learnt nothing, and sees nothing
        assert found.dtype == torch.float32


def test_another_file_is_refused(weights):
    config = DistillConfig(teacher=str(weights), teacher_sha256="0" * 64)
    with pytest.raises(ConfigurationError, match="not the file whose digest is 000000000000"):
        load_teacher(config, CLASSES, "cpu")


@pytest.mark.parametrize("classes", [("dog", "cat"), ("cat",), ("cat", "dog", "cow")])
def test_other_classes_are_refused(weights, classes):
    with pytest.raises(ConfigurationError, match=r"tells 2 classes \(cat, dog\) apart") as raised:
        load_teacher(DistillConfig(teacher=str(weights)), classes, "cpu")
    assert raised.value.where == "distill.teacher"


def test_a_missing_or_broken_teacher_is_told(tmp_path):
    for content, words in ((None, "there is no teacher at"), (b"text", "cannot be used: ")):
        if content:
            (tmp_path / "t.pt").write_bytes(content)
        with pytest.raises(ConfigurationError, match=words) as raised:
            load_teacher(DistillConfig(teacher=str(tmp_path / "t.pt")), CLASSES, "cpu")
        assert raised.value.where == "distill.teacher"
        assert raised.value.mend
