"""Where trials run on a cluster: how many at once, with which part of which machine.

A trial lives on one machine. All trials ask for the same share, because Ray Tune is told of one
share alone; so the machines together take as many as each holds by itself.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from evolve.engine.devices import Memory
from evolve.engine.placement import (
    MOST_ON_ONE,
    Asked,
    Bound,
    Placement,
    holds,
    share_of,
    trials_on_one,
)
from evolve.engine.shrinking import how_to_shrink
from evolve.errors import EvolveError
from evolve.units import size

if TYPE_CHECKING:
    from evolve.engine.probe import Probe


@dataclass(frozen=True)
class Node:
    """A machine of a cluster, with what Ray has to give on it.

    Attributes
    ----------
    name : str
        As people know it.
    cpus, gpus : int
    memory_bytes : int
        Of the host; trials ask Ray for their part of it.
    gpu_memory : tuple of Memory
        Of every GPU, if it is known.
    """

    name: str
    cpus: int
    gpus: int = 0
    memory_bytes: int = 1 << 62
    gpu_memory: tuple[Memory, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, for the manifest."""
        return asdict(self)


def place_on(probe: "Probe | None", nodes: Sequence[Node], asked: Asked) -> Placement:
    """As many trials at once as a cluster has room for, or as were asked for.

    Where there is a GPU, machines without one get no trial. What is asked for is never more than
    Ray has to give: it would wait for ever.

    Raises
    ------
    EvolveError
        If no machine has room for a trial, or not all for as many as were asked for; or the
        request makes no sense.
    """
    with_gpus = [node for node in nodes if node.gpus]
    used = [node for node in with_gpus or nodes if node.cpus]
    _check(asked, used, with_gpus)
    if probe is not None:
        _check_one_fits(probe, used)
    return _Cluster(probe, tuple(used)).placed(asked)


def _check(asked: Asked, used: Sequence[Node], with_gpus: Sequence[Node]) -> None:
    if asked.workers is not None and asked.workers < 1:
        raise EvolveError("a run needs at least one worker", "--workers", "give 1 or more")
    if not used:
        what = "no machine with a GPU has a CPU" if with_gpus else "no machine has a CPU"
        mend = "every trial needs one: start Ray there with --num-cpus"
        raise EvolveError(f"{what} for trials in this cluster", "--address", mend)
    share = asked.gpus_per_trial
    if share == "auto":
        return
    most = max(node.gpus for node in used)
    if not share > 0 or share > most:
        has = f"more than {most}, and a trial lives on one" if most else "one"
        raise EvolveError(
            f"{share:g} GPUs per trial cannot be had",
            "--gpus-per-trial",
            f"no machine of this cluster has {has}; give "
            + ("a number above 0" if most else "auto to train on the CPU"),
        )
    if share > 1 and share != int(share):
        raise EvolveError(
            f"{share:g} GPUs per trial cannot be had: a trial shares one GPU, or has whole ones",
            "--gpus-per-trial",
            f"give {math.floor(share)} or {math.ceil(share)}, a part of 1, or auto",
        )


def _check_one_fits(probe: "Probe", used: Sequence[Node]) -> None:
    mend = how_to_shrink(probe.mini_batch, probe.size_px)
    for node in used:
        for number, memory in enumerate(node.gpu_memory):
            if memory.free_bytes < probe.device_bytes:
                raise EvolveError(
                    f"one trial takes {size(probe.device_bytes)} of a GPU, and "
                    f"{size(memory.free_bytes)} of {size(memory.total_bytes)} are free",
                    f"GPU {number} of {node.name}",
                    f"{mend}, or leave this machine out of the cluster",
                )
    most = max(node.memory_bytes for node in used)
    if most < probe.host_bytes:
        raise EvolveError(
            f"one trial takes {size(probe.host_bytes)} of memory, and no machine has more than "
            f"{size(most)}",
            "this cluster",
            f"{mend}, or lower data.cache_mb",
        )


@dataclass(frozen=True)
class _Cluster:
    """Machines that train, and what one trial takes of them."""

    probe: "Probe | None"
    nodes: tuple[Node, ...]

    @property
    def gpus(self) -> int:
        return sum(node.gpus for node in self.nodes)

    @property
    def cpus(self) -> int:
        return sum(node.cpus for node in self.nodes)

    def room(self, share: float, threads: int = 1) -> int:
        """Trials with this share of GPUs and so many threads that all machines take."""
        return sum(self._on(node, share, threads) for node in self.nodes)

    def _on(self, node: Node, share: float, threads: int) -> int:
        rooms = [node.cpus // threads]
        if self.gpus:
            rooms.append(
                node.gpus * trials_on_one(share) if share < 1 else node.gpus // int(share)
            )
        if self.probe is not None and self.probe.host_bytes:
            rooms.append(node.memory_bytes // self.probe.host_bytes)
        return min(rooms)

    def placed(self, asked: Asked) -> Placement:
        """The placement of trials that fit one by one."""
        most = self._share(asked, None)
        room = self.room(most)
        workers, bound = (room, self._bound(most)) if room <= asked.trials else (
            asked.trials, "trials")  # fmt: skip
        if asked.workers is not None:
            workers, bound = asked.workers, "asked"
        if not 1 <= workers <= room:
            self._refuse(max(1, workers), asked, room)
        share = self._share(asked, workers)
        threads = max(
            n for n in range(1, self._most_cpus() + 1) if n == 1 or self.room(share, n) >= workers
        )
        on_one = trials_on_one(share) if self.gpus else 0
        shown = f"{workers} at once on {len(self.nodes)} machine"
        shown += "" if len(self.nodes) == 1 else "s"
        shown += f", {on_one} on a GPU" if on_one > 1 else ""
        shown += f", {threads} thread{'' if threads == 1 else 's'} each"
        return Placement(
            workers=workers,
            cpus=self.cpus,
            threads=threads,
            gpus=self.gpus,
            gpus_per_trial=share,
            trials_per_gpu=min(workers, on_one),
            bound=bound,
            why=f"{shown}: {self._reason(bound)}",
            nodes=len(self.nodes),
            cpus_alone=self._most_cpus(),
            memory_bytes=self.probe.host_bytes if self.probe else 0,
        )

    def _most_cpus(self) -> int:
        return max(node.cpus for node in self.nodes)

    def _share(self, asked: Asked, workers: int | None) -> float:
        """Part of a GPU for each trial: the largest with which so many fit; None for most."""
        if not self.gpus:
            return 0.0
        if asked.gpus_per_trial != "auto":
            return float(asked.gpus_per_trial)
        asked_for = workers is not None and asked.workers is not None
        most = self._on_smallest(margin=not asked_for)
        if workers is None:
            wanted = asked.workers or 0
            most = max(most, self._on_smallest(margin=False)) if wanted else most
            return share_of(most)
        fits = (n for n in range(1, most + 1) if self.room(share_of(n)) >= workers)
        return share_of(next(fits, most))

    def _on_smallest(self, *, margin: bool) -> int:
        """Trials that the GPU with least room holds; one if its memory is not known."""
        memories = [memory for node in self.nodes for memory in node.gpu_memory]
        if self.probe is None or not memories:
            return 1
        each = self.probe.device_bytes
        least = min(holds(memory, each, margin=margin) for memory in memories)
        return min(MOST_ON_ONE, max(1, least))

    def _bound(self, share: float) -> Bound:
        """What keeps the trials from being more."""
        room = self.room(share)
        if self.probe is not None and room < _Cluster(None, self.nodes).room(share):
            return "host memory"
        if not self.gpus or room == self.cpus:
            return "cores"
        return "GPU memory" if share < 1 else "GPUs"

    def _refuse(self, workers: int, asked: Asked, room: int) -> None:
        each = (
            "" if asked.gpus_per_trial == "auto" else f" with {asked.gpus_per_trial:g} GPUs each"
        )
        raise EvolveError(
            f"{workers} trials at once{each} cannot be had on {len(self.nodes)} machines with "
            f"{self.cpus} CPUs and {self.gpus} GPUs",
            "--workers",
            f"give {room} or fewer" if room else "give --gpus-per-trial auto",
        )

    def _reason(self, bound: Bound) -> str:
        """Why there are no more trials at once."""
        return {
            "asked": "as asked",
            "trials": "there are no more",
            "cores": f"a core for each, of {self.cpus}",
            "GPUs": f"of {self.gpus} GPUs",
            "GPU memory": "as many as the memory of the smallest GPU holds",
            "host memory": "each takes "
            f"{size(self.probe.host_bytes if self.probe else 0)} of the memory of a machine",
        }[bound]
