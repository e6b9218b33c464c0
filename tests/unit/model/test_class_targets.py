"""What a classifier is taught, by hand, and how it is measured, against loops."""

import gzip
import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from model.class_targets import cross_entropy, mixed, save_predictions, score, smoothed
from model.data.classes import ClassSample
from model.data.coco import ImageRecord

NAMES = ("ant", "bee", "cat", "dog", "eel", "fox", "gnu")


def test_smoothing_leaves_one_less_eps_and_spreads_the_rest():
    shares = torch.tensor([[0.0, 1.0, 0.0, 0.0, 0.0]])
    hand = [[0.025, 0.9, 0.025, 0.025, 0.025]]
    torch.testing.assert_close(smoothed(shares, 0.1), torch.tensor(hand))


def test_smoothing_of_a_mix_is_the_mix_of_the_smoothed():
    first, second = torch.eye(4)[1], torch.eye(4)[3]
    mix = 0.3 * first + 0.7 * second
    by_parts = 0.3 * smoothed(first[None], 0.1) + 0.7 * smoothed(second[None], 0.1)
    torch.testing.assert_close(smoothed(mix[None], 0.1), by_parts)


def test_no_smoothing_leaves_shares_as_they_are():
    shares = torch.tensor([[0.25, 0.75], [1.0, 0.0]])
    assert torch.equal(smoothed(shares, 0.0), shares)


def test_loss_of_single_classes_is_torchs():
    logits = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 4, 2, 2, 1, 3])
    shares = functional.one_hot(labels, 5).float()
    torch.testing.assert_close(
        cross_entropy(logits, shares, 6), functional.cross_entropy(logits, labels)
    )
    torch.testing.assert_close(
        cross_entropy(logits[:2], shares[:2], 6) + cross_entropy(logits[2:], shares[2:], 6),
        functional.cross_entropy(logits, labels),
    )


def test_gradient_is_darknets_delta():
    """Of each logit the probability less what is wanted, over the batch."""
    logits = torch.randn(3, 4, generator=torch.Generator().manual_seed(1), requires_grad=True)
    wanted = torch.tensor([[1.0, 0, 0, 0], [0.2, 0.3, 0.5, 0], [0, 0, 0, 1.0]])
    cross_entropy(logits, wanted, 3).backward()
    torch.testing.assert_close(logits.grad, (logits.softmax(1) - wanted).detach() / 3)


def test_a_teacher_has_its_share():
    shares, told = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, math.log(3)]])
    torch.testing.assert_close(mixed(shares, told, 0.4), torch.tensor([[0.7, 0.3]]))
    assert torch.equal(mixed(shares, told, 0.0), shares)


def loops(probabilities, labels):
    """Number of samples whose class is first, and among the first five."""
    first = five = 0
    for row, label in zip(probabilities, labels, strict=True):
        better = sum(value > row[label] for value in row)
        before = sum(row[i] == row[label] for i in range(label))
        first += better + before == 0
        five += better + before < 5
    return first / len(labels), five / len(labels)


@given(st.integers(2, 7), st.integers(1, 20), st.integers(0, 10**6))
def test_top_one_and_five_are_those_of_a_loop(classes, count, seed):
    rng = np.random.default_rng(seed)
    probabilities = rng.integers(0, 4, (count, classes)).astype(np.float32) / 4  # with ties
    labels = rng.integers(0, classes, count)
    scores = score(probabilities, labels, NAMES[:classes])
    top1, top5 = loops(probabilities, labels)
    assert scores.metrics == {"top1": pytest.approx(top1), "top5": pytest.approx(top5)}
    if classes <= 5:
        assert scores.metrics["top5"] == 1


def test_recall_is_told_by_class():
    probabilities = np.array([[0.9, 0.1, 0], [0.8, 0.2, 0], [0.3, 0.7, 0]], np.float32)
    scores = score(probabilities, np.array([0, 1, 1]), NAMES[:3])
    assert scores.class_recall["ant"] == 1
    assert scores.class_recall["bee"] == 0.5
    assert math.isnan(scores.class_recall["cat"])


def test_what_is_the_same_for_all_classes_is_no_hit():
    scores = score(np.full((4, 4), 0.25, np.float32), np.array([0, 1, 2, 3]), NAMES[:4])
    assert scores.metrics["top1"] == 0.25


def test_predictions_are_written_best_first(tmp_path):
    record = ImageRecord(1, "a.png", tmp_path, 9, 9, *(np.zeros(0),) * 4)
    samples = [ClassSample(record, 1), ClassSample(record, 0, (1, 2, 5, 7))]
    probabilities = np.array([[0.25, 0.7500001], [0.9, 0.1]], np.float32)
    path = tmp_path / "p.json.gz"
    save_predictions(path, samples, probabilities, NAMES[:2], {"split": "val"})
    tree = json.loads(gzip.decompress(path.read_bytes()))
    assert tree["protocol"] == {"split": "val"}
    assert tree["classes"] == ["ant", "bee"]
    assert tree["samples"] == [
        {"file": "a.png", "crop_xyxy_px": None, "label": 1, "labels": [1, 0],
         "probabilities": [0.75, 0.25]},
        {"file": "a.png", "crop_xyxy_px": [1, 2, 5, 7], "label": 0, "labels": [0, 1],
         "probabilities": [0.9, 0.1]},
    ]  # fmt: skip
    before = path.read_bytes()
    save_predictions(path, samples, probabilities, NAMES[:2], {"split": "val"})
    assert path.read_bytes() == before
