"""What a classifier is taught, and how well it has learned it."""

import gzip
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.data.classes import ClassSample
from model.files import write_atomically

METRICS = ("top1", "top5")
KEPT = 5  # best classes of each sample that are written


def smoothed(shares: Tensor, eps: float) -> Tensor:
    """Class shares (B, K) less sure of themselves: a true class has 1 - eps, others eps/(K - 1).

    darknet's rule for classifiers, applied to each class's share; rows still sum to 1. (The one
    of arXiv:1512.00567 sec. 7 spreads eps over all K classes.)
    """
    others = (1 - shares) / max(1, shares.shape[1] - 1)
    return shares * (1 - eps) + others * eps


def cross_entropy(logits: Tensor, wanted: Tensor, batch_images: int) -> Tensor:
    """Softmax cross entropy with shares of classes, summed and divided by the whole batch.

    Parameters
    ----------
    logits : Tensor, shape (B, K)
    wanted : Tensor, shape (B, K), float32
        Rows sum to 1.
    batch_images : int
        Images of the batch that these are a part of.
    """
    return -(wanted * logits.float().log_softmax(dim=1)).sum() / batch_images


@dataclass(frozen=True)
class ClassScores:
    """How often a classifier is right, in [0, 1].

    Attributes
    ----------
    metrics : dict of str -> float
        top1 and top5: samples whose class is the likeliest, or among the five likeliest (of
        five classes or fewer it always is).
    class_recall : dict of str -> float
        Of the samples of each class those for which it is the likeliest; NaN where there is none.
    """

    metrics: dict[str, float]
    class_recall: dict[str, float]


def score(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64], classes: Sequence[str]
) -> ClassScores:
    """Compare what a classifier says with what is true.

    Of equal probabilities the class that comes first counts as the likelier one.

    Parameters
    ----------
    probabilities : ndarray, shape (N, K)
        N is at least 1.
    labels : ndarray, shape (N,)
    classes : sequence of str, length K
    """
    order = np.argsort(-probabilities, axis=1, kind="stable")
    hits = order == labels[:, None]
    first = hits[:, 0]
    recall = {
        name: float(first[labels == label].mean()) if (labels == label).any() else math.nan
        for label, name in enumerate(classes)
    }
    metrics = {"top1": float(first.mean()), "top5": float(hits[:, :5].any(axis=1).mean())}
    return ClassScores(metrics, recall)


def save_predictions(
    path: Path,
    samples: Sequence[ClassSample],
    probabilities: NDArray[np.float32],
    classes: Sequence[str],
    protocol: dict[str, Any],
) -> None:
    """Write the likeliest classes of every sample as gzipped JSON, likeliest first.

    Probabilities are kept to 1e-5; equal predictions give equal bytes.
    """
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :KEPT]
    best = np.take_along_axis(probabilities, order, axis=1).astype(np.float64).round(5)
    rows = [
        {
            "file": sample.record.file_name,
            "crop_xyxy_px": sample.crop_xyxy_px,
            "label": sample.label,
            "labels": found.tolist(),
            "probabilities": sure.tolist(),
        }
        for sample, found, sure in zip(samples, order, best, strict=True)
    ]
    tree = {"protocol": protocol, "classes": list(classes), "samples": rows}
    text = json.dumps(tree, separators=(",", ":"))
    packed = gzip.compress(text.encode(), compresslevel=6, mtime=0)
    write_atomically(path, lambda file: file.write(packed))


def mixed(shares: Tensor, teacher: Tensor, weight: float) -> Tensor:
    """Shares (B, K) with a part of what a teacher's logits (B, K) say of the same images.

    Label Refinery (arXiv:1805.02641) takes the teacher's word alone, a weight of 1.
    """
    return shares.lerp(torch.softmax(teacher.float(), dim=1), weight)
