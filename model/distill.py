"""Label refinement: class targets are mixed with what a trained teacher sees in the same image.

arXiv:2004.10934 sec. 2.2 names the idea (there of arXiv:1703.00551). The teacher looks at the
image as it was augmented, so that its answer fits what is left of an object (Label Refinery,
arXiv:1805.02641).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (the name everybody uses)

from model.boxes import cxcywh_to_xyxy, pairwise_iou
from model.build import Detector
from model.config import DistillConfig
from model.decode import as_slots, decode, probabilities
from model.errors import CheckpointError, ConfigurationError
from model.files import file_sha256
from model.predict import FARTHEST
from model.trained import listed

SEEN = 0.25  # score from which a slot predicts something, as in `evolve detect` and darknet
OVERLAPS_AT_ONCE = 1 << 21


@dataclass(frozen=True, eq=False)
class Teacher:
    """A trained detector that refines class targets.

    Attributes
    ----------
    network : Detector
        In evaluation mode, without gradients.
    anchors_wh_px : Tensor, shape (A, 2)
        In pixels of the input, whatever its size: a network sees objects in pixels.
    weight : float
        Share of the teacher in a target.
    iou : float
        Least overlap of a prediction with a truth.
    """

    network: Detector
    anchors_wh_px: Tensor
    weight: float
    iou: float

    @torch.no_grad()
    def refine(self, images: Tensor, targets: Tensor, autocast: bool) -> Tensor:
        """Class targets (M, K) in [0, 1] of all truths.

        Of a truth that the teacher sees, these are ``(1 - weight) * own + weight * teacher's``
        with the class probabilities of the prediction that overlaps it most; else its own, 1
        for its class and 0 for the others. Slots whose best class does not score above 0.25
        predict nothing: there the teacher does not see what overlaps by chance.

        Parameters
        ----------
        images : Tensor, shape (B, 3, H, W), in [0, 1]
            Sides are multiples of 32, not necessarily those of the teacher's training.
        targets : Tensor, shape (M, 6)
            Image index, class, centre x, y, width, height relative to the image.
        autocast : bool
            Whether to compute in bf16.
        """
        with torch.autocast(images.device.type, torch.bfloat16, enabled=autocast):
            maps = self.network(images)
        geometry = self.network.geometry
        height, width = images.shape[-2:]
        anchors_wh = self.anchors_wh_px / self.anchors_wh_px.new_tensor((width, height))
        boxes, scores = decode(maps, anchors_wh, geometry)
        overlap, slot = _best_overlaps(boxes, scores.amax(dim=2) > SEEN, targets)
        start = geometry.box_channels + 1
        classes = torch.cat(
            [as_slots(raw, geometry.per_scale)[..., start:].flatten(1, 3) for raw in maps], dim=1
        )
        chosen = classes[targets[:, 0].long(), slot].float()
        own = F.one_hot(targets[:, 1].long(), classes.shape[2]).float()
        mixed = own.lerp(probabilities(chosen, new_coords=geometry.new_coords), self.weight)
        return torch.where((overlap >= self.iou)[:, None], mixed, own)


def _best_overlaps(boxes: Tensor, seen: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Largest IoU (M,) of each truth with a prediction of its image, and whose it is.

    Parameters
    ----------
    boxes : Tensor, shape (B, N, 4), centre and size
    seen : Tensor, shape (B, N), bool
        Which of them are predictions; the IoU of others counts as -1.
    """
    corners = cxcywh_to_xyxy(boxes.clamp(-FARTHEST, FARTHEST)).mT.contiguous()  # rows are fast
    found = []
    for some in targets.split(max(1, OVERLAPS_AT_ONCE // boxes.shape[1])):
        image = some[:, 0].long()
        truths = cxcywh_to_xyxy(some[:, 2:6])[:, None]
        ious = pairwise_iou(truths, corners[image].mT)[:, 0]
        found.append(torch.stack(ious.where(seen[image], -1.0).max(dim=1)))
    overlap, slot = torch.cat(found, dim=1)
    return overlap, slot.long()


def load_teacher(
    config: DistillConfig, classes: Sequence[str], device: str | torch.device | None = None
) -> Teacher:
    """Read the teacher that a configuration names.

    Parameters
    ----------
    config : DistillConfig
        Its `teacher` is a checkpoint or weights of a training.
    classes : sequence of str
        Of the data, in their order.
    device : str or torch.device, optional
        Default: cuda where there is one, else cpu.

    Raises
    ------
    ConfigurationError
        If the file is missing, is not the one that was digested, holds no detector, or one of
        other classes.
    """
    from model.detect import load_detector  # which imports the training, and that this module

    found = read_teacher(config, classes, lambda path: load_detector(path, device), "detector")
    return Teacher(
        found.network.requires_grad_(requires_grad=False),
        found.anchors_wh * int(found.config.image_size),
        config.weight,
        config.iou,
    )


class _Loaded(Protocol):
    @property
    def classes(self) -> tuple[str, ...]: ...


Loaded = TypeVar("Loaded", bound=_Loaded)


def read_teacher(
    config: DistillConfig, classes: Sequence[str], load: Callable[[Path], Loaded], kind: str
) -> Loaded:
    """Load a network that is to teach, and check that it fits; errors as of `load_teacher`.

    Parameters
    ----------
    load : callable of (path) -> loaded network
    kind : str
        What it is to be, for a message.
    """
    path = Path(config.teacher)
    if not path.is_file():
        raise ConfigurationError(
            f"there is no teacher at {path}",
            "distill.teacher",
            "name best.pt or last.pt of a training, or leave it empty",
        )
    if config.teacher_sha256 and file_sha256(path) != config.teacher_sha256:
        raise ConfigurationError(
            f"{path} is not the file whose digest is {config.teacher_sha256[:12]}...",
            "distill.teacher_sha256",
            "bring back that file, or leave the digest empty to take this one",
        )
    try:
        found = load(path)
    except CheckpointError as error:
        what = f"the teacher {path} cannot be used: {error.what}"
        raise ConfigurationError(what, "distill.teacher", error.mend) from error
    if found.classes != tuple(classes):
        raise ConfigurationError(
            f"the teacher {path} tells {listed(found.classes)} apart, "
            f"the data have {listed(classes)}",
            "distill.teacher",
            f"take a {kind} trained on the same classes in the same order",
        )
    return found
