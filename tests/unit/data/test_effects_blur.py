"""Gaussian and bilateral blur."""

import cv2
import numpy as np
import pytest
import torch

from model.ingredients import _mirror, bilateral, blur

NONE = np.zeros((0, 4), np.float32)
WHOLE, BACKGROUND = blur.Choice(False, 15), blur.Choice(True, 15)


def scene(height=48, width=60):
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)


def boxes(*corners):
    return np.array(corners, np.float32)


def painted(effect, picture, choice, truths=NONE, atol=0):
    result, tensor = picture.copy(), torch.from_numpy(picture.copy()).permute(2, 0, 1)
    effect.paint(result, choice, truths)
    effect.paint_on_device(tensor, choice, truths)
    twin = tensor.permute(1, 2, 0).numpy().astype(int)
    np.testing.assert_allclose(twin, result.astype(int), atol=atol, rtol=0)
    return result


def test_half_of_the_blurred_pictures_keep_their_objects_sharp():
    settings = blur.BlurSettings()
    assert blur.sample([0.49], settings) == blur.Choice(True, 15)
    assert blur.sample([0.5], settings) == blur.Choice(False, 15)


@pytest.mark.parametrize("background", [True, False])
def test_without_objects_the_whole_picture_is_blurred_as_by_opencv(background):
    result = painted(blur, scene(), blur.Choice(background, 15))
    np.testing.assert_array_equal(result, cv2.GaussianBlur(scene(), (15, 15), 0))


def test_the_background_is_blurred_by_17_pixels_and_objects_not_at_all():
    truths = boxes((5, 6, 20, 30), (40.4, 10.6, 49.5, 11.7))
    result = painted(blur, scene(), BACKGROUND, truths)
    expected = cv2.GaussianBlur(scene(), (17, 17), 0)
    expected[6:30, 5:20] = scene()[6:30, 5:20]
    expected[10:12, 40:50] = scene()[10:12, 40:50]
    np.testing.assert_array_equal(result, expected)


def test_an_object_may_reach_beyond_the_picture():
    result = painted(blur, scene(), BACKGROUND, boxes((-3.0, -9.0, 70.0, 20.0)))
    np.testing.assert_array_equal(result[:20], scene()[:20])
    assert (result[20:] != scene()[20:]).mean() > 0.9


@pytest.mark.parametrize(
    ("smallest", "size"), [(200, 15), (64, 9), (63, 7), (40, 5), (31, 3), (16, 3), (15, 1), (7, 1)]
)
def test_the_kernel_is_at_most_an_eighth_of_the_smallest_object(smallest, size):
    truths = boxes((0, 0, 300, 300), (10, 10, 10 + smallest, 310))
    assert blur.plan(WHOLE, truths) == (size, [])


def test_a_kernel_of_one_pixel_leaves_the_picture():
    np.testing.assert_array_equal(painted(blur, scene(), WHOLE, boxes((0, 0, 9, 9))), scene())


def test_an_even_size_is_made_odd():
    assert blur.plan(blur.Choice(False, 14), NONE) == (15, [])


def test_boxes_of_less_than_a_pixel_do_not_count():
    specks = boxes((5, 5, 5, 40), (7, 7, 7.5, 7.5))
    assert blur.plan(BACKGROUND, specks) == (15, [])
    assert blur.plan(WHOLE, np.vstack([specks, boxes((0, 0, 32, 50))])) == (5, [])


@pytest.mark.parametrize(("size", "expected"), [(3, (64, 128, 64)), (5, (16, 64, 96, 64, 16))])
def test_weights_of_small_kernels_are_binomial(size, expected):
    assert blur.taps(size) == expected


@pytest.mark.parametrize("size", [7, 15, 17, 31, 63])
def test_weights_are_opencvs_gaussian_in_256ths(size):
    found = np.array(blur.taps(size))
    assert found.sum() == 256
    np.testing.assert_allclose(found / 256, cv2.getGaussianKernel(size, 0)[:, 0], atol=1 / 256)


def test_bilateral_blur_is_opencvs():
    choice = bilateral.sample([], bilateral.BilateralSettings())
    assert choice == bilateral.Choice(7, 75.0, 75.0)
    result = painted(bilateral, scene(), choice, atol=1)
    np.testing.assert_array_equal(result, cv2.bilateralFilter(scene(), 15, 75, 75))


def test_bilateral_blur_of_far_colours_keeps_an_edge_and_gaussian_blur_does_not():
    edge = np.zeros((9, 12, 3), np.uint8)
    edge[:, 6:] = 200
    np.testing.assert_array_equal(painted(bilateral, edge, bilateral.Choice(2, 10.0, 5.0)), edge)
    assert (painted(blur, edge, blur.Choice(False, 5))[:, 5:7] != edge[:, 5:7]).all()


def test_bilateral_blur_of_one_pixel_by_hand():
    picture = np.array([[[10] * 3, [13] * 3]], np.uint8)
    # mirrored: twice the right pixel, 9 levels away in all, and twice itself above and below
    other, copies = 2 * np.exp(-0.5 * (9 / 9) ** 2 - 0.5), 2 * np.exp(-0.5)
    expected = (10 + 10 * copies + 13 * other) / (1 + copies + other)
    result = painted(bilateral, picture, bilateral.Choice(1, 9.0, 1.0))
    assert result[0, 0, 0] == round(expected)


def test_a_mirror_does_not_repeat_the_last_pixel():
    line = torch.tensor([[0, 1, 2]])
    assert _mirror.mirrored(line, 3, 1).tolist() == [[1, 2, 1, 0, 1, 2, 1, 0, 1]]
    assert _mirror.mirrored(line, 2, 0).tolist() == [[0, 1, 2]] * 5
