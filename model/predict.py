"""From images to detections, with any network of the zoo."""

from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from model.build import Detector
from model.config import NmsConfig
from model.decode import decode
from model.nms import Detections, suppress
from model.sending import send

Network = TypeVar("Network", bound=nn.Module)

FARTHEST = 1e4  # images; an untrained net's exp() overflows, and inf has no overlap


def as_input(images: np.ndarray | Tensor, device: torch.device) -> Tensor:
    """Uint8 RGB images (B, 3, H, W) as floats in [0, 1] on `device`, channels last in memory."""
    tensor = images if isinstance(images, Tensor) else send(images, device)
    return tensor.to(torch.float32, memory_format=torch.channels_last).div_(255)


def channels_last(network: Network) -> Network:
    """The network itself, its weights laid out as convolutions read them fastest.

    Both cuDNN and oneDNN would else reorder every map before and after every convolution.
    """
    # torch's own types leave this argument out
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


@torch.inference_mode()
def predict(
    network: Detector,
    images: Tensor,
    anchors_wh: Tensor,
    nms: NmsConfig,
    *,
    autocast: bool = False,
) -> list[Detections]:
    """Detections of a batch, in units of the network input (0..1).

    Parameters
    ----------
    network : Detector
        In evaluation mode.
    images : Tensor, shape (B, 3, H, W), in [0, 1]
    anchors_wh : Tensor, shape (A, 2), relative to the input
    """
    with torch.autocast(images.device.type, torch.bfloat16, enabled=autocast):
        maps = network(images)
    boxes, scores = decode(maps, anchors_wh, network.geometry)
    return suppress(
        boxes.clamp_(-FARTHEST, FARTHEST),
        scores,
        iou_threshold=nms.iou_threshold,
        score_threshold=nms.score_threshold,
        max_detections=nms.max_detections,
        kind=nms.kind,
        beta=nms.beta,
        sigma=nms.sigma,
    )
