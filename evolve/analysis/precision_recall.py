"""Precision against recall, as pycocotools accumulates it: what AP is the area under."""

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pycocotools.cocoeval import COCOeval

from evolve.analysis.image_bootstrap import RECALLS
from evolve.analysis.matching import Matches

IOUS = (0.5, 0.75)

Floats = NDArray[np.float64]

_PLACES = [0, 5]  # of these in COCO's ten thresholds


@dataclass(frozen=True, eq=False)
class Curves:
    """Precision at COCO's 101 recalls.

    Attributes
    ----------
    classes : array, shape (2, K, 101)
        At each of `IOUS` and of each class, in the order of the category ids: the best precision
        at that recall or a higher one, 0 at recalls that are never reached. NaN for a class
        without truth. The mean over the recalls is the AP of the class.
    """

    classes: Floats

    @property
    def mean(self) -> Floats:
        """Mean over the classes with truth, (2, 101): the area below is AP50 and AP75."""
        known = self.classes[:, ~np.isnan(self.classes[0, :, 0])]
        if not known.shape[1]:
            return np.full((len(IOUS), len(RECALLS)), np.nan)
        return np.asarray(known.mean(axis=1))


def precision_recall(judge: COCOeval) -> Curves:
    """Curves of one set of detections.

    Parameters
    ----------
    judge : COCOeval
        From `evolve.analysis.matching.judge_boxes`.

    References
    ----------
    M. Everingham et al., "The PASCAL Visual Object Classes Challenge", IJCV 2010, section 4.2, of
    interpolated precision; 101 recalls as in COCO's `COCOeval.accumulate`, which is called here.
    """
    with contextlib.redirect_stdout(io.StringIO()):  # it prints its progress
        judge.accumulate()
    precision = judge.eval["precision"][_PLACES, :, :, 0, 0]  # IoU, recall, class
    return Curves(np.where(precision < 0, np.nan, precision).transpose(0, 2, 1))


def best_score(several: Sequence[Matches]) -> tuple[float, float]:
    """Score at which detections of one or more trainings have the highest F1, and that F1.

    Counted over all classes at an IoU of 0.5; of equals the highest score. NaN and 0 where no
    detection hits anything.
    """
    each = [one for matches in several for one in matches.classes]
    if not each:
        return np.nan, 0.0
    scores = np.concatenate([one.scores for one in each])
    counts = [~one.ignored[0] for one in each]
    order = np.argsort(-scores, kind="stable")
    scores = scores[order]
    hits = np.cumsum(np.concatenate([one.hits[0] for one in each])[order])
    seen = np.cumsum(np.concatenate(counts)[order])
    truths = sum(int(one.truths.sum()) for one in each)
    last = np.append(np.diff(scores) != 0, True) if len(scores) else np.zeros(0, bool)
    if not len(scores) or not hits[-1]:
        return np.nan, 0.0
    f1 = np.where(last, 2 * hits / np.maximum(seen + truths, 1), -1.0)
    best = int(f1.argmax())
    return float(scores[best]), float(f1[best])
