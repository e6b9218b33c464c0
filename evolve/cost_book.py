"""What the networks of a run with two objectives cost: each is measured once, and written down.

The cost of a network does not depend on its weights, so trials with the same network share one
measurement. It stands in ``costs.json`` of the run folder before anything depends on it: a run
that is resumed has the same figures, and so the same trials.
"""

import hashlib
import logging
import math
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from evolve.cost_process import measure_apart
from evolve.costs import count_costs, known_costs, network_of, write_costs
from evolve.errors import StoreError, TrialError
from evolve.objectives import COSTS
from evolve.space import Parameter, Space
from model.config import TrainConfig
from model.errors import ModelError

logger = logging.getLogger(__name__)


class Meter(Protocol):
    """What can tell the cost of a configuration's network."""

    def network(self, config: TrainConfig) -> str:
        """Equal for configurations that cost the same."""

    def measure(self, config: TrainConfig) -> dict[str, Any]:
        """Costs as of `costs.measure_costs` with one row.

        Raises
        ------
        TrialError, ModelError
            If the network cannot be measured.
        """


class Counting:
    """Parameters and operations of networks, counted in this process."""

    def __init__(self, classes: int) -> None:
        self._classes = classes

    def network(self, config: TrainConfig) -> str:
        """As in `Meter`."""
        return network_of(config, self._classes)

    def measure(self, config: TrainConfig) -> dict[str, Any]:
        """As in `Meter`."""
        row = count_costs(config, self._classes)
        return {"device": "", "protocol": "counted by darknet's rule", "rows": {"network": row}}


class Timing(Counting):
    """Latency too, by the protocol of `evolve speed`; nothing else should run beside it."""

    def measure(self, config: TrainConfig) -> dict[str, Any]:
        """As in `Meter`."""
        return measure_apart(config, self._classes)


class Pretending:
    """Costs of the curve that stands in for a detector."""

    def network(self, config: TrainConfig) -> str:
        """As in `Meter`."""
        from evolve.testing.curves import made_up_costs

        text = repr(sorted(made_up_costs(config).items()))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def measure(self, config: TrainConfig) -> dict[str, Any]:
        """As in `Meter`."""
        from evolve.testing.curves import made_up_costs

        row = {**made_up_costs(config), "network": self.network(config)}
        return {"device": "none", "protocol": "made up", "rows": {"network": row}}


def meter_for(trainer: str, cost: str, classes: int) -> Meter:
    """What measures a cost of what a trainer trains."""
    if trainer == "curve":
        return Pretending()
    return Timing(classes) if COSTS[cost].alone else Counting(classes)


class CostBook:
    """Costs of a run's networks.

    Parameters
    ----------
    path : Path
        File that holds them; read if it is there.
    cost : str
        The second objective.
    meter : Meter

    Attributes
    ----------
    alone : bool
        Whether nothing else may run while a network is measured.
    """

    def __init__(self, path: Path, cost: str, meter: Meter) -> None:
        self.path, self.cost, self._meter = path, cost, meter
        self.alone = COSTS[cost].alone
        self._tree = known_costs(path) or {}
        self._rows: dict[str, dict[str, Any]] = dict(self._tree.get("rows", {}))
        self._failed: dict[str, str] = {}

    def has(self, config: TrainConfig) -> bool:
        """Whether the network of a configuration needs no measurement, now or ever."""
        network = self._meter.network(config)
        return network in self._rows or network in self._failed

    def figures(self, config: TrainConfig) -> dict[str, Any]:
        """All that is known of a network; empty if it could not be measured."""
        return dict(self._rows.get(self._meter.network(config), {}))

    def value(self, config: TrainConfig) -> float:
        """The cost; NaN if it could not be measured."""
        found = self.figures(config).get(COSTS[self.cost].figure)
        return math.nan if found is None else float(found)

    def why_not(self, config: TrainConfig) -> str:
        """Why a network has no cost; empty if it has one."""
        if math.isfinite(self.value(config)):
            return ""
        network = self._meter.network(config)
        reason = self._failed.get(network) or self._rows.get(network, {}).get("reason")
        return str(reason or "it was not measured")

    def measure(self, config: TrainConfig) -> None:
        """Measure a network and write its costs down. One that cannot be is remembered as such.

        Raises
        ------
        StoreError
            If the others were measured on another device, or in another way.
        """
        network = self._meter.network(config)
        try:
            found = self._meter.measure(config)
        except (TrialError, ModelError) as error:
            self._failed[network] = error.what
            logger.warning("network=%s not measured: %s", network, error.what)
            return
        (row,) = found["rows"].values()
        head = {name: found[name] for name in ("device", "protocol")}
        self._check_same(head)
        self._rows[network] = row
        self._tree = {**head, "rows": self._rows}
        write_costs(self.path, self._tree)
        logger.info("network=%s %s=%s", network, self.cost, row[COSTS[self.cost].figure])

    def _check_same(self, head: dict[str, str]) -> None:
        before = {name: self._tree.get(name, value) for name, value in head.items()}
        if before == head:
            return
        name = next(name for name in head if head[name] != before[name])
        raise StoreError(
            f"the {self.cost} of this run was measured with another {name}:\n"
            f"       {before[name]}\n       and would now be with\n       {head[name]}",
            str(self.path),
            "resume where it was begun, or begin another run with --out",
        )


_IDLE = {"BFLOPs": ("nms.kind",), "parameters": ("nms.kind", "image_size")}


def changing(space: Space, meter: Meter) -> list[str]:
    """Searched parameters that change what a network costs, each taken by itself.

    The base configuration of the space must be resolved for the data.
    """
    idle = _IDLE.get(space.cost, ())
    counting = (one for one in space.parameters if one.path not in idle)
    return [one.path for one in counting if _tells(space, meter, one)]


def _tells(space: Space, meter: Meter, parameter: Parameter) -> bool:
    """Whether the values of a parameter belong to several networks, where it exists."""
    where = {parent: values[0] for parent, values in parameter.when.items()}
    networks = set()
    for value in parameter.probes():
        with suppress(ValidationError):  # these two do not go together
            config = space.base.with_values({**where, parameter.path: value})
            networks.add(meter.network(config))
    return len(networks) > 1
