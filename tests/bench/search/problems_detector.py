"""Made-up surfaces of a detector's average precision over its training hyperparameters.

What is known of such surfaces is built in: learning rate and momentum work as one ridge along
``lr / (1 - momentum)``, beyond some edge every training diverges and near it some do, weight
decay is coupled to the learning rate, loss weights have an optimum in their ratio, augmentation
is flat over wide ranges, and several parameters change nothing. The optimum is about 0.45 AP, the
usual defaults reach 0.36 to 0.40, and one training differs from the next by 0.01 to 0.02. The
seven shapes differ in what couples to what, not in numbers alone.
"""

import math
from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution

from tests.bench.search.surface import Surface, choice, log_off, off, real, whole

Params = Mapping[str, Any]


def detector_problems() -> list[Surface]:
    """All of them, of both roles."""
    tune = [_ridge(), _brink(), _valley()]
    return [*tune, _schedule(), _many(), _twin(), _product()]


def _cliff(excess: float, width: float) -> float:
    """Chance of divergence: 0 up to the edge, 1 at `width` beyond it, in powers of ten."""
    return min(max(excess / width, 0.0), 1.0)


def _effective(p: Params, lr: str = "lr", momentum: str = "momentum") -> float:
    """Log 10 of the step that momentum makes of a learning rate."""
    return math.log10(p[lr] / (1.0 - p[momentum]))


# --- tune ---------------------------------------------------------------------------------------


def _ridge() -> Surface:
    """The space of `search_spaces/ga.yaml`: a ridge, a straight cliff, a bowl for the rest."""
    distributions = {
        "lr": real(3e-4, 3e-2, log=True),
        "momentum": real(0.8, 0.98),
        "weight_decay": real(1e-5, 5e-3, log=True),
        "iou_threshold": real(0.15, 1.0),
        "iou_normalizer": real(0.3, 5.0, log=True),
        "cls_normalizer": real(0.2, 5.0, log=True),
        "obj_normalizer": real(0.2, 5.0, log=True),
        "label_smoothing": real(0.0, 0.1),
        "mosaic": real(0.0, 1.0),
        "flip": real(0.0, 0.5),
        "hue": real(0.0, 0.2),
        "saturation": real(1.0, 3.0, log=True),
        "exposure": real(1.0, 3.0, log=True),
        "jitter": real(0.0, 0.4),
    }

    def ap(p: Params) -> float:
        step = _effective(p)
        loss = 0.09 * off(step, -1.35, 0.7) + 0.02 * off(p["momentum"], 0.92, 0.08)
        loss += 0.012 * off(math.log10(p["weight_decay"]) + 0.6 * (step + 1.35), -3.6, 0.7)
        loss += 0.03 * off(p["iou_threshold"], 0.42, 0.25)
        loss += 0.03 * log_off(p["iou_normalizer"], 1.9, 2.5)
        loss += 0.015 * log_off(p["cls_normalizer"] / p["obj_normalizer"], 0.6, 3.0)
        loss += 0.02 * off(p["mosaic"], 0.75, 0.6) + 0.01 * off(p["jitter"], 0.13, 0.15)
        loss += 0.006 * max(p["label_smoothing"] - 0.03, 0.0) / 0.07 - 0.008 * p["flip"]
        return 0.45 - loss

    def failure(p: Params) -> float:
        edge = -0.75 - 0.25 * math.log10(p["iou_normalizer"])
        return _cliff(_effective(p) - edge, 0.2)

    defaults = {
        "lr": 2e-3,
        "momentum": 0.9,
        "weight_decay": 5e-4,
        "iou_threshold": 0.213,
        "iou_normalizer": 1.0,
        "cls_normalizer": 1.0,
        "obj_normalizer": 1.0,
        "label_smoothing": 0.0,
        "mosaic": 0.5,
        "flip": 0.5,
        "hue": 0.1,
        "saturation": 1.5,
        "exposure": 1.5,
        "jitter": 0.2,
    }
    return Surface(
        "detector-ridge-14",
        "detector",
        "tune",
        distributions,
        defaults,
        ap,
        0.012,
        failure,
        floor=0.0,
    )


def _brink() -> Surface:
    """AP rises all the way to the cliff, and is level where the step is small."""
    distributions = {
        "lr": real(1e-4, 1e-1, log=True),
        "momentum": real(0.6, 0.99),
        "nesterov": choice(False, True),
        "batch": whole(4, 64, log=True),
        "warmup": real(0.0, 5.0),
        "clip": real(0.1, 30.0, log=True),
        "weight_decay": real(1e-6, 1e-2, log=True),
        "box_gain": real(0.02, 0.5, log=True),
        "cls_gain": real(0.1, 4.0, log=True),
        "obj_gain": real(0.1, 4.0, log=True),
        "anchor_threshold": real(2.0, 8.0),
        "scale": real(0.0, 0.9),
        "translate": real(0.0, 0.5),
        "degrees": real(0.0, 45.0),
        "hsv_h": real(0.0, 0.1),
        "hsv_s": real(0.0, 0.9),
        "hsv_v": real(0.0, 0.9),
        "mixup": real(0.0, 1.0),
    }

    def beyond(p: Params) -> float:
        step = _effective(p) - math.log10(p["batch"] / 16)
        edge = -0.3 + 0.12 * min(p["warmup"], 3.0) - 0.2 * math.log10(p["clip"])
        return step - edge

    def ap(p: Params) -> float:
        gain = 1.0 / (1.0 + math.exp(-2.2 * (min(beyond(p), 0.05) + 1.5)))
        loss = 0.05 * log_off(p["box_gain"], 0.11, 3.0) / (1 + log_off(p["box_gain"], 0.11, 6.0))
        loss += 0.02 * log_off(p["obj_gain"], 0.7, 3.5) + 0.008 * log_off(p["cls_gain"], 0.4, 4.0)
        loss += 0.05 * off(p["scale"], 0.55, 0.6) + 0.04 * (p["degrees"] / 45) ** 2
        loss += 0.015 * max(math.log10(p["weight_decay"]) + 3.2, 0.0) ** 2
        loss += 0.03 * max(p["mixup"] - 0.2, 0.0) + 0.01 * (p["hsv_s"] < 0.2)
        return 0.47 * gain - loss - (0.0 if p["nesterov"] else 0.004)

    defaults = {
        "lr": 1e-2,
        "momentum": 0.9,
        "nesterov": True,
        "batch": 16,
        "warmup": 3.0,
        "clip": 10.0,
        "weight_decay": 5e-4,
        "box_gain": 0.05,
        "cls_gain": 0.5,
        "obj_gain": 1.0,
        "anchor_threshold": 4.0,
        "scale": 0.5,
        "translate": 0.1,
        "degrees": 0.0,
        "hsv_h": 0.015,
        "hsv_s": 0.7,
        "hsv_v": 0.4,
        "mixup": 0.0,
    }
    return Surface(
        "detector-brink-18",
        "detector",
        "tune",
        distributions,
        defaults,
        ap,
        0.015,
        lambda p: _cliff(beyond(p), 0.1),
        floor=0.0,
    )


def _valley() -> Surface:
    """A bent valley between the loss weights, with the learning rate scaled by their sum."""
    distributions = {
        "lr": real(1e-4, 1e-2, log=True),
        "beta1": real(0.8, 0.99),
        "weight_decay": real(1e-4, 1e-1, log=True),
        "iou_normalizer": real(0.2, 8.0, log=True),
        "obj_normalizer": real(0.2, 8.0, log=True),
        "cls_normalizer": real(0.2, 8.0, log=True),
        "iou_threshold": real(0.15, 1.0),
        "ignore_threshold": real(0.4, 0.9),
        "mosaic": real(0.0, 1.0),
        "jitter": real(0.0, 0.5),
        "hue": real(0.0, 0.3),
        "saturation": real(1.0, 4.0, log=True),
        "ema_decay": real(0.99, 0.9999, log=True),
    }

    def total(p: Params) -> float:
        return p["iou_normalizer"] + p["obj_normalizer"] + p["cls_normalizer"]

    def ap(p: Params) -> float:
        box = math.log10(p["iou_normalizer"])
        balance = math.log10(p["obj_normalizer"]) - 0.25 - 0.9 * (box - 0.3) ** 2
        step = math.log10(p["lr"] * total(p))
        loss = 0.12 * off(balance, 0.0, 0.6) + 0.03 * off(box, 0.4, 0.6)
        loss += 0.1 * off(step, -2.25, 0.6)
        loss += 0.02 * off(math.log10(p["weight_decay"] * p["lr"]), -4.9, 1.0)
        loss += 0.03 * off(p["iou_threshold"] + p["ignore_threshold"], 1.2, 0.5)
        loss += 0.02 * off(p["mosaic"], 1.0, 0.8) + 0.03 * off(p["jitter"], 0.28, 0.3)
        return 0.45 - loss

    def failure(p: Params) -> float:
        return _cliff(math.log10(p["lr"] * total(p)) + 1.75, 0.25)

    defaults = {
        "lr": 1e-3,
        "beta1": 0.9,
        "weight_decay": 5e-3,
        "iou_normalizer": 1.0,
        "obj_normalizer": 1.0,
        "cls_normalizer": 1.0,
        "iou_threshold": 0.213,
        "ignore_threshold": 0.7,
        "mosaic": 0.5,
        "jitter": 0.2,
        "hue": 0.1,
        "saturation": 1.5,
        "ema_decay": 0.999,
    }
    return Surface(
        "detector-valley-13",
        "detector",
        "tune",
        distributions,
        defaults,
        ap,
        0.018,
        failure,
        floor=0.0,
    )


# --- judge --------------------------------------------------------------------------------------


def _schedule() -> Surface:
    """Peak and final learning rate, warm-up and averaging share one amount of annealing."""
    distributions = {
        "lr": real(1e-4, 3e-2, log=True),
        "final_fraction": real(1e-3, 1.0, log=True),
        "warmup_epochs": real(0.1, 8.0, log=True),
        "warmup_momentum": real(0.5, 0.95),
        "momentum": real(0.7, 0.98),
        "batch": choice(8, 16, 32, 64),
        "ema_decay": real(0.9, 0.9998),
        "weight_decay": real(1e-5, 1e-2, log=True),
        "freeze": whole(0, 10),
        "box": real(1.0, 20.0, log=True),
        "cls": real(0.1, 3.0, log=True),
        "dfl": real(0.3, 5.0, log=True),
        "scale": real(0.0, 0.9),
        "mosaic": real(0.0, 1.0),
        "hsv": real(0.0, 0.9),
        "erasing": real(0.0, 0.7),
    }

    def step(p: Params) -> float:
        return _effective(p) - 0.7 * math.log10(p["batch"] / 16)

    def ap(p: Params) -> float:
        annealing = math.log10(1 / p["final_fraction"]) + 0.5 * math.log10(
            1 / (1 - p["ema_decay"])
        )
        mean_step = step(p) - 0.35 * math.log10(1 / p["final_fraction"])
        loss = 0.16 * (1 - math.exp(-off(mean_step, -1.7, 0.9)))
        loss += 0.07 * (1 - math.exp(-off(annealing, 2.9, 1.1)))
        loss += 0.02 * off(p["freeze"], 2, 5) / (1 + off(p["freeze"], 2, 5))
        loss += 0.06 * (1 - math.exp(-0.5 * log_off(p["box"] / p["cls"], 22.0, 4.0)))
        loss += 0.012 * log_off(p["dfl"], 1.1, 3.0)
        loss += 0.05 * (1 - math.exp(-off(p["scale"], 0.3, 0.35))) + 0.02 * (1 - p["mosaic"]) ** 2
        loss += 0.025 * max(math.log10(p["weight_decay"]) + 2.7, 0.0)
        return 0.45 - loss

    def failure(p: Params) -> float:
        edge = -0.75 + 0.45 * math.log10(p["warmup_epochs"])
        return _cliff(step(p) - edge, 0.35)

    defaults = {
        "lr": 5e-3,
        "final_fraction": 0.1,
        "warmup_epochs": 3.0,
        "warmup_momentum": 0.8,
        "momentum": 0.937,
        "batch": 16,
        "ema_decay": 0.99,
        "weight_decay": 5e-4,
        "freeze": 0,
        "box": 7.5,
        "cls": 0.5,
        "dfl": 1.5,
        "scale": 0.5,
        "mosaic": 1.0,
        "hsv": 0.5,
        "erasing": 0.4,
    }
    return Surface(
        "detector-schedule-16",
        "detector",
        "judge",
        distributions,
        defaults,
        ap,
        0.014,
        failure,
        ordinal=frozenset({"batch"}),
        floor=0.0,
    )


_STRENGTHS = {  # of the 24-parameter problem: how much each regularises at full strength
    "rotate": 0.5,
    "translate": 0.4,
    "zoom": 0.9,
    "shear": 0.3,
    "perspective": 0.2,
    "flip_x": 0.25,
    "flip_y": 0.3,
    "hue": 0.35,
    "saturation": 0.25,
    "value": 0.3,
    "mosaic": 1.0,
    "mixup": 0.8,
    "cutout": 0.4,
    "blur": 0.15,
    "grey": 0.1,
}


def _many() -> Surface:
    """Fifteen augmentations: their sum matters, as does the harm that some do by themselves."""
    distributions: dict[str, BaseDistribution] = {name: real(0.0, 1.0) for name in _STRENGTHS}
    distributions |= {
        "lr": real(3e-4, 3e-1, log=True),
        "momentum": real(0.5, 0.99),
        "weight_decay": real(1e-6, 1e-2, log=True),
        "dropout": real(0.0, 0.5),
        "label_smoothing": real(0.0, 0.3),
        "box_weight": real(0.3, 10.0, log=True),
        "class_weight": real(0.3, 10.0, log=True),
        "positives": whole(1, 20),
        "tile": choice(320, 384, 448, 512),
    }

    def ap(p: Params) -> float:
        amount = sum(weight * p[name] for name, weight in _STRENGTHS.items())
        amount += 1.5 * p["dropout"] + 0.35 * (math.log10(p["weight_decay"]) + 4)
        shortfall = 2.1 - amount
        loss = 0.035 * shortfall**2 if shortfall > 0 else 0.02 * shortfall**2
        loss += 0.07 * p["flip_y"] ** 2 + 0.05 * p["shear"] ** 2 + 0.05 * p["perspective"]
        loss += 0.04 * p["hue"] * p["saturation"] + 0.1 * p["dropout"] ** 2
        loss += 0.05 * abs(_effective(p) + 0.9) ** 1.5
        loss += 0.02 * log_off(p["box_weight"] / p["class_weight"], 2.2, 3.0)
        loss += 0.02 * off(p["positives"], 9, 6) + 0.012 * (512 - p["tile"]) / 64
        return 0.475 - loss

    defaults = dict.fromkeys(_STRENGTHS, 0.0) | {
        "flip_x": 0.5,
        "mosaic": 0.5,
        "lr": 1e-2,
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "dropout": 0.0,
        "label_smoothing": 0.0,
        "box_weight": 1.0,
        "class_weight": 1.0,
        "positives": 4,
        "tile": 448,
    }
    return Surface(
        "detector-many-24",
        "detector",
        "judge",
        distributions,
        defaults,
        ap,
        0.016,
        lambda p: _cliff(_effective(p) - 0.1 - 0.05 * p["mosaic"], 0.3),
        ordinal=frozenset({"tile"}),
        floor=0.0,
    )


def _twin() -> Surface:
    """Two optima: the defaults lie in the wide one, the better one is narrow and far."""
    distributions = {
        "lr": real(1e-4, 1e-1, log=True),
        "decay": real(1e-6, 1e-2, log=True),
        "momentum": real(0.8, 0.98),
        "warmup": whole(10, 3000, log=True),
        "iou": real(0.3, 12.0, log=True),
        "focal_gamma": real(0.0, 3.0),
        "focal_alpha": real(0.1, 0.9),
        "noobj": real(0.05, 2.0, log=True),
        "resize": real(0.0, 0.8),
        "crop": real(0.0, 0.6),
        "colour": real(0.0, 1.0),
        "mixup": real(0.0, 0.6),
        "paste": real(0.0, 1.0),
        "smoothing": real(0.0, 0.2),
        "nms": real(0.3, 0.8),
    }

    def ap(p: Params) -> float:
        lr, decay = math.log10(p["lr"]), math.log10(p["decay"])
        gentle = 0.39 * math.exp(-0.5 * (off(lr, -3.0, 0.7) + 0.4 * off(decay, -4.5, 1.0)))
        steep = 0.445 * math.exp(-0.5 * (off(lr, -1.9, 0.35) + off(decay, -2.9, 0.6)))
        focus = off(p["focal_gamma"] * (1.2 - p["focal_alpha"]), 0.9, 0.8)
        loss = 0.03 * min(focus, 3.0) + 0.02 * log_off(p["noobj"], 0.4, 3.0)
        loss += 0.03 * log_off(p["iou"], 3.5, 4.0) + 0.02 * off(p["nms"], 0.58, 0.15)
        loss += 0.04 * max(p["resize"] + p["crop"] - 0.8, 0.0) + 0.02 * p["mixup"]
        return max(gentle, steep) - loss + 0.012 * p["paste"]

    def failure(p: Params) -> float:
        return _cliff(_effective(p) + 0.75 - 0.3 * math.log10(p["warmup"] / 300), 0.4)

    defaults = {
        "lr": 1e-3,
        "decay": 3e-5,
        "momentum": 0.9,
        "warmup": 1000,
        "iou": 2.0,
        "focal_gamma": 1.0,
        "focal_alpha": 0.25,
        "noobj": 0.5,
        "resize": 0.3,
        "crop": 0.1,
        "colour": 0.5,
        "mixup": 0.0,
        "paste": 0.0,
        "smoothing": 0.0,
        "nms": 0.5,
    }
    return Surface(
        "detector-twin-15",
        "detector",
        "judge",
        distributions,
        defaults,
        ap,
        0.01,
        failure,
        floor=0.0,
    )


def _product() -> Surface:
    """Losses multiply, so that nothing shows before the worst fault is mended; choices too."""
    distributions = {
        "box_loss": choice("mse", "iou", "giou", "diou", "ciou"),
        "activation": choice("leaky", "mish", "swish"),
        "size": choice(256, 320, 384, 448),
        "optimizer": choice("sgd", "adamw"),
        "lr_scale": real(0.03, 30.0, log=True),
        "momentum": real(0.8, 0.99),
        "weight_decay": real(1e-5, 1e-1, log=True),
        "box_scale": real(0.1, 10.0, log=True),
        "obj_scale": real(0.1, 10.0, log=True),
        "cls_scale": real(0.1, 10.0, log=True),
        "assign_low": real(0.1, 0.6),
        "assign_width": real(0.0, 0.4),
        "grid_scale": real(1.0, 1.4),
        "smoothing": real(0.0, 0.2),
        "mosaic": real(0.0, 1.0),
        "close_mosaic": whole(0, 15),
        "hue": real(0.0, 0.3),
        "noise": real(0.0, 1.0),
        "jitter": real(0.0, 0.5),
        "workers_seed": whole(0, 9),
    }
    kinds = {"mse": (0.80, 0.4), "iou": (0.93, 1.5), "giou": (0.96, 1.6)}
    kinds |= {"diou": (0.985, 2.4), "ciou": (1.0, 2.8)}
    speed = {"sgd": 1.6, "adamw": 0.35}

    def ap(p: Params) -> float:
        worth, weight = kinds[p["box_loss"]]
        decay = {"sgd": 6e-4, "adamw": 2e-2}[p["optimizer"]]
        kept = worth * {"leaky": 0.96, "mish": 1.0, "swish": 0.99}[p["activation"]]
        kept *= 1.0 - 0.05 * (448 - p["size"]) / 64
        kept *= 1 / (1 + 0.35 * log_off(p["lr_scale"], speed[p["optimizer"]], 5.0))
        kept *= 1 / (1 + 0.12 * log_off(p["box_scale"] / p["obj_scale"], weight, 4.0))
        kept *= 1 / (1 + 0.06 * log_off(p["cls_scale"], 0.7, 5.0))
        kept *= 1 / (1 + 0.05 * log_off(p["weight_decay"], decay, 10.0))
        kept *= 1 / (1 + 0.15 * off(p["assign_low"] + 0.5 * p["assign_width"], 0.4, 0.25))
        kept *= 1 - 0.12 * max(0.6 - p["mosaic"], 0) - 0.06 * p["mosaic"] * (p["close_mosaic"] < 3)
        kept *= (1 - 0.1 * p["noise"] ** 2) * (1 - 0.3 * p["smoothing"])
        return 0.46 * kept

    def failure(p: Params) -> float:
        step = math.log10(p["lr_scale"] / speed[p["optimizer"]]) - math.log10(
            10 * (1 - p["momentum"])
        )
        return _cliff(step - 0.75, 0.25)

    defaults = {
        "box_loss": "ciou",
        "activation": "leaky",
        "size": 384,
        "optimizer": "sgd",
        "lr_scale": 1.0,
        "momentum": 0.9,
        "weight_decay": 5e-4,
        "box_scale": 1.0,
        "obj_scale": 1.0,
        "cls_scale": 1.0,
        "assign_low": 0.213,
        "assign_width": 0.1,
        "grid_scale": 1.05,
        "smoothing": 0.0,
        "mosaic": 0.5,
        "close_mosaic": 0,
        "hue": 0.1,
        "noise": 0.0,
        "jitter": 0.2,
        "workers_seed": 0,
    }
    return Surface(
        "detector-product-20",
        "detector",
        "judge",
        distributions,
        defaults,
        ap,
        0.013,
        failure,
        ordinal=frozenset({"size"}),
        floor=0.0,
    )
