"""What a run is going to take: time, disk and memory, told before anything is made."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from evolve.engine.course import Course
from evolve.engine.devices import Devices
from evolve.errors import EvolveError
from evolve.units import duration, size

if TYPE_CHECKING:
    from evolve.engine.placement import Placement
    from evolve.engine.probe import Probe

EPOCH_BYTES = 4_000  # a line of metrics, TensorBoard's events, the log
TRIAL_BYTES = 60_000  # configuration, and what the study holds


@dataclass(frozen=True)
class Behind:
    """What earlier sessions of a run have done.

    Attributes
    ----------
    ended : int
        Trials.
    begun : tuple of int
        Epochs that each trial has finished which has not ended.
    epochs : int
        That all trials together have finished.
    is_closed : bool
        No further trial is begun.
    finals : int
        Trainings of the final comparison that have ended.
    finals_planned : int
        Of how many; 0 if it is not planned yet.
    confirm : str
        Its size.
    wall_s, trained_s : float
        Seconds of the clock and of trainings that were spent.
    """

    ended: int = 0
    begun: tuple[int, ...] = ()
    epochs: int = 0
    is_closed: bool = False
    finals: int = 0
    finals_planned: int = 0
    confirm: str = "0"
    wall_s: float = 0.0
    trained_s: float = 0.0

    def unbegun(self, trials: int) -> int:
        """Trials that are still to be begun of so many in all."""
        return 0 if self.is_closed else max(0, trials - self.ended - len(self.begun))

    def epochs_left(self, trials: int, course: Course, epochs: int) -> float:
        """Epochs that the search is expected to run yet, each trial `epochs` at the most."""
        if course.is_sure and not self.is_closed:
            return max(0.0, trials * course.epochs - self.epochs)
        # one that outlived the usual length will run to its end
        rest = [(course.epochs if done < course.epochs else epochs) - done for done in self.begun]
        return self.unbegun(trials) * course.epochs + sum(rest)


@dataclass(frozen=True)
class Plan:
    """What a run is going to take; no promise, but what is known before it.

    Attributes
    ----------
    trials, epochs : int
        Of the search, if nothing is stopped early.
    finals : int
        Full trainings of the final comparison.
    workers : int
        Trainings at once.
    trial_epochs : float
        Epochs that a trial is expected to run.
    search_s, final_s : float
        Expected seconds. Trials that share a GPU are taken not to slow each other.
    search_most_s : float
        Seconds of the search if nothing is stopped early.
    device_s : float
        Seconds of GPUs, or of cores without one, that all of it is expected to keep busy.
    disk_bytes : int
        Most that is written.
    host_bytes, device_bytes : int
        Memory that all trials at once take, of the host and of each GPU.
    shared : int
        Trials on one GPU.
    stops : str
        Where trials may be stopped early, in words.
    trials_behind, finals_behind : int
        Trials and trainings of the final comparison that have ended already, none of them counted
        above.
    """

    trials: int
    epochs: int
    finals: int
    workers: int
    trial_epochs: float
    search_s: float
    final_s: float
    search_most_s: float
    device_s: float
    disk_bytes: int
    host_bytes: int
    device_bytes: int
    shared: int
    stops: str = ""
    trials_behind: int = 0
    finals_behind: int = 0

    @property
    def total_s(self) -> float:
        """Expected seconds of search and final comparison."""
        return self.search_s + self.final_s

    def lines(self) -> list[str]:
        """The plan for people."""
        if (self.trials_behind or self.finals_behind) and not self.trials + self.finals:
            return ["plan   nothing is left to be trained"]
        at_most = ", at most" if self.stops else ""
        parts = []
        if self.trials:
            trials = _left(self.trials, self.trials_behind, "trial")
            parts.append(f"{trials} of {_plural(self.epochs, 'epoch')}{at_most}")
            parts += [self.stops] if self.stops else []
        pace = f"about {duration(self.search_s)} on {self.workers} at once"
        final = f"{duration(self.final_s)} final comparison"
        if self.finals_behind:
            final += f" ({_left(self.finals, self.finals_behind, 'training')})"
        if self.trials and self.finals:
            parts.append(f"{pace}, then {final}")
        else:
            parts.append(pace if self.trials else f"about {final} on {self.workers} at once")
        memory = f"{size(self.host_bytes)} memory"
        if self.device_bytes:
            memory += f", {size(self.device_bytes)} on a GPU"
        parts += [f"{size(self.disk_bytes)} disk", memory]
        first = "plan   " + "; ".join(parts)
        if self.shared < 2:
            return [first]
        return [first, f"       if {self.shared} trials on a GPU do not slow each other"]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


def make_plan(
    probe: "Probe",
    placement: "Placement",
    *,
    trials: int,
    course: Course | None = None,
    finals: int = 0,
    judged_images: int = 0,
    behind: Behind | None = None,
) -> Plan:
    """What so many trials and a final comparison are going to take, or what is left of them.

    The search is as long as all trials together on all workers, but no shorter than a whole
    training, and ends with half of one on average while the last workers finish. All trainings
    of a final comparison are equally long, so it comes in waves.

    Parameters
    ----------
    probe : Probe
        Of a trial, with its epochs.
    placement : Placement
    trials : int
        Of the run.
    course : Course, optional
        What the scheduler makes of trials; None stops nothing early.
    finals : int
        Full trainings of the final comparison.
    judged_images : int
        Pictures of the split that each of them is measured on in the end.
    behind : Behind, optional
        What has been done of all that.
    """
    epochs, workers = probe.epochs, placement.workers
    course, behind = course or Course(float(epochs)), behind or Behind()
    epochs_left = behind.epochs_left(trials, course, epochs)
    unbegun, finals = behind.unbegun(trials), max(0, finals - behind.finals)
    trials = unbegun + len(behind.begun)
    expected_s = trials * probe.start_s + epochs_left * probe.epoch_s
    most_s = trials * probe.training_s - sum(behind.begun) * probe.epoch_s
    longest = epochs if unbegun else epochs - min(behind.begun, default=0)
    longest_s = probe.start_s + longest * probe.epoch_s
    final_s = probe.training_s + judged_images * probe.eval_image_s
    waves = -(-finals // workers)
    share = placement.gpus_per_trial if placement.gpus else placement.threads
    return Plan(
        trials=trials,
        epochs=epochs,
        finals=finals,
        workers=workers,
        trial_epochs=course.epochs,
        search_s=side_by_side(expected_s, longest_s, trials, workers),
        final_s=waves * final_s,
        search_most_s=side_by_side(most_s, longest_s, trials, workers),
        device_s=share * (expected_s + finals * final_s),
        disk_bytes=disk_bytes(probe, trials, finals, judged_images, workers),
        host_bytes=workers * probe.host_bytes,
        device_bytes=placement.trials_per_gpu * probe.device_bytes,
        shared=placement.trials_per_gpu,
        stops=course.stops,
        trials_behind=behind.ended,
        finals_behind=behind.finals,
    )


def side_by_side(work_s: float, longest_s: float, count: int, workers: int) -> float:
    """Seconds of so much work in `count` pieces."""
    if count <= workers:
        return longest_s if count else 0.0
    tail_s = longest_s / 2 * (workers - 1) / workers
    return max(longest_s, work_s / workers + tail_s)


def disk_bytes(probe: "Probe", trials: int, finals: int, judged: int, workers: int) -> int:
    """Most that is written: a stopped trial keeps its checkpoint, a finished one two weights.

    A file that is replaced is there twice for a moment.
    """
    one = probe.weights_bytes + probe.detections_bytes + probe.epochs * EPOCH_BYTES + TRIAL_BYTES
    per_image = probe.detections_bytes / max(1, probe.eval_images)
    search = trials * (one + max(probe.checkpoint_bytes, probe.weights_bytes))
    final = finals * (one + probe.weights_bytes + round(judged * per_image))
    return search + final + min(workers, trials + finals) * probe.checkpoint_bytes


def check_disk(
    needed_bytes: int, devices: Devices, out: Path, fewer: Literal["trials", "rows"] = "trials"
) -> None:
    """Refuse a run whose files will not fit; `fewer` of these would.

    Raises
    ------
    EvolveError
        With what is missing.
    """
    free = devices.free_disk_bytes(out)
    if free < needed_bytes:
        raise EvolveError(
            f"the run writes up to {size(needed_bytes)}, and {size(free)} are free",
            str(out),
            f"free {size(needed_bytes - free)} more, take fewer {fewer}, or give --out elsewhere",
        )


def _left(count: int, behind: int, noun: str) -> str:
    """So many, or what they are of how many where some are done."""
    if not behind:
        return _plural(count, noun)
    return f"{count} of {_plural(count + behind, noun)} left"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
