import cv2
import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import model.device_pictures
from model.config import TrainConfig
from model.data.augment.opencv import mean_colour
from model.data.augment.params import ImageParams, TileParams
from model.data.augment.plan import plan_image
from model.data.batch_plan import plan_epoch
from model.data.recipe import Planned
from model.device_colour import ColourShift
from model.device_loader import DeviceLoader, choose_backend, room_bytes
from model.device_painter import DevicePainter
from model.device_pictures import DevicePictures, bytes_on_device, fits, held_sizes
from model.errors import ConfigurationError, DataError
from model.ingredient import effects
from model.predict import as_input
from tests.unit.model.picture_recipe import (
    OFF,
    SIZES_WH,
    differences,
    noise,
    paint,
    painter,
    recipe,
    smooth,
)

CPU = torch.device("cpu")
EXACT_WARP = int(cv2.__version__.split(".")[0]) >= 5  # OpenCV 4 rounds places to 1/32 px

RESIZED = {
    "resize": {**OFF, "jitter": 0.3, "flip": 0.5},
    "mosaic": {**OFF, "mosaic": 1, "jitter": 0.3, "flip": 0.5, "resize": 1.5},
    "mosaic of nine": {**OFF, "mosaic": 1, "mosaic_images": 9, "jitter": 0.3, "resize": 0.7},
    "MixUp": {**OFF, "mixup": 1, "mosaic": 0.3},
    "CutMix": {**OFF, "cutmix": 1, "mosaic": 0.3},
    "letter box": {**OFF, "mosaic": 0.3, "letter_box": True},
    "colour": {"mosaic": 0, "hue": 0.5, "saturation": 4, "exposure": 4},
    "all": {"mosaic": 0.5, "mixup": 0.2, "cutmix": 0.2},
}
WARPED = {
    "rotation": {**OFF, "rotate": 180, "jitter": 0.3},
    "turned mosaic": {**OFF, "rotate": 30, "mosaic": 1},
    "classifier": {**OFF, "task": "classify", "cutmix": 0.5, "aspect": 1.3, "flip": 0.5},
}


@pytest.fixture(params=[noise, smooth])
def pictures(request):
    return [request.param(*size_wh, seed) for seed, size_wh in enumerate(SIZES_WH)]


@pytest.mark.parametrize("name", RESIZED)
@pytest.mark.parametrize("size_wh", [(64, 64), (32, 96)])
def test_agrees_with_opencv(pictures, name, size_wh):
    apart = differences(recipe(pictures, size_wh, **RESIZED[name]))
    assert apart.max() <= 1
    assert apart.mean() < 1e-4


@pytest.mark.parametrize("name", WARPED)
@pytest.mark.parametrize("size_wh", [(64, 64), (32, 96)])
def test_agrees_with_opencv_where_it_warps(pictures, name, size_wh):
    apart = differences(recipe(pictures, size_wh, **WARPED[name]))
    assert apart.max() <= (1 if EXACT_WARP else 12)
    assert apart.mean() < (1e-3 if EXACT_WARP else 1.0)


def test_turned_and_coloured_pictures_agree():
    """One level off before the colour is more after it where the saturation grows."""
    pictures = [smooth(*size_wh, seed) for seed, size_wh in enumerate(SIZES_WH)]
    apart = differences(recipe(pictures, (64, 64), rotate=30, mosaic=0.5))
    assert apart.mean() < (1e-3 if EXACT_WARP else 0.3)


@pytest.mark.parametrize("shrink", [1, 2, 5])
def test_large_pictures_agree(shrink):
    """Exact halves, which OpenCV averages in another way, and rows of many vectors."""
    own = recipe([noise(1400, 300)], (1400 // shrink, 300 // shrink), batch_size=1, **OFF)
    assert differences(own).max() <= 1


def test_chunks_make_no_difference(pictures):
    own = recipe(pictures, (48, 64), mixup=0.3, mosaic=0.5, rotate=5.0)
    whole = paint(own, painter(own))
    assert whole.shape == (16, 3, 64, 48)
    assert whole.is_contiguous()
    torch.testing.assert_close(paint(own, painter(own, pixels_at_once=1)), whole, rtol=0, atol=0)
    torch.testing.assert_close(paint(own, painter(own)), whole, rtol=0, atol=0)


class SentTensors(TorchDispatchMode):
    """Counts what goes from the host to another device."""

    count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        found = function(*args, **(kwargs or {}))
        given = [one for one in args if isinstance(one, torch.Tensor)]
        self.count += any(one.is_cpu for one in given) and not found.is_cpu
        return found


@pytest.mark.parametrize("task", ["detect", "classify"])
def test_a_mini_batch_is_sent_as_one_table_and_nothing_is_asked_back(pictures, task):
    """A tensor on "meta" has no numbers, so whoever asks for one fails."""
    own = recipe(pictures, (64, 64), task=task, mosaic=0.4, mixup=0.2, cutmix=0.2)
    on = painter(own, "meta")
    with SentTensors() as sent:
        assert paint(own, on).shape == (16, 3, 64, 64)
    assert sent.count == 1


def planned(pictures, params, size_wh):
    sizes = tuple((p.shape[1], p.shape[0]) for p in pictures)
    plan = plan_image(params, sizes, size_wh)
    nothing = (np.zeros((0, 4), np.float32),) * len(pictures)
    return Planned(plan, nothing, (np.zeros(0, np.int64),) * len(pictures), sizes)


def mosaic_of(pictures, *tiles):
    params = ImageParams((0, 1, 2, 3), tiles, "mosaic", (0.5,), (0.5,))
    own = recipe(pictures, (40, 40))
    return DevicePainter(DevicePictures(own, CPU)).paint([planned(pictures, params, (40, 40))])


def test_a_tile_without_colour_is_left_alone():
    pictures = [noise(40, 40, seed) for seed in range(4)]
    still = TileParams()
    plain = mosaic_of(pictures, still, still, still, still)
    shifted = mosaic_of(pictures, TileParams(hue=0.3, exposure=1.2), still, still, still)
    changed = (plain != shifted).any(dim=1)[0]
    assert changed[:20, :20].float().mean() > 0.9
    assert not changed[20:].any()
    assert not changed[:, 20:].any()


def test_turned_and_upright_tiles_stand_side_by_side():
    pictures = [noise(40, 40, seed) for seed in range(4)]
    still = TileParams()
    plain = mosaic_of(pictures, still, still, still, still)
    turned = mosaic_of(pictures, still, TileParams(angle=90.0), still, still)
    quarter = np.rot90(pictures[1], -1)[20:, :20]  # clockwise; its lower left part is seen
    np.testing.assert_array_equal(turned[0, :, :20, 20:].permute(1, 2, 0), quarter)
    assert (turned[0, :, 20:] == plain[0, :, 20:]).all()
    assert (turned[0, :, :20, :20] == plain[0, :, :20, :20]).all()


def test_colours_of_the_whole_cube_agree():
    levels = np.arange(0, 256, 5, dtype=np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 52, 3)
    hsv = cv2.cvtColor(cube[0], cv2.COLOR_RGB2HSV_FULL)
    factors = np.diag((1.0, 0.7, 1.6)).astype(np.float32)
    hsv = cv2.transform(hsv, factors)
    hsv[..., 0] += 31
    expected = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL).astype(int)
    shift = ColourShift(CPU)
    found = shift(torch.from_numpy(cube), torch.tensor(31), torch.tensor(0.7), torch.tensor(1.6))
    apart = np.abs(found[0].numpy() - expected)
    assert apart.max() <= 1
    assert apart.mean() < 1e-4


@pytest.mark.parametrize("mix", ["plain", "mosaic", "cutmix", "mixup"])
@pytest.mark.parametrize("key", [effect.key for effect in effects()])
def test_every_effect_goes_through_it(key, mix):
    """On a CutMix the first picture's effects must not see the second."""
    pictures = [smooth(60, 50, seed) for seed in range(4)]
    augment = {**OFF, "flip": 0.5, "jitter": 0.1, **({} if mix == "plain" else {mix: 1.0})}
    plain = recipe(pictures, (64, 48), batch_size=4, **augment)
    own = recipe(pictures, (64, 48), batch_size=4, **augment, **{f"{key}.probability": 1.0})
    assert differences(own).max() <= 1
    assert (own.make(0, 0).images != plain.make(0, 0).images).any()


def test_pictures_lie_one_after_the_other_with_their_means():
    red, grey = np.full((2, 3, 3), (200, 10, 0), np.uint8), np.full((1, 2, 3), 7, np.uint8)
    grey[0, 1] = 10
    held = DevicePictures(recipe([red, grey], (32, 32)), CPU, [(3, 2), (2, 1)])
    assert held.starts == (0, 7)
    assert held.size_wh(1) == (2, 1)
    expected = [[200, 10, 0]] * 7 + [[7] * 3, [10] * 3, [8] * 3]  # 8.5 to even
    assert held.pixels.tolist() == expected
    assert mean_colour(grey).tolist() == [8.5] * 3


def test_pictures_are_the_same_in_any_chunks(pictures, monkeypatch):
    own = recipe(pictures, (32, 32))
    whole = DevicePictures(own, CPU).pixels
    monkeypatch.setattr(model.device_pictures, "CHUNK_BYTES", 6000)
    assert torch.equal(DevicePictures(own, CPU).pixels, whole)


def test_wrong_sizes_are_refused():
    own = recipe([noise(4, 3)], (32, 32))
    with pytest.raises(DataError, match=r"picture 0 is of another size.*\(4, 3\), not \(3, 4\)"):
        DevicePictures(own, CPU, [(3, 4)])
    with pytest.raises(ValueError, match=r"2 sizes for 1 pictures"):
        DevicePictures(own, CPU, [(4, 3), (4, 3)])


def test_room_is_reckoned_before_decoding():
    assert bytes_on_device([(10, 20), (1, 1)]) == 3 * (201 + 2)
    assert fits([(10, 20), (1, 1)], 609)
    assert not fits([(10, 20), (1, 1)], 608)
    assert held_sizes([(400, 100), (50, 60)], 100) == [(100, 25), (50, 60)]
    assert room_bytes(TrainConfig().with_values({"data.cache_mb": 3}), CPU) == 3 * 2**20


@pytest.mark.parametrize(
    ("wanted", "device", "limit", "chosen"),
    [
        ("auto", "cuda", 303, "device"),
        ("auto", "cuda", 302, "opencv"),
        ("auto", "cpu", 10**9, "opencv"),
        ("device", "cpu", 303, "device"),
        ("opencv", "cuda", 10**9, "opencv"),
    ],
)
def test_backend_is_chosen_by_device_and_room(wanted, device, limit, chosen):
    config = TrainConfig().with_values({"data.backend": wanted})
    assert choose_backend(config, torch.device(device), [(10, 10)], limit) == chosen


def test_a_device_without_room_is_refused():
    config = TrainConfig().with_values({"data.backend": "device", "data.cache_mb": 1})
    with pytest.raises(ConfigurationError, match=r"take 2\.9 MiB .* on cpu .* 1\.0 MiB"):
        choose_backend(config, CPU, [(1000, 1000)])


def test_loader_gives_the_mini_batches_of_its_recipe(pictures):
    own = recipe(pictures, (64, 64), batch_size=2, **OFF | {"mosaic": 0.5})
    loader = DeviceLoader(own, CPU, [(p.shape[1], p.shape[0]) for p in pictures])
    assert (len(loader), loader.positions) == (3, 6)
    assert loader.plan(1) == plan_epoch(own.config, 64, 6, 1)
    for epoch in (0, 1):
        batches = list(loader.epoch(epoch))
        assert [batch.step for batch in batches] == list(loader.plan(epoch))
        for index, batch in enumerate(batches):
            expected = own.make(epoch, index)
            np.testing.assert_allclose(batch.images, expected.images, atol=1, rtol=0)
            np.testing.assert_array_equal(batch.targets, expected.targets)
    assert loader.waited_s > 0


def test_loader_begins_anywhere_and_takes_another_recipe(pictures):
    loader = DeviceLoader(recipe(pictures, (64, 64), batch_size=2), CPU)
    whole, rest = list(loader.epoch(1)), list(loader.epoch(1, 2))
    assert [batch.step for batch in rest] == [batch.step for batch in whole[2:]]
    np.testing.assert_array_equal(rest[0].images, whole[2].images)
    np.testing.assert_array_equal(rest[0].targets, whole[2].targets)
    held, other = loader._pictures, recipe(pictures, (64, 64), batch_size=2, **OFF)
    loader.use(other)
    fresh = DeviceLoader(other, CPU)
    np.testing.assert_array_equal(next(loader.epoch(1)).images, next(fresh.epoch(1)).images)
    assert loader._pictures is held


def test_an_epoch_ends_with_the_next_one_or_the_loader(pictures):
    loader = DeviceLoader(recipe(pictures, (32, 32), batch_size=2), CPU)
    first = loader.epoch(0)
    next(first)
    second = loader.epoch(1)
    assert list(first) == []
    next(second)
    loader.close()
    assert list(second) == []


def test_network_input_is_made_of_tensors_too():
    images = noise(6, 4).transpose(2, 0, 1)[None].copy()
    tensor = torch.from_numpy(images.copy())
    found = as_input(tensor, CPU)
    assert torch.equal(found, as_input(images, CPU))
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(tensor, torch.from_numpy(images))
