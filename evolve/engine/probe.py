"""What one trial will take of a machine: a few steps of it, in a process of its own."""

import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from evolve.engine.devices import Devices, Gpu, ThisMachine, importing_us
from evolve.engine.shrinking import mend_memory
from evolve.errors import EvolveError, TrialError
from model.config import TrainConfig
from model.errors import ConfigurationError, DataError, ModelError

if TYPE_CHECKING:
    from model.training import BaseTraining

TIME_LIMIT_S = 600.0
VAL_PICTURES = 64
CONTEXT_BYTES = 256 << 20, 2 << 30
"""What a process takes of a GPU beside torch's tensors: at least, and at most."""

ENGINE_BYTES = 160 << 20
"""Of a trial's process on Ray for Ray, Optuna and pandas, which a probe does without."""

CURVE_HOST_BYTES = 400 << 20
CURVE_FILE_BYTES = 32
WHERE = "the probe of a trial"


@dataclass(frozen=True)
class Probe:
    """What one trial takes, measured on its base configuration.

    Seconds are of a trial that has the machine to itself. A checkpoint is that of an interrupted
    trial; weights are what a finished one keeps.

    Attributes
    ----------
    device : str
        Name of the GPU; ``cpu`` without one.
    threads : int
        Threads of the host it was measured with.
    device_bytes : int
        Most memory of a GPU at any time, the driver's own included; 0 without one.
    host_bytes : int
        Most memory of the host, with the processes of its loader and all pictures it will hold.
    start_s : float
        From a configuration and data that are read already to the first step.
    step_s : float
        Mini-batch of training, the share of an update included.
    steps : float
        Mini-batches of an epoch; steps and their seconds are means over all random shapes.
    eval_image_s : float
        Picture of val, with detections and their scores.
    eval_images : int
        Pictures of val.
    checkpoint_bytes, weights_bytes : int
        Of ``last.pt`` of a running trial, and of ``best.pt``.
    detections_bytes : int
        On all of val.
    epochs : int
        Of a whole training.
    mini_batch : int
        Pictures at a time.
    size_px : int
        Largest width and height of the network's input.
    """

    device: str
    threads: int
    device_bytes: int
    host_bytes: int
    start_s: float
    step_s: float
    steps: float
    eval_image_s: float
    eval_images: int
    checkpoint_bytes: int
    weights_bytes: int
    detections_bytes: int
    epochs: int
    mini_batch: int
    size_px: int

    @property
    def epoch_s(self) -> float:
        """Seconds of an epoch: training, then measuring on val."""
        return self.steps * self.step_s + self.eval_images * self.eval_image_s

    @property
    def training_s(self) -> float:
        """Seconds of a whole training."""
        return self.start_s + self.epochs * self.epoch_s

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Probe":
        """The probe of `to_dict`; a TypeError if it is none."""
        return cls(**values)


def measure(
    config: TrainConfig,
    data: Path,
    data_seed: int,
    trainer: str,
    threads: int,
    *,
    time_limit_s: float = TIME_LIMIT_S,
) -> Probe:
    """Measure what a trial takes, by a few steps of it in a process that ends with them.

    On a machine with several GPUs the one with most free memory is taken.

    Parameters
    ----------
    config : TrainConfig
        Base configuration of the run.
    data : Path
        As given to the trainer.
    data_seed : int
        Seed of the split of a single annotations file.
    trainer : str
        Name in `evolve.engine.trainers`; a curve is not measured.
    threads : int
        Of torch and OpenCV.

    Raises
    ------
    EvolveError
        If a trial could not be trained: what its own error says, or how to make it smaller.
    TrialError
        If the trial fails in a way that is not the user's.
    """
    if trainer == "curve":
        return _of_a_curve(config, data, threads)
    request = {
        "config": config.to_dict(),
        "data": str(data.absolute()),
        "data_seed": data_seed,
        "threads": threads,
    }
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "evolve.engine.probe"],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            timeout=time_limit_s,
            env=importing_us(),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TrialError(
            f"a few steps of a trial took longer than {time_limit_s:g} s",
            WHERE,
            "give --no-probe if the machine is busy, else make the network or its input smaller",
        ) from None
    return _understood(done, config)


def _of_a_curve(config: TrainConfig, data: Path, threads: int) -> Probe:
    from evolve.testing.curves import epoch_seconds

    return Probe(
        device="cpu",
        threads=threads,
        device_bytes=0,
        host_bytes=CURVE_HOST_BYTES,
        start_s=0.0,
        step_s=epoch_seconds(data),
        steps=1.0,
        eval_image_s=0.0,
        eval_images=0,
        checkpoint_bytes=CURVE_FILE_BYTES,
        weights_bytes=CURVE_FILE_BYTES,
        detections_bytes=CURVE_FILE_BYTES,
        epochs=config.epochs,
        mini_batch=config.batch_size,
        size_px=0,
    )


def _understood(done: subprocess.CompletedProcess[str], config: TrainConfig) -> Probe:
    """The probe that a process gives in its last line, or its failure as an error."""
    if done.returncode == -signal.SIGKILL:
        raise EvolveError(
            "one trial does not fit into memory: its process was killed",
            WHERE,
            mend_memory(config),
        )
    try:
        answer = json.loads(done.stdout.splitlines()[-1])
        failure = answer.get("failure")
    except (IndexError, ValueError, AttributeError):
        said = done.stderr.strip().splitlines()[-1:] or ["nothing"]
        raise TrialError(
            f"its process ended with code {done.returncode} and said: {said[0]}",
            WHERE,
            "train without a measurement, with --no-probe, to see more",
        ) from None
    if failure is None:
        return Probe.from_dict(answer)
    if failure["memory"]:
        what = f"one trial does not fit into memory: {failure['what']}"
        raise EvolveError(what, WHERE, mend_memory(config))
    kind = EvolveError if failure["bad_input"] else TrialError
    raise kind(failure["what"], failure["where"] or WHERE, failure["mend"])


# --- in the process of its own ---------------------------------------------------------------


def main() -> None:
    """Answer the request on stdin by one line on stdout: a probe, or how it failed."""
    request = json.load(sys.stdin)
    config = TrainConfig.model_validate(request["config"])
    try:
        found = _probe(config, Path(request["data"]), request["data_seed"], request["threads"])
        answer = found.to_dict()
    except Exception as error:  # whatever ends a trial is told in its words
        answer = {"failure": _describe(error)}
    sys.stdout.write("\n" + json.dumps(answer) + "\n")


def _describe(error: Exception) -> dict[str, Any]:
    told = error
    if not isinstance(told, ModelError):
        first_line = next(iter(str(error).splitlines()), "")
        told = TrialError(f"{type(error).__name__}: {first_line}")
    return {
        "what": told.what,
        "where": told.where,
        "mend": told.mend,
        "memory": is_out_of_memory(error),
        "bad_input": isinstance(error, ConfigurationError | DataError | EvolveError),
    }


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, of a GPU or of the host, in the words of torch, cuDNN or OpenCV."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    signs = ("out of memory", "can't allocate memory", "cudnn_status_alloc_failed",
             "cublas_status_alloc_failed", "insufficient memory")  # fmt: skip
    return not isinstance(error, ModelError) and any(s in str(error).lower() for s in signs)


def _probe(config: TrainConfig, data: Path, data_seed: int, threads: int) -> Probe:
    import cv2
    import torch

    from model.data.batch_plan import fixed_mini_batch, largest_size
    from model.rehearsal import mean_step, rehearse, time_measuring

    torch.set_num_threads(threads)
    cv2.setNumThreads(0 if threads == 1 else threads)
    gpu = _take_gpu()
    mini_batch = fixed_mini_batch(config)
    dataset, config, max_side = _read(config, data, data_seed)
    size_px = int(config.image_size)
    started = time.perf_counter()
    training, pictures = _build(config, dataset, max_side)
    start_s = time.perf_counter() - started
    pixel_s = rehearse(training, config)
    report, eval_s = time_measuring(training)
    steps, step_pixels = mean_step(config, size_px, len(dataset.splits["train"]))
    val, measured = len(dataset.splits["val"]), len(_spread(dataset.splits["val"]))
    host_bytes = _host_bytes() + pictures.to_come_bytes()
    training.train_loader.close()
    return Probe(
        device=gpu.name if gpu else "cpu",
        threads=threads,
        device_bytes=_device_bytes(gpu) if gpu else 0,
        host_bytes=host_bytes,
        start_s=start_s,
        step_s=pixel_s * step_pixels,
        steps=steps,
        eval_image_s=eval_s / measured,
        eval_images=val,
        checkpoint_bytes=_saved_bytes(training.state_dict(report.metrics)),
        weights_bytes=_saved_bytes(training.weights_dict(report.metrics)),
        detections_bytes=round(_detections_bytes(report) * val / measured),
        epochs=config.epochs,
        mini_batch=mini_batch,
        size_px=largest_size(config, size_px),
    )


def _take_gpu() -> Gpu | None:
    """Let this process train on the GPU with most free memory; how that was before it began."""
    import torch

    devices: Devices = ThisMachine()
    gpus = devices.gpus()
    if not gpus:
        return None
    number = max(range(len(gpus)), key=lambda one: gpus[one].memory.free_bytes)
    torch.cuda.set_device(number)
    return gpus[number]


def _read(config: TrainConfig, data: Path, data_seed: int) -> tuple[Any, TrainConfig, int | None]:
    """The data set, the configuration settled for it, and the longest side of held pictures."""
    from evolve.engine.trainers import shared_class_data, shared_data
    from model.classify import resolve_classifier
    from model.data.batch_plan import largest_size
    from model.train import resolve

    if config.task == "classify":
        classes = shared_class_data(data, data_seed)
        config = resolve_classifier(config, classes)
        return classes, config, classes.held_side(int(config.image_size))
    dataset = shared_data(data, data_seed)
    config = resolve(config, dataset)
    return dataset, config, 2 * largest_size(config, int(config.image_size))


def _build(
    config: TrainConfig, dataset: Any, max_side: int | None
) -> "tuple[BaseTraining[Any, Any, Any], _Pictures]":
    """A training to rehearse with, measured on a part of val, and its pictures."""
    from model.classify import ClassTraining
    from model.feeding import loader_workers
    from model.rehearsal import rehearsed
    from model.train import Training
    from model.training import pick_device

    shared = loader_workers(config, pick_device()) > 0
    pictures = _Pictures(dataset, config.data.cache_mb, max_side, shared=shared)
    few = replace(dataset, splits=dataset.splits | {"val": _spread(dataset.splits["val"])})
    kind: Any = ClassTraining if config.task == "classify" else Training
    return kind(rehearsed(config), few, cache=pictures.cache), pictures


def _spread(records: Sequence[Any]) -> tuple[Any, ...]:
    """`VAL_PICTURES` records at equal distances, or all if there are fewer."""
    count = min(VAL_PICTURES, len(records))
    return tuple(records[index * len(records) // count] for index in range(count))


class _Pictures:
    """Decoded pictures of a trial, of which a probe sees only a few."""

    def __init__(self, dataset: Any, limit_mb: int, max_side: int | None, *, shared: bool) -> None:
        from model.data.cache import shrunk_wh
        from model.feeding import new_cache

        seen = [one for name in ("train", "val") for one in dataset.splits[name]]
        records = [getattr(one, "record", one) for one in seen]  # a classifier's samples have one
        sizes = {r.path: shrunk_wh(r.width, r.height, max_side) for r in records}
        self._in_the_end = min(limit_mb << 20, sum(3 * w * h for w, h in sizes.values()))
        self.cache: Any = new_cache(limit_mb, records, max_side, shared=shared)

    def to_come_bytes(self) -> int:
        """Bytes that the cache will hold when all pictures were seen, and does not hold yet."""
        return max(0, self._in_the_end - int(self.cache.held_bytes))


def _host_bytes() -> int:
    """Most memory of a trial's process at any time, and what its children now have of their own.

    ru_maxrss would not do: a process that is started inherits it from the one that starts it.
    """
    import torch

    from model.speed import peak_memory_mib

    ours = int(peak_memory_mib(torch.device("cpu")) * 2**20)
    return ours + ENGINE_BYTES + sum(_own_bytes_of_children())


def _own_bytes_of_children() -> Iterator[int]:
    """Memory of each child that it shares with no file and no other process."""
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            lines = status.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:  # it is gone
            continue
        table = dict(line.partition(":")[::2] for line in lines)
        if int(table["PPid"]) == os.getpid() and "RssAnon" in table:
            yield int(table["RssAnon"].split()[0]) << 10


def _device_bytes(before: Gpu) -> int:
    """Most memory of the GPU at any time: torch's, and what CUDA and its libraries keep.

    These are what is missing now beside torch's, within bounds: other processes come and go.
    """
    import torch

    free, _ = torch.cuda.mem_get_info()
    missing = before.memory.free_bytes - free - torch.cuda.memory_reserved()
    least, most = CONTEXT_BYTES
    return torch.cuda.max_memory_reserved() + min(most, max(least, missing))


def _saved_bytes(state: dict[str, Any]) -> int:
    """Bytes of a checkpoint; nothing is kept or written."""
    import torch

    counter = _Counter()
    torch.save(state, cast(IO[bytes], counter))
    return counter.written


class _Counter(io.RawIOBase):
    """A file that only counts what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        count = memoryview(data).nbytes
        self.written += count
        return count


def _detections_bytes(report: Any) -> int:
    with tempfile.TemporaryDirectory(prefix="evolve-probe-") as folder:
        file = Path(folder) / "detections.json.gz"
        report.save_detections(file)
        return file.stat().st_size


if __name__ == "__main__":
    main()
