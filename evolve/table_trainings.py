"""The trainings of a table: classifiers first where rows start from one, then row by row.

Rows with `--seeds auto` get more seeds from look to look, as was declared before the first. What
has been stored decides, so a table that was killed goes on as if it had not been.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from evolve.ablation.costs import stored_costs
from evolve.engine.allowance import MARGIN, Allowance
from evolve.engine.comparison import Comparison, Kept, Row, Start, Training, plan_comparison
from evolve.engine.director import Director, Listener
from evolve.engine.failures import failure
from evolve.engine.interrupt import Interrupt, stoppable
from evolve.engine.pace import read_pace, spent
from evolve.engine.table_outlook import TableOutlook
from evolve.findings.table import find_table
from evolve.seeds import fresh_seed
from evolve.session import opened_engine
from evolve.sharing import adopt_from
from evolve.store.comparison import PRETRAIN, TABLE, TRAINING_ATTR, PlanRecord, folder_of
from evolve.store.folder import RunFolder
from evolve.store.manifest import now
from evolve.store.read import storage_url, study_name
from evolve.store.study import failure_of, open_own_storage, open_study
from evolve.train_one import OBJECTIVES
from model.config import TrainConfig

if TYPE_CHECKING:
    from evolve.ablations import AblationRequest
    from evolve.engine.cluster import Cluster

Drive = Callable[[Director], None]

MOST_FOR_CLASSIFIERS = 0.5  # of a budget, where nothing tells how long rows take


def counts_at_first(request: "AblationRequest") -> dict[str, int]:
    """Seeds of each row before anything has been judged."""
    from evolve.analysis.sequential import LOOKS

    count = LOOKS[0] if request.seeds == "auto" else int(request.seeds)
    return dict.fromkeys(request.configs, count)


def table_plan(
    request: "AblationRequest", manifest: Mapping[str, Any], counts: Mapping[str, int]
) -> PlanRecord:
    """Trainings of the rows, with so many seeds each."""
    rows = [
        Row(
            row.key,
            row.title,
            _seedless(request.configs[row.key]),
            pretrain=_seedless(request.pretrains[row.key])
            if row.key in request.pretrains
            else None,
            seeds=counts[row.key],
        )
        for row in request.table.rows
    ]
    return plan_comparison(
        TABLE,
        request.table.title,
        rows,
        _seeds(request.seed, counts.values()),
        objective=manifest["objective"],
        judged_on=manifest["judged_on"],
        data_digest=manifest["data"].get("digest", ""),
    )


def pretrain_plan(
    request: "AblationRequest", manifest: Mapping[str, Any], counts: Mapping[str, int]
) -> PlanRecord | None:
    """Trainings of the classifiers that rows start from; None if none does.

    One that several rows start from is there once, with the seeds of all of them.
    """
    found: dict[str, Row] = {}
    for row in request.table.rows:
        if row.key not in request.pretrains:
            continue
        config = _seedless(request.pretrains[row.key])
        before = found.get(config.digest())
        seeds = max(counts[row.key], (before.seeds or 0) if before else 0)
        key, title = (before.key, before.title) if before else (row.key, f"for {row.title}")
        found[config.digest()] = Row(key, title, config, seeds=seeds)
    if not found:
        return None
    return plan_comparison(
        PRETRAIN,
        "pre-training",
        list(found.values()),
        _seeds(request.seed, counts.values()),
        objective=OBJECTIVES["classify"],
        judged_on="val",
        data_digest=manifest["data"].get("digest", ""),
    )


def _seedless(config: TrainConfig) -> TrainConfig:
    """Every training has a seed of its own."""
    return config.with_values({"seed": 0})


def _seeds(run_seed: int, counts: Any) -> list[int]:
    return [fresh_seed(run_seed, index) for index in range(max(counts))]


class TableTrainings:
    """Does what is left of a table.

    Parameters
    ----------
    request : AblationRequest
        Settled.
    manifest : dict
        As it stands in the folder.
    folder : RunFolder
        Locked.
    outlook : TableOutlook
    allowance : Allowance
    donors : sequence of RunFolder
    listener : Listener
    """

    def __init__(
        self,
        request: "AblationRequest",
        manifest: dict[str, Any],
        folder: RunFolder,
        outlook: TableOutlook,
        allowance: Allowance,
        donors: Sequence[RunFolder],
        listener: Listener,
    ) -> None:
        self.request, self.manifest, self.folder = request, manifest, folder
        self.outlook, self.allowance = outlook, allowance
        self.donors, self.listener = tuple(donors), listener
        self.interrupt = Interrupt(folder.halt)

    def run(self, cluster: "Cluster | None" = None) -> None:
        """Train, judge, train on, and measure what the networks cost."""
        request, placement = self.request, self.outlook.placement
        storage = open_own_storage(storage_url(self.folder, self.manifest))
        try:
            engine = opened_engine(request.engine, placement, cluster)
            with stoppable(self.interrupt), engine as drive:
                self._train(storage, drive)
                self._note(ended=True)
        finally:
            storage.remove_session()
        self._measure()

    def _train(self, storage: BaseStorage, drive: Drive) -> None:
        counts = self._counts()
        while True:
            left = self.allowance.after(*spent(self.folder.comparison(TABLE).journal))
            starts: dict[str, Start] = {}
            over = False
            first = pretrain_plan(self.request, self.manifest, counts)
            if first is not None:
                kept = self._kept(storage, first, counts, left)
                classifiers = self._comparison(storage, first, left, kept=kept)
                self._drive(classifiers, drive)
                starts, over = _starts_of(classifiers), classifiers.closed
            left = self.allowance.after(*spent(self.folder.comparison(PRETRAIN).journal))
            table = self._comparison(
                storage, table_plan(self.request, self.manifest, counts), left, starts
            )
            self._open_test()
            self._drive(table, drive)
            if over or table.closed:
                self._close()
                return
            before, counts = counts, self._counts()
            if counts == before:
                return

    def _drive(self, comparison: Comparison, drive: Drive) -> None:
        if not comparison.over():
            self.listener.on_phase(comparison.phase())
        drive(comparison)

    def _counts(self) -> dict[str, int]:
        """Seeds that each row is to have, by all that has been trained so far."""
        if self.request.seeds != "auto":
            return counts_at_first(self.request)
        found = find_table(self.folder.path, self.request.data.argument)
        if found.record is None:
            return counts_at_first(self.request)
        judged = found.judged.set_index("row")["seeds"]
        return {row: int(judged[row]) for row in self.request.configs}

    def _comparison(
        self,
        storage: BaseStorage,
        plan: PlanRecord,
        allowance: Allowance,
        starts: Mapping[str, Start] | None = None,
        kept: Kept | None = None,
    ) -> Comparison:
        study = open_study(storage, name=study_name(self.manifest, plan.name))
        for donor in self.donors:
            adopt_from(study, plan, self.folder, donor)
        request = self.request
        comparison = Comparison(
            study,
            plan,
            self.folder.comparison(plan.name),
            Training(
                data=request.data.path,
                data_digest=self.manifest["data"].get("digest", ""),
                data_seed=request.seed,
                trainer=request.trainer,
                threads=self.outlook.placement.threads,
            ),
            self.listener,
            allowance,
            request.max_failures,
            self.interrupt,
            starts,
            kept,
        )
        comparison.pace.expected_s = self._epoch_s(plan)
        return comparison

    def _kept(
        self,
        storage: BaseStorage,
        first: PlanRecord,
        counts: Mapping[str, int],
        left: Allowance,
    ) -> Kept | None:
        """What is kept of a budget for the rows while their classifiers are trained.

        Time to train all that can start from those that have been begun, and as many seeds of the
        rows beside them; as long as nothing tells how long that takes, half of what is left.
        """
        if left.budget is None:
            return None
        plan = table_plan(self.request, self.manifest, counts)
        study = open_study(storage, name=study_name(self.manifest, TABLE))
        trials = study.get_trials(deepcopy=False)
        ended = {t.user_attrs[TRAINING_ATTR] for t in trials if t.state.is_finished()}
        cells = {row.trainings[i]: (row.after[i : i + 1], i) for row, i in plan.cells()}
        due = [cell for training, cell in cells.items() if training not in ended]
        seed_of = {row.trainings[i]: i for row, i in first.cells()}
        known_s = read_pace(self.folder.comparison(TABLE).journal).epoch_s
        epoch_s = self._epoch_s(plan) if math.isnan(known_s) else known_s
        training_s = epoch_s * max(int(row.config["epochs"]) for row in plan.rows)
        half = MOST_FOR_CLASSIFIERS * max(0.0, left.left(0.0, 0.0))

        def kept(begun: set[str]) -> float:
            if math.isnan(training_s):
                return half
            last = max(seed_of.get(training, 0) for training in begun)
            can = sum(begun.issuperset(after) if after else i <= last for after, i in due)
            return MARGIN * left.cost(can, training_s)

        return kept

    def _epoch_s(self, plan: PlanRecord) -> float:
        """Expected seconds of an epoch, at the most."""
        task = plan.rows[0].config["task"]
        known = [o for key, o in self.outlook.probes.items() if json.loads(key)["task"] == task]
        return max((one.epoch_s for one in known), default=math.nan)

    def _open_test(self) -> None:
        if self.manifest["judged_on"] == "test" and not self.manifest["test_opened"]:
            self._note(test_opened=True, test_opened_at=now())

    def _close(self) -> None:
        """Nothing more is trained: what is left of the error is spent on what there is."""
        self._note(over=True)

    def _note(self, **values: Any) -> None:
        self.manifest.update(values)
        self.folder.write_json(self.folder.manifest, self.manifest)

    def _measure(self) -> None:
        """Parameters, BFLOPs and latency of the rows, on this machine, once trainings are over."""
        if self.request.trainer != "detector":
            return
        from evolve.costs import measure_costs, write_costs

        path, classes = self.folder.costs, len(self.manifest["data"]["classes"])
        earlier = stored_costs(path)
        write_costs(path, measure_costs(self.request.configs, classes, measured=earlier))


def _starts_of(classifiers: Comparison) -> dict[str, Start]:
    """Weights of each classifier, or why there are none."""
    study: optuna.Study = classifiers.study
    starts: dict[str, Start] = {}
    for trial in study.get_trials(deepcopy=False):
        training = trial.user_attrs[TRAINING_ATTR]
        if trial.state == TrialState.COMPLETE:
            starts[training] = folder_of(trial, classifiers.folder).best
        elif trial.state == TrialState.FAIL:
            why = failure("error", "nobody knows why") | failure_of(trial)
            starts[training] = why | {"what": f"its classifier failed: {why['what']}"}
    return starts
