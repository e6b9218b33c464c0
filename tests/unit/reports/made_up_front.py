"""Fronts of made-up points, from a seed, without any detector."""

import math

import numpy as np
import pandas as pd

from evolve.pareto.join import judge_points
from evolve.pareto.records import COLUMNS

ABOUT = {
    "title": "made-up", "metric": "AP", "split": "test", "data": "cells", "images": 60,
    "device": "Some CPU at 2 GHz", "timing": "200 timed passes over one picture of noise",
    "accuracy": {"hash": "0123abcd"}, "notes": (),
}  # fmt: skip


def line(title, size, latency_ms, ap, *, se=0.01, seeds=3, p95=1.15, role="weights", **changes):
    """One point; its network is its own."""
    known = not math.isnan(se)
    given = {
        "key": f"{title}@{size}", "title": title, "role": role, "size": size,
        "network": f"{title}@{size}", "parameters": 1_000_000, "bflops": latency_ms / 5,
        "latency_ms": latency_ms, "latency_p95_ms": p95 * latency_ms,
        "latency_se_ms": 0.01 * latency_ms, "fps": 1000 / latency_ms, "ap": ap,
        "ap_low": ap - 2 * se, "ap_high": ap + 2 * se, "ap_se": se,
        "seed_se": se if known and seeds > 1 else math.nan,
        "seed_df": seeds - 1.0 if seeds > 1 else math.nan, "seeds": seeds,
        "source": "seeds" if known else "none", "is_stored": False, "mark": "",
        "protocol": "0123abcd", "weights": f"{title}/best.pt",
    }  # fmt: skip
    return given | changes


def front_of(lines, max_latency_ms=None, image_values=None, **about):
    frame = pd.DataFrame(lines, columns=list(COLUMNS))
    return judge_points(frame, image_values or {}, ABOUT | about, max_latency_ms)


def families(count, sizes=(320, 416, 512), seed=0, spread=0.05):
    """Detectors at several sizes, larger ones slower and mostly better."""
    rng = np.random.default_rng(seed)
    lines = []
    for number in range(count):
        base, top = 4 * 2.2**number, 0.25 + 0.07 * number + spread * rng.standard_normal()
        for size in sizes:
            latency = base * (size / 416) ** 2 * (1 + 0.05 * rng.standard_normal())
            ap = top + 0.05 * math.log2(size / 416) + 0.01 * rng.standard_normal()
            lines.append(line(f"yolov4-{'abcdefghijkl'[number]}", size, latency, ap))
    return lines


def rows(count, seed=0):
    """Rows of a table at one size each."""
    rng = np.random.default_rng(seed)
    return [
        line(f"row {number} + some ingredient", 160, float(latency), float(ap), role="row")
        for number, (latency, ap) in enumerate(
            zip(6 + 8 * rng.random(count), 0.2 + 0.1 * rng.random(count), strict=True)
        )
    ]
