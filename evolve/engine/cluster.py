"""A Ray cluster that is there already: found, asked, used, and left running.

Nothing is assumed of its machines. Each that may train is asked by a task whether it has our
versions, our code, the run folder and the data, before any trial begins.
"""

import logging
import os
import re
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from evolve.engine.devices import Memory
from evolve.engine.likeness import Question, check, look
from evolve.engine.nodes import Node, place_on
from evolve.engine.placement import Asked, Placement
from evolve.engine.probe import TIME_LIMIT_S, Probe, measure
from evolve.engine.ray_tune import set_up_environment, signals_kept
from evolve.engine.shipping import pack, unpack_once
from evolve.errors import EvolveError
from model.config import TrainConfig

logger = logging.getLogger(__name__)

ANSWER_S = 4.0  # for a machine to be reached, and again for Ray to answer
LOOK_S = 120.0  # for a machine to install our code, start a process and look around
SEEN_S = 10.0  # for a file that another machine wrote to be seen here
OPTION = "--address"
CLIENT = "ray://"


@dataclass(frozen=True)
class Shipment:
    """A data set in the object store of a cluster.

    Attributes
    ----------
    digest : str
        Of the archive.
    pieces : tuple of ray.ObjectRef
    name : str
        Path of the data in it.
    """

    digest: str
    pieces: tuple[Any, ...]
    name: str

    def here(self) -> Path:
        """The data on this machine, unpacked by the first who asks."""
        return unpack_once(self.digest, (ray.get(piece) for piece in self.pieces)) / self.name


class Cluster:
    """Machines of a Ray cluster that may train; made by `opened_cluster`.

    Attributes
    ----------
    address : str
        As it was given.
    nodes : tuple of Node
    shipment : Shipment or None
        The data, if they were sent.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.shipment: Shipment | None = None
        self._ids: dict[str, str] = {}  # of Ray, by name
        self.nodes = tuple(self._found())

    def _found(self) -> Iterator[Node]:
        alive = [node for node in ray.nodes() if node["Alive"]]
        some_gpu = any(node["Resources"].get("GPU", 0) for node in alive)
        for node in alive:
            has = node["Resources"]
            cpus, gpus = int(has.get("CPU", 0)), int(has.get("GPU", 0))
            if not cpus or (some_gpu and not gpus):
                continue  # it gets no trial
            place = f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
            name = f"node {node['NodeID'][:8]}, {place}"
            self._ids[name] = node["NodeID"]
            yield Node(name, cpus, gpus, int(has.get("memory", 0)))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, for the manifest."""
        nodes = [{"name": one.name, "cpus": one.cpus, "gpus": one.gpus} for one in self.nodes]
        shipped = self.shipment.digest if self.shipment else None
        return {"address": self.address, "nodes": nodes, "shipped_data": shipped}

    def place(self, probe: Probe | None, asked: Asked) -> Placement:
        """As `evolve.engine.placement.place`, on all machines."""
        return place_on(probe, self.nodes, asked)

    def measure(
        self, config: TrainConfig, data: Path, data_seed: int, trainer: str, placement: Placement
    ) -> Probe:
        """As `evolve.engine.probe.measure`, on one of the machines that will train."""
        if trainer == "curve":
            return measure(config, data, data_seed, trainer, placement.threads)
        task = ray.remote(_measured).options(
            num_cpus=placement.threads, num_gpus=1 if placement.gpus else 0, max_retries=0
        )
        ref = task.remote(config, data, data_seed, trainer, placement.threads, self.shipment)
        found = _answer(ref, "the measuring of a trial", TIME_LIMIT_S + LOOK_S)
        assert isinstance(found, Probe)
        return found

    def ship(self, data: Path) -> None:
        """Put the data into the object store, from where each machine takes them once."""
        digest, pieces, name = pack(data, ray.put)
        self.shipment = Shipment(digest, tuple(pieces), name)
        logger.info("data=%s shipped pieces=%d digest=%s", data, len(pieces), digest[:12])

    def check(self, folder: Path, data: Path) -> None:
        """Ask every machine whether it can train, and how much memory its GPUs have.

        Parameters
        ----------
        folder : Path
            The run folder; it need not be there yet.
        data : Path
            Not asked for if the data were sent.

        Raises
        ------
        EvolveError
            With the machine that cannot, and how to mend it.
        """
        place = folder.absolute()
        while not place.is_dir():
            place = place.parent
        token = f".evolve-{os.urandom(6).hex()}"
        gpus = any(node.gpus for node in self.nodes)
        question = Question(str(place), token, "" if self.shipment else str(data), gpus)
        try:
            (place / token).write_text(token, encoding="utf-8")
            ours = look(replace(question, gpus=False))
            seen = self._asked(question)
            answers = _seen_in(place, [one["answer"] for one in seen if one["writes"]])
            for node, one in zip(self.nodes, seen, strict=True):
                check(node.name, one, ours, question, answers)
        except PermissionError as error:
            raise EvolveError("the run folder cannot be written", str(place), "--out") from error
        finally:
            for path in place.glob(f"{token}*"):
                path.unlink(missing_ok=True)
        self.nodes = tuple(
            replace(node, gpu_memory=tuple(Memory(**gpu["memory"]) for gpu in one["gpus"]))
            for node, one in zip(self.nodes, seen, strict=True)
        )

    def _asked(self, question: Question) -> list[dict[str, Any]]:
        """What each machine says."""
        task = ray.remote(look)
        refs = []
        for node in self.nodes:
            there = NodeAffinitySchedulingStrategy(self._ids[node.name], soft=False)
            options = task.options(num_cpus=0, scheduling_strategy=there, max_retries=0)
            refs.append(options.remote(question))
        ray.wait(refs, num_returns=len(refs), timeout=LOOK_S)
        return [_answer(ref, node.name, 0.1) for ref, node in zip(refs, self.nodes, strict=True)]


def _measured(
    config: TrainConfig,
    data: Path,
    data_seed: int,
    trainer: str,
    threads: int,
    shipment: Shipment | None,
) -> Probe:
    """A probe, made where this task runs."""
    return measure(config, shipment.here() if shipment else data, data_seed, trainer, threads)


def _answer(ref: Any, where: str, seconds: float) -> Any:
    """What a task gave; its own errors of ours as they are, others in a line."""
    try:
        return ray.get(ref, timeout=seconds)
    except ray.exceptions.GetTimeoutError:
        mend = "see 'ray status', and whether machines can reach each other on Ray's ports"
        raise EvolveError(f"no answer within {LOOK_S:g} s", where, mend) from None
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, EvolveError):
            raise error.cause from None
        raise EvolveError(
            f"it cannot be asked: {_last_line(error)}",
            where,
            "see 'ray status' on the head of the cluster",
        ) from None
    except ray.exceptions.RayError as error:
        raise EvolveError(
            f"it cannot be asked: {_last_line(error)}",
            where,
            "see 'ray status' on the head of the cluster",
        ) from None


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _seen_in(place: Path, wanted: Sequence[str]) -> list[str]:
    """Names in a folder, once all that are wanted are there or it takes too long."""
    deadline = time.monotonic() + SEEN_S
    while True:
        found = os.listdir(place)  # noqa: PTH208  (a network file system is asked anew)
        if set(wanted) <= set(found) or time.monotonic() > deadline:
            return found
        time.sleep(0.2)


@contextmanager
def opened_cluster(address: str) -> Iterator[Cluster]:
    """The cluster at an address, while it is used; it goes on running afterwards.

    Parameters
    ----------
    address : str
        ``auto``, ``HOST:PORT``, or ``ray://HOST:PORT`` from outside of the cluster.

    Raises
    ------
    EvolveError
        If there is none that can be used; within ten seconds.
    """
    set_up_environment()
    found = _found_address(address)
    if not found.startswith(CLIENT):
        _check_direct(found, address)
    with signals_kept():
        _connect(found, address)
    try:
        yield Cluster(address)
    finally:
        ray.shutdown()


def _found_address(address: str) -> str:
    """The address of a cluster that something listens at."""
    found = address
    if address == "auto":
        from ray._private.services import find_bootstrap_address

        # not what Ray's own auto may find: a Ray that belongs to another process alone
        found = os.environ.get("RAY_ADDRESS", "auto").removeprefix("auto")
        found = found or find_bootstrap_address(None) or ""
        if not found:
            mend = "start one with 'ray start --head', or give HOST:PORT"
            raise EvolveError("no Ray cluster runs on this machine", f"{OPTION} auto", mend)
    matched = re.fullmatch(r"(?:ray://)?\[?([^/\[\]]+)\]?:(\d{1,5})", found)
    if matched is None:
        mend = "give auto, HOST:PORT as for 'ray start --address', or ray://HOST:PORT"
        raise EvolveError(f"'{found}' is no address of a Ray cluster", OPTION, mend)
    try:
        socket.create_connection((matched[1], int(matched[2])), ANSWER_S).close()
    except (OSError, OverflowError) as error:
        mend = "see 'ray status' on the head of the cluster, and its firewall"
        raise EvolveError(f"nothing answers at {found}: {error}", OPTION, mend) from None
    return found


def _check_direct(found: str, address: str) -> None:
    """Refuse what Ray itself would wait minutes for, or crash over."""
    from ray._private.services import find_node_ids

    metadata = _metadata(found)
    if metadata is None:
        mend = f"give the port of 'ray start --head' (6379), or {CLIENT}HOST:10001 for a client"
        raise EvolveError(f"what answers at {found} is no Ray cluster", OPTION, mend)
    if metadata["ray_version"] != ray.__version__:
        raise _other_version(f"Ray {metadata['ray_version']}", f"Ray {ray.__version__}", address)
    if not find_node_ids():
        raise EvolveError(
            "this machine is no part of the cluster",
            f"{OPTION} {address}",
            f"run 'ray start --address {found}' here, with --num-cpus 0 if it is to train "
            f"nothing; or use {CLIENT}HOST:10001",
        )


def _metadata(found: str) -> dict[str, Any] | None:
    """What a cluster says of itself; None if it says nothing in time."""
    from ray._common.usage.usage_lib import get_cluster_metadata

    said: list[dict[str, Any]] = []

    def ask() -> None:
        try:
            said.append(get_cluster_metadata(ray._raylet.GcsClient(address=found)))
        except Exception as error:  # whatever answers there
            logger.debug("no cluster at %s: %s", found, error)

    asking = threading.Thread(target=ask, daemon=True)  # Ray itself would try for two minutes
    asking.start()
    asking.join(ANSWER_S)
    return said[0] if said else None


def _other_version(there: str, here: str, address: str) -> EvolveError:
    mend = "install the same versions on both sides (constraints.txt names ours)"
    return EvolveError(f"the cluster has {there}, and {here} is here", f"{OPTION} {address}", mend)


def _connect(found: str, address: str) -> None:
    client = found.startswith(CLIENT)
    if client:
        os.environ |= {"RAY_CLIENT_INITIAL_CONNECTION_TIMEOUT_S": "2",
                       "RAY_CLIENT_MAX_CONNECTION_TIMEOUT_S": "3"}  # fmt: skip
    try:
        ray.init(
            address=found,
            runtime_env=_our_code(),
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except ImportError as error:
        mend = "pip install 'ray[client]', or run on a machine of the cluster"
        raise EvolveError(f"Ray's client is not installed: {error}", OPTION, mend) from None
    except (Exception, SystemExit) as error:
        versions = re.findall(r"(Ray|Python): (\S+)", str(error))
        if len(versions) == 4:
            there, here = (", ".join(map(" ".join, two)) for two in (versions[:2], versions[2:]))
            raise _other_version(there, here, address) from None
        mend = "see 'ray status' on the head of the cluster"
        if client:
            mend += "; the port of clients is 10001 if nothing else was said"
        raise EvolveError(
            f"no Ray cluster can be used at {found}: {_last_line(error)}", OPTION, mend
        ) from None


def _our_code() -> dict[str, Any]:
    """What Ray gives to every process that works for us."""
    import evolve
    import model

    ours = {name: value for name, value in os.environ.items() if name.startswith("EVOLVE_")}
    ours.pop("EVOLVE_CACHE_DIR", None)  # a place on this machine
    secret = ("_STORAGE", "_MLFLOW", "_ON_END")  # options of the command, which may hold passwords
    ours = {name: value for name, value in ours.items() if not name.endswith(secret)}
    return {
        "py_modules": [str(next(iter(package.__path__))) for package in (evolve, model)],
        "excludes": ["__pycache__", "*.pyc"],
        "env_vars": {**ours, "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"},
    }
