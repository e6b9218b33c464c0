"""All trials of a study as arrays: what selection, breeding and the surrogate work on."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from evolve.search.genome import Genes, GenomeSpace
from evolve.search.operators.dominance import scalarised
from evolve.search.operators.projection import relate

ORIGIN = "evolve:origin"
PARENTS = "evolve:parents"
SIGMA = "evolve:sigma"


@dataclass(frozen=True)
class Archive:
    """Trials other than the one that is asked for, each group in the order of their numbers.

    Attributes
    ----------
    space : GenomeSpace
    trials : tuple of FrozenTrial
        With a value: complete or stopped early. N of them.
    genes : ndarray, shape (N, D)
        Absent parameters count as `genome.ABSENT`.
    values : ndarray, shape (N, M)
        Larger is better in each of M objectives; a stopped trial's is its projected end.
    errors : ndarray, shape (N,)
        Variance of the projection; 0 for complete trials.
    failed, running : ndarray, shape (F, D), (R, D)
    """

    space: GenomeSpace
    trials: tuple[FrozenTrial, ...]
    genes: Genes
    values: Genes
    errors: Genes
    failed: Genes
    running: Genes

    def __len__(self) -> int:
        return len(self.trials)

    @property
    def numbers(self) -> npt.NDArray[np.int64]:
        """Numbers of the trials with a value."""
        return np.array([trial.number for trial in self.trials], dtype=np.int64)

    @property
    def taken(self) -> Genes:
        """Genes of every trial, whatever became of it."""
        return np.concatenate([self.genes, self.failed, self.running])

    def fitness(self, rng: np.random.Generator) -> Genes:
        """One number for each trial: the value, or the objectives under random weights."""
        if self.values.shape[1] == 1:
            return self.values[:, 0]
        return scalarised(self.values, rng)


class Encoder:
    """Genes of trials; those of ended ones are remembered, as they never change."""

    def __init__(self, space: GenomeSpace) -> None:
        self.space = space
        self._known: dict[int, Genes] = {}

    def __call__(self, trials: Sequence[FrozenTrial]) -> Genes:
        """Completed genes, shape (N, D)."""
        rows = [self._row(trial) for trial in trials]
        return np.array(rows) if rows else np.empty((0, len(self.space)))

    def _row(self, trial: FrozenTrial) -> Genes:
        row = self._known.get(trial._trial_id)
        if row is None:
            same = _same_ranges(trial, self.space)
            row = self.space.complete(self.space.encode(same)[None])[0]
            if trial.state.is_finished():
                self._known[trial._trial_id] = row
        return row


def _same_ranges(trial: FrozenTrial, space: GenomeSpace) -> dict[str, Any]:
    """Parameters of a trial that the space has, with the same distribution."""
    return {
        name: value
        for name, value in trial.params.items()
        if space.distributions.get(name) == trial.distributions[name]
    }


def read_archive(study: Study, number: int, encoder: Encoder) -> Archive:
    """All trials of the study but one.

    A trial counts as failed if its state says so or its value is not finite.
    """
    signs = [1.0 if one == StudyDirection.MAXIMIZE else -1.0 for one in study.directions]
    others = [t for t in study.get_trials(deepcopy=False) if t.number != number]
    ended = [t for t in others if t.state.is_finished() and t.params]
    values = {t.number: _values(t, signs) for t in ended if t.state != TrialState.FAIL}
    good = [t for t in ended if _finite(values.get(t.number))]
    found, errors = _projected(good, values, signs)
    lost = [t for t in ended if not _finite(values.get(t.number)) and not _put_aside(t)]
    running = [t for t in others if not t.state.is_finished() and t.params]
    return Archive(
        space=encoder.space,
        trials=tuple(good),
        genes=encoder(good),
        values=found.reshape(len(good), len(signs)),
        errors=errors,
        failed=encoder(lost),
        running=encoder(running),
    )


def _values(trial: FrozenTrial, signs: Sequence[float]) -> list[float] | None:
    if trial.state == TrialState.COMPLETE:
        return [s * v for s, v in zip(signs, trial.values, strict=True)]
    curve = trial.intermediate_values
    return [signs[0] * curve[max(curve)]] if curve else None


def _finite(values: list[float] | None) -> bool:
    return values is not None and all(map(math.isfinite, values))


def _put_aside(trial: FrozenTrial) -> bool:
    """Whether a trial never ran: it tells nothing about its configuration."""
    return trial.state == TrialState.PRUNED and not trial.intermediate_values


def _projected(
    trials: Sequence[FrozenTrial],
    values: Mapping[int, list[float] | None],
    signs: Sequence[float],
) -> tuple[Genes, Genes]:
    """Values, with stopped trials at their projected end; and the variances of the projections."""
    found = np.array([values[trial.number] for trial in trials], dtype=np.float64)
    errors = np.zeros(len(trials))
    stopped = [i for i, t in enumerate(trials) if t.state == TrialState.PRUNED]
    if not stopped:
        return found, errors
    complete = [i for i, t in enumerate(trials) if t.state == TrialState.COMPLETE]
    finals = [float(found[i, 0]) for i in complete]
    curves = [_signed(trials[i].intermediate_values, signs[0]) for i in complete]
    steps = {i: max(trials[i].intermediate_values) for i in stopped}
    relations = {step: relate(step, finals, curves) for step in set(steps.values())}
    for i, step in steps.items():
        found[i, 0], errors[i] = relations[step](float(found[i, 0]))
    return found, errors


def _signed(curve: Mapping[int, float], sign: float) -> dict[int, float]:
    return {step: sign * value for step, value in curve.items()}
