"""A machine that is made up, to place trials on."""

from dataclasses import dataclass
from pathlib import Path

from evolve.engine.devices import Gpu, Memory

GIB = 2**30
ROOMY = Memory(64 * GIB, 60 * GIB)


@dataclass(frozen=True)
class MadeUpDevices:
    """As `evolve.engine.devices.Devices`, with what it was made with."""

    of_gpus: tuple[Gpu, ...] = ()
    of_cores: int = 8
    of_memory: Memory = ROOMY
    disk_bytes: int = 500 * GIB

    def gpus(self) -> tuple[Gpu, ...]:
        """All GPUs."""
        return self.of_gpus

    def cores(self) -> int:
        """Cores."""
        return self.of_cores

    def memory(self) -> Memory:
        """Memory of the host."""
        return self.of_memory

    def free_disk_bytes(self, path: Path) -> int:  # noqa: ARG002
        """The same for every path."""
        return self.disk_bytes


def gpu(free_gib: float, total_gib: float | None = None, name: str = "made up") -> Gpu:
    """A GPU of so much memory, all of it free if no total is given."""
    total = free_gib if total_gib is None else total_gib
    return Gpu(name, Memory(int(total * GIB), int(free_gib * GIB)))
