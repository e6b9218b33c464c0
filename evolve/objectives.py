"""What a search looks for: a metric that is raised, and beside it a cost that is lowered."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Direction = Literal["maximize", "minimize"]
METRICS = ("AP", "AP50", "AP75")


@dataclass(frozen=True)
class Cost:
    """A second objective.

    Attributes
    ----------
    figure : str
        What `evolve.costs` calls it.
    unit : str
        That people read it in; empty for a count.
    alone : bool
        Whether nothing else may run while it is measured.
    """

    figure: str
    unit: str
    alone: bool = False


COSTS = {
    "latency": Cost("latency_ms", "ms", alone=True),
    "BFLOPs": Cost("bflops", "BFLOPs"),
    "parameters": Cost("parameters", ""),
}


def directions_of(cost: str) -> tuple[Direction, ...]:
    """Directions of a study, as Optuna names them; `cost` is empty where there is none."""
    return ("maximize", "minimize") if cost else ("maximize",)


def names_of(objective: str, cost: str) -> list[str]:
    """What the values of a trial are, each with its unit."""
    return [objective, *([cost_label(cost)] if cost else [])]


def cost_label(name: str) -> str:
    """A cost and its unit, as heads of columns and axes have it."""
    unit = COSTS[name].unit if name in COSTS else ""
    return name if unit in ("", name) else f"{name}, {unit}"


def cost_number(name: str, value: float) -> str:
    """A cost without its unit, with three digits; '-' for NaN."""
    if math.isnan(value):
        return "-"
    if name == "parameters":
        return f"{value / 1e6:.3g} M" if value >= 1e6 else f"{value:,.0f}"
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def cost_text(name: str, value: float) -> str:
    """A cost as a sentence has it: 3.21 ms, 1.05 BFLOPs, 1.2 M parameters."""
    unit = (COSTS[name].unit if name in COSTS else "") or name
    return f"{cost_number(name, value)} {unit}"


def cost_of(manifest: Mapping[str, Any]) -> str:
    """The second objective of a run; empty if it has one objective alone."""
    return str(manifest.get("cost") or "")
