"""Interactions of a run's parameters, kept once they were measured."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from optuna.trial import FrozenTrial

from evolve.analysis.interactions import (
    COLUMNS,
    MOST_TRIALS,
    RESAMPLES,
    Interactions,
    Surface,
    measure_interactions,
)
from evolve.findings.cache import Cache, plain
from evolve.findings.steps import VERSIONS, told

_DIGITS = 8


def interactions_of(trials: Sequence[FrozenTrial], cache: Cache) -> Interactions:
    """Interactions of complete trials."""
    depends = [told(trials), MOST_TRIALS, RESAMPLES, VERSIONS]
    stored = cache.get("interactions", depends, lambda: _to_json(measure_interactions(trials)))
    return _from_json(stored)


def _to_json(found: Interactions) -> dict[str, Any]:
    return {
        "rows": [plain(row) for row in found.frame.to_dict("records")],
        "main": plain(dict(found.main)),
        "surfaces": [
            [one.first, one.second, plain(np.round(one.values, _DIGITS).tolist())]
            for one in found.surfaces
        ],
        "trials": found.trials,
        "of": found.of,
        "reason": found.reason,
    }


def _from_json(tree: Mapping[str, Any]) -> Interactions:
    frame = pd.DataFrame(tree["rows"], columns=list(COLUMNS))
    frame = frame.astype(dict.fromkeys(COLUMNS[2:], float))
    surfaces = (
        Surface(first, second, np.array(values, dtype=object).astype(float))
        for first, second, values in tree["surfaces"]
    )
    main = {name: float(share) for name, share in tree["main"].items()}
    return Interactions(frame, main, tuple(surfaces), tree["trials"], tree["of"], tree["reason"])
