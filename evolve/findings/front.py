"""The front of a run with two objectives: who is on it, how it grew, and who stays."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from evolve.analysis.contrasts import row_delta
from evolve.analysis.deltas import Delta
from evolve.analysis.front import (
    Reference,
    as_points,
    dominators,
    growth,
    hypervolume,
    reference_of,
)
from evolve.analysis.phrases import listed, plural, points, span, upper_first
from evolve.analysis.verdict import RowValues
from evolve.costs import known_costs
from evolve.objectives import cost_of, cost_text
from evolve.store.comparison import ComparisonRecord
from evolve.store.folder import RunFolder
from evolve.store.records import RunRecord

_DEFAULTS = 0  # number of the trial


@dataclass(frozen=True)
class FrontTrial:
    """A complete trial: its values, and one that dominates it (None on the front)."""

    trial: int
    value: float
    cost: float
    dominated_by: int | None

    @property
    def on_front(self) -> bool:
        """Whether no trial dominates it."""
        return self.dominated_by is None


@dataclass(frozen=True)
class FrontRow:
    """A row of the final comparison among the others.

    Attributes
    ----------
    key, title : str
    trial : int
        Trial that has its network.
    cost : float
    judged : RowValues
        First objective on the split that is judged on, over the fresh seeds.
    dominated_by : str
        Key of a row that costs no more and has a higher mean, or as high a one and costs less;
        empty if there is none.
    delta : Delta or None
        That row minus this one, in the first objective.
    """

    key: str
    title: str
    trial: int
    cost: float
    judged: RowValues
    dominated_by: str = ""
    delta: Delta | None = None

    @property
    def stays(self) -> bool:
        """Whether it is on the front with the fresh seeds."""
        return self.judged.count > 0 and not self.dominated_by


@dataclass(frozen=True)
class Front:
    """What a search with two objectives found.

    Attributes
    ----------
    objective, cost : str
        The first is raised, the second lowered.
    trials : tuple of FrontTrial
        Complete ones, by number.
    reference : Reference
        Corner of hypervolumes.
    area : float
        Hypervolume of the front.
    growth : tuple of float
        After each of the trials, as a share of that.
    rows : tuple of FrontRow
        Of the final comparison; empty without one.
    judged_on : str
    seeds : int
    device, protocol : str
        What the cost was measured on, and how; empty where nothing says so.
    """

    objective: str
    cost: str
    trials: tuple[FrontTrial, ...]
    reference: Reference
    area: float
    growth: tuple[float, ...]
    rows: tuple[FrontRow, ...] = ()
    judged_on: str = ""
    seeds: int = 0
    device: str = ""
    protocol: str = ""

    @property
    def members(self) -> tuple[FrontTrial, ...]:
        """Trials on the front, the cheapest first."""
        on = (one for one in self.trials if one.on_front)
        return tuple(sorted(on, key=lambda one: (one.cost, one.trial)))

    @property
    def sentence(self) -> str:
        """What was found, and what stays of it."""
        return " ".join(text for text in (_found(self), _stays(self)) if text)

    def to_dict(self) -> dict[str, Any]:
        """JSON types."""
        rows = [asdict(row) | {"stays": row.stays} for row in self.rows]
        tree = asdict(self) | {"rows": rows, "reference": self.reference._asdict()}
        for one, own in zip(tree["trials"], self.trials, strict=True):
            one["on_front"] = own.on_front
        return tree | {"sentence": self.sentence}


def front_of(
    run: RunRecord,
    record: ComparisonRecord | None = None,
    image_values: Mapping[Any, Any] | None = None,
    images: int | None = None,
) -> Front | None:
    """Front of a run; None if it has one objective.

    Parameters
    ----------
    run : RunRecord
    record : ComparisonRecord, optional
        Its final comparison: the part of it that every row has ended.
    image_values, images
        As for `row_delta`.
    """
    cost = cost_of(run.manifest)
    if not cost:
        return None
    complete = run.trials[(run.trials["state"] == "COMPLETE") & run.trials["cost"].notna()]
    pairs = list(zip(complete["value"].tolist(), complete["cost"].tolist(), strict=True))
    numbers, found = complete["number"].tolist(), as_points(pairs)
    reference, above = reference_of(found), dominators(found)
    measured = known_costs(RunFolder(run.folder).costs) or {}
    return Front(
        objective=str(run.manifest.get("objective", "AP")),
        cost=cost,
        trials=tuple(
            FrontTrial(int(number), *pair, None if index is None else int(numbers[index]))
            for number, pair, index in zip(numbers, pairs, above, strict=True)
        ),
        reference=reference,
        area=hypervolume(found, reference),
        growth=tuple(growth(found, reference)),
        rows=() if record is None else _rows(record, run, image_values, images),
        judged_on="" if record is None else record.judged_on,
        seeds=0 if record is None else len(record.plan.seeds),
        device=str(measured.get("device", "")),
        protocol=str(measured.get("protocol", "")),
    )


def _rows(
    record: ComparisonRecord,
    run: RunRecord,
    image_values: Mapping[Any, Any] | None,
    images: int | None,
) -> tuple[FrontRow, ...]:
    costs = dict(zip(run.trials["number"].tolist(), run.trials["cost"].tolist(), strict=True))
    rows = [_row(row.key, row.title, row.trial or _DEFAULTS, costs, record) for row in record.rows]
    above = dominators(as_points([(row.judged.mean, row.cost) for row in rows]))
    return tuple(
        row if index is None or not row.judged.count
        else _beaten(row, rows[index].key, record, image_values, images)
        for row, index in zip(rows, above, strict=True)
    )  # fmt: skip


def _row(
    key: str, title: str, trial: int, costs: Mapping[int, float], record: ComparisonRecord
) -> FrontRow:
    own = record.of_row(key)
    values = own["value_test"].where(own["state"] == "COMPLETE")
    judged = RowValues(int(values.count()), float(values.mean()), float(values.std()))
    return FrontRow(key, title, trial, costs.get(trial, math.nan), judged)


def _beaten(
    row: FrontRow,
    by: str,
    record: ComparisonRecord,
    image_values: Mapping[Any, Any] | None,
    images: int | None,
) -> FrontRow:
    delta = row_delta(record.trainings, row.key, by, image_values=image_values, images=images)
    return FrontRow(row.key, row.title, row.trial, row.cost, row.judged, by, delta)


# -- words ---------------------------------------------------------------------------------


def _found(front: Front) -> str:
    members, both = front.members, f"{front.objective} and {front.cost}"
    if not members:
        return f"No trial is complete in {both} yet."
    of_all = plural(len(front.trials), "complete trial")
    ends = [_at(front, one.value, one.cost) for one in (members[0], members[-1])]
    if ends[0] == ends[1]:
        return f"The front in {both} is one point, {ends[0]}, of {of_all}."
    are = "is" if len(members) == 1 else "are"
    count = f"{len(members)} of {of_all} {are} non-dominated in {both}"
    return f"{count}, from {ends[0]} to {ends[1]}."


def _at(front: Front, value: float, cost: float) -> str:
    return f"{front.objective} {100 * value:.1f} at {cost_text(front.cost, cost)}"


def _stays(front: Front) -> str:
    titles = {row.key: row.title for row in front.rows}
    stay = [row.title for row in front.rows if row.stays]
    if not stay:
        return ""
    over = f"With {plural(front.seeds, 'fresh seed')} each on {front.judged_on}"
    verb = "stays" if len(stay) == 1 else "stay"
    rest = [_leaves(row, titles) for row in front.rows if row.dominated_by]
    return " ".join([f"{over}, {listed(stay)} {verb} on the front.", *rest])


def _leaves(row: FrontRow, titles: Mapping[str, str]) -> str:
    delta = row.delta
    assert delta is not None
    more = f"{points(delta.mean)} points more" if delta.pairs else "a higher mean"
    doubt = ""
    if not math.isnan(delta.low):
        doubt = f" ({span(delta.low, delta.high)}{_noise(delta)})"
    beats = f"{titles[row.dominated_by]} costs no more and has {more}{doubt}"
    verb = "are" if row.trial == _DEFAULTS else "is"
    return f"{upper_first(row.title)} {verb} dominated: {beats}."


def _noise(delta: Delta) -> str:
    return ", so it may be noise" if delta.low <= 0.0 else ""


def front_frame(front: Front) -> pd.DataFrame:
    """One line a complete trial: both values, what dominates it, and the hypervolume after it.

    `dominated_by` is empty text for a trial on the front.
    """
    rows: Sequence[dict[str, Any]] = [
        {
            "trial": one.trial,
            front.objective: one.value,
            front.cost: one.cost,
            "on_front": one.on_front,
            "dominated_by": "" if one.dominated_by is None else one.dominated_by,
            "hypervolume": share,
        }
        for one, share in zip(front.trials, front.growth, strict=True)
    ]
    columns = ["trial", front.objective, front.cost, "on_front", "dominated_by", "hypervolume"]
    return pd.DataFrame(rows, columns=columns)
