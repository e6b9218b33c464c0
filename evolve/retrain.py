"""The ablation path, really trained: the defaults, and the configuration after every step.

Seeds are those of the final comparison, so that what it has trained, the two ends of the path
among it, is not trained again.
"""

from dataclasses import replace
from typing import Any

from evolve.engine.comparison import Comparison, Row, Training, plan_comparison
from evolve.engine.devices import ThisMachine
from evolve.engine.director import Listener
from evolve.engine.interrupt import Interrupt, stoppable
from evolve.engine.placement import place
from evolve.engine.trainers import shared_data
from evolve.errors import EvolveError
from evolve.findings import Findings, find
from evolve.findings.steps import row_key
from evolve.runs import RunRequest, asked_of, build_manifest, resolve_space
from evolve.seeds import fresh_seed
from evolve.session import describe_data, opened_engine, reached_cluster
from evolve.sharing import adopt
from evolve.space import Space
from evolve.store.comparison import FINAL, PATH, PlanRecord, read_comparison
from evolve.store.folder import RunFolder
from evolve.store.manifest import check_same_run
from evolve.store.read import read_manifest, storage_url, study_name
from evolve.store.study import open_own_storage, open_study

DEFAULTS = "default"


def retrain_path(request: RunRequest, seeds: int, listener: Listener) -> RunFolder:
    """Train the path of a stored run, or go on with it; nothing if it has no step.

    Parameters
    ----------
    request : RunRequest
        From `evolve.runs.stored_request`.
    seeds : int
        Of every configuration, if the path was not begun with more.
    listener : Listener

    Raises
    ------
    EvolveError
        If the run has no path, or the data are not those of the run.
    """
    folder = RunFolder.open(request.out)
    stored = read_manifest(folder)
    space, data = request.space, dict(stored["data"])
    if request.trainer == "detector":
        dataset = shared_data(request.data.path, request.seed)
        space, data = resolve_space(space, dataset), describe_data(request.data, dataset)
    wanted = build_manifest(replace(request, space=space), space, data, stored["judged_on"])
    check_same_run(stored, wanted, folder.path)
    with reached_cluster(request) as cluster, folder.lock():
        asked = asked_of(request)
        placement = cluster.place(None, asked) if cluster else place(None, ThisMachine(), asked)
        found = find(folder.path, request.data.argument)
        plan = plan_path(found, space, stored, _seeds(folder, seeds))
        storage = open_own_storage(storage_url(folder, stored))
        try:
            study = open_study(storage, name=study_name(stored, PATH))
            adopt(study, plan, folder, FINAL)
            training = Training(
                data=request.data.path,
                data_digest=stored["data"].get("digest", ""),
                data_seed=request.seed,
                trainer=request.trainer,
                threads=placement.threads,
            )
            interrupt = Interrupt(folder.halt)
            comparison = Comparison(
                study, plan, folder.comparison(PATH), training, listener, interrupt=interrupt
            )
            engine = opened_engine(request.engine, placement, cluster)
            with stoppable(interrupt), engine as drive:
                if not comparison.over():
                    listener.on_phase(comparison.phase())
                drive(comparison)
        finally:
            storage.remove_session()
    return folder


def _seeds(folder: RunFolder, asked: int) -> int:
    """As many as asked for, or as a path was begun with, if these are more."""
    before = read_comparison(folder.path, PATH)
    return asked if before is None else max(asked, len(before.plan.seeds))


def plan_path(found: Findings, space: Space, manifest: dict[str, Any], seeds: int) -> PlanRecord:
    """Rows of the path, the defaults first.

    Without a final comparison the path is judged on val: the test split is kept for that one.

    Raises
    ------
    EvolveError
        If there is no path.
    """
    if found.path is None:
        raise EvolveError("this run has no ablation path yet", manifest["name"], found.no_path)
    rows = [Row(DEFAULTS, "the defaults", space.to_config(space.defaults()))]
    for number, step in enumerate(found.path.steps, start=1):
        config = space.to_config(step.config)
        rows.append(Row(row_key(number, config), step.title, config))
    return plan_comparison(
        PATH,
        "ablation path",
        rows,
        [fresh_seed(manifest["seed"], index) for index in range(seeds)],
        objective=space.objective,
        judged_on=manifest["judged_on"] if manifest["test_opened"] else "val",
        data_digest=manifest["data"].get("digest", ""),
    )
