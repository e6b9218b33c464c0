"""The detector studies that were recorded: what was trained on what, over which space.

Recorded with the code of commit fb46b14, PyTorch 2.13, one thread of an AMD EPYC, in bf16.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from tests.bench.search.problem import Role

METRIC = "AP50"
"""What is replayed: AP, a third of it after so short trainings, is as noisy for its spread."""

EPOCHS = 10
EARLY_EPOCHS = (2, 3, 4, 6)
"""After which the metric was measured, too."""

STOP_EPOCH = 3
"""Of those, the one at which ASHA asks; see `evolve.engine.course.rungs`."""


@dataclass(frozen=True)
class Study:
    """A space over trainings of one tiny network on one data set.

    Attributes
    ----------
    name, role, distributions, ordinal, conditions, defaults
        As in `Problem`; names are key paths of the training configuration.
    data : str
        'digits', or the folder's name of a COCO data set.
    settings : mapping of key path -> value
        What all trainings share.
    """

    name: str
    role: Role
    data: str
    settings: Mapping[str, Any]
    distributions: Mapping[str, BaseDistribution]
    defaults: Mapping[str, Any]
    ordinal: frozenset[str] = frozenset()
    conditions: Mapping[str, Mapping[str, tuple[Any, ...]]] = field(default_factory=dict)

    def exists(self, name: str, params: Mapping[str, Any]) -> bool:
        """Whether that parameter exists beside the others of `params`."""
        return all(
            params.get(parent) in values
            for parent, values in self.conditions.get(name, {}).items()
        )

    def from_unit(self, unit: NDArray[np.float64]) -> dict[str, Any]:
        """Existing parameters at a point (D,) of the unit cube, one axis for each parameter."""
        params: dict[str, Any] = {}
        for u, (name, space) in zip(unit, self.distributions.items(), strict=True):
            if self.exists(name, params):
                params[name] = _from_unit(float(u), space)
        return params

    def to_unit(self, params: Mapping[str, Any]) -> NDArray[np.float64]:
        """The point (D,) of the unit cube; a parameter that does not exist is at its default."""
        values = {n: params[n] if self.exists(n, params) else self.defaults[n]
                  for n in self.distributions}  # fmt: skip
        return np.array([_to_unit(values[n], space) for n, space in self.distributions.items()])

    def initial(self) -> dict[str, Any]:
        """The defaults, without what does not exist at them."""
        return {n: v for n, v in self.defaults.items() if self.exists(n, self.defaults)}


def _from_unit(u: float, space: BaseDistribution) -> Any:
    if isinstance(space, CategoricalDistribution):
        return space.choices[min(int(u * len(space.choices)), len(space.choices) - 1)]
    assert isinstance(space, FloatDistribution | IntDistribution)
    whole = isinstance(space, IntDistribution)
    edge = 0.5 if whole else 0.0  # so that the outermost integers are as likely as others
    low, high = space.low - edge, space.high + edge
    value = low * (high / low) ** u if space.log else low + (high - low) * u
    value = min(max(value, space.low), space.high)
    return round(value) if whole else value


def _to_unit(value: Any, space: BaseDistribution) -> float:
    """Middle of a category; an integer as the number that it is."""
    if isinstance(space, CategoricalDistribution):
        return (space.choices.index(value) + 0.5) / len(space.choices)
    assert isinstance(space, FloatDistribution | IntDistribution)
    edge = 0.5 if isinstance(space, IntDistribution) else 0.0
    low, high = space.low - edge, space.high + edge
    if space.log:
        return float(np.log(value / low) / np.log(high / low))
    return float((value - low) / (high - low))


BATCHES = (6, 8, 12, 16, 24, 32)

BCCD_LOSS = Study(
    name="recorded-bccd160",
    role="judge",
    data="bccd160",
    settings={"model": "yolov4-tiny-3l-nano", "image_size": 96, "epochs": EPOCHS},
    distributions={
        "optimizer.lr": FloatDistribution(5e-4, 0.5, log=True),
        "optimizer.momentum": FloatDistribution(0.6, 0.98),
        "optimizer.weight_decay": FloatDistribution(1e-5, 2e-2, log=True),
        "loss.box": CategoricalDistribution(("mse", "iou", "giou", "ciou")),
        "loss.iou_normalizer": FloatDistribution(0.1, 10.0, log=True),
        "loss.obj_normalizer": FloatDistribution(0.1, 10.0, log=True),
        "loss.iou_threshold": FloatDistribution(0.15, 1.0),
        "augment.mosaic": FloatDistribution(0.0, 1.0),
        "augment.jitter": FloatDistribution(0.0, 0.4),
        "batch_size": CategoricalDistribution(BATCHES),
    },
    ordinal=frozenset({"batch_size"}),
    defaults={
        "optimizer.lr": 2e-3,
        "optimizer.momentum": 0.9,
        "optimizer.weight_decay": 5e-4,
        "loss.box": "ciou",
        "loss.iou_normalizer": 1.0,
        "loss.obj_normalizer": 1.0,
        "loss.iou_threshold": 0.213,
        "augment.mosaic": 0.5,
        "augment.jitter": 0.2,
        "batch_size": 16,
    },
)

DIGITS = Study(
    name="recorded-digits",
    role="tune",
    data="digits",
    settings={"model": "yolov4-tiny-3l-nano", "image_size": 96, "epochs": EPOCHS},
    distributions={
        "optimizer.lr": FloatDistribution(5e-4, 0.5, log=True),
        "optimizer.momentum": FloatDistribution(0.6, 0.98),
        "optimizer.weight_decay": FloatDistribution(1e-5, 2e-2, log=True),
        "batch_size": IntDistribution(6, 32, log=True),
        "loss.box": CategoricalDistribution(("smooth-l1", "giou", "ciou")),
        "loss.iou_normalizer": FloatDistribution(0.1, 10.0, log=True),
        "loss.cls_normalizer": FloatDistribution(0.1, 10.0, log=True),
        "loss.obj_normalizer": FloatDistribution(0.1, 10.0, log=True),
        "augment.mosaic": FloatDistribution(0.0, 1.0),
        "augment.exposure": FloatDistribution(1.0, 4.0, log=True),
    },
    defaults={
        "optimizer.lr": 2e-3,
        "optimizer.momentum": 0.9,
        "optimizer.weight_decay": 5e-4,
        "batch_size": 16,
        "loss.box": "ciou",
        "loss.iou_normalizer": 1.0,
        "loss.cls_normalizer": 1.0,
        "loss.obj_normalizer": 1.0,
        "augment.mosaic": 0.5,
        "augment.exposure": 1.5,
    },
)

BCCD_SCHEDULE = Study(
    name="recorded-bccd160-schedule",
    role="judge",
    data="bccd160",
    settings={"model": "yolov4-tiny-nano", "image_size": 96, "epochs": EPOCHS, "batch_size": 16},
    distributions={
        "optimizer.lr": FloatDistribution(5e-4, 0.5, log=True),
        "optimizer.clip_norm": FloatDistribution(1.0, 1000.0, log=True),
        "schedule.kind": CategoricalDistribution(("constant", "cosine", "poly")),
        "schedule.power": FloatDistribution(0.5, 8.0, log=True),
        "schedule.warmup": FloatDistribution(0.0, 0.6),
        "bn_momentum": FloatDistribution(0.01, 0.5, log=True),
        "backbone.activation": CategoricalDistribution(("leaky", "relu", "swish", "mish")),
        "loss.ignore_threshold": FloatDistribution(0.3, 1.0),
        "augment.mosaic": FloatDistribution(0.0, 1.0),
        "augment.hue": FloatDistribution(0.0, 0.4),
    },
    conditions={"schedule.power": {"schedule.kind": ("poly",)}},
    defaults={
        "optimizer.lr": 2e-3,
        "optimizer.clip_norm": 100.0,
        "schedule.kind": "cosine",
        "schedule.power": 4.0,
        "schedule.warmup": 0.1,
        "bn_momentum": 0.1,
        "backbone.activation": "leaky",
        "loss.ignore_threshold": 0.7,
        "augment.mosaic": 0.5,
        "augment.hue": 0.1,
    },
)

STUDIES = {study.name: study for study in (BCCD_LOSS, DIGITS, BCCD_SCHEDULE)}
