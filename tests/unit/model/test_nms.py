import pickle

import pytest
import torch

from model import nms_greedy
from model.errors import ConfigurationError, ModelError
from model.nms import nms, soft_nms, suppress

RULE = {"iou_threshold": 0.5, "score_threshold": 0.05, "max_detections": 100}
KINDS = ("greedy", "diou", "darknet-greedy", "soft")

# a unit square, the same 0.4 to the right (IoU 0.6/1.4, distance^2/hull^2 0.16/2.96), one far off
SQUARES = torch.tensor([[0.0, 0, 1, 1], [0.4, 0, 1.4, 1], [5, 5, 6, 6]])
SCORES = torch.tensor([0.9, 0.8, 0.95])
IOU, RATIO = 0.6 / 1.4, 0.16 / 2.96


def kept(*args, **options):
    return nms(*args, **options).tolist()


def random_boxes(batch, count, classes, spread=1.0, seed=0):
    rng = torch.Generator().manual_seed(seed)
    boxes = torch.rand(batch, count, 4, generator=rng)
    boxes[..., :2] *= spread
    boxes[..., 2:] = boxes[..., 2:] * 0.3 + 0.02
    return boxes, torch.rand(batch, count, classes, generator=rng)


@pytest.mark.parametrize(
    ("kind", "beta", "overlap"),
    [
        ("greedy", None, IOU),
        ("diou", None, IOU - RATIO),
        ("diou", 1.0, IOU - RATIO),
        ("diou", 0.6, IOU - RATIO**0.6),
        ("diou", 2.0, IOU - RATIO**2),
        ("darknet-greedy", None, IOU - RATIO**0.6),
    ],
)
def test_a_box_goes_when_the_overlap_is_above_the_threshold(kind, beta, overlap):
    assert kept(SQUARES, SCORES, overlap - 1e-5, kind, beta) == [2, 0]
    assert kept(SQUARES, SCORES, overlap + 1e-5, kind, beta) == [2, 0, 1]


def test_an_overlap_equal_to_the_threshold_is_not_above_it():
    halves = torch.tensor([[0.0, 0, 1, 2], [0, 0, 1, 1]])
    assert kept(halves, SCORES[:2], 0.5) == [0, 1]
    assert kept(halves, SCORES[:2], 0.49999) == [0]


def test_darknet_beta_06_spares_more_than_the_paper():
    assert kept(SQUARES, SCORES, 0.3, "diou") == [2, 0]
    assert kept(SQUARES, SCORES, 0.3, "diou", 0.6) == [2, 0, 1]
    assert kept(SQUARES, SCORES, 0.3, "darknet-greedy") == [2, 0, 1]


def test_a_suppressed_box_suppresses_nothing():
    # neighbours overlap by 1/3: the first removes the second, so the third stays
    chain = torch.tensor([[0.0, 0, 4, 1], [2, 0, 6, 1], [4, 0, 8, 1], [6, 0, 10, 1]])
    assert kept(chain, torch.tensor([0.9, 0.8, 0.7, 0.6]), 0.3) == [0, 2]


@pytest.mark.parametrize("rounds", [0, 1, 32])
def test_long_chains_are_cut_greedily(monkeypatch, rounds):
    monkeypatch.setattr(nms_greedy, "ROUNDS", rounds)
    x = torch.arange(200.0)
    chain = torch.stack((x * 2, x * 0, x * 2 + 4, x * 0 + 1), dim=1)
    assert kept(chain, -x, 0.3) == list(range(0, 200, 2))


def test_a_crowd_with_too_many_pairs_is_taken_in_small_steps(monkeypatch):
    monkeypatch.setattr(nms_greedy, "FIRST_WAVE", 4)
    monkeypatch.setattr(nms_greedy, "MOST_PAIRS", 6)
    apart = torch.arange(12.0)[:, None] * 10 + torch.tensor([0.0, 0, 1, 1])
    crowd = torch.tensor([500.0, 0, 501, 1]).repeat(40, 1)
    scores = torch.linspace(1, 0, 52)
    assert kept(torch.cat((apart, crowd)), scores, 0.5) == list(range(13))


@pytest.mark.parametrize("kind", KINDS)
def test_groups_leave_each_other_alone(kind):
    pair = SQUARES[[0, 0]]
    groups = torch.tensor([-3, 2**40])
    assert kept(pair, SCORES[:2], 0.1, kind, groups=groups) == [0, 1]


def test_equal_scores_are_ordered_by_corners_then_group():
    boxes = torch.tensor([[2.0, 0, 3, 1], [0, 1, 1, 2], [0, 0, 1, 1], [0, 0, 1, 1]])
    groups = torch.tensor([0, 0, 1, 0])
    assert kept(boxes, torch.full((4,), 0.5), 0.5, groups=groups) == [3, 2, 1, 0]


def test_infinite_scores_are_scores():
    scores = torch.tensor([-torch.inf, torch.inf, torch.inf])
    assert kept(SQUARES, scores, 0.5) == [1, 2, 0]
    assert kept(SQUARES, scores, 0.3) == [1, 2]


@pytest.mark.parametrize("kind", ["greedy", "diou", "darknet-greedy"])
def test_empty_boxes_overlap_nothing(kind):
    line = torch.tensor([[0.0, 0, 0, 1], [0.0, 0, 0, 1], [0, 0, 1, 1], [0.5, 0.5, 0.5, 0.5]])
    assert kept(line, torch.tensor([0.4, 0.3, 0.2, 0.1]), 0.0, kind) == [0, 1, 2, 3]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("far", [-1e4, 1e4])
def test_far_boxes(kind, far):
    moved = torch.tensor([[far, far, far + 1, far + 1]]).repeat(2, 1)
    wide = torch.tensor([[-1e4, -1e4, 1e4, 1e4]])
    found = kept(torch.cat((moved, wide)), torch.tensor([0.9, 0.001, 0.8]), 0.5, kind)
    assert found == [0, 2]


@pytest.mark.parametrize("kind", ["greedy", "diou", "darknet-greedy"])
@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_the_unit_of_length_does_not_matter(kind, scale):
    boxes = SQUARES.repeat(2, 1) * scale
    scores = torch.cat((SCORES, SCORES / 2))
    assert kept(boxes, scores, 0.3, kind) == kept(boxes / scale, scores, 0.3, kind)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64, torch.int32])
def test_other_number_formats(dtype):
    boxes = (SQUARES * 10).to(dtype)
    assert kept(boxes, SCORES, 0.4) == [2, 0]
    assert kept(boxes, SCORES.double(), 0.5) == [2, 0, 1]


@pytest.mark.parametrize("kind", KINDS)
def test_no_boxes(kind):
    found = nms(torch.zeros(0, 4), torch.zeros(0), 0.5, kind, groups=torch.zeros(0).long())
    assert found.shape == (0,)
    assert found.dtype == torch.int64


def test_score_threshold_is_exclusive():
    assert kept(SQUARES, SCORES, 0.5, score_threshold=0.9) == [2]
    assert kept(SQUARES, SCORES, 0.5, "soft", score_threshold=0.9) == [2]
    assert kept(SQUARES, SCORES, 0.5, score_threshold=0.95) == []


def test_gaussian_decay_by_hand():
    found, lowered = soft_nms(SQUARES, SCORES)
    assert found.tolist() == [2, 0, 1]
    expected = [0.95, 0.9, 0.8 * torch.tensor(-(IOU**2) / 0.5).exp().item()]
    assert lowered.tolist() == pytest.approx(expected)


def test_linear_decay_by_hand():
    lowered = soft_nms(SQUARES, SCORES, 0.4, decay="linear")[1]
    assert lowered.tolist() == pytest.approx([0.95, 0.9, 0.8 * (1 - IOU)])
    assert soft_nms(SQUARES, SCORES, 0.5, decay="linear")[1].tolist() == pytest.approx(
        [0.95, 0.9, 0.8]
    )


def test_soft_lets_a_neighbour_fall_below_worse_boxes():
    boxes = torch.cat((SQUARES[[0, 0]], SQUARES[2:]))
    found, lowered = soft_nms(boxes, torch.tensor([0.9, 0.8, 0.5]), sigma=0.5)
    assert found.tolist() == [0, 2, 1]
    assert lowered[2].item() == pytest.approx(0.8 * 0.1353353)  # e^-2
    assert kept(boxes, torch.tensor([0.9, 0.8, 0.5]), 0.5, "soft", sigma=0.01) == [0, 2]


def test_nothing_decays_at_a_huge_sigma():
    boxes, scores = random_boxes(1, 20, 1)
    boxes[..., 2:] += boxes[..., :2]
    lowered = soft_nms(boxes[0], scores[0, :, 0], sigma=1e9, score_threshold=0)[1]
    assert torch.equal(lowered, scores[0, :, 0].sort(descending=True).values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "dioo"}, "no kind of suppression is called 'dioo'(.|\n)*did you mean 'diou'"),
        ({"kind": "soft", "decay": "gausian"}, "called 'gausian'(.|\n)*'gaussian'"),
        ({"iou_threshold": 1.5}, "iou_threshold is 1.5"),
        ({"iou_threshold": -0.1}, "iou_threshold is -0.1"),
        ({"iou_threshold": float("nan")}, "iou_threshold is nan"),
        ({"kind": "diou", "beta": 0.0}, "beta is 0.0"),
        ({"kind": "greedy", "beta": 0.6}, "kind 'greedy' takes no beta\n"),
        ({"kind": "darknet-greedy", "beta": 0.6}, "takes no beta, it is fixed at 0.6"),
        ({"kind": "soft", "beta": 0.6}, "kind 'soft' takes no beta"),
        ({"kind": "soft", "sigma": 0.0}, "sigma is 0.0"),
        ({"score_threshold": float("nan")}, "score_threshold is NaN"),
        ({"boxes_xyxy": SQUARES[None]}, r"shape \(1, 3, 4\), not \(N, 4\)(.|\n)*groups="),
        ({"boxes_xyxy": SQUARES[0]}, r"shape \(4,\), not \(N, 4\)"),
        ({"scores": SCORES[:2]}, r"scores have the shape \(2,\), not \(3,\)"),
        ({"scores": SCORES[:, None]}, r"scores have the shape \(3, 1\), not \(3,\)"),
        ({"groups": torch.zeros(2).long()}, r"groups have the shape \(2,\), not \(3,\)"),
        ({"groups": torch.zeros(3)}, "groups are torch.float32"),
        ({"boxes_xyxy": SQUARES * torch.nan}, r"not finite(.|\n)*at   boxes_xyxy\[0\]"),
        ({"boxes_xyxy": SQUARES * 1e15}, r"beyond 1e\+15(.|\n)*boxes_xyxy\[1\]"),
        ({"boxes_xyxy": SQUARES[:, [2, 1, 0, 3]]}, r"box \(1, 0, 0, 1\) has a negative size"),
        ({"scores": SCORES.where(SCORES > 0.85, torch.nan)}, r"NaN(.|\n)*scores\[1\]"),
        ({"scores": -SCORES, "kind": "soft"}, "multiplies scores, but one is -0.9"),
        ({"scores": SCORES / 0, "kind": "soft"}, "multiplies scores, but one is inf"),
    ],
)
def test_bad_input_is_told(change, message):
    good = {"boxes_xyxy": SQUARES, "scores": SCORES, "iou_threshold": 0.5}
    with pytest.raises(ConfigurationError, match=message) as caught:
        nms(**good | change)
    again = pickle.loads(pickle.dumps(caught.value))
    assert isinstance(again, ModelError)
    assert str(again) == str(caught.value)


def test_arguments_of_nms_are_left_alone():
    boxes, scores = SQUARES.clone(), SCORES.clone()
    for kind in KINDS:
        nms(boxes, scores, 0.3, kind)
    assert torch.equal(boxes, SQUARES)
    assert torch.equal(scores, SCORES)


@pytest.mark.parametrize("kind", KINDS)
def test_suppress_is_nms_of_every_class(kind):
    boxes, scores = random_boxes(1, 60, 3, 0.3)
    found = suppress(boxes, scores, **RULE, kind=kind)[0]
    half = boxes[0, :, 2:] / 2
    corners = torch.cat((boxes[0, :, :2] - half, boxes[0, :, :2] + half), dim=1)
    slot, label = torch.arange(180) // 3, torch.arange(180) % 3
    places = nms(
        corners[slot], scores.flatten(), 0.5, kind, groups=label, score_threshold=0.05
    )  # fmt: skip
    assert torch.equal(found.boxes_xyxy, corners[slot[places]][:100])
    assert torch.equal(found.labels, label[places][:100])


def test_best_candidates_that_are_all_alike_do_not_hide_the_rest():
    # more copies of one box than the first look holds, then other boxes far below them
    copies = torch.tensor([0.5, 0.5, 0.2, 0.2]).repeat(50, 1)
    others = torch.tensor([[0.1, 0.1, 0.1, 0.1], [0.9, 0.9, 0.1, 0.1]])
    scores = torch.cat((torch.linspace(0.99, 0.9, 50), torch.tensor([0.2, 0.1])))
    rule = RULE | {"max_detections": 3}
    found = suppress(torch.cat((copies, others))[None], scores[None, :, None], **rule)[0]
    assert found.scores.tolist() == pytest.approx([0.99, 0.2, 0.1])


def test_soft_looks_beyond_the_first_candidates_when_their_scores_fall_below_the_rest():
    copies = torch.tensor([0.5, 0.5, 0.2, 0.2]).repeat(8, 1)
    other = torch.tensor([[0.1, 0.1, 0.1, 0.1]])
    scores = torch.cat((torch.full((8,), 0.9), torch.tensor([0.5])))
    rule = RULE | {"max_detections": 2, "kind": "soft"}
    found = suppress(torch.cat((copies, other))[None], scores[None, :, None], **rule)[0]
    assert found.scores.tolist() == pytest.approx([0.9, 0.5])


def test_batch_and_padding_do_not_matter():
    boxes, scores = random_boxes(5, 80, 2)
    scores[1] *= 0.06
    scores[3] = 0
    scores = (scores * 10).round() / 10  # equal scores
    together = suppress(boxes, scores, **RULE)
    for index, found in enumerate(together):
        alone = suppress(boxes[index : index + 1], scores[index : index + 1], **RULE)[0]
        assert torch.equal(found.boxes_xyxy, alone.boxes_xyxy)
        assert torch.equal(found.scores, alone.scores)
        assert torch.equal(found.labels, alone.labels)
    assert len(together[3].scores) == 0


def test_of_equal_scores_the_box_further_left_stays():
    boxes = torch.tensor([[[0.21, 0.2, 0.1, 0.1], [0.8, 0.8, 0.1, 0.1], [0.2, 0.2, 0.1, 0.1]]])
    found = suppress(boxes, torch.full((1, 3, 1), 0.5), **RULE)[0]
    assert found.boxes_xyxy[:, 0].tolist() == pytest.approx([0.15, 0.75])


def test_classes_do_not_suppress_each_other_and_a_box_may_have_several():
    boxes = torch.tensor([[[0.5, 0.5, 0.2, 0.2]]])
    found = suppress(boxes, torch.tensor([[[0.3, 0.9, 0.01]]]), **RULE)[0]
    assert found.labels.tolist() == [1, 0]


def test_suppress_hands_on_beta_and_sigma():
    boxes = torch.tensor([[[0.5, 0.5, 1.0, 1.0], [0.9, 0.5, 1.0, 1.0]]])
    scores = torch.tensor([[[0.9], [0.8]]])
    rule = RULE | {"iou_threshold": 0.3}

    def count(**options):
        return len(suppress(boxes, scores, **rule, **options)[0].scores)

    assert count(kind="greedy", beta=0.6) == 1
    assert count(kind="diou") == 1
    assert count(kind="diou", beta=0.6) == 2
    assert count(kind="darknet-greedy", beta=1.0) == 2
    assert count(kind="soft", sigma=0.5) == 2
    assert count(kind="soft", sigma=0.05) == 1


def test_suppress_names_the_nearest_kind():
    with pytest.raises(ConfigurationError, match="did you mean 'greedy'"):
        suppress(*random_boxes(1, 2, 1), **RULE, kind="greedi")


def test_boxes_that_are_not_numbers_are_dropped_or_harmless():
    boxes, scores = random_boxes(1, 6, 1)
    scores[0, 2] = torch.nan
    boxes[0, 4] = torch.nan
    clean = suppress(boxes[:, [0, 1, 3, 5]], scores[:, [0, 1, 3, 5]], **RULE)[0]
    found = suppress(boxes, scores, **RULE)[0]
    whole = ~found.boxes_xyxy.isnan().any(dim=1)
    assert torch.equal(found.boxes_xyxy[whole], clean.boxes_xyxy)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("batch", "count"), [(0, 5), (2, 0), (2, 5)])
def test_nothing_to_keep(kind, batch, count):
    scores = torch.zeros(batch, count, 2)
    found = suppress(torch.rand(batch, count, 4), scores, **RULE, kind=kind)
    assert [(f.boxes_xyxy.shape, len(f.scores), len(f.labels)) for f in found] == [
        ((0, 4), 0, 0)
    ] * batch


@pytest.mark.parametrize("kind", KINDS)
def test_arguments_are_left_alone(kind):
    boxes, scores = random_boxes(1, 20, 2)
    before = boxes.clone(), scores.clone()
    suppress(boxes, scores, **RULE, kind=kind)
    assert torch.equal(boxes, before[0])
    assert torch.equal(scores, before[1])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("kind", KINDS)
def test_a_gpu_keeps_what_a_cpu_keeps(kind):
    boxes, scores = random_boxes(1, 6000, 1, 5.0)
    corners = torch.cat((boxes[0, :, :2], boxes[0, :, :2] + boxes[0, :, 2:]), dim=1)
    scores = (scores[0, :, 0] * 100).round() / 100
    groups = torch.arange(6000) % 3
    there = nms(corners.cuda(), scores.cuda(), 0.4, kind, groups=groups.cuda())
    assert kept(corners, scores, 0.4, kind, groups=groups) == there.tolist()
