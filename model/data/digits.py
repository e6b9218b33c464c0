"""The embedded data set `digits`: real handwriting on crops of real photographs.

Built on first use from what scikit-learn carries, so it needs no network: its 8 x 8 handwritten
digits, enlarged smoothly, are inked onto pieces of its two photographs. All arithmetic after
decoding is on whole numbers, so the same versions give the same bytes on any machine.

No handwriting sample and no part of a photograph is in two splits. The samples are split in their
own order, which is about that of their writers, so validation is mostly on unseen hands.
"""

import dataclasses
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import platformdirs
from numpy.typing import NDArray
from sklearn.datasets import load_digits, load_sample_image

from model.errors import DataError

VERSION = 1
"""Part of the folder's name: raise it when the pictures change."""


@dataclass(frozen=True)
class Recipe:
    """Everything the pictures depend on.

    Attributes
    ----------
    counts : tuple of int
        Scenes in train, val, test.
    side_px : int
        Width and height of a scene.
    names : tuple of str
        Classes: the digits from 0 on.
    digits : tuple of int
        Fewest and most in a scene.
    height_px : tuple of int
        Smallest and largest digit, as the side of its 8 x 8 raster.
    gap_px : int
        Least distance between boxes; negative lets them overlap.
    contrast : int
        Least difference of ink and ground, in grey levels of 255.
    ground_percent : int
        Contrast that is left to the photograph, about its own mean.
    seed : int
        Of all draws.
    """

    counts: tuple[int, int, int] = (256, 96, 96)
    side_px: int = 96
    names: tuple[str, ...] = ("zero", "one", "two", "three", "four")
    digits: tuple[int, int] = (2, 4)
    height_px: tuple[int, int] = (26, 46)
    gap_px: int = 1
    contrast: int = 110
    ground_percent: int = 60
    seed: int = 20_200_423


DIGITS = Recipe()
"""The recipe of `digits_folder`."""

SPLITS = ("train", "val", "test")
SAMPLES_PERCENT = (70, 15, 15)
"""Shares of the handwriting samples, in scikit-learn's order, for the three splits."""

REGIONS_XYXY = {
    "china.jpg": (
        ((0, 0, 208, 427), (464, 0, 640, 427)),
        ((208, 0, 464, 213),),
        ((208, 213, 464, 427),),
    ),
    "flower.jpg": (
        ((0, 0, 304, 427),),
        ((304, 0, 560, 213),),
        ((304, 213, 560, 427),),
    ),
}
"""Pieces of each photograph for the three splits, in pixels: left, top, right, bottom. Each split
has something plain and something busy (sky and pagoda, leaves and petals)."""

INKS = (
    (16, 16, 20),
    (120, 10, 16),
    (12, 40, 130),
    (8, 80, 30),
    (250, 250, 244),
    (255, 226, 60),
    (120, 236, 255),
    (255, 170, 200),
)
"""RGB of the pens, dark and light."""

_INK_FROM, _INK_TO = 6, 10  # of the raster's 16 steps: where ink begins, and where it is full
_BOX_ALPHA = 100  # of 255: a pixel with as much ink belongs to the box
_GREY = np.array((77, 150, 29), np.int64)  # of 256: ITU-R BT.601 luma
_THINNEST_PX = 8
_PLACE_TRIES = 60


def digits_folder() -> Path:
    """Folder of the embedded set, built on first use under the user's cache folder.

    The environment variable ``EVOLVE_CACHE_DIR`` names another cache folder. The set appears
    there at once and whole, and two processes may ask for it at the same time.
    """
    override = os.environ.get("EVOLVE_CACHE_DIR")
    cache = Path(override) if override else platformdirs.user_cache_path("evolve")
    folder = cache / f"digits-v{VERSION}-{_digest(DIGITS)[:8]}"
    if not folder.is_dir():
        try:
            make_digits(folder, DIGITS)
        except DataError:
            if not folder.is_dir():  # else another process was faster, with the same bytes
                raise
    return folder


def make_digits(out: Path, recipe: Recipe = DIGITS) -> Path:
    """Build the set as a COCO folder.

    Parameters
    ----------
    out : Path
        Must not exist, or be an empty folder; it appears whole or not at all.
    recipe : Recipe
        What to draw.

    Returns
    -------
    Path
        `out`, with ``annotations/{train,val,test}.json``, ``images/`` and ``README.txt``.

    Raises
    ------
    DataError
        If there is something at `out`.
    """
    out = Path(out)
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise DataError("there is something already", str(out), "name a new folder")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as temporary:
            made = Path(temporary) / out.name
            made.mkdir()
            _write_set(made, recipe)
            made.replace(out)
    except OSError as error:
        raise DataError(
            f"cannot write the set: {error.strerror}",
            str(out),
            "name a folder that can be written; EVOLVE_CACHE_DIR names that of the embedded set",
        ) from error
    return out


def _write_set(folder: Path, recipe: Recipe) -> None:
    (folder / "annotations").mkdir()
    (folder / "images").mkdir()
    first_image = 1
    for index, name in enumerate(SPLITS):
        source = _Source.of_split(index, recipe)
        tree = _write_split(folder / "images", name, source, recipe, first_image)
        text = json.dumps(tree, separators=(",", ":"))
        (folder / "annotations" / f"{name}.json").write_text(text + "\n", encoding="utf-8")
        first_image += recipe.counts[index]
    (folder / "README.txt").write_text(_README, encoding="utf-8")


def _write_split(
    folder: Path, split: str, source: "_Source", recipe: Recipe, first_image: int
) -> dict[str, Any]:
    """Write a split's pictures; its annotations as a COCO tree."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(first_image, first_image + recipe.counts[SPLITS.index(split)]):
        file_name = f"{split}_{number:05d}.png"
        scene = source.scene(recipe)
        _write_png(folder / file_name, scene.picture)
        images.append(
            {
                "id": number,
                "file_name": file_name,
                "width": recipe.side_px,
                "height": recipe.side_px,
                "info": {"photograph": scene.photograph, "region_xywh": scene.region_xywh},
            }
        )
        for digit in scene.digits:
            annotations.append(digit.annotation(len(annotations) + 1, number))
    return {
        "info": {"description": "evolve digits", "split": split, **dataclasses.asdict(recipe)},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": i, "name": name} for i, name in enumerate(recipe.names)],
    }


@dataclass(frozen=True)
class _Digit:
    """One digit in a scene: which sample, and its tight box in whole pixels."""

    sample: int
    label: int
    x: int
    y: int
    width: int
    height: int

    def annotation(self, number: int, image: int) -> dict[str, Any]:
        return {
            "id": number,
            "image_id": image,
            "category_id": self.label,
            "bbox": [self.x, self.y, self.width, self.height],
            "area": self.width * self.height,
            "iscrowd": 0,
            "info": {"handwriting_sample": self.sample},
        }

    def is_clear_of(self, other: "_Digit", gap: int) -> bool:
        return (
            self.x + self.width + gap <= other.x
            or other.x + other.width + gap <= self.x
            or self.y + self.height + gap <= other.y
            or other.y + other.height + gap <= self.y
        )


@dataclass(frozen=True)
class _Scene:
    picture: NDArray[np.uint8]
    photograph: str
    region_xywh: list[int]
    digits: list[_Digit]


class _Source:
    """What one split may draw from: its samples, its columns of each photograph, its stream."""

    def __init__(
        self,
        samples: Sequence[tuple[int, int, NDArray[np.int64]]],
        photographs: dict[str, NDArray[np.uint8]],
        corners: dict[str, list[tuple[int, int]]],
        rng: np.random.Generator,
    ) -> None:
        self._photographs = photographs
        self._corners = corners
        self._rng = rng
        self._labels = sorted({label for _, label, _ in samples})
        self._piles = {label: self._pile(samples, label) for label in self._labels}

    @classmethod
    def of_split(cls, index: int, recipe: Recipe) -> "_Source":
        rng = np.random.default_rng([recipe.seed, index])
        bunch = load_digits()
        low, high = _share(index, len(bunch.target))
        samples = [
            (number, int(bunch.target[number]), bunch.images[number].astype(np.int64))
            for number in range(low, high)
            if bunch.target[number] < len(recipe.names)
        ]
        photographs = {name: load_sample_image(name) for name in REGIONS_XYXY}
        corners = {
            name: [corner for piece in splits[index] for corner in _corners(piece, recipe.side_px)]
            for name, splits in REGIONS_XYXY.items()
        }
        return cls(samples, photographs, corners, rng)

    def _pile(
        self, samples: Sequence[tuple[int, int, NDArray[np.int64]]], label: int
    ) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """Deal samples of a class for ever, each once before any comes again."""
        own = [
            (number, raster) for number, sample_label, raster in samples if sample_label == label
        ]
        while True:
            for index in self._rng.permutation(len(own)):
                yield own[index]

    def scene(self, recipe: Recipe) -> _Scene:
        """Draw the next scene."""
        name = list(REGIONS_XYXY)[self._rng.integers(len(REGIONS_XYXY))]
        x, y = self._corners[name][self._rng.integers(len(self._corners[name]))]
        side = recipe.side_px
        picture = self._photographs[name][y : y + side, x : x + side].astype(np.int64)
        mean = picture.mean(axis=(0, 1)).astype(np.int64)
        picture = mean + (picture - mean) * recipe.ground_percent // 100
        digits: list[_Digit] = []
        for _ in range(self._rng.integers(recipe.digits[0], recipe.digits[1] + 1)):
            self._add_digit(picture, digits, recipe)
        return _Scene(picture.astype(np.uint8), name, [x, y, side, side], digits)

    def _add_digit(self, picture: NDArray[np.int64], digits: list[_Digit], recipe: Recipe) -> None:
        """Ink one more digit into the picture (written to), where there is room for it."""
        label = self._labels[self._rng.integers(len(self._labels))]
        number, raster = next(self._piles[label])
        height = int(self._rng.integers(recipe.height_px[0], recipe.height_px[1] + 1))
        width = height * int(self._rng.integers(85, 111)) // 100
        alpha = _trimmed(_enlarged(raster, height, width))
        if alpha.shape[1] < _THINNEST_PX:  # a one drawn as a line
            alpha = _trimmed(_enlarged(raster, height, width * _THINNEST_PX // alpha.shape[1]))
        high, wide = alpha.shape
        for _ in range(_PLACE_TRIES):
            x = int(self._rng.integers(recipe.side_px - wide + 1))
            y = int(self._rng.integers(recipe.side_px - high + 1))
            digit = _Digit(number, label, x, y, wide, high)
            if all(digit.is_clear_of(other, recipe.gap_px) for other in digits):
                _ink(picture[y : y + high, x : x + wide], alpha, self._rng, recipe.contrast)
                digits.append(digit)
                return


def _corners(piece: tuple[int, int, int, int], side: int) -> list[tuple[int, int]]:
    """Where a scene may have its upper left corner to lie in a piece of a photograph."""
    left, top, right, bottom = piece
    columns, rows = range(left, right - side + 1), range(top, bottom - side + 1)
    return [(x, y) for y in rows for x in columns]


def _share(index: int, count: int) -> tuple[int, int]:
    """First and last + 1 of the `count` things that belong to a split."""
    low = sum(SAMPLES_PERCENT[:index])
    return count * low // 100, count * (low + SAMPLES_PERCENT[index]) // 100


def _enlarged(raster: NDArray[np.int64], height: int, width: int) -> NDArray[np.int64]:
    """Ink of 0..255 per pixel from a raster of 0..16, smoothed by cubic splines."""
    down, across = _spline_weights(height), _spline_weights(width)
    smooth = down @ raster @ across.T  # of 16 * 2^20
    full = (smooth * 255 - (_INK_FROM * 255 << 20)) // ((_INK_TO - _INK_FROM) << 20)
    return full.clip(0, 255)


def _spline_weights(length: int, source: int = 8) -> NDArray[np.int64]:
    """Weight of each source pixel (of 2^10) in each of `length` pixels: Catmull-Rom spline.

    One pixel of blank paper is added on either side, for the strokes to end in.
    """
    centres = (np.arange(length) + 0.5) * (source + 2) / length - 1.5
    away: NDArray[np.float64] = np.abs(centres[:, None] - np.arange(source))
    near = 1.5 * away**3 - 2.5 * away**2 + 1
    far = np.where(away < 2, -0.5 * away**3 + 2.5 * away**2 - 4 * away + 2, 0)
    weights: NDArray[np.float64] = 1024 * np.where(away < 1, near, far)
    return np.rint(weights).astype(np.int64)


def _trimmed(alpha: NDArray[np.int64]) -> NDArray[np.int64]:
    """Part that the box is drawn around."""
    rows = np.flatnonzero((alpha >= _BOX_ALPHA).any(axis=1))
    columns = np.flatnonzero((alpha >= _BOX_ALPHA).any(axis=0))
    return alpha[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _ink(
    ground: NDArray[np.int64], alpha: NDArray[np.int64], rng: np.random.Generator, contrast: int
) -> None:
    """Write in `ground` with a pen that is far from it in brightness."""
    grey = int((ground @ _GREY).mean()) >> 8
    pens = np.array(INKS, np.int64)
    differs = np.abs((pens @ _GREY >> 8) - grey)
    far = np.flatnonzero(differs >= min(contrast, int(differs.max())))
    pen = pens[far[rng.integers(len(far))]]
    weight = alpha[..., None]
    ground[:] = (ground * (255 - weight) + pen * weight + 127) // 255


def _write_png(path: Path, picture: NDArray[np.uint8]) -> None:
    done, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if not done:
        raise OSError("the picture cannot be encoded")
    path.write_bytes(data.tobytes())


def _digest(recipe: Recipe) -> str:
    text = json.dumps([VERSION, dataclasses.asdict(recipe), SAMPLES_PERCENT, REGIONS_XYXY, INKS])
    return hashlib.sha256(text.encode()).hexdigest()


_README = """\
digits: handwritten digits on photographs, in COCO format

Made by evolve (model/data/digits.py) from what scikit-learn carries:

Handwriting  Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak, UCI Machine
             Learning Repository, https://doi.org/10.24432/C50P49, CC BY 4.0
             (https://creativecommons.org/licenses/by/4.0/)
china.jpg    danielbuechele, https://www.flickr.com/photos/danielbuechele/6061409035/,
             CC BY 2.0 (https://creativecommons.org/licenses/by/2.0/)
flower.jpg   vultilion, https://www.flickr.com/photos/vultilion/6056698931/,
             CC BY 2.0 (https://creativecommons.org/licenses/by/2.0/)

Changed: the digits were enlarged, smoothed and coloured; the photographs were cut into pieces,
their contrast was lowered, and digits were drawn on them.

Each image's `info` names its photograph and region, each annotation's the handwriting sample
(its index in sklearn.datasets.load_digits). No sample and no region is in two splits.
"""
