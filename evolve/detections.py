"""The folder of `evolve detect`: drawn pictures and `detections.json`."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2

from evolve.data_source import names_beside
from evolve.errors import EvolveError
from model.detect import IMAGE_SUFFIXES, Found, LoadedDetector, detect_images, draw, load_picture
from model.errors import DataError
from model.files import write_atomically, write_text_atomically

_NEW_FOLDER = "give another folder with --out"


def find_images(given: Iterable[Path]) -> list[Path]:
    """Picture files, as named or found in the folders named; each once.

    Raises
    ------
    DataError
        If a name leads nowhere, or a folder holds no picture.
    """
    found: dict[Path, Path] = {}
    for path in given:
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
            if not inside:
                known = ", ".join(IMAGE_SUFFIXES)
                raise DataError("there is no image in this folder", str(path), f"sought: {known}")
        elif path.exists():
            inside = [path]
        else:
            raise DataError(f"no such image or folder: '{path}'", str(path), names_beside(path))
        for one in inside:
            found.setdefault(one.resolve(), one)
    return list(found.values())


def output_names(paths: Sequence[Path]) -> list[str]:
    """File names for drawn pictures: same stem, JPEG for JPEG and else PNG, no name twice."""
    taken: set[str] = set()
    names = []
    for path in paths:
        suffix = ".jpg" if path.suffix.lower() in (".jpg", ".jpeg") else ".png"
        name, number = f"{path.stem}{suffix}", 1
        while name.casefold() in taken:
            number += 1
            name = f"{path.stem}-{number}{suffix}"
        taken.add(name.casefold())
        names.append(name)
    return names


class DetectionFolder:
    """Writes drawn pictures and what was found in them.

    Parameters
    ----------
    path : Path
        New, empty, or the folder of an earlier detection, whose files are replaced.
    images : sequence of Path
        All that will be added.

    Raises
    ------
    EvolveError
        If the folder cannot be written, holds other files, or an input would be overwritten.
    """

    def __init__(self, path: Path, images: Sequence[Path]) -> None:
        self.path = path
        self.failed: list[dict[str, str]] = []
        self._names = dict(zip(images, output_names(images), strict=True))
        self._rows: list[dict[str, Any]] = []
        self._json = path / "detections.json"
        self._check_harmless(images)

    def _check_harmless(self, images: Sequence[Path]) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            others = not self._json.is_file() and any(self.path.iterdir())
        except OSError as error:
            what = f"the folder cannot be made: {error.strerror}"
            raise EvolveError(what, str(self.path), _NEW_FOLDER) from error
        if others:
            raise EvolveError("the folder holds other files", str(self.path), _NEW_FOLDER)
        inputs = {path.resolve() for path in images}
        for name in self._names.values():
            if (self.path / name).resolve() in inputs:
                raise EvolveError(f"'{name}' would be overwritten", str(self.path), _NEW_FOLDER)

    def begin(self, detector: LoadedDetector, weights: Path, score_threshold: float) -> None:
        """Note what detects; writes the first `detections.json`, still without pictures."""
        self._detector, self._score_threshold = detector, score_threshold
        self._head = {
            "weights": str(weights),
            "classes": list(detector.classes),
            "score_threshold": score_threshold,
        }
        try:
            self.finish()
        except OSError as error:
            what = f"the folder cannot be written: {error.strerror}"
            raise EvolveError(what, str(self.path), _NEW_FOLDER) from error

    def add(self, path: Path) -> Found:
        """Detect in a picture, draw and write it.

        Raises
        ------
        DataError
            If the picture cannot be read; this is noted in `failed`.
        """
        try:
            found = detect_images(self._detector, [path], self._score_threshold)[0]
            picture = load_picture(path)
        except DataError as error:
            self.failed.append({"file": str(path), "error": error.what})
            raise
        drawn = draw(
            picture, found.boxes_xyxy_px, found.labels, found.scores, self._detector.classes
        )
        _write_picture(self.path / self._names[path], drawn)
        self._rows.append(self._row(found))
        return found

    def _row(self, found: Found) -> dict[str, Any]:
        classes = self._detector.classes
        each = zip(found.labels, found.scores, found.boxes_xyxy_px, strict=True)
        return {
            "file": str(found.path),
            "drawn": self._names[found.path],
            "width": found.width,
            "height": found.height,
            "detections": [
                {
                    "class": classes[label],
                    "score": round(float(score), 5),
                    "box_xyxy_px": [round(float(v), 2) for v in box],
                }
                for label, score, box in each
            ],
        }

    def finish(self) -> str:
        """Write `detections.json`; its text."""
        tree = {**self._head, "images": self._rows, "failed": self.failed}
        text = json.dumps(tree, ensure_ascii=False)
        write_text_atomically(self._json, text + "\n")
        return text


def _write_picture(path: Path, picture: Any) -> None:
    coded, data = cv2.imencode(path.suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    assert coded
    write_atomically(path, lambda file: file.write(data.tobytes()))
