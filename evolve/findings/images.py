"""AP of resampled images for the trainings of a comparison, from the detections they stored."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evolve.analysis.image_bootstrap import METRICS, class_ap, draw_weights, mean_ap
from evolve.analysis.matching import Matches, load_detections, match, truth_of
from evolve.errors import EvolveError
from evolve.findings.cache import Cache, plain
from evolve.store.comparison import ComparisonRecord
from evolve.store.folder import TrialFolder
from model.data.coco import Dataset
from model.errors import ModelError

RESAMPLES = 1000

_SEED = 0
_AGREES = 1e-3  # AP that detections give and AP that was stored; earlier files are rounded

Truth = tuple[dict[str, Any], int]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ClassSample:
    """The objective of one class, NaN without truth, and the same on resamples of the images."""

    value: float
    resampled: Floats


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
    classes : dict of training -> {class: ClassSample}
        Where they were asked for.
    holding : dict of class -> int
        Images of the split that hold the class.
    """

    values: dict[str, Floats] = field(default_factory=dict)
    images: int | None = None
    why_not: str = ""
    classes: dict[str, dict[str, ClassSample]] = field(default_factory=dict)
    holding: dict[str, int] = field(default_factory=dict)

    def by_row(self, trainings: pd.DataFrame) -> dict[tuple[str, int], Floats]:
        """The values by row and seed_index, as `verdict.judge` takes them."""
        return _by_row(self.values, trainings)

    def classes_by_row(
        self, trainings: pd.DataFrame
    ) -> dict[tuple[str, int], dict[str, ClassSample]]:
        """The classes by row and seed_index."""
        return _by_row(self.classes, trainings)


def _by_row(values: Mapping[str, Any], trainings: pd.DataFrame) -> dict[tuple[str, int], Any]:
    return {
        (str(one.row), int(str(one.seed_index))): values[str(one.training)]
        for one in trainings.itertuples()
        if one.training in values
    }


class Unfit(Exception):  # noqa: N818  (it is told as a note)
    """Why images cannot be resampled; told to people."""


def resample(
    records: Sequence[ComparisonRecord],
    manifest: Mapping[str, Any],
    data: str | None,
    cache: Cache,
    *,
    classes: bool = False,
    kept_alone: bool = False,
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
    classes : bool
        Give every class too.
    kept_alone : bool
        Give what the cache has, and read neither data nor detections.
    """
    if not records:
        return Resampled()
    plan = records[0].plan
    frames = [r.trainings for r in records if r.judged_on == plan.judged_on]
    done = pd.concat(frames).drop_duplicates("training")
    done = done[(done["state"] == "COMPLETE") & done["value_test"].notna()]
    try:
        _check_kind(manifest, plan.objective)
        truth = _not_now if kept_alone else _Truth(manifest, plan.judged_on, data)
    except Unfit as reason:
        return Resampled(why_not=str(reason))
    pass_ = _Pass(plan.judged_on, plan.objective, truth, classes)
    values: dict[str, Floats] = {}
    samples: dict[str, dict[str, ClassSample]] = {}
    holding: dict[str, int] = {}
    images, why_not = None, ""
    for one in done.to_dict("records"):
        try:
            found = pass_.cached(one, cache)
        except Unfit as reason:
            why_not = str(reason)
            continue
        name, images = str(one["training"]), int(found["images"])
        values[name] = _floats(found["values"])
        if classes:
            samples[name] = {
                key: ClassSample(float(value), _floats(drawn))
                for key, _, value, drawn in found["classes"]
            }
            holding |= {key: count for key, count, *_ in found["classes"]}
    return Resampled(values, images, why_not, samples, holding)


def _floats(stored: Sequence[Any]) -> Floats:
    """Values that were stored in units of 1e-5."""
    return np.array([float(v) for v in stored]) / 1e5


def _not_now() -> Truth:
    raise Unfit("images are not resampled while trainings go on")


def _check_kind(manifest: Mapping[str, Any], objective: str) -> None:
    check_trainer(manifest)
    if _section(manifest, "train").get("task", "detect") != "detect":
        raise Unfit("images are resampled for detectors alone")
    if objective not in METRICS:
        raise Unfit(f"images are resampled for {', '.join(METRICS)} alone")


def check_trainer(manifest: Mapping[str, Any]) -> None:
    """Raise an `Unfit` if the run trained nothing that looks at images."""
    if manifest.get("trainer", "detector") != "detector":
        raise Unfit("these trainings looked at no images")


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
        dataset = read_data(self._argument, self._seed, self._digest)
        records = dataset.splits[self._split]
        return truth_of(records, dataset.classes), len(records)


def read_data(argument: Any, seed: int, digest: Any) -> Dataset:
    """The data of a run; an `Unfit` says why there are none.

    Parameters
    ----------
    argument : str or None
        As for ``--data``.
    seed : int
        Of the run.
    digest : str
        Of the data when the run began.
    """
    from evolve.data_source import open_data

    if not argument:
        raise Unfit("the run does not say where its data lie")
    try:
        _, _, dataset = open_data(str(argument), seed)
    except ModelError as error:
        raise Unfit(f"the data cannot be read: {error.what}") from error
    if dataset.digest != digest:
        raise Unfit("the data are not those of the run any more")
    return dataset


@dataclass(frozen=True)
class _Pass:
    """One look at the detections of each training, for all that is resampled."""

    split: str
    objective: str
    truth: Callable[[], Truth]
    classes: bool

    def cached(self, training: Mapping[Any, Any], cache: Cache) -> Any:
        """What `_measured` gives of a training."""
        name, value = str(training["training"]), float(training["value_test"])
        depends = [name, self.split, self.objective, value, RESAMPLES, _SEED, np.__version__]
        kind = "classes" if self.classes else "images"
        key = f"{kind}/{self.split}/{name}"
        return cache.get(key, depends, lambda: self._measured(training, value))

    def _measured(self, training: Mapping[Any, Any], value: float) -> Any:
        """`images`, `values`, and of each class its name, images, value and values.

        All but the one value are in units of 1e-5.
        """
        known, images = self.truth()
        detections = TrialFolder(training["folder"]).detections_on(self.split)
        weights = draw_weights(images, RESAMPLES, np.random.default_rng(_SEED))
        plan = np.concatenate([np.ones((1, images), np.int64), weights])
        try:
            matches = match(known, load_detections(detections))
        except EvolveError as error:
            raise Unfit(f"of {name_of(training)} {error.what}") from error
        per_class = class_ap(matches, plan)
        first, *rest = mean_ap(per_class)[self.objective].tolist()
        if not abs(first - value) < _AGREES:
            raise Unfit(f"the detections of {name_of(training)} do not give its {self.objective}")
        found = {"images": images, "values": plain([round(1e5 * v, 1) for v in rest])}
        return found | (
            {"classes": self._of_classes(known, matches, per_class)} if self.classes else {}
        )

    def _of_classes(
        self, known: Mapping[str, Any], matches: Matches, per_class: Floats
    ) -> list[Any]:
        names = {one["id"]: str(one["name"]) for one in known["categories"]}
        each = per_class[:, :, METRICS[self.objective]].mean(axis=2).T.tolist()
        return [
            [names[number], int(np.count_nonzero(one.truths)), *plain(
                [first, [v if math.isnan(v) else round(1e5 * v) for v in rest]])]
            for number, one, (first, *rest) in zip(
                matches.category_ids, matches.classes, each, strict=True)
        ]  # fmt: skip


def name_of(training: Mapping[Any, Any]) -> str:
    """What people call a training of a comparison."""
    return f"{training['title']}, seed {training['seed_index'] + 1}"
