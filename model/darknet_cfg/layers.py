"""Layers as darknet's cfg files describe them, of a network and of a file, to be compared.

Both descriptions have the same keys, and other layers are named relative to the layer itself.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from torch import nn

from model.blocks.conv import ConvBlock, MaxPool
from model.blocks.weighted import WeightedSum
from model.build import Detector
from model.darknet_cfg.read import Cfg, Section
from model.errors import ConfigurationError
from model.graph import UNKNOWN, Layer, trace_layers
from model.heads.yolo import Prediction

# darknet's word for each of our activations that it has
ACTIVATIONS = {
    "linear": "linear",
    "relu": "relu",
    "leaky": "leaky",
    "relu6": "relu6",
    "selu": "selu",
    "swish": "swish",
    "mish": "mish",
    "hard-mish": "hard_mish",
    "logistic": "logistic",
}

# keys that make another layer of it and that no network here has; 0 is the same as absent
FOREIGN_KEYS = (
    "share_index", "antialiasing", "xnor", "binary", "use_bin_output", "deform", "rotate",
    "stretch", "sway", "stretch_sway", "assisted_excitation", "scale", "reverse", "maxpool_depth",
    "out_channels",
)  # fmt: skip

YOLO_KINDS = ("yolo", "Gaussian_yolo")


@dataclass(frozen=True)
class Described:
    """One layer: the name of its section, and its keys with all defaults written out."""

    kind: str
    values: dict[str, str]

    def __str__(self) -> str:
        listed = ", ".join(f"{key}={value}" for key, value in self.values.items())
        return f"[{self.kind}] {listed}".rstrip()


def describe_network(detector: Detector) -> list[Described]:
    """Layers of a detector.

    Raises
    ------
    ConfigurationError
        If it has a layer or an activation that darknet does not have.
    """
    layers = trace_layers(detector)
    for number, layer in enumerate(layers):
        if layer.kind == "other" or (number and UNKNOWN in layer.inputs):
            raise ConfigurationError(
                "darknet has no layer for what is computed here",
                layer.name,
                "of the plug-ins darknet has sam, weighted residual sums, pan-add and Gaussian "
                "heads",
            )
    return [_of_network(number, layer, detector) for number, layer in enumerate(layers)]


def describe_cfg(cfg: Cfg) -> list[Described]:
    """Layers of a file; sections that are unknown here have no keys.

    Raises
    ------
    ConfigurationError
        If a value cannot be read.
    """
    return [_of_section(number, section) for number, section in enumerate(cfg.layers)]


def first_difference(ours: Sequence[Described], theirs: Sequence[Described]) -> int | None:
    """Number of the first layer that differs, or that one of the two lacks."""
    for number, (one, other) in enumerate(zip(ours, theirs, strict=False)):
        if one != other:
            return number
    return None if len(ours) == len(theirs) else min(len(ours), len(theirs))


def likeness(ours: Sequence[Described], theirs: Sequence[Described]) -> int:
    """How many layers are equal from the front and from the back."""
    shorter = min(len(ours), len(theirs))
    front = _equal(zip(ours, theirs, strict=False))
    back = _equal(zip(reversed(ours), reversed(theirs), strict=False))
    return min(front + back, shorter)


def _equal(pairs: "zip[tuple[Described, Described]]") -> int:
    count = 0
    for one, other in pairs:
        if one != other:
            break
        count += 1
    return count


def _of_network(number: int, layer: Layer, detector: Detector) -> Described:
    others = [str(source - number) for source in layer.inputs]
    match layer.kind:
        case "convolutional":
            return Described("convolutional", _convolution(layer))
        case "shortcut":
            weighted = isinstance(layer.module, WeightedSum)
            values = {
                "from": ",".join(others[1:]),
                "activation": _activation(layer.activation, layer.name),
                "weights_type": "per_feature" if weighted else "none",
                "weights_normalization": getattr(layer.module, "normalisation", "none"),
            }
        case "route":
            half = "1" if layer.groups > 1 else "0"
            values = {"layers": ",".join(others), "groups": str(layer.groups), "group_id": half}
        case "maxpool":
            stride = layer.stride if isinstance(layer.module, MaxPool) else 1
            values = _pool(layer.size, stride)
        case "sam":
            values = {"from": others[1], "activation": "linear"}
        case "upsample":
            values = {"stride": str(layer.stride)}
        case "yolo":
            return _yolo(layer, detector)
    return Described(layer.kind, values)


def _pool(size: int, stride: int) -> dict[str, str]:
    return {"size": str(size), "stride": str(stride), "padding": str(size - 1)}


def _convolution(layer: Layer) -> dict[str, str]:
    module = layer.module
    conv = module.conv if isinstance(module, ConvBlock | Prediction) else module
    assert isinstance(conv, nn.Conv2d)
    norm = isinstance(module, ConvBlock) and isinstance(module.norm, nn.BatchNorm2d)
    if not norm and conv.bias is None:
        raise ConfigurationError(
            "darknet normalises by batch statistics, or adds a bias", layer.name,
            "take norm bn or cmbn",
        )  # fmt: skip
    dilation = int(conv.dilation[0])
    return {
        "batch_normalize": str(int(norm)),
        "filters": str(layer.c_out),
        "size": str(layer.size),
        "stride": str(layer.stride),
        "padding": str(int(conv.padding[0]) // dilation),
        "groups": str(layer.groups),
        "dilation": str(dilation),
        "activation": _activation(layer.activation, layer.name),
    }


def _activation(ours: str, name: str) -> str:
    if ours not in ACTIVATIONS:
        raise ConfigurationError(
            f"darknet has no activation '{ours}'", name, f"it has {', '.join(ACTIVATIONS)}"
        )
    return ACTIVATIONS[ours]


def _yolo(layer: Layer, detector: Detector) -> Described:
    geometry = detector.geometry
    place = next(i for i, p in enumerate(detector.head.predictions) if p is layer.module)
    values = {
        "mask": ",".join(map(str, geometry.masks[place])),
        "num": str(len(geometry.anchors_wh_px)),
        "classes": str(detector.num_classes),
        "scale_x_y": f"{geometry.scales_xy[place]:g}",
        "new_coords": str(int(geometry.new_coords)),
    }
    return Described(YOLO_KINDS[geometry.gaussian], values)


def _of_section(number: int, section: Section) -> Described:
    read = _READERS.get(section.name)
    values = read(number, section) if read else {}
    return Described(section.name, values | dict(_foreign(section)))


def _foreign(section: Section) -> Iterator[tuple[str, str]]:
    for key in FOREIGN_KEYS:
        value = section.text(key, "0")
        if value != "0" and not (key == "scale" and value in ("1", "1.0")):
            yield key, value


def _read_convolution(_: int, section: Section) -> dict[str, str]:
    size, strides = section.integer("size", 1), _strides(section)
    norm = section.integer("batch_normalize", 0) or section.integer("cbn", 0)
    padding = size // 2 if section.integer("pad", 0) else section.integer("padding", 0)
    return {
        "batch_normalize": str(int(norm > 0)),
        "filters": str(section.integer("filters", 1)),
        "size": str(size),
        "stride": strides,
        "padding": str(padding),
        "groups": str(section.integer("groups", 1)),
        "dilation": str(1 if size == 1 else section.integer("dilation", 1)),
        "activation": section.text("activation", "logistic"),
    }


def _strides(section: Section) -> str:
    stride = section.integer("stride", 1)
    both = {section.integer(key, stride) for key in ("stride_x", "stride_y")}
    return "x".join(map(str, sorted(both)))


def _read_shortcut(number: int, section: Section) -> dict[str, str]:
    kinds = {"per_layer": "per_feature"}
    normalisations = {"avg_relu": "relu"}
    weights = section.text("weights_type", "none")
    normalisation = section.text("weights_normalization", "none")
    return {
        "from": _relative(number, section, "from"),
        "activation": section.text("activation", "linear"),
        "weights_type": kinds.get(weights, weights),
        "weights_normalization": normalisations.get(normalisation, normalisation),
    }


def _read_route(number: int, section: Section) -> dict[str, str]:
    return {
        "layers": _relative(number, section, "layers"),
        "groups": str(section.integer("groups", 1)),
        "group_id": str(section.integer("group_id", 0)),
    }


def _relative(number: int, section: Section, key: str) -> str:
    """Layers that a section names: below 0 counted from itself, else from the first."""
    named = section.integers(key)
    offsets = [n if n < 0 else n - number for n in named]
    if not named or any(offset >= 0 or number + offset < 0 for offset in offsets):
        raise ConfigurationError(
            f"'{key}' of layer {number} names no layer before it ({section.text(key, 'nothing')})",
            section.where(key),
            f"name layers 0 to {number - 1}, or -1 to {-number}",
        )
    return ",".join(map(str, offsets))


def _read_pool(_: int, section: Section) -> dict[str, str]:
    stride = section.integer("stride", 1)
    size = section.integer("size", stride)
    padding = section.integer("padding", size - 1)
    return _pool(size, stride) | {"stride": _strides(section), "padding": str(padding)}


def _read_sam(number: int, section: Section) -> dict[str, str]:
    return {
        "from": _relative(number, section, "from"),
        "activation": section.text("activation", "linear"),
    }


def _read_upsample(_: int, section: Section) -> dict[str, str]:
    return {"stride": str(section.integer("stride", 2))}


def _read_yolo(_: int, section: Section) -> dict[str, str]:
    total = section.integer("num", 1)
    mask = section.integers("mask") or tuple(range(min(max(total, 0), 100)))
    return {
        "mask": ",".join(map(str, mask)),
        "num": str(total),
        "classes": str(section.integer("classes", 20)),
        "scale_x_y": f"{section.number('scale_x_y', 1.0):g}",
        "new_coords": str(section.integer("new_coords", 0)),
    }


_READERS: dict[str, Callable[[int, Section], dict[str, str]]] = {
    "convolutional": _read_convolution,
    "shortcut": _read_shortcut,
    "route": _read_route,
    "maxpool": _read_pool,
    "sam": _read_sam,
    "upsample": _read_upsample,
    "yolo": _read_yolo,
    "Gaussian_yolo": _read_yolo,
}

# keys of a section that its description tells already
STRUCTURE_KEYS = {
    "convolutional": (
        "batch_normalize", "cbn", "filters", "size", "stride", "stride_x", "stride_y", "pad",
        "padding", "groups", "dilation", "activation",
    ),
    "shortcut": ("from", "activation", "weights_type", "weights_normalization"),
    "route": ("layers", "groups", "group_id"),
    "maxpool": ("size", "stride", "stride_x", "stride_y", "padding"),
    "sam": ("from", "activation"),
    "upsample": ("stride", "scale"),
    "yolo": ("mask", "num", "classes", "scale_x_y", "new_coords", "anchors"),
    "Gaussian_yolo": ("mask", "num", "classes", "scale_x_y", "new_coords", "anchors"),
}  # fmt: skip
