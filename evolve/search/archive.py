"""All trials of a study as arrays: what selection, breeding and the surrogate work on."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from evolve.search.genome import SAME, Genes, GenomeSpace
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
    numbers : ndarray, shape (N,)
        Of those.
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
    numbers: npt.NDArray[np.int64]
    genes: Genes
    values: Genes
    errors: Genes
    failed: Genes
    running: Genes

    def __len__(self) -> int:
        return len(self.trials)

    def holds(self, genome: Genes) -> bool:
        """Whether a genome, shape (D,), was tried, up to rounding; whatever became of it."""
        return any(_among(group, genome) for group in (self.genes, self.failed, self.running))

    def fitness(self, rng: np.random.Generator) -> Genes:
        """One number for each trial: the value, or the objectives under random weights."""
        if self.values.shape[1] == 1:
            return self.values[:, 0]
        return scalarised(self.values, rng)


def _among(group: Genes, genome: Genes) -> bool:
    near = np.flatnonzero(np.abs(group[:, 0] - genome[0]) < SAME)  # few are left to compare
    return bool((np.abs(group[near] - genome) < SAME).all(axis=1).any())


def _id(trial: FrozenTrial) -> int:
    """Unique in a storage; outside of one, where trials have no id of their own, by number."""
    own: int = trial._trial_id
    return own if own >= 0 else -1 - trial.number


class Encoder:
    """Reads trials into arrays; ended ones are remembered, as they never change."""

    def __init__(self, space: GenomeSpace) -> None:
        self.space = space
        self._entries: dict[int, _Entry] = {}
        self._settled: list[FrozenTrial] = []
        self._past = _Past.empty(len(space))

    def _entry(self, trial: FrozenTrial, signs: Sequence[float]) -> "_Entry":
        found = self._entries.get(_id(trial))
        if found is None:
            found = _enter(trial, signs, self.space)
            if trial.state.is_finished():
                self._entries[_id(trial)] = found
        return found

    def read(
        self, trials: Sequence[FrozenTrial], signs: Sequence[float]
    ) -> "tuple[_Past, list[_Entry]]":
        """What has ended, and entries of what runs; trials in the order of their numbers.

        The first trials up to one that has not ended, or is missing, are looked at only once.
        """
        known = len(self._settled)
        if known > len(trials) or (known and _id(self._settled[-1]) != _id(trials[known - 1])):
            known, self._settled, self._past = 0, [], _Past.empty(len(self.space))
        new = [self._entry(trial, signs) for trial in trials[known:]]
        in_place = (
            e.trial.state.is_finished() and e.trial.number == known + i for i, e in enumerate(new)
        )
        ended = next((i for i, there in enumerate(in_place) if not there), len(new))
        self._settled += [entry.trial for entry in new[:ended]]
        self._past = self._past.followed_by(new[:ended])
        later = new[ended:]
        finished = [entry for entry in later if entry.trial.state.is_finished()]
        running = [entry for entry in later if not entry.trial.state.is_finished()]
        return self._past.followed_by(finished), [entry for entry in running if not entry.aside]


class _Past(NamedTuple):
    """Ended trials that ran, in the order of their numbers: the good ones, and the failed.

    Attributes
    ----------
    good : tuple of _Entry
    trials : tuple of FrozenTrial
        The good ones, like the arrays that follow.
    numbers : ndarray, shape (N,)
    genes, values : ndarray, shape (N, D), (N, M)
        Last values where one was stopped.
    stopped : ndarray, shape (N,)
        Step at which each was stopped early, -1 where it was not.
    failed : ndarray, shape (F, D)
    """

    good: "tuple[_Entry, ...]"
    trials: tuple[FrozenTrial, ...]
    numbers: npt.NDArray[np.int64]
    genes: Genes
    values: Genes
    stopped: npt.NDArray[np.int64]
    failed: Genes

    @classmethod
    def empty(cls, dims: int) -> "_Past":
        """Of no trials."""
        nothing = np.empty((0, dims))
        none = np.empty(0, dtype=np.int64)
        return cls((), (), none, nothing, np.empty((0, 0)), none, nothing)

    def followed_by(self, entries: "Sequence[_Entry]") -> "_Past":
        """With more trials at its end."""
        kept = [entry for entry in entries if not entry.aside]
        good = [entry for entry in kept if entry.values is not None]
        bad = [entry for entry in kept if entry.values is None]
        past = self
        if good:
            numbers = np.array([entry.trial.number for entry in good], dtype=np.int64)
            values = np.array([entry.values for entry in good], dtype=np.float64)
            past = past._replace(
                good=past.good + tuple(good),
                trials=past.trials + tuple(entry.trial for entry in good),
                numbers=np.concatenate([past.numbers, numbers]),
                genes=np.concatenate([past.genes, _rows(good, past.genes.shape[1])]),
                values=np.concatenate([past.values, values]) if past.good else values,
                stopped=np.append(past.stopped, [entry.stopped for entry in good]),
            )
        if bad:
            rows = _rows(bad, past.genes.shape[1])
            past = past._replace(failed=np.concatenate([past.failed, rows]))
        return past


def _rows(entries: "Sequence[_Entry]", dims: int) -> Genes:
    return np.array([entry.genes for entry in entries]).reshape(len(entries), dims)


class _Entry(NamedTuple):
    """A trial as the archive sees it.

    Attributes
    ----------
    values : list of float or None
        Larger is better, the last ones of a stopped trial; None if they are not finite or the
        trial failed.
    curve : mapping of step -> value
        Larger is better; of the first objective.
    stopped : int
        Step at which it was stopped early, or -1.
    aside : bool
        Whether it never ran, and so tells nothing about its configuration.
    """

    trial: FrozenTrial
    genes: Genes
    values: list[float] | None
    curve: Mapping[int, float]
    stopped: int
    aside: bool


def _enter(trial: FrozenTrial, signs: Sequence[float], space: GenomeSpace) -> _Entry:
    curve = {step: signs[0] * value for step, value in trial.intermediate_values.items()}
    values, stopped = None, -1
    if trial.state == TrialState.COMPLETE:
        values = [s * v for s, v in zip(signs, trial.values, strict=True)]
    elif trial.state == TrialState.PRUNED and curve:
        stopped = max(curve)
        values = [curve[stopped]]
    if values is not None and not all(map(math.isfinite, values)):
        values = None
    same = _same_ranges(trial, space)
    genes = space.complete(space.encode(same)[None])[0]
    aside = not trial.params or (trial.state == TrialState.PRUNED and not curve)
    return _Entry(trial, genes, values, curve, stopped, aside)


def _same_ranges(trial: FrozenTrial, space: GenomeSpace) -> dict[str, Any]:
    """Parameters of a trial that the space has, with the same distribution."""
    return {
        name: value
        for name, value in trial.params.items()
        if space.distributions.get(name) == trial.distributions[name]
    }


def read_archive(study: Study, number: int, encoder: Encoder) -> Archive:
    """All trials of the study but one."""
    signs = [1.0 if one == StudyDirection.MAXIMIZE else -1.0 for one in study.directions]
    trials = study.get_trials(deepcopy=False)  # in the order of their numbers
    if 0 <= number < len(trials):
        trials = trials[:number] + trials[number + 1 :]
    return archive_of(trials, signs, encoder)


def archive_of(trials: Sequence[FrozenTrial], signs: Sequence[float], encoder: Encoder) -> Archive:
    """Trials as an archive; `signs` is -1 for each objective that is minimised, else 1.

    A trial counts as failed if its state says so or its value is not finite.
    """
    past, running = encoder.read(trials, signs)
    values, errors = _projected(past)
    return Archive(
        space=encoder.space,
        trials=past.trials,
        numbers=past.numbers,
        genes=past.genes,
        values=values.reshape(len(past.good), len(signs)),
        errors=errors,
        failed=past.failed,
        running=_rows(running, len(encoder.space)),
    )


def _projected(past: _Past) -> tuple[Genes, Genes]:
    """Values, with stopped trials at their projected end; and the variances of the projections.

    No stopped trial is expected to end above everything that did end.
    """
    values, errors = past.values.copy(), np.zeros(len(past.good))
    steps = np.unique(past.stopped[past.stopped >= 0]).tolist()
    if not steps:
        return values, errors
    complete = np.flatnonzero(past.stopped < 0).tolist()
    finals = values[complete, 0].tolist()
    curves = [past.good[row].curve for row in complete]
    others = [past.good[row].curve for row in np.flatnonzero(past.stopped >= 0).tolist()]
    for step in steps:
        rows = past.stopped == step
        early = [curve[step] for curve in others if step in curve]
        guesses, errors[rows] = relate(step, finals, curves, early)(values[rows, 0])
        values[rows, 0] = np.minimum(guesses, max(finals, default=math.inf))
    return values, errors
