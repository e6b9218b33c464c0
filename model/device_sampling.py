"""Where on the pictures the pixels of many tiles lie, and their colours there, as OpenCV has it.

All tiles of some canvases are looked at together. What belongs to a tile is a number in a table;
a map tells for every pixel of the canvases which tile it shows, and so where to look.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from model.data.augment.plan import TilePlan
from model.data.recipe import Size

_BITS = 11  # of a weight, in OpenCV's resizing
_ONE = 1 << _BITS
_OUTSIDE = -(1 << 50)  # address of a row or column beyond the picture: no sum with it is positive


class Tiles(NamedTuple):
    """Settings of N tiles, each a tensor (N,), float64; lengths are in pixels.

    Attributes
    ----------
    x0, y0, x1, y1 : Tensor
        Place on the canvas.
    left, top, right, bottom : Tensor
        The part of the picture, before any flip, that is resized to fill the place.
    flip, warped, coloured : Tensor
        0 or 1; a warped tile follows its affine map instead of being resized.
    start, width, height : Tensor
        Of the picture: its address and size.
    a, b, c, d, e, f : Tensor
        The affine map, as in `TilePlan`.
    hue, saturation, exposure : Tensor
        Steps of 1/256 circle in 0..255; factors.
    """

    x0: Tensor
    y0: Tensor
    x1: Tensor
    y1: Tensor
    left: Tensor
    top: Tensor
    right: Tensor
    bottom: Tensor
    flip: Tensor
    warped: Tensor
    coloured: Tensor
    start: Tensor
    width: Tensor
    height: Tensor
    a: Tensor
    b: Tensor
    c: Tensor
    d: Tensor
    e: Tensor
    f: Tensor
    hue: Tensor
    saturation: Tensor
    exposure: Tensor


def tile_row(tile: TilePlan, picture_wh: Size, start: int) -> tuple[float, ...]:
    """A tile's numbers in the order of `Tiles`; `start` is its picture's address."""
    place, (width, height) = tile.place, picture_wh
    left, right = (width - tile.x[1], width - tile.x[0]) if tile.flip else tile.x
    return (
        place.x0, place.y0, place.x1, place.y1,
        left, tile.y[0], right, tile.y[1],
        tile.flip, tile.affine is not None, has_colour(tile),
        start, width, height,
        *(tile.affine or (0.0,) * 6),
        round(256.0 * tile.hue) % 256, tile.saturation, tile.exposure,
    )  # fmt: skip


def has_colour(tile: TilePlan) -> bool:
    """Whether a tile's colours are changed at all."""
    return not (tile.hue == 0.0 and tile.saturation == 1.0 and tile.exposure == 1.0)


class TileMap:
    """Which tile is on top at each pixel of C canvases of S tiles each, later ones over earlier.

    With one tile each nothing is stored for single pixels: what is looked up has a length of 1
    along the axes that do not matter, and broadcasts.

    Parameters
    ----------
    tiles : Tiles
        C * S of them, canvas by canvas.
    slots : int
        S.
    size_wh : tuple of int
        Of the canvases in pixels.
    """

    def __init__(self, tiles: Tiles, slots: int, size_wh: Size) -> None:
        device = tiles.x0.device
        self.x = torch.arange(size_wh[0], device=device)
        self.y = torch.arange(size_wh[1], device=device)[:, None]
        inside_x = (self.x >= tiles.x0[:, None]) & (self.x < tiles.x1[:, None])
        inside_y = (self.y >= tiles.y0[:, None, None]) & (self.y < tiles.y1[:, None, None])
        self._index = torch.arange(0, len(tiles.x0), slots, device=device)[:, None, None]
        first = self._index
        for slot in range(1, slots):
            inside = inside_y[slot::slots] & inside_x[slot::slots, None]
            self._index = torch.where(inside, first + slot, self._index)
        self._row = self._index * size_wh[1] + self.y
        self._column = self._index * size_wh[0] + self.x

    def each(self, values: Tensor) -> Tensor:
        """What belongs to a pixel's tile (N,): shape (C, H, W) or (C, 1, 1)."""
        return values.take(self._index)

    def rows(self, values: Tensor) -> Tensor:
        """What belongs to a tile's row (N, H): shape (C, H, W) or (C, H, 1)."""
        return values.take(self._row)

    def columns(self, values: Tensor) -> Tensor:
        """What belongs to a tile's column (N, W): shape (C, H, W) or (C, 1, W)."""
        return values.take(self._column)


class _Taps(NamedTuple):
    """Two neighbouring rows or columns of a picture, and the weight of the second."""

    low: Tensor
    high: Tensor
    weight: Tensor


def resized(pixels: Tensor, tiles: Tiles, seen: TileMap) -> Tensor:
    """Colours (C, H, W, 3), uint8, of tiles that are resized: cv2.resize's (INTER_LINEAR).

    Parameters
    ----------
    pixels : Tensor, shape (P, 3), uint8
        Each picture's pixels, then one of its mean colour.
    tiles : Tiles
    seen : TileMap
        Of these tiles.
    """
    start, width, height = (v.long()[:, None] for v in (tiles.start, tiles.width, tiles.height))
    rows = _resized_axis(seen.y[:, 0], tiles.y0, tiles.y1, tiles.top, tiles.bottom)
    columns = _resized_axis(seen.x, tiles.x0, tiles.x1, tiles.left, tiles.right, tiles.flip)
    rows = _Taps(*(seen.rows(v) for v in _addresses(rows, height, width, start)))
    columns = _Taps(*(seen.columns(v) for v in _addresses(columns, width)))
    return _mixed_in_integers(_corners(pixels, rows, columns, _fill(tiles, seen)), rows, columns)


def warped(pixels: Tensor, tiles: Tiles, seen: TileMap) -> Tensor:
    """Colours of tiles that follow an affine map: cv2.warpAffine's; see `resized`."""
    start, width, height = (seen.each(v.long()) for v in (tiles.start, tiles.width, tiles.height))
    x, y = (seen.x - seen.each(tiles.x0)).float(), (seen.y - seen.each(tiles.y0)).float()
    a, b, c, d, e, f = (seen.each(v.float()) for v in tiles[14:20])
    rows = _addresses(_neighbours(x * d + (y * e + f)), height, width, start)
    columns = _addresses(_neighbours(x * a + (y * b + c)), width)
    return _mixed_in_floats(_corners(pixels, rows, columns, _fill(tiles, seen)), rows, columns)


def _resized_axis(
    index: Tensor,
    first: Tensor,
    last: Tensor,
    low: Tensor,
    high: Tensor,
    flip: Tensor | None = None,
) -> _Taps:
    """Rows or columns (N, L) of the pictures that each of a canvas's L shows, and 11-bit weights.

    Parameters
    ----------
    index : Tensor, shape (L,)
    first, last : Tensor, shape (N,)
        Span of the place on the canvas.
    low, high : Tensor, shape (N,)
        Span of the picture that is resized to it.
    flip : Tensor, shape (N,), optional
    """
    count, span = (last - first)[:, None], (high - low)[:, None]
    here = (index - first[:, None]).clamp(min=0).minimum(count - 1)
    if flip is not None:
        here = torch.where(flip[:, None] > 0, count - 1 - here, here)
    at = ((here + 0.5) * (1.0 / (count / span)) - 0.5).float()  # in OpenCV's order, for its bits
    tap = at.floor()
    weight = ((at - tap) * _ONE).round().int()
    below, most = tap.clamp(min=0).minimum(span - 1), span - 1
    above = (tap + 1).clamp(min=0).minimum(most)
    start = low[:, None]
    return _Taps((below + start).long(), (above + start).long(), weight)


def _neighbours(at: Tensor) -> _Taps:
    tap = at.floor()
    low = tap.long()
    return _Taps(low, low + 1, at - tap)


def _addresses(
    taps: _Taps, count: Tensor, step: Tensor | int = 1, start: Tensor | int = 0
) -> _Taps:
    """Addresses of rows or columns, of which the picture has `count`."""
    low, high = (
        (start + tap * step).masked_fill((tap < 0) | (tap >= count), _OUTSIDE)
        for tap in (taps.low, taps.high)
    )
    return _Taps(low, high, taps.weight)


def _fill(tiles: Tiles, seen: TileMap) -> Tensor:
    """Address of the colour outside of a pixel's picture."""
    return seen.each((tiles.start + tiles.width * tiles.height).long())


def _corners(pixels: Tensor, rows: _Taps, columns: _Taps, fill: Tensor) -> list[Tensor]:
    """Four colours (C, H, W, 3) around each pixel: low row first, of it the low column."""
    found = []
    for row in (rows.low, rows.high):
        for column in (columns.low, columns.high):
            address = row + column
            address = torch.where(address < 0, fill, address)
            found.append(pixels[address])
    return found


def _mixed_in_integers(corners: list[Tensor], rows: _Taps, columns: _Taps) -> Tensor:
    """Weighted mean as OpenCV's resizing has it, with the bits that it drops on the way."""
    across, down = columns.weight[..., None], rows.weight[..., None]
    a, b, c, d = (corner.int() for corner in corners)
    top = (_ONE * a + across * (b - a)) >> 4
    bottom = (_ONE * c + across * (d - c)) >> 4
    mixed = ((top * (_ONE - down)) >> 16) + ((bottom * down) >> 16)
    return ((mixed + 2) >> 2).to(torch.uint8)


def _mixed_in_floats(corners: list[Tensor], rows: _Taps, columns: _Taps) -> Tensor:
    across, down = columns.weight[..., None], rows.weight[..., None]
    a, b, c, d = (corner.float() for corner in corners)
    top = a + across * (b - a)
    bottom = c + across * (d - c)
    return (top + down * (bottom - top)).round().to(torch.uint8)
