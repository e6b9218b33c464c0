"""The painter for the training device: a whole mini-batch at once, by batched tensor operations.

It gives the picture that `model.data.augment.opencv` gives, to the bit where OpenCV computes in
integers: resizing (weights of 11 bits), RGB to HSV (reciprocals of 12 bits) and the blend. Rotated
and zoomed pictures, and HSV to RGB, are computed in float32 as OpenCV 5 does; a sum in another
order may there round to the next grey level. OpenCV 4 rounds the places of a rotated picture's
pixels to 1/32 px, and so differs by more from both.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from model.data.augment.params import Chosen
from model.data.augment.plan import ImagePlan, TilePlan, boxes_on_canvas
from model.data.recipe import Planned
from model.device_colour import ColourShift
from model.device_pictures import DevicePictures
from model.device_sampling import TileMap, Tiles, has_colour, resized, tile_row, warped
from model.effect import Boxes
from model.ingredient import effects
from model.sending import send

PIXELS_AT_ONCE = 1 << 21
"""Canvases are painted in chunks of so many pixels; each takes some 200 bytes while it is made."""


class _Layer(NamedTuple):
    """A canvas of its own: some of the tiles of one image, the rest of which comes on top."""

    image: int
    tiles: range


class DevicePainter:
    """Paints the training images of a mini-batch on the device that holds the pictures.

    Parameters
    ----------
    pictures : DevicePictures
    pixels_at_once : int
        Bound on what is painted at once; one canvas at the least.
    """

    def __init__(self, pictures: DevicePictures, pixels_at_once: int = PIXELS_AT_ONCE) -> None:
        self.pictures = pictures
        self._pixels_at_once = pixels_at_once
        self._shift_colour = ColourShift(pictures.device)
        self._effects = {effect.key: effect.paint_on_device for effect in effects()}

    def paint(self, planned: Sequence[Planned]) -> Tensor:
        """Training images of a mini-batch; on a GPU they are under way when this returns.

        Parameters
        ----------
        planned : sequence of Planned
            All of one size, of members that `pictures` holds.

        Returns
        -------
        Tensor, shape (B, 3, H, W), uint8, RGB, contiguous
        """
        layers = _layers([one.plan for one in planned])
        canvases = self._paint_tiles(planned, layers)
        boxes = [_tile_boxes(one) for one in planned]
        for canvas, layer in zip(canvases, layers, strict=True):
            self._add_tile_effects(canvas, planned[layer.image].plan, layer, boxes[layer.image])
        images = self._joined(canvases, planned, layers)
        for image, one, own in zip(images, planned, boxes, strict=True):
            if one.plan.effects:
                self._add_effects(image, one.plan.effects, np.concatenate(own))
        return images

    def _paint_tiles(self, planned: Sequence[Planned], layers: Sequence[_Layer]) -> Tensor:
        """Canvases (C, 3, H, W) of all layers, before any effect."""
        width, height = size_wh = planned[0].plan.size_wh
        table = self._table(planned, layers)
        canvases = torch.empty(
            (len(layers), 3, height, width), dtype=torch.uint8, device=self.pictures.device
        )
        step = max(1, self._pixels_at_once // (width * height))
        for start in range(0, len(layers), step):
            some = slice(start, start + step)
            tiles = [planned[one.image].plan.tiles[i] for one in layers[some] for i in one.tiles]
            canvases[some] = self._painted(table[some], tiles, size_wh).permute(0, 3, 1, 2)
        return canvases

    def _table(self, planned: Sequence[Planned], layers: Sequence[_Layer]) -> Tensor:
        """Numbers (C, S, 23) of each layer's tiles on the device, the last repeated to fill up."""
        slots = max(len(layer.tiles) for layer in layers)
        rows = []
        for layer in layers:
            own = [self._row(planned[layer.image], i) for i in layer.tiles]
            rows.append(own + own[-1:] * (slots - len(own)))
        return send(np.array(rows, np.float64), self.pictures.device)

    def _row(self, one: Planned, index: int) -> tuple[float, ...]:
        start = self.pictures.starts[one.plan.members[index]]
        return tile_row(one.plan.tiles[index], one.pictures_wh[index], start)

    def _painted(
        self, table: Tensor, chosen: Sequence[TilePlan], size_wh: tuple[int, int]
    ) -> Tensor:
        """Canvases (C, H, W, 3) of some layers, whose tiles are `chosen`."""
        tiles = Tiles(*table.flatten(0, 1).T.contiguous().unbind(0))
        seen = TileMap(tiles, table.shape[1], size_wh)
        pixels = self.pictures.pixels
        turned = [tile.affine is not None for tile in chosen]
        if not any(turned):
            painted = resized(pixels, tiles, seen)
        elif all(turned):
            painted = warped(pixels, tiles, seen)
        else:
            own = seen.each(tiles.warped)[..., None] > 0
            painted = torch.where(own, warped(pixels, tiles, seen), resized(pixels, tiles, seen))
        if not any(has_colour(tile) for tile in chosen):
            return painted
        shifted = self._shift_colour(
            painted,
            seen.each(tiles.hue.int()),
            seen.each(tiles.saturation.float()),
            seen.each(tiles.exposure.float()),
        )
        return torch.where(seen.each(tiles.coloured)[..., None] > 0, shifted, painted)

    def _add_tile_effects(
        self, canvas: Tensor, plan: ImagePlan, layer: _Layer, boxes: Sequence[Boxes]
    ) -> None:
        for index in layer.tiles:
            place, chosen = plan.tiles[index].place, plan.tiles[index].effects
            if chosen:
                corner = np.array((place.x0, place.y0) * 2, np.float32)
                there = canvas[:, place.y0 : place.y1, place.x0 : place.x1]
                self._add_effects(there, chosen, boxes[index] - corner)

    def _add_effects(self, picture: Tensor, chosen: Sequence[Chosen], boxes_px: Boxes) -> None:
        for key, choice in chosen:
            self._effects[key](picture, choice, boxes_px)

    def _joined(
        self, canvases: Tensor, planned: Sequence[Planned], layers: Sequence[_Layer]
    ) -> Tensor:
        """Images (B, 3, H, W): first layers with the second ones blended in or laid over."""
        images, upper = canvases[: len(planned)], canvases[len(planned) :]
        for canvas, layer in zip(upper, layers[len(planned) :], strict=True):
            plan, image = planned[layer.image].plan, images[layer.image]
            place = plan.tiles[layer.tiles.start].place
            if plan.blend:
                image.copy_(_mean(image, canvas))
            else:
                part = (slice(None), slice(place.y0, place.y1), slice(place.x0, place.x1))
                image[part] = canvas[part]
        return images


def _layers(plans: Sequence[ImagePlan]) -> list[_Layer]:
    """The first layer of each image, then the second ones of those that have two.

    A blend has two, and so has CutMix if its first picture has effects: these must not see the
    part that the second one brings.
    """
    split = [
        plan.blend or (len(plan.tiles) == 2 and bool(plan.tiles[0].effects)) for plan in plans
    ]
    first = [
        _Layer(image, range(1 if apart else len(plan.tiles)))
        for image, (plan, apart) in enumerate(zip(plans, split, strict=True))
    ]
    return first + [_Layer(image, range(1, 2)) for image, apart in enumerate(split) if apart]


def _tile_boxes(one: Planned) -> list[Boxes]:
    """Boxes of each tile in canvas pixels; none where no effect would look at them."""
    if not (one.plan.effects or any(tile.effects for tile in one.plan.tiles)):
        return []
    members = zip(one.plan.tiles, one.boxes, one.pictures_wh, strict=True)
    return [boxes_on_canvas(tile, own, wh) for tile, own, wh in members]


def _mean(one: Tensor, other: Tensor) -> Tensor:
    """Mean of two uint8 pictures, a half rounded to even as cv2.addWeighted does."""
    total = one.short() + other
    return ((total + (total >> 1 & 1)) >> 1).to(torch.uint8)
