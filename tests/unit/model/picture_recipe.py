"""Mini-batches of pictures that are given as arrays, painted by OpenCV or on a device."""

import cv2
import numpy as np
import torch

from model.config import TrainConfig
from model.data.recipe import Recipe
from model.data.recipe import _target_rows as target_rows
from model.device_painter import DevicePainter
from model.device_pictures import DevicePictures

OFF = {"mosaic": 0, "flip": 0, "jitter": 0, "hue": 0, "saturation": 1, "exposure": 1}
SIZES_WH = [(1, 1), (40, 1), (1, 50), (91, 37), (80, 120), (64, 64)]


class PictureRecipe(Recipe):
    """Two boxes on every picture, always the same for the same number of pictures."""

    def __init__(self, pictures, config, size_wh):
        super().__init__(len(pictures), config, size_wh)
        self.pictures = pictures
        rng = np.random.default_rng(0)
        corners = rng.random((len(pictures), 2, 2)) * 0.6
        sides = 0.1 + rng.random((len(pictures), 2, 2)) * 0.3
        self.boxes = np.concatenate([corners, corners + sides], axis=2).astype(np.float32)

    def picture(self, member):
        return self.pictures[member]

    def truths(self, member):
        return self.boxes[member], np.arange(2)

    def targets(self, images):
        rows = [target_rows(i, one.boxes[0], one.labels[0]) for i, one in enumerate(images)]
        return np.concatenate(rows)


def noise(width, height, seed=0):
    """The hardest case: neighbours have nothing in common."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def smooth(width, height, seed=0):
    """Like a photograph, more or less: it changes over some twelve pixels."""
    small = noise(max(1, width // 12), max(1, height // 12), seed)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def recipe(pictures, size_wh, *, task="detect", letter_box=False, batch_size=16, **augment):
    values = {f"augment.{name}": value for name, value in augment.items()}
    values |= {"task": task, "data.letter_box": letter_box, "batch_size": batch_size}
    return PictureRecipe(pictures, TrainConfig().with_values(values), size_wh)


def painter(own, device="cpu", **more):
    return DevicePainter(DevicePictures(own, torch.device(device)), **more)


def paint(own, on, epoch=0):
    """Images of an epoch's first mini-batch, by a painter on a device."""
    return on.paint(own.planned(epoch, 0, on.pictures.size_wh))


def differences(own, epochs=1, **more):
    """How far both painters are apart, in grey levels, for every number of every image."""
    on = painter(own, **more)
    apart = [
        np.abs(own.make(epoch, 0).images.astype(int) - paint(own, on, epoch).numpy())
        for epoch in range(epochs)
    ]
    return np.stack(apart)
