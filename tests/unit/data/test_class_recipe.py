"""Images for a classifier, and how much of each class is in them."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.config import TrainConfig
from model.data.augment.params import ImageParams, TileParams, Zoom
from model.data.augment.plan import plan_image
from model.data.cache import ImageCache
from model.data.class_recipe import ClassEvalLoader, ClassRecipe, centred
from model.data.classes import ClassSample, crops_of
from model.data.coco import load_dataset
from model.data.recipe import Planned

LABELS = {0: 2, 1: 0, 2: 2, 3: 1}  # of the members
STILL = TileParams(zoom=Zoom(1.0))


@pytest.fixture
def samples(write_coco):
    return crops_of(load_dataset(write_coco(count=6))).splits["train"]


def recipe(samples, **values):
    plain = {"task": "classify", "batch_size": 4}
    config = TrainConfig().with_values(plain | values)
    return ClassRecipe(samples, ImageCache(10**7), config, (64, 64), 3)


def shares(params, samples):
    sizes = [(40, 30)] * len(params.members)
    plan = plan_image(params, sizes, (100, 100))
    labels = tuple(np.array([LABELS[member]]) for member in params.members)
    planned = Planned(plan, (np.zeros((0, 4), np.float32),) * len(sizes), labels, tuple(sizes))
    return recipe(samples).targets([planned])


def test_a_plain_picture_is_wholly_its_class(samples):
    assert shares(ImageParams((3,), (STILL,)), samples).tolist() == [[0, 1, 0]]


def test_mosaic_shares_are_areas(samples):
    params = ImageParams((0, 1, 2, 3), (STILL,) * 4, "mosaic", (0.25,), (0.6,))
    hand = [0.75 * 0.6, 0.75 * 0.4, 0.25 * 0.6 + 0.25 * 0.4]
    np.testing.assert_allclose(shares(params, samples), [hand], rtol=1e-6)


def test_cutmix_share_is_the_part_that_is_replaced(samples):
    params = ImageParams((0, 1), (STILL,) * 2, "cutmix", rect=(0.1, 0.2, 0.6, 0.5))
    np.testing.assert_allclose(shares(params, samples), [[0.15, 0, 0.85]], rtol=1e-6)


@pytest.mark.parametrize(("members", "hand"), [((0, 3), [0, 0.5, 0.5]), ((0, 2), [0, 0, 1])])
def test_mixup_shares_are_halves(samples, members, hand):
    params = ImageParams(members, (STILL,) * 2, "mixup")
    assert shares(params, samples).tolist() == [hand]


@given(
    seed=st.integers(0, 1000), mosaic=st.floats(0, 1), cutmix=st.floats(0, 1),
    mixup=st.floats(0, 1), images=st.sampled_from([4, 9]),
)  # fmt: skip
def test_shares_sum_to_one(seed, mosaic, cutmix, mixup, images):
    """Planned only: no picture is needed."""
    values = {"seed": seed, "augment.mosaic": mosaic, "augment.cutmix": cutmix,
              "augment.mixup": mixup, "augment.mosaic_images": images}  # fmt: skip
    made_up = [ClassSample(None, label % 3) for label in range(7)]
    one = recipe(made_up, **values)
    targets = one.targets(one.planned(0, 0, lambda _: (40, 30)))
    assert targets.dtype == np.float32
    assert targets.min() >= 0
    np.testing.assert_allclose(targets.sum(axis=1), 1, atol=1e-5)


def test_batches_have_the_promised_form(samples):
    mixed = {"augment.mosaic": 0.5, "augment.cutmix": 0.5}
    one = recipe(samples, **mixed)
    assert one.positions == 12
    first, again = one.make(1, 2), recipe(samples, **mixed).make(1, 2)
    assert first.images.shape == (4, 3, 64, 64)
    assert first.images.dtype == np.uint8
    assert first.targets.shape == (4, 3)
    np.testing.assert_array_equal(first.images, again.images)
    np.testing.assert_array_equal(first.targets, again.targets)


def test_targets_are_those_of_the_crops(samples):
    one = recipe(samples, **{"augment.mosaic": 0.0})
    planned = one.planned(0, 0, lambda member: samples[member].size_wh)
    labels = [samples[image.plan.members[0]].label for image in planned]
    np.testing.assert_array_equal(one.make(0, 0).targets, np.eye(3, dtype=np.float32)[labels])


@pytest.mark.parametrize(("width", "height"), [(64, 32), (32, 64), (48, 32), (32, 32), (100, 90)])
def test_evaluation_sees_the_middle(width, height):
    """The shorter side is the network's: what is cut off lies evenly on both ends."""
    rng = np.random.default_rng(0)
    picture = cv2.GaussianBlur(rng.integers(0, 256, (height, width, 3), np.uint8), (5, 5), 0)
    side = min(width, height)
    x, y = (width - side) // 2, (height - side) // 2
    middle = picture[y : y + side, x : x + side]
    np.testing.assert_array_equal(centred(picture, (side, side)), middle)
    enlarged = cv2.resize(middle, (96, 96), interpolation=cv2.INTER_LINEAR)
    inside = np.s_[8:-8, 8:-8]  # at the edge of the middle, its neighbours are seen too
    difference = cv2.absdiff(centred(picture, (96, 96))[inside], enlarged[inside])
    assert difference.max() <= 6


def test_evaluation_shows_every_sample_once(samples):
    loader = ClassEvalLoader(samples, ImageCache(10**7), (64, 64), 5)
    batches = list(loader)
    assert [len(batch.labels) for batch in batches] == [5, 5, 2]
    labels = np.concatenate([batch.labels for batch in batches])
    assert labels.tolist() == [sample.label for sample in samples]
    shown = np.concatenate([batch.images for batch in batches])
    cache = ImageCache(10**7)
    for image, sample in zip(shown, samples, strict=True):
        np.testing.assert_array_equal(
            image.transpose(1, 2, 0), centred(sample.picture(cache), (64, 64))
        )
