"""Latency and AP of detectors on this machine, each measured once and kept beside its weights.

Latency is of a network, not of its weights: the pictures are noise, and suppression gets the same
number of boxes from any. So it is measured with random weights, and detectors whose networks are
the same have the same one, instead of two that differ by chance.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evolve.analysis.deltas import estimate
from evolve.analysis.image_bootstrap import METRICS, class_ap, draw_weights, mean_ap
from evolve.analysis.matching import as_results, match, truth_of
from evolve.costs import costs_header, known_costs, measure_costs, network_of
from evolve.errors import EvolveError
from evolve.findings.cache import Cache, plain
from evolve.findings.images import RESAMPLES
from evolve.pareto.subjects import Accuracy, Data, Subject
from model.files import file_sha256

if TYPE_CHECKING:
    from model.data.coco import Dataset

logger = logging.getLogger(__name__)

SEED = 0
SHORT = 12

Tell = Callable[[str], None]
Cost = dict[str, Any]


@dataclass(frozen=True)
class Wanted:
    """What is measured, and how.

    Attributes
    ----------
    data : Data
    split, metric : str
    device : str or None
        None takes a GPU where there is one.
    repeats : int
        Timed passes.
    """

    data: Data
    split: str
    metric: str
    device: str | None
    repeats: int


class Measurer:
    """Measures what no file has yet.

    Parameters
    ----------
    wanted : Wanted
    tell : callable
        Gets a line before each measurement that takes time.
    time_network : callable
        `evolve.costs.measure_costs`, or one like it.
    """

    def __init__(
        self, wanted: Wanted, tell: Tell, time_network: Callable[..., Cost] = measure_costs
    ) -> None:
        self.wanted, self.tell = wanted, tell
        self._time_network = time_network
        self._caches: dict[Path, Cache] = {}
        self._costs: dict[str, Cost] = {}
        self.header = costs_header(wanted.repeats, wanted.device)

    def _cache(self, subject: Subject) -> Cache:
        return self._caches.setdefault(subject.home, Cache(subject.home, keeps=True))

    # -- latency -------------------------------------------------------------------------------

    def look_up(self, subjects: Sequence[Subject]) -> None:
        """Take over what was measured before by the same protocol on the same device."""
        for subject in subjects:
            tree = known_costs(subject.costs) if subject.costs else None
            if tree and all(tree[name] == self.header[name] for name in self.header):
                self._costs |= {row["network"]: row for row in tree["rows"].values()
                                if row["latency_ms"] is not None}  # fmt: skip

    def cost(self, subject: Subject, size: int) -> Cost:
        """Parameters, BFLOPs, latencies and network of a subject at a size, as of costs.json."""
        config = subject.config.with_values({"image_size": size})
        classes = len(self.wanted.data.classes)
        network = network_of(config, classes)
        cache = self._cache(subject)

        def measure() -> Cost | None:
            if network not in self._costs:
                self.tell(f"latency of {subject.title} at {size} px")
                found = self._time_network({"it": config}, classes, repeats=self.wanted.repeats,
                                           device=self.wanted.device)  # fmt: skip
                self._costs[network] = found["rows"]["it"]
            cost = self._costs[network]
            return None if cost["latency_ms"] is None else cost  # another time it may be run

        name = f"latency/{_hash(self.header)}/{network}"
        cost = cache.get(name, self.header, measure)
        cache.write()
        self._costs.setdefault(network, cost)
        return dict(self._costs[network])

    # -- AP ------------------------------------------------------------------------------------

    def accuracy(self, subject: Subject, size: int) -> Accuracy | None:
        """AP of a subject at a size; None where neither a value nor weights are left."""
        if subject.stored is not None and size == subject.size:
            return subject.stored
        if not subject.weights:
            return None
        each = [self._of_weights(subject, weights, size) for weights in subject.weights]
        metric, images = self.wanted.metric, int(each[0]["images"])
        values = [float(one["metrics"][metric]) for one in each]
        resampled = np.array([one["resampled"][metric] for one in each], float) / 1e5
        return Accuracy(estimate(values, resampled, images), resampled.mean(axis=0), images)

    def _of_weights(self, subject: Subject, weights: Path, size: int) -> Mapping[str, Any]:
        digest, data, split = file_sha256(weights), self.wanted.data.digest, self.wanted.split
        depends = [digest, data, split, size, self.precision, RESAMPLES, SEED, np.__version__]
        name = "/".join(["AP", digest[:SHORT], data[:SHORT], split, str(size), self.precision])
        cache = self._cache(subject)
        found = cache.get(name, depends, lambda: self._measure_ap(subject, weights, size))
        cache.write()
        assert isinstance(found, Mapping)
        return found

    def _measure_ap(self, subject: Subject, weights: Path, size: int) -> dict[str, Any]:
        from model.detect import at_size, load_detector
        from model.train import EVAL_BATCH, detect_split
        from model.trained import check_measurable

        split = self.wanted.split
        self.tell(f"AP of {subject.title} at {size} px on {split}{_which(subject, weights)}")
        detector = at_size(load_detector(weights, self.wanted.device), size)
        check_measurable("detector", detector.classes, self.dataset, split)
        records = self.dataset.splits[split]
        found = detect_split(
            detector.network,
            detector.loader(records, EVAL_BATCH),
            detector.anchors_wh,
            detector.config,
            device=detector.device,
            autocast=detector.autocast,
        )
        results = [result for one in found for result in as_results(vars(one))]
        return resampled_ap(truth_of(records, self.dataset.classes), results, len(records))

    @cached_property
    def precision(self) -> str:
        """Device and its precision, on which AP depends in its last digits."""
        from model.training import gains_from_bf16, pick_device

        device = pick_device(self.wanted.device)
        return f"{device.type}-bf16" if gains_from_bf16(device) else device.type

    @cached_property
    def dataset(self) -> "Dataset":
        """The data; an EvolveError if they are not those that were meant."""
        from evolve.data_source import open_data

        data = self.wanted.data
        path, _, dataset = open_data(data.argument, data.seed)
        if data.digest and dataset.digest != data.digest:
            raise EvolveError(
                "these are not the data of the run any more",
                str(path),
                "give with --data where the data of the run lie",
            )
        return dataset


def resampled_ap(
    truth: Mapping[str, Any], results: Sequence[Mapping[str, Any]], images: int
) -> dict[str, Any]:
    """AP, AP50 and AP75 of detections, and on resamples of the images, in units of 1e-5."""
    weights = draw_weights(images, RESAMPLES, np.random.default_rng(SEED))
    plan = np.concatenate([np.ones((1, images), np.int64), weights])
    values = mean_ap(class_ap(match(truth, results), plan))
    return {
        "images": images,
        "metrics": plain({name: float(values[name][0]) for name in METRICS}),
        "resampled": plain({name: [round(1e5 * v, 1) for v in values[name][1:].tolist()]
                            for name in METRICS}),
    }  # fmt: skip


def _which(subject: Subject, weights: Path) -> str:
    """Which of several trainings, for a line of progress."""
    count = len(subject.weights)
    return f", seed {subject.weights.index(weights) + 1} of {count}" if count > 1 else ""


def _hash(tree: Any) -> str:
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()[:SHORT]
