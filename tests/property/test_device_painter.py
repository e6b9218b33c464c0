"""Both painters give the same image, whatever is drawn."""

import cv2
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.model.picture_recipe import differences, noise, recipe, smooth

EXACT_WARP = int(cv2.__version__.split(".")[0]) >= 5  # OpenCV 4 rounds places to 1/32 px

SIDES = st.integers(1, 150)
PICTURES = st.lists(
    st.builds(
        lambda kind, width, height, seed: kind(width, height, seed),
        st.sampled_from([noise, smooth]), SIDES, SIDES, st.integers(0, 9),
    ),
    min_size=1,
    max_size=4,
)  # fmt: skip
SIZES = st.tuples(st.sampled_from([32, 64, 96]), st.sampled_from([32, 64, 160]))
MIXED = {
    "mosaic": st.sampled_from([0.0, 0.5, 1.0]),
    "mosaic_images": st.sampled_from([4, 9]),
    "mixup": st.sampled_from([0.0, 0.5]),
    "cutmix": st.sampled_from([0.0, 0.5]),
    "flip": st.sampled_from([0.0, 0.5]),
    "jitter": st.floats(0.0, 0.49),
    "resize": st.floats(0.4, 2.0),
}
COLOURS = {
    "hue": st.floats(0.0, 0.5),
    "saturation": st.floats(0.3, 4.0),
    "exposure": st.floats(0.3, 4.0),
}
COLOURLESS = {"hue": 0.0, "saturation": 1.0, "exposure": 1.0}


@settings(max_examples=40, deadline=None)
@given(PICTURES, SIZES, st.booleans(), st.fixed_dictionaries(MIXED | COLOURS))
def test_resized_and_coloured_images_agree(pictures, size_wh, letter_box, augment):
    own = recipe(pictures, size_wh, letter_box=letter_box, batch_size=4, **augment)
    assert differences(own).max() <= 1


@settings(max_examples=40, deadline=None)
@given(PICTURES, SIZES, st.booleans(), st.floats(0.0, 180.0), st.fixed_dictionaries(MIXED))
def test_turned_and_zoomed_images_agree(pictures, size_wh, classify, angle, augment):
    task = "classify" if classify else "detect"
    augment = {**augment, **COLOURLESS, "rotate": angle, "aspect": 1.4}
    apart = differences(recipe(pictures, size_wh, task=task, batch_size=4, **augment))
    assert apart.max() <= (1 if EXACT_WARP else 12)
    assert apart.mean() < (0.01 if EXACT_WARP else 1.5)
