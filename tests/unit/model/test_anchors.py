import numpy as np
import pytest

from model.anchors import YOLOV4_ANCHORS_WH_PX, kmeans_anchors, mean_best_iou

CENTRES = np.array([[10, 10], [40, 20], [20, 80], [100, 100]], dtype=float)


def clusters(spread, seed=0):
    rng = np.random.default_rng(seed)
    return np.concatenate([c + rng.uniform(-spread, spread, (50, 2)) for c in CENTRES])


def test_known_clusters_are_found():
    found = kmeans_anchors(clusters(1.0), 4)
    np.testing.assert_allclose(found, CENTRES[np.argsort(CENTRES.prod(1))], atol=0.5)


def test_centres_are_the_means_of_their_boxes():
    sizes = clusters(0.5)
    expected = sorted(sizes.reshape(4, 50, 2).mean(axis=1), key=np.prod)
    np.testing.assert_allclose(kmeans_anchors(sizes, 4), expected)


def test_sorted_and_seeded():
    sizes = np.random.default_rng(1).uniform(5, 200, (300, 2))
    found = kmeans_anchors(sizes, 9, seed=5)
    assert (np.diff(found.prod(axis=1)) >= 0).all()
    np.testing.assert_array_equal(found, kmeans_anchors(sizes, 9, seed=5))


def test_better_than_yolov4s_own_on_other_data():
    sizes = np.random.default_rng(2).uniform(5, 60, (300, 2))
    assert mean_best_iou(sizes, kmeans_anchors(sizes)) > mean_best_iou(
        sizes, np.array(YOLOV4_ANCHORS_WH_PX, dtype=float)
    )


@pytest.mark.parametrize("count", [1, 2, 8])
def test_fewer_sizes_than_anchors_gives_distinct_ones(count):
    sizes = np.repeat(np.arange(1, count + 1)[:, None] * (4.0, 3.0), 5, axis=0)
    found = kmeans_anchors(sizes, 9)
    assert len(np.unique(found, axis=0)) == 9
    assert mean_best_iou(sizes, found) == 1


def test_mean_best_iou_by_hand():
    assert mean_best_iou(np.array([[2.0, 2], [4, 4]]), np.array([[2.0, 4]])) == 0.5
