import cv2
import numpy as np
import pytest

from model.config import AugmentConfig
from model.data.augment import (
    EpochDraws,
    ImageParams,
    TileParams,
    apply,
    epoch_order,
    letter_box_margins,
    sample_params,
)
from model.data.loader import resized

OFF = AugmentConfig(mosaic=0, flip=0, jitter=0, hue=0, saturation=1, exposure=1)
NONE = (np.zeros((0, 4), np.float32), np.zeros(0, np.int64))


@pytest.fixture
def picture():
    noise = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 2)


def one(picture, boxes, tile=None, size_wh=(100, 100), **more):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    labels = np.arange(len(boxes))
    params = ImageParams((0,), (tile or TileParams(),))
    return apply(params, [picture], [boxes], [labels], size_wh, **more)


@pytest.mark.parametrize("size_wh", [(96, 96), (64, 32), (70, 50)])
def test_all_off_is_a_plain_resize_bit_for_bit(picture, size_wh):
    params = sample_params(EpochDraws(3, 1, 5), 4, 2, 9, OFF)
    assert params == ImageParams((2,), (TileParams(snap=params.tiles[0].snap),))
    found, boxes, _ = apply(params, [picture], [NONE[0]], [NONE[1]], size_wh)
    np.testing.assert_array_equal(found, cv2.resize(picture, size_wh))
    np.testing.assert_array_equal(found, resized(picture, size_wh))
    assert boxes.shape == (0, 4)


def test_flip_twice_is_nothing(picture):
    boxes = np.array([[0.1, 0.2, 0.4, 0.9], [0.0, 0.0, 1.0, 0.5]], np.float32)
    flip = TileParams(flip=True)
    once, moved, _ = one(picture, boxes, flip, (70, 50))
    np.testing.assert_array_equal(once, picture[:, ::-1])
    np.testing.assert_allclose(moved[0], [0.6, 0.2, 0.9, 0.9], atol=1e-6)
    twice, back, labels = one(once, moved, flip, (70, 50))
    np.testing.assert_array_equal(twice, picture)
    np.testing.assert_allclose(back, boxes, atol=1e-6)
    assert labels.tolist() == [0, 1]


def test_crop_is_of_the_picture_before_its_flip(picture):
    right_half = TileParams(crop=(0.5, 0, 0, 0), flip=True)
    found, boxes, _ = one(picture, [[0.5, 0, 0.75, 1]], right_half, (35, 50))
    np.testing.assert_array_equal(found, picture[:, :34:-1])
    np.testing.assert_allclose(boxes, [[0.5, 0, 1, 1]], atol=1e-6)


def test_outward_crop_is_filled_with_the_mean():
    picture = np.full((40, 40, 3), (10, 20, 30), np.uint8)
    picture[:20] = (50, 60, 70)
    found, boxes, _ = one(picture, [[0, 0, 1, 1]], TileParams(crop=(-0.25, 0, -0.25, 0)), (60, 40))
    assert (found[:, :9] == (30, 40, 50)).all()
    assert (found[:, -9:] == (30, 40, 50)).all()
    assert (found[:19, 12:48] == (50, 60, 70)).all()
    np.testing.assert_allclose(boxes, [[1 / 6, 0, 5 / 6, 1]], atol=1e-6)


def test_inward_crop_clips_and_drops_boxes(picture):
    cropped = TileParams(crop=(0.5, 0, 0, 0))
    boxes = [[0.25, 0, 0.75, 1], [0, 0, 0.4, 1], [0.2, 0.2, 0.503, 0.9]]
    _, found, labels = one(picture, boxes, cropped)
    np.testing.assert_allclose(found, [[0, 0, 0.5, 1]], atol=1e-6)
    assert labels.tolist() == [0]  # one outside, one under a pixel wide


def test_letter_box_keeps_the_aspect():
    assert letter_box_margins(200, 100, (50, 50)) == (0.0, 0.5)
    assert letter_box_margins(100, 200, (50, 50)) == (0.5, 0.0)
    assert letter_box_margins(100, 50, (80, 40)) == (0.0, 0.0)
    picture = np.full((20, 40, 3), 200, np.uint8)
    picture[:, :20] = 0
    found, boxes, _ = one(picture, [[0, 0, 0.5, 1]], size_wh=(80, 80), letter_box=True)
    np.testing.assert_allclose(boxes, [[0, 0.25, 0.5, 0.75]], atol=1e-6)
    assert (found[:19] == 100).all()
    assert (found[21:59, :39] == 0).all()


MOSAIC_BOX = np.array([[0.5, 0.3, 0.8, 0.9]], np.float32)


def mosaic(tiles, pictures, cut=(0.4, 0.6), **more):
    params = ImageParams((0, 1, 2, 3), tuple(tiles), cut)
    labels = [np.array([k]) for k in range(4)]
    return apply(params, pictures, [MOSAIC_BOX] * 4, labels, (100, 100), **more)


def test_mosaic_shows_the_corner_opposite_its_own():
    ramp = np.arange(100, dtype=np.uint8)
    picture = np.dstack(np.broadcast_arrays(ramp[None, :], ramp[:, None], np.uint8(7)))
    pictures = [np.ascontiguousarray(picture)] * 4
    found, boxes, labels = mosaic([TileParams()] * 4, pictures)
    columns = np.r_[60:100, 0:60]
    rows = np.r_[40:100, 0:40]
    np.testing.assert_array_equal(found[..., 0], np.broadcast_to(columns, (100, 100)))
    np.testing.assert_array_equal(found[..., 1], np.broadcast_to(rows[:, None], (100, 100)))
    hand = [
        [0.0, 0.0, 0.2, 0.5],  # x 50..80 - 60, y 30..90 - 40, clipped
        [0.9, 0.0, 1.0, 0.5],  # x + 40
        [0.0, 0.9, 0.2, 1.0],  # y + 60
        [0.9, 0.9, 1.0, 1.0],
    ]
    np.testing.assert_allclose(boxes, hand, atol=1e-6)
    assert labels.tolist() == [0, 1, 2, 3]


def test_mosaic_tile_moves_inward_by_the_fill():
    """Fill of 20 px on the right: the top-left tile ends where the picture does."""
    ramp = np.broadcast_to(np.arange(100, dtype=np.uint8)[None, :, None], (100, 100, 3))
    pictures = [np.ascontiguousarray(ramp)] * 4
    wide = TileParams(crop=(0.0, 0.0, -0.25, 0.0))
    found, boxes, _ = mosaic([wide, TileParams(), TileParams(), TileParams()], pictures)
    assert found[0, 0, 0] == 50
    assert found[0, 39, 0] == 99
    np.testing.assert_allclose(boxes[0], [0.0, 0.0, 0.24, 0.5], atol=1e-6)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("corner", range(4))
def test_snap_leaves_no_fill_on_the_outer_sides(corner, flip):
    at_left, at_top = corner % 2 == 0, corner < 2
    across = (-0.45, 0.0) if at_left != flip else (0.0, -0.45)
    down = (-0.45, 0.0) if at_top else (0.0, -0.45)
    crop = (across[0], down[0], across[1], down[1])
    picture = np.full((100, 100, 3), 200, np.uint8)
    picture[40:60, 40:60] = 0  # the mean is not 200
    cut = (0.8 if at_left else 0.2, 0.8 if at_top else 0.2)

    def outer(snap):
        tiles = [TileParams()] * 4
        tiles[corner] = TileParams(crop, flip=flip, snap=snap)
        found, _, _ = mosaic(tiles, [picture] * 4, cut)
        found = found if at_left else found[:, ::-1]
        found = found if at_top else found[::-1]
        return np.concatenate([found[:10, :60].ravel(), found[:60, :10].ravel()])

    assert (outer(snap=True) == 200).all()
    assert (outer(snap=False) != 200).all()


def test_tile_wholly_of_fill():
    """A letter box can leave a tile nothing of its picture."""
    thin = np.full((10, 400, 3), 90, np.uint8)
    found, _, _ = mosaic([TileParams()] * 4, [thin] * 4, cut=(0.2, 0.2), letter_box=True)
    assert (found == 90).all()


def test_colour_rule():
    picture = np.zeros((4, 4, 3), np.uint8)
    picture[:] = (200, 100, 100)
    turned, _, _ = one(picture, [], TileParams(hue=1 / 3), (4, 4))
    np.testing.assert_allclose(turned[0, 0], [100, 200, 100], atol=3)
    back, _, _ = one(picture, [], TileParams(hue=-1 / 3), (4, 4))
    np.testing.assert_allclose(back[0, 0], [100, 100, 200], atol=3)
    dark, _, _ = one(picture, [], TileParams(exposure=0.5), (4, 4))
    np.testing.assert_allclose(dark[0, 0], [100, 50, 50], atol=2)
    full, _, _ = one(picture, [], TileParams(saturation=4.0), (4, 4))
    np.testing.assert_allclose(full[0, 0], [200, 0, 0], atol=2)
    bright, _, _ = one(picture, [], TileParams(exposure=3.0), (4, 4))
    np.testing.assert_allclose(bright[0, 0], [255, 128, 128], atol=2)


def plans(config, seed=5, epoch=2, count=300):
    draws = EpochDraws(seed, epoch, count)
    return [sample_params(draws, p, p, count, config) for p in range(count)]


def own(params, index):
    return params.tiles[params.members.index(index)]


@pytest.mark.parametrize(
    "change",
    [{"mosaic": 1.0}, {"hue": 0.3}, {"jitter": 0.0}, {"saturation": 1.0}, {"exposure": 3.0}],
)
def test_switching_one_ingredient_moves_no_draw_of_another(change):
    before = plans(AugmentConfig(mosaic=0.0))
    after = plans(AugmentConfig(**{"mosaic": 0.0, **change}))
    names = {"flip", "crop", "hue", "saturation", "exposure"} - set(change)
    names -= {"crop"} if "jitter" in change else set()
    for old, new in zip(before, after, strict=True):
        (tile,) = old.tiles
        settings = [[getattr(other, name) for name in names] for other in new.tiles]
        assert [getattr(tile, name) for name in names] in settings


def test_draws_follow_seed_epoch_and_position_alone():
    whole = plans(AugmentConfig())
    draws = EpochDraws(5, 2, 10)
    assert [sample_params(draws, p, p, 300, AugmentConfig()) for p in range(10)] == whole[:10]
    assert plans(AugmentConfig(), seed=6) != whole
    assert plans(AugmentConfig(), epoch=3) != whole
    assert epoch_order(5, 2, 9).tolist() != epoch_order(5, 3, 9).tolist()
    assert sorted(epoch_order(5, 2, 9)) == list(range(9))


def test_strengths_are_those_of_the_configuration():
    many = plans(AugmentConfig(mosaic=0.25, flip=0.75, jitter=0.2, hue=0.1, exposure=2.0))
    tiles = [own(params, i) for i, params in enumerate(many)]
    crops = np.array([tile.crop for tile in tiles])
    exposures = np.array([tile.exposure for tile in tiles])
    cuts = np.array([params.cut for params in many if params.cut])
    assert len(cuts) / 300 == pytest.approx(0.25, abs=0.08)
    assert np.mean([tile.flip for tile in tiles]) == pytest.approx(0.75, abs=0.08)
    assert np.abs(crops).max() == pytest.approx(0.2, abs=0.01)
    assert np.abs(crops.mean(axis=0)).max() < 0.03
    assert max(abs(tile.hue) for tile in tiles) == pytest.approx(0.1, abs=0.01)
    assert exposures.min() == pytest.approx(0.5, abs=0.02)
    assert exposures.max() == pytest.approx(2.0, abs=0.05)
    assert np.mean(exposures > 1) == pytest.approx(0.5, abs=0.1)
    assert cuts.min() >= 0.2
    assert cuts.max() <= 0.8
    corners = [p.members.index(i) for i, p in enumerate(many) if p.cut]
    assert set(corners) == {0, 1, 2, 3}
