"""From a name in the zoo and its options to a network."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import ValidationError
from torch import Tensor, nn

from model.blocks.conv import initialise, scaled_width
from model.config import (
    BackboneConfig,
    DropConfig,
    HeadConfig,
    NeckConfig,
    TrainConfig,
)
from model.errors import ConfigurationError
from model.geometry import Geometry
from model.heads.yolo import YoloHead
from model.necks.asff import Asff
from model.parts import Backbone, Chain, Neck
from model.plug_ins import change_norms, change_residuals, insert_drops, set_momentum
from model.section import Section
from model.zoo import (
    CLASSIFIERS,
    CLASSIFIERS_WITHOUT_CSP,
    FAMILIES,
    Size,
    choose_backbone,
    classifiers,
    zoo,
)

ASFF_INNER = (256, 256, 512)
ASFF_COMPRESS = 16

Chosen = TypeVar("Chosen", bound=Section)


class Detector(nn.Module):
    """Backbone, neck and head in a row.

    ``forward(images)`` takes RGB images (B, 3, H, W) in [0, 1], H and W multiples of 32, and
    gives one raw map for each stride of `geometry`, finest first, in darknet's channel order.
    """

    def __init__(self, backbone: Backbone, neck: Neck, head: YoloHead) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = neck
        self.head = head

    @property
    def num_classes(self) -> int:
        """Classes that the head tells apart."""
        return self.head.num_classes

    @property
    def geometry(self) -> Geometry:
        """How the raw maps are to be read."""
        return self.head.geometry

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Raw maps (B, 3 (5 + classes), H / stride, W / stride), for strides 8, 16, 32."""
        height, width = images.shape[-2:]
        if height % 32 or width % 32:
            raise ConfigurationError(
                f"the input is {width}x{height} pixels, not multiples of 32",
                mend="resize the images; the network halves them five times",
            )
        maps: tuple[Tensor, ...] = self.head(self.neck(self.backbone(images)))
        return maps


class Classifier(nn.Module):
    """A backbone, its last map averaged, and a linear layer (a 1x1 convolution, as darknet's).

    ``forward(images)`` gives logits (B, classes).
    """

    def __init__(self, backbone: Backbone, num_classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.predict = nn.Conv2d(backbone.channels[-1], num_classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Map RGB images (B, 3, H, W) in [0, 1] to logits (B, classes)."""
        logits: Tensor = self.predict(self.pool(self.backbone(images)[-1]))
        return logits.flatten(1)


def build_detector(
    name: str,
    num_classes: int = 80,
    *,
    backbone: BackboneConfig | Mapping[str, Any] | None = None,
    neck: NeckConfig | Mapping[str, Any] | None = None,
    head: HeadConfig | Mapping[str, Any] | None = None,
    drop: DropConfig | Mapping[str, Any] | None = None,
    norm: str = "bn",
    scale_xy: bool = True,
    bn_momentum: float = 0.01,
) -> Detector:
    """Build a freshly initialised network; draws from torch's global generator.

    Parameters
    ----------
    name : str
        A name in the zoo, for example ``yolov4`` or ``yolov4-nano``.
    num_classes : int
        At least 1.
    backbone, neck, head, drop : section of the configuration or mapping, optional
        What differs from the named model, for example ``neck={"attention": "sam"}``.
    norm : str
        bn, cmbn, cbn or frn.
    scale_xy : bool
        False takes the plain sigmoid for box centres ("S" off).
    bn_momentum : float
        Weight of a new batch in the rolling statistics; 0.01 is darknet's.

    Raises
    ------
    ConfigurationError
        If the name is unknown (the nearest is named), there are no classes, or options
        exclude each other.
    """
    backbone_options = _section(BackboneConfig, backbone, "backbone")
    neck_options = _section(NeckConfig, neck, "neck")
    head_options = _section(HeadConfig, head, "head")
    drop_options = _section(DropConfig, drop, "drop")
    if num_classes < 1:
        raise ConfigurationError(
            f"a detector needs at least one class, not {num_classes}",
            "",
            "give data with a class that has boxes",
        )
    if name in classifiers:
        raise ConfigurationError(
            f"'{name}' is a classifier", mend="take a detector; known: " + ", ".join(zoo)
        )
    entry = zoo.get(name)
    family, size = FAMILIES[entry.family], entry.size
    first = _activation(backbone_options.activation, family.activation, norm)
    second = _activation(neck_options.activation, family.neck_activation, norm)
    geometry = _geometry(family.geometry, head_options, scale_xy, name)
    make = choose_backbone(family.backbone, family.without_csp, backbone_options, name)
    body = make(width=size.width, depth=size.depth, activation=first)
    paths = family.neck(body.channels, size.width, size.depth, second, options=neck_options)
    hidden = [family.hidden * c for c in paths.channels] if family.hidden else None
    if neck_options.asff:
        paths = _with_asff(paths, size, second, head_options, name)
    detector = Detector(
        body,
        paths,
        YoloHead(
            paths.channels, num_classes, geometry, second, hidden=hidden, rfb=head_options.rfb
        ),
    )
    change_residuals(body, backbone_options)
    insert_drops(body, drop_options)
    change_norms(detector, norm)
    initialise(detector)
    detector.head.start_from_prior()
    set_momentum(detector, bn_momentum)
    return detector


def build_from_config(config: TrainConfig, num_classes: int) -> Detector:
    """Build the network that a training configuration describes; see `build_detector`."""
    return build_detector(
        config.model,
        num_classes,
        backbone=config.backbone,
        neck=config.neck,
        head=config.head,
        drop=config.drop,
        norm=config.norm,
        scale_xy=config.scale_xy,
        bn_momentum=config.bn_momentum,
    )


def build_classifier(
    name: str,
    num_classes: int = 1000,
    *,
    backbone: BackboneConfig | Mapping[str, Any] | None = None,
    drop: DropConfig | Mapping[str, Any] | None = None,
    norm: str = "bn",
    bn_momentum: float = 0.01,
) -> Classifier:
    """Build a freshly initialised classifier, ``csdarknet53`` or ``csresnext50``.

    Options and errors are those of `build_detector`. The paper's csdarknet53 with leaky
    activations is the default; ``backbone={"activation": "mish"}`` gives YOLOv4's backbone.
    """
    options = _section(BackboneConfig, backbone, "backbone")
    drops = _section(DropConfig, drop, "drop")
    if num_classes < 1:
        raise ConfigurationError(
            f"a classifier needs at least one class, not {num_classes}",
            "",
            "give data with a class that has pictures",
        )
    entry = classifiers.get(name)
    activation = _activation(options.activation, "leaky", norm)
    plain = CLASSIFIERS_WITHOUT_CSP.get(entry.family)
    make = choose_backbone(CLASSIFIERS[entry.family], plain, options, name)
    body = make(width=entry.size.width, depth=entry.size.depth, activation=activation)
    classifier = Classifier(body, num_classes)
    change_residuals(body, options)
    insert_drops(body, drops)
    change_norms(classifier, norm)
    initialise(classifier)
    set_momentum(classifier, bn_momentum)
    return classifier


def _section(kind: type[Chosen], given: Chosen | Mapping[str, Any] | None, name: str) -> Chosen:
    if isinstance(given, kind):
        return given
    try:
        return kind.model_validate(dict(given or {}))
    except ValidationError as error:
        fault = error.errors()[0]
        path = ".".join([name, *(str(part) for part in fault["loc"])])
        raise ConfigurationError(
            f"{fault['msg']}, not {fault['input']!r}",
            path,
            f"known: {', '.join(kind.model_fields)}",
        ) from None


def _activation(chosen: str, own: str, norm: str) -> str:
    """FRN's own activation is the thresholded one, unless another is asked for."""
    if chosen != "auto":
        return chosen
    return "tlu" if norm == "frn" else own


def _geometry(own: Geometry, head: HeadConfig, scale_xy: bool, name: str) -> Geometry:
    if head.box == "gaussian":
        if own.new_coords:
            raise ConfigurationError(
                f"{name} passes its maps through a logistic (new_coords), "
                "for which no Gaussian head is defined",
                "head.box",
                "take yolov4, yolov3-spp, yolov4-tiny or csresnext50-panet-spp",
            )
        own = replace(own, gaussian=True)
    return own if scale_xy else own.without_scaling()


def _with_asff(neck: Neck, size: Size, activation: str, head: HeadConfig, name: str) -> Neck:
    """Neck followed by adaptive fusion; weights are computed on fewer channels with RFB."""
    channels = neck.channels
    if len(channels) != 3:
        raise ConfigurationError(
            f"{name} has {len(channels)} scales, ASFF fuses three",
            "neck.asff",
            "take yolov4-tiny-3l or a larger model",
        )
    inner = tuple(scaled_width(c, size.width) for c in ASFF_INNER)
    compress = ASFF_COMPRESS if head.rfb == "none" else ASFF_COMPRESS // 2
    return Chain(neck, Asff(channels, inner, activation, "bn", compress))


def count_learnable(module: nn.Module) -> int:
    """Learnable parameters."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
