"""Made-up spaces of choices, ordinals and whole numbers, with parameters that depend on others."""

import itertools
import math
from collections.abc import Mapping
from typing import Any

from tests.bench.search.surface import Surface, choice, log_off, off, real, whole

Params = Mapping[str, Any]


def mixed_problems() -> list[Surface]:
    """All of them, of both roles."""
    tune = [_optimizer(), _switches(), _layers(), _branches(), _crease()]
    return [*tune, _pipeline(), _kernel(), _levels(), _cells()]


# --- tune ---------------------------------------------------------------------------------------


def _optimizer() -> Surface:
    """One of three optimisers, each with its own best learning rate and its own parameters."""
    distributions = {
        "optimizer": choice("sgd", "adamw", "rmsprop"),
        "lr": real(1e-5, 1.0, log=True),
        "momentum": real(0.0, 0.99),
        "nesterov": choice(False, True),
        "beta2": real(0.9, 0.9999),
        "decay": real(1e-6, 1e-1, log=True),
        "batch": choice(8, 16, 32, 64, 128),
        "schedule": choice("constant", "step", "cosine"),
        "step_factor": real(0.05, 0.9, log=True),
        "warmup": whole(0, 10),
    }
    conditions: dict[str, Any] = {
        "momentum": {"optimizer": ("sgd", "rmsprop")},
        "nesterov": {"optimizer": ("sgd",)},
        "beta2": {"optimizer": ("adamw",)},
        "step_factor": {"schedule": ("step",)},
    }
    best_lr = {"sgd": 0.05, "adamw": 1.5e-3, "rmsprop": 4e-4}

    def value(p: Params) -> float:
        kind = p["optimizer"]
        lr = p["lr"] * (16 / p["batch"]) ** 0.5 / best_lr[kind]
        lr *= 0.1 / (1.0 - p["momentum"]) if "momentum" in p else 1.0
        loss = {"sgd": 0.0, "adamw": 0.02, "rmsprop": 0.06}[kind]
        loss += 0.25 * (1 - math.exp(-0.5 * log_off(lr, 1.0, 4.0)))
        loss += 0.02 * off(p.get("beta2", 0.99), 0.98, 0.04) - 0.01 * p.get("nesterov", False)
        loss += 0.02 * log_off(p["decay"], {"sgd": 5e-4}.get(kind, 1e-2), 10.0)
        loss += {"constant": 0.05, "step": 0.01, "cosine": 0.0}[p["schedule"]]
        loss += 0.012 * log_off(p.get("step_factor", 0.2), 0.2, 3.0)
        return 0.9 - loss - 0.004 * abs(p["warmup"] - 3)

    def failure(p: Params) -> float:
        lr = p["lr"] / best_lr[p["optimizer"]] * 0.1 / (1.0 - p.get("momentum", 0.9))
        return min(max(math.log10(lr) - 1.2 - 0.04 * p["warmup"], 0.0) / 0.4, 1.0)

    defaults = {
        "optimizer": "adamw",
        "lr": 1e-3,
        "momentum": 0.9,
        "nesterov": False,
        "beta2": 0.999,
        "decay": 1e-4,
        "batch": 32,
        "schedule": "constant",
        "step_factor": 0.1,
        "warmup": 0,
    }
    return Surface(
        "mixed-optimizer-10",
        "mixed",
        "tune",
        distributions,
        defaults,
        value,
        0.015,
        failure,
        frozenset({"batch"}),
        conditions,
    )


_SWITCHES = {  # strength at the best, gain there, harm at full strength
    "rotate": (0.3, 0.030, 0.06),
    "zoom": (0.6, 0.040, 0.01),
    "colour": (0.5, 0.010, 0.03),
    "blur": (0.1, 0.002, 0.05),
    "mosaic": (0.8, 0.045, 0.00),
    "mixup": (0.2, 0.015, 0.04),
}


def _switches() -> Surface:
    """Augmentations that are off or on, and have a strength when on; three of them overlap."""
    distributions: dict[str, Any] = {"policy": choice("none", "flip", "flip-both")}
    conditions: dict[str, Any] = {}
    for name in _SWITCHES:
        distributions[name] = choice(False, True)
        distributions[f"{name}_strength"] = real(0.0, 1.0)
        conditions[f"{name}_strength"] = {name: (True,)}
    distributions["epochs"] = choice(10, 20, 40, 80)

    def value(p: Params) -> float:
        gains = {name: _gain(name, p) for name in _SWITCHES}
        shared = 0.6 * min(gains["mosaic"], gains["mixup"], 0.02) * p["mosaic"] * p["mixup"]
        amount = sum(p.get(f"{name}_strength", 0.0) for name in _SWITCHES)
        long = math.log2(p["epochs"] / 10)
        tired = 0.012 * max(amount - 0.8 - 0.5 * long, 0.0) ** 2
        flip = {"none": 0.0, "flip": 0.02, "flip-both": 0.008}[p["policy"]]
        return 0.5 + sum(gains.values()) - shared - tired + flip + 0.008 * long

    defaults: dict[str, Any] = dict.fromkeys(_SWITCHES, False)
    defaults |= {f"{name}_strength": 0.5 for name in _SWITCHES}
    defaults |= {"policy": "flip", "epochs": 20, "colour": True}
    return Surface(
        "mixed-switches-14",
        "mixed",
        "tune",
        distributions,
        defaults,
        value,
        0.01,
        ordinal=frozenset({"epochs"}),
        conditions=conditions,
    )


def _gain(name: str, p: Params) -> float:
    """What a switched augmentation adds: a parabola through nothing, its best, and its harm."""
    if not p[name]:
        return 0.0
    best, gain, harm = _SWITCHES[name]
    strength = p[f"{name}_strength"]
    if strength <= best:
        return gain * (1 - ((best - strength) / best) ** 2)
    return gain - (gain + harm) * ((strength - best) / (1 - best)) ** 2


def _layers() -> Surface:
    """A network of one to four layers, each with a width; wide and deep ones need dropout."""
    distributions = {
        "layers": whole(1, 4),
        **{f"width{i}": whole(8, 512, log=True) for i in range(1, 5)},
        "activation": choice("relu", "tanh", "sigmoid", "elu"),
        "norm": choice("none", "batch", "layer"),
        "dropout": real(0.0, 0.7),
        "lr": real(1e-4, 1e-1, log=True),
        "decay": real(1e-7, 1e-2, log=True),
    }
    conditions: dict[str, Any] = {f"width{i}": {"layers": tuple(range(i, 5))} for i in range(2, 5)}

    def value(p: Params) -> float:
        widths = [p[f"width{i}"] for i in range(1, p["layers"] + 1)]
        size = math.log2(sum(widths)) + 1.3 * len(widths)
        loss = 0.12 * (1 - math.exp(-off(size, 11.5, 4.0)))
        loss += 0.03 * sum(max(math.log2(b / a), 0.0) / 6 for a, b in itertools.pairwise(widths))
        loss += {"relu": 0.0, "elu": 0.005, "tanh": 0.03, "sigmoid": 0.06}[p["activation"]]
        stuck = max(len(widths) - 2, 0) * (p["norm"] == "none")
        loss += 0.05 * stuck + 0.02 * (p["norm"] == "layer")
        loss += 0.1 * off(p["dropout"], min(max(0.08 * (size - 8), 0.0), 0.5), 0.5)
        best_lr = 3e-3 * (4 if p["norm"] == "batch" else 1) / len(widths)
        loss += 0.15 * (1 - math.exp(-0.5 * log_off(p["lr"], best_lr, 4.0)))
        return 0.85 - loss - 0.015 * max(math.log10(p["decay"]) + 4, 0.0)

    defaults = {
        "layers": 2,
        "width1": 64,
        "width2": 64,
        "width3": 64,
        "width4": 64,
        "activation": "relu",
        "norm": "none",
        "dropout": 0.0,
        "lr": 1e-3,
        "decay": 1e-5,
    }
    return Surface(
        "mixed-layers-10",
        "mixed",
        "tune",
        distributions,
        defaults,
        value,
        0.012,
        conditions=conditions,
    )


def _branches() -> Surface:
    """One of four ways to augment, each with strengths of its own; the best is poor untuned."""
    distributions = {
        "way": choice("basic", "mosaic", "mixup", "paste"),
        "flip": real(0.0, 1.0),
        "area": real(0.0, 1.0),
        "overlap": real(0.0, 1.0),
        "alpha": real(1e-2, 1e1, log=True),
        "copies": whole(1, 32, log=True),
        "blend": choice("none", "gauss", "poisson"),
        "decay": choice("step", "cosine", "poly"),
        "steps": whole(1, 6),
        "power": real(0.3, 4.0, log=True),
        "lr": real(1e-4, 1e-1, log=True),
        "smooth": real(0.0, 0.2),
    }
    conditions: dict[str, Any] = {
        "flip": {"way": ("basic", "mixup")},
        "area": {"way": ("mosaic", "paste")},
        "overlap": {"way": ("mosaic",)},
        "alpha": {"way": ("mixup",)},
        "copies": {"way": ("paste",)},
        "blend": {"way": ("paste",)},
        "steps": {"decay": ("step",)},
        "power": {"decay": ("poly",)},
    }
    offer = {"basic": 0.0, "mosaic": 0.06, "mixup": 0.025, "paste": 0.045}
    with_decay = {
        "step": {"basic": 0.0, "mosaic": -0.02, "mixup": 0.0, "paste": 0.01},
        "cosine": {"basic": -0.01, "mosaic": 0.015, "mixup": 0.01, "paste": -0.01},
        "poly": {"basic": 0.0, "mosaic": 0.0, "mixup": -0.01, "paste": 0.015},
    }

    def value(p: Params) -> float:
        way = p["way"]
        gain = offer[way] + with_decay[p["decay"]][way]
        gain -= 0.015 * min(off(p.get("flip", 0.5), 0.5, 0.4), 3.0)
        if way == "mosaic":
            gain -= 0.03 * min(off(p["area"], 0.25, 0.2) + off(p["overlap"], 0.75, 0.25), 4.0)
        if way == "mixup":
            gain -= 0.02 * min(log_off(p["alpha"], 0.2, 4.0), 4.0)
        if way == "paste":
            gain -= 0.025 * min(off(p["area"], 0.7, 0.2) + log_off(p["copies"], 12, 2.0), 4.0)
            gain -= {"none": 0.02, "gauss": 0.0, "poisson": 0.01}[p["blend"]]
        gain -= 0.01 * off(p.get("steps", 3), 3, 2) + 0.01 * log_off(p.get("power", 1.0), 1.0, 2.0)
        best_lr = {"basic": 3e-3, "mosaic": 1e-2, "mixup": 6e-3, "paste": 4e-3}[way]
        gain -= 0.02 * min(log_off(p["lr"], best_lr, 4.0), 5.0)
        return 0.7 + gain - 0.01 * off(p["smooth"], 0.05, 0.08)

    defaults = {
        "way": "basic",
        "flip": 0.5,
        "area": 0.5,
        "overlap": 0.3,
        "alpha": 1.0,
        "copies": 4,
        "blend": "none",
        "decay": "step",
        "steps": 2,
        "power": 1.0,
        "lr": 2e-3,
        "smooth": 0.0,
    }
    return Surface(
        "mixed-branches-12",
        "mixed",
        "tune",
        distributions,
        defaults,
        value,
        0.01,
        conditions=conditions,
    )


def _crease() -> Surface:
    """A narrow crease between decay and learning rate under one choice, a broad slope else."""
    distributions = {
        "filter": choice("box", "tent", "sinc"),
        "rate": real(1e-6, 1e0, log=True),
        "weight": real(1e-7, 1e-1, log=True),
        "taps": whole(1, 15),
        "window": choice("none", "hann", "kaiser"),
        "round": choice(2, 4, 8, 16),
    }
    conditions: dict[str, Any] = {
        "taps": {"filter": ("tent", "sinc")},
        "window": {"filter": ("sinc",)},
    }

    def value(p: Params) -> float:
        rate, weight = math.log10(p["rate"]), math.log10(p["weight"])
        rough = 0.004 * abs(math.log2(p["round"]) - 2)
        if p["filter"] == "box":
            return 0.8 - 0.012 * min(off(rate, -3.0, 1.0), 6.0) - rough
        fold = rate - 0.8 * weight - 0.1 * (rate + 2) ** 2
        if p["filter"] == "tent":
            good = math.exp(-0.5 * (off(fold, 1.0, 0.8) + off(rate, -2.5, 1.4)))
            return 0.5 + 0.4 * good - 0.002 * abs(p["taps"] - 5) - rough
        rough += {"none": 0.02, "hann": 0.0, "kaiser": 0.005}[p["window"]]
        good = math.exp(-0.5 * (off(fold, 2.0, 0.7) + off(rate, -1.2, 1.0)))
        return 0.5 + 0.44 * good - 0.003 * abs(p["taps"] - 9) - rough

    defaults = {
        "filter": "tent",
        "rate": 1e-3,
        "weight": 1e-4,
        "taps": 3,
        "window": "none",
        "round": 16,
    }
    return Surface(
        "mixed-crease-6",
        "mixed",
        "tune",
        distributions,
        defaults,
        value,
        0.012,
        ordinal=frozenset({"round"}),
        conditions=conditions,
    )


# --- judge --------------------------------------------------------------------------------------


def _pipeline() -> Surface:
    """Preparation and model chosen apart; the good pairs are not the sum of the good parts."""
    distributions = {
        "scaler": choice("none", "standard", "quantile"),
        "bins": whole(4, 256, log=True),
        "reducer": choice("none", "pca", "select"),
        "components": whole(2, 64, log=True),
        "model": choice("linear", "neighbours", "forest"),
        "penalty": choice("l1", "l2"),
        "c": real(1e-4, 1e3, log=True),
        "k": whole(1, 60, log=True),
        "metric": choice("manhattan", "euclidean", "cosine"),
        "trees": whole(10, 500, log=True),
        "depth": whole(2, 24),
        "leaf": whole(1, 40, log=True),
        "balance": real(0.0, 1.0),
    }
    linear, near, trees = ({"model": (kind,)} for kind in ("linear", "neighbours", "forest"))
    conditions: dict[str, Any] = {
        "bins": {"scaler": ("quantile",)},
        "components": {"reducer": ("pca", "select")},
        "penalty": linear,
        "c": linear,
        "k": near,
        "metric": near,
        "trees": trees,
        "depth": trees,
        "leaf": trees,
    }
    fit = {
        "linear": {"none": -0.08, "standard": 0.0, "quantile": 0.035},
        "neighbours": {"none": -0.15, "standard": 0.06, "quantile": 0.01},
        "forest": {"none": 0.02, "standard": 0.02, "quantile": 0.015},
    }

    def value(p: Params) -> float:
        gain = fit[p["model"]][p["scaler"]] - 0.06 * (p["balance"] - 0.35) ** 2
        if p["scaler"] == "quantile":
            gain -= 0.01 * log_off(p["bins"], 40, 4.0)
        wanted = {"linear": 30, "neighbours": 8, "forest": 50}[p["model"]]
        kept = p.get("components", 64)
        gain -= 0.015 * min(log_off(kept, wanted, 2.5), 6.0)
        gain += 0.015 * (p["reducer"] == "pca") * (1 if p["model"] == "neighbours" else -1)
        return 0.8 + gain - _model_loss(p)

    defaults = {
        "scaler": "standard",
        "bins": 16,
        "reducer": "none",
        "components": 16,
        "model": "linear",
        "penalty": "l2",
        "c": 1.0,
        "k": 5,
        "metric": "euclidean",
        "trees": 100,
        "depth": 12,
        "leaf": 1,
        "balance": 0.0,
    }
    return Surface(
        "mixed-pipeline-13",
        "mixed",
        "judge",
        distributions,
        defaults,
        value,
        0.01,
        conditions=conditions,
    )


def _model_loss(p: Params) -> float:
    if p["model"] == "linear":
        best = 0.3 if p["penalty"] == "l1" else 0.02
        return 0.015 * min(log_off(p["c"], best, 8.0), 6.0) + 0.008 * (p["penalty"] == "l2")
    if p["model"] == "neighbours":
        worse = {"manhattan": 0.0, "euclidean": 0.012, "cosine": 0.03}[p["metric"]]
        return 0.03 * min(log_off(p["k"], 14, 3.0), 5.0) + worse
    rough = 0.03 * log_off(p["leaf"], 3, 4.0) + 0.02 * off(p["depth"], 16, 8)
    return rough + 0.05 * math.exp(-p["trees"] / 60)


def _kernel() -> Surface:
    """A kernel machine of six parameters with a narrow bent optimum in C and gamma."""
    distributions = {
        "kernel": choice("linear", "poly", "rbf"),
        "c": real(1e-3, 1e4, log=True),
        "gamma": real(1e-5, 1e1, log=True),
        "degree": whole(2, 6),
        "shrink": choice("off", "weak", "strong"),
        "tolerance": choice(1e-5, 1e-4, 1e-3, 1e-2, 1e-1),
    }
    conditions: dict[str, Any] = {
        "gamma": {"kernel": ("poly", "rbf")},
        "degree": {"kernel": ("poly",)},
    }

    def value(p: Params) -> float:
        c, rough = math.log10(p["c"]), 0.02 * (p["tolerance"] > 5e-3) * math.log10(p["c"] + 10)
        rough += {"off": 0.0, "weak": -0.004, "strong": 0.012}[p["shrink"]]
        if p["kernel"] == "linear":
            return 0.86 - 0.01 * min(off(c, -0.5, 1.0), 8.0) - rough
        bend = c + 1.4 * math.log10(p["gamma"]) + 0.15 * (c - 1) ** 2
        if p["kernel"] == "rbf":
            good = math.exp(-0.5 * (off(bend, -2.0, 0.9) + off(c, 1.6, 1.3)))
            return 0.55 + 0.42 * good - rough
        good = math.exp(-0.5 * (off(bend, -0.5, 1.2) + off(c, 0.0, 1.5)))
        return 0.6 + 0.3 * good - 0.02 * (p["degree"] - 3) ** 2 - rough

    defaults = {
        "kernel": "rbf",
        "c": 1.0,
        "gamma": 0.1,
        "degree": 3,
        "shrink": "weak",
        "tolerance": 1e-3,
    }
    return Surface(
        "mixed-kernel-6",
        "mixed",
        "judge",
        distributions,
        defaults,
        value,
        0.012,
        ordinal=frozenset({"tolerance"}),
        conditions=conditions,
    )


def _levels() -> Surface:
    """Conditions upon conditions: a distillation that itself has parts to choose."""
    distributions = {
        "distil": choice(False, True),
        "teacher": choice("small", "medium", "large"),
        "matching": choice("logits", "features"),
        "temperature": real(1.0, 20.0, log=True),
        "layer": whole(1, 8),
        "projector": choice("linear", "mlp"),
        "projector_width": whole(16, 1024, log=True),
        "share": real(0.0, 1.0),
        "lr": real(1e-4, 1e-1, log=True),
        "epochs": choice(5, 10, 20, 40),
        "stop_early": choice(False, True),
        "patience": whole(1, 20, log=True),
        "quantise": choice("none", "int8", "int4"),
        "clip": real(0.5, 1.0),
    }
    conditions: dict[str, Any] = {
        "teacher": {"distil": (True,)},
        "matching": {"distil": (True,)},
        "share": {"distil": (True,)},
        "temperature": {"matching": ("logits",)},
        "layer": {"matching": ("features",)},
        "projector": {"matching": ("features",)},
        "projector_width": {"projector": ("mlp",)},
        "patience": {"stop_early": (True,)},
        "clip": {"quantise": ("int8", "int4")},
    }

    def value(p: Params) -> float:
        long = math.log2(p["epochs"] / 5)
        lr = 2e-2 / (1.6**long) / (3 if p["distil"] else 1)
        gain = 0.03 * (1 - math.exp(-long)) - 0.02 * min(log_off(p["lr"], lr, 4.0), 6.0)
        if p["stop_early"]:
            gain += 0.01 * long / 3 - 0.02 * log_off(p["patience"], 6, 4.0)
        if p["quantise"] != "none":
            lost, best = {"int8": (0.0, 0.92), "int4": (0.05, 0.75)}[p["quantise"]]
            gain += 0.008 - lost - 0.4 * (p["clip"] - best) ** 2
        return 0.7 + gain + (_distilled(p) if p["distil"] else 0.0)

    defaults = {
        "distil": False,
        "teacher": "medium",
        "matching": "logits",
        "temperature": 4.0,
        "layer": 4,
        "projector": "linear",
        "projector_width": 128,
        "share": 0.5,
        "lr": 1e-2,
        "epochs": 10,
        "stop_early": False,
        "patience": 5,
        "quantise": "none",
        "clip": 1.0,
    }
    return Surface(
        "mixed-levels-14",
        "mixed",
        "judge",
        distributions,
        defaults,
        value,
        0.01,
        ordinal=frozenset({"teacher", "epochs"}),
        conditions=conditions,
    )


def _distilled(p: Params) -> float:
    """Gain of distillation: features beat logits only with the right layer and an mlp."""
    size = {"small": 0.02, "medium": 0.05, "large": 0.04}[p["teacher"]]
    share = 1 - 3 * (p["share"] - 0.6) ** 2
    if p["matching"] == "logits":
        return size * share * math.exp(-0.5 * log_off(p["temperature"], 4.0, 2.5))
    good = 1.8 * math.exp(-0.5 * off(p["layer"], 6, 1.5))
    if p["projector"] == "linear":
        return size * share * 0.55 * good
    return size * share * good * math.exp(-0.25 * log_off(p["projector_width"], 200, 3.0))


_OPERATIONS = ("skip", "conv1", "conv3", "conv5", "pool")
_WORTH = {"skip": 0.0, "conv1": 0.4, "conv3": 1.0, "conv5": 0.85, "pool": 0.2}
_EDGES = (1.0, 0.8, 1.0, 0.6, 0.9, 0.5)  # how much an operation counts there


def _cells() -> Surface:
    """Six edges of a cell, each an operation, with widths and choices that pull on one another."""
    distributions: dict[str, Any] = {f"edge{i}": choice(*_OPERATIONS) for i in range(6)}
    distributions |= {f"width{i}": choice(16, 24, 32, 48, 64, 96) for i in range(3)}
    distributions |= {
        "expand": whole(1, 6),
        "ratio": whole(4, 32, log=True),
        "attention": choice("none", "channel", "spatial", "both"),
        "depth": whole(1, 8),
        "resolution": choice(128, 160, 192, 224, 256),
        "drop_path": real(0.0, 0.5),
        "lr": real(1e-3, 1.0, log=True),
        "smoothing": real(0.0, 0.2),
    }
    conditions: dict[str, Any] = {"ratio": {"attention": ("channel", "both")}}

    def value(p: Params) -> float:
        edges = [p[f"edge{i}"] for i in range(6)]
        widths = [p[f"width{i}"] for i in range(3)]
        worth = sum(_WORTH[edge] * w for edge, w in zip(edges, _EDGES, strict=True))
        worth += 0.6 * (edges[1] == "skip") + 0.5 * (edges[3] == "pool" and edges[4] != "pool")
        cost = sum(math.log2(w / 16) for w in widths) + 0.4 * p["depth"] + 0.3 * p["expand"]
        cost += 2 * math.log2(p["resolution"] / 128) + 0.3 * worth
        loss = 0.06 * math.exp(-worth / 2) + 0.1 * (1 - math.exp(-off(cost, 9.5, 4.0)))
        loss += 0.008 * sum(max(a - b, 0) / 32 for a, b in itertools.pairwise(widths))
        loss += {"none": 0.02, "channel": 0.0, "spatial": 0.012, "both": 0.006}[p["attention"]]
        loss += 0.006 * log_off(p.get("ratio", 12), 12, 3.0)
        loss += 0.12 * (p["drop_path"] - 0.03 * p["depth"]) ** 2
        loss += 0.012 * min(log_off(p["lr"], 0.1 * math.sqrt(32 / widths[0]), 4.0), 8.0)
        return 0.8 - loss

    defaults: dict[str, Any] = {f"edge{i}": "conv3" for i in range(6)}
    defaults |= {f"width{i}": 32 for i in range(3)}
    defaults |= {"expand": 1, "ratio": 16, "attention": "none", "depth": 2, "resolution": 160}
    defaults |= {"drop_path": 0.0, "lr": 0.03, "smoothing": 0.0}
    return Surface(
        "mixed-cells-17",
        "mixed",
        "judge",
        distributions,
        defaults,
        value,
        0.008,
        ordinal=frozenset({"width0", "width1", "width2", "resolution"}),
        conditions=conditions,
    )
