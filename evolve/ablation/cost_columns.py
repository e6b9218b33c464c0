"""Columns of what rows cost: only where they differ, for a table is wide already."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from evolve.ablation.costs import Costs
from evolve.ablation.layout import MISSING, Cell, Column
from evolve.ablation.record import StoredTable
from evolve.units import duration

COST = "cost"


@dataclass(frozen=True)
class CostColumn:
    """One cost of every row.

    Attributes
    ----------
    heading : str
    values : mapping of row -> float
    show : callable
        A value with its unit.
    unit : str
        What follows it in a sentence.
    scale : float
        Of what a CSV holds.
    """

    heading: str
    values: Mapping[str, float]
    show: Callable[[float], str]
    unit: str = ""
    scale: float = 1.0

    @property
    def column(self) -> Column:
        """Its heading."""
        return Column(self.heading, "right", COST)

    @property
    def is_known(self) -> bool:
        """Whether any row has a value."""
        return any(not math.isnan(value) for value in self.values.values())

    def same(self) -> str:
        """What all rows share, as printed; empty if they differ."""
        values = set(self.values.values())  # as measured: two networks may be printed alike
        if len(self.values) < 2 or len(values) > 1:
            return ""
        return f"{self.show(values.pop())}{self.unit}"

    def cell(self, key: str) -> Cell:
        """What stands in a row."""
        value = self.values[key]
        if math.isnan(value):
            return Cell(MISSING)
        return Cell(self.show(value), value=round(value / self.scale, 4))


def cost_columns(
    table: StoredTable, costs: Costs | None, train_s: Mapping[str, float]
) -> tuple[list[CostColumn], list[str]]:
    """Columns of costs in which rows differ, and notes on them and on what rows share.

    Parameters
    ----------
    table : StoredTable
    costs : Costs or None
    train_s : mapping of row -> float
        Seconds of a training; NaN where none is known.
    """
    each = {row.key: (costs or Costs("", "", {})).row(row.key) for row in table.rows}
    device = f" on {costs.device}" if costs and costs.device else ""
    network = [
        CostColumn("params", {key: one.parameters for key, one in each.items()}, _millions,
                    " parameters", 1e6),
        CostColumn("BFLOPs", {key: one.bflops for key, one in each.items()}, _three, " BFLOPs"),
        CostColumn("ms", {key: one.latency_ms for key, one in each.items()}, _digits,
                    f" ms{device}"),
    ]  # fmt: skip
    network = [one for one in network if one.is_known]
    shared = [text for one in network if (text := one.same())]
    shown = [one for one in network if not one.same()]
    notes = [f"{', '.join(shared)} for all rows"] if shared else []
    if any(one.heading == "ms" for one in shown):
        notes.append(f"ms: median of one image{device}")
    if costs and any(one.heading == "ms" for one in network):
        notes.append(costs.protocol)
    seconds = {row.key: train_s.get(row.key, math.nan) for row in table.rows}
    training = CostColumn("train", seconds, duration)
    if training.is_known:
        shown.append(training)
        notes.append("train: time of one training with its evaluations, mean of the seeds")
    return shown, [note for note in notes if note]


def _millions(count: float) -> str:
    return f"{_three(count / 1e6)} M"


def _three(value: float) -> str:
    """With three significant digits, and all of those above the point."""
    return f"{value:.0f}" if abs(value) >= 99.95 else f"{value:#.3g}"


def _digits(value: float) -> str:
    """With one decimal below 10, whole above."""
    return f"{value:.1f}" if abs(value) < 9.95 else f"{value:.0f}"
