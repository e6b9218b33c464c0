"""The numbers of a network in the order of darknet's `.weights` files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from model.blocks.conv import ConvBlock
from model.blocks.weighted import WeightedSum
from model.build import Classifier, Detector
from model.errors import CheckpointError
from model.graph import Layer, trace_layers
from model.heads.yolo import Prediction

Network = Detector | Classifier


@dataclass(frozen=True, eq=False)
class Field:
    """Numbers of one kind in a layer; without a tensor darknet has zeros there."""

    kind: str
    count: int
    tensor: Tensor | None


@dataclass(frozen=True, eq=False)
class Part:
    """Numbers of one layer, in the order of the file.

    Attributes
    ----------
    number : int
        Darknet's, from 0.
    name : str
        Path of the module.
    fields : tuple of Field
    slots, fixed : int
        A layer that depends on the classes has ``slots * (fixed + classes)`` outputs; 0 slots:
        it does not.
    """

    number: int
    name: str
    fields: tuple[Field, ...]
    slots: int = 0
    fixed: int = 0

    @property
    def floats(self) -> int:
        """Numbers of the layer."""
        return sum(field.count for field in self.fields)

    @property
    def per_output(self) -> int:
        """Numbers of each output channel: its bias and weights."""
        return self.floats // self.fields[0].count

    def floats_with(self, classes: int) -> int:
        """Numbers of the layer in a file of another class count."""
        if not self.slots:
            return self.floats
        return self.slots * (self.fixed + classes) * self.per_output

    def __str__(self) -> str:
        return f"layer {self.number} ({self.name})"


def network_parts(network: Network) -> list[Part]:
    """Layers with weights, as darknet's files have them.

    Raises
    ------
    CheckpointError
        If the network has weights for which such files have no place.
    """
    parts = [
        part
        for number, layer in enumerate(trace_layers(network))
        if (part := _part(number, layer, network)) is not None
    ]
    _refuse_others(network, parts)
    return parts


def own_classes(network: Network) -> int:
    """Classes that a network tells apart."""
    if isinstance(network, Detector):
        return network.num_classes
    return network.predict.out_channels


def _part(number: int, layer: Layer, network: Network) -> Part | None:
    if layer.kind == "shortcut" and isinstance(layer.module, WeightedSum):
        weights = layer.module.weights
        return Part(number, layer.name, (Field("weights", weights.numel(), weights),))
    if layer.kind != "convolutional":
        return None
    match module := layer.module:
        case ConvBlock():
            return Part(number, layer.name, tuple(_fields(module.conv, module.norm)))
        case Prediction():
            assert isinstance(network, Detector)
            geometry = network.geometry
            slots, fixed = geometry.per_scale, geometry.box_channels + 1
            return Part(number, layer.name, tuple(_fields(module.conv)), slots, fixed)
        case nn.Conv2d():
            final = int(isinstance(network, Classifier) and module is network.predict)
            return Part(number, layer.name, tuple(_fields(module)), final)
    raise AssertionError(f"a convolution in a {type(module).__name__}")


def _fields(conv: nn.Conv2d, norm: nn.Module | None = None) -> Iterator[Field]:
    """Biases, with BN its scales and statistics, weights."""
    outputs = conv.out_channels
    if isinstance(norm, nn.BatchNorm2d):
        yield Field("biases", outputs, norm.bias)
        yield Field("scales", outputs, norm.weight)
        yield Field("rolling means", outputs, norm.running_mean)
        yield Field("rolling variances", outputs, norm.running_var)
    else:
        yield Field("biases", outputs, conv.bias)
    yield Field("weights", conv.weight.numel(), conv.weight)


def _refuse_others(network: Network, parts: Sequence[Part]) -> None:
    """No weight may be left out, or a network would come back as another."""
    held = {id(field.tensor) for part in parts for field in part.fields}
    named = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    for name, tensor in named.items():
        if id(tensor) in held or name.endswith("num_batches_tracked"):
            continue
        owner = network.get_submodule(name.rpartition(".")[0])
        raise CheckpointError(
            f"darknet's files have no place for the weights of a {type(owner).__name__}",
            name,
            "take norm bn or cmbn and an activation without weights, or keep to .pt files",
        )
