"""Latency of networks on the machine at hand, by one protocol that is stored with the figures.

A timed pass is forward, decoding and suppression of one batch that already lies on the device;
reading, resizing and copying pictures are not in it. Pictures are noise, on which no score is
real, so suppression gets a fixed number of candidates in place of a score threshold. Of a
classifier a pass is forward alone.
"""

import copy
import logging
import math
import platform
import resource
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from model.build import Classifier, Detector, count_learnable
from model.decode import decode
from model.errors import ConfigurationError
from model.fuse import fold_batch_norm
from model.graph import bflops, trace_layers
from model.ingredient import Task
from model.nms import Detections, suppress
from model.nms_rules import NmsKind
from model.predict import FARTHEST
from model.training import gains_from_bf16

logger = logging.getLogger(__name__)

Precision = Literal["fp32", "bf16", "fp16"]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

REPEATS = 200
WARM_UP = 10
TRIAL_REPEATS = 8
TRIAL_WARM_UP = 2
NMS_CANDIDATES = 100  # an image
NMS_IOU = 0.45  # darknet's demo
MOST_DETECTIONS = 100
STEP_PX = 32

Decoder = Callable[[Tensor], tuple[Tensor, Tensor]]
Run = Callable[[Tensor], object]
"""A pass over a batch of images on its device."""

Out = TypeVar("Out", bound=Tensor | tuple[Tensor, ...])


@dataclass(frozen=True)
class Mode:
    """How a network is run; all modes give the same detections but for rounding."""

    precision: Precision = "fp32"
    fold: bool = False
    channels_last: bool = False
    cuda_graph: bool = False
    compiled: bool = False

    def __str__(self) -> str:
        parts = {
            "BN folded": self.fold,
            "channels last": self.channels_last,
            "CUDA graph": self.cuda_graph,
            "compiled": self.compiled,
        }
        return ", ".join([self.precision, *(name for name, taken in parts.items() if taken)])


@dataclass(frozen=True)
class Trial:
    """One mode, tried for a few passes; `latency_ms` is None where it failed."""

    mode: Mode
    latency_ms: float | None
    error: str = ""


@dataclass(frozen=True)
class Speed:
    """Figures of one network at one size and batch.

    Attributes
    ----------
    size : int
        Side of the input in pixels.
    parameters : int
        Learnable ones.
    bflops : float
        Of one image, by darknet's rule.
    latency_ms, latency_p95_ms : float
        Median and 95th percentile of a pass over one batch.
    fps : float
        Images a second: batch / median.
    memory_mib : float
        See `memory` of the protocol.
    candidates : float
        Boxes an image that suppression got; 0 of a classifier.
    mode : Mode
        The fastest of the trials.
    trials : tuple of Trial
    """

    size: int
    batch: int
    parameters: int
    bflops: float
    latency_ms: float
    latency_p95_ms: float
    fps: float
    memory_mib: float
    candidates: float
    mode: Mode
    trials: tuple[Trial, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class Wanted:
    """What is measured, and which modes may be taken.

    Attributes
    ----------
    batch : int
    precision : str
        auto tries what the device gains from.
    compile : bool
        Whether torch.compile is tried, which takes minutes.
    repeats, warm_up : int
        Timed passes and those before them.
    nms : str
        Kind of suppression, of detectors.
    """

    batch: int = 1
    precision: Precision | Literal["auto"] = "auto"
    compile: bool = False
    repeats: int = REPEATS
    warm_up: int = WARM_UP
    nms: NmsKind = "greedy"


def check_size(size: int) -> None:
    """Refuse a side that the network cannot halve five times.

    Raises
    ------
    ConfigurationError
        Naming the nearest sides.
    """
    if size < STEP_PX or size % STEP_PX:
        below = size // STEP_PX * STEP_PX
        near = [str(side) for side in (below, below + STEP_PX) if side >= STEP_PX]
        raise ConfigurationError(
            f"a size of {size} is not a multiple of {STEP_PX}", "size", f"take {' or '.join(near)}"
        )


def measure_speed(
    network: Detector, anchors_wh_px: Tensor, size: int, wanted: Wanted, device: torch.device
) -> Speed:
    """Measure a detector at one size.

    Parameters
    ----------
    network : Detector
        In evaluation mode; left as it is.
    anchors_wh_px : Tensor, shape (A, 2)
        In pixels, which they keep at every size.
    size : int
        Side of the input, a multiple of 32.

    Raises
    ------
    ConfigurationError
        If size, batch or precision make no sense, or no mode could be run.
    """
    images = _images(size, wanted, device)
    anchors_wh = (anchors_wh_px / size).to(device, torch.float32)
    return _measure(
        network, images, wanted, lambda mode: Pass(network, anchors_wh, images, mode, wanted.nms)
    )


def measure_classifier_speed(
    network: Classifier, size: int, wanted: Wanted, device: torch.device
) -> Speed:
    """Measure a classifier at one size, as `measure_speed` does a detector.

    A pass is forward alone, from images to logits.
    """
    images = _images(size, wanted, device)
    return _measure(network, images, wanted, lambda mode: prepare_body(network, images, mode))


def _measure(
    network: Detector | Classifier, images: Tensor, wanted: Wanted, make: Callable[[Mode], Run]
) -> Speed:
    """Figures of what `make` makes of a network in the fastest of its modes."""
    size, device = images.shape[-1], images.device
    with torch.inference_mode(), _tuned_convolutions():
        trials = try_modes(make, images, wanted)
        best = min(trials, key=_rank).mode
        reset_peak_memory(device)
        one_pass = make(best)
        times = _time(one_pass, images, wanted.warm_up, wanted.repeats)
    median, p95 = np.percentile(times, [50, 95])
    return Speed(
        size=size,
        batch=wanted.batch,
        parameters=count_learnable(network),
        bflops=bflops(trace_layers(network, size, size)),
        latency_ms=float(median),
        latency_p95_ms=float(p95),
        fps=1e3 * wanted.batch / float(median),
        memory_mib=peak_memory_mib(device),
        candidates=one_pass.candidates if isinstance(one_pass, Pass) else 0.0,
        mode=best,
        trials=tuple(trials),
    )


def _images(size: int, wanted: Wanted, device: torch.device) -> Tensor:
    """A batch of noise; a ConfigurationError if size or wishes make no sense."""
    check_size(size)
    _check_wanted(wanted, device)
    generator = torch.Generator().manual_seed(0)
    return torch.rand(wanted.batch, 3, size, size, generator=generator).to(device)


def _check_wanted(wanted: Wanted, device: torch.device) -> None:
    for name in ("batch", "repeats"):
        if (value := getattr(wanted, name)) < 1:
            raise ConfigurationError(f"{name} is {value}", name, "take 1 or more")
    if wanted.precision == "fp16" and device.type == "cpu":
        raise ConfigurationError(
            "a CPU gains nothing from fp16", "precision", "take auto, fp32 or bf16"
        )


class _tuned_convolutions:  # noqa: N801  (used as a function)
    """Let cuDNN time its algorithms, as every batch has the same shape."""

    def __enter__(self) -> None:
        self._before = torch.backends.cudnn.benchmark
        torch.backends.cudnn.benchmark = True

    def __exit__(self, *_: object) -> None:
        torch.backends.cudnn.benchmark = self._before


# --- one pass --------------------------------------------------------------------------------


class Pass:
    """Forward, decoding and suppression of batches of one shape, in one mode.

    Parameters
    ----------
    network : Detector
        Copied.
    anchors_wh : Tensor, shape (A, 2), relative to the input
    images : Tensor, shape (B, 3, H, W)
        A batch like those to come, from which the score threshold is found.
    mode : Mode
    nms : str
        Kind of suppression.

    Attributes
    ----------
    candidates : float
        Boxes an image above that threshold.
    """

    def __init__(
        self,
        network: Detector,
        anchors_wh: Tensor,
        images: Tensor,
        mode: Mode,
        nms: NmsKind = "greedy",
    ) -> None:
        self._nms = nms
        self._forward = prepare(network, anchors_wh, images, mode)
        _, scores = self._forward(images)
        wanted = min(NMS_CANDIDATES * len(images), scores.numel() - 1)
        self._threshold = float(scores.flatten().topk(wanted + 1).values[-1])
        self.candidates = int((scores > self._threshold).sum()) / len(images)

    def __call__(self, images: Tensor) -> list[Detections]:
        """Detections of a batch on its device."""
        boxes, scores = self._forward(images)
        return suppress(
            boxes.clamp(-FARTHEST, FARTHEST),
            scores,
            iou_threshold=NMS_IOU,
            score_threshold=self._threshold,
            max_detections=MOST_DETECTIONS,
            kind=self._nms,
        )


def prepare(network: Detector, anchors_wh: Tensor, images: Tensor, mode: Mode) -> Decoder:
    """Forward and decoding as a function of images of one shape.

    Parameters are those of `Pass`; under `torch.inference_mode` only.
    """
    body = prepare_body(network, images, replace(mode, cuda_graph=False))

    def forward(images: Tensor) -> tuple[Tensor, Tensor]:
        return decode(body(images), anchors_wh, network.geometry)

    return _captured(forward, images) if mode.cuda_graph else forward


def prepare_body(
    network: Detector | Classifier, images: Tensor, mode: Mode
) -> Callable[[Tensor], Any]:
    """Forward alone, as `prepare`: raw maps of a detector, logits of a classifier."""
    ours = fold_batch_norm(network) if mode.fold else copy.deepcopy(network)
    ours.to(images.device)
    dtype = DTYPES[mode.precision]
    layout = torch.channels_last if mode.channels_last else torch.contiguous_format
    for layer in ours.modules():
        if isinstance(layer, nn.Conv2d):
            layer.to(dtype)  # once, where autocast alone would do it in every pass
            layer.weight.data = layer.weight.data.contiguous(memory_format=layout)
    body: Callable[[Tensor], Any] = _compiled(ours) if mode.compiled else ours

    def forward(images: Tensor) -> Any:
        low = dtype != torch.float32
        with torch.autocast(images.device.type, dtype, enabled=low, cache_enabled=False):
            return body(images.contiguous(memory_format=layout))

    return _captured(forward, images) if mode.cuda_graph else forward


def _compiled(network: nn.Module) -> Callable[[Tensor], Any]:
    torch.compiler.reset()  # a size each: what was compiled before does not count
    return torch.compile(network, mode="max-autotune-no-cudagraphs", dynamic=False)


def _captured(forward: Callable[[Tensor], Out], images: Tensor) -> Callable[[Tensor], Out]:
    """Record all kernels of a pass, to be launched at once; the copy into its input counts."""
    held = images.clone()
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):  # libraries choose their kernels before the capture
            forward(held)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = forward(held)

    def replay(images: Tensor) -> Out:
        held.copy_(images)
        graph.replay()
        return out

    return replay


# --- choosing a mode -------------------------------------------------------------------------


def try_modes(make: Callable[[Mode], Run], images: Tensor, wanted: Wanted) -> list[Trial]:
    """Try one change after another for a few passes, each on top of the best so far.

    Parameters
    ----------
    make : callable of Mode
        Gives a pass in that mode.
    images : Tensor, shape (B, 3, H, W)
    wanted : Wanted

    Raises
    ------
    ConfigurationError
        If not even the first mode can be run.
    """
    first, *others = _precisions(wanted.precision, images.device)
    trials = [_try(make, images, Mode(first))]
    if trials[0].latency_ms is None:
        raise ConfigurationError(
            f"the network cannot be run: {trials[0].error}",
            f"batch {len(images)}, size {images.shape[-1]}, {first}",
            "take a smaller batch or size",
        )
    for change in _changes(others, images.device, wanted.compile):
        mode = replace(min(trials, key=_rank).mode, **change)
        trials.append(_try(make, images, mode))
    return trials


def _precisions(wanted: str, device: torch.device) -> list[Precision]:
    if wanted != "auto":
        return [name for name in ("fp32", "bf16", "fp16") if name == wanted]
    found: list[Precision] = ["fp32"]
    if gains_from_bf16(device):
        found.append("bf16")
    return [*found, "fp16"] if device.type == "cuda" else found


def _changes(
    precisions: Iterable[Precision], device: torch.device, compile_too: bool
) -> list[dict[str, Any]]:
    changes: list[dict[str, Any]] = [{"fold": True}]
    changes += [{"precision": precision} for precision in precisions]
    changes.append({"channels_last": True})
    if device.type == "cuda":
        changes.append({"cuda_graph": True})
    return [*changes, {"compiled": True}] if compile_too else changes


def _rank(trial: Trial) -> float:
    return math.inf if trial.latency_ms is None else trial.latency_ms


def _try(make: Callable[[Mode], Run], images: Tensor, mode: Mode) -> Trial:
    """Time a mode, or say why it cannot be run here."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # compilers' advice on what is only tried
            times = _time(make(mode), images, TRIAL_WARM_UP, TRIAL_REPEATS)
    except Exception as error:  # a compiler or a driver may fail in any way
        first_line = next(iter(str(error).splitlines()), "")
        logger.debug("mode=%s failed", mode, exc_info=True)
        return Trial(mode, None, f"{type(error).__name__}: {first_line}")
    return Trial(mode, float(np.median(times)))


def _time(run: Run, images: Tensor, warm_up: int, repeats: int) -> list[float]:
    """Milliseconds of each timed pass, from images on the device to what is found on it."""
    for _ in range(warm_up):
        run(images)
    times = []
    for _ in range(repeats):
        _wait_for(images.device)
        started = time.perf_counter()
        run(images)
        _wait_for(images.device)
        times.append(1e3 * (time.perf_counter() - started))
    return times


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


# --- memory and protocol ---------------------------------------------------------------------


def reset_peak_memory(device: torch.device) -> None:
    """Forget the peak so far, where the system can."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        logger.debug("the peak of this process cannot be reset")


def peak_memory_mib(device: torch.device) -> float:
    """Peak since the last reset: allocated on a GPU, resident of this process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def describe_protocol(
    device: torch.device, wanted: Wanted, task: Task = "detect"
) -> dict[str, Any]:
    """All that must be known to read the figures, or to measure them again."""
    detects = task == "detect"
    steps = "forward, decoding and NMS" if detects else "forward"
    on_gpu = device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(device) if on_gpu else processor_name(),
        "device_type": device.type,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda if on_gpu else None,
        "tf32": torch.backends.cudnn.allow_tf32 if on_gpu else None,
        "timed": f"{steps}; images lie on the device, their copy is not timed",
        "images": "seeded noise",
        "warm_up": wanted.warm_up,
        "repeats": wanted.repeats,
        "batch": wanted.batch,
        "precision": wanted.precision,
        "nms": _describe_nms(wanted.nms) if detects else None,
        "mode": f"fastest of trials of {TRIAL_REPEATS} passes each",
        "memory": "allocated on the GPU, peak"
        if on_gpu
        else "resident, peak of the whole process",
    }


def _describe_nms(kind: NmsKind) -> dict[str, Any]:
    return {
        "kind": kind,
        "iou_threshold": NMS_IOU,
        "candidates_per_image": NMS_CANDIDATES,
        "max_detections": MOST_DETECTIONS,
    }


def processor_name() -> str:
    """Model name of the CPU, as the system tells it."""
    try:
        lines: Sequence[str] = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = ()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
