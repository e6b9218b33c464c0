"""Self-adversarial training: the network changes its own images before it learns from them.

darknet's way (its `adversarial_lr`, arXiv:2004.10934 sec. 3.3) and the fast gradient sign
(arXiv:1412.6572).
"""

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model.box_gradients import with_deltas
from model.build import Detector
from model.class_losses import probability_losses
from model.config import SatConfig
from model.decode import anchors_of, as_slots, centre_offsets, decode_grid, probabilities
from model.geometry import Geometry
from model.losses import YoloLoss
from model.predict import FARTHEST

SEEN = 0.25  # score from which a class is to be hidden


def sat_turns(seed: int, epoch: int, count: int, probability: float) -> NDArray[np.bool_]:
    """Which of the `count` mini-batches of an epoch are attacked, from a stream of their own."""
    sequence = np.random.SeedSequence(seed, spawn_key=(epoch, zlib.crc32(b"sat")))
    return np.random.default_rng(sequence).random(count) < probability


def attack(
    network: Detector,
    images: Tensor,
    targets: Tensor,
    loss: YoloLoss,
    config: SatConfig,
    progress: float,
    *,
    autocast: bool,
) -> Tensor:
    """Images that the network itself has changed to its disadvantage, in [0, 1].

    The network is left as it was found, gradients and statistics included, and so are torch's
    generators: what is dropped at random in this pass is dropped in the next one, too.
    Normalisations use their rolling statistics meanwhile, other modules train on.

    darknet's kind descends `hiding_loss`, which wants no object anywhere, by its raw gradient
    times `config.strength` times `progress`. The other, fgsm, ascends the true loss by
    `config.epsilon` in every number of the image (arXiv:1412.6572 sec. 4).

    Parameters
    ----------
    network : Detector
    images : Tensor, shape (B, 3, H, W), in [0, 1]
        Not changed; the result has its type and layout.
    targets : Tensor, shape (M, 6)
        Truths as `YoloLoss` takes them; of fgsm alone.
    loss : YoloLoss
    config : SatConfig
    progress : float
        Fraction of the training that is done; of darknet's kind alone.
    autocast : bool
        Whether to compute in bf16, as the training does.
    """
    step = {"none": 0.0, "darknet": config.strength * progress, "fgsm": config.epsilon}
    changed = images.detach().clone()
    if step[config.kind] == 0:
        return changed
    watched = images.detach().requires_grad_()
    with _without_a_trace(network, images.device):
        with torch.autocast(images.device.type, torch.bfloat16, enabled=autocast):
            maps = network(watched)
        by_sign = config.kind == "fgsm"
        harm = loss(maps, targets, 1).total if by_sign else -hiding_loss(maps, loss)
        (slope,) = torch.autograd.grad(harm, watched)
    uphill = slope.sign() if by_sign else slope
    return changed.add_(uphill, alpha=step[config.kind]).clamp_(0, 1)


@contextmanager
def _without_a_trace(network: nn.Module, device: torch.device) -> Iterator[None]:
    """Let normalisations rest and the generators' draws be taken back."""
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d) and m.training]
    devices = [device] if device.type == "cuda" else []
    for norm in norms:
        norm.training = False
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        for norm in norms:
            norm.training = True


def hiding_loss(maps: Sequence[Tensor], loss: YoloLoss) -> Tensor:
    """Sum over all slots whose gradient on raw maps is minus darknet's adversarial deltas.

    With no truth and s = sqrt(w h) of a slot's box, relative to the image, objectness has the
    delta -s obj_normalizer p. Where some class scores above 0.25 such classes have -s p, those
    below s (1 - p), and the box's four outputs -s v, with v of x and y behind the scaled
    logistic, whose derivative darknet leaves out. Its Gaussian head has neither of these two.
    """
    geometry = loss.geometry
    scales = zip(maps, geometry.masks, geometry.scales_xy, strict=True)
    parts = [
        _hiding_loss_of_scale(
            as_slots(raw, geometry.per_scale), anchors_of(loss.anchors_wh, mask), scale_xy,
            geometry, loss.config.obj_normalizer,
        )
        for raw, mask, scale_xy in scales
    ]  # fmt: skip
    return torch.stack(parts).sum()


def _hiding_loss_of_scale(
    slots: Tensor, anchors_wh: Tensor, scale_xy: float, geometry: Geometry, obj_normalizer: float
) -> Tensor:
    new_coords = geometry.new_coords
    raw = slots.flatten(0, 3).float()
    box, chances = raw[:, :4], raw[:, geometry.box_channels :]
    with torch.no_grad():
        size = _sizes(slots, anchors_wh, scale_xy, geometry)
        shown = probabilities(chances, new_coords=new_coords)
        scores = shown[:, :1] * shown[:, 1:]
        above = scores > SEEN
        seen = above.any(dim=1, keepdim=True) & (not geometry.gaussian)
        below = (scores < SEEN) & seen
        weight = size * torch.cat((torch.full_like(size, obj_normalizer), above | below), dim=1)
        wanted = torch.cat((torch.zeros_like(size), below), dim=1)
        centres = centre_offsets(box[:, :2], scale_xy, new_coords=new_coords)
        outputs = torch.cat((centres, box[:, 2:]), dim=1)
        strength = size * seen
    boxes = with_deltas(box, (strength * outputs.square() / 2).sum(dim=1), -strength * outputs)
    return probability_losses(chances, wanted, weight, new_coords=new_coords).sum() + boxes.sum()


def _sizes(slots: Tensor, anchors_wh: Tensor, scale_xy: float, geometry: Geometry) -> Tensor:
    """Root of the area (N, 1) of every predicted box, relative to the image's."""
    boxes = decode_grid(
        slots, anchors_wh, scale_xy, new_coords=geometry.new_coords, gaussian=geometry.gaussian
    )
    return boxes[..., 2:].clamp(max=FARTHEST).prod(dim=-1).sqrt().view(-1, 1)
