"""Brightness, contrast, noise, and the numbers that noise is drawn from."""

from statistics import NormalDist

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from model.ingredients import _random, brightness, contrast, noise

NONE = np.zeros((0, 4), np.float32)


def painted(effect, picture, choice):
    """By OpenCV; the twin must agree exactly."""
    result = np.array(picture, np.uint8)
    tensor = torch.from_numpy(result.copy()).permute(2, 0, 1)
    effect.paint(result, choice, NONE)
    effect.paint_on_device(tensor, choice, NONE)
    np.testing.assert_array_equal(result, tensor.permute(1, 2, 0))
    return result


def greys(*rows):
    return np.repeat(np.array(rows, np.uint8)[..., None], 3, axis=2)


def hashed(word):
    """One word of lowbias32, in Python's integers."""
    word ^= word >> 16
    word = word * 0x7FEB352D % 2**32
    word ^= word >> 15
    word = word * 0x846CA68B % 2**32
    return word ^ word >> 16


@pytest.mark.parametrize("seed", [0, 1, 0xDEADBEEF, 2**32 - 1])
def test_numbers_are_the_hash_of_index_and_seed(seed):
    words = [hashed(hashed(index) ^ seed) for index in range(5)]
    assert _random.numbers(seed, 5, 32).tolist() == words
    halves = [half for word in words for half in (word & 0xFFFF, word >> 16)]
    assert _random.numbers(seed, 9, 16).tolist() == halves[:9]
    octets = [word >> shift & 0xFF for word in words for shift in (0, 8, 16, 24)]
    assert _random.numbers(seed, 18, 8).tolist() == octets[:18]
    for bits in (8, 16, 32):
        on_device = _random.numbers_on_device(seed, 17, bits, torch.device("cpu"))
        assert on_device.tolist() == _random.numbers(seed, 17, bits).tolist()


def test_numbers_are_uniform_and_do_not_follow_each_other():
    octets = _random.numbers(3, 2**16, 8)
    counts = np.bincount(octets, minlength=256)
    assert ((counts - 256.0) ** 2 / 256.0).sum() == pytest.approx(255, abs=4 * np.sqrt(510))
    numbers = octets.astype(float)
    for lag in (1, 2, 3, 256):
        assert abs(np.corrcoef(numbers[lag:], numbers[:-lag])[0, 1]) < 4 / 256


def test_numbers_of_two_seeds_are_no_permutations_of_one_another():
    assert set(_random.numbers(4, 64, 32)).isdisjoint(_random.numbers(5, 64, 32))


def test_a_seed_is_of_32_bits():
    assert _random.seed_of(0.0) == 0
    assert _random.seed_of(0.5) == 2**31
    assert _random.seed_of(1.0 - 2**-53) == 2**32 - 1


@pytest.mark.parametrize(("draw", "levels"), [(0.0, -102), (0.25, -51), (0.5, 0), (1.0, 102)])
def test_brightness_is_uniform_to_either_side(draw, levels):
    settings = brightness.BrightnessSettings(delta=0.4)
    assert brightness.sample([draw], settings) == brightness.Choice(levels)


def test_ssd_shifts_by_up_to_32_levels():
    assert brightness.sample([1.0], brightness.BrightnessSettings()).levels == 32


def test_brightness_adds_and_clips():
    picture = [[(0, 100, 250)]]
    assert painted(brightness, picture, brightness.Choice(51)).tolist() == [[[51, 151, 255]]]
    assert painted(brightness, picture, brightness.Choice(-101)).tolist() == [[[0, 0, 149]]]
    assert painted(brightness, picture, brightness.Choice(0)).tolist() == [[[0, 100, 250]]]


@pytest.mark.parametrize(("draw", "factor"), [(0.0, 0.5), (0.5, 1.0), (1.0, 1.5)])
def test_contrast_is_between_a_half_and_one_and_a_half(draw, factor):
    assert contrast.sample([draw], contrast.ContrastSettings()).factor == factor


@pytest.mark.parametrize(
    ("factor", "expected"),
    [(1.0, (100, 200)), (0.5, (125, 175)), (1.5, (75, 225)), (0.0, (150, 150)), (4.0, (0, 255))],
)
def test_contrast_scales_about_the_mean_grey(factor, expected):
    result = painted(contrast, greys((100, 200)), contrast.Choice(factor))
    np.testing.assert_array_equal(result, greys(expected))


def test_no_contrast_leaves_the_grey_of_pils_weights():
    result = painted(contrast, [[(255, 0, 0)]], contrast.Choice(0.0))
    assert result.tolist() == [[[76, 76, 76]]]  # 0.299 * 255 = 76.2


def test_noise_has_the_mean_and_width_it_is_asked_for():
    picture = np.full((200, 200, 3), 128, np.uint8)
    field = painted(noise, picture, noise.Choice(11, 10.0)).astype(float) - 128.0
    assert field.mean() == pytest.approx(0.0, abs=4 * 10.0 / np.sqrt(field.size))
    assert field.std() == pytest.approx(np.sqrt(100 + 1 / 12), rel=0.01)
    kurtosis = (field**4).mean() / field.var() ** 2
    assert kurtosis == pytest.approx(3.0, abs=0.06)
    of_channels = np.corrcoef(field.reshape(-1, 3).T)[np.triu_indices(3, 1)]
    assert np.abs(of_channels).max() < 0.02


def test_noise_without_width_changes_nothing():
    picture = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    np.testing.assert_array_equal(painted(noise, picture, noise.Choice(5, 0.0)), picture)


def test_noise_is_clipped_at_both_ends():
    picture = greys((0, 255) * 200)
    result = painted(noise, picture, noise.Choice(5, 127.0))
    changed = result != picture
    assert 0.4 < changed.mean() < 0.6  # half would leave the range and stays


def test_noise_of_another_seed_is_another():
    picture = np.full((8, 8, 3), 128, np.uint8)
    one, other = (painted(noise, picture, noise.Choice(seed, 10.0)) for seed in (1, 2))
    assert (one != other).mean() > 0.8


@pytest.mark.parametrize("sigma", [0.5, 10.0, 127.0])
def test_levels_are_as_frequent_as_in_a_normal_distribution(sigma):
    table = noise.quantiles(sigma)
    assert table.shape == (2**16,)
    np.testing.assert_array_equal(table, -table[::-1])
    normal = NormalDist(0.0, sigma)
    for level in (0, 1, int(2 * sigma) + 1):
        share = normal.cdf(level + 0.5) - normal.cdf(level - 0.5)
        assert (table == level).sum() == pytest.approx(share * 2**16, abs=1.0)


def test_darknets_bound_on_noise_is_kept():
    with pytest.raises(ValidationError, match="less than or equal to 127"):
        noise.NoiseSettings(sigma=128.0)
