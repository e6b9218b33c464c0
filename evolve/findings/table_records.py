"""What an ablation run declares, and what is found of it, as plain records."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from evolve.ablation.costs import Costs, tuning_text
from evolve.ablation.record import StoredTable
from evolve.analysis.decisions import ALPHA, REGION
from evolve.analysis.sequential import LOOKS, levels
from evolve.errors import StoreError
from evolve.findings.records import without_nan
from evolve.store.comparison import ComparisonRecord
from evolve.store.manifest import ABLATION, check_kind

AUTO = "auto"


@dataclass(frozen=True)
class TableRun:
    """What the manifest of an ablation run declares.

    Attributes
    ----------
    table : StoredTable
    objective, judged_on : str
    seeds : int or None
        Of each row; None where seeds come at looks.
    looks : tuple of int
        Numbers of seeds at which rows are judged; empty where `seeds` is given.
    region : float
        Differences in [0, 1] that are as good as none.
    alpha : float
        Chance of one false word or more.
    is_over : bool
        Nothing more will be trained.
    tuned : str
        Where the values of GA come from, and what finding them took; empty if no row has them.
    """

    table: StoredTable
    objective: str
    judged_on: str
    seeds: int | None
    looks: tuple[int, ...]
    region: float = REGION
    alpha: float = ALPHA
    is_over: bool = False
    tuned: str = ""

    @classmethod
    def of_manifest(cls, manifest: dict[str, Any], where: Path) -> "TableRun":
        """What a manifest says.

        Raises
        ------
        StoreError
            If it is none of an ablation.
        """
        check_kind(manifest, ABLATION, where)
        tree, place = manifest.get("table"), str(where)
        if not isinstance(tree, dict):
            raise StoreError("the manifest has no table", place, "restore it")
        table = StoredTable.from_dict(tree, place)
        try:
            is_auto = manifest.get("seeds") == AUTO
            looks = tuple(int(n) for n in manifest.get("looks") or LOOKS) if is_auto else ()
            if is_auto:
                levels(looks)  # tells whether they can be looks
            return cls(
                table,
                str(manifest.get("objective") or table.objective),
                str(manifest.get("judged_on") or "test"),
                None if is_auto else int(manifest["seeds"]),
                looks,
                float(manifest.get("region", REGION)),
                float(manifest.get("alpha", ALPHA)),
                bool(manifest.get("over", False)),
                tuning_text(manifest["tuned"]) if manifest.get("tuned") else "",
            )
        except (KeyError, TypeError, ValueError) as error:
            what = f"the manifest does not say how the table is judged: {error}"
            raise StoreError(
                what, place, "restore manifest.json from a copy, or run the table anew with --out"
            ) from error


@dataclass(frozen=True)
class TableFindings:
    """All that can be said of an ablation run from what is stored.

    Attributes
    ----------
    folder : Path
        Of the run.
    manifest : dict
    run : TableRun
    record : ComparisonRecord or None
        The trainings as they are stored; None before they begin.
    trainings : DataFrame
        As the record's, with those that are to come as WAITING.
    judged : DataFrame
        Of `judge_table`, or of `judge_looks` where seeds come at looks.
    class_deltas : DataFrame
        row, title, baseline, and the columns of `evolve.analysis.class_deltas`, for every row
        that has a baseline.
    no_classes : str
        Why classes of trainings are missing; empty if none are.
    effects : DataFrame
        Of `findings.table_effects.design_effects`.
    no_effects : str
        Why effects are missing; empty if none are, or the design has none.
    sentences : tuple of str
        The table in words, then each row of which there is something to say.
    unfinished : str
        How far the trainings are; empty when all have ended.
    images : int or None
        Images of the split; None where they have no part.
    no_images : str
        Why images have no part in some or all intervals; else empty.
    costs : Costs or None
    train_s : dict of row -> float
        Seconds of training and evaluation, mean of the complete trainings; NaN without one.
    """

    folder: Path
    manifest: Mapping[str, Any]
    run: TableRun
    record: ComparisonRecord | None
    trainings: pd.DataFrame
    judged: pd.DataFrame
    class_deltas: pd.DataFrame
    no_classes: str
    effects: pd.DataFrame
    no_effects: str
    sentences: tuple[str, ...]
    unfinished: str
    images: int | None
    no_images: str
    costs: Costs | None
    train_s: Mapping[str, float]

    @property
    def table(self) -> StoredTable:
        """The table as it is shown."""
        return self.run.table

    @property
    def objective(self) -> str:
        """Metric that rows are judged by."""
        return self.run.objective

    @property
    def judged_on(self) -> str:
        """Split that rows are judged on: test or val."""
        return self.run.judged_on

    @property
    def is_provisional(self) -> bool:
        """Whether rows are told what they look like before the one look that was planned."""
        return self.run.seeds is not None and bool(self.unfinished) and not self.run.is_over

    def to_dict(self) -> dict[str, Any]:
        """JSON types; null for what is unknown."""
        run = self.run
        frames = {
            "rows": self.judged,
            "trainings": self.trainings.drop(columns=["folder", "training", "log"]),
            "classes": self.class_deltas,
            "effects": self.effects,
        }
        tree = {
            "table": self.table.to_dict(),
            "objective": run.objective,
            "judged_on": run.judged_on,
            "seeds": run.seeds,
            "looks": list(run.looks),
            "region": run.region,
            "alpha": run.alpha,
            "over": run.is_over,
            **{name: frame.to_dict("records") for name, frame in frames.items()},
            "no_classes": self.no_classes,
            "no_effects": self.no_effects,
            "sentences": list(self.sentences),
            "unfinished": self.unfinished,
            "provisional": self.is_provisional,
            "images": self.images,
            "no_images": self.no_images,
            "costs": None if self.costs is None else asdict(self.costs),
            "train_s": dict(self.train_s),
        }
        cleaned = without_nan(tree)
        assert isinstance(cleaned, dict)
        return cleaned
