"""What the networks of a table cost where they are used, as `costs.json` of a run tells it."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


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


def read_costs(path: Path) -> Costs | None:
    """Costs that a run's file holds; None where there is none, or none to be read."""
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        rows = {str(key): _row(row) for key, row in tree["rows"].items()}
        return Costs(str(tree.get("device") or ""), str(tree.get("protocol") or ""), rows)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _row(tree: Mapping[str, Any]) -> RowCost:
    values = {name: tree.get(name) for name in RowCost.__dataclass_fields__}
    return RowCost(**{name: math.nan if v is None else float(v) for name, v in values.items()})
