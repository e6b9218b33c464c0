"""Named networks: each a backbone, a neck and a head, in three sizes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from model.anchors import YOLOV3_ANCHORS_WH_PX, YOLOV4_ANCHORS_WH_PX, YOLOV4_TINY_ANCHORS_WH_PX
from model.backbones.csp_darknet import (
    CSP_DARKNET53,
    CSP_DARKNET53_PLAIN_START,
    CSP_DARKNET_X,
    CspDarknet,
    Darknet53,
)
from model.backbones.csp_resnext import CspResNeXt50
from model.backbones.tiny import TinyDarknet
from model.config import BackboneConfig, NeckConfig
from model.errors import ConfigurationError
from model.geometry import Geometry
from model.necks.bifpn import BiFpnNeck
from model.necks.csp_pan import CspPanNeck
from model.necks.pan import PanNeck
from model.necks.top_down import TinyNeck, Yolov3Neck
from model.parts import Backbone, Neck
from model.registry import Registry


@dataclass(frozen=True)
class Size:
    """Width and depth multipliers of a family member."""

    width: float
    depth: float


SIZES = {"": Size(1.0, 1.0), "-small": Size(0.5, 0.33), "-nano": Size(0.25, 0.33)}

SUMMING = ("pan-add", "bifpn")
THREE_SCALES = ((0, 1, 2), (3, 4, 5), (6, 7, 8))
YOLOV4_GEOMETRY = Geometry((8, 16, 32), THREE_SCALES, (1.2, 1.1, 1.05), YOLOV4_ANCHORS_WH_PX)
YOLOV3_GEOMETRY = Geometry((8, 16, 32), THREE_SCALES, (1.0, 1.0, 1.0), YOLOV3_ANCHORS_WH_PX)
CSP_GEOMETRY = Geometry(
    (8, 16, 32), THREE_SCALES, (2.0, 2.0, 2.0), YOLOV4_ANCHORS_WH_PX, new_coords=True
)
TINY_GEOMETRY = Geometry((16, 32), ((1, 2, 3), (3, 4, 5)), (1.05, 1.05), YOLOV4_TINY_ANCHORS_WH_PX)
TINY_3L_GEOMETRY = Geometry((8, 16, 32), THREE_SCALES, (1.05, 1.05, 1.05), YOLOV4_ANCHORS_WH_PX)


@dataclass(frozen=True)
class Family:
    """Parts of a network at any width and depth.

    Attributes
    ----------
    backbone : callable of (width, depth, activation) -> module with `channels`
    neck : callable of (channels, width, depth, activation, options) -> module with `channels`
    geometry : Geometry
    activation, neck_activation : str
        The model's own.
    hidden : int
        The head's 3x3 convolution widens a map by this factor; 0: there is none.
    without_csp : callable, optional
        Backbone of the same maps without cross-stage connections.
    """

    backbone: Callable[..., Backbone]
    neck: Callable[..., Neck]
    geometry: Geometry
    activation: str
    neck_activation: str
    hidden: int = 2
    without_csp: Callable[..., Backbone] | None = None


def path_neck(
    own: Callable[..., Neck],
    own_fusion: str,
    channels: tuple[int, ...],
    width: float,
    depth: float,
    activation: str,
    options: NeckConfig,
) -> Neck:
    """Neck of a family whose fusion and pooling can be chosen; `own` is what it has itself."""
    _refuse_idle_weights(options)
    weights = options.fusion_weights
    common = (channels, width, depth, activation)
    spp = options.pooling != "none"
    if options.fusion in ("auto", own_fusion):
        return own(*common, spp=spp, attention=options.attention)
    if options.fusion == "bifpn":
        if options.attention != "none":
            raise ConfigurationError(
                f"attention '{options.attention}' has no place in bifpn, whose nodes are sums",
                "neck.attention",
                "choose neck.fusion pan, pan-add or fpn for it",
            )
        return BiFpnNeck(*common, fusion_weights="relu" if weights == "auto" else weights, spp=spp)
    return PanNeck(
        *common,
        fusion=options.fusion,
        fusion_weights="none" if weights == "auto" else weights,
        spp=spp,
        attention=options.attention,
    )


def _refuse_idle_weights(options: NeckConfig) -> None:
    if options.fusion_weights in ("relu", "softmax") and options.fusion not in SUMMING:
        raise ConfigurationError(
            f"fusion weights '{options.fusion_weights}' need maps that are summed, "
            f"and fusion '{options.fusion}' concatenates them",
            "neck.fusion_weights",
            f"choose neck.fusion {' or '.join(SUMMING)}, or leave the weights out",
        )


def fixed_neck(
    own: Callable[..., Neck],
    name: str,
    channels: tuple[int, ...],
    width: float,
    depth: float,
    activation: str,
    options: NeckConfig,
) -> Neck:
    """Neck of a family that has one form only."""
    for key in ("pooling", "fusion", "fusion_weights"):
        if getattr(options, key) != "auto":
            raise ConfigurationError(
                f"{name} has a neck of its own, whose {key} cannot be changed",
                f"neck.{key}",
                "leave it at auto, or take yolov4, yolov3-spp or csresnext50-panet-spp",
            )
    if options.attention == "none":
        return own(channels, width=width, depth=depth, activation=activation)
    if "tiny" in name:
        raise ConfigurationError(
            f"{name} has no block that attention could close", "neck.attention", "leave it out"
        )
    return own(
        channels, width=width, depth=depth, activation=activation, attention=options.attention
    )


FAMILIES = {
    "yolov4": Family(
        partial(CspDarknet, CSP_DARKNET53), partial(path_neck, PanNeck, "pan"),
        YOLOV4_GEOMETRY, "mish", "leaky", without_csp=Darknet53,
    ),
    "yolov4-csp": Family(
        partial(CspDarknet, CSP_DARKNET53_PLAIN_START),
        partial(fixed_neck, partial(CspPanNeck, outputs=(128, 256, 512)), "yolov4-csp"),
        CSP_GEOMETRY, "mish", "mish",
    ),
    "yolov4x-mish": Family(
        partial(CspDarknet, CSP_DARKNET_X),
        partial(
            fixed_neck,
            partial(CspPanNeck, outputs=(160, 320, 640), pairs=3, pooled_pairs=2),
            "yolov4x-mish",
        ),
        CSP_GEOMETRY, "mish", "mish",
    ),
    "yolov4-tiny": Family(
        TinyDarknet, partial(fixed_neck, TinyNeck, "yolov4-tiny"),
        TINY_GEOMETRY, "leaky", "leaky", hidden=0,
    ),
    "yolov4-tiny-3l": Family(
        TinyDarknet, partial(fixed_neck, partial(TinyNeck, scales=3), "yolov4-tiny-3l"),
        TINY_3L_GEOMETRY, "leaky", "leaky", hidden=0,
    ),
    "yolov3-spp": Family(
        Darknet53, partial(path_neck, Yolov3Neck, "fpn"), YOLOV3_GEOMETRY, "leaky", "leaky",
    ),
    "csresnext50-panet-spp": Family(
        CspResNeXt50, partial(path_neck, PanNeck, "pan"), YOLOV4_GEOMETRY, "leaky", "leaky",
    ),
}  # fmt: skip

CLASSIFIERS: dict[str, Callable[..., Backbone]] = {
    "csdarknet53": partial(CspDarknet, CSP_DARKNET53, activation="leaky"),
    "csresnext50": CspResNeXt50,
}
CLASSIFIERS_WITHOUT_CSP: dict[str, Callable[..., Backbone]] = {"csdarknet53": Darknet53}


def choose_backbone(
    own: Callable[..., Backbone],
    without_csp: Callable[..., Backbone] | None,
    options: BackboneConfig,
    name: str,
) -> Callable[..., Backbone]:
    """Backbone of a network, or its twin without cross-stage connections."""
    if options.csp == "auto":
        return own
    if without_csp is None:
        raise ConfigurationError(
            f"{name} has no twin without cross-stage connections",
            "backbone.csp",
            "leave it at auto, or take yolov4 or csdarknet53",
        )
    return without_csp


@dataclass(frozen=True)
class Entry:
    """A named network: a family at a size."""

    family: str
    size: Size


def _named(kind: str, families: Iterable[str]) -> Registry[Entry]:
    found: Registry[Entry] = Registry(kind)
    for family in families:
        for suffix, size in SIZES.items():
            found.register(family + suffix)(Entry(family, size))
    return found


zoo = _named("model", FAMILIES)
classifiers = _named("classifier", CLASSIFIERS)
