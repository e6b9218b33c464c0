"""Random Erasing, CutOut, Hide-and-Seek and GridMask."""

import numpy as np
import pytest
import torch

from model.ingredients import _mean, cutout, erase, grid_mask, hide_and_seek

NONE = np.zeros((0, 4), np.float32)


def scene(height=60, width=80):
    """No pixel has the mean colour."""
    return np.random.default_rng(2).choice(np.uint8([0, 255]), (height, width, 3))


def painted(effect, picture, choice, truths=NONE):
    """By OpenCV; the twin must agree exactly."""
    result, tensor = picture.copy(), torch.from_numpy(picture.copy()).permute(2, 0, 1)
    effect.paint(result, choice, truths)
    effect.paint_on_device(tensor, choice, truths)
    np.testing.assert_array_equal(result, tensor.permute(1, 2, 0))
    return result


def hidden(effect, choice, height=60, width=80):
    """Where the picture got its mean colour; elsewhere it is as it was."""
    result = painted(effect, scene(height, width), choice)
    covered = (result == _mean.mean_colour(scene(height, width))).all(axis=2)
    np.testing.assert_array_equal(result[~covered], scene(height, width)[~covered])
    return covered


def test_the_mean_colour_is_rounded_half_up():
    picture = np.array([[(0, 0, 1), (1, 2, 3)]], np.uint8)
    assert _mean.mean_colour(picture).tolist() == [1, 1, 2]
    on_device = _mean.mean_colour_on_device(torch.from_numpy(picture).permute(2, 0, 1))
    assert on_device.flatten().tolist() == [1, 1, 2]


def erasure(seed, **settings):
    return erase.sample([seed / 2**32], erase.EraseSettings(**settings))


@pytest.mark.parametrize("size", [(400, 300), (200, 600)])
def test_erased_rectangles_keep_area_and_aspect_and_lie_inside(size):
    width, height = size
    shares, aspects = [], []
    for seed in range(200):
        (found,) = erase.rectangles(erasure(seed), NONE, width, height)
        across, down = found.x1 - found.x0, found.y1 - found.y0
        assert 0 <= found.x0 <= found.x1 <= width
        assert 0 <= found.y0 <= found.y1 <= height
        shares.append(across * down / (width * height))
        aspects.append(down / across)
    assert 0.019 < min(shares) < 0.04
    assert 0.25 < max(shares) < 0.402
    assert 0.29 < min(aspects) < 0.4
    assert 2.0 < max(aspects) < 3.4


def test_erased_areas_are_distributed_as_in_algorithm_1():
    rng = np.random.default_rng(0)
    expected = []
    while len(expected) < 2000:
        area, aspect = rng.uniform(0.02, 0.4), rng.uniform(0.3, 1 / 0.3)
        height, width = np.sqrt(area * aspect), np.sqrt(area / aspect)
        if rng.random() + width <= 1 and rng.random() + height <= 1:
            expected.append(area)
    found = [next(erase.rectangles(erasure(seed), NONE, 500, 500)) for seed in range(2000)]
    areas = [(each.x1 - each.x0) * (each.y1 - each.y0) / 500**2 for each in found]
    deciles = np.linspace(0.1, 0.9, 9)
    np.testing.assert_allclose(
        np.quantile(areas, deciles), np.quantile(expected, deciles), atol=0.012
    )


def test_erasing_takes_the_first_rectangle_that_fits():
    choice = erasure(9, area_min=0.5, area_max=0.5, aspect=1.0)
    (found,) = erase.rectangles(choice, NONE, 100, 100)
    assert (found.x1 - found.x0, found.y1 - found.y0) == (71, 71)
    assert found.x0 <= 29
    assert found.y0 <= 29


def test_erased_pixels_are_random_and_the_others_as_they_were():
    (found,) = erase.rectangles(erasure(4), NONE, 80, 60)
    result = painted(erase, scene(), erasure(4))
    part = result[found.y0 : found.y1, found.x0 : found.x1]
    assert len(np.unique(part)) > min(200, part.size // 2)
    assert part.mean() == pytest.approx(127.5, abs=4 * 74 / np.sqrt(part.size))
    part[:] = scene()[found.y0 : found.y1, found.x0 : found.x1]
    np.testing.assert_array_equal(result, scene())


def test_pixels_can_be_erased_by_the_mean_colour():
    (found,) = erase.rectangles(erasure(4), NONE, 80, 60)
    covered = hidden(erase, erasure(4, fill="mean"))
    assert covered.sum() == (found.x1 - found.x0) * (found.y1 - found.y0)
    assert covered[found.y0 : found.y1, found.x0 : found.x1].all()


def test_objects_are_erased_within_their_boxes():
    truths = np.array([(10, 10, 40, 40), (50.4, 5.4, 79.6, 55.6)], np.float32)
    first, second = erase.rectangles(erasure(1, where="objects"), truths, 80, 60)
    assert 10 <= first.x0 < first.x1 <= 40
    assert 10 <= first.y0 < first.y1 <= 40
    assert 50 <= second.x0 < second.x1 <= 80
    assert 5 <= second.y0 < second.y1 <= 56
    assert first.seed != second.seed


def test_image_and_objects_are_erased_together():
    truths = np.array([(10, 10, 40, 40)], np.float32)
    whole, part = erase.rectangles(erasure(1, where="both"), truths, 80, 60)
    assert [whole] == list(erase.rectangles(erasure(1), truths, 80, 60))
    assert 10 <= part.x0 < part.x1 <= 40
    painted(erase, scene(), erasure(1, where="both"), truths)


def test_nothing_is_erased_where_there_are_no_objects():
    assert list(erase.rectangles(erasure(1, where="objects"), NONE, 80, 60)) == []


def test_no_rectangle_fits_a_region_that_is_too_long():
    truths = np.array([(0, 30, 2000, 31)], np.float32)
    assert list(erase.rectangles(erasure(1, where="objects"), truths, 2000, 60)) == []


@pytest.mark.parametrize(
    ("x", "y", "rows", "columns"),
    [(0.5, 0.5, (28, 42), (38, 52)), (0.0, 0.0, (0, 7), (0, 7)), (0.99, 0.99, (62, 70), (82, 90))],
)
def test_cutout_hides_a_square_that_the_border_may_clip(x, y, rows, columns):
    covered = hidden(cutout, cutout.Choice(x, y, 0.2), 70, 90)
    expected = np.zeros((70, 90), bool)
    expected[slice(*rows), slice(*columns)] = True
    np.testing.assert_array_equal(covered, expected)


def test_cutout_takes_its_centre_from_the_draws():
    choice = cutout.sample([0.1, 0.7], cutout.CutoutSettings(side=0.5))
    assert choice == cutout.Choice(0.1, 0.7, 0.5)


def test_hide_and_seek_chooses_one_of_the_papers_sizes():
    settings = hide_and_seek.HideAndSeekSettings()
    sizes = [
        224 * hide_and_seek.sample([u, 0.0], settings).patch for u in (0.1, 0.3, 0.5, 0.7, 0.9)
    ]
    assert sizes == pytest.approx([0, 16, 32, 44, 56])


def test_hide_and_seek_without_patches_hides_nothing():
    assert not hidden(hide_and_seek, hide_and_seek.Choice(3, 0.0, 1.0)).any()


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_hide_and_seek_hides_none_or_all(share):
    assert (hidden(hide_and_seek, hide_and_seek.Choice(3, 0.25, share)) == share).all()


def test_patches_are_hidden_whole_and_the_last_ones_are_cut():
    choice = hide_and_seek.Choice(3, 1 / 6, 0.5)
    side, cells = hide_and_seek.grid(choice, 85, 61)
    assert (side, cells.shape) == (10, (7, 9))
    covered = hidden(hide_and_seek, choice, 61, 85)
    np.testing.assert_array_equal(covered, np.kron(cells, np.ones((10, 10)))[:61, :85] > 0)
    assert 0.2 < cells.mean() < 0.8


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_each_patch_is_hidden_by_a_chance_of_its_own(share):
    _, cells = hide_and_seek.grid(hide_and_seek.Choice(7, 0.01, share), 100, 100)
    assert cells.shape == (100, 100)
    assert cells.mean() == pytest.approx(share, abs=0.02)
    assert abs(np.corrcoef(cells[1:].ravel(), cells[:-1].ravel())[0, 1]) < 0.04


def test_grid_mask_by_hand():
    covered = hidden(grid_mask, grid_mask.Choice(0.5, (0.0, 0.25), 0.0, 0.5), 8, 8)
    columns = np.array([0, 0, 1, 1, 0, 0, 1, 1], bool)  # kept, kept, hidden, hidden
    rows = np.array([0, 1, 1, 0, 0, 1, 1, 0], bool)  # the same, a pixel further
    np.testing.assert_array_equal(covered, rows[:, None] & columns)


@pytest.mark.parametrize("ratio", [0.2, 0.4, 0.5, 0.6, 0.8])
@pytest.mark.parametrize("offset", [(0.0, 0.0), (0.3, 0.9)])
def test_the_kept_share_of_grid_mask_is_the_papers(ratio, offset):
    covered = hidden(grid_mask, grid_mask.Choice(0.25, offset, 0.0, ratio), 80, 80)
    assert 1.0 - covered.mean() == pytest.approx(1.0 - (1.0 - ratio) ** 2)


@pytest.mark.parametrize("angle", [17.0, 45.0, 90.0, 201.0])
def test_a_turned_grid_keeps_about_as_much(angle):
    covered = hidden(grid_mask, grid_mask.Choice(0.1, (0.4, 0.1), angle, 0.5), 200, 200)
    assert 1.0 - covered.mean() == pytest.approx(0.75, abs=0.02)


def test_a_grid_is_turned_about_the_centre():
    turned = [
        hidden(grid_mask, grid_mask.Choice(0.5, (0.25, 0.25), angle, 0.5), 40, 40)
        for angle in (0.0, 90.0, 360.0)
    ]
    np.testing.assert_array_equal(turned[1], turned[0])  # this grid has that symmetry
    np.testing.assert_array_equal(turned[2], turned[0])
    other = hidden(grid_mask, grid_mask.Choice(0.5, (0.25, 0.25), 45.0, 0.5), 40, 40)
    np.testing.assert_array_equal(other, other[::-1, ::-1])
    assert (other != turned[0]).any()


@pytest.mark.parametrize(
    ("unit", "ratio", "expected"),
    [(0.0, 0.5, (2, 1)), (0.1, 0.5, (6, 3)), (1.0, 0.6, (60, 36)), (0.1, 0.0, (6, 1)),
     (0.1, 1.0, (6, 5))],
)  # fmt: skip
def test_units_are_of_whole_pixels_and_hide_at_least_one(unit, ratio, expected):
    assert grid_mask.unit_px(grid_mask.Choice(unit, (0, 0), 0.0, ratio), 80, 60) == expected


def test_grid_mask_is_drawn_between_its_bounds():
    settings = grid_mask.GridMaskSettings(unit_min=0.2, unit_max=0.6, rotate=90.0)
    choice = grid_mask.sample([0.5, 0.1, 0.2, 0.5], settings)
    assert choice == grid_mask.Choice(pytest.approx(0.4), (0.1, 0.2), 45.0, 0.5)
