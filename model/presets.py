"""Settings of darknet's trainings that a baseline takes over: key paths and values.

No ingredient of the catalogue is told here, whose `off` (or `on`) the baseline has anyway.
"""

from typing import Any

# The MSE baseline of arXiv:2004.10934 table 4, row 1 (csresnext50-panet-spp.cfg), as far as it
# means the same in a short training. Its other ingredients, such as squared errors, YOLOv3's
# anchors, only the best anchor for a truth and a plain sigmoid, are the catalogue's `off`.
# Left as `TrainConfig` has them, because they belong to 500500 updates of 64 images:
# - the length, the batch (8) and the learning rate (0.002; darknet's 0.001 is for that length),
# - the warm-up (0.002 of the training, to the fourth power) and BN's momentum (0.01), with which
#   rolling statistics would not arrive in a training of some hundred updates,
# - random shapes, which the baseline has on and which multiply the time on small images: here
#   they are the ingredient RS.
DARKNET_DETECTOR_BASELINE: dict[str, Any] = {
    "subdivisions": 2,  # mini-batches of 4 as there (64 / 16), so that CmBN differs from BN
    "optimizer.momentum": 0.9,
    "optimizer.weight_decay": 5e-4,
    "schedule.steps": (0.8, 0.9),  # 400000 and 450000 of 500500
    "schedule.scale": 0.1,
    "loss.ignore_threshold": 0.7,
    "loss.gradient": "autograd",  # one for all box losses; squared errors have darknet's anyway
    "loss.iou_normalizer": 0.75,  # default of darknet's parser, for squared errors
    "data.letter_box": False,
}

# csresnext50.cfg of the paper's classifiers (arXiv:2004.10934 sec. 4.1 and table 2); where the
# paper and that file disagree (weight decay, length), the file's.
DARKNET_CLASSIFIER: dict[str, Any] = {
    "model": "csresnext50-nano",
    "image_size": 256,
    "batch_size": 128,
    "subdivisions": 4,
    "optimizer.lr": 0.1,
    "optimizer.momentum": 0.9,
    "optimizer.weight_decay": 5e-4,
    "schedule.kind": "poly",
    "schedule.power": 4.0,
    "schedule.warmup": 1000 / 800_000,
    "schedule.warmup_power": 4.0,
    "augment.rotate": 7.0,
    "augment.jitter": 0.0,  # zoom and aspect stand for it
    # smallest factors, of which darknet takes the inverse, too
    "augment.saturation": 0.75,
    "augment.exposure": 0.75,
    "augment.aspect": 0.75,
    # min_crop 128 and max_crop 448 of 256
    "augment.zoom_min": 0.5,
    "augment.zoom_max": 1.75,
}

PRESETS = {"detect": DARKNET_DETECTOR_BASELINE, "classify": DARKNET_CLASSIFIER}
