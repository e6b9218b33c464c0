"""What the networks of a table cost where they are used, as `costs.json` of a run tells it."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evolve.analysis.phrases import plural
from evolve.units import duration


@dataclass(frozen=True)
class RowCost:
    """Cost of a row's network; NaN for what was not measured.

    Attributes
    ----------
    parameters : float
    bflops : float
        Billions of floating-point operations for one image.
    latency_ms, latency_p95_ms : float
        Median and 95th percentile.
    """

    parameters: float = math.nan
    bflops: float = math.nan
    latency_ms: float = math.nan
    latency_p95_ms: float = math.nan


@dataclass(frozen=True)
class Costs:
    """Costs of the rows by their keys, and where and how latency was measured."""

    device: str
    protocol: str
    rows: Mapping[str, RowCost]

    def row(self, key: str) -> RowCost:
        """Of one row; nothing is known of one that is missing."""
        return self.rows.get(key, RowCost())


def stored_costs(path: Path) -> dict[str, Any] | None:
    """What a run's file of costs holds, as it is; None where there is none, or none to be read."""
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return tree if isinstance(tree, dict) else None


def read_costs(path: Path) -> Costs | None:
    """Costs that a run's file holds; None where there is none, or none to be read."""
    tree = stored_costs(path)
    if tree is None:
        return None
    try:
        rows = {str(key): _row(row) for key, row in tree["rows"].items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return Costs(str(tree.get("device") or ""), str(tree.get("protocol") or ""), rows)


def _row(tree: Mapping[str, Any]) -> RowCost:
    values = {name: tree.get(name) for name in RowCost.__dataclass_fields__}
    return RowCost(**{name: math.nan if v is None else float(v) for name, v in values.items()})


OF_THE_PAPER: dict[str, Any] = {"run": None}


def tuning_text(tuned: Mapping[str, Any]) -> str:
    """Where the values of GA come from and what finding them took, to stand behind 'GA has'.

    Parameters
    ----------
    tuned : mapping
        Of `evolve.ga_values.tuning_cost`, or `OF_THE_PAPER`.
    """
    if tuned["run"] is None:
        return (
            "the learning rate and momentum of the paper, found in 300 epochs on 5,000 images of "
            "COCO (arXiv:2004.10934 sec. 4.1); no column counts that"
        )
    spent, of = tuned["device_s"], f"of {tuned['unit']}s"
    if spent is None:
        spent, of = tuned["held_s"], "of trainings"
    trials = plural(int(tuned["trials"]), "trial")
    found = f"the values that the run '{tuned['run']}' found in {trials}"
    return f"{found}: {duration(float(spent))} {of}, which no column counts"
