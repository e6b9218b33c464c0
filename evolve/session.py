"""What every kind of run has around its trainings: who asked for it, machines, engine, folder."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from evolve.code import code_digest
from evolve.data_source import EMBEDDED, DataSource, resolve_data
from evolve.engine.director import Director
from evolve.engine.placement import Placement
from evolve.errors import EvolveError, StoreError
from evolve.store.manifest import FORMAT, git_state, hardware, now, versions
from evolve.store.servers import keep_password
from evolve.store.study import STUDY_NAME, open_own_storage

if TYPE_CHECKING:
    from evolve.engine.cluster import Cluster
    from model.data.classes import ClassDataset
    from model.data.coco import Dataset

EngineName = Literal["ray", "inline"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a user asks for, whatever kind of run it is.

    Attributes
    ----------
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
    address : str or None
        Of a Ray cluster to run on; None runs on this machine. It is no part of what the run is.
    ship_data : bool
        Whether the data are sent to the machines of the cluster.
    """

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
    address: str | None = None
    ship_data: bool = False


def common_manifest(request: Request, data: dict[str, Any], judged_on: str) -> dict[str, Any]:
    """What the manifests of all kinds of runs say; `judged_on` is the split of comparisons."""
    return {
        "format": FORMAT,
        "name": request.out.name,
        "command": request.command,
        "created": now(),
        "seed": request.seed,
        "engine": request.engine,
        "trainer": request.trainer,
        "storage": request.storage and keep_password(request.storage),
        "study": _new_study_name(request),
        "data": data,
        "judged_on": judged_on,
        "test_opened": False,
        "code": code_digest(),
        "versions": versions(),
        "hardware": hardware(),
        "git": git_state(),
    }


def _new_study_name(request: Request) -> str:
    """One that no other run has, where several may share the storage."""
    return STUDY_NAME if not request.storage else f"{request.out.name}-{secrets.token_hex(4)}"


def describe_data(source: DataSource, dataset: "Dataset | ClassDataset") -> dict[str, Any]:
    """The data set as the manifest has it."""
    return {
        "path": source.argument,
        "name": source.name,
        "digest": dataset.digest,
        "classes": list(dataset.classes),
        "images": {name: len(records) for name, records in dataset.splits.items()},
        "notes": list(dataset.notes),
    }


def stored_common(
    manifest: dict[str, Any],
    path: Path,
    *,
    data: DataSource | None = None,
    engine: str | None = None,
    workers: int | None = None,
    gpus_per_trial: float | Literal["auto"] = "auto",
    address: str | None = None,
    ship_data: bool = False,
) -> dict[str, Any]:
    """What the request that continues the run in a folder has of `Request`.

    Parameters
    ----------
    manifest : dict
        Of the folder; a KeyError or TypeError where it lacks or garbles something.
    path : Path
        Of the folder.
    data, engine, workers, gpus_per_trial, address, ship_data
        Where it goes on, where that differs from before.
    """
    return {
        "data": data or resolve_data(manifest["data"]["path"]),
        "out": path,
        "seed": manifest["seed"],
        "engine": "inline" if (engine or manifest["engine"]) == "inline" else "ray",
        "workers": workers,
        "gpus_per_trial": gpus_per_trial,
        "storage": manifest.get("storage"),
        "trainer": manifest["trainer"],
        "address": address,
        "ship_data": ship_data,
    }


def kinds_of_machines(cluster: dict[str, Any] | None) -> list[list[int]]:
    """CPUs and GPUs of each machine of a cluster, as the manifest has it."""
    return sorted([node["cpus"], node["gpus"]] for node in (cluster or {"nodes": ()})["nodes"])


def check_storage(manifest: dict[str, Any], request: Request, where: Path) -> None:
    """Refuse another storage than the run has, or one that cannot be opened.

    Before the manifest is written, that is: from then on the run's study lies there.

    Raises
    ------
    StoreError
    """
    stored = manifest.get("storage")
    if not request.storage:
        return
    if keep_password(request.storage) != stored:
        raise StoreError(
            f"the study of this run lies in {stored or 'its folder'}",
            str(where),
            "leave --storage out, or give another folder with --out",
        )
    open_own_storage(str(stored)).remove_session()


@contextmanager
def reached_cluster(request: Request) -> Iterator["Cluster | None"]:
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
