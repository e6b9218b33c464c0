"""Synthetic ablation studies with known truth: many of them at once, as replicates of images.

A study has a baseline and rows. A training's value is the sum of its row's truth, an effect of the
seed on all rows, one on this row, one of each image on all rows, one on this row, and one of all
together; `Parts` are the standard deviations that each leaves in a delta of one seed.
"""

from dataclasses import dataclass

import numpy as np

from evolve.analysis.decisions import Rule, decide
from evolve.analysis.deltas import Delta, estimate


@dataclass(frozen=True)
class Parts:
    """In AP: of a seed, of the images, and of both together."""

    seed: float = 0.004
    images: float = 0.003
    both: float = 0.001


@dataclass(frozen=True)
class Study:
    """Values (rows, seeds), the baseline first, and the same on resamples (rows, seeds, R)."""

    values: np.ndarray
    drawn: np.ndarray
    images: int

    def deltas(self, seeds: int, rows=None) -> dict[str, Delta]:
        rows = range(1, len(self.values)) if rows is None else rows
        return {str(row): self.delta(row, seeds) for row in rows}

    def delta(self, row: int, seeds: int) -> Delta:
        differences = self.values[row, :seeds] - self.values[0, :seeds]
        replicates = self.drawn[row, :seeds] - self.drawn[0, :seeds]
        return estimate(differences, replicates, self.images)


def draw_study(truth, seeds, parts, rng, images=60, resamples=100) -> Study:
    """One study; `truth` of every row besides the baseline, which is 0."""
    rows, half = len(truth) + 1, np.sqrt(0.5)  # a delta has the effects of two rows
    each = parts.images * np.sqrt(images) * half
    both = parts.both * np.sqrt(images) * half
    values = np.zeros((rows, seeds, images))
    values[1:] += np.asarray(truth)[:, None, None]
    values += rng.normal(0, 0.01, (1, seeds, 1)) + rng.normal(0, 0.2, (1, 1, images))
    values += rng.normal(0, parts.seed * half, (rows, seeds, 1))
    values += rng.normal(0, each, (rows, 1, images)) + rng.normal(0, both, (rows, seeds, images))
    weights = rng.multinomial(images, np.full(images, 1 / images), size=resamples) / images
    return Study(values.mean(axis=2), values @ weights.T, images)


def coverage(seeds, parts, repeats, rng, truth=0.004):
    """Share of the 95 % intervals that hold the truth."""
    held = 0
    for _ in range(repeats):
        delta = draw_study([truth], seeds, parts, rng).delta(1, seeds)
        held += delta.low <= truth <= delta.high
    return held / repeats


def words(truth, seeds, parts, repeats, rng, **rule):
    """Words of each row in each study, (repeats, rows)."""
    found = []
    for _ in range(repeats):
        study = draw_study(truth, seeds, parts, rng)
        decisions = decide(study.deltas(seeds), Rule(**rule))
        found.append([decisions[str(row)].word for row in range(1, len(truth) + 1)])
    return np.array(found)


class Replayed:
    """A study as the looks replay it."""

    def __init__(self, study):
        self.study = study

    def is_ready(self, rows, look):
        return True

    def deltas(self, rows, look):
        return self.study.deltas(look, [int(row) for row in rows])


def look_states(truth, looks, parts, repeats, rng):
    """What the looks have found in each study."""
    names = [str(row) for row in range(1, len(truth) + 1)]
    for _ in range(repeats):
        study = draw_study(truth, looks.looks[-1], parts, rng)
        yield looks.run(names, Replayed(study), is_over=False)
