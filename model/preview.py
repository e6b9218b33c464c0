"""A contact sheet of training images, as the network gets them."""

from collections import Counter
from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from model.data.augment.opencv import paint
from model.data.augment.plan import ImagePlan, truths_of
from model.data.recipe import Planned, Recipe
from model.draw import Picture, draw, line_width, write_line

CELL_PX = 480
MARGIN_PX = 16
CAP_PX = 11
LINE_PX = 22
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
    rows = [cells[start : start + columns] for start in range(0, len(cells), columns)]
    width = len(rows[0]) * (CELL_PX + MARGIN_PX) + MARGIN_PX
    head = np.full((TITLE_PX, width, 3), PAPER, np.uint8)
    write_line(head, title, (MARGIN_PX, TITLE_PX - MARGIN_PX), cap_px=18)
    return np.concatenate([head, *(_row(row, width) for row in rows)])


def _row(cells: Sequence[Picture], width: int) -> Picture:
    """Images beside each other, as high as the highest."""
    height = max(cell.shape[0] for cell in cells)
    row = np.full((height + MARGIN_PX, width, 3), PAPER, np.uint8)
    for column, cell in enumerate(cells):
        x = MARGIN_PX + column * (CELL_PX + MARGIN_PX)
        row[: cell.shape[0], x : x + CELL_PX] = cell
    return row


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
    words = [*_class_shares(recipe, one, classes), *_done(one.plan)]
    return np.concatenate([shown, _caption(words)])


def _caption(words: Sequence[str]) -> Picture:
    """Words below an image, on as many lines as they need."""
    lines = [""]
    for index, word in enumerate(words):
        text = word + ("," if index + 1 < len(words) else "")
        longer = f"{lines[-1]} {text}".strip()
        if line_width(longer, cap_px=CAP_PX) > CELL_PX - CAP_PX:
            lines.append(text)
        else:
            lines[-1] = longer
    caption = np.full((LINE_PX * len(lines) + LINE_PX // 2, CELL_PX, 3), PAPER, np.uint8)
    for number, line in enumerate(lines, start=1):
        write_line(caption, line, (0, LINE_PX * number), cap_px=CAP_PX)
    return caption


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
