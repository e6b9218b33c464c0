"""A detection data set in numbers: what a study card tells of it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from evolve.cards.card import DataFacts, TrainFacts
from evolve.data_source import resolve_data
from model.data.coco import Dataset, ImageRecord, load_dataset
from model.errors import DataError

AT = (0.05, 0.25, 0.5, 0.75, 0.95)


def data_facts(dataset: Dataset, *, class_names: bool = False) -> DataFacts:
    """Numbers of a data set; its names only if they are wanted."""
    return DataFacts(
        classes=len(dataset.classes),
        class_names=dataset.classes if class_names else None,
        images={split: len(records) for split, records in dataset.splits.items()},
        train=_train_facts(dataset.splits["train"]),
    )


def facts_of_run(
    manifest: Mapping[str, Any], data: str | None = None, *, class_names: bool = False
) -> tuple[DataFacts | None, str]:
    """Numbers of the data of a run, and why some are missing.

    Where the data are gone or have changed, what the manifest tells is left.

    Parameters
    ----------
    manifest : mapping
    data : str, optional
        Where the data lie now.
    class_names : bool
    """
    stored = manifest.get("data", {})
    if "digest" not in stored:
        return None, "the run read no data set, so the card tells nothing of one"
    try:
        path = resolve_data(data or stored["path"]).path
        dataset = load_dataset(path, seed=manifest.get("seed", 0))
        if dataset.digest == stored["digest"]:
            return data_facts(dataset, class_names=class_names), ""
        why = "they have changed since the run"
    except DataError as error:
        why = error.what
    names = tuple(stored["classes"]) if class_names else None
    known = DataFacts(classes=len(stored["classes"]), class_names=names, images=stored["images"])
    return known, f"the data are told without their boxes: {why}"


def _train_facts(records: Sequence[ImageRecord]) -> TrainFacts:
    """Quantiles over images and boxes; crowd regions are no boxes."""
    boxes = [r.boxes_xyxy_px[~r.crowd].astype(np.float64) for r in records]
    areas = np.concatenate([(b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1]) for b in boxes])
    images = np.repeat([r.width * r.height for r in records], [len(b) for b in boxes])
    return TrainFacts(
        at=AT,
        image_width_px=_quantiles([r.width for r in records]),
        image_height_px=_quantiles([r.height for r in records]),
        boxes_per_image=_quantiles([len(b) for b in boxes]),
        box_side_px=_quantiles(np.sqrt(areas)),
        box_side_of_image=_quantiles(np.sqrt(areas / images)),
    )


def _quantiles(values: ArrayLike) -> tuple[float, ...]:
    return tuple(
        float(f"{value:.4g}") for value in np.quantile(np.asarray(values, np.float64), AT)
    )
