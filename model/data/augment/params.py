"""Settings of one training image, drawn from its configuration; nothing here knows a pixel.

Rules are those of darknet's detector and classifier training (AlexeyAB/darknet, the code of
arXiv:2004.10934 sec. 3.4 "Mosaic" and its base augmentation).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from model.config import AugmentConfig, TrainConfig
from model.data.augment.draws import EpochDraws
from model.effect import Effect
from model.ingredient import effects

Mix = Literal["plain", "mosaic", "mixup", "cutmix"]
Chosen = tuple[str, Any]
"""Key of an effect, and what it has been settled to do."""

SLOTS = 9
"""Source pictures that any image may have; streams of sources are this wide."""

CUTS = {4: ((0.2, 0.8),), 9: ((0.2, 0.45), (0.55, 0.8))}
"""Where a mosaic may be cut, as fractions of the network's width and height (darknet's for 4)."""

LEAST_CROP = 0.05
"""Share of a picture's width or height that is seen at least, where jitter and resize add up."""

CUTMIX_SIDE = (0.3, 0.8)
"""Sides of the part that CutMix replaces (darknet's rule; arXiv:1905.04899 draws its area)."""


@dataclass(frozen=True)
class Zoom:
    """A classifier's random crop (darknet's random_augment_image).

    Attributes
    ----------
    size : float
        Of the picture's shorter side, in network sizes.
    aspect : float
        Its width is divided by this.
    at : tuple of two float
        Where the crop lies in what is left over, 0 to 1 from left and top.
    """

    size: float
    aspect: float = 1.0
    at: tuple[float, float] = (0.5, 0.5)


@dataclass(frozen=True)
class TileParams:
    """Settings of one source picture.

    Attributes
    ----------
    crop : tuple of four float
        Left, top, right, bottom: how far each border moves inward, as a fraction of the picture's
        width or height; negative is outward, filled with the picture's mean.
    flip : bool
        Left-right.
    snap : bool
        In a mosaic: shift the crop so that no fill is left on the tile's outer sides.
    angle : float
        Rotation about the middle, degrees, clockwise as seen.
    hue : float
        Shift, as a fraction of the colour circle.
    saturation, exposure : float
        Factors of HSV's S and V.
    zoom : Zoom, optional
        Takes the place of `crop` in a classifier's training.
    effects : tuple of (key, choice)
        Painted on this picture, in this order.
    """

    crop: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    flip: bool = False
    snap: bool = False
    angle: float = 0.0
    hue: float = 0.0
    saturation: float = 1.0
    exposure: float = 1.0
    zoom: Zoom | None = None
    effects: tuple[Chosen, ...] = ()


@dataclass(frozen=True)
class ImageParams:
    """Settings of one training image.

    Attributes
    ----------
    members : tuple of int
        Index of each source picture. Those of a mosaic fill its rows from top-left on.
    tiles : tuple of TileParams
        One for each member.
    mix : Mix
        How they become one image.
    cuts_x, cuts_y : tuple of float
        Where a mosaic's columns and rows meet, as fractions of width and height.
    rect : tuple of four float, optional
        Left, top, right, bottom of CutMix's part, as fractions.
    effects : tuple of (key, choice)
        Painted on the whole image, in this order.
    """

    members: tuple[int, ...]
    tiles: tuple[TileParams, ...]
    mix: Mix = "plain"
    cuts_x: tuple[float, ...] = ()
    cuts_y: tuple[float, ...] = ()
    rect: tuple[float, float, float, float] | None = None
    effects: tuple[Chosen, ...] = ()


class ParamSampler:
    """Settles what is done to the image at any position of an epoch.

    Parameters
    ----------
    config : TrainConfig
        Its `augment`, `task` and `seed`; a strength of 0 (or a factor of 1) turns an ingredient
        off exactly.
    epoch : int
        Counted from 0.
    count : int
        Pictures to take partners from.
    """

    def __init__(self, config: TrainConfig, epoch: int, count: int) -> None:
        self._augment: AugmentConfig = config.augment
        self._draws = EpochDraws(config.seed, epoch)
        self._count = count
        self._classify = config.task == "classify"
        self._mixes = _mixes(config.augment)
        self._tile_effects = self._active("tile")
        self._image_effects = self._active("image")

    def _active(self, stage: str) -> list[tuple[Effect, Any]]:
        settings = [(one, getattr(self._augment, one.key)) for one in effects()]
        return [(one, own) for one, own in settings if one.stage == stage and own.probability > 0]

    def sample(self, position: int, own: int) -> ImageParams:
        """Settings of the image at a position of the epoch's order, where picture `own` lies."""
        mix = self._mix(position)
        whole = self._effects(self._image_effects, position, 0, slots=1)
        if mix == "plain":
            return ImageParams((own,), self._tiles(position, 1), effects=whole)
        if mix == "mosaic":
            return self._mosaic(position, own, whole)
        rect = self._rect(position) if mix == "cutmix" else None
        members = (own, *self._partners(position, 1))
        return ImageParams(members, self._tiles(position, 2), mix, rect=rect, effects=whole)

    def _mix(self, position: int) -> Mix:
        """Whether images are mixed, and how: each kind in proportion to its probability.

        darknet mixes in one half of its calls, whichever kinds are on, and takes one at random.
        """
        if not self._mixes or self._one("mix", position) >= max(self._mixes.values()):
            return "plain"
        place = self._one("which", position) * sum(self._mixes.values())
        kind: Mix = "plain"
        for name, chance in self._mixes.items():
            kind = name
            if place < chance:
                break
            place -= chance
        return kind

    def _one(self, name: str, position: int) -> float:
        return self._draws.at(name, position, 1)[0][0]

    def _partners(self, position: int, count: int) -> list[int]:
        drawn = self._draws.at("partner", position, 1, SLOTS - 1)
        return [int(u * self._count) for (u,) in drawn[:count]]

    def _mosaic(self, position: int, own: int, whole: tuple[Chosen, ...]) -> ImageParams:
        count = self._augment.mosaic_images
        members = [own, *self._partners(position, count - 1)]
        tiles = self._tiles(position, count)
        order = list(range(count))
        at = int(self._one("corner", position) * count)  # where the own picture goes
        order[0], order[at] = order[at], order[0]
        cuts = [
            tuple(
                low + (high - low) * u for (low, high), u in zip(CUTS[count], drawn, strict=False)
            )
            for drawn in self._draws.at("cut", position, 2, 2)
        ]
        return ImageParams(
            tuple(members[i] for i in order), tuple(tiles[i] for i in order), "mosaic",
            cuts[0], cuts[1], effects=whole,
        )  # fmt: skip

    def _rect(self, position: int) -> tuple[float, float, float, float]:
        low, high = CUTMIX_SIDE
        wide, tall, x, y = self._draws.at("rect", position, 4)[0]
        width, height = low + (high - low) * wide, low + (high - low) * tall
        left, top = x * (1 - width), y * (1 - height)
        return left, top, left + width, top + height

    def _tiles(self, position: int, count: int) -> tuple[TileParams, ...]:
        return tuple(self._tile(position, slot) for slot in range(count))

    def _tile(self, position: int, slot: int) -> TileParams:
        config = self._augment
        return TileParams(
            crop=(0.0, 0.0, 0.0, 0.0) if self._classify else self._crop(position, slot),
            flip=self._of("flip", position, slot, 1)[0] < config.flip,
            snap=self._of("snap", position, slot, 1)[0] < 0.5,
            angle=self._spread("rotate", position, slot, config.rotate),
            hue=self._spread("hue", position, slot, config.hue),
            saturation=self._factor("saturation", position, slot, config.saturation),
            exposure=self._factor("exposure", position, slot, config.exposure),
            zoom=self._zoom(position, slot) if self._classify else None,
            effects=self._effects(self._tile_effects, position, slot, SLOTS),
        )

    def _of(self, name: str, position: int, slot: int, width: int) -> list[float]:
        return self._draws.at(name, position, width, SLOTS)[slot]

    def _spread(self, name: str, position: int, slot: int, largest: float) -> float:
        """Uniform to either side; nothing is drawn for 0."""
        return (2.0 * self._of(name, position, slot, 1)[0] - 1.0) * largest if largest else 0.0

    def _factor(self, name: str, position: int, slot: int, largest: float) -> float:
        """Darknet's rand_scale: U(1, largest) or its inverse, one time in two each."""
        if largest == 1.0:
            return 1.0
        drawn = self._of(name, position, slot, 2)
        factor = 1.0 + (largest - 1.0) * drawn[0]
        return factor if drawn[1] < 0.5 else 1.0 / factor

    def _crop(self, position: int, slot: int) -> tuple[float, float, float, float]:
        drawn = self._of("crop", position, slot, 4)
        left, top, right, bottom = ((2.0 * u - 1.0) * self._augment.jitter for u in drawn)
        if self._augment.resize == 1.0:
            return left, top, right, bottom
        first, second = _resizes(self._of("resize", position, slot, 2), self._augment.resize)
        left, right = _leave_some(left + first, right + second)
        top, bottom = _leave_some(top + first, bottom + second)
        return left, top, right, bottom

    def _zoom(self, position: int, slot: int) -> Zoom:
        config = self._augment
        low, high = config.zoom_min, config.zoom_max
        size = low + (high - low) * self._of("zoom", position, slot, 1)[0]
        x, y = self._of("shift", position, slot, 2)
        return Zoom(size, self._factor("aspect", position, slot, config.aspect), (x, y))

    def _effects(
        self, active: Sequence[tuple[Effect, Any]], position: int, slot: int, slots: int
    ) -> tuple[Chosen, ...]:
        chosen = []
        for effect, settings in active:
            name = f"effect:{effect.key}"
            chance, *drawn = self._draws.at(name, position, effect.draws + 1, slots)[slot]
            if chance < settings.probability:
                chosen.append((effect.key, effect.sample(drawn, settings)))
        return tuple(chosen)


def _mixes(config: AugmentConfig) -> dict[Mix, float]:
    """Ways of mixing that are on, with their probabilities."""
    known: dict[Mix, float] = {
        "mosaic": config.mosaic, "mixup": config.mixup, "cutmix": config.cutmix,
    }  # fmt: skip
    return {kind: chance for kind, chance in known.items() if chance > 0}


def _resizes(drawn: Sequence[float], resize: float) -> tuple[float, float]:
    """How far left and top, then right and bottom borders move for darknet's `resize`.

    Outward by up to (1/r - 1)/2 with r the factor or, if that is above 1, its inverse; inward by
    up to (1 - 1/resize)/2, and not at all for a factor below 1.
    """
    out = (1.0 - max(resize, 1.0 / resize)) / 2.0
    most = max(0.0, (1.0 - 1.0 / resize) / 2.0)
    first, second = (out + (most - out) * u for u in drawn)
    return first, second


def _leave_some(before: float, after: float) -> tuple[float, float]:
    """Borders that meet or cross, drawn back until a twentieth is left between them."""
    factor = min(1.0, (1.0 - LEAST_CROP) / max(before + after, 1e-9))
    return (before * factor, after * factor) if before + after > 0 else (before, after)
