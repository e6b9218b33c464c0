import cv2
import numpy as np
import pytest

from model.config import TrainConfig
from model.data.augment.draws import EpochDraws, epoch_order
from model.data.augment.opencv import resized
from model.data.augment.params import ImageParams, ParamSampler, TileParams, Zoom
from model.data.augment.plan import letter_box_margins, plan_image
from tests.painting import apply

OFF = {"mosaic": 0, "flip": 0, "jitter": 0, "hue": 0, "saturation": 1, "exposure": 1}


def sampler(augment, *, seed=5, epoch=2, count=300, **more):
    values = {f"augment.{name}": value for name, value in augment.items()}
    config = TrainConfig(seed=seed).with_values(values | more)
    return ParamSampler(config, epoch, count)


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
    params = sampler(OFF, seed=3, epoch=1, count=9).sample(4, 2)
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
    params = ImageParams((0, 1, 2, 3), tuple(tiles), "mosaic", cut[:1], cut[1:])
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


def plans(augment=None, count=300, **more):
    drawn = sampler(augment or {}, **more)
    return [drawn.sample(p, p) for p in range(count)]


def own(params, index):
    return params.tiles[params.members.index(index)]


CHANGES = [
    {"mosaic": 1.0},
    {"mosaic": 1.0, "mosaic_images": 9},
    {"mixup": 1.0},
    {"hue": 0.3},
    {"jitter": 0.0},
    {"resize": 1.5},
    {"rotate": 30.0},
    {"saturation": 1.0},
    {"exposure": 3.0},
    {"grid_mask.probability": 1.0, "noise.probability": 1.0},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: " ".join(change))
def test_switching_one_ingredient_moves_no_draw_of_another(change):
    before = plans({"mosaic": 0.0})
    after = plans({"mosaic": 0.0, **change})
    names = {"flip", "crop", "hue", "saturation", "exposure", "angle"} - set(change)
    names -= {"crop"} if {"jitter", "resize"} & set(change) else set()
    names -= {"angle"} if "rotate" in change else set()
    for old, new in zip(before, after, strict=True):
        (tile,) = old.tiles
        settings = [[getattr(other, name) for name in names] for other in new.tiles]
        assert [getattr(tile, name) for name in names] in settings
    assert before != after


def test_draws_follow_seed_epoch_and_position_alone():
    whole = plans()
    late = sampler({})
    assert [late.sample(p, p) for p in reversed(range(300))] == whole[::-1]
    assert plans(seed=6) != whole
    assert plans(epoch=3) != whole
    assert epoch_order(5, 2, 9).tolist() != epoch_order(5, 3, 9).tolist()
    assert sorted(epoch_order(5, 2, 9)) == list(range(9))


def test_a_stream_has_the_same_numbers_whatever_else_is_asked_for():
    alone = [EpochDraws(1, 2).at("hue", p, 1, 3) for p in (0, 63, 64, 1000)]
    busy = EpochDraws(1, 2)
    for position in range(1001):
        busy.at(f"other {position}", position, 2)
    assert [busy.at("hue", p, 1, 3) for p in (0, 63, 64, 1000)] == alone
    numbers = np.array([EpochDraws(1, 2).at("hue", p, 1)[0][0] for p in range(2000)])
    assert 0 <= numbers.min() < 0.01 < 0.99 < numbers.max() < 1
    assert len(set(numbers)) == 2000
    assert abs(np.corrcoef(numbers[:-1], numbers[1:])[0, 1]) < 0.08


def test_strengths_are_those_of_the_configuration():
    many = plans({"mosaic": 0.25, "flip": 0.75, "jitter": 0.2, "hue": 0.1, "exposure": 2.0})
    tiles = [own(params, i) for i, params in enumerate(many)]
    crops = np.array([tile.crop for tile in tiles])
    exposures = np.array([tile.exposure for tile in tiles])
    cuts = np.array([params.cuts_x + params.cuts_y for params in many if params.cuts_x])
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
    corners = [p.members.index(i) for i, p in enumerate(many) if p.mix == "mosaic"]
    assert set(corners) == {0, 1, 2, 3}


def test_mixing_takes_one_kind_at_random_in_half_of_the_images():
    """darknet: mosaic and cutmix together share the half that one of them would have."""
    kinds = [p.mix for p in plans({"mosaic": 0.5, "cutmix": 0.5}, task="classify")]
    assert kinds.count("plain") / 300 == pytest.approx(0.5, abs=0.08)
    assert kinds.count("mosaic") / 300 == pytest.approx(0.25, abs=0.08)
    assert kinds.count("cutmix") / 300 == pytest.approx(0.25, abs=0.08)


def test_resize_moves_borders_as_darknet_does():
    crops = np.array([p.tiles[0].crop for p in plans({"mosaic": 0, "jitter": 0, "resize": 1.5})])
    assert crops.min() == pytest.approx((1 - 1.5) / 2, abs=0.01)  # outward
    assert crops.max() == pytest.approx((1 - 1 / 1.5) / 2, abs=0.01)  # inward
    np.testing.assert_array_equal(crops[:, 0], crops[:, 1])
    np.testing.assert_array_equal(crops[:, 2], crops[:, 3])
    shrunk = np.array([p.tiles[0].crop for p in plans({"mosaic": 0, "jitter": 0, "resize": 0.5})])
    assert shrunk.min() == pytest.approx(-0.5, abs=0.01)
    assert shrunk.max() <= 0


def test_crop_never_vanishes():
    many = plans({"mosaic": 0, "jitter": 0.49, "resize": 8.0})
    for params in many:
        left, top, right, bottom = params.tiles[0].crop
        assert left + right <= 0.95 + 1e-9
        assert top + bottom <= 0.95 + 1e-9


def test_quarter_turn_is_exact():
    picture = np.random.default_rng(1).integers(0, 256, (40, 40, 3), np.uint8)
    found, boxes, _ = one(picture, [[0.1, 0.2, 0.4, 0.9]], TileParams(angle=90.0), (40, 40))
    np.testing.assert_array_equal(found, np.rot90(picture, -1))  # clockwise
    np.testing.assert_allclose(boxes, [[0.1, 0.1, 0.8, 0.4]], atol=1e-6)


def test_mixup_is_the_mean_of_both_and_has_all_truths():
    dark, light = np.full((8, 8, 3), 10, np.uint8), np.full((8, 8, 3), 91, np.uint8)
    params = ImageParams((0, 1), (TileParams(), TileParams()), "mixup")
    boxes = [np.array([[0, 0, 0.5, 0.5]], np.float32), np.array([[0.5, 0.5, 1, 1]], np.float32)]
    found, both, labels = apply(
        params, [dark, light], boxes, [np.array([3]), np.array([1])], (8, 8)
    )
    assert (found == 50).all()  # 50.5 to even
    np.testing.assert_allclose(both, np.concatenate(boxes))
    assert labels.tolist() == [3, 1]


def test_cutmix_replaces_a_part_by_the_same_place_of_another():
    ramp = np.ascontiguousarray(
        np.broadcast_to(np.arange(100, dtype=np.uint8)[:, None], (100, 100))
    )
    first = np.dstack([np.zeros_like(ramp)] * 3)
    second = np.dstack([ramp] * 3)
    params = ImageParams((0, 1), (TileParams(),) * 2, "cutmix", rect=(0.2, 0.1, 0.7, 0.4))
    found, _, _ = apply(params, [first, second], [NONE[0]] * 2, [NONE[1]] * 2, (100, 100))
    np.testing.assert_array_equal(found[10:40, 20:70], second[10:40, 20:70])
    assert found[:10].max() == found[40:].max() == found[:, :20].max() == found[:, 70:].max() == 0
    shares = [tile.share for tile in plan_image(params, [(100, 100)] * 2, (100, 100)).tiles]
    assert shares == pytest.approx([0.85, 0.15])


def test_nine_pictures_show_the_part_that_faces_the_middle():
    ramp = np.arange(90, dtype=np.uint8)
    picture = np.ascontiguousarray(np.dstack([np.broadcast_to(ramp, (90, 90))] * 3))
    params = ImageParams(
        tuple(range(9)), (TileParams(),) * 9, "mosaic", (1 / 3, 2 / 3), (0.3, 0.6)
    )
    found, _, _ = apply(params, [picture] * 9, [NONE[0]] * 9, [NONE[1]] * 9, (90, 90))
    np.testing.assert_array_equal(found[50, :, 0], np.r_[60:90, 30:60, 0:30])


def zoomed(picture, zoom, size=32, **more):
    found, _, _ = one(picture, [], TileParams(zoom=zoom, **more), (size, size))
    return found


def test_zoom_takes_a_crop_of_the_resized_picture(picture):
    """Shorter side 50 px drawn as 64: a 32 px crop shows 25 px of it each way."""
    picture = np.ascontiguousarray(picture)
    resized_px = cv2.resize(picture, (round(70 * 1.28), 64)).astype(int)
    middle = zoomed(picture, Zoom(2.0))
    top = (64 - 32) // 2
    left = (resized_px.shape[1] - 32) / 2
    near = resized_px[top : top + 32, round(left) : round(left) + 32]
    assert np.abs(middle.astype(int) - near).mean() < 6
    corner = zoomed(picture, Zoom(2.0, at=(0.0, 0.0)))
    assert np.abs(corner.astype(int) - resized_px[:32, :32]).mean() < 2


def test_zoom_out_leaves_the_mean_around():
    picture = np.full((40, 40, 3), 100, np.uint8)
    picture[:20] = 0
    found = zoomed(picture, Zoom(0.5, at=(0.0, 0.0)))
    assert (found[:7] == 50).all()
    assert (found[:, :7] == 50).all()
    assert (found[9:15, 9:23] == 0).all()
    assert (found[17:23, 9:23] == 100).all()


def test_a_classifier_zooms_in_place_of_cropping():
    (tile,) = sampler({"mosaic": 0}, task="classify").sample(0, 0).tiles
    assert tile.crop == (0, 0, 0, 0)
    assert 0.5 <= tile.zoom.size <= 1.75
    assert tile.zoom.aspect == 1.0


def test_a_turned_box_is_that_of_what_is_seen():
    """A square on its tip, half of which sticks out on the left: its tip there is not seen."""
    picture = np.zeros((100, 100, 3), np.uint8)
    tip = TileParams(angle=45.0)
    _, whole, _ = one(picture, [[0.4, 0.4, 0.6, 0.6]], tip)
    half = 0.1 * 2**0.5
    np.testing.assert_allclose(
        whole, [[0.5 - half, 0.5 - half, 0.5 + half, 0.5 + half]], atol=1e-6
    )
    _, cut, _ = one(picture, [[0.0, 0.75, 0.25, 1.0]], tip)
    corners = np.array([(-0.5, 0.25), (-0.25, 0.25), (-0.25, 0.5), (-0.5, 0.5)])
    turned = corners @ np.array([[1, 1], [-1, 1]]) / 2**0.5 + 0.5
    seen = turned[:, 0].max()  # only the corner on the right is inside
    at = turned[turned[:, 0].argmax(), 1]
    np.testing.assert_allclose(cut, [[0.0, at - seen, seen, at + seen]], atol=1e-6)
