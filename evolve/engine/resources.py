"""What a run may use of a machine."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Resources:
    """What a run may use of this machine.

    Attributes
    ----------
    workers : int
        Trials at once.
    cpus : int
        Cores to share among them.
    gpus : int
        GPUs of the machine; 0 trains on the CPU.
    gpus_per_trial : float
        Below 1 several trials share a GPU.
    """

    workers: int
    cpus: int
    gpus: int
    gpus_per_trial: float

    @property
    def threads(self) -> int:
        """Threads of each trial, so that together they fill the cores and no more."""
        return max(1, self.cpus // self.workers)
