"""A network as darknet's list of layers, and the figures that follow from it.

The list is read off a forward pass on the meta device: no second description can drift from
the code. It serves counting (BFLOPs, receptive field), darknet's weights files, whose order it
is, and recognising cfg files.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from model.blocks.attention import PointwiseAttention
from model.blocks.conv import (
    Concat,
    ConvBlock,
    MaxPool,
    Residual,
    SecondHalf,
    Shortcut,
    Upsample,
)
from model.blocks.weighted import WeightedSum
from model.build import Classifier, Detector
from model.heads.yolo import Prediction
from model.necks.pan import SpatialPyramidPooling

UNKNOWN = -1  # source of a map that no recorded layer made


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer as darknet counts them.

    Attributes
    ----------
    kind : str
        Section name of a cfg: convolutional, route, shortcut, maxpool, upsample, avgpool, sam,
        yolo, softmax; `other` for what darknet does not have.
    name : str
        Path of the module in the network.
    inputs : tuple of int
        Layers it reads, the first being the one before it in darknet's eyes; -1 for images.
    c_in, c_out : int
        Channels of its (first) input and of its output.
    in_wh, out_wh : (int, int)
        Extents.
    size, stride, groups : int
        Of convolutions and pools.
    activation : str
    module : nn.Module
        What holds its weights.
    """

    kind: str
    name: str
    inputs: tuple[int, ...]
    c_in: int
    c_out: int
    in_wh: tuple[int, int]
    out_wh: tuple[int, int]
    module: nn.Module
    size: int = 1
    stride: int = 1
    groups: int = 1
    activation: str = "linear"

    @property
    def outputs(self) -> int:
        """Numbers in the output of one image."""
        return self.c_out * self.out_wh[0] * self.out_wh[1]

    @property
    def operations(self) -> int:
        """Operations on one image by darknet's rule.

        Convolutions 2 k^2 C_in / groups C_out H W, pools k^2 C H W, shortcuts C H W for each
        further input (twice that with weights), all others nothing.
        """
        if self.kind == "convolutional":
            return 2 * self.size**2 * (self.c_in // self.groups) * self.outputs
        if self.kind == "maxpool":
            return self.size**2 * self.outputs
        if self.kind == "shortcut":
            weighted = isinstance(self.module, WeightedSum)
            return (len(self.inputs) - 1) * self.outputs * (2 if weighted else 1)
        return 0


class _Recorder:
    """Layers in the order of their execution; `inputs` are places in that order."""

    def __init__(self) -> None:
        self.layers: list[Layer] = []
        self._made_by: dict[int, int] = {}
        self._kept: list[Tensor] = []  # ids of tensors are only good while they live

    def sources(self, maps: Sequence[Tensor]) -> tuple[int, ...]:
        """Which layers made these maps."""
        return tuple(self._made_by.get(id(x), UNKNOWN) for x in maps)

    def add(self, layer: Layer, out: Tensor | None = None) -> int:
        """Append a layer, which made `out`; its place."""
        self.layers.append(layer)
        if out is not None:
            self.made(out)
        return len(self.layers) - 1

    def made(self, out: Tensor) -> None:
        """Say that the last layer made a map."""
        self._made_by[id(out)] = len(self.layers) - 1
        self._kept.append(out)

    def hook(self, name: str) -> Callable[..., None]:
        """Forward hook that notes one call of a module."""

        def note(module: nn.Module, inputs: tuple[Tensor, ...], out: Tensor) -> None:
            first = inputs[0]
            layer = Layer(
                "other", name, self.sources(inputs), first.shape[1], out.shape[1],
                _wh(first), _wh(out), module,
            )  # fmt: skip
            if isinstance(module, SpatialPyramidPooling):
                self._add_pyramid(layer, out)
            elif isinstance(module, Residual):
                self.layers[-1] = replace(self.layers[-1], activation=module.activation)
                self.made(out)
            elif isinstance(module, PointwiseAttention):
                mask = len(self.layers) - 1
                self.add(replace(layer, kind="sam", inputs=(mask, *layer.inputs)), out)
            else:
                self.add(_described(layer), out)

        return note

    def _add_pyramid(self, layer: Layer, out: Tensor) -> None:
        """Three pools of one map and their concatenation with it, largest first."""
        pools = [
            self.add(replace(layer, kind="maxpool", size=size, c_out=layer.c_in))
            for size in SpatialPyramidPooling.sizes
        ]
        self.add(replace(layer, kind="route", inputs=(*reversed(pools), *layer.inputs)), out)


def _wh(x: Tensor) -> tuple[int, int]:
    return (x.shape[3], x.shape[2]) if x.dim() == 4 else (1, 1)


def _described(layer: Layer) -> Layer:
    """Fill in the kind of a layer and what that kind has."""
    match module := layer.module:
        case ConvBlock():
            return _convolution(layer, module.conv, module.activation)
        case Prediction():
            activation = "logistic" if module.logistic else "linear"
            return _convolution(layer, module.conv, activation)
        case nn.Conv2d():
            return _convolution(layer, module, "linear")
        case MaxPool():
            return replace(layer, kind="maxpool", size=module.size, stride=module.stride)
        case SecondHalf():
            return replace(layer, kind="route", groups=2)
        case Upsample():
            return replace(layer, kind="upsample", stride=2)
        case nn.AdaptiveAvgPool2d():
            return replace(layer, kind="avgpool")
        case Concat():
            return replace(layer, kind="route")
    return replace(layer, kind="shortcut")


def _convolution(layer: Layer, conv: nn.Conv2d, activation: str) -> Layer:
    return replace(
        layer,
        kind="convolutional",
        size=conv.kernel_size[0],
        stride=conv.stride[0],
        groups=conv.groups,
        activation=activation,
    )


RECORDED = (
    ConvBlock, Prediction, nn.Conv2d, MaxPool, SpatialPyramidPooling, Concat, SecondHalf,
    Shortcut, WeightedSum, Upsample, PointwiseAttention, nn.AdaptiveAvgPool2d, Residual,
)  # fmt: skip


def trace_layers(
    network: Detector | Classifier, width: int = 416, height: int = 416
) -> tuple[Layer, ...]:
    """List a network's layers with the numbers that darknet would give them.

    Parameters
    ----------
    network : Detector or Classifier
        Left as it is; nothing is computed.
    width, height : int
        Extent of the input in pixels, multiples of 32.

    Returns
    -------
    tuple of Layer
        Head layers follow the layer they read, as in darknet's cfg files.
    """
    recorder = _Recorder()
    hooks = [
        module.register_forward_hook(recorder.hook(name)) for name, module in _recorded(network)
    ]
    modes = {module: module.training for module in network.modules()}
    held = itertools.chain(network.named_parameters(), network.named_buffers())
    weights = {name: tensor.to("meta") for name, tensor in held}
    images = torch.empty(1, 3, height, width, device="meta")
    try:
        with torch.no_grad():
            torch.func.functional_call(network.eval(), weights, images)
    finally:
        for module, mode in modes.items():
            module.training = mode
        for hook in hooks:
            hook.remove()
    order = _heads_in_place(recorder.layers)
    return tuple(_numbered([recorder.layers[place] for place in order], order))


def _recorded(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Modules that make a layer; a convolution inside a block is the block's."""
    inside = {
        module.conv for module in network.modules() if isinstance(module, (ConvBlock, Prediction))
    }
    for name, module in network.named_modules():
        if isinstance(module, RECORDED) and module not in inside:
            yield name, module


def _heads_in_place(layers: Sequence[Layer]) -> list[int]:
    """Order in which every scale of the head follows the neck's layer that it reads."""
    following: dict[int, list[int]] = {}
    body = []
    for scale, group in itertools.groupby(enumerate(layers), lambda pair: _scale(pair[1].name)):
        places = [place for place, _ in group]
        if scale:
            following.setdefault(layers[places[0]].inputs[0], []).extend(places)
        else:
            body += places
    order = []
    for place in body:
        order += [place, *following.pop(place, [])]
    return order + list(itertools.chain(*following.values()))


def _scale(name: str) -> str:
    """Scale of the head that a module belongs to; empty for the other modules."""
    return ".".join(name.split(".")[:3]) if name.startswith("head.") else ""


def _numbered(layers: Sequence[Layer], places: Sequence[int]) -> Iterator[Layer]:
    """Layers with routes to whatever is not the layer before, and yolo and softmax layers."""
    numbers = {UNKNOWN: UNKNOWN}
    count = 0
    for layer, place in zip(layers, places, strict=True):
        inputs = tuple(numbers[source] for source in layer.inputs)
        if layer.kind not in ("route", "other") and inputs[0] not in (count - 1, UNKNOWN):
            yield _follow_up(layer, "route", inputs[0], layer.c_in, layer.in_wh)
            inputs = (count, *inputs[1:])
            count += 1
        yield replace(layer, inputs=inputs)
        numbers[place] = count
        count += 1
        final = _closing_kind(layer)
        if final:
            yield _follow_up(layer, final, count - 1, layer.c_out, layer.out_wh)
            count += 1


def _follow_up(layer: Layer, kind: str, source: int, channels: int, wh: tuple[int, int]) -> Layer:
    return Layer(kind, layer.name, (source,), channels, channels, wh, wh, layer.module)


def _closing_kind(layer: Layer) -> str:
    """What darknet puts behind the last convolution of a detector or a classifier."""
    if isinstance(layer.module, Prediction):
        return "yolo"
    return "softmax" if layer.name == "predict" else ""


def bflops(layers: Sequence[Layer]) -> float:
    """Operations on one image by darknet's rule (see `Layer.operations`), in billions."""
    return sum(layer.operations for layer in layers) / 1e9


def receptive_field(layers: Sequence[Layer]) -> int:
    """Side in pixels of what the deepest path sees, by darknet's formula.

    Every convolution and pool adds (size - 1) times the stride so far; the average pool of a
    classifier and what follows is left out (arXiv:2004.10934 table 1).
    """
    seen: list[tuple[int, int]] = []
    for layer in layers:
        if layer.kind == "avgpool":
            break
        side, stride = max(seen[i] if i != UNKNOWN else (1, 1) for i in layer.inputs)
        if layer.kind in ("convolutional", "maxpool"):
            side, stride = side + (layer.size - 1) * stride, stride * layer.stride
        elif layer.kind == "upsample":
            stride //= layer.stride
        seen.append((side, stride))
    return max(side for side, _ in seen)


def mean_output(layers: Sequence[Layer]) -> float:
    """Mean size of a layer's output (arXiv:2004.10934 table 1), over layers on maps."""
    sizes = [layer.outputs for layer in layers if min(layer.in_wh) > 1]
    return sum(sizes) / len(sizes)
