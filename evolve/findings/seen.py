"""What the detectors of defaults and winner saw, from the detections that they stored.

Curves of precision, confusions of classes, and images to look at. It takes the data; what was
computed is kept with the other findings, so that it takes them once.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evolve.analysis import confusion as conf
from evolve.analysis.matching import Matches, judge_boxes, load_detections, matches_of, truth_of
from evolve.analysis.precision_recall import Curves, best_score, precision_recall
from evolve.data_source import resolve_data
from evolve.errors import EvolveError
from evolve.findings.cache import Cache, plain
from evolve.findings.images import Unfit, check_trainer, read_data
from evolve.findings.seen_records import (
    Box,
    Example,
    Floats,
    Seen,
    SeenRow,
    View,
    example_from,
    example_to,
    row_from,
)
from evolve.store.comparison import ComparisonRecord
from evolve.store.folder import RunFolder, TrialFolder
from evolve.store.records import RunRecord
from model.data.coco import Dataset, find_image
from model.errors import ModelError

MOST_PANELS = 8
MOST_CONFUSED = 12
KINDS = ("highest", "median", "lowest")

_AGREES = 1e-3  # AP50 that detections give and AP50 that was stored; earlier files are rounded
_DIGITS = 10
_FORMAT = 1


@dataclass(frozen=True)
class Source:
    """Trainings of one row: of each its name, folder, seed index and stored AP50."""

    title: str
    trainings: tuple[tuple[str, Path, int, float], ...]
    confirmed: bool = False


def look(
    run: RunRecord,
    record: ComparisonRecord | None,
    winner: str,
    cache: Cache,
    data: str | None = None,
) -> Seen:
    """What defaults and winner saw; of a run without a comparison defaults and best trial on val.

    Parameters
    ----------
    run : RunRecord
    record : ComparisonRecord, optional
        The final comparison.
    winner : str
        Key of its winner; empty if there is none.
    cache : Cache
    data : str, optional
        Where the data lie now, as for ``--data``.
    """
    argument = data or _section(run.manifest, "data").get("path")
    try:
        sources, split = _sources(run, record, winner)
        depends = [split, [_told(source) for source in sources], _FORMAT, np.__version__]
        tree = cache.get("seen", depends, lambda: _compute(run, sources, split, argument))
    except Unfit as reason:
        return Seen(why_not=str(reason))
    found = _seen(tree, split, confirmed=sources[0].confirmed)
    return replace(found, examples=tuple(_located(e, argument, split) for e in found.examples))


def _sources(
    run: RunRecord, record: ComparisonRecord | None, winner: str
) -> tuple[list[Source], str]:
    """Whose detections are looked at, and the split that they are of."""
    check_trainer(run.manifest)
    if _section(run.manifest, "train").get("task", "detect") != "detect":
        raise Unfit("these trainings found no boxes")
    if record is not None and (confirmed := _confirmed(record, winner)):
        return confirmed, record.judged_on
    searched = _searched(run)
    if not searched:
        raise Unfit("no training is complete")
    return searched, "val"


def _told(source: Source) -> list[Any]:
    return [source.title, [[name, ap50] for name, _, _, ap50 in source.trainings]]


def _section(manifest: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = manifest.get(key)
    return found if isinstance(found, dict) else {}


def _confirmed(record: ComparisonRecord, winner: str) -> list[Source]:
    """Defaults and winner of a comparison; empty unless each has a complete training."""
    if not winner:
        return []
    keys = dict.fromkeys([record.rows[0].key, winner])
    titles = {row.key: row.title for row in record.rows}
    found = []
    for key in keys:
        own = record.of_row(key)
        own = own[(own["state"] == "COMPLETE") & own["value_test"].notna()]
        prefix = "" if record.judged_on == "val" else f"{record.judged_on}/"
        trainings = tuple(
            (str(one["training"]), Path(one["folder"]), int(one["seed_index"]),
             float(one["metrics"].get(f"{prefix}AP50", math.nan)))
            for one in own.to_dict("records")
        )  # fmt: skip
        found.append(Source(titles[key], trainings, confirmed=True))
    return found if all(source.trainings for source in found) else []


def _searched(run: RunRecord) -> list[Source]:
    """Trial 0 and the best trial, as far as they are complete."""
    trials = run.trials[(run.trials["state"] == "COMPLETE") & run.trials["value"].notna()]
    if trials.empty:
        return []
    best = int(trials["number"].iloc[int(trials["value"].to_numpy().argmax())])
    known = dict(zip(trials["number"], trials["AP50"], strict=True)) if "AP50" in trials else {}
    folder = RunFolder(run.folder)
    return [
        Source(
            "the defaults" if number == 0 else f"trial {number}",
            ((str(number), folder.trial(number).path, 0, float(known.get(number, math.nan))),),
        )
        for number in dict.fromkeys((0, best))
        if number in set(trials["number"])
    ]


# -- computing -----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Looked:
    """One training: its detections, what they hit, and its curves."""

    seed_index: int
    detections: list[dict[str, Any]]
    matches: Matches
    curves: Curves


def _compute(run: RunRecord, sources: Sequence[Source], split: str, argument: Any) -> Any:
    """JSON types of `Seen`."""
    stored = _section(run.manifest, "data")
    dataset = read_data(argument, int(run.manifest.get("seed") or 0), stored.get("digest"))
    records = dataset.splits[split]
    truth = truth_of(records, dataset.classes)
    looked = [list(_look(source, truth, split)) for source in sources]
    counts = _truths(truth)
    ap = [np.mean([_areas(one.curves) for one in each], axis=0) for each in looked]
    panels = _panels(ap, counts)
    scores = [best_score([one.matches for one in each]) for each in looked]
    matrices = [
        np.mean([conf.confusion(truth, one.detections, score) for one in each], axis=0)
        for each, (score, _) in zip(looked, scores, strict=True)
    ]
    confused = conf.most_confused(np.sum(matrices, axis=0), MOST_CONFUSED)
    rows = [
        {
            "title": source.title,
            "trainings": len(each),
            "curves": _rounded(_bands([one.curves for one in each], panels)),
            "ap": _rounded(areas),
            "score": plain(score),
            "f1": f1,
            "confusion": _rounded(conf.reduced(matrix, confused)),
        }
        for source, each, areas, (score, f1), matrix in zip(
            sources, looked, ap, scores, matrices, strict=True)
    ]  # fmt: skip
    return {
        "images": len(records),
        "classes": list(dataset.classes),
        "truths": counts,
        "panels": panels,
        "confused": confused,
        "rows": rows,
        "examples": _examples(dataset, split, truth, looked, [score for score, _ in scores]),
    }


def _look(source: Source, truth: Mapping[str, Any], split: str) -> Iterator[_Looked]:
    for _, folder, seed_index, stored in source.trainings:
        try:
            detections = load_detections(TrialFolder(folder).detections_on(split))
            judge = judge_boxes(truth, detections)
        except EvolveError as error:
            raise Unfit(f"of {source.title} {error.what}") from error
        curves = precision_recall(judge)
        if not abs(curves.mean[0].mean() - stored) < _AGREES:
            raise Unfit(f"the detections of {source.title} do not give its AP50")
        yield _Looked(seed_index, detections, matches_of(judge), curves)


def _truths(truth: Mapping[str, Any]) -> list[int]:
    labels = [one["category_id"] - 1 for one in truth["annotations"] if not one["iscrowd"]]
    counts: list[int] = np.bincount(labels, minlength=len(truth["categories"])).tolist()
    return counts


def _areas(curves: Curves) -> Floats:
    """AP50 and AP75, mean and of each class, (1 + K, 2)."""
    return np.vstack([curves.mean.mean(axis=1)[None], curves.classes.mean(axis=2).T])


def _panels(ap: Sequence[Floats], truths: Sequence[int]) -> list[int]:
    """Classes with truth; of many those whose AP50 differs most, or is lowest in one row alone."""
    known = [place for place, count in enumerate(truths) if count]
    if len(known) == 1:
        return []  # it is the mean
    if len(known) <= MOST_PANELS:
        return known
    first, last = ap[0][1:, 0], ap[-1][1:, 0]
    apart = -first if len(ap) == 1 else np.abs(last - first)
    return sorted(sorted(known, key=lambda place: -apart[place])[:MOST_PANELS])


def _bands(several: Sequence[Curves], panels: Sequence[int]) -> Floats:
    """`SeenRow.curves`."""
    each = np.array(
        [np.concatenate([one.mean[:, None], one.classes[:, panels]], axis=1) for one in several]
    )  # training, IoU, panel, recall
    bands = np.stack([each.mean(axis=0), each.min(axis=0), each.max(axis=0)])
    return np.asarray(bands.transpose(2, 1, 0, 3))


def _rounded(values: NDArray[Any]) -> Any:
    return plain(np.round(values.astype(float), _DIGITS).tolist())


# -- examples ------------------------------------------------------------------------------


def _examples(
    dataset: Dataset,
    split: str,
    truth: Mapping[str, Any],
    looked: Sequence[Sequence[_Looked]],
    scores: Sequence[float],
) -> list[dict[str, Any]]:
    """Images with the highest, median and lowest difference of F1, of the first common seed."""
    common = set.intersection(*({one.seed_index for one in each} for each in looked))
    if not common:
        return []
    seed = min(common)
    chosen = [next(one for one in each if one.seed_index == seed) for each in looked]
    views = [
        [_view(found, truths) for found, truths in conf.by_image(truth, one.detections, score)]
        for one, score in zip(chosen, scores, strict=True)
    ]
    records = dataset.splits[split]
    held = [n for n, record in enumerate(records) if not record.crowd.all()]
    gains = [views[-1][n].f1 - (views[0][n].f1 if len(views) > 1 else 0.0) for n in held]
    return [
        example_to(
            Example(kind, records[n].file_name, records[n].width, records[n].height,
                    tuple(each[n] for each in views))
        )
        for kind, n in _chosen(held, gains)
    ]  # fmt: skip


def _chosen(images: Sequence[int], gains: Sequence[float]) -> list[tuple[str, int]]:
    """Highest, median and lowest; of equals the first image, and none twice."""
    order = [images[k] for k in sorted(range(len(images)), key=lambda k: -gains[k])]
    if not order:
        return []
    lowest = images[min(range(len(images)), key=lambda k: gains[k])]
    places = (order[0], order[(len(order) - 1) // 2], lowest)
    found: dict[int, str] = {}
    for kind, image in zip(KINDS, places, strict=True):
        found.setdefault(image, kind)
    return [(kind, image) for image, kind in found.items()]


def _view(found: conf.Boxes, truths: conf.Boxes) -> View:
    pairs = conf.pair(found, truths)
    right = [(d, t) for d, t in pairs.hits if found[d]["category_id"] == truths[t]["category_id"]]
    hit, met = {d for d, _ in right}, {t for _, t in right}
    counted = {d for d, _ in pairs.hits} | set(pairs.false)
    return View(
        conf.image_f1(found, truths),
        tuple(_box(one, d in hit) for d, one in enumerate(found) if d in counted),
        tuple(_box(one, t in met) for t, one in enumerate(truths)),
    )


def _box(one: Mapping[str, Any], right: bool) -> Box:
    x, y, w, h = (float(value) for value in one["bbox"])
    corners = (round(x, 2), round(y, 2), round(x + w, 2), round(y + h, 2))
    score, crowd = float(one.get("score", 1.0)), bool(one.get("iscrowd", 0))
    return Box(int(one["category_id"]) - 1, round(score, 4), corners, right, crowd)


# -- what was kept -------------------------------------------------------------------------


def _seen(tree: Mapping[str, Any], split: str, *, confirmed: bool) -> Seen:
    return Seen(
        split=split,
        images=int(tree["images"]),
        classes=tuple(map(str, tree["classes"])),
        truths=tuple(map(int, tree["truths"])),
        rows=tuple(row_from(row) for row in tree["rows"]),
        panels=tuple(map(int, tree["panels"])),
        confused=tuple(map(int, tree["confused"])),
        confirmed=confirmed,
        examples=tuple(example_from(one) for one in tree["examples"]),
    )


def _located(one: Example, argument: Any, split: str) -> Example:
    """An example with its file as the data lie now."""
    try:
        path = find_image(resolve_data(str(argument)).path, split, one.file_name)
    except ModelError as error:
        return replace(one, why_not=error.what)
    return replace(one, path=path, why_not="" if path else "its file is missing")


__all__ = ["KINDS", "MOST_CONFUSED", "MOST_PANELS", "Seen", "SeenRow", "Source", "look"]
