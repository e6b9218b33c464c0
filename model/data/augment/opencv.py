"""The painter for processors: OpenCV on uint8 pictures."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from model.data.augment.params import Chosen, ImageParams, TileParams
from model.data.augment.plan import (
    Affine,
    ImagePlan,
    Place,
    Span,
    TilePlan,
    boxes_on_canvas,
    plan_image,
)
from model.effect import Boxes, Picture
from model.ingredient import effects

_NO_BOXES: Boxes = np.zeros((0, 4), np.float32)
MEAN_ROWS = 160
"""A picture's mean colour is that of every n-th row, of about so many."""


def paint(
    plan: ImagePlan, pictures: Sequence[Picture], boxes: Sequence[Boxes] | None = None
) -> Picture:
    """Paint one training image.

    Parameters
    ----------
    plan : ImagePlan
    pictures : sequence of ndarray, shape (H, W, 3), uint8
        One for each tile; not changed.
    boxes : sequence of ndarray, shape (N, 4), float32, optional
        Corners of each picture's truths relative to it, for effects that look at objects.

    Returns
    -------
    ndarray, shape (height, width, 3), uint8, RGB
    """
    layers = [np.empty((plan.size_wh[1], plan.size_wh[0], 3), np.uint8)]
    if plan.blend:
        layers.append(np.empty_like(layers[0]))
    placed = tile_boxes(plan, pictures, boxes)
    for index, (tile, picture, own) in enumerate(zip(plan.tiles, pictures, placed, strict=True)):
        place = tile.place
        canvas = layers[index if plan.blend else 0]
        target = canvas[place.y0 : place.y1, place.x0 : place.x1]
        _fill(target, tile, picture)
        _shift_colour(target, tile)
        _add_effects(target, tile.effects, own, place)
    if plan.blend:
        cv2.addWeighted(layers[0], 0.5, layers[1], 0.5, 0.0, dst=layers[0])
    _add_effects(layers[0], plan.effects, np.concatenate(placed), None)
    return layers[0]


def tile_boxes(
    plan: ImagePlan, pictures: Sequence[Picture], boxes: Sequence[Boxes] | None
) -> list[Boxes]:
    """Boxes of each tile in canvas pixels; none where no effect would look at them."""
    if boxes is None or not (plan.effects or any(tile.effects for tile in plan.tiles)):
        return [_NO_BOXES] * len(plan.tiles)
    return [
        boxes_on_canvas(tile, own, (picture.shape[1], picture.shape[0]))
        for tile, picture, own in zip(plan.tiles, pictures, boxes, strict=True)
    ]


def resized(picture: Picture, size_wh: tuple[int, int], *, letter_box: bool = False) -> Picture:
    """Picture as a network sees it at evaluation: what training does with all turned off.

    Parameters
    ----------
    picture : ndarray, shape (H, W, 3), uint8
    size_wh : tuple of int
        The network's width and height in pixels.
    letter_box : bool
        Keep the aspect and fill with the picture's mean, instead of stretching.
    """
    plain = ImageParams((0,), (TileParams(),))
    size = (picture.shape[1], picture.shape[0])
    return paint(plan_image(plain, [size], size_wh, letter_box=letter_box), [picture])


def mean_colour(picture: Picture) -> NDArray[np.float64]:
    """Mean (3,) that fills what lies outside of a picture, in [0, 255]."""
    return np.asarray(cv2.mean(picture[:: 1 + picture.shape[0] // MEAN_ROWS])[:3])


def _fill(target: Picture, tile: TilePlan, picture: Picture) -> None:
    """Resize or warp a picture into its place."""
    if tile.affine is not None:
        _warp(picture, tile.affine, target)
        return
    width = picture.shape[1]
    seen_x = (width - tile.x[1], width - tile.x[0]) if tile.flip else tile.x
    _cut_out(picture, seen_x, tile.y, target)
    if tile.flip:
        cv2.flip(target, 1, dst=target)


def _warp(picture: Picture, affine: Affine, target: Picture) -> None:
    cv2.warpAffine(
        picture,
        np.array(affine, np.float64).reshape(2, 3),
        (target.shape[1], target.shape[0]),
        dst=target,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=mean_colour(picture).tolist(),
    )


def _cut_out(picture: Picture, x: Span, y: Span, target: Picture) -> None:
    """Resize a rectangle of the picture, which may reach beyond it, into `target`."""
    height, width = picture.shape[:2]
    seen_x = max(x[0], 0), min(x[1], width)
    seen_y = max(y[0], 0), min(y[1], height)
    if seen_x[0] >= seen_x[1] or seen_y[0] >= seen_y[1]:
        target[:] = mean_colour(picture).round()
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
            value=mean_colour(picture).tolist(),
        )
    size_wh = (target.shape[1], target.shape[0])
    cv2.resize(part, size_wh, dst=target, interpolation=cv2.INTER_LINEAR)


def _shift_colour(target: Picture, tile: TilePlan) -> None:
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


def _add_effects(
    target: Picture, chosen: Sequence[Chosen], boxes_px: Boxes, place: Place | None
) -> None:
    if not chosen:
        return
    painters = {effect.key: effect.paint for effect in effects()}
    if place is not None:
        boxes_px = boxes_px - np.array((place.x0, place.y0) * 2, np.float32)
    for key, choice in chosen:
        painters[key](target, choice, boxes_px)
