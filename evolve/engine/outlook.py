"""What is known of a run before it begins: where its trials go, and what it will take."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from evolve.confirm import Confirm, planned_trainings
from evolve.engine.allowance import MARGIN, Allowance
from evolve.engine.course import course_of
from evolve.engine.devices import Devices
from evolve.engine.placement import Asked, Placement, place
from evolve.engine.plan import Behind, Plan, check_disk, make_plan
from evolve.engine.probe import Probe, measure
from evolve.errors import EvolveError
from evolve.space import Space
from evolve.units import duration
from model.config import TrainConfig

MOST_FOR_FINAL = 0.5  # of a budget


@dataclass(frozen=True)
class Subject:
    """What is going to be trained.

    Attributes
    ----------
    space : Space
        Its base configuration must be resolved for the data.
    data : Path
    data_seed : int
    trainer : str
    judged_images : int
        Pictures of the split of the final comparison.
    """

    space: Space
    data: Path
    data_seed: int
    trainer: str
    judged_images: int = 0


class Site(Protocol):
    """Other machines that trials run on instead of this one."""

    def place(self, probe: Probe | None, asked: Asked) -> Placement:
        """As many trials at once as they have room for."""

    def measure(
        self, config: TrainConfig, data: Path, data_seed: int, trainer: str, placement: Placement
    ) -> Probe:
        """What a trial takes on one of them."""


@dataclass(frozen=True)
class Here:
    """A site that is this machine.

    Parameters
    ----------
    devices : Devices
    """

    devices: Devices

    def place(self, probe: Probe | None, asked: Asked) -> Placement:
        """As many trials at once as it has room for."""
        return place(probe, self.devices, asked)

    def measure(
        self, config: TrainConfig, data: Path, data_seed: int, trainer: str, placement: Placement
    ) -> Probe:
        """What a trial takes here."""
        return measure(config, data, data_seed, trainer, placement.threads)


@dataclass(frozen=True)
class Outlook:
    """What a run is going to be like.

    Attributes
    ----------
    placement : Placement
    probe : Probe or None
        Of one trial; None if none was made.
    plan : Plan or None
        None without a probe.
    confirm : Confirm
        Size of the final comparison that the budget has room for.
    notes : tuple of str
        What people should know of budget and comparison.
    left : Outlook or None
        Of what is left, in a run that is continued; this one is of all of it.
    """

    placement: Placement
    probe: Probe | None
    plan: Plan | None
    confirm: Confirm
    notes: tuple[str, ...] = ()
    left: "Outlook | None" = None

    def lines(self) -> list[str]:
        """All of it for people."""
        plan = [] if self.plan is None else self.plan.lines()
        return [f"place  {self.placement.why}", *plan, *self.notes]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, for the manifest."""
        return {
            "placement": self.placement.to_dict(),
            "probe": None if self.probe is None else self.probe.to_dict(),
            "plan": None if self.plan is None else self.plan.to_dict(),
            "lines": self.lines(),
        }


def look_ahead(
    subject: Subject,
    asked: Asked,
    devices: Devices,
    out: Path,
    *,
    probe: Probe | None = None,
    measures: bool = True,
    site: Site | None = None,
    behind: Behind | None = None,
) -> Outlook:
    """Outlook of a run, and of what is left of it.

    Parameters
    ----------
    subject : Subject
    asked : Asked
    devices : Devices
    out : Path
        Run folder, for its disk.
    probe : Probe, optional
        Of an earlier session on the same machine.
    measures : bool
        Whether a probe is made if none is given.
    site : Site, optional
        Where trials run, if not here.
    behind : Behind, optional
        What earlier sessions have done.

    Raises
    ------
    EvolveError
        If a trial cannot be trained or placed, the disk is too small, or the budget.
    """
    space = subject.space
    site = site or Here(devices)
    placement = site.place(None, asked)
    if probe is None and measures:
        probe = site.measure(
            space.base, subject.data, subject.data_seed, subject.trainer, placement
        )
    wanted = Confirm.parse(space.confirm)
    if probe is None:
        return Outlook(placement, None, None, wanted)
    placement = site.place(probe, asked)
    allowance = allowed(space, placement)
    confirm, notes = _within(allowance, wanted, probe)
    plan = _plan(subject, probe, placement, confirm)
    whole = (*notes, *_room(allowance, probe, plan))
    outlook = Outlook(placement, probe, plan, confirm, whole)
    if behind is not None:
        plan = _plan(subject, probe, placement, confirm, behind)
        allowance = allowance.after(behind.wall_s, behind.trained_s)
        rest = (*notes, *_remaining(allowance), *_room(allowance, probe, plan))
        outlook = replace(outlook, left=replace(outlook, plan=plan, notes=rest))
    check_disk(plan.disk_bytes, devices, out)
    return outlook


def _plan(
    subject: Subject,
    probe: Probe,
    placement: Placement,
    confirm: Confirm,
    behind: Behind | None = None,
) -> Plan:
    """Plan of all of a run, or of what is left of it."""
    space, size = subject.space, confirm
    if behind is not None:  # what was to be compared is compared
        size = confirm.or_more(Confirm.parse(behind.confirm))
    finals = planned_trainings(size.candidates, size.seeds)
    if behind is not None and behind.finals_planned and str(size) == behind.confirm:
        finals = behind.finals_planned  # fewer where candidates are the defaults
    return make_plan(
        probe,
        placement,
        trials=space.trials,
        course=course_of(
            space.scheduler,
            space.trials,
            space.base.epochs,
            fidelity=space.fidelity,
            promote=space.promote,
        ),
        finals=finals,
        judged_images=subject.judged_images,
        behind=behind,
    )


def _remaining(allowance: Allowance) -> tuple[str, ...]:
    """What is left of a budget, in its own hours."""
    if allowance.budget is None:
        return ()
    return (f"       of which {duration(max(0.0, allowance.left(0.0, 0.0)))} are left",)


def _room(allowance: Allowance, probe: Probe, plan: Plan) -> tuple[str, ...]:
    """How many trials a budget has room for, if it is not all."""
    if allowance.budget is None or not plan.trials:
        return ()
    trial_s = probe.start_s + plan.trial_epochs * probe.epoch_s
    each = allowance.cost(allowance.workers, trial_s) / allowance.workers
    final = MARGIN * allowance.cost(plan.finals, probe.training_s)
    least = 0 if plan.trials_behind else 1
    room = max(least, int((allowance.left(0.0, 0.0) - final) / each))
    if room >= plan.trials:
        return ()
    return (f"       which has room for about {room} of {plan.trials} trials",)


def allowed(space: Space, placement: Placement) -> Allowance:
    """What a run may spend."""
    return Allowance(
        space.time,
        placement.workers,
        cpus=placement.threads,
        gpus=placement.gpus_per_trial,
    )


def _within(
    allowance: Allowance, wanted: Confirm, probe: Probe
) -> tuple[Confirm, tuple[str, ...]]:
    """Largest final comparison up to the wanted one that leaves the search half of the budget."""
    budget = allowance.budget
    if budget is None:
        return wanted, ()

    def cost(trainings: int) -> float:
        return MARGIN * allowance.cost(trainings, probe.training_s)

    def final(size: Confirm) -> float:
        return cost(planned_trainings(size.candidates, size.seeds))

    if budget.of == "gpu" and not allowance.gpus:
        raise EvolveError("this machine has no GPU", "--budget", "give cpuh, or plain hours")
    sizes = [
        Confirm(candidates, seeds)
        for seeds in range(wanted.seeds, 0, -1)
        for candidates in range(wanted.candidates, 0, -1)
    ]
    room = (size for size in sizes if final(size) <= MOST_FOR_FINAL * budget.seconds)
    size = next(room, Confirm(0, 0) if not wanted else None)
    if size is None or cost(1) + final(size) > budget.seconds:
        smallest = cost(1) + (final(Confirm(1, 1)) if wanted else 0.0)
        least = max(smallest, final(Confirm(1, 1)) / MOST_FOR_FINAL if wanted else 0.0)
        raise EvolveError(
            f"{budget.text} is too little for one trial of about {duration(probe.training_s)}"
            + (" and the smallest final comparison" if wanted else ""),
            "--budget",
            f"give {duration(math.ceil(least))} or more, fewer epochs"
            + (", or --confirm 0" if wanted else ""),
        )
    kept = f", {duration(final(size))} of it kept for the final comparison" if size else ""
    notes = [f"budget {budget.text}{kept}"]
    if size != wanted:
        notes.append(f"       which is {size} instead of {wanted}: there is no room for more")
    return size, tuple(notes)
