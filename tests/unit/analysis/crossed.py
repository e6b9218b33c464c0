"""Made-up trainings with known truth: effects of the seed, of the image, and of both."""

import numpy as np

from evolve.analysis.deltas import paired_delta


def coverage(pairs, images, spreads, repeats, resamples, rng, use_images=True):
    """Share of the intervals that hold the true difference, which is 0.

    `spreads` are the standard deviations that the three effects leave in the mean.
    """
    each = [s * np.sqrt(n) for s, n in zip(spreads, (pairs, images, pairs * images), strict=True)]
    held = 0
    for _ in range(repeats):
        values = rng.normal(0, each[0], (pairs, 1)) + rng.normal(0, each[1], (1, images))
        values = values + rng.normal(0, each[2], (pairs, images))
        weights = rng.multinomial(images, np.full(images, 1 / images), size=resamples)
        drawn = values @ weights.T / images if use_images else None
        delta = paired_delta([0.0] * pairs, values.mean(axis=1), drawn, images)
        held += delta.low <= 0 <= delta.high
    return held / repeats
