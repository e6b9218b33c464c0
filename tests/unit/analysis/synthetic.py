"""Synthetic ablation studies with known truth: many of them at once, as replicates of images.

A study has a baseline and rows. A training's value is the sum of its row's truth, an effect of the
seed on all rows, one on this row, one of each image on all rows, one on this row, and one of all
together; `Parts` are the standard deviations that each leaves in a delta of one seed.
"""

from dataclasses import dataclass

import numpy as np

from evolve.analysis.decisions import Rule, decide
from evolve.analysis.deltas import Delta, estimate
from evolve.analysis.moderation import moderated


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

    def deltas(self, seeds: int) -> dict[str, Delta]:
        found = {str(row): self.delta(row, seeds) for row in range(1, len(self.values))}
        return moderated(found, {row: {"0": -1.0, row: 1.0} for row in found})

    def delta(self, row: int, seeds: int) -> Delta:
        differences = self.values[row, :seeds] - self.values[0, :seeds]
        replicates = self.drawn[row, :seeds] - self.drawn[0, :seeds]
        return estimate(differences, replicates, self.images)


def draw_study(
    truth, seeds, parts, rng, images=60, resamples=100, unlike=0.0, baseline=1.0, first=1.0
) -> Study:
    """One study; `truth` of every row besides the baseline, which is 0.

    Standard deviations of rows between seeds differ by factors whose logarithms have a standard
    deviation of `unlike`, the baseline's besides by one of its own, and so that of the first row.
    """
    rows, half = len(truth) + 1, np.sqrt(0.5)  # a delta has the effects of two rows
    each = parts.images * np.sqrt(images) * half
    both = parts.both * np.sqrt(images) * half
    values = np.zeros((rows, seeds, images))
    values[1:] += np.asarray(truth)[:, None, None]
    values += rng.normal(0, 0.01, (1, seeds, 1)) + rng.normal(0, 0.2, (1, 1, images))
    scatter = np.exp(unlike * rng.normal(size=(rows, 1, 1)))
    scatter[:2, 0, 0] *= (baseline, first)
    values += parts.seed * half * scatter * rng.normal(size=(rows, seeds, 1))
    values += rng.normal(0, each, (rows, 1, images)) + rng.normal(0, both, (rows, seeds, images))
    weights = rng.multinomial(images, np.full(images, 1 / images), size=resamples) / images
    return Study(values.mean(axis=2), values @ weights.T, images)


def held(seeds, parts, repeats, rng, rows=1, **drawn):
    """Whether 95 % intervals hold the truth, (repeats, rows)."""
    truth, found = 0.004, []
    for _ in range(repeats):
        deltas = draw_study([truth] * rows, seeds, parts, rng, **drawn).deltas(seeds)
        found.append([delta.low <= truth <= delta.high for delta in deltas.values()])
    return np.array(found)


def coverage(seeds, parts, repeats, rng, rows=1, **drawn):
    """Share of the 95 % intervals that hold the truth, over all rows of all studies."""
    return held(seeds, parts, repeats, rng, rows, **drawn).mean()


def words(truth, seeds, parts, repeats, rng, **drawn):
    """Words of each row in each study, (repeats, rows)."""
    found = []
    for _ in range(repeats):
        study = draw_study(truth, seeds, parts, rng, **drawn)
        decisions = decide(study.deltas(seeds), Rule())
        found.append([decisions[str(row)].word for row in range(1, len(truth) + 1)])
    return np.array(found)


class Replayed:
    """A study as the looks replay it."""

    def __init__(self, study):
        self.study = study

    def is_ready(self, rows, look):
        return True

    def deltas(self, rows, look):
        found = self.study.deltas(look)
        return {row: found[row] for row in rows}


def look_states(truth, looks, parts, repeats, rng):
    """What the looks have found in each study."""
    names = [str(row) for row in range(1, len(truth) + 1)]
    for _ in range(repeats):
        study = draw_study(truth, looks.looks[-1], parts, rng)
        yield looks.run(names, Replayed(study), is_over=False)
