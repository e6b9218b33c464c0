from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest

from model.config import TrainConfig
from model.data.cache import ImageCache
from model.data.coco import load_dataset
from model.data.eval_loader import EvalLoader
from model.data.loader import RecipeLoader
from model.data.recipe import DetectionRecipe
from model.data.shared_cache import SharedCache
from model.errors import ConfigurationError, DataError

BLOOD = Path(__file__).parents[4] / "shared" / "data" / "bccd160"


@pytest.fixture
def records(write_coco):
    return load_dataset(write_coco(count=11)).splits["train"]


def loader(records, workers=0, **values):
    config = TrainConfig().with_values({"batch_size": 4, **values})
    cache = SharedCache(records, 10**8) if workers else ImageCache(10**8)
    return RecipeLoader(DetectionRecipe(records, cache, config, (64, 32)), workers)


def test_batches_have_the_promised_form(records):
    batches = list(loader(records).epoch(0))
    assert len(batches) == len(loader(records)) == 2
    for batch in batches:
        assert batch.images.shape == (4, 3, 32, 64)
        assert batch.images.dtype == np.uint8
        assert batch.images.flags.c_contiguous
        assert batch.targets.dtype == np.float32
        assert batch.targets.shape[1] == 6
        assert (np.diff(batch.targets[:, 0]) >= 0).all()
        assert set(batch.targets[:, 1]) <= {0, 1}
        corners = batch.targets[:, 2:4] - batch.targets[:, 4:] / 2
        assert corners.min() >= -1e-6
        assert (corners + batch.targets[:, 4:]).max() <= 1 + 1e-6


def plain(**more):
    off = {"mosaic": 0, "flip": 0, "jitter": 0, "hue": 0, "saturation": 1, "exposure": 1}
    return {f"augment.{name}": value for name, value in off.items()} | more


def test_unaugmented_batch_is_the_resized_pictures(records):
    batch = next(loader(records[:1], batch_size=1, **plain()).epoch(0))
    picture = cv2.imread(str(records[0].path))[..., ::-1]
    np.testing.assert_array_equal(
        batch.images[0].transpose(1, 2, 0), cv2.resize(np.ascontiguousarray(picture), (64, 32))
    )
    hand = [[0, 0, 7 / 40, 7 / 30, 10 / 40, 8 / 30], [0, 1, 27.5 / 40, 16 / 30, 15 / 40, 12 / 30]]
    np.testing.assert_allclose(batch.targets, hand, atol=1e-6)


@pytest.mark.parametrize("workers", [1, 3])
def test_batches_do_not_depend_on_the_workers(records, workers):
    for epoch in (0, 1):
        alone = list(loader(records).epoch(epoch))
        helped = list(loader(records, workers).epoch(epoch))
        assert len(alone) == len(helped)
        for one, other in zip(alone, helped, strict=True):
            np.testing.assert_array_equal(one.images, other.images)
            np.testing.assert_array_equal(one.targets, other.targets)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("start", [0, 1, 4, 5])
def test_an_epoch_begins_at_any_mini_batch(records, workers, start):
    whole = list(loader(records, batch_size=2).epoch(1))
    assert len(whole) == 5
    rest = loader(records, workers, batch_size=2).epoch(1, start)  # whose images are lent only
    for one, other in zip(whole[start:], rest, strict=True):
        assert one.step == other.step
        np.testing.assert_array_equal(one.images, other.images)
        np.testing.assert_array_equal(one.targets, other.targets)


def test_pictures_of_mini_batches_before_are_not_decoded(records):
    ours = loader(records, batch_size=1, **plain())
    for start, held in [(11, 0), (10, 1), (8, 3)]:
        list(ours.epoch(0, start))
        assert len(ours.recipe._pictures._pictures) == held


@pytest.mark.parametrize("workers", [0, 1])
def test_another_recipe_takes_the_place_of_one(records, workers):
    ours, theirs = loader(records, workers), loader(records, **plain())
    next(ours.epoch(0))
    ours.use(loader(records, workers, **plain()).recipe)
    for one, other in zip(ours.epoch(1), theirs.epoch(1), strict=True):
        np.testing.assert_array_equal(one.images, other.images)
    ours.close()


def test_batches_follow_seed_and_epoch(records):
    def first(**values):
        return next(loader(records, **values).epoch(0)).images

    np.testing.assert_array_equal(first(), first())
    assert (first() != first(seed=1)).any()
    assert (first() != next(loader(records).epoch(1)).images).any()


def test_subdivisions_cut_the_same_batch_smaller(records):
    whole = np.concatenate([b.images for b in loader(records).epoch(0)])
    parts = list(loader(records, subdivisions=2).epoch(0))
    assert len(parts) == len(loader(records, subdivisions=2)) == 4
    np.testing.assert_array_equal(np.concatenate([b.images for b in parts]), whole)


def test_every_picture_comes_before_any_is_repeated(records):
    tall = loader(records, batch_size=22, **plain())
    assert len(tall) == 1
    images = next(tall.epoch(0)).images
    assert len(np.unique(images.reshape(22, -1), axis=0)) == 11


def test_crowd_boxes_are_not_trained_on(write_coco):
    def change(trees):
        trees["train"]["annotations"][0]["iscrowd"] = 1

    record = load_dataset(write_coco(change)).splits["train"][0]
    batch = next(loader([record], batch_size=1, **plain()).epoch(0))
    assert batch.targets[:, 1].tolist() == [1]


def test_closing_stops_the_workers(records):
    before = set(psutil.Process().children())
    making = loader(records, workers=3)
    next(making.epoch(0))
    assert len(set(psutil.Process().children()) - before) == 3
    making.close()
    assert set(psutil.Process().children()) <= before


def test_error_in_a_worker_is_raised(records):
    records[3].path.write_bytes(b"rubbish")
    with pytest.raises(DataError, match=r"not an image"):
        list(loader(records, workers=2, batch_size=11).epoch(0))


def test_refusals(records):
    with pytest.raises(ConfigurationError, match=r"4 cannot be cut into 3 equal"):
        loader(records, subdivisions=3)
    with pytest.raises(DataError, match=r"no image to train on"):
        loader([])


@pytest.mark.parametrize("letter_box", [False, True])
@pytest.mark.parametrize("max_side", [None, 20])
def test_evaluation_maps_boxes_back(records, letter_box, max_side):
    cache = ImageCache(10**8, max_side)
    batches = list(EvalLoader(records, cache, (64, 64), letter_box, batch_size=4))
    assert [len(batch.records) for batch in batches] == [4, 4, 3]
    assert [r for batch in batches for r in batch.records] == list(records)
    batch = batches[0]
    frame = np.array([[0.0, 0.0, 1.0, 1.0], [0.25, 0.5, 0.5, 0.75]], np.float32)
    found = batch.boxes_to_px(1, frame)
    np.testing.assert_allclose(found[0], [0, 0, 40, 30])
    hand = [10, 15, 20, 25] if letter_box else [10, 15, 20, 22.5]
    np.testing.assert_allclose(found[1], hand, atol=0.6 if max_side else 1e-4)


@pytest.mark.parametrize("letter_box", [False, True])
def test_training_and_evaluation_see_the_same(records, letter_box):
    train = loader(records[:1], batch_size=1, **plain(**{"data.letter_box": letter_box}))
    seen = next(train.epoch(0))
    batch = next(iter(EvalLoader(records[:1], ImageCache(0), (64, 32), letter_box, 1)))
    np.testing.assert_array_equal(seen.images, batch.images)
    centre, side = seen.targets[:, 2:4], seen.targets[:, 4:]
    corners = np.hstack([centre - side / 2, centre + side / 2])
    back = batch.boxes_to_px(0, corners)
    np.testing.assert_allclose(back, records[0].boxes_xyxy_px, atol=1e-3)


def test_evaluation_does_not_depend_on_the_workers(records):
    cache = ImageCache(10**8)
    alone = list(EvalLoader(records, cache, (64, 32), False, 4))
    helped = list(EvalLoader(records, cache, (64, 32), False, 4, workers=2))
    for one, other in zip(alone, helped, strict=True):
        np.testing.assert_array_equal(one.images, other.images)


@pytest.mark.skipif(not BLOOD.is_dir(), reason="needs ../shared/data/bccd160")
def test_real_set_loads_and_batches():
    data = load_dataset(BLOOD)
    config = TrainConfig(batch_size=8)
    recipe = DetectionRecipe(data.splits["train"], ImageCache(10**8), config, (160, 160))
    batches = RecipeLoader(recipe).epoch(0)
    batch = next(batches)
    assert batch.images.std() > 10
    assert len(batch.targets) > 20
