"""From a name in the zoo to a network."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from model.backbones.csp_darknet import CspDarknet53
from model.blocks.conv import initialise
from model.errors import ConfigurationError
from model.heads.yolo import YoloHead
from model.necks.spp_pan import SppPan
from model.registry import Registry

STRIDES = (8, 16, 32)

zoo: Registry[Callable[..., "Detector"]] = Registry("model")


class Detector(nn.Module):
    """Backbone, neck and head in a row.

    ``forward(images)`` takes RGB images (B, 3, H, W) in [0, 1], H and W multiples of 32, and
    gives the three raw maps for strides 8, 16, 32 in darknet's channel order.
    """

    def __init__(self, backbone: nn.Module, neck: nn.Module, head: YoloHead) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = neck
        self.head = head

    @property
    def num_classes(self) -> int:
        """Classes that the head tells apart."""
        return self.head.num_classes

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Raw maps (B, 3 (5 + classes), H / stride, W / stride) for strides 8, 16, 32."""
        height, width = images.shape[-2:]
        if height % 32 or width % 32:
            raise ConfigurationError(
                f"the input is {width}x{height} pixels, not multiples of 32",
                mend="resize the images; the network halves them five times",
            )
        return self.head(self.neck(self.backbone(images)))


@dataclass(frozen=True)
class Size:
    """Width and depth multipliers of a family member."""

    width: float
    depth: float


YOLOV4_SIZES = {
    "yolov4": Size(1.0, 1.0),
    "yolov4-small": Size(0.5, 0.33),
    "yolov4-nano": Size(0.25, 0.33),
}


def _build_yolov4(size: Size, num_classes: int) -> Detector:
    backbone = CspDarknet53(size.width, size.depth, activation="mish")
    neck = SppPan(backbone.channels, size.width, size.depth, activation="leaky")
    return Detector(backbone, neck, YoloHead(neck.channels, num_classes, activation="leaky"))


for _name, _size in YOLOV4_SIZES.items():
    zoo.register(_name)(partial(_build_yolov4, _size))


def build_detector(name: str, num_classes: int = 80, *, bn_momentum: float = 0.01) -> Detector:
    """Build a freshly initialised network; draws from torch's global generator.

    Parameters
    ----------
    name : str
        A name in the zoo, for example ``yolov4`` or ``yolov4-nano``.
    num_classes : int
        At least 1.
    bn_momentum : float
        Weight of a new batch in the rolling statistics; 0.01 is darknet's.

    Raises
    ------
    ConfigurationError
        If the name is unknown (the nearest is named) or there are no classes.
    """
    if num_classes < 1:
        raise ConfigurationError(f"a detector needs at least one class, not {num_classes}")
    detector = zoo.get(name)(num_classes)
    initialise(detector)
    detector.head.start_from_prior()
    for layer in detector.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = bn_momentum
    return detector


def count_learnable(module: nn.Module) -> int:
    """Learnable parameters."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
