"""A trained detector as an ONNX file: checked, compared with PyTorch, whole or not there."""

import contextlib
import copy
import importlib
import json
import logging
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from model.boxes import cxcywh_to_xyxy
from model.build import Detector
from model.decode import decode
from model.detect import LoadedDetector
from model.errors import ConfigurationError, ModelError
from model.files import require_folder_of, write_atomically
from model.fuse import fold_batch_norm
from model.predict import FARTHEST

TOLERANCE = 1e-4
ROUNDINGS = 8  # times PyTorch's own error in float32, which FRN makes larger than the tolerance
LARGEST_BYTES = 2**31 - 1  # of one protobuf message
OLDEST_OPSET = 18  # the first with Mish, and the first that PyTorch's exporter writes
COMPARED_BATCHES = (1, 3)  # of a dynamic batch
STEP_PX = 32
NOISY_LOGGERS = ("torch.onnx", "onnxscript", "onnx_ir")

Shape = tuple[int | str, ...]


class ExportError(ModelError):
    """A file that could not be written, or that does not compute what the detector does."""


@dataclass(frozen=True)
class Exported:
    """An ONNX file that has been written.

    Attributes
    ----------
    path : Path
    size_bytes : int
    opset : int
    inputs, outputs : mapping of name to shape
        Fixed extents as numbers, the others by name.
    difference : float or None
        Largest difference from PyTorch for noise, relative where a value is beyond 1; None if
        there is no onnxruntime to tell.
    """

    path: Path
    size_bytes: int
    opset: int
    inputs: Mapping[str, Shape]
    outputs: Mapping[str, Shape]
    difference: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self) | {"path": str(self.path)}


class Ready(nn.Module):
    """A network with what follows it up to suppression.

    ``forward(images)`` gives boxes (B, N, 4), corners relative to the input, and scores
    (B, N, K).

    Parameters
    ----------
    network : Detector
    anchors_wh : Tensor, shape (A, 2), relative to the input
    side_px : int, optional
        The side that `anchors_wh` are relative to, where images of other sizes may come: their
        anchors have as many pixels. None: all images are of the same size.
    """

    def __init__(self, network: Detector, anchors_wh: Tensor, side_px: int | None = None) -> None:
        super().__init__()
        self.network = network
        self.side_px = side_px
        self.register_buffer("anchors_wh", anchors_wh.float())
        self.anchors_wh: Tensor

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Map RGB images (B, 3, H, W) in [0, 1] to boxes and scores."""
        anchors = self._anchors(*images.shape[-2:])
        boxes, scores = decode(self.network(images), anchors, self.network.geometry)
        return cxcywh_to_xyxy(boxes.clamp(-FARTHEST, FARTHEST)), scores

    def _anchors(self, height: int, width: int) -> Tensor:
        if self.side_px is None:
            return self.anchors_wh
        in_px = self.anchors_wh * self.side_px
        return torch.stack((in_px[:, 0] / width, in_px[:, 1] / height), dim=1)


def export_onnx(
    detector: LoadedDetector,
    path: Path,
    *,
    raw: bool = False,
    opset: int | None = None,
    batch: int | None = None,
    dynamic_size: bool = False,
) -> Exported:
    """Write a detector as one ONNX file, with its batch normalisation folded.

    The input ``images`` are RGB (B, 3, H, W) in [0, 1], float32. The outputs are ``boxes``
    (B, N, 4), corners relative to the input, and ``scores`` (B, N, K), which are ready for
    suppression. Classes, sizes, letter box, strides, anchors and the rule of suppression stand
    in the file's metadata, as JSON where they are no plain text.

    Parameters
    ----------
    detector : LoadedDetector
        Left as it is.
    path : Path
        Replaced if it is a file; its folder must exist.
    raw : bool
        The network's maps ``map_stride8``, ... instead of boxes and scores.
    opset : int, optional
        Of ONNX's operators, at least 18; None takes what PyTorch's exporter recommends.
    batch : int, optional
        Images at once; None lets it be chosen with every call.
    dynamic_size : bool
        Lets height and width be any multiples of 32, where anchors keep their pixels.

    Raises
    ------
    ConfigurationError
        If packages are missing or arguments make no sense.
    ExportError
        If the file cannot be written, is refused by onnx.checker, or differs from PyTorch by
        more than 1e-4 and than float32 explains (eight times PyTorch's own distance from
        float64). Nothing is left of it.
    """
    onnx = _load_onnx()
    _check_arguments(path, opset, batch, onnx.defs.onnx_opset_version())
    side = int(detector.config.image_size)
    network = fold_batch_norm(detector.network).cpu()
    ready = Ready(network, detector.anchors_wh.cpu(), side if dynamic_size else None).eval()
    whole = network if raw else ready
    if sum(p.numel() * p.element_size() for p in whole.parameters()) > LARGEST_BYTES:
        raise ExportError("the weights exceed the 2 GB of an ONNX file", str(path))
    model = _translate(whole, _names(network, raw), side, opset, batch, dynamic_size)
    written = model.opset_import[0].version
    if opset not in (None, written):
        raise ExportError(
            f"this network cannot be written with opset {opset}", mend=f"take opset {written}"
        )
    _tidy(model, dynamic_size)
    onnx.helper.set_model_props(model, _metadata(detector, raw))
    with _quiet():
        onnx.checker.check_model(model, full_check=True)
    data = model.SerializeToString()
    reference = _reference(detector, ready.side_px, raw)
    difference = _compare(data, reference, _sample_shapes(side, batch, dynamic_size), path)
    _write(path, data)
    inputs, outputs = _shapes(model.graph.input), _shapes(model.graph.output)
    return Exported(path, len(data), written, inputs, outputs, difference)


def _load_onnx() -> Any:
    """The package `onnx`, if all that exporting needs is there."""
    try:
        with _quiet():
            importlib.import_module("onnxscript")
            return importlib.import_module("onnx")
    except ImportError as error:
        raise ConfigurationError(
            f"exporting needs the package '{error.name}'",
            mend="pip install 'evolve-yolo[onnx]'",
        ) from None


def _check_arguments(path: Path, opset: int | None, batch: int | None, newest: int) -> None:
    if batch is not None and batch < 1:
        raise ConfigurationError(f"a batch of {batch} images", "batch", "take 1 or more")
    if opset is not None and not OLDEST_OPSET <= opset <= newest:
        raise ConfigurationError(
            f"opset {opset} cannot be written",
            "opset",
            f"take one from {OLDEST_OPSET} to {newest}",
        )
    if path.is_dir():
        raise ConfigurationError("a folder is given for a file", str(path), "name a .onnx file")
    require_folder_of(path)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the exporter tells its own developers from our users."""
    loggers = [logging.getLogger(name) for name in NOISY_LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            for kind in (DeprecationWarning, FutureWarning):
                warnings.simplefilter("ignore", kind)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _names(network: Detector, raw: bool) -> list[str]:
    if raw:
        return [f"map_stride{stride}" for stride in network.geometry.strides]
    return ["boxes", "scores"]


def _translate(
    module: nn.Module,
    names: list[str],
    side: int,
    opset: int | None,
    batch: int | None,
    dynamic_size: bool,
) -> Any:
    """The network as a ModelProto."""
    images = torch.zeros(batch or 2, 3, side, side)  # a one would be taken for a constant
    axes: dict[int, Any] = {} if batch else {0: torch.export.Dim("batch")}
    if dynamic_size:
        images = torch.zeros(batch or 2, 3, 2 * STEP_PX, 3 * STEP_PX)
        axes |= {2: STEP_PX * torch.export.Dim("rows"), 3: STEP_PX * torch.export.Dim("columns")}
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            module,
            (images,),
            dynamo=True,
            opset_version=opset,
            input_names=["images"],
            output_names=names,
            dynamic_shapes=({key: axes[key] for key in axes},),
            verbose=False,
        )
    assert program is not None
    return program.model_proto


def _tidy(model: Any, dynamic_size: bool) -> None:
    """Drop the exporter's notes, which hold paths of this machine, and name open extents."""
    graph = model.graph
    for part in (
        graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer,
    ):  # fmt: skip
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    model.producer_name, model.producer_version = "evolve", version("evolve-yolo")
    if not dynamic_size:
        return
    graph.ClearField("value_info")
    height, width = graph.input[0].type.tensor_type.shape.dim[2:]
    height.dim_param, width.dim_param = "height", "width"
    for value in graph.output:
        for axis, extent in enumerate(value.type.tensor_type.shape.dim):
            if axis and extent.dim_param:
                extent.dim_param = f"{value.name}_{axis}"


def _metadata(detector: LoadedDetector, raw: bool) -> dict[str, str]:
    config, geometry = detector.config, detector.network.geometry
    side = int(config.image_size)
    facts = {
        "classes": detector.classes,
        "image_size": [side, side],
        "letter_box": config.data.letter_box,
        "strides": geometry.strides,
        "masks": geometry.masks,
        "scales_xy": geometry.scales_xy,
        "new_coords": geometry.new_coords,
        "gaussian": geometry.gaussian,
        "anchors_wh_px": (detector.anchors_wh.cpu().double() * side).tolist(),
        "nms": config.nms.model_dump(mode="json"),
    }
    text = {
        "model": config.model,
        "input": "RGB, (batch, 3, height, width), 0 to 1",
        "boxes": "raw maps" if raw else "x0, y0, x1, y1 relative to the input",
    }
    return text | {name: json.dumps(value, ensure_ascii=False) for name, value in facts.items()}


def _reference(detector: LoadedDetector, side_px: int | None, raw: bool) -> nn.Module:
    """What the file must compute: a copy of the network as it was, on the CPU."""
    network = copy.deepcopy(detector.network).cpu()
    return network if raw else Ready(network, detector.anchors_wh.cpu(), side_px).eval()


def _sample_shapes(side: int, batch: int | None, dynamic_size: bool) -> list[tuple[int, ...]]:
    """Shapes that file and network are compared at."""
    batches = (batch,) if batch else COMPARED_BATCHES
    shapes: list[tuple[int, ...]] = [(count, 3, side, side) for count in batches]
    return [*shapes, (batches[0], 3, STEP_PX, 5 * STEP_PX)] if dynamic_size else shapes


@torch.inference_mode()
def _compare(
    data: bytes, reference: nn.Module, shapes: list[tuple[int, ...]], path: Path
) -> float | None:
    """Largest difference of all outputs for seeded noise; None without onnxruntime."""
    try:
        runtime = importlib.import_module("onnxruntime")
    except ImportError:
        return None
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    session = runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(0)
    samples = [torch.rand(shape, generator=generator) for shape in shapes]
    expected = [reference(images) for images in samples]
    found = [session.run(None, {"images": images.numpy()}) for images in samples]
    difference = max(map(_largest_difference, found, expected))
    if difference > TOLERANCE:
        exact = [reference.double()(images.double()) for images in samples]
        rounding = max(map(_largest_difference, expected, exact))
        _check_difference(difference, rounding, path)
    return difference


def _largest_difference(found: Iterable[Any], expected: Iterable[Tensor]) -> float:
    """Of all values of all outputs, relative where a value is beyond 1."""
    return max(
        float(_relative(torch.as_tensor(ours), theirs).nan_to_num(torch.inf).max())
        for ours, theirs in zip(found, expected, strict=True)
    )


def _relative(found: Tensor, expected: Tensor) -> Tensor:
    return (found - expected).abs() / expected.abs().clamp(min=1)


def _check_difference(difference: float, rounding: float, path: Path) -> None:
    """Refuse what is worse than the tolerance and than PyTorch's own rounding can explain."""
    if difference > max(TOLERANCE, ROUNDINGS * rounding):
        raise ExportError(
            f"the file would differ from PyTorch by {difference:.1e}, more than {TOLERANCE:.0e}",
            str(path),
            "nothing was written; try another opset or another version of onnxruntime",
        )


def _write(path: Path, data: bytes) -> None:
    try:
        write_atomically(path, lambda file: file.write(data))
    except OSError as error:
        raise ExportError(
            f"the file cannot be written: {error.strerror}", str(path), "name another file"
        ) from error


def _shapes(values: Any) -> dict[str, Shape]:
    return {
        value.name: tuple(
            extent.dim_param or extent.dim_value for extent in value.type.tensor_type.shape.dim
        )
        for value in values
    }
