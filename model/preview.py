"""A contact sheet of training images, as the network gets them."""

from collections import Counter
from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from model.data.augment.opencv import paint
from model.data.augment.plan import ImagePlan, truths_of
from model.data.recipe import Planned, Recipe
from model.draw import Picture, draw, write_line

CELL_PX = 480
MARGIN_PX = 16
CAPTION_PX = 34
TITLE_PX = 52
PAPER = 255


def contact_sheet(
    recipe: Recipe, classes: Sequence[str], title: str, *, count: int = 12, columns: int = 4
) -> Picture:
    """Training images from the start of the first epoch, with their boxes and what was done.

    Parameters
    ----------
    recipe : Recipe
    classes : sequence of str
    title : str
        Line above the images.
    count, columns : int
        Images, and how many stand beside each other. At most an epoch is shown.

    Returns
    -------
    ndarray, shape (H, W, 3), uint8, RGB
    """
    cells = [_cell(recipe, one, classes) for one in _first(recipe, count)]
    columns = min(columns, len(cells))
    height = max(cell.shape[0] for cell in cells)
    rows = -(-len(cells) // columns)
    sheet = np.full(
        (
            TITLE_PX + rows * (height + MARGIN_PX) + MARGIN_PX,
            columns * (CELL_PX + MARGIN_PX) + MARGIN_PX,
            3,
        ),
        PAPER,
        np.uint8,
    )
    write_line(sheet, title, (MARGIN_PX, TITLE_PX - MARGIN_PX), cap_px=18)
    for index, cell in enumerate(cells):
        row, column = divmod(index, columns)
        y = TITLE_PX + row * (height + MARGIN_PX)
        x = MARGIN_PX + column * (CELL_PX + MARGIN_PX)
        sheet[y : y + cell.shape[0], x : x + CELL_PX] = cell
    return sheet


def _first(recipe: Recipe, count: int) -> Iterator[Planned]:
    sizes = recipe.held_wh
    for index in range(len(recipe.steps(0))):
        for one in recipe.planned(0, index, sizes):
            if count == 0:
                return
            count -= 1
            yield one


def _cell(recipe: Recipe, one: Planned, classes: Sequence[str]) -> Picture:
    """A painted image with its boxes, and a caption below it."""
    pictures = [recipe.picture(member) for member in one.plan.members]
    image = paint(one.plan, pictures, one.boxes)
    boxes, labels = truths_of(one.plan, one.boxes, one.labels, one.pictures_wh)
    size = np.array(one.plan.size_wh * 2, np.float32)
    drawn = draw(image, boxes * size, labels, None, classes)
    scale = CELL_PX / drawn.shape[1]
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    shown = cv2.resize(drawn, (CELL_PX, round(drawn.shape[0] * scale)), interpolation=way)
    caption = np.full((CAPTION_PX, CELL_PX, 3), PAPER, np.uint8)
    words = ", ".join([*_class_shares(recipe, one, classes), *_done(one.plan)])
    write_line(caption, words, (0, CAPTION_PX - 10), cap_px=11)
    return np.concatenate([shown, caption])


def _class_shares(recipe: Recipe, one: Planned, classes: Sequence[str]) -> Iterator[str]:
    """Classes of a classifier's image with their shares."""
    if recipe.config.task != "classify":
        return
    (shares,) = recipe.targets([one])
    for index in np.flatnonzero(shares):
        yield f"{classes[int(index)]} {shares[index]:.2f}"


def _done(plan: ImagePlan) -> Iterator[str]:
    """What was done to an image, in words."""
    tiles = plan.tiles
    if len(tiles) > 2:
        yield f"mosaic of {len(tiles)}"
    elif len(tiles) == 2:
        yield "mixup" if plan.blend else "cutmix"
    turned = sum(tile.angle != 0 for tile in tiles)
    if turned:
        yield _times("rotated", turned, len(tiles))
    flipped = sum(tile.flip for tile in tiles)
    if flipped:
        yield _times("flip", flipped, len(tiles))
    for key, times in Counter(key for tile in tiles for key, _ in tile.effects).items():
        yield _times(key, times, len(tiles))
    yield from (key for key, _ in plan.effects)


def _times(word: str, times: int, tiles: int) -> str:
    return word if tiles == 1 else f"{word} {times} of {tiles}"
