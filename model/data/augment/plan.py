"""Which pixels of which picture go where: exact, and the same for every painter.

A plan holds whole pixels and plain numbers only. Crops and tiles are cut at whole pixels of the
source, as in darknet, and boxes follow the rounded cut; a rotated or zoomed picture is sampled
along an affine map instead. Two of darknet's accidents are not kept: hue wraps around the circle
where darknet stops at red, and a tile never reads beyond its padded picture.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from model.data.augment.params import Chosen, ImageParams, TileParams
from model.effect import Boxes

Labels = NDArray[np.int64]
Borders = tuple[float, float, float, float]
Span = tuple[int, int]
Affine = tuple[float, float, float, float, float, float]

Part = Literal["whole", "end", "middle", "start", "same"]
"""Which part of an augmented picture a stretch of the canvas shows: all of it, the end opposite a
mosaic's centre, its middle, or what lies at the same place."""


@dataclass(frozen=True)
class Place:
    """Rectangle of the canvas, in pixels, and which part of the picture goes there."""

    x0: int
    y0: int
    x1: int
    y1: int
    part_x: Part = "whole"
    part_y: Part = "whole"


@dataclass(frozen=True)
class TilePlan:
    """One source picture on the canvas.

    Attributes
    ----------
    place : Place
    x, y : tuple of int
        Span of the picture, in its pixels and after the flip, that is resized to fill the place;
        it may reach beyond the picture, where the fill is its mean.
    flip : bool
    angle : float
        Of the rotation, degrees.
    affine : tuple of six float, optional
        Instead of the spans: a place's pixel (i, j) shows the picture at
        ``(a i + b j + c, d i + e j + f)``, both counted between pixel centres as OpenCV does.
    hue, saturation, exposure : float
        As in `TileParams`.
    effects : tuple of (key, choice)
    share : float
        Of the image that is this picture's: area, or weight in a blend.
    """

    place: Place
    x: Span
    y: Span
    flip: bool
    angle: float
    affine: Affine | None
    hue: float
    saturation: float
    exposure: float
    effects: tuple[Chosen, ...]
    share: float


@dataclass(frozen=True)
class ImagePlan:
    """One training image.

    Attributes
    ----------
    size_wh : tuple of int
        The network's width and height in pixels.
    members : tuple of int
        Index of each tile's picture.
    tiles : tuple of TilePlan
        Painted in this order.
    blend : bool
        Whether the two tiles, each on a canvas of its own, are averaged.
    effects : tuple of (key, choice)
        Painted on the whole image.
    """

    size_wh: tuple[int, int]
    members: tuple[int, ...]
    tiles: tuple[TilePlan, ...]
    blend: bool
    effects: tuple[Chosen, ...]


def plan_image(
    params: ImageParams,
    pictures_wh: Sequence[tuple[int, int]],
    size_wh: tuple[int, int],
    *,
    letter_box: bool = False,
) -> ImagePlan:
    """Settle the pixels of one training image.

    Parameters
    ----------
    params : ImageParams
    pictures_wh : sequence of (width, height)
        Sizes of the pictures of `params.members`, as they are held.
    size_wh : tuple of int
        The network's width and height in pixels.
    letter_box : bool
        Keep each picture's aspect and fill the rest with its mean, instead of stretching.
    """
    places = _places(params, size_wh)
    shares = _shares(params, places, size_wh)
    tiles = tuple(
        _plan_tile(tile, place, picture_wh, size_wh, share, letter_box=letter_box)
        for tile, place, picture_wh, share in zip(
            params.tiles, places, pictures_wh, shares, strict=True
        )
    )
    return ImagePlan(size_wh, params.members, tiles, params.mix == "mixup", params.effects)


def _places(params: ImageParams, size_wh: tuple[int, int]) -> list[Place]:
    width, height = size_wh
    whole = Place(0, 0, width, height)
    if params.mix == "mosaic":
        return list(_grid(params, size_wh))
    if params.mix == "mixup":
        return [whole, whole]
    if params.rect is not None:
        left, top, right, bottom = params.rect
        x, y = round(left * width), round(top * height)
        end = max(x + 1, round(right * width)), max(y + 1, round(bottom * height))
        return [whole, Place(x, y, *end, "same", "same")]
    return [whole]


def _grid(params: ImageParams, size_wh: tuple[int, int]) -> Iterable[Place]:
    """Places of a mosaic, row by row; a zoomed picture (a classifier's) is not shifted."""
    width, height = size_wh
    edges_x = [0, *(int(cut * width) for cut in params.cuts_x), width]
    edges_y = [0, *(int(cut * height) for cut in params.cuts_y), height]
    still = params.tiles[0].zoom is not None
    for y0, y1 in pairwise(edges_y):
        for x0, x1 in pairwise(edges_x):
            parts: tuple[Part, Part] = (_part(x0, x1, width), _part(y0, y1, height))
            yield Place(x0, y0, x1, y1, *(("same", "same") if still else parts))


def _part(start: int, end: int, length: int) -> Part:
    if start == 0:
        return "end"
    return "start" if end == length else "middle"


def _shares(
    params: ImageParams, places: Sequence[Place], size_wh: tuple[int, int]
) -> Sequence[float]:
    if params.mix == "mixup":
        return (0.5, 0.5)
    areas = [(p.x1 - p.x0) * (p.y1 - p.y0) / (size_wh[0] * size_wh[1]) for p in places]
    return (1.0 - areas[1], areas[1]) if params.mix == "cutmix" else areas


def _plan_tile(
    tile: TileParams,
    place: Place,
    picture_wh: tuple[int, int],
    size_wh: tuple[int, int],
    share: float,
    *,
    letter_box: bool,
) -> TilePlan:
    borders = _borders(tile, picture_wh, size_wh, letter_box=letter_box)
    if tile.snap:
        borders = _snapped(borders, place)
    x = _shown(borders[0], borders[2], place.x0, place.x1, size_wh[0], place.part_x)
    y = _shown(borders[1], borders[3], place.y0, place.y1, size_wh[1], place.part_y)
    return TilePlan(
        place,
        _whole_pixels(x, picture_wh[0]),
        _whole_pixels(y, picture_wh[1]),
        tile.flip,
        tile.angle,
        _affine(tile, borders, x, y, place, picture_wh, size_wh),
        tile.hue,
        tile.saturation,
        tile.exposure,
        tile.effects,
        share,
    )


def _borders(
    tile: TileParams, picture_wh: tuple[int, int], size_wh: tuple[int, int], *, letter_box: bool
) -> Borders:
    """Left, top, right, bottom as they will be *seen* (after the flip), letter box included."""
    if tile.zoom is not None:
        return _zoomed(tile, picture_wh, size_wh)
    left, top, right, bottom = tile.crop
    if letter_box:
        across, down = letter_box_margins(*picture_wh, size_wh)
        left, right, top, bottom = left - across, right - across, top - down, bottom - down
    return (right, top, left, bottom) if tile.flip else (left, top, right, bottom)


def letter_box_margins(width: int, height: int, size_wh: tuple[int, int]) -> tuple[float, float]:
    """Fill on each side that gives a picture the network's aspect.

    Returns
    -------
    tuple of two float
        Left (and right), as a fraction of the picture's width; top (and bottom), of its height.
    """
    ratio = (width / height) / (size_wh[0] / size_wh[1])
    return (0.0, (ratio - 1.0) / 2.0) if ratio > 1.0 else ((1.0 / ratio - 1.0) / 2.0, 0.0)


def _zoomed(tile: TileParams, picture_wh: tuple[int, int], size_wh: tuple[int, int]) -> Borders:
    """Borders of a classifier's crop (darknet's random_augment_image).

    The picture is resized to ``scale / aspect`` times its width and `scale` times its height, so
    that its shorter side (with the aspect) has the drawn size, and a crop of the network's size
    is taken anywhere in it; where it is smaller than the network, it is in the middle.
    """
    assert tile.zoom is not None
    width, height = picture_wh
    scale = tile.zoom.size * min(size_wh) / min(width, height * tile.zoom.aspect)
    seen_x = size_wh[0] / (width * scale / tile.zoom.aspect)  # of the crop, in pictures
    seen_y = size_wh[1] / (height * scale)
    left, top = (
        (1.0 - seen) * (at if seen < 1.0 else 0.5)
        for seen, at in zip((seen_x, seen_y), tile.zoom.at, strict=True)
    )
    return left, top, 1.0 - seen_x - left, 1.0 - seen_y - top


def _snapped(borders: Borders, place: Place) -> Borders:
    """Move the crop, without resizing it, to the picture's border on a mosaic's outer sides."""
    left, top, right, bottom = borders
    left, right = _snapped_pair(left, right, place.part_x)
    top, bottom = _snapped_pair(top, bottom, place.part_y)
    return left, top, right, bottom


def _snapped_pair(before: float, after: float, part: Part) -> tuple[float, float]:
    if part == "end":
        return 0.0, before + after
    return (before + after, 0.0) if part == "start" else (before, after)


def _shown(
    before: float, after: float, start: int, end: int, length: int, part: Part
) -> tuple[float, float]:
    """Stretch of the source, as fractions of it, that a stretch of the canvas shows.

    Parameters
    ----------
    before, after : float
        How far the crop lies inside the source at either end, as a fraction of it.
    start, end : int
        The stretch, of a canvas of `length` pixels.
    part : Part
        A mosaic's outer tiles show the end of the crop that lies opposite its centre, moved inward
        by the fill there, at most by their own length.
    """
    scale = (1.0 - before - after) / length
    if part == "end":
        shift = -min(end, length - end, max(0.0, -after / scale)) + length - end
    elif part == "start":
        shift = min(length - start, start, max(0.0, -before / scale)) - start
    elif part == "middle":
        shift = (length - start - end) / 2
    else:
        shift = 0.0
    return before + (start + shift) * scale, before + (end + shift) * scale


def _whole_pixels(shown: tuple[float, float], source: int) -> Span:
    low, high = round(shown[0] * source), round(shown[1] * source)
    return low, max(high, low + 1)


def _affine(
    tile: TileParams,
    borders: Borders,
    x: tuple[float, float],
    y: tuple[float, float],
    place: Place,
    picture_wh: tuple[int, int],
    size_wh: tuple[int, int],
) -> Affine | None:
    """Map of a place's pixels to the picture's, if it is rotated or a classifier's."""
    if not tile.angle and tile.zoom is None:
        return None
    # canvas of the whole augmented picture -> picture, continuous coordinates
    step_x = (x[1] - x[0]) * picture_wh[0] / (place.x1 - place.x0)
    step_y = (y[1] - y[0]) * picture_wh[1] / (place.y1 - place.y0)
    sign = -1.0 if tile.flip else 1.0
    origin_x = borders[0] * picture_wh[0]
    at_x = picture_wh[0] - origin_x if tile.flip else origin_x
    unrotated = np.array(
        [[sign * step_x, 0, at_x], [0, step_y, borders[1] * picture_wh[1]], [0, 0, 1]]
    )
    turned = unrotated @ _rotation(-tile.angle, (size_wh[0] / 2, size_wh[1] / 2))
    # the place's corner lies there on that canvas
    corner_x = (x[0] - borders[0]) * picture_wh[0] / step_x
    corner_y = (y[0] - borders[1]) * picture_wh[1] / step_y
    a, b, c, d, e, f = (turned @ _shift(corner_x + 0.5, corner_y + 0.5))[:2].ravel().tolist()
    return a, b, c - 0.5, d, e, f - 0.5


def _shift(x: float, y: float) -> NDArray[np.float64]:
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


def _rotation(degrees: float, centre: tuple[float, float]) -> NDArray[np.float64]:
    """Rotation about a point; clockwise as seen, as y points down."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turn = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    return _shift(*centre) @ turn @ _shift(-centre[0], -centre[1])


def boxes_on_canvas(tile: TilePlan, boxes: Boxes, picture_wh: tuple[int, int]) -> Boxes:
    """Boxes of a tile in canvas pixels, clipped to its place.

    A rotated box becomes the smallest upright one around what is seen of it. darknet clips to
    the whole canvas unless mosaic_bound is set; the two are the same, as a tile shows its crop to
    the end on the sides where it meets others.

    Parameters
    ----------
    boxes : ndarray, shape (N, 4), float32
        Corners relative to the picture.
    """
    place = tile.place
    moved = (
        _moved(tile, boxes, picture_wh)
        if tile.affine is None
        else _turned(tile.affine, place, boxes, picture_wh)
    )
    low = np.array((place.x0, place.y0) * 2, np.float32)
    high = np.array((place.x1, place.y1) * 2, np.float32)
    np.maximum(moved, low, out=moved)
    np.minimum(moved, high, out=moved)
    return moved


def _moved(tile: TilePlan, boxes: Boxes, picture_wh: tuple[int, int]) -> Boxes:
    place = tile.place
    scale_x = (place.x1 - place.x0) / (tile.x[1] - tile.x[0])
    scale_y = (place.y1 - place.y0) / (tile.y[1] - tile.y[0])
    gain_x, gain_y = picture_wh[0] * scale_x, picture_wh[1] * scale_y
    at_x, at_y = place.x0 - tile.x[0] * scale_x, place.y0 - tile.y[0] * scale_y
    if tile.flip:
        boxes = boxes[:, _MIRRORED]
        gain_x, at_x = -gain_x, at_x + gain_x
    gain, offset = np.array(
        ((gain_x, gain_y, gain_x, gain_y), (at_x, at_y, at_x, at_y)), np.float32
    )
    moved: Boxes = boxes * gain + offset
    return moved


_MIRRORED = [2, 1, 0, 3]


def _turned(affine: Affine, place: Place, boxes: Boxes, picture_wh: tuple[int, int]) -> Boxes:
    a, b, c, d, e, f = affine
    corners = boxes[:, ((0, 1), (2, 1), (2, 3), (0, 3))].astype(np.float64)
    source = corners * picture_wh - 0.5 - (c, f)
    there = source @ np.linalg.inv(np.array([[a, b], [d, e]])).T + (place.x0 + 0.5, place.y0 + 0.5)
    low, high = np.array([[place.x0, place.y0], [place.x1, place.y1]], np.float64)
    return _extents_inside(there, low, high).astype(np.float32)


Points = NDArray[np.float64]


def _extents_inside(corners: Points, low: Points, high: Points) -> Points:
    """Smallest upright boxes (N, 4) around what quadrilaterals show inside a rectangle.

    A box around a whole one, cut off at the rectangle, would be too large where a corner lies
    outside. What is outside altogether gets a box of negative sides.

    Parameters
    ----------
    corners : ndarray, shape (N, 4, 2)
        Of convex quadrilaterals, one after the other.
    low, high : ndarray, shape (2,)
    """
    frame = np.array([(low[0], low[1]), (high[0], low[1]), (high[0], high[1]), (low[0], high[1])])
    crossings = [
        _crossings(corners, axis, border[axis]) for axis in (0, 1) for border in (low, high)
    ]
    points = np.concatenate(
        [corners, *crossings, np.where(_covers(corners, frame)[..., None], frame, np.nan)], axis=1
    )
    inside = ((points >= low - 1e-6) & (points <= high + 1e-6)).all(axis=2, keepdims=True)
    least = np.where(inside, points, np.inf).min(axis=1)
    most = np.where(inside, points, -np.inf).max(axis=1)
    return np.concatenate([least, most], axis=1)


def _crossings(corners: Points, axis: int, border: float) -> Points:
    """Where the sides (N, 4) cross a line at right angles to an axis; NaN where they do not."""
    sides = np.roll(corners, -1, axis=1) - corners
    along = sides[..., axis]
    share = np.divide(
        border - corners[..., axis], along, out=np.full_like(along, np.nan), where=along != 0
    )
    share[(share < 0) | (share > 1)] = np.nan
    return corners + share[..., None] * sides


def _covers(corners: Points, points: Points) -> NDArray[np.bool_]:
    """Which of the points (P, 2) each quadrilateral covers: (N, P)."""
    sides = (np.roll(corners, -1, axis=1) - corners)[:, None]
    to = points[:, None] - corners[:, None]
    turns = sides[..., 0] * to[..., 1] - sides[..., 1] * to[..., 0]
    one_way: NDArray[np.bool_] = np.all(turns >= 0, axis=2)
    return one_way | np.all(turns <= 0, axis=2)


def truths_of(
    plan: ImagePlan,
    boxes: Sequence[Boxes],
    labels: Sequence[Labels],
    pictures_wh: Sequence[tuple[int, int]],
) -> tuple[Boxes, Labels]:
    """Truths of a training image.

    Parameters
    ----------
    boxes : sequence of ndarray, shape (N, 4), float32
        Corners of each member's truths, relative to the picture.
    labels : sequence of ndarray, shape (N,), int64
        Their classes.
    pictures_wh : sequence of (width, height)

    Returns
    -------
    boxes : ndarray, shape (M, 4), float32
        Corners relative to the image, clipped to it; those under a pixel wide or high are gone.
    labels : ndarray, shape (M,), int64
    """
    moved = [
        boxes_on_canvas(tile, own, size)
        for tile, own, size in zip(plan.tiles, boxes, pictures_wh, strict=True)
    ]
    boxes_px = moved[0] if len(moved) == 1 else np.concatenate(moved)
    classes = labels[0] if len(labels) == 1 else np.concatenate(labels)
    sides = boxes_px[:, 2:] - boxes_px[:, :2]
    keep = sides.min(axis=1) >= 1.0 if len(sides) else slice(0)
    size: Boxes = np.array(plan.size_wh * 2, np.float32)
    return boxes_px[keep] / size, classes[keep]
