"""Coloured rectangles are where the boxes say, whatever is done to the picture."""

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from model.data.augment.params import ImageParams, TileParams
from model.data.augment.plan import _extents_inside
from tests.painting import apply

# Corners of the colour cube: far from each other and from grey. A label is an index into these.
COLOURS = np.array([(r, g, b) for r in (0, 255) for g in (0, 255) for b in (0, 255)], np.int64)
GREY = 128
# from a colour; the mean of a scene, which fills what lies outside of it, comes as near as 64
NEAR = 60


@st.composite
def scenes(draw, labels):
    """A grey picture with one rectangle for each label, apart from each other; its boxes."""
    width = draw(st.integers(60, 120))
    height = draw(st.integers(60, 120))
    picture = np.full((height, width, 3), GREY, np.uint8)
    boxes = []
    for slot, label in enumerate(labels):  # left half, right half
        low, high = slot * width // 2 + 2, (slot + 1) * width // 2 - 2
        x0 = draw(st.integers(low, high - 12))
        x1 = draw(st.integers(x0 + 12, high))
        y0 = draw(st.integers(0, height - 12))
        y1 = draw(st.integers(y0 + 12, height))
        picture[y0:y1, x0:x1] = COLOURS[label]
        boxes.append((x0 / width, y0 / height, x1 / width, y1 / height))
    return picture, np.array(boxes, np.float32), np.array(labels)


TILES = st.builds(
    TileParams,
    crop=st.tuples(*[st.floats(-0.3, 0.3)] * 4),
    flip=st.booleans(),
    snap=st.booleans(),
)
TURNED = st.builds(
    TileParams,
    crop=st.tuples(*[st.floats(-0.3, 0.0)] * 4),
    flip=st.booleans(),
    angle=st.floats(-180, 180),
)
SIZES = st.sampled_from([64, 96, 160])


def check(picture, boxes, labels, blur_px):
    """Each label's pixels fill its box, and there are none where it has no box."""
    size = np.array((picture.shape[1], picture.shape[0]) * 2)
    assert ((boxes >= 0) & (boxes <= 1)).all()
    found = dict(zip(labels.tolist(), boxes * size, strict=True))
    for label, colour in enumerate(COLOURS):
        near = np.abs(picture.astype(np.int64) - colour).max(axis=2) < NEAR
        rows, columns = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
        if label not in found:
            assert min(len(rows), len(columns)) <= 1 + blur_px
            continue
        x0, y0, x1, y1 = found[label]
        if min(x1 - x0, y1 - y0) > 2 * blur_px + 1:
            seen = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
            np.testing.assert_allclose(seen, found[label], atol=1 + blur_px)


def blur(pictures, size):
    """Half of what one source pixel can become, with the strongest crop."""
    return 0.5 * max(size / (0.4 * side) for p in pictures for side in p.shape[:2])


@settings(max_examples=60, deadline=None)
@given(scenes((1, 6)), TILES, SIZES, SIZES, st.booleans())
def test_rectangles_are_found_in_a_single_picture(scene, tile, width, height, letter_box):
    picture, boxes, labels = scene
    params = ImageParams((0,), (tile,))
    found = apply(params, [picture], [boxes], [labels], (width, height), letter_box=letter_box)
    check(*found, blur([picture], max(width, height)))


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(scenes((0, 1)), scenes((2, 3)), scenes((4, 5)), scenes((6, 7))),
    st.tuples(TILES, TILES, TILES, TILES),
    st.tuples(st.floats(0.2, 0.8), st.floats(0.2, 0.8)),
    SIZES,
    st.booleans(),
)
def test_rectangles_are_found_in_a_mosaic(four, tiles, cut, size, letter_box):
    pictures, boxes, labels = zip(*four, strict=True)
    params = ImageParams((0, 1, 2, 3), tiles, "mosaic", cut[:1], cut[1:])
    found = apply(params, pictures, boxes, labels, (size, size), letter_box=letter_box)
    check(*found, blur(pictures, size))


def half_covered():
    """A scene whose mean is as near to its rectangle's colour as any."""
    picture = np.full((60, 104, 3), GREY, np.uint8)
    picture[:, 2:50] = COLOURS[2]
    return picture, np.array([(2 / 104, 0, 50 / 104, 1)], np.float32), np.array([2])


@settings(max_examples=60, deadline=None)
@given(scenes((2,)), TURNED, SIZES, SIZES)
@example(half_covered(), TileParams(crop=(0.0, 0.0, 0.0, -0.25), flip=False, angle=0.0), 64, 64)
@example(half_covered(), TileParams(crop=(0.0, 0.0, 0.0, -0.25), flip=False, angle=88.0), 64, 64)
def test_turned_rectangles_touch_their_boxes(scene, tile, width, height):
    picture, boxes, labels = scene
    params = ImageParams((0,), (tile,))
    image, found, left = apply(params, [picture], [boxes], [labels], (width, height))
    # a corner is a sliver of a pixel, so the last of it may not have the full colour
    slack = 1.5 + blur([picture], max(width, height))
    if len(left) and found.min() > 0 and found.max() < 1:
        check(image, found, left, slack)
    else:  # the border may leave a sliver as long as the box, so only nothing lies outside
        near = np.abs(image.astype(np.int64) - COLOURS[2]).max(axis=2) < NEAR
        for x0, y0, x1, y1 in found * np.array((width, height) * 2):
            x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
            across = (x > x0 - slack) & (x < x1 + slack)
            down = (y > y0 - slack) & (y < y1 + slack)
            near[np.ix_(down, across)] = False
        assert min(near.any(axis=0).sum(), near.any(axis=1).sum()) <= 1 + slack


def clipped_by_hand(corners, width, height):
    """Extent of a polygon inside a picture, by cutting it at one border after the other."""
    for axis, border, side in ((0, 0, 1), (0, width, -1), (1, 0, 1), (1, height, -1)):
        kept = []
        for here, there in zip(corners, [*corners[1:], *corners[:1]], strict=True):
            inside = [side * (point[axis] - border) >= 0 for point in (here, there)]
            if inside[0]:
                kept.append(here)
            if inside[0] != inside[1]:
                share = (border - here[axis]) / (there[axis] - here[axis])
                kept.append(tuple(a + share * (b - a) for a, b in zip(here, there, strict=True)))
        corners = kept
        if not corners:
            return None
    return np.array([*np.min(corners, axis=0), *np.max(corners, axis=0)])


@settings(max_examples=200, deadline=None)
@given(
    st.tuples(*[st.floats(-60, 160)] * 2), st.tuples(*[st.floats(1, 150)] * 2),
    st.floats(-3.2, 3.2),
)  # fmt: skip
def test_extents_are_those_of_the_clipped_quadrilateral(centre, sides, angle):
    half = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * sides / 2
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    corners = half @ turn + centre
    (found,) = _extents_inside(corners[None], np.zeros(2), np.array((100.0, 80.0)))
    wanted = clipped_by_hand([tuple(corner) for corner in corners], 100, 80)
    if wanted is None:
        assert (found[2:] - found[:2]).max() <= 1e-5
    else:
        np.testing.assert_allclose(found, wanted, atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(*[scenes((label,)) for label in range(8)], scenes((0,))),
    st.tuples(*[TILES] * 9),
    st.tuples(st.floats(0.2, 0.45), st.floats(0.55, 0.8)),
    st.tuples(st.floats(0.2, 0.45), st.floats(0.55, 0.8)),
)
def test_rectangles_are_found_among_nine(nine, tiles, cuts_x, cuts_y):
    pictures, boxes, labels = zip(*nine, strict=True)
    boxes = (*boxes[:8], boxes[8][:0])  # the ninth's colour is the first's: paint it out
    pictures = (*pictures[:8], np.full_like(pictures[8], GREY))
    params = ImageParams(tuple(range(9)), tiles, "mosaic", cuts_x, cuts_y)
    found = apply(params, pictures, boxes, (*labels[:8], labels[8][:0]), (192, 192))
    check(*found, blur(pictures, 192))
