"""A whole run: from a space and data to stored trials, started or continued."""

import logging
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from optuna.samplers import BaseSampler

from evolve.cards.warm_start import WarmStart
from evolve.data_source import EMBEDDED, DataSource, resolve_data
from evolve.engine.comparison import Comparison, Training
from evolve.engine.coordinator import Coordinator, Settings
from evolve.engine.devices import ThisMachine
from evolve.engine.director import Director, Listener
from evolve.engine.interrupt import Interrupt, stoppable
from evolve.engine.outlook import Outlook, Subject, allowed, look_ahead
from evolve.engine.placement import Asked, Placement
from evolve.engine.probe import Probe
from evolve.engine.recipes import changeable_parameters
from evolve.engine.schedulers import Scheduler, Setting, build_scheduler
from evolve.engine.trainers import shared_data
from evolve.errors import EvolveError, StoreError
from evolve.final import judged_split, plan_final, write_confirmed
from evolve.search.factory import build_sampler
from evolve.space import Space
from evolve.space.confirm import Confirm, planned_trainings
from evolve.space.space import LIMITS
from evolve.store.comparison import read_comparison
from evolve.store.folder import RunFolder
from evolve.store.manifest import (
    FORMAT,
    check_same_run,
    git_state,
    hardware,
    now,
    versions,
)
from evolve.store.read import read_manifest, storage_url, study_name
from evolve.store.servers import keep_password
from evolve.store.study import STUDY_NAME, open_own_storage, open_study
from evolve.train_one import check_trainable
from model.data.coco import Dataset

if TYPE_CHECKING:
    from evolve.engine.cluster import Cluster

logger = logging.getLogger(__name__)

EngineName = Literal["ray", "inline"]


@dataclass(frozen=True)
class RunRequest:
    """What the user asked for.

    Attributes
    ----------
    space : Space
    data : DataSource
    out : Path
        Run folder.
    seed : int
    engine : str
    workers : int or None
        None takes what the machine has.
    gpus_per_trial : float or "auto"
    probes : bool
        Whether one trial is measured before the first, for the plan and for its place.
    storage : str or None
        Optuna storage URL; None takes the folder's own SQLite file.
    trainer : str
        Name in `evolve.engine.trainers`.
    command : str
        As typed, for the manifest.
    warm_start : tuple of WarmStart
        Earlier studies to begin with.
    address : str or None
        Of a Ray cluster to run on; None runs on this machine. It is no part of what the run is.
    ship_data : bool
        Whether the data are sent to the machines of the cluster.
    """

    space: Space
    data: DataSource
    out: Path
    seed: int = 0
    engine: EngineName = "ray"
    workers: int | None = None
    gpus_per_trial: float | Literal["auto"] = "auto"
    probes: bool = True
    storage: str | None = None
    trainer: str = "detector"
    command: str = ""
    warm_start: tuple[WarmStart, ...] = ()
    address: str | None = None
    ship_data: bool = False


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
    return {
        "format": FORMAT,
        "name": request.out.name,
        "command": request.command,
        "created": now(),
        "objective": space.objective,
        "seed": request.seed,
        "sampler": space.sampler,
        "scheduler": space.scheduler,
        "engine": request.engine,
        "trainer": request.trainer,
        "trials": space.trials,
        "confirm": space.confirm,
        "storage": request.storage and keep_password(request.storage),
        "study": _new_study_name(request),
        "space": space.to_dict(),
        "train": space.base.to_dict(),
        "data": data,
        "judged_on": judged_on,
        "test_opened": False,
        **(
            {"warm_start": [w.to_dict() for w in request.warm_start]} if request.warm_start else {}
        ),
        "versions": versions(),
        "hardware": hardware(),
        "git": git_state(),
    }


def _new_study_name(request: RunRequest) -> str:
    """One that no other run has, where several may share the storage."""
    return STUDY_NAME if not request.storage else f"{request.out.name}-{secrets.token_hex(4)}"


def describe_data(source: DataSource, dataset: Dataset) -> dict[str, Any]:
    """The data set as the manifest has it."""
    return {
        "path": source.argument,
        "name": source.name,
        "digest": dataset.digest,
        "classes": list(dataset.classes),
        "images": {name: len(records) for name, records in dataset.splits.items()},
        "notes": list(dataset.notes),
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
    before = _known_probe(request, manifest)
    with reached_cluster(request) as cluster:
        machines = cluster.to_dict() if cluster else None
        probe = before[0] if before and before[1] == _kinds(machines) else None
        outlook = _look_ahead(request, manifest, probe, cluster)
        folder = RunFolder.create(request.out)
        with folder.lock():
            manifest = _agree_on_manifest(folder, manifest | {"confirm": str(outlook.confirm)})
            manifest |= {"workers": outlook.placement.workers, "outlook": outlook.to_dict()}
            manifest |= {"cluster": machines}
            folder.write_json(folder.manifest, manifest)
            listener.on_begin(manifest)
            _run(folder, manifest, request, outlook.placement, listener, cluster)
    return folder


@contextmanager
def reached_cluster(request: RunRequest) -> Iterator["Cluster | None"]:
    """The cluster that a request names, whose machines have all that a trial needs; or None.

    Raises
    ------
    EvolveError
        If it cannot be reached, or one of its machines cannot train.
    """
    if request.address is None:
        if request.ship_data:
            raise EvolveError("data are sent to a cluster only", "--ship-data", "give --address")
        yield None
        return
    if request.engine == "inline":
        raise EvolveError("the inline engine uses no cluster", "--address", "give --engine ray")
    from evolve.engine.cluster import opened_cluster

    with opened_cluster(request.address) as cluster:
        if request.ship_data or request.data.argument == EMBEDDED:
            cluster.ship(request.data.path)
        cluster.check(request.out, request.data.path)
        yield cluster


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
    return Probe.from_dict(known), _kinds(stored.get("cluster"))


def _kinds(cluster: dict[str, Any] | None) -> list[list[int]]:
    """CPUs and GPUs of each machine of a cluster, as the manifest has it."""
    return sorted([node["cpus"], node["gpus"]] for node in (cluster or {"nodes": ()})["nodes"])


def _look_ahead(
    request: RunRequest,
    manifest: dict[str, Any],
    probe: Probe | None,
    cluster: "Cluster | None",
) -> Outlook:
    """Outlook of a run, with the probe that it had before, if there is one."""
    images = manifest["data"].get("images", {}).get(manifest["judged_on"], 0)
    subject = Subject(
        request.space, request.data.path, request.seed, request.trainer, judged_images=images
    )
    return look_ahead(
        subject,
        asked_of(request),
        ThisMachine(),
        request.out,
        probe=probe,
        measures=request.probes,
        site=cluster,
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
    data: DataSource | None = None,
    engine: str | None = None,
    workers: int | None = None,
    gpus_per_trial: float | Literal["auto"] = "auto",
    limits: Mapping[str, Any] | None = None,
    address: str | None = None,
    ship_data: bool = False,
) -> RunRequest:
    """The request that continues the run in a folder, with what differs this time.

    `limits` has new values of `evolve.space.space.LIMITS`.

    Raises
    ------
    StoreError
        If the folder holds no run, or its manifest cannot be understood.
    """
    manifest = read_manifest(RunFolder.open(path))
    try:
        confirm = str(Confirm.parse(confirm or manifest.get("confirm", "0"), "--confirm"))
        space = Space.from_dict(manifest["space"])
        stored = manifest["data"]
        return RunRequest(
            space=replace(
                space, trials=trials or manifest["trials"], confirm=confirm, **(limits or {})
            ),
            data=data or resolve_data(stored["path"]),
            out=path,
            seed=manifest["seed"],
            engine="inline" if (engine or manifest["engine"]) == "inline" else "ray",
            workers=workers,
            gpus_per_trial=gpus_per_trial,
            storage=manifest.get("storage"),
            trainer=manifest["trainer"],
            warm_start=tuple(map(WarmStart.from_dict, manifest.get("warm_start", ()))),
            address=address,
            ship_data=ship_data,
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
        study = open_study(storage, name=study_name(manifest))
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
        )
        with stoppable(interrupt), opened_engine(request.engine, placement, cluster) as drive:
            drive(coordinator)
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


@contextmanager
def opened_engine(
    name: EngineName, placement: Placement, cluster: "Cluster | None" = None
) -> Iterator[Callable[[Director], None]]:
    """What runs all trainings of a director; Ray starts with the first, and once for them all.

    With a cluster it is there already.
    """
    with ExitStack() as stack:

        def on_ray(director: Director) -> None:
            from evolve.engine.ray_tune import is_running, local_ray, run_on_ray

            if not is_running():
                stack.enter_context(local_ray(placement))
            run_on_ray(director, placement, cluster.shipment if cluster else None)

        def drive(director: Director) -> None:
            from evolve.engine.inline import run_inline

            if not director.over():
                (run_inline if name == "inline" else on_ray)(director)
            if director.fatal:
                raise director.fatal
            if director.interrupt is not None and director.interrupt.asked:
                raise KeyboardInterrupt

        yield drive
