"""What is known of a table before its rows are trained: where they go, and what they will take."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evolve.budget import Budget
from evolve.engine.allowance import MARGIN, Allowance
from evolve.engine.devices import Devices
from evolve.engine.outlook import Here, Site
from evolve.engine.placement import Asked, Placement
from evolve.engine.plan import check_disk, disk_bytes, side_by_side
from evolve.engine.probe import Probe
from evolve.errors import EvolveError
from evolve.units import duration, size
from model.config import TrainConfig

MOST_PROBES = 12
_FREE = ("optimizer", "schedule", "loss", "ema", "anchors", "scale_xy", "seed", "nms")
"""What may differ between two trainings whose steps take the same time and memory."""


@dataclass(frozen=True)
class Load:
    """Trainings of one configuration.

    Attributes
    ----------
    name : str
        Of the row.
    config : TrainConfig
    trainings : int
        That are still to be done.
    judged_images : int
        Pictures that each of them is measured on in the end, beside val.
    is_first : bool
        Whether they are classifiers that rows start from.
    """

    name: str
    config: TrainConfig
    trainings: int
    judged_images: int = 0
    is_first: bool = False


@dataclass(frozen=True)
class TableOutlook:
    """What the trainings of a table are going to take; no promise, but what is known before.

    Attributes
    ----------
    placement : Placement
    probes : dict of str -> Probe
        By what they cost alike, see `cost_key`; empty if nothing was measured.
    trainings : int
        That are still to be done.
    seconds : float
        From start to end; NaN without probes.
    device_s : float
        Seconds of GPUs, or of cores without one, that are kept busy.
    longest_s, classifier_s : float
        Of the longest training of a row, and of a classifier that rows start from.
    disk_bytes : int
        Most that is written.
    host_bytes, device_bytes : int
        Memory that all trainings at once take, of the host and of each GPU.
    unmeasured : tuple of str
        Rows that are taken to cost what the first row does.
    """

    placement: Placement
    probes: dict[str, Probe]
    trainings: int
    seconds: float
    device_s: float
    longest_s: float
    disk_bytes: int
    host_bytes: int
    device_bytes: int
    unmeasured: tuple[str, ...] = ()
    classifier_s: float = 0.0

    def lines(self) -> list[str]:
        """All of it for people."""
        lines = [f"place  {self.placement.why}"]
        if not self.probes or not self.trainings:
            return lines
        unit = "GPU" if self.device_bytes else "core"
        memory = f"{size(self.host_bytes)} memory"
        memory += f", {size(self.device_bytes)} on a GPU" if self.device_bytes else ""
        lines.append(
            f"plan   {self.trainings} training{'s' if self.trainings > 1 else ''}; about "
            f"{duration(self.seconds)} on {self.placement.workers} at once, "
            f"{duration(self.device_s)} of {unit}s; {size(self.disk_bytes)} disk; {memory}"
        )
        if self.unmeasured:
            some = ", ".join(self.unmeasured[:4]) + (", ..." if len(self.unmeasured) > 4 else "")
            lines.append(f"       {some} not measured: taken to cost what the first row does")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, for the manifest."""
        return {
            "placement": self.placement.to_dict(),
            "probes": {key: probe.to_dict() for key, probe in self.probes.items()},
            "plan": {
                "trainings": self.trainings,
                "total_s": self.seconds if self.probes else None,
                "device_s": self.device_s if self.probes else None,
                "disk_bytes": self.disk_bytes,
            },
            "lines": self.lines(),
        }


def cost_key(config: TrainConfig) -> str:
    """Equal for trainings whose steps take the same time and memory, by all that is known."""
    tree = {key: value for key, value in config.to_dict().items() if key not in _FREE}
    return json.dumps(tree, sort_keys=True)


def look_over(
    loads: Sequence[Load],
    data: Path,
    data_seed: int,
    trainer: str,
    asked: Asked,
    devices: Devices,
    out: Path,
    *,
    known: Mapping[str, Probe] | None = None,
    measures: bool = True,
    site: Site | None = None,
) -> TableOutlook:
    """Outlook of a table.

    One training of each kind is measured by a few steps, those of a row with nothing left to be
    trained aside.

    Parameters
    ----------
    loads : sequence of Load
        The first stands in for those that are not measured.
    data, data_seed, trainer
        As for `probe.measure`.
    asked : Asked
    devices : Devices
    out : Path
        Run folder, for its disk.
    known : mapping of cost_key -> Probe, optional
        Of an earlier session on the same machine.
    measures : bool
        Whether anything is measured that is not known.
    site : Site, optional
        Where trainings run, if not here.

    Raises
    ------
    EvolveError
        If a training cannot be trained or placed, or the disk is too small.
    """
    site = site or Here(devices)
    placement = site.place(None, asked)
    probes = dict(known or {})
    due = [load for load in loads if load.trainings]
    for load in due if measures else ():
        key = cost_key(load.config)
        if key not in probes and len(probes) < MOST_PROBES:
            probes[key] = site.measure(load.config, data, data_seed, trainer, placement)
    used = {key: probes[key] for load in loads if (key := cost_key(load.config)) in probes}
    count = sum(load.trainings for load in due)
    if not used or not due:
        return TableOutlook(placement, used, count, float("nan"), 0.0, 0.0, 0, 0, 0)
    hungriest = max(used.values(), key=lambda one: (one.device_bytes, one.host_bytes))
    placement = site.place(hungriest, asked)
    return _added_up(due, used, placement, devices, out)


def _added_up(
    due: Sequence[Load],
    probes: dict[str, Probe],
    placement: Placement,
    devices: Devices,
    out: Path,
) -> TableOutlook:
    first = next(iter(probes.values()))
    each = [(load, probes.get(cost_key(load.config), first)) for load in due]
    seconds = [one.training_s + load.judged_images * one.eval_image_s for load, one in each]
    work_s = sum(load.trainings * s for (load, _), s in zip(each, seconds, strict=True))
    count, workers = sum(load.trainings for load in due), placement.workers
    share = placement.gpus_per_trial if placement.gpus else placement.threads
    disk = sum(
        disk_bytes(one, 0, load.trainings, load.judged_images, workers) for load, one in each
    )
    check_disk(disk, devices, out, "rows")
    return TableOutlook(
        placement=placement,
        probes=probes,
        trainings=count,
        seconds=side_by_side(work_s, max(seconds), count, workers),
        device_s=share * work_s,
        longest_s=_longest(each, seconds, is_first=False),
        classifier_s=_longest(each, seconds, is_first=True),
        disk_bytes=disk,
        host_bytes=workers * max(one.host_bytes for one in probes.values()),
        device_bytes=placement.trials_per_gpu * max(o.device_bytes for o in probes.values()),
        unmeasured=tuple(load.name for load, _ in each if cost_key(load.config) not in probes),
    )


def _longest(
    each: Sequence[tuple[Load, Probe]], seconds: Sequence[float], *, is_first: bool
) -> float:
    """Seconds of the longest training among the classifiers, or beside them."""
    found = zip(each, seconds, strict=True)
    return max((s for (load, _), s in found if load.is_first == is_first), default=0.0)


def allowed(budget: Budget | None, outlook: TableOutlook) -> tuple[Allowance, tuple[str, ...]]:
    """What a table may spend, and what people should know of it.

    Raises
    ------
    EvolveError
        If the budget has no room for two trainings, the least that can be compared.
    """
    place = outlook.placement
    allowance = Allowance(budget, place.workers, cpus=place.threads, gpus=place.gpus_per_trial)
    if budget is None:
        return allowance, ()
    if budget.of == "gpu" and not place.gpus:
        raise EvolveError("this machine has no GPU", "--budget", "give cpuh, or plain hours")
    least = MARGIN * (
        allowance.cost(1, outlook.classifier_s) + allowance.cost(2, outlook.longest_s)
    )
    if least > budget.seconds:
        first_s = outlook.classifier_s
        first = f"a classifier of about {duration(first_s)} and " if first_s else ""
        raise EvolveError(
            f"{budget.text} is too little for {first}two trainings of about "
            f"{duration(outlook.longest_s)}",
            "--budget",
            f"give {duration(least)} or more, or fewer epochs",
        )
    if not outlook.probes or not outlook.trainings:
        return allowance, (f"budget {budget.text}",)
    spent_s = outlook.seconds if budget.of == "wall" else outlook.device_s
    room = int(outlook.trainings * budget.seconds / (MARGIN * spent_s)) if spent_s else 0
    enough = room >= outlook.trainings
    more = "" if enough else f", which has room for about {room} of {outlook.trainings} trainings"
    return allowance, (f"budget {budget.text}{more}",)
