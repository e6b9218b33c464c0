import numpy as np
import pytest

from model.config import TrainConfig
from model.data.cache import ImageCache
from model.data.coco import load_dataset
from model.data.recipe import DetectionRecipe
from model.draw import colour_of, write_line
from model.preview import CELL_PX, _caption, contact_sheet
from tests.tiny_data import write_tiny_coco


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return load_dataset(write_tiny_coco(tmp_path_factory.mktemp("data")))


def sheet(dataset, count=5, **augment):
    off = {"mosaic": 0.0, "flip": 0.0, "jitter": 0.0, "hue": 0.0, "saturation": 1, "exposure": 1}
    values = {f"augment.{key}": value for key, value in (off | augment).items()}
    config = TrainConfig(batch_size=4).with_values({"batch_size": 4, **values})
    recipe = DetectionRecipe(dataset.splits["train"], ImageCache(1 << 20), config, (64, 64))
    return contact_sheet(recipe, dataset.classes, "a title", count=count, columns=3)


def test_rows_and_columns(dataset):
    assert sheet(dataset).shape[1] == 3 * CELL_PX + 4 * 16
    assert sheet(dataset, count=3).shape[0] < sheet(dataset, count=4).shape[0]
    assert sheet(dataset, count=2).shape[1] == 2 * CELL_PX + 3 * 16


def test_boxes_are_drawn_and_what_was_done_is_told(dataset):
    plain, mixed = sheet(dataset), sheet(dataset, mosaic=1.0)
    assert (plain == colour_of(0)).all(axis=2).sum() > 100
    bottom = slice(52 + CELL_PX, 52 + CELL_PX + 30)
    assert plain[bottom].min() == 255  # nothing was done
    assert mixed[bottom].min() < 100
    np.testing.assert_array_equal(sheet(dataset), plain)


def test_a_line_stays_on_its_canvas():
    canvas = np.full((40, 120, 3), 255, np.uint8)
    write_line(canvas, "much too long for a narrow canvas", (4, 30), cap_px=12)
    assert canvas[:, -4:].min() == 255
    assert canvas.min() == 0


def test_a_long_caption_takes_more_lines():
    short, long = _caption(["flip"]), _caption(["rotated 9 of 9", "mosaic of 9"] * 8)
    assert len(long) > 2 * len(short)
    assert long[:, -8:].min() == 255
    assert (long[:22].min(axis=2) < 128).any()
    assert (long[-33:].min(axis=2) < 128).any()
