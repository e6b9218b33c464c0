"""What can be asked of non-maximum suppression, and errors for what cannot."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from model.errors import ConfigurationError, nearest

NmsKind = Literal["greedy", "diou", "darknet-greedy", "soft"]
Decay = Literal["gaussian", "linear"]

PAPER_BETA, DARKNET_BETA = 1.0, 0.6
PAPER_SIGMA = 0.5
FARTHEST = 1e15  # largest coordinate; float32 holds its square


@dataclass(frozen=True)
class Rule:
    """When a box suppresses another, or by how much it lowers its score."""

    kind: NmsKind
    iou_threshold: float
    beta: float
    sigma: float
    decay: Decay
    score_floor: float  # scores up to this are dropped


def make_rule(
    kind: NmsKind,
    iou_threshold: float,
    *,
    beta: float | None = None,
    sigma: float = PAPER_SIGMA,
    decay: Decay = "gaussian",
    score_threshold: float | None = None,
) -> Rule:
    """Check what the user asked for, and fill in what a kind has fixed.

    Raises
    ------
    ConfigurationError
        Names or numbers that make no sense, or a beta for a kind that has none.
    """
    _check_name("kind", kind, get_args(NmsKind))
    _check_name("decay", decay, get_args(Decay))
    if not 0 <= iou_threshold <= 1:
        raise ConfigurationError(
            f"iou_threshold is {iou_threshold}", "iou_threshold", "pass a number from 0 to 1"
        )
    if score_threshold is not None and math.isnan(score_threshold):
        raise ConfigurationError("score_threshold is NaN", "score_threshold", "pass a number")
    if not 0 < sigma < math.inf:
        raise ConfigurationError(f"sigma is {sigma}", "sigma", "pass a number above 0")
    floor = -math.inf if score_threshold is None else score_threshold
    floor = max(floor, 0.0) if kind == "soft" else floor
    return Rule(kind, iou_threshold, _beta_of(kind, beta), sigma, decay, floor)


def _check_name(what: str, name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        fault = f"no {what} of suppression is called '{name}'"
        raise ConfigurationError(fault, what, nearest(str(name), known))


def _beta_of(kind: NmsKind, beta: float | None) -> float:
    if beta is not None and kind != "diou":
        fixed = f", it is fixed at {DARKNET_BETA}" if kind == "darknet-greedy" else ""
        raise ConfigurationError(
            f"kind '{kind}' takes no beta{fixed}", "beta", "leave it out, or ask for kind 'diou'"
        )
    if beta is None:
        return DARKNET_BETA if kind == "darknet-greedy" else PAPER_BETA
    if not 0 < beta < math.inf:
        raise ConfigurationError(f"beta is {beta}", "beta", "pass a number above 0")
    return beta


def check_boxes(boxes: Tensor, scores: Tensor, groups: Tensor | None) -> None:
    """Raise ConfigurationError unless these are corners (N, 4), scores (N,) and groups (N,)."""
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ConfigurationError(
            f"boxes have the shape {tuple(boxes.shape)}, not (N, 4)",
            "boxes_xyxy",
            "flatten a batch and tell its images and classes apart with groups=",
        )
    for name, values in (("scores", scores), ("groups", groups)):
        if values is not None and values.shape != boxes.shape[:1]:
            raise ConfigurationError(
                f"{name} have the shape {tuple(values.shape)}, not ({len(boxes)},)",
                name,
                f"pass one for each of the {len(boxes)} boxes",
            )
    if groups is not None and (groups.is_floating_point() or groups.dtype == torch.bool):
        raise ConfigurationError(f"groups are {groups.dtype}", "groups", "pass integers")
    _check_corners(boxes)
    if scores.isnan().any():
        place = int(scores.isnan().nonzero()[0])
        raise ConfigurationError("a score is NaN", f"scores[{place}]", "leave such boxes out")


def _check_corners(boxes: Tensor) -> None:
    for wrong, fault in (
        (~(boxes.abs() <= FARTHEST), f"is not finite or beyond {FARTHEST:g}"),
        (boxes[:, 2:] < boxes[:, :2], "has a negative size"),
    ):
        if wrong.any():
            place = int(wrong.any(dim=1).nonzero()[0])
            text = ", ".join(f"{value:g}" for value in boxes[place].tolist())
            raise ConfigurationError(
                f"box ({text}) {fault}",
                f"boxes_xyxy[{place}]",
                "pass corners x0, y0, x1, y1 with x0 <= x1 and y0 <= y1",
            )
