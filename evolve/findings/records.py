"""What a run found, as plain records."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import pandas as pd

from evolve.analysis.deltas import Delta
from evolve.analysis.fidelity import Audit
from evolve.analysis.importance import Importances
from evolve.analysis.interactions import Interactions
from evolve.analysis.ledger import Ledger
from evolve.analysis.path import Step, path_frame
from evolve.analysis.verdict import Luck, RowValues, Verdict
from evolve.findings.front import Front
from evolve.findings.seen_records import Seen


@dataclass(frozen=True)
class RowFinding:
    """One row of the final comparison.

    Attributes
    ----------
    key, title : str
    trial : int or None
        Trial of the search that it comes from.
    search_value : float
        Objective of that trial on val, from one training; NaN where there is none.
    values : tuple of float
        Objective on the split that is judged on with each seed in turn; NaN where a training
        is not complete.
    judged, val : RowValues
        Over the complete trainings, on that split and on val.
    metrics : dict of str -> float
        Mean of each metric on that split over the complete trainings.
    delta : Delta or None
        This row minus the defaults, on that split; None for the defaults.
    """

    key: str
    title: str
    trial: int | None
    search_value: float
    values: tuple[float, ...]
    judged: RowValues
    val: RowValues
    metrics: Mapping[str, float]
    delta: Delta | None


@dataclass(frozen=True)
class Final:
    """The final comparison.

    Attributes
    ----------
    judged_on : str
        test or val.
    seeds : int
    rows : tuple of RowFinding
        The defaults first.
    winner : str
        Key of the row with the highest mean on val, over the seeds that every row has ended;
        empty while there is none.
    verdict : Verdict or None
        None without a winner.
    luck : Luck or None
    sentence : str
        The verdict for people, or why there is none.
    unfinished : str
        How far an unfinished comparison is; else empty.
    no_images : str
        Why the intervals allow for seeds alone; empty if they allow for images too.
    folders : dict of row -> str
        Folder of its first complete training, from the run folder on; rows without one lack.
    trainings : DataFrame
        Every training, with the columns of `evolve.store.comparison.COLUMNS`.
    """

    judged_on: str
    seeds: int
    rows: tuple[RowFinding, ...]
    winner: str
    verdict: Verdict | None
    luck: Luck | None
    sentence: str
    unfinished: str
    no_images: str
    folders: Mapping[str, str]
    trainings: pd.DataFrame = field(default_factory=pd.DataFrame)

    def row(self, key: str) -> RowFinding:
        """The row of this key."""
        return next(row for row in self.rows if row.key == key)


@dataclass(frozen=True)
class AblationPath:
    """The ablation path from the defaults to the winner, or to the best trial of the search.

    Attributes
    ----------
    steps : tuple of Step
    start : float
        Value of the defaults as the surrogate thinks.
    trial : int or None
        Trial at its end; None for the defaults themselves.
    trials : int
        Complete trials that the surrogate was fitted to.
    trained : tuple of Delta
        Gain of each step over the one before, really trained; without pairs where it was not.
    split : str
        Split that `trained` is measured on.
    training : str
        How far the training of the path is, if it is begun and not done; else empty.
    """

    steps: tuple[Step, ...]
    start: float
    trial: int | None
    trials: int
    trained: tuple[Delta, ...] = ()
    split: str = ""
    training: str = ""

    @property
    def is_trained(self) -> bool:
        """Whether every step has a measured gain."""
        return bool(self.trained) and all(delta.pairs for delta in self.trained)

    def frame(self) -> pd.DataFrame:
        """`path_frame`, with measured, low, high and pairs of each step: NaN and 0 without."""
        frame = path_frame(self.steps)
        columns: dict[str, list[float]] = {name: [] for name in ("measured", "low", "high")}
        pairs = []
        for number in frame.index:
            delta = self.trained[number - 1] if self.trained else Delta(math.nan, 0, 0, "none")
            for name, value in zip(columns, (delta.mean, delta.low, delta.high), strict=True):
                columns[name].append(value)
            pairs.append(delta.pairs)
        return frame.assign(**columns, pairs=pairs)


@dataclass(frozen=True)
class Cost:
    """What a run has cost, and what it was expected to.

    Attributes
    ----------
    search : Ledger
    final : Ledger or None
        Of the final comparison, once it is begun.
    planned_search_s, planned_final_s : float
        Seconds of work that the outlook gave; NaN where there was none.
    spent : DataFrame or None
        part (search or final comparison), kind and seconds of `evolve.analysis.spent`.
    """

    search: Ledger
    final: Ledger | None = None
    planned_search_s: float = math.nan
    planned_final_s: float = math.nan
    spent: pd.DataFrame | None = None


@dataclass(frozen=True)
class Findings:
    """All that can be said of a run from what is stored.

    Attributes
    ----------
    objective : str
    final : Final or None
        None where no comparison was begun.
    importances : Importances
    path : AblationPath or None
    no_path : str
        Why there is no path; else empty.
    words : str
        What mattered, in a few sentences; empty where nothing is known.
    moved : int
        Complete trials that took over another's training. Their parameters changed on the way,
        so importances and path leave them out.
    cost : Cost or None
        None where the driver wrote down nothing.
    audit : Audit or None
        What early values say of final ones; None where the scheduler stops nothing.
    closed : str
        Why the search ends before all trials that were asked for: budget or no gain; else empty.
    interactions : Interactions or None
    seen : Seen or None
        What the detectors of defaults and winner saw.
    front : Front or None
        Of a run with two objectives.
    """

    objective: str
    final: Final | None
    importances: Importances
    path: AblationPath | None
    no_path: str
    words: str
    moved: int = 0
    cost: Cost | None = None
    audit: Audit | None = None
    closed: str = ""
    interactions: Interactions | None = None
    seen: Seen | None = None
    front: Front | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON types; null for what is unknown."""
        final, path = self.final, self.path
        tree = {
            "objective": self.objective,
            "final": None if final is None else _final_dict(final),
            "importance": {
                "rows": self.importances.frame.to_dict("records"),
                "trials": self.importances.trials,
                "of": self.importances.of,
                "reason": self.importances.reason,
            },
            "path": None if path is None else _path_dict(path),
            "no_path": self.no_path,
            "words": self.words,
            "moved": self.moved,
            "closed": self.closed,
            "cost": None if self.cost is None else _cost_dict(self.cost),
            "early_stopping": None if self.audit is None else _audit_dict(self.audit),
            "interactions": None
            if self.interactions is None
            else _interaction_dict(self.interactions),
            "seen": None if self.seen is None else self.seen.to_dict(),
            **({} if self.front is None else {"front": self.front.to_dict()}),
        }
        cleaned = without_nan(tree)
        assert isinstance(cleaned, dict)
        return cleaned


def _path_dict(path: AblationPath) -> dict[str, Any]:
    steps = [
        {
            **{key: value for key, value in asdict(step).items() if key != "config"},
            "measured": asdict(path.trained[number]) if path.trained else None,
        }
        for number, step in enumerate(path.steps)
    ]
    head = {"trial": path.trial, "trials": path.trials, "start": path.start}
    return {**head, "split": path.split, "training": path.training, "steps": steps}


def _final_dict(final: Final) -> dict[str, Any]:
    tree = asdict(replace(final, trainings=pd.DataFrame()))
    del tree["trainings"]  # the values of each seed are with the rows
    return tree


def _cost_dict(cost: Cost) -> dict[str, Any]:
    return {
        "search": _ledger_dict(cost.search) | {"planned_s": cost.planned_search_s},
        "final": None
        if cost.final is None
        else _ledger_dict(cost.final) | {"planned_s": cost.planned_final_s},
        "spent": None if cost.spent is None else cost.spent.to_dict("records"),
    }


def _ledger_dict(ledger: Ledger) -> dict[str, Any]:
    devices = ledger.devices
    return {
        "wall_s": ledger.wall_s,
        "held_s": ledger.held_s,
        "device_s": ledger.device_s,
        "device": None if devices is None else devices.kind,
        "lost_s": ledger.lost_s,
        "idle": ledger.idle,
        "by_state": {
            state: {"trials": count, "held_s": seconds}
            for state, (count, seconds) in ledger.spent().items()
        },
        "sessions": ledger.sessions.to_dict("records"),
    }


def _interaction_dict(found: Interactions) -> dict[str, Any]:
    return {
        "pairs": found.frame.to_dict("records"),
        "trials": found.trials,
        "of": found.of,
        "reason": found.reason,
    }


def _audit_dict(audit: Audit) -> dict[str, Any]:
    frames = {"pairs", "ranks"}
    plain = {key: value for key, value in vars(audit).items() if key not in frames}
    return plain | {"ranks": audit.ranks.to_dict("records")}


def without_nan(tree: Any) -> Any:
    """Copy with None for every number that is not finite."""
    if isinstance(tree, dict):
        return {key: without_nan(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [without_nan(value) for value in tree]
    return None if isinstance(tree, float) and not math.isfinite(tree) else tree
