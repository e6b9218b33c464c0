"""Both painters of an effect make the same picture, of any size, inside their view alone."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.ingredient import effects

UNIT = st.floats(0.0, 1.0, exclude_max=True)
SHARE = st.floats(0.0, 1.0)
SETTINGS = {
    "brightness": {"delta": SHARE},
    "contrast": {"strength": SHARE},
    "noise": {"sigma": st.floats(0.0, 127.0)},
    "blur": {"background": SHARE, "size": st.integers(1, 40)},
    "bilateral": {
        "size": st.integers(3, 9),
        "sigma_colour": st.floats(5.0, 200.0),
        "sigma_space": st.floats(0.5, 100.0),
    },
    "erase": {
        "where": st.sampled_from(["image", "objects", "both"]),
        "fill": st.sampled_from(["random", "mean"]),
        "area_min": SHARE,
        "area_max": SHARE,
        "aspect": st.floats(0.1, 1.0),
    },
    "cutout": {"side": SHARE},
    "hide_and_seek": {"patches": st.lists(SHARE, min_size=1, max_size=3), "hidden": SHARE},
    "grid_mask": {
        "ratio": SHARE,
        "unit_min": SHARE,
        "unit_max": SHARE,
        "rotate": st.sampled_from([0.0, 90.0, 360.0]),
    },
}
EFFECTS = [effect for effect in effects() if effect.key in SETTINGS]
ROUNDED = {"contrast", "bilateral"}
"""Computed in floating point; all others must agree to the bit."""


@st.composite
def canvases(draw):
    """A canvas, the place of the picture on it and boxes in its pixels, some beyond it."""
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    before, after = draw(st.integers(0, 3)), draw(st.integers(0, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = (height + before + after, width + before + after, 3)
    canvas = rng.integers(0, 256, shape, np.uint8)
    if draw(st.booleans()):  # black and white
        canvas = (canvas > 127).astype(np.uint8) * np.uint8(255)
    corners = rng.uniform(-0.2, 1.2, (draw(st.integers(0, 3)), 2, 2)) * (width, height)
    boxes = np.sort(corners, axis=1).reshape(-1, 4).astype(np.float32)
    return canvas, (slice(before, before + height), slice(before, before + width)), boxes


@pytest.mark.parametrize("effect", EFFECTS, ids=lambda effect: effect.key)
@settings(max_examples=60, deadline=None)
@given(st.data(), canvases())
def test_painters_agree(effect, data, scene):
    canvas, (rows, columns), boxes = scene
    choice = effect.sample(
        data.draw(st.lists(UNIT, min_size=effect.draws, max_size=effect.draws)),
        effect.settings(**data.draw(st.fixed_dictionaries(SETTINGS[effect.key]))),
    )
    painted, again = canvas.copy(), canvas.copy()
    tensor = torch.from_numpy(canvas.copy()).permute(2, 0, 1)
    if data.draw(st.booleans()):
        tensor = tensor.contiguous()
    effect.paint(painted[rows, columns], choice, boxes)
    effect.paint(again[rows, columns], choice, boxes)
    effect.paint_on_device(tensor[:, rows, columns], choice, boxes)

    np.testing.assert_array_equal(painted, again)
    twin = tensor.permute(1, 2, 0).numpy().astype(int)
    atol = 1 if effect.key in ROUNDED else 0
    np.testing.assert_allclose(twin, painted.astype(int), atol=atol, rtol=0)
    twin[rows, columns] = canvas[rows, columns]
    np.testing.assert_array_equal(twin, canvas)
    painted[rows, columns] = canvas[rows, columns]
    np.testing.assert_array_equal(painted, canvas)
