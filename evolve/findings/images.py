"""AP of resampled images for the trainings of a comparison, from the detections they stored."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evolve.analysis.image_bootstrap import METRICS, ap, draw_weights
from evolve.analysis.matching import load_detections, match, truth_of
from evolve.errors import EvolveError
from evolve.findings.cache import Cache, plain
from evolve.store.comparison import ComparisonRecord
from evolve.store.folder import TrialFolder
from model.errors import ModelError

RESAMPLES = 1000

_SEED = 0
_AGREES = 1e-3  # AP that detections give and AP that was stored; earlier files are rounded

Truth = tuple[dict[str, Any], int]


@dataclass(frozen=True)
class Resampled:
    """Values of trainings on the same resamples of the images.

    Attributes
    ----------
    values : dict of training -> array, shape (RESAMPLES,)
    images : int or None
        Images of the split; None if nothing was resampled.
    why_not : str
        Why trainings are missing; empty if all complete ones are there.
    """

    values: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    images: int | None = None
    why_not: str = ""

    def by_row(self, trainings: pd.DataFrame) -> dict[tuple[str, int], NDArray[np.float64]]:
        """The values by row and seed_index, as `verdict.judge` takes them."""
        return {
            (str(one.row), int(str(one.seed_index))): self.values[str(one.training)]
            for one in trainings.itertuples()
            if one.training in self.values
        }


class Unfit(Exception):  # noqa: N818  (it is told as a note)
    """Why images cannot be resampled; told to people."""


def resample(
    records: Sequence[ComparisonRecord],
    manifest: Mapping[str, Any],
    data: str | None,
    cache: Cache,
) -> Resampled:
    """Resample the images of the split that all `records` are judged on.

    Parameters
    ----------
    records : sequence of ComparisonRecord
        Those judged on another split than the first are left out.
    manifest : mapping
        Of the run: where the data lie, and what they were.
    data : str, optional
        Where they lie now, as for ``--data``.
    cache : Cache
    """
    if not records:
        return Resampled()
    plan = records[0].plan
    frames = [r.trainings for r in records if r.judged_on == plan.judged_on]
    done = pd.concat(frames).drop_duplicates("training")
    done = done[(done["state"] == "COMPLETE") & done["value_test"].notna()]
    try:
        _check_kind(manifest, plan.objective)
        truth = _Truth(manifest, plan.judged_on, data)
    except Unfit as reason:
        return Resampled(why_not=str(reason))
    values: dict[str, NDArray[np.float64]] = {}
    images, why_not = None, ""
    for one in done.to_dict("records"):
        try:
            found = _cached(one, plan.judged_on, plan.objective, truth, cache)
        except Unfit as reason:
            why_not = str(reason)
            continue
        images = int(found["images"])
        values[str(one["training"])] = np.array([float(v) for v in found["values"]]) / 1e5
    return Resampled(values, images, why_not)


def _check_kind(manifest: Mapping[str, Any], objective: str) -> None:
    if manifest.get("trainer", "detector") != "detector":
        raise Unfit("these trainings looked at no images")
    if _section(manifest, "train").get("task", "detect") != "detect":
        raise Unfit("images are resampled for detectors alone")
    if objective not in METRICS:
        raise Unfit(f"images are resampled for {', '.join(METRICS)} alone")


def _section(manifest: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = manifest.get(key)
    return found if isinstance(found, dict) else {}


class _Truth:
    """The truth of a split, read when it is first asked for."""

    def __init__(self, manifest: Mapping[str, Any], split: str, data: str | None) -> None:
        stored = _section(manifest, "data")
        self._argument = data or stored.get("path")
        self._digest, self._seed = stored.get("digest"), int(manifest.get("seed") or 0)
        self._split = split
        self._found: Truth | Unfit | None = None

    def __call__(self) -> Truth:
        if self._found is None:
            try:
                self._found = self._read()
            except Unfit as reason:
                self._found = reason
        if isinstance(self._found, Unfit):
            raise self._found
        return self._found

    def _read(self) -> Truth:
        from evolve.data_source import open_data

        if not self._argument:
            raise Unfit("the run does not say where its data lie")
        try:
            _, _, dataset = open_data(str(self._argument), self._seed)
        except ModelError as error:
            raise Unfit(f"the data cannot be read: {error.what}") from error
        if dataset.digest != self._digest:
            raise Unfit("the data are not those of the run any more")
        records = dataset.splits[self._split]
        return truth_of(records, dataset.classes), len(records)


def _cached(
    training: Mapping[Any, Any],
    split: str,
    objective: str,
    truth: Callable[[], Truth],
    cache: Cache,
) -> Any:
    """`images` and `values`, in units of 1e-5, of one training."""
    name, value = str(training["training"]), float(training["value_test"])
    detections = TrialFolder(training["folder"]).detections_on(split)
    depends = [name, split, objective, value, RESAMPLES, _SEED, np.__version__]

    def compute() -> Any:
        known, images = truth()
        weights = draw_weights(images, RESAMPLES, np.random.default_rng(_SEED))
        plan = np.concatenate([np.ones((1, images), np.int64), weights])
        try:
            first, *rest = ap(match(known, load_detections(detections)), plan)[objective].tolist()
        except EvolveError as error:
            raise Unfit(f"of {name_of(training)} {error.what}") from error
        if not abs(first - value) < _AGREES:
            raise Unfit(f"the detections of {name_of(training)} do not give its {objective}")
        return {"images": images, "values": plain([round(1e5 * v, 1) for v in rest])}

    return cache.get(f"images/{split}/{name}", depends, compute)


def name_of(training: Mapping[Any, Any]) -> str:
    """What people call a training of a comparison."""
    return f"{training['title']}, seed {training['seed_index'] + 1}"
