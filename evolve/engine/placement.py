"""Where trials run: how many at once, on which part of a machine."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from evolve.engine.devices import Devices, Gpu, Memory
from evolve.engine.shrinking import how_to_shrink
from evolve.errors import EvolveError
from evolve.units import size

if TYPE_CHECKING:
    from evolve.engine.probe import Probe

Bound = Literal["asked", "engine", "trials", "cores", "host memory", "GPU memory", "GPUs"]

MARGIN_SHARE, MARGIN_BYTES = 0.1, 500 << 20
"""Kept free of a memory: this share of all of it, and no less than so many bytes."""

RAY_UNIT = 10_000  # Ray counts parts of a GPU in this
MOST_ON_ONE = 100  # so many such parts still tell their number exactly


@dataclass(frozen=True)
class Asked:
    """What the user wants of the machine.

    Attributes
    ----------
    workers : int or None
        Trials at once; None takes what there is room for.
    gpus_per_trial : float or "auto"
        Below 1 trials share a GPU.
    engine : str
        inline runs one at a time.
    trials : int
        Most that there is to do at once.
    """

    workers: int | None = None
    gpus_per_trial: float | Literal["auto"] = "auto"
    engine: Literal["ray", "inline"] = "ray"
    trials: int = 1_000_000


@dataclass(frozen=True)
class Placement:
    """How trials share a machine, or several.

    Attributes
    ----------
    workers : int
        Trials at once.
    cpus : int
        Cores to share among them.
    threads : int
        Of each trial; together they fill the cores and no more, unless there are more trials.
    gpus : int
        GPUs of the machine; 0 trains on the CPU.
    gpus_per_trial : float
        Below 1 several trials share a GPU; as many as the next lower 1/n, exactly.
    trials_per_gpu : int
        Most on one GPU; 0 without one.
    bound : str
        What keeps the trials from being more.
    why : str
        The same, in words.
    nodes : int
        Machines that get trials.
    cpus_alone : int
        Cores of a trial that shares its machine with none; 0 for all of them.
    memory_bytes : int
        Memory of the host that Ray keeps for each trial; 0 if it is not asked to.
    """

    workers: int
    cpus: int
    threads: int
    gpus: int
    gpus_per_trial: float
    trials_per_gpu: int
    bound: Bound
    why: str
    nodes: int = 1
    cpus_alone: int = 0
    memory_bytes: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


def place(probe: "Probe | None", devices: Devices, asked: Asked) -> Placement:
    """As many trials at once as the machine has room for, or as were asked for.

    Left to itself it looks at memory and cores alone: each GPU gets as many trials as its free
    memory holds, less a margin, while there is a core for each; without a GPU there is one for
    each core. Whether trials that share a GPU are faster than one after the other is not known
    here. A trial that fills a GPU gains nothing by company, and loses little.

    All GPUs get the same number of trials, so the one with least free memory decides; Ray cannot
    be told to treat them differently. Without a probe every GPU gets one trial, and no memory is
    looked at.

    What was asked for is given even where it takes the margin, or more threads than cores, but
    not beyond the free memory.

    Raises
    ------
    EvolveError
        If not even one trial fits, or not as many as were asked for; or the request makes no
        sense.
    """
    gpus, cores, memory = devices.gpus(), devices.cores(), devices.memory()
    _check(asked, len(gpus))
    if probe is not None:
        _check_one_fits(probe, gpus, memory)
    machine = _Machine(probe, gpus, cores, memory)
    return machine.placed(asked)


def _check(asked: Asked, gpus: int) -> None:
    share = asked.gpus_per_trial
    if asked.workers is not None and asked.workers < 1:
        raise EvolveError("a run needs at least one worker", "--workers", "give 1 or more")
    if share == "auto":
        return
    if not share > 0 or (gpus and share > gpus):
        raise EvolveError(
            f"{share:g} GPUs per trial cannot be had",
            "--gpus-per-trial",
            f"this machine has {gpus}; give a number above 0",
        )
    if gpus and share > 1 and share != int(share):
        raise EvolveError(
            f"{share:g} GPUs per trial cannot be had: a trial shares one GPU, or has whole ones",
            "--gpus-per-trial",
            f"give {math.floor(share)} or {math.ceil(share)}, a part of 1, or auto",
        )


def _check_one_fits(probe: "Probe", gpus: Sequence[Gpu], memory: Memory) -> None:
    mend = how_to_shrink(probe.mini_batch, probe.size_px)
    for number, gpu in enumerate(gpus):
        if gpu.memory.free_bytes < probe.device_bytes:
            others = any(one.memory.free_bytes >= probe.device_bytes for one in gpus)
            leave = ", or leave this GPU out with CUDA_VISIBLE_DEVICES" if others else ""
            raise EvolveError(
                f"one trial takes {size(probe.device_bytes)} of a GPU, and "
                f"{size(gpu.memory.free_bytes)} of {size(gpu.memory.total_bytes)} are free",
                f"GPU {number}, {gpu.name}",
                mend + leave,
            )
    if memory.free_bytes < probe.host_bytes:
        raise EvolveError(
            f"one trial takes {size(probe.host_bytes)} of memory, and "
            f"{size(memory.free_bytes)} of {size(memory.total_bytes)} are free",
            "this machine",
            f"{mend}, or lower data.cache_mb",
        )


def margin_bytes(memory: Memory) -> int:
    """Bytes of a memory that trials leave alone, unless more of them were asked for."""
    return max(int(MARGIN_SHARE * memory.total_bytes), MARGIN_BYTES)


def holds(memory: Memory, each_bytes: int, *, margin: bool) -> int:
    """Trials of so many bytes that a memory has room for."""
    if each_bytes == 0:
        return 1_000_000
    room = memory.free_bytes - (margin_bytes(memory) if margin else 0)
    return max(0, room) // each_bytes


def share_of(trials: int) -> float:
    """Part of a GPU for each of so many trials, rounded down to what Ray counts in."""
    return max(1, RAY_UNIT // trials) / RAY_UNIT


def trials_on_one(share: float) -> int:
    """Trials with this part of a GPU that Ray puts on one; a part is never of two GPUs."""
    return RAY_UNIT // max(1, int(share * RAY_UNIT + 1e-6)) if share < 1 else 1


@dataclass(frozen=True)
class _Machine:
    """A machine, and what one trial takes of it."""

    probe: "Probe | None"
    gpus: tuple[Gpu, ...]
    cores: int
    memory: Memory

    def placed(self, asked: Asked) -> Placement:
        """The placement of trials that fit one by one."""
        limits = self._limits(asked)
        bound = min(limits, key=lambda name: limits[name])
        workers = max(1, limits[bound])
        if asked.workers is not None and asked.engine == "ray":
            workers, bound = asked.workers, "asked"
        elif asked.gpus_per_trial == "auto" and workers > len(self.gpus) > 0:
            workers -= workers % len(self.gpus)  # else Ray fills some and leaves others idle
        share = self._share(asked, workers)
        on_one = min(workers, trials_on_one(share)) if self.gpus else 0
        self._check(workers, share, on_one)
        threads = max(1, self.cores // workers)
        shown = f"{workers} at once"
        shown += f", {on_one} on a GPU" if on_one > 1 else ""
        shown += f", {threads} thread{'' if threads == 1 else 's'} each"
        return Placement(
            workers=workers,
            cpus=self.cores,
            threads=threads,
            gpus=len(self.gpus),
            gpus_per_trial=share,
            trials_per_gpu=on_one,
            bound=bound,
            why=f"{shown}: {self._reason(bound)}",
        )

    def _limits(self, asked: Asked) -> dict[Bound, int]:
        """Most trials at once by each of what may bound them, the plainest reason first."""
        limits: dict[Bound, int] = {"engine": 1} if asked.engine == "inline" else {}
        limits |= {"trials": asked.trials}
        if self.gpus and asked.gpus_per_trial != "auto":
            limits["asked"] = self._room(asked.gpus_per_trial)
        elif self.gpus and self.probe is None:
            limits["GPUs"] = len(self.gpus)
        elif self.gpus:
            on_one = min(MOST_ON_ONE, max(1, self._on_smallest(margin=True)))
            limits["GPU memory"] = len(self.gpus) * on_one
        limits["cores"] = self.cores
        if self.probe is not None:
            limits["host memory"] = holds(self.memory, self.probe.host_bytes, margin=True)
        return limits

    def _on_smallest(self, *, margin: bool) -> int:
        """Trials that the GPU with least room holds."""
        each = self.probe.device_bytes if self.probe else 0
        return min(holds(gpu.memory, each, margin=margin) for gpu in self.gpus)

    def _room(self, share: float) -> int:
        """Trials with this share that all GPUs have room for."""
        if share < 1:
            return len(self.gpus) * trials_on_one(share)
        return len(self.gpus) // int(share)

    def _share(self, asked: Asked, workers: int) -> float:
        if not self.gpus:
            return 0.0
        if asked.gpus_per_trial == "auto":
            return share_of(math.ceil(workers / len(self.gpus)))
        return float(asked.gpus_per_trial)

    def _check(self, workers: int, share: float, on_one: int) -> None:
        """Refuse more trials than the GPUs have room for, or any memory holds."""
        if self.gpus and workers > self._room(share):
            raise EvolveError(
                f"{workers} trials at once with {share:g} GPUs each cannot be had",
                "--workers",
                f"this machine has {len(self.gpus)}; give {self._room(share)} or fewer, or "
                "--gpus-per-trial auto",
            )
        if self.probe is None:
            return
        if self.gpus and on_one > (most := self._on_smallest(margin=False)):
            raise EvolveError(
                f"{on_one} trials on one GPU do not fit: each takes "
                f"{size(self.probe.device_bytes)}, and {size(self._least_free())} are free",
                "--workers, --gpus-per-trial",
                f"leave both out, or put {most} or fewer on a GPU",
            )
        if workers > (most := holds(self.memory, self.probe.host_bytes, margin=False)):
            raise EvolveError(
                f"{workers} trials at once do not fit into memory: each takes "
                f"{size(self.probe.host_bytes)}, and {size(self.memory.free_bytes)} are free",
                "--workers",
                f"give {most} or fewer, or lower data.cache_mb",
            )

    def _least_free(self) -> int:
        return min(gpu.memory.free_bytes for gpu in self.gpus)

    def _reason(self, bound: Bound) -> str:
        """Why there are no more trials at once."""
        if bound == "GPU memory" and self.probe:
            each, free = size(self.probe.device_bytes), size(self._least_free())
            return f"each takes {each} of the {free} free on a GPU"
        if bound == "host memory" and self.probe:
            each, free = size(self.probe.host_bytes), size(self.memory.free_bytes)
            return f"each takes {each} of {free} free memory"
        return {
            "asked": "as asked",
            "engine": "the inline engine runs one by one",
            "trials": "there are no more",
            "cores": f"a core for each, of {self.cores}",
            "GPUs": f"a GPU for each, of {len(self.gpus)}",
        }[bound]
