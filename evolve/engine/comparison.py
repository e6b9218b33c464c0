"""Rows of named configurations, each trained in full with the same seeds.

The final comparison of a run is one; a table of an ablation is another. Rows that share a seed
share initialisation, order and the streams of augmentation, so their differences are paired.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState, create_trial

from evolve.analysis.phrases import plural
from evolve.engine.allowance import Allowance
from evolve.engine.director import Director, Listener, Phase
from evolve.engine.interrupt import Interrupt
from evolve.engine.schedulers import build_scheduler
from evolve.engine.trial import TrialTask
from evolve.errors import EvolveError, StoreError
from evolve.store.comparison import (
    ROW_ATTR,
    SEED_ATTR,
    SEED_INDEX_ATTR,
    TAKEN_ATTR,
    TRAINING_ATTR,
    PlanRecord,
    RowRecord,
)
from evolve.store.folder import ComparisonFolder, TrialFolder
from evolve.store.journal import Journal
from evolve.store.study import FAILURE_ATTR
from model.config import TrainConfig

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


@dataclass(frozen=True)
class Row:
    """A configuration to compare.

    Attributes
    ----------
    key : str
        Name of its folder: letters, digits and ``. _ + -``.
    title : str
        What people read.
    config : TrainConfig
        Resolved for the data; its seed does not count.
    trial : int or None
        Trial of the search that it comes from.
    search_value : float or None
        Value of that trial.
    pretrain : TrainConfig or None
        Classifier whose backbone each training starts from; one with the same seed.
    seeds : int or None
        How many of the first seeds it is trained with; None takes all.
    """

    key: str
    title: str
    config: TrainConfig
    trial: int | None = None
    search_value: float | None = None
    pretrain: TrainConfig | None = None
    seeds: int | None = None


@dataclass(frozen=True)
class Training:
    """What the trainings of a comparison share.

    Attributes
    ----------
    data : Path
        As given to the trainer.
    data_digest : str
        Of the data set; empty for a trainer without one.
    data_seed : int
        Seed of the split of a single annotations file.
    trainer : str
        Name in `evolve.engine.trainers`.
    threads : int
        Threads of each.
    """

    data: Path
    data_digest: str
    data_seed: int
    trainer: str
    threads: int


def plan_comparison(
    name: str,
    title: str,
    rows: Sequence[Row],
    seeds: Sequence[int],
    *,
    objective: str,
    judged_on: str,
    data_digest: str,
) -> PlanRecord:
    """Every training of a comparison, known by its configuration with its seed, and its data.

    Raises
    ------
    EvolveError
        If a key names no folder, or two rows have the same.
    """
    keys = [row.key.casefold() for row in rows]
    for row in rows:
        if not _KEY.fullmatch(row.key) or keys.count(row.key.casefold()) > 1:
            raise EvolveError(
                f"the row '{row.key}' cannot have a folder of its own",
                title,
                "name every row differently, with letters, digits and . _ + -",
            )
    records = (_recorded(row, seeds[: row.seeds], data_digest) for row in rows)
    return PlanRecord(name, title, objective, judged_on, tuple(seeds), tuple(records))


def _recorded(row: Row, seeds: Sequence[int], data_digest: str) -> RowRecord:
    first = row.pretrain
    after = [training_id(first, seed, data_digest) for seed in seeds] if first else []
    own = [
        training_id(row.config, seed, data_digest, before)
        for seed, before in zip(seeds, after or [""] * len(seeds), strict=True)
    ]
    return RowRecord(
        key=row.key,
        title=row.title,
        config=row.config.to_dict(),
        trainings=tuple(own),
        trial=row.trial,
        search_value=row.search_value,
        after=tuple(after),
    )


def training_id(config: TrainConfig, seed: int, data_digest: str, after: str = "") -> str:
    """Equal for trainings that would be equal; `after` is what its backbone comes from."""
    text = f"{config.with_values({'seed': seed}).digest()} {data_digest}"
    text += f" {after}" if after else ""
    return hashlib.sha256(text.encode()).hexdigest()[:20]


Kept = Callable[[set[str]], float]
"""Seconds of the budget that are kept for what follows, once these trainings have been begun."""

Start = Path | dict[str, Any]
"""Weights that a training starts from; or why there are none, as of `failures.failure`."""


class Comparison(Director):
    """Joins the plan of a comparison, its study and its folders.

    Trainings begin seed by seed, so that one that ends early has pairs. None is stopped early,
    and none is done twice, not even if two rows have it.

    Parameters
    ----------
    study : optuna.Study
        Of this comparison alone.
    plan : PlanRecord
        From `plan_comparison`; it is written to the folder before anything is trained.
    folder : ComparisonFolder
    training : Training
    listener : Listener
    allowance : Allowance, optional
        What the search has left of the budget.
    max_failures : int, optional
    interrupt : Interrupt, optional
    starts : mapping of training -> Start, optional
        What became of the trainings that rows start from. Where one failed, so does what would
        have started from it; where one is missing, that is not begun.
    kept : Kept, optional
        What must be left of the budget for what starts from these trainings.

    Raises
    ------
    StoreError
        If the study holds other trainings of a row of this name.
    """

    noun = "training"

    def __init__(
        self,
        study: optuna.Study,
        plan: PlanRecord,
        folder: ComparisonFolder,
        training: Training,
        listener: Listener,
        allowance: Allowance | None = None,
        max_failures: int | None = None,
        interrupt: Interrupt | None = None,
        starts: Mapping[str, Start] | None = None,
        kept: Kept | None = None,
    ) -> None:
        folder.path.mkdir(parents=True, exist_ok=True)
        super().__init__(study, plan.objective, build_scheduler("none", 1), listener,
                         Journal(folder.journal), allowance, max_failures,
                         interrupt)  # fmt: skip
        self.plan = plan
        self.folder = folder
        self.training = training
        self._starts = starts or {}
        self._kept = kept
        self._cells: dict[str, tuple[RowRecord, int]] = {}
        for row, index in plan.cells():
            self._cells.setdefault(row.trainings[index], (row, index))
        self._numbers: dict[str, int] = {}
        self._trainings: dict[int, str] = {}
        self._places: dict[int, tuple[str, int]] = {}
        self._ended_before: dict[str, int] = {}
        self._closed = False
        self._taken = 0
        self._rebuild()
        plan.write(folder)

    # -- restart ---------------------------------------------------------------------------

    def _rebuild(self) -> None:
        """Learn from the store which trainings have ended, and which were interrupted."""
        self.pace.replay(self.journal.earlier)
        self.journal.note("session")
        for trial in self.study.get_trials(deepcopy=False):
            training, attrs = trial.user_attrs[TRAINING_ATTR], trial.user_attrs
            self._remember(training, trial.number, attrs[ROW_ATTR], attrs[SEED_INDEX_ATTR])
            self._recall(trial)
            self._taken += TAKEN_ATTR in attrs
            if training not in self._cells:
                self._check_replaced(*self._places[trial.number])
            elif trial.state == TrialState.RUNNING:
                self._waiting.append(trial.number)
            else:
                state = trial.state.name
                self._ended_before[state] = self._ended_before.get(state, 0) + 1
        for number in self._waiting:
            for row in self.files(number).read_metrics():
                self._store_value(number, row)

    def _remember(self, training: str, number: int, row: str, seed_index: int) -> None:
        self._numbers[training] = number
        self._trainings[number] = training
        self._places[number] = row, seed_index

    def _check_replaced(self, key: str, seed_index: int) -> None:
        """Refuse to put another training into the folder of a stored one."""
        if (key, seed_index) in ((row.key, index) for row, index in self._cells.values()):
            raise StoreError(
                f"row '{key}' was trained with another configuration or on other data",
                str(self.folder.path),
                "give the row another name, or take a new folder with --out",
            )

    # -- what a director does --------------------------------------------------------------

    def _chosen(self) -> int | None:
        if not self._has_time():
            return None
        for training in self._missing():
            start = self._start_of(training)
            if not isinstance(start, dict):
                return self._create(training)
            self._fail(training, start)
        return None

    def _nothing_left(self) -> bool:
        return not self._waiting and not (self._missing() and self._has_time())

    def _missing(self) -> list[str]:
        """Trainings that can be begun, in the order in which they are."""
        unbegun = [training for training in self._cells if training not in self._numbers]
        return [training for training in unbegun if self._may_start(training)]

    def _may_start(self, training: str) -> bool:
        """Whether it is known what became of what a training starts from."""
        row, index = self._cells[training]
        return not row.after or row.after[index] in self._starts

    def _after(self, number: int, epoch: int | None = None) -> None:
        pass  # no training depends on another

    def _has_time(self) -> bool:
        """Whether the budget has room for one more training; once not, the journal says so."""
        missing = self._missing()
        kept = self._kept({*self._numbers, missing[0]}) if self._kept and missing else 0.0
        if self.left() - kept >= self.cost(1, self._epochs()):
            return True
        if not self._closed and missing:
            self._closed = True
            self.journal.note("close", why="budget", limits={})
        return False

    def _epochs(self) -> int:
        return max(TrainConfig.model_validate(row.config).epochs for row in self.plan.rows)

    def files(self, number: int) -> TrialFolder:
        """Folder of a training."""
        return self.folder.training(*self._places[number])

    def unmeasured(self, row: dict[str, object]) -> str:
        """Why a training that ended with this row has no value; empty if it has one."""
        split, objective = self.plan.judged_on, self.objective
        metrics = row["metrics"]
        assert isinstance(metrics, dict)
        value = metrics.get(f"{split}/{objective}", 0.0)
        if value != value:
            return f"{objective} cannot be measured: {split} has no truth for it"
        return super().unmeasured(row)

    def name_of(self, number: int) -> str:
        """What people call a training."""
        key, index = self._places[number]
        titles = {row.key: row.title for row in self.plan.rows}
        return f"{titles.get(key, key)}, seed {index + 1} of {len(self.plan.seeds)}"

    def phase(self) -> Phase:
        """What a listener is told before the first training."""
        plan = self.plan
        rows, counts = plural(len(plan.rows), "row"), {len(row.trainings) for row in plan.rows}
        several = f"{min(counts)} to {max(counts)} fresh seeds"
        seeds = several if len(counts) > 1 else plural(max(counts), "fresh seed")
        about = f"{rows}, {seeds} each, "
        about += f"judged on {plan.judged_on}"
        about += f", {self._taken} taken over from other runs" if self._taken else ""
        return Phase(plan.title, about, len(self._cells), self.name_of, dict(self._ended_before))

    @property
    def closed(self) -> bool:
        """Whether the budget has ended before all was trained."""
        return self._closed

    # -- helpers ---------------------------------------------------------------------------

    def _create(self, training: str, failed: dict[str, Any] | None = None) -> int:
        """Begin a training in the store; in one step, so that a kill leaves nothing half made."""
        row, index = self._cells[training]
        attrs = {
            TRAINING_ATTR: training,
            ROW_ATTR: row.key,
            SEED_INDEX_ATTR: index,
            SEED_ATTR: self.plan.seeds[index],
        }
        begun = create_trial(
            state=TrialState.FAIL if failed else TrialState.RUNNING,
            user_attrs=attrs | ({FAILURE_ATTR: failed} if failed else {}),
        )
        storage = self.study._storage
        trial_id = storage.create_new_trial(self.study._study_id, template_trial=begun)
        number = storage.get_trial_number_from_id(trial_id)
        self._ids[number] = trial_id
        self._remember(training, number, row.key, index)
        return number

    def _fail(self, training: str, why: dict[str, Any]) -> None:
        """Store a training that cannot even begin."""
        number = self._create(training, why)
        self.journal.note("end", number, state="FAIL", value=None)
        self.listener.on_end(number, "FAIL", None, f"{why['type']}: {why['what']}")

    def _planned_config(self, number: int) -> TrainConfig:
        training = self._trainings[number]
        row, index = self._cells[training]
        config = TrainConfig.model_validate(row.config)
        values: dict[str, Any] = {"seed": self.plan.seeds[index]}
        if isinstance(start := self._start_of(training), Path):
            values["backbone.weights"] = str(start.absolute())
        return config.with_values(values)

    def _start_of(self, training: str) -> Start | None:
        """What a training starts from; None if from nothing."""
        row, index = self._cells[training]
        return self._starts[row.after[index]] if row.after else None

    def _task(self, number: int) -> TrialTask:
        config, folder, shared = self._config(number), self.files(number), self.training
        self.scheduler.add(number)
        self.listener.on_start(number, {}, len(folder.read_metrics()), config.epochs)
        return TrialTask(
            number=number,
            folder=str(folder.path.absolute()),
            config=config.to_dict(),
            data=str(shared.data),
            objective=self.objective,
            trainer=shared.trainer,
            data_seed=shared.data_seed,
            threads=shared.threads,
            judged_on="" if self.plan.judged_on == "val" else self.plan.judged_on,
            halt_file=self._halt_file(),
            alone=self._needs_all(number),
        )
