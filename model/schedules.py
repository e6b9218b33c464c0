"""The learning rate over a training, as a pure function of progress."""

import math

from model.config import ScheduleConfig


def lr_multiple(progress: float, config: ScheduleConfig) -> float:
    """Learning rate as a multiple of its peak.

    Parameters
    ----------
    progress : float
        Updates done over all updates, in [0, 1).
    config : ScheduleConfig
        After a warm-up of ``(progress / warmup) ** warmup_power`` follows a constant, a product
        of `scale` at each of `steps`, or a cosine from 1 to `final` (SGDR, arXiv:1608.03983
        eq. 5 with one cycle); as in darknet the cosine counts from 0, not from the warm-up's end.
    """
    if progress < config.warmup:
        return float((progress / config.warmup) ** config.warmup_power)
    if config.kind == "cosine":
        swing = 0.5 * (1 + math.cos(math.pi * progress))
        return config.final + (1 - config.final) * swing
    if config.kind == "steps":
        return float(config.scale ** sum(progress >= mark for mark in config.steps))
    return 1.0
