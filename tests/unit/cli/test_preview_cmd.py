import cv2
import numpy as np
import pytest

from evolve.errors import StoreError
from evolve.preview import write_preview
from model.errors import ConfigurationError
from tests.tiny_data import write_tiny_coco


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return str(write_tiny_coco(tmp_path_factory.mktemp("preview") / "tiny"))


def preview(data, out, ingredients=None, overrides=(), task="detect", seed=0, count=4):
    return write_preview(
        data, out, ingredients, {"task": task, "seed": seed}, overrides,
        count=count, columns=2, split_seed=0,
    )  # fmt: skip


def test_sheet_is_written_and_told(data, tmp_path):
    out = tmp_path / "sheet.png"
    told = preview(data, out, "M,GridMask")
    height, width = cv2.imread(str(out)).shape[:2]
    assert told == f"{out}: {width} x {height} pixels, tiny at 64 px, seed 0, " + (
        "baseline with M,GridMask"
    )


@pytest.mark.parametrize("task", ["detect", "classify"])
def test_sheet_follows_ingredients_overrides_and_seed(data, tmp_path, task):
    def pixels(*args, **more):
        preview(data, tmp_path / "s.png", *args, task=task, **more)
        return cv2.imread(str(tmp_path / "s.png"))

    plain = pixels("none")
    np.testing.assert_array_equal(plain, pixels("none"))
    assert (plain != pixels("M")).any()
    assert (plain != pixels("none", ["augment.grid_mask.probability=1"])).any()
    assert (plain != pixels("none", seed=1)).any()
    assert pixels("none", ["image_size=96"]).shape == plain.shape


def test_refusals(data, tmp_path):
    with pytest.raises(ConfigurationError, match=r"no ingredient 'Grit'.*"):
        preview(data, tmp_path / "s.png", "Grit")
    with pytest.raises(StoreError, match=r"cannot write the picture"):
        preview(data, tmp_path / "none" / "s.png")
    with pytest.raises(StoreError, match=r"as a PNG"):
        preview(data, tmp_path / "s.jpg")
    assert not list(tmp_path.iterdir())


def test_title_tells_overrides_and_task(data, tmp_path):
    told = preview(data, tmp_path / "s.png", "KD", ["augment.rotate=30"])
    assert told.endswith("tiny at 64 px, seed 0, baseline with KD, augment.rotate=30")
    told = preview(data, tmp_path / "s.png", task="classify", overrides=["image_size=32"])
    assert told.endswith("tiny at 32 px, seed 0, classifier, image_size=32")
