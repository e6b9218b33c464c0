"""What is done to a training image: darknet's crop, flip, colour and mosaic.

Drawing and doing are apart. `EpochDraws` holds uniform numbers for a whole epoch, each ingredient
from its own random stream; `sample_params` turns them into the settings of one image; `apply`
paints it and is a pure function. So the image at a position of an epoch depends on nothing but
seed, epoch, position and settings, and switching one ingredient moves no draw of another.

Rules are those of darknet's detector training (AlexeyAB/darknet, the code of arXiv:2004.10934
sec. 3.4 "Mosaic" and its base augmentation). Two of its accidents are not kept: hue wraps around
the circle where darknet stops at red, and a tile never reads beyond its padded picture.
Crops and tiles are cut at whole pixels of the source, as there; boxes follow the rounded cut.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from model.config import AugmentConfig

Picture = NDArray[np.uint8]
Boxes = NDArray[np.float32]
Number = TypeVar("Number", bound=np.generic)

CUT_RANGE = (0.2, 0.8)
"""Where a mosaic may be cut, as a fraction of the network's width and height."""

# Number of each ingredient's random stream, its draws per picture slot, its picture slots.
# Numbers are part of every result: add new ones, change none.
_STREAMS = {
    "mosaic": (0, 1, 1),
    "cut": (1, 2, 1),
    "partner": (2, 1, 3),
    "corner": (3, 1, 1),
    "crop": (4, 4, 4),
    "flip": (5, 1, 4),
    "snap": (6, 1, 4),
    "hue": (7, 1, 4),
    "saturation": (8, 2, 4),
    "exposure": (9, 2, 4),
}
_SHUFFLE_STREAM = 1000


@dataclass(frozen=True)
class TileParams:
    """Settings of one source picture.

    Attributes
    ----------
    crop : tuple of four float
        Left, top, right, bottom: how far each border moves inward, as a fraction of the picture's
        width or height; negative is outward, filled with the picture's mean.
    flip : bool
        Left-right.
    snap : bool
        In a mosaic: shift the crop so that no fill is left on the tile's outer sides.
    hue : float
        Shift, as a fraction of the colour circle.
    saturation, exposure : float
        Factors of HSV's S and V.
    """

    crop: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    flip: bool = False
    snap: bool = False
    hue: float = 0.0
    saturation: float = 1.0
    exposure: float = 1.0


@dataclass(frozen=True)
class ImageParams:
    """Settings of one training image.

    Attributes
    ----------
    members : tuple of int
        Index of each source picture: one, or four in the order top-left, top-right, bottom-left,
        bottom-right.
    tiles : tuple of TileParams
        One for each member.
    cut : tuple of two float, optional
        Where the mosaic is cut, as a fraction of width and height; None for a single picture.
    """

    members: tuple[int, ...]
    tiles: tuple[TileParams, ...]
    cut: tuple[float, float] | None = None


class EpochDraws:
    """Uniform numbers in [0, 1) for every position of an epoch.

    Parameters
    ----------
    seed, epoch : int
        Not negative.
    count : int
        Images in the epoch. The first rows do not depend on it. About 400 bytes each.
    """

    def __init__(self, seed: int, epoch: int, count: int) -> None:
        self._tables = {
            name: _stream(seed, epoch, number).random((count, slots, width))
            for name, (number, width, slots) in _STREAMS.items()
        }

    def at(self, name: str, position: int) -> list[list[float]]:
        """Draws of one ingredient: a list for each picture slot."""
        draws: list[list[float]] = self._tables[name][position].tolist()
        return draws


def epoch_order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """Shuffled indices 0..count-1 of an epoch, from a stream of their own."""
    return _stream(seed, epoch, _SHUFFLE_STREAM).permutation(count)


def _stream(seed: int, epoch: int, number: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(epoch, number)))


def sample_params(
    draws: EpochDraws, position: int, own: int, count: int, config: AugmentConfig
) -> ImageParams:
    """Settle what is done to the image at a position of an epoch.

    Parameters
    ----------
    draws : EpochDraws
        Of this epoch.
    position : int
        Place in the epoch's order.
    own : int
        Index of the picture at that place.
    count : int
        Pictures to take a mosaic's three others from.
    config : AugmentConfig
        Strengths; 0 (or a factor of 1) turns an ingredient off exactly.
    """
    if not draws.at("mosaic", position)[0][0] < config.mosaic:
        return ImageParams((own,), _sample_tiles(draws, position, 1, config))
    tiles = _sample_tiles(draws, position, 4, config)
    low, high = CUT_RANGE
    cut_x, cut_y = (low + (high - low) * u for u in draws.at("cut", position)[0])
    members = [own, *(int(u * count) for (u,) in draws.at("partner", position))]
    corner = int(draws.at("corner", position)[0][0] * 4)
    order = [0, 1, 2, 3]
    order[0], order[corner] = order[corner], order[0]
    return ImageParams(
        tuple(members[i] for i in order), tuple(tiles[i] for i in order), (cut_x, cut_y)
    )


def _sample_tiles(
    draws: EpochDraws, position: int, count: int, config: AugmentConfig
) -> tuple[TileParams, ...]:
    columns = (
        draws.at(name, position)[:count]
        for name in ("crop", "flip", "snap", "hue", "saturation", "exposure")
    )
    return tuple(
        TileParams(
            crop=tuple((2.0 * u - 1.0) * config.jitter for u in crop),
            flip=flip[0] < config.flip,
            snap=snap[0] < 0.5,
            hue=(2.0 * hue[0] - 1.0) * config.hue,
            saturation=_factor(saturation, config.saturation),
            exposure=_factor(exposure, config.exposure),
        )
        for crop, flip, snap, hue, saturation, exposure in zip(*columns, strict=True)
    )


def _factor(draws: Sequence[float], largest: float) -> float:
    """Darknet's rand_scale: U(1, largest) or its inverse, one time in two each."""
    factor = 1.0 + (largest - 1.0) * draws[0]
    return factor if draws[1] < 0.5 else 1.0 / factor


def apply(
    params: ImageParams,
    pictures: Sequence[Picture],
    boxes: Sequence[Boxes],
    labels: Sequence[NDArray[np.int64]],
    size_wh: tuple[int, int],
    *,
    letter_box: bool = False,
) -> tuple[Picture, Boxes, NDArray[np.int64]]:
    """Paint one training image.

    Parameters
    ----------
    params : ImageParams
        What to do.
    pictures : sequence of ndarray, shape (H, W, 3), uint8
        One for each of `params.members`; not changed.
    boxes : sequence of ndarray, shape (N, 4), float32
        Corners of their truths, relative to the picture.
    labels : sequence of ndarray, shape (N,), int64
        Their classes.
    size_wh : tuple of int
        The network's width and height in pixels.
    letter_box : bool
        Keep each picture's aspect and fill the rest with its mean, instead of stretching.

    Returns
    -------
    picture : ndarray, shape (H, W, 3), uint8
    boxes : ndarray, shape (M, 4), float32
        Corners relative to the image, clipped to it; those under a pixel wide or high are gone.
    labels : ndarray, shape (M,), int64
    """
    width, height = size_wh
    canvas = np.empty((height, width, 3), np.uint8)
    parts = zip(_places(params.cut, size_wh), pictures, boxes, params.tiles, strict=True)
    painted = [
        _paint(canvas, place, picture, own_boxes, tile, letter_box)
        for place, picture, own_boxes, tile in parts
    ]
    return canvas, *_keep_visible(_joined(painted), _joined(labels), size_wh)


def _joined(parts: Sequence[NDArray[Number]]) -> NDArray[Number]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


@dataclass(frozen=True)
class _Place:
    """Where a picture goes on the canvas, in pixels, and which corner of a mosaic that is."""

    x0: int
    y0: int
    x1: int
    y1: int
    corner: int | None = None


def _places(cut: tuple[float, float] | None, size_wh: tuple[int, int]) -> list[_Place]:
    width, height = size_wh
    if cut is None:
        return [_Place(0, 0, width, height)]
    x, y = int(cut[0] * width), int(cut[1] * height)
    return [
        _Place(0, 0, x, y, 0),
        _Place(x, 0, width, y, 1),
        _Place(0, y, x, height, 2),
        _Place(x, y, width, height, 3),
    ]


def _paint(
    canvas: Picture,
    place: _Place,
    picture: Picture,
    boxes: Boxes,
    tile: TileParams,
    letter_box: bool,
) -> Boxes:
    """Fill `place` of the canvas (written to) and say where the boxes are on it, in pixels."""
    target = canvas[place.y0 : place.y1, place.x0 : place.x1]
    size_wh = (canvas.shape[1], canvas.shape[0])
    borders = _borders(tile, picture, size_wh, letter_box)
    if tile.snap and place.corner is not None:
        borders = _snapped(borders, at_left=place.corner % 2 == 0, at_top=place.corner < 2)
    x = _source_span(borders[0], borders[2], place.x0, place.x1, size_wh[0], picture.shape[1])
    y = _source_span(borders[1], borders[3], place.y0, place.y1, size_wh[1], picture.shape[0])
    mirrored = (picture.shape[1] - x[1], picture.shape[1] - x[0])
    _cut_out(picture, mirrored if tile.flip else x, y, target, flip=tile.flip)
    _shift_colour(target, tile)
    return _moved(boxes, picture, x, y, place, flip=tile.flip)


Borders = tuple[float, float, float, float]


def _borders(
    tile: TileParams, picture: Picture, size_wh: tuple[int, int], letter_box: bool
) -> Borders:
    """Left, top, right, bottom as they will be *seen* (after the flip), letter box included."""
    left, top, right, bottom = tile.crop
    if letter_box:
        across, down = letter_box_margins(picture.shape[1], picture.shape[0], size_wh)
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


def _snapped(borders: Borders, *, at_left: bool, at_top: bool) -> Borders:
    """Move the crop, without resizing it, to the picture's border on the outer sides."""
    left, top, right, bottom = borders
    left, right = (0.0, left + right) if at_left else (left + right, 0.0)
    top, bottom = (0.0, top + bottom) if at_top else (top + bottom, 0.0)
    return left, top, right, bottom


def _source_span(
    before: float, after: float, start: int, end: int, length: int, source: int
) -> tuple[int, int]:
    """Pixels of the source that a stretch of the canvas shows, along one axis.

    Parameters
    ----------
    before, after : float
        How far the crop lies inside the source at either end, as a fraction of it.
    start, end : int
        The stretch, of a canvas of `length` pixels. Where it is not all of it, it shows the end of
        the crop that lies opposite the canvas's centre cut, moved inward by the fill there.
    source : int
        Length of the source, in its pixels.
    """
    scale = (1.0 - before - after) / length
    if end < length:  # left or top tile: it shows the crop's far end
        shift = -min(end, length - end, max(0.0, -after / scale)) + length - end
    elif start > 0:  # right or bottom tile: the crop's near end
        shift = min(length - start, start, max(0.0, -before / scale)) - start
    else:
        shift = 0.0
    low = round((before + (start + shift) * scale) * source)
    high = round((before + (end + shift) * scale) * source)
    return low, max(high, low + 1)


def _cut_out(
    picture: Picture, x: tuple[int, int], y: tuple[int, int], target: Picture, *, flip: bool
) -> None:
    """Resize a rectangle of the picture, which may reach beyond it, into `target`."""
    height, width = picture.shape[:2]
    seen_x = max(x[0], 0), min(x[1], width)
    seen_y = max(y[0], 0), min(y[1], height)
    if seen_x[0] >= seen_x[1] or seen_y[0] >= seen_y[1]:
        target[:] = np.asarray(_mean(picture)[:3]).round()
        return
    part = picture[seen_y[0] : seen_y[1], seen_x[0] : seen_x[1]]
    if seen_x != x or seen_y != y:
        part = cv2.copyMakeBorder(
            part,
            seen_y[0] - y[0],
            y[1] - seen_y[1],
            seen_x[0] - x[0],
            x[1] - seen_x[1],
            cv2.BORDER_CONSTANT,
            value=_mean(picture),
        )
    size_wh = (target.shape[1], target.shape[0])
    cv2.resize(part, size_wh, dst=target, interpolation=cv2.INTER_LINEAR)
    if flip:
        cv2.flip(target, 1, dst=target)


def _mean(picture: Picture) -> Sequence[float]:
    """Mean colour, of every n-th row where there are many."""
    return cv2.mean(picture[:: 1 + picture.shape[0] // 160])


def _shift_colour(target: Picture, tile: TileParams) -> None:
    """Hue, saturation and exposure of `target`, in place."""
    if tile.hue == 0.0 and tile.saturation == 1.0 and tile.exposure == 1.0:
        return
    hsv = cv2.cvtColor(target, cv2.COLOR_RGB2HSV_FULL)  # 256 steps of hue: uint8 wraps as it does
    factors = np.diag((1.0, tile.saturation, tile.exposure)).astype(np.float32)
    cv2.transform(hsv, factors, dst=hsv)
    rows = hsv.reshape(len(hsv), -1)
    shift = np.zeros(rows.shape[1], np.uint8)
    shift[::3] = round(256.0 * tile.hue) % 256
    np.add(rows, shift, out=rows)
    cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL, dst=target)


def _moved(
    boxes: Boxes,
    picture: Picture,
    x: tuple[int, int],
    y: tuple[int, int],
    place: _Place,
    *,
    flip: bool,
) -> Boxes:
    """Boxes in canvas pixels, clipped to their place.

    Parameters
    ----------
    boxes : ndarray, shape (N, 4), float32
        Corners relative to the picture.
    x, y : tuple of int
        Span of the picture, in its pixels and after the flip, that fills the place.
    """
    scale_x = (place.x1 - place.x0) / (x[1] - x[0])
    scale_y = (place.y1 - place.y0) / (y[1] - y[0])
    gain_x, gain_y = picture.shape[1] * scale_x, picture.shape[0] * scale_y
    at_x, at_y = place.x0 - x[0] * scale_x, place.y0 - y[0] * scale_y
    if flip:
        boxes = boxes[:, _MIRRORED]
        gain_x, at_x = -gain_x, at_x + gain_x
    gain, offset, low, high = np.array(
        (
            (gain_x, gain_y, gain_x, gain_y),
            (at_x, at_y, at_x, at_y),
            (place.x0, place.y0, place.x0, place.y0),
            (place.x1, place.y1, place.x1, place.y1),
        ),
        np.float32,
    )
    moved: Boxes = boxes * gain + offset
    np.maximum(moved, low, out=moved)
    np.minimum(moved, high, out=moved)
    return moved


_MIRRORED = [2, 1, 0, 3]


def _keep_visible(
    boxes_px: Boxes, labels: NDArray[np.int64], size_wh: tuple[int, int]
) -> tuple[Boxes, NDArray[np.int64]]:
    """Relative boxes of at least a pixel each way, and their labels."""
    sides = boxes_px[:, 2:] - boxes_px[:, :2]
    keep = sides.min(axis=1) >= 1.0 if len(sides) else slice(0)
    size: Boxes = np.array(size_wh * 2, np.float32)
    return boxes_px[keep] / size, labels[keep]
