"""The folder of `evolve detect`: drawn pictures and `detections.json`."""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2

from evolve.errors import EvolveError
from model.detect import IMAGE_SUFFIXES, Found, LoadedDetector, detect_images, load_picture
from model.draw import draw
from model.errors import DataError
from model.files import names_beside, write_atomically, write_text_atomically

_NEW_FOLDER = "give another folder with --out"


def find_images(given: Iterable[Path], leave_out: Path | None = None) -> list[Path]:
    """Picture files, as named or found in the folders named and below them; each once.

    Links are followed as far as they stay inside the folder that is named.

    Parameters
    ----------
    given : iterable of Path
    leave_out : Path, optional
        A folder that is not searched when it lies below one that is.

    Raises
    ------
    DataError
        If a name leads nowhere, or a folder holds no picture.
    """
    found: dict[Path, Path] = {}
    for path in given:
        if path.is_dir():
            inside = _pictures_below(path, leave_out)
            if not inside:
                known = ", ".join(IMAGE_SUFFIXES)
                raise DataError(
                    "there is no image in this folder or below it",
                    str(path),
                    f"sought: {known}; links that lead out of it are not followed",
                )
        elif path.exists():
            inside = [path]
        else:
            raise DataError(f"no such image or folder: '{path}'", str(path), names_beside(path))
        for one in inside:
            found.setdefault(one.resolve(), one)
    return list(found.values())


def _pictures_below(folder: Path, leave_out: Path | None) -> list[Path]:
    """Picture files of a folder and its subfolders, in order, none of them outside it."""
    root = folder.resolve()
    closed = leave_out.resolve() if leave_out else None
    pictures = []
    for parent, subfolders, names in os.walk(folder, onerror=_refuse):
        here = Path(parent)
        subfolders[:] = [name for name in subfolders if (here / name).resolve() != closed]
        pictures += [here / name for name in names if Path(name).suffix.lower() in IMAGE_SUFFIXES]
    return sorted(path for path in pictures if path.resolve().is_relative_to(root))


def _refuse(error: OSError) -> None:
    raise DataError(
        f"the folder cannot be read: {error.strerror}",
        str(error.filename),
        "let the folder be read, or name the images themselves",
    )


def output_names(paths: Sequence[Path]) -> list[str]:
    """File names for drawn pictures: same stem, JPEG for JPEG and else PNG, no name twice."""
    taken: set[str] = set()
    last: dict[str, int] = {}
    names = []
    for path in paths:
        suffix = ".jpg" if path.suffix.lower() in (".jpg", ".jpeg") else ".png"
        name = first = f"{path.stem}{suffix}"
        number = last.get(first.casefold(), 1)
        while name.casefold() in taken:
            number += 1
            name = f"{path.stem}-{number}{suffix}"
        taken.add(name.casefold())
        last[first.casefold()] = number
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

    def add(self, paths: Sequence[Path]) -> Iterator[Found | DataError]:
        """Detect in some pictures at once, draw and write them; what was found in each.

        A picture that cannot be read gives an error, which is noted in `failed`; the others are
        done.
        """
        try:
            every = detect_images(self._detector, paths, self._score_threshold, len(paths))
        except DataError as error:
            if len(paths) == 1:
                yield self._note_failure(paths[0], error)
                return
            for path in paths:
                yield from self.add([path])
            return
        for found in every:
            try:
                self._draw(found)
            except DataError as error:  # it was changed in the meantime
                yield self._note_failure(found.path, error)
            else:
                yield found

    def _note_failure(self, path: Path, error: DataError) -> DataError:
        self.failed.append({"file": str(path), "error": error.what})
        return error

    def _draw(self, found: Found) -> None:
        boxes, labels, scores = found.boxes_xyxy_px, found.labels, found.scores
        drawn = draw(load_picture(found.path), boxes, labels, scores, self._detector.classes)
        _write_picture(self.path / self._names[found.path], drawn)
        self._rows.append(self._row(found))

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
