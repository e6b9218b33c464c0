"""Trials that take less memory and learn the same."""

from model.config import TrainConfig


def smaller(config: TrainConfig) -> TrainConfig | None:
    """The same batches in mini-batches of at most half the size; None if they are of one image.

    `subdivisions` is doubled, or raised to the next number that divides `batch_size` where its
    double does not. An update still sees the same images at the same learning rate, and its loss
    is divided by all of them. What looks at a mini-batch alone changes: statistics of ``norm: bn``
    come from fewer images (``cmbn`` gathers them over the update, ``cbn`` over four, ``frn`` has
    none), and a turn of self-adversarial training takes in fewer. With ``batch_policy: dynamic``
    the mini-batches of smaller shapes shrink in proportion, but for rounding, which can change
    the images of an update there.
    """
    batch, now = config.batch_size, config.subdivisions
    if now >= batch:
        return None
    more = next(n for n in range(2 * now, 2 * batch + 1) if batch % n == 0 or n >= batch)
    return config.with_values({"subdivisions": min(more, batch)})


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
