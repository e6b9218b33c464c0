"""An ablation: from the rows of a table to a trained and judged table, begun or continued."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from evolve.ablation.costs import OF_THE_PAPER
from evolve.ablation.record import StoredTable
from evolve.ablation.rows import TablePlan
from evolve.analysis.decisions import ALPHA, REGION
from evolve.analysis.sequential import LOOKS
from evolve.budget import Budget
from evolve.engine.allowance import Allowance
from evolve.engine.devices import ThisMachine
from evolve.engine.director import Listener
from evolve.engine.placement import Asked
from evolve.engine.probe import Probe
from evolve.engine.table_outlook import Load, TableOutlook, allowed, look_over
from evolve.engine.trainers import shared_class_data, shared_data
from evolve.errors import EvolveError, StoreError, TableError
from evolve.expectation import expectation, scatter_of
from evolve.final import judged_split
from evolve.session import (
    Request,
    check_storage,
    common_manifest,
    describe_data,
    kinds_of_machines,
    reached_cluster,
    stored_common,
)
from evolve.sharing import named_donors, neighbours, trained
from evolve.store.comparison import PlanRecord
from evolve.store.folder import RunFolder
from evolve.store.manifest import ABLATION, check_kind, check_same_run
from evolve.store.read import read_manifest
from evolve.table_trainings import TableTrainings, counts_at_first, pretrain_plan, table_plan
from model.config import TrainConfig
from model.errors import ConfigurationError

if TYPE_CHECKING:
    from evolve.engine.cluster import Cluster

AUTO: Literal["auto"] = "auto"


@dataclass(frozen=True, kw_only=True)
class AblationRequest(Request):
    """A table that is to be trained.

    Attributes
    ----------
    table : StoredTable
    configs : mapping of row -> TrainConfig
    pretrains : mapping of row -> TrainConfig
        Classifiers that are trained first, for the rows that start from one.
    design : dict or None
        Kind, ingredients and options of the plan that made the rows.
    seeds : int or "auto"
        Trainings of every row; auto adds some row by row until verdicts stand.
    region : float
        Differences in [0, 1] that are as good as none.
    budget : str
        Of time; empty for as long as it takes.
    max_failures : int or None
    donors : tuple of Path
        Other runs whose trainings are taken over where they are the same.
    shares : bool
        Whether runs beside this one are looked through for such trainings too.
    tuned : dict or None
        Where the values of GA come from, and what finding them took.
    """

    table: StoredTable
    configs: Mapping[str, TrainConfig]
    pretrains: Mapping[str, TrainConfig] = field(default_factory=dict)
    design: dict[str, Any] | None = None
    seeds: int | Literal["auto"] = 3
    region: float = REGION
    budget: str = ""
    max_failures: int | None = None
    donors: tuple[Path, ...] = ()
    shares: bool = True
    tuned: dict[str, Any] | None = None

    @property
    def task(self) -> str:
        """Of all rows: detect or classify."""
        return self.configs[self.table.baseline].task


def parts_of(plan: TablePlan) -> dict[str, Any]:
    """What an `AblationRequest` takes from the rows of a table."""
    design = plan.design
    file = plan.table.file
    made = None
    if design and file.plan:
        options = file.plan.options
        made = {"kind": design.kind, "ingredients": list(design.ingredients), "options": options}
    from_paper = "GA" not in plan.given and any("GA" in row.on for row in plan.rows)
    return {
        "table": StoredTable.of_plan(plan),
        "configs": {row.key: row.config for row in plan.rows},
        "pretrains": {row.key: row.pretrain for row in plan.rows if row.pretrain},
        "design": made,
        "tuned": OF_THE_PAPER if from_paper else None,
    }


# -- what is settled before anything runs ----------------------------------------------------


def settle(request: AblationRequest) -> tuple[AblationRequest, dict[str, Any], str]:
    """The request with all rows settled for the data; the data, and the split to judge on.

    Raises
    ------
    EvolveError, ModelError
        If the data cannot be read, or a row cannot be trained on them; rows are named.
    """
    source = request.data
    if request.trainer != "detector":
        return request, {"path": source.argument, "name": source.name}, "test"
    detect = request.task == "detect"
    if detect:
        dataset = shared_data(source.path, request.seed)
        judged_on, data = judged_split(dataset), describe_data(source, dataset)
    else:
        samples = shared_class_data(source.path, request.seed)
        judged_on = "test" if samples.splits.get("test") else "val"
        data = describe_data(source, samples)
    configs = {key: _settled(key, one, request) for key, one in request.configs.items()}
    pretrains = {key: _settled(key, one, request) for key, one in request.pretrains.items()}
    return replace(request, configs=configs, pretrains=pretrains), data, judged_on


def _settled(key: str, config: TrainConfig, request: AblationRequest) -> TrainConfig:
    from evolve.train_one import check_classifier, check_trainable
    from model.classify import resolve_classifier
    from model.train import resolve

    path, seed = request.data.path, request.seed
    try:
        if config.task == "classify":
            samples = shared_class_data(path, seed)
            check_classifier(config, samples)
            return resolve_classifier(config, samples)
        dataset = shared_data(path, seed)
        check_trainable(config, dataset)
        return resolve(config, dataset)
    except ConfigurationError as error:
        what = f"row '{key}' cannot be trained on these data: {error.what}"
        raise TableError(what, error.where, error.mend) from error


def build_manifest(
    request: AblationRequest, data: dict[str, Any], judged_on: str
) -> dict[str, Any]:
    """What the ablation is, as JSON types; rows must be settled."""
    auto = request.seeds == AUTO
    return common_manifest(request, data, judged_on) | {
        "kind": ABLATION,
        "objective": request.table.objective,
        "table": request.table.to_dict(),
        "design": request.design,
        "seeds": request.seeds,
        "looks": list(LOOKS) if auto else None,
        "alpha": ALPHA,
        "region": request.region,
        "train": request.configs[request.table.baseline].to_dict(),
        "rows": {key: _row(request, key) for key in request.configs},
        "tuned": request.tuned,
        "budget": request.budget,
        "over": False,
        "ended": False,
    }


def _row(request: AblationRequest, key: str) -> dict[str, Any]:
    pretrain = request.pretrains.get(key)
    return {
        "config": request.configs[key].to_dict(),
        "pretrain": pretrain.to_dict() if pretrain else None,
    }


# -- the plan --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ahead:
    """What is known of an ablation before it begins.

    Attributes
    ----------
    request : AblationRequest
        Settled.
    manifest : dict
    outlook : TableOutlook
    allowance : Allowance
    donors : tuple of RunFolder
        Runs to take trainings from.
    taken : int
        Trainings that they have done.
    notes : tuple of str
        Of the budget, and of what can be found.
    """

    request: AblationRequest
    manifest: dict[str, Any]
    outlook: TableOutlook
    allowance: Allowance
    donors: tuple[RunFolder, ...]
    taken: int
    notes: tuple[str, ...]

    def told(self) -> dict[str, Any]:
        """What the manifest holds of it."""
        shared = f"share  {self.taken} trainings are done already, in other runs"
        lines = [*self.outlook.lines(), *([shared] if self.taken else []), *self.notes]
        return self.outlook.to_dict() | {"lines": lines}


def look_ahead(request: AblationRequest, cluster: "Cluster | None" = None) -> Ahead:
    """All that can be known of an ablation without writing anything.

    Raises
    ------
    EvolveError
        For all that is wrong with the request.
    """
    request, data, judged_on = settle(request)
    manifest = build_manifest(request, data, judged_on)
    budget = Budget.parse(request.budget, "--budget") if request.budget else None
    folder = RunFolder(request.out)
    known = _known_probes(folder, manifest, cluster)
    counts = counts_at_first(request)
    plans = _plans(request, manifest, counts)
    donors = named_donors(request.donors, manifest, plans)
    if request.shares and folder.path.absolute().parent.is_dir():
        donors += neighbours(folder, manifest)
    elsewhere = {one for donor in donors for one in trained(donor)}
    here = trained(folder, failed=True) if folder.manifest.is_file() else set()
    outlook = look_over(
        _loads(request, manifest, plans, elsewhere | here),
        request.data.path,
        request.seed,
        request.trainer,
        Asked(request.workers, request.gpus_per_trial, request.engine, _most(plans)),
        ThisMachine(),
        request.out,
        known=known,
        measures=request.probes,
        site=cluster,
    )
    allowance, notes = allowed(budget, outlook)
    wanted = {one for plan in plans for row in plan.rows for one in row.trainings}
    taken = len((elsewhere - here) & wanted)
    notes = (*notes, *_expected(request, [folder, *donors], max(counts.values())))
    return Ahead(request, manifest, outlook, allowance, tuple(donors), taken, notes)


def _expected(request: AblationRequest, runs: list[RunFolder], seeds: int) -> list[str]:
    """What differences the table will find."""
    known = [run for run in runs if run.manifest.is_file()]
    scatter = scatter_of(known, request.table.objective)
    others = sum(row.key != row.baseline for row in request.table.rows)
    lines = expectation(scatter, others, seeds, request.table.objective)
    if request.seeds != AUTO:
        return lines
    most = LOOKS[-1] * len(request.configs)
    return [
        f"       to the first look; at most {most} trainings, if none is decided before",
        *lines,
    ]


def _plans(
    request: AblationRequest, manifest: dict[str, Any], counts: Mapping[str, int]
) -> list[PlanRecord]:
    """Trainings of the classifiers, if there are any, and those of the table."""
    first = pretrain_plan(request, manifest, counts)
    return [*([first] if first else []), table_plan(request, manifest, counts)]


def _most(plans: list[PlanRecord]) -> int:
    """Trainings of the largest part."""
    return max(len({one for row in plan.rows for one in row.trainings}) for plan in plans)


def _loads(
    request: AblationRequest, manifest: dict[str, Any], plans: list[PlanRecord], done: set[str]
) -> list[Load]:
    """What is left to be trained, the baseline's first; rows share what is the same."""
    images = manifest["data"].get("images", {}).get(manifest["judged_on"], 0)
    table, seen, loads = plans[-1], set(done), []
    for plan in (table, *plans[:-1]):
        judged = images if plan is table and plan.judged_on != "val" else 0
        rows = sorted(plan.rows, key=lambda row: row.key != request.table.baseline)
        for row in rows:
            due = set(row.trainings) - seen
            seen |= due
            config = TrainConfig.model_validate(row.config)
            loads.append(Load(row.key, config, len(due), judged, is_first=plan is not table))
    return loads


def _known_probes(
    folder: RunFolder, manifest: dict[str, Any], cluster: "Cluster | None"
) -> dict[str, Probe]:
    """Probes of an earlier session on the same machine.

    Raises
    ------
    StoreError
        If the folder holds another run.
    """
    if not folder.manifest.is_file():
        return {}
    stored = read_manifest(folder)
    check_kind(stored, ABLATION, folder.path)
    check_same_run(stored, manifest, folder.path)
    machines = cluster.to_dict() if cluster else None
    same = kinds_of_machines(stored.get("cluster")) == kinds_of_machines(machines)
    if stored.get("hardware") != manifest["hardware"] or not same:
        return {}
    probes = (stored.get("outlook") or {}).get("probes", {})
    return {key: Probe.from_dict(probe) for key, probe in probes.items()}


# -- running ---------------------------------------------------------------------------------


def start_ablation(request: AblationRequest, listener: Listener) -> RunFolder:
    """Begin an ablation, or continue the one in the folder if it is the same.

    Raises
    ------
    EvolveError
        For all that is wrong with the request, before anything is trained.
    """
    with reached_cluster(request) as cluster:
        ahead = look_ahead(request, cluster)
        folder = RunFolder.create(request.out)
        with folder.lock():
            manifest = _agree_on_manifest(folder, ahead.manifest)
            manifest |= {
                "workers": ahead.outlook.placement.workers,
                "outlook": ahead.told(),
                "cluster": cluster.to_dict() if cluster else None,
            }
            check_storage(manifest, request, folder.path)
            folder.write_json(folder.manifest, manifest)
            listener.on_begin(manifest)
            settled = replace(ahead.request, seeds=manifest["seeds"])
            trainings = TableTrainings(
                settled, manifest, folder, ahead.outlook, ahead.allowance, ahead.donors, listener
            )
            trainings.run(cluster)
    return folder


def _agree_on_manifest(folder: RunFolder, wanted: dict[str, Any]) -> dict[str, Any]:
    """The folder's manifest if it is of the same table, brought up to date; else the new one.

    A table may have grown: rows and seeds that are there stay.
    """
    if not folder.manifest.is_file():
        return wanted
    stored = read_manifest(folder)
    check_same_run(stored, wanted, folder.path)
    seeds = stored["seeds"]
    if seeds != AUTO:
        seeds = max(seeds, wanted["seeds"])
    own = ("engine", "table", "design", "rows", "budget", "over", "ended")
    return {**stored, **{key: wanted[key] for key in own}, "seeds": seeds}


def stored_ablation(
    path: Path,
    *,
    seeds: int | None = None,
    budget: str | None = None,
    max_failures: int | None = None,
    **where: Any,
) -> AblationRequest:
    """The request that continues the ablation in a folder, with what differs this time.

    `where` is as for `stored_common`.

    Raises
    ------
    StoreError
        If the folder holds no ablation, or its manifest cannot be understood.
    """
    manifest = read_manifest(RunFolder.open(path))
    check_kind(manifest, ABLATION, path)
    if seeds is not None and manifest.get("seeds") == AUTO:
        what = "this table declared beforehand when it looks at its seeds"
        raise EvolveError(what, "--seeds", "leave it out, or begin another table with --out")
    try:
        rows = manifest["rows"]
        return AblationRequest(
            table=StoredTable.from_dict(manifest["table"], str(path)),
            configs={key: TrainConfig.model_validate(row["config"]) for key, row in rows.items()},
            pretrains={
                key: TrainConfig.model_validate(row["pretrain"])
                for key, row in rows.items()
                if row["pretrain"]
            },
            design=manifest["design"],
            seeds=manifest["seeds"] if seeds is None else max(seeds, manifest["seeds"]),
            region=manifest["region"],
            budget=manifest.get("budget", "") if budget is None else budget,
            max_failures=max_failures,
            tuned=manifest.get("tuned"),
            **stored_common(manifest, path, **where),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f"the manifest lacks or garbles {error}", str(path), "restore manifest.json"
        ) from error
