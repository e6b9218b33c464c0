"""The learning rate over a training, as a pure function of progress."""

import math

from model.config import ScheduleConfig

ROUNDING = 1e-9  # of progress; a last update must not begin another cycle


def lr_multiple(progress: float, config: ScheduleConfig) -> float:
    """Learning rate as a multiple of its peak.

    As in darknet all but the warm-up count from the training's start, not from the warm-up's end.

    Parameters
    ----------
    progress : float
        Images trained on, those of this update among them, over all images; in [0, 1].
    config : ScheduleConfig
        After a warm-up of ``(progress / warmup) ** warmup_power`` follows a constant, a product
        of `scale` at each of `steps`, ``(1 - progress) ** power``, or a cosine from 1 to `final`
        that may begin anew several times (warm restarts, arXiv:1608.03983 eq. 5).
    """
    if progress < config.warmup:
        return float((progress / config.warmup) ** config.warmup_power)
    if config.kind == "cosine":
        place = _place_in_cycle(progress, config.cycle, config.cycle_factor)
        swing = 0.5 * (1 + math.cos(math.pi * place))
        return config.final + (1 - config.final) * swing
    if config.kind == "poly":
        return float((1 - progress) ** config.power)
    if config.kind == "steps":
        return float(config.scale ** sum(progress >= mark for mark in config.steps))
    return 1.0


def _place_in_cycle(progress: float, length: float, factor: float) -> float:
    """How much of the running cycle is over; a cycle's very end still belongs to it."""
    start = 0.0
    while progress - start > length + ROUNDING:
        start += length
        length *= factor
    return (progress - start) / length
