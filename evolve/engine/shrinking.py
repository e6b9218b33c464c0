"""Trials that take less memory and learn the same."""

from model.config import TrainConfig
from model.data.batch_plan import STRIDE_PX, smallest_size


def smaller(config: TrainConfig) -> TrainConfig | None:
    """The same batches in mini-batches of at most half the size; None where there are none.

    `subdivisions` is doubled, or raised to the next number that divides `batch_size` where its
    double does not. An update still sees the same images at the same learning rate, and its loss
    is divided by all of them. What looks at a mini-batch alone changes: statistics of ``norm: bn``
    come from fewer images (``cmbn`` gathers them over the update, ``cbn`` over four, ``frn`` has
    none), and a turn of self-adversarial training takes in fewer. With ``batch_policy: dynamic``
    the mini-batches of smaller shapes shrink in proportion, but for rounding, which can change
    the images of an update there.

    One image alone is no mini-batch where it can shrink to a single value of a channel on the
    coarsest map: that has no variance to be normalised by.
    """
    batch, now = config.batch_size, config.subdivisions
    if now >= batch:
        return None
    more = next(n for n in range(2 * now, 2 * batch + 1) if batch % n == 0 or n >= batch)
    more = min(more, batch)
    if more == batch and _has_single_values(config):
        return None
    return config.with_values({"subdivisions": more})


def _has_single_values(config: TrainConfig) -> bool:
    """Whether statistics are taken of the coarsest map of an input as small as its stride."""
    size = config.image_size  # auto is never so small
    known = size if isinstance(size, int) else 2 * STRIDE_PX
    return config.norm != "frn" and smallest_size(config, known) == STRIDE_PX


def mend_memory(config: TrainConfig) -> str:
    """What a user can do when a trial of this configuration does not fit into memory."""
    less = smaller(config)
    return how_to_shrink(
        config.batch_size // config.subdivisions,
        config.image_size,
        f"set subdivisions={less.subdivisions}" if less else "",
    )


def how_to_shrink(mini_batch: int, size: int | str, how: str = "raise subdivisions") -> str:
    """Advice to take fewer images at a time, where there are several, or smaller ones."""
    fewer = f"{how} (mini-batches of {mini_batch} now)" if mini_batch > 1 and how else ""
    lower = f"lower image_size ({size} now)" if size else ""
    return ", or ".join(part for part in (fewer, lower) if part) or "take a smaller model"
