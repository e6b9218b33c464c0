"""What every effect of the pixels promises."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch

from model.config import TrainConfig, key_paths
from model.ingredient import catalogue, effects

KEYS = {
    "Brightness": "brightness",
    "Contrast": "contrast",
    "Noise": "noise",
    "Blur": "blur",
    "Bilateral": "bilateral",
    "Erase": "erase",
    "CutOut": "cutout",
    "HaS": "hide_and_seek",
    "GridMask": "grid_mask",
}
EFFECTS = [effect for effect in effects() if effect.key in KEYS.values()]
BOXES = np.array([(2, 3, 30, 28), (0, 0, 12, 40)], np.float32)

each_effect = pytest.mark.parametrize("effect", EFFECTS, ids=lambda effect: effect.key)


def choice_of(effect, draw=0.3):
    return effect.sample([draw] * effect.draws, effect.settings())


def scene(seed=0, height=40, width=36):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_tiles_are_painted_in_the_order_of_a_camera_and_images_are_covered():
    order = {"tile": [], "image": []}
    for effect in EFFECTS:
        order[effect.stage].append((effect.order, effect.key))
    assert sorted(order["tile"]) == [
        (10, "brightness"), (20, "contrast"), (30, "noise"), (40, "blur"), (50, "bilateral"),
    ]  # fmt: skip
    assert sorted(order["image"]) == [
        (10, "erase"), (20, "cutout"), (30, "hide_and_seek"), (40, "grid_mask"),
    ]  # fmt: skip


@each_effect
def test_it_is_off_unless_asked_for(effect):
    assert effect.settings().probability == 0.0


@each_effect
@pytest.mark.parametrize("draw", [0.0, 0.5, 1.0 - 2**-53])
def test_as_many_draws_as_it_says_are_enough_and_its_choice_is_plain(effect, draw):
    choice = choice_of(effect, draw)
    assert pickle.loads(pickle.dumps(choice)) == choice
    assert isinstance(choice, tuple)
    hash(choice)


@each_effect
def test_a_view_is_painted_in_place_and_nothing_around_it(effect):
    canvas = np.full((50, 60, 3), 7, np.uint8)
    canvas[5:45, 10:46] = scene()
    tensor = torch.from_numpy(canvas.copy()).permute(2, 0, 1).contiguous()
    alone = scene()
    effect.paint(alone, choice_of(effect), BOXES)
    effect.paint(canvas[5:45, 10:46], choice_of(effect), BOXES)
    effect.paint_on_device(tensor[:, 5:45, 10:46], choice_of(effect), BOXES)
    assert not np.array_equal(alone, scene())
    np.testing.assert_array_equal(canvas[5:45, 10:46], alone)
    for painted in (canvas, tensor.permute(1, 2, 0).numpy().copy()):
        painted[5:45, 10:46] = 7
        assert (painted == 7).all()


@each_effect
def test_boxes_are_read_only(effect):
    boxes = BOXES.copy()
    boxes.flags.writeable = False
    effect.paint(scene(), choice_of(effect), boxes)
    effect.paint_on_device(torch.from_numpy(scene()).permute(2, 0, 1), choice_of(effect), boxes)


@pytest.mark.parametrize("key", KEYS)
def test_its_ingredient_turns_it_on(key):
    ingredient = catalogue()[key]
    (setting,) = ingredient.sets
    assert setting.slot == f"augment.{KEYS[key]}.probability"
    assert setting.off == key_paths()[setting.slot] == 0.0
    assert TrainConfig().with_values({setting.slot: setting.on}) != TrainConfig()
    assert ingredient.tasks == ("detect", "classify")
    assert "arXiv" in ingredient.source or "darknet" in ingredient.source


def test_the_configuration_survives_json():
    values = {f"augment.{key}.probability": 0.25 for key in KEYS.values()}
    config = TrainConfig().with_values({**values, "augment.hide_and_seek.patches": [0.0, 0.5]})
    assert TrainConfig.model_validate(config.to_dict()) == config


def test_style_transfer_is_listed_with_the_reason_why_it_is_not_offered():
    assert "trained network" in catalogue()["StyleTransfer"].not_offered


def test_the_catalogue_loads_without_torch():
    code = "import sys, model.ingredient as m; m.catalogue(), m.effects(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "torch" not in done.stdout.split()
