import numpy as np
import pytest

from evolve.analysis.image_bootstrap import ap, ap_of_each, class_ap, draw_weights
from evolve.analysis.matching import match
from tests.unit.analysis.coco import pycocotools_ap, random_coco, repeat_images

NAMES = ("AP", "AP50", "AP75")
CLOSE = {"rtol": 0, "atol": 1e-12}


def _ap(truth, detections, weights):
    values = ap(match(truth, detections), np.array(weights))
    return np.stack([values[name] for name in NAMES], axis=1)


@pytest.mark.parametrize("seed", range(12))
def test_weights_of_one_give_the_ap_of_pycocotools(seed):
    truth, detections = random_coco(seed)
    found = _ap(truth, detections, [[1] * 12])
    np.testing.assert_allclose(found[0], pycocotools_ap(truth, detections), **CLOSE)


@pytest.mark.parametrize("score_steps", [1000, 4])
@pytest.mark.parametrize("seed", range(6))
def test_weights_give_the_ap_of_repeated_images(seed, score_steps):
    truth, detections = random_coco(seed, score_steps=score_steps)
    weights = draw_weights(12, 5, np.random.default_rng(seed))
    found = _ap(truth, detections, weights)
    for row, drawn in zip(found, weights, strict=True):
        expected = pycocotools_ap(*repeat_images(truth, detections, drawn))
        np.testing.assert_allclose(row, expected, **CLOSE)


def test_a_limit_of_100_detections_holds_for_each_class_of_an_image():
    truth, _ = random_coco(1, images=3)
    box = {"image_id": 10, "category_id": 1, "bbox": [0.0, 0.0, 9.0, 9.0]}
    truth["annotations"] = [box]
    far = [{**box, "bbox": [50.0, 50.0, 9.0, 9.0], "score": 0.9}] * 100
    assert _ap(truth, [*far[1:], {**box, "score": 0.1}], [[1] * 3])[0, 1] == pytest.approx(0.01)
    assert _ap(truth, [*far, {**box, "score": 0.1}], [[1] * 3])[0, 1] == 0


def test_a_repeated_image_repeats_its_ties_as_a_block():
    truth = {
        "images": [{"id": 1}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 10, 10]}],
        "categories": [{"id": 1}],
    }
    hit = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 10, 10], "score": 0.5}
    miss = {**hit, "bbox": [50, 50, 10, 10]}
    # hit, miss, hit, miss: precision 1 up to recall 1/2, then 2/3; not hit, hit, miss, miss
    assert _ap(truth, [hit, miss], [[2]])[0, 1] == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert _ap(truth, [miss, hit], [[2]])[0, 1] == pytest.approx(0.5)


def test_a_class_whose_truths_vanish_is_left_out_and_no_truth_at_all_is_nan():
    truth = {
        "images": [{"id": 1}, {"id": 2}, {"id": 3}],
        "annotations": [
            {"image_id": 1, "category_id": 1, "bbox": [0, 0, 10, 10]},
            {"image_id": 2, "category_id": 2, "bbox": [0, 0, 10, 10]},
        ],
        "categories": [{"id": 1}, {"id": 2}],
    }
    found = [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 10, 10], "score": 0.5}]
    weights = np.array([[1, 1, 1], [3, 0, 0], [0, 3, 0], [0, 0, 3]])
    np.testing.assert_allclose(_ap(truth, found, weights)[:, 0], [0.5, 1.0, 0.0, np.nan])
    at_50 = class_ap(match(truth, found), weights)[:, :, 0]
    np.testing.assert_allclose(at_50, [[1, 0], [1, np.nan], [np.nan, 0], [np.nan] * 2])


def test_many_resamples_are_done_in_parts(monkeypatch):
    truth, detections = random_coco(3)
    weights = draw_weights(12, 9, np.random.default_rng(0))
    whole = _ap(truth, detections, weights)
    monkeypatch.setattr("evolve.analysis.image_bootstrap._AT_ONCE", 40)
    np.testing.assert_array_equal(_ap(truth, detections, weights), whole)


def test_drawn_weights_fill_the_split():
    weights = draw_weights(5, 400, np.random.default_rng(0))
    assert weights.shape == (400, 5)
    assert (weights.sum(axis=1) == 5).all()
    np.testing.assert_allclose(weights.mean(axis=0), 1, atol=0.15)


def test_trainings_are_resampled_together():
    truth, detections = random_coco(5)
    both = {("default", 0): match(truth, detections), ("evolved", 0): match(truth, detections)}
    found = ap_of_each(both, draw_weights(12, 7, np.random.default_rng(0)), "AP50")
    np.testing.assert_array_equal(found["default", 0], found["evolved", 0])
    assert found["default", 0].shape == (7,)
    assert np.std(found["default", 0]) > 0
