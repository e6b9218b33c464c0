"""A whole run: from a space and data to stored trials, started or continued."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from evolve.cards.warm_start import WarmStart
from evolve.confirm import Confirm, planned_trainings
from evolve.cost_book import CostBook, Meter, changing, meter_for
from evolve.engine.comparison import Comparison, Training
from evolve.engine.coordinator import Coordinator, Settings, search_limits
from evolve.engine.devices import ThisMachine
from evolve.engine.director import Listener
from evolve.engine.interrupt import Interrupt, stoppable
from evolve.engine.outlook import Outlook, Subject, allowed, look_ahead
from evolve.engine.pace import spent
from evolve.engine.placement import Asked, Placement
from evolve.engine.plan import Behind
from evolve.engine.probe import Probe
from evolve.engine.recipes import changeable_parameters
from evolve.engine.schedulers import Scheduler, Setting, build_scheduler
from evolve.engine.trainers import shared_data
from evolve.errors import StoreError
from evolve.final import judged_split, plan_final, write_confirmed
from evolve.front_files import write_front
from evolve.objectives import directions_of, names_of
from evolve.search.factory import build_sampler
from evolve.session import (
    Request,
    check_storage,
    common_manifest,
    describe_data,
    kinds_of_machines,
    opened_engine,
    reached_cluster,
    stored_common,
)
from evolve.space import Space
from evolve.space.space import LIMITS
from evolve.store.comparison import FINAL, read_comparison
from evolve.store.folder import RunFolder
from evolve.store.journal import read_journal
from evolve.store.manifest import RUN, check_kind, check_same_run, now
from evolve.store.read import read_manifest, storage_url, stored_trials, study_name
from evolve.store.study import open_own_storage, open_study
from evolve.train_one import check_trainable
from model.data.coco import Dataset

if TYPE_CHECKING:
    from evolve.engine.cluster import Cluster

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RunRequest(Request):
    """What the user asked for.

    Attributes
    ----------
    space : Space
    warm_start : tuple of WarmStart
        Earlier studies to begin with.
    """

    space: Space
    warm_start: tuple[WarmStart, ...] = ()


def asked_of(request: RunRequest) -> Asked:
    """What a request wants of the machine."""
    at_once = max(request.space.trials, final_trainings(request.space.confirm))
    return Asked(request.workers, request.gpus_per_trial, request.engine, at_once)


def resolve_space(space: Space, dataset: Dataset) -> Space:
    """`space` with a base configuration settled for the data, if it can be trained at all."""
    from model.train import resolve

    check_trainable(space.base, dataset)
    return replace(space, base=resolve(space.base, dataset))


def build_run_sampler(request: RunRequest, n_existing: int = 0) -> BaseSampler:
    """The sampler of a run whose study holds so many trials."""
    priors = [one.prior for one in request.warm_start]
    space = request.space
    return build_sampler(space.sampler, request.seed, space, n_existing, priors)


def build_run_scheduler(space: Space, seed: int) -> Scheduler:
    """The scheduler of a run."""
    setting = Setting(
        epochs=space.base.epochs,
        trials=space.trials,
        seed=seed,
        fidelity=space.fidelity,
        promote=space.promote,
        changeable=changeable_parameters(space),
    )
    return build_scheduler(space.scheduler, space.base.epochs, setting)


def build_manifest(
    request: RunRequest, space: Space, data: dict[str, Any], judged_on: str
) -> dict[str, Any]:
    """What the run is, as JSON types; `judged_on` is the split of its final comparison."""
    return common_manifest(request, data, judged_on) | {
        "objective": space.objective,
        **({"cost": space.cost} if space.cost else {}),
        "sampler": space.sampler,
        "scheduler": space.scheduler,
        "trials": space.trials,
        "confirm": space.confirm,
        "space": space.to_dict(),
        "train": space.base.to_dict(),
        **(
            {"warm_start": [w.to_dict() for w in request.warm_start]} if request.warm_start else {}
        ),
    }


def start_run(request: RunRequest, listener: Listener) -> RunFolder:
    """Begin a run, or continue the one in the folder if it is the same.

    Raises
    ------
    EvolveError
        For all that is wrong with the request, before any trial begins.
    """
    space, data = request.space, {"path": request.data.argument, "name": request.data.name}
    judged_on = "test"
    if request.trainer == "detector":
        # the reader of the trainer, so that trials of this process read the set no second time
        dataset = shared_data(request.data.path, request.seed)
        space, data = resolve_space(space, dataset), describe_data(request.data, dataset)
        judged_on = judged_split(dataset)
    request = replace(request, space=space)
    build_run_scheduler(space, request.seed)  # refuses early what it cannot work with
    build_run_sampler(request)
    manifest = build_manifest(request, space, data, judged_on)
    if space.cost:
        manifest |= {"cost_changed_by": changing(space, _meter(request, manifest))}
    before, behind = _known_probe(request, manifest), _behind(request)
    with reached_cluster(request) as cluster:
        machines = cluster.to_dict() if cluster else None
        probe = before[0] if before and before[1] == kinds_of_machines(machines) else None
        outlook = _look_ahead(request, manifest, probe, cluster, behind)
        folder = RunFolder.create(request.out)
        with folder.lock():
            manifest = _agree_on_manifest(folder, manifest | {"confirm": str(outlook.confirm)})
            manifest |= {"workers": outlook.placement.workers, "outlook": outlook.to_dict()}
            manifest |= {"cluster": machines}
            check_storage(manifest, request, folder.path)
            folder.write_json(folder.manifest, manifest)
            listener.on_begin(manifest | {"outlook": (outlook.left or outlook).to_dict()})
            _run(folder, manifest, request, outlook.placement, listener, cluster)
    return folder


def _known_probe(
    request: RunRequest, manifest: dict[str, Any]
) -> tuple[Probe, list[list[int]]] | None:
    """Probe of an earlier session with this driver, and the kinds of machines it was for.

    Raises
    ------
    StoreError
        If the folder holds another run.
    """
    folder = RunFolder(request.out)
    if not folder.manifest.is_file():
        return None
    stored = read_manifest(folder)
    check_same_run(stored, manifest, folder.path)
    known = (stored.get("outlook") or {}).get("probe")
    if not known or stored.get("hardware") != manifest["hardware"]:
        return None
    return Probe.from_dict(known), kinds_of_machines(stored.get("cluster"))


def _behind(request: RunRequest) -> Behind | None:
    """What earlier sessions have done of what is asked for now; None in a new folder."""
    folder = RunFolder(request.out)
    if not folder.manifest.is_file():
        return None
    stored = read_manifest(folder)
    space = _in_all(request, stored)
    limits = search_limits(space.trials, space.until_no_gain or None, space.time)
    events, final = list(read_journal(folder.journal)), folder.comparison(FINAL)
    seconds = zip(spent(folder.journal), spent(final.journal), strict=True)
    wall_s, trained_s = (sum(both) for both in seconds)
    stored_ones = stored_trials(folder, stored, whole=False)
    trials = [trial for trial in stored_ones if trial.state != TrialState.WAITING]
    record = read_comparison(folder.path)
    each = None if record is None else record.trainings.drop_duplicates("training")
    states: list[str] = [] if each is None else each["state"].tolist()
    return Behind(
        ended=sum(trial.state.is_finished() for trial in trials),
        begun=tuple(len(t.intermediate_values) for t in trials if not t.state.is_finished()),
        epochs=sum(len(trial.intermediate_values) for trial in trials),
        is_closed=_is_closed(events, limits),
        finals=sum(state in ("COMPLETE", "FAIL") for state in states),
        finals_planned=len(states),
        confirm=stored.get("confirm", "0"),
        wall_s=wall_s,
        trained_s=trained_s,
    )


def _is_closed(events: Sequence[Mapping[str, Any]], limits: Mapping[str, Any]) -> bool:
    """Whether a journal says that no trial is begun any more within these limits."""
    told = [event for event in events if event["event"] in ("close", "open")]
    return bool(told) and told[-1].get("limits") == limits


def _in_all(request: RunRequest, stored: Mapping[str, Any]) -> Space:
    """The space with as many trials as the run will hold."""
    return replace(request.space, trials=max(stored.get("trials", 0), request.space.trials))


def _look_ahead(
    request: RunRequest,
    manifest: dict[str, Any],
    probe: Probe | None,
    cluster: "Cluster | None",
    behind: Behind | None,
) -> Outlook:
    """Outlook of a run, with the probe that it had before, if there is one."""
    images = manifest["data"].get("images", {}).get(manifest["judged_on"], 0)
    folder = RunFolder(request.out)
    stored = read_manifest(folder) if behind is not None else {}
    subject = Subject(
        _in_all(request, stored),
        request.data.path,
        request.seed,
        request.trainer,
        judged_images=images,
    )
    return look_ahead(
        subject,
        asked_of(request),
        ThisMachine(),
        request.out,
        probe=probe,
        measures=request.probes,
        site=cluster,
        behind=behind,
    )


def _agree_on_manifest(folder: RunFolder, wanted: dict[str, Any]) -> dict[str, Any]:
    """The folder's manifest if it is of the same run, brought up to date; else the new one."""
    if not folder.manifest.is_file():
        return wanted
    stored = read_manifest(folder)
    check_same_run(stored, wanted, folder.path)
    trials = max(stored.get("trials", 0), wanted["trials"])
    confirm = Confirm.parse(wanted["confirm"]).or_more(Confirm.parse(stored.get("confirm", "0")))
    own = {key: wanted[key] for key in ("engine", "judged_on")}
    space = {key: value for key, value in stored["space"].items() if key not in LIMITS}
    own["space"] = space | {k: v for k, v in wanted["space"].items() if k in LIMITS}
    return {**stored, "trials": trials, "confirm": str(confirm), **own}


def stored_request(
    path: Path,
    *,
    trials: int | None = None,
    confirm: str | None = None,
    limits: Mapping[str, Any] | None = None,
    **where: Any,
) -> RunRequest:
    """The request that continues the run in a folder, with what differs this time.

    `limits` has new values of `evolve.space.space.LIMITS`, `where` is as for `stored_common`.

    Raises
    ------
    StoreError
        If the folder holds no run, or its manifest cannot be understood.
    """
    manifest = read_manifest(RunFolder.open(path))
    check_kind(manifest, RUN, path)
    try:
        confirm = str(Confirm.parse(confirm or manifest.get("confirm", "0"), "--confirm"))
        space = Space.from_dict(manifest["space"])
        return RunRequest(
            space=replace(
                space, trials=trials or manifest["trials"], confirm=confirm, **(limits or {})
            ),
            warm_start=tuple(map(WarmStart.from_dict, manifest.get("warm_start", ()))),
            **stored_common(manifest, path, **where),
        )
    except (KeyError, TypeError) as error:
        raise StoreError(
            f"the manifest lacks or garbles {error}", str(path), "restore manifest.json"
        ) from error


def _run(
    folder: RunFolder,
    manifest: dict[str, Any],
    request: RunRequest,
    placement: Placement,
    listener: Listener,
    cluster: "Cluster | None",
) -> None:
    space = replace(request.space, trials=manifest["trials"])
    allowance, interrupt = allowed(space, placement), Interrupt(folder.halt)
    storage = open_own_storage(storage_url(folder, manifest))
    try:
        study = open_study(
            storage,
            name=study_name(manifest),
            directions=directions_of(space.cost),
            names=names_of(space.objective, space.cost) if space.cost else (),
        )
        study.sampler = build_run_sampler(request, len(study.get_trials(deepcopy=False)))
        coordinator = Coordinator(
            study,
            space,
            folder,
            build_run_scheduler(space, request.seed),
            Settings(
                trials=manifest["trials"],
                seed=request.seed,
                data=request.data.path,
                trainer=request.trainer,
                threads=placement.threads,
                final_trainings=final_trainings(manifest["confirm"]),
                until_no_gain=space.until_no_gain or None,
                max_failures=space.max_failures,
            ),
            listener,
            allowance=allowance,
            interrupt=interrupt,
            costs=_costs(folder, request, manifest),
        )
        with stoppable(interrupt), opened_engine(request.engine, placement, cluster) as drive:
            drive(coordinator)
            write_front(folder, coordinator)
            comparison = _final_comparison(coordinator, manifest, request, listener)
            if comparison is not None:
                if not comparison.over():
                    listener.on_phase(comparison.phase())
                drive(comparison)
    finally:
        storage.remove_session()
    record = read_comparison(folder.path) if comparison is not None else None
    if record is not None:
        write_confirmed(folder, record)
        write_front(folder, coordinator)


def _meter(request: RunRequest, manifest: dict[str, Any]) -> Meter:
    """What measures the second objective."""
    classes = len(manifest["data"].get("classes", ()))
    return meter_for(request.trainer, request.space.cost, classes)


def _costs(folder: RunFolder, request: RunRequest, manifest: dict[str, Any]) -> CostBook | None:
    """What is known of the networks of a run with two objectives; None with one."""
    if not request.space.cost:
        return None
    return CostBook(folder.costs, request.space.cost, _meter(request, manifest))


def _final_comparison(
    search: Coordinator, manifest: dict[str, Any], request: RunRequest, listener: Listener
) -> Comparison | None:
    """The comparison that follows a finished search; None if there is nothing to compare.

    The manifest tells from here on that the test split was opened.
    """
    size, folder = Confirm.parse(manifest["confirm"]), search.folder
    plan = plan_final(search.study, search.space, manifest, size) if size else None
    if plan is None:
        return None
    if plan.judged_on == "test" and not manifest["test_opened"]:
        manifest.update(test_opened=True, test_opened_at=now())
        folder.write_json(folder.manifest, manifest)
    training = Training(
        data=request.data.path,
        data_digest=manifest["data"].get("digest", ""),
        data_seed=request.seed,
        trainer=request.trainer,
        threads=search.settings.threads,
    )
    study = open_study(search.study._storage, name=study_name(manifest, plan.name))
    comparison = Comparison(
        study,
        plan,
        folder.comparison(plan.name),
        training,
        listener,
        search.remaining(),
        search.settings.max_failures,
        search.interrupt,
    )
    comparison.pace.expected_s = search.pace.epoch_s
    return comparison


def final_trainings(confirm: str) -> int:
    """Trainings of a final comparison of this size."""
    size = Confirm.parse(confirm)
    return planned_trainings(size.candidates, size.seeds) if size else 0
