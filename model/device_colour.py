"""Hue, saturation and exposure on the training device, with the roundings of OpenCV's HSV."""

import torch
from torch import Tensor

_BITS = 12  # of OpenCV's reciprocals
_TO_SECTORS = 6.0 / 255.0  # OpenCV reads 255 steps of hue back, though it wrote 256


class ColourShift:
    """What ``model.data.augment.opencv`` does to colours: RGB to HSV, change, and back.

    Equal to the bit until HSV is turned back, which is computed in float32 there, too.
    """

    def __init__(self, device: torch.device) -> None:
        values = torch.arange(1, 256, dtype=torch.float64)
        nothing = torch.zeros(1, dtype=torch.float64)
        to_hue = torch.cat((nothing, (256 << _BITS) / (6.0 * values)))
        to_saturation = torch.cat((nothing, (255 << _BITS) / values))
        self._to_hue = to_hue.round().int().to(device)
        self._to_saturation = to_saturation.round().int().to(device)

    def __call__(self, rgb: Tensor, hue: Tensor, saturation: Tensor, exposure: Tensor) -> Tensor:
        """Changed colours.

        Parameters
        ----------
        rgb : Tensor, shape (C, H, W, 3), uint8
        hue : Tensor, int32
            Shift in 1/256 of the circle; like the next two of a shape that broadcasts to
            (C, H, W).
        saturation, exposure : Tensor, float32
            Factors.
        """
        now_hue, now_saturation, value = self._to_hsv(rgb)
        now_hue = (now_hue + hue) & 255
        return _to_rgb(now_hue, _scaled(now_saturation, saturation), _scaled(value, exposure))

    def _to_hsv(self, rgb: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Hue, saturation and value of the pixels, int32."""
        red, green, blue = rgb.int().unbind(-1)
        value = red.maximum(green).maximum(blue)
        spread = value - red.minimum(green).minimum(blue)
        other = torch.where(value == green, blue - red + 2 * spread, red - green + 4 * spread)
        hue = torch.where(value == red, green - blue, other)
        hue = _shifted(hue * self._to_hue[spread]) & 255
        return hue, _shifted(spread * self._to_saturation[value]), value


def _shifted(numbers: Tensor) -> Tensor:
    return (numbers + (1 << (_BITS - 1))) >> _BITS


def _scaled(numbers: Tensor, factor: Tensor) -> Tensor:
    return (numbers * factor).round_().clamp_(0, 255)


def _to_rgb(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """Each channel is the value, less its saturation by how far the hue is from the channel's."""
    sector = hue * _TO_SECTORS
    away = (
        2 - (sector - 3).abs(),  # red is full from -1 to 1, that is from 5 to 1
        (sector - 2).abs() - 1,
        (sector - 4).abs() - 1,
    )
    share, level = saturation * (1.0 / 255.0), value * (1.0 / 255.0)
    channels = [level * (1 - share * one.clamp_(0, 1)) * 255.0 for one in away]
    return torch.stack(channels, dim=-1).round_().to(torch.uint8)
