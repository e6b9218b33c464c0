"""What a machine has to train on: GPUs, cores, memory, disk."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from evolve.errors import EvolveError

READ_S = 120  # for torch to be imported and all GPUs to be asked


@dataclass(frozen=True)
class Memory:
    """Bytes of one memory: all there are, and those that can be had now."""

    total_bytes: int
    free_bytes: int

    def within(self, limit_bytes: int, used_bytes: int) -> "Memory":
        """What is left of it where no more than a limit may be used, some of it already."""
        room = max(0, limit_bytes - used_bytes)
        return Memory(min(self.total_bytes, limit_bytes), min(self.free_bytes, room))


@dataclass(frozen=True)
class Gpu:
    """A GPU and its memory."""

    name: str
    memory: Memory


class Devices(Protocol):
    """What a machine has, asked anew with every call."""

    def gpus(self) -> tuple[Gpu, ...]:
        """All GPUs that this process may use, in CUDA's order."""

    def cores(self) -> int:
        """Cores that this process may use, at least 1."""

    def memory(self) -> Memory:
        """Memory of the host that this process may use."""

    def free_disk_bytes(self, path: Path) -> int:
        """Bytes that may be written where `path` lies, or will lie."""


class ThisMachine:
    """The machine at hand, with the limits of the control groups that this process is in.

    Parameters
    ----------
    root : Path
        Where ``proc`` and ``sys`` are; another one in tests.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

    def gpus(self) -> tuple[Gpu, ...]:
        """All GPUs, asked by a process of its own.

        To ask for free memory takes hundreds of MiB of every GPU, and keeps them as long as the
        process lives that has asked.
        """
        import torch

        if not torch.cuda.device_count():
            return ()
        done = _asked_elsewhere()
        if done is None or done.returncode:
            said = done.stderr.strip().splitlines()[-1:] if done else [f"no answer in {READ_S} s"]
            raise EvolveError(
                f"the GPUs cannot be asked: {said[0] if said else 'no word'}",
                mend="see nvidia-smi, or set CUDA_VISIBLE_DEVICES= to train on the CPU",
            )
        found = json.loads(done.stdout.splitlines()[-1])
        return tuple(Gpu(one["name"], Memory(**one["memory"])) for one in found)

    def cores(self) -> int:
        """Cores of the affinity mask, or as many as the quota of a control group is worth."""
        cores = len(os.sched_getaffinity(0))
        for folder in self._groups("cpu"):
            quota, period = _quota(folder)
            if quota > 0 and period > 0:
                cores = min(cores, quota // period)
        return max(1, cores)

    def memory(self) -> Memory:
        """Memory of the host, or what is left of the limit of a control group."""
        lines = (self._root / "proc/meminfo").read_text(encoding="ascii").splitlines()
        table = {
            key: int(rest.split()[0]) << 10 for key, _, rest in (x.partition(":") for x in lines)
        }
        found = Memory(table["MemTotal"], table.get("MemAvailable", table["MemFree"]))
        for folder in self._groups("memory"):
            limit = _number(folder, "memory.max", "memory.limit_in_bytes")
            used = _number(folder, "memory.current", "memory.usage_in_bytes")
            if limit is not None and used is not None:
                found = found.within(limit, max(0, used - _droppable(folder)))
        return found

    def free_disk_bytes(self, path: Path) -> int:
        """Bytes that are free where `path` lies, or the nearest folder above it that exists."""
        here = path.absolute()
        while not here.exists():
            here = here.parent
        return shutil.disk_usage(here).free

    def _groups(self, controller: str) -> Iterator[Path]:
        """Folders of our control groups that are to be seen here, ours first."""
        try:
            lines = (self._root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
        except OSError:
            return
        mount = self._root / "sys/fs/cgroup"
        for _, names, path in (line.split(":", 2) for line in lines):
            if names and controller not in names.split(","):
                continue
            top = mount / controller if names else mount  # version 2 has no names
            place = top / path.strip("/")
            # a container sees its own group at the top, whatever it is called outside
            yield from (one for one in (place, *place.parents) if one.is_relative_to(top))


def _asked_elsewhere() -> subprocess.CompletedProcess[str] | None:
    """What a process of its own says of the GPUs; None if it takes too long."""
    try:
        return subprocess.run(
            [sys.executable, "-P", "-m", "evolve.engine.devices"],
            capture_output=True,
            text=True,
            timeout=READ_S,
            env=importing_us(),
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None


def _quota(folder: Path) -> tuple[int, int]:
    """CPU time in microseconds, and the period it is for; 0 and 0 without a limit."""
    try:
        words = (folder / "cpu.max").read_text(encoding="ascii").split()
    except OSError:
        names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        quota, period = (_number(folder, name) or 0 for name in names)
        return quota, period
    return (0, 0) if words[0] == "max" else (int(words[0]), int(words[1]))


def _number(folder: Path, *names: str) -> int | None:
    """The number in the first of these files that exists; None for ``max``, or without one."""
    for name in names:
        try:
            text = (folder / name).read_text(encoding="ascii").strip()
        except OSError:
            continue
        return None if text == "max" else int(text)
    return None


def _droppable(folder: Path) -> int:
    """Bytes of a group that hold files and are given back when memory is short."""
    try:
        lines = (folder / "memory.stat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    table = dict(line.split() for line in lines)
    return int(table.get("total_inactive_file", table.get("inactive_file", 0)))


def importing_us() -> dict[str, str]:
    """Environment in which a Python of ours imports the same `evolve` and `model` as this one."""
    import evolve

    ours = str(Path(next(iter(evolve.__path__))).parent)
    before = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([ours, *([before] if before else [])])}


def read_gpus() -> tuple[Gpu, ...]:
    """All GPUs, asked by this process, which takes memory of each until it ends."""
    import torch

    found = []
    for number in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(number)
        found.append(Gpu(torch.cuda.get_device_name(number), Memory(total, free)))
    return tuple(found)


if __name__ == "__main__":
    sys.stdout.write(json.dumps([asdict(gpu) for gpu in read_gpus()]) + "\n")
