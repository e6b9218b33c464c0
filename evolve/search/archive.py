"""All trials of a study as arrays: what selection, breeding and the surrogate work on."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

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

    @cached_property
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


def _id(trial: FrozenTrial) -> int:
    """Unique in a storage; outside of one, where trials have no id of their own, by number."""
    own: int = trial._trial_id
    return own if own >= 0 else -1 - trial.number


class Encoder:
    """Genes and values of trials; those of ended ones are remembered, as they never change."""

    def __init__(self, space: GenomeSpace) -> None:
        self.space = space
        self._entries: dict[int, _Entry] = {}
        self._settled: list[_Entry] = []
        self._ids: list[int] = []
        self._rows: Genes = np.empty((0, len(space)))

    def entry(self, trial: FrozenTrial, signs: Sequence[float]) -> "_Entry":
        """What the archive keeps of a trial."""
        found = self._entries.get(_id(trial))
        if found is None:
            found = _enter(trial, signs, self.space)
            if trial.state.is_finished():
                self._entries[_id(trial)] = found
        return found

    def entries(self, trials: Sequence[FrozenTrial], signs: Sequence[float]) -> "list[_Entry]":
        """What the archive keeps of trials in the order of their numbers.

        The first trials up to one that has not ended, or is missing, are looked at only once.
        """
        known = len(self._settled)
        if known > len(trials) or (
            known and _id(self._settled[-1].trial) != _id(trials[known - 1])
        ):
            known = 0
        new = [self.entry(trial, signs) for trial in trials[known:]]
        in_place = (
            e.trial.state.is_finished() and e.trial.number == known + i for i, e in enumerate(new)
        )
        ended = next((i for i, there in enumerate(in_place) if not there), len(new))
        self._settled = self._settled[:known] + new[:ended]
        return self._settled + new[ended:]

    def rows(self, entries: Sequence["_Entry"]) -> Genes:
        """Genes of entries, shape (N, D)."""
        return np.array([e.genes for e in entries]).reshape(len(entries), len(self.space))

    def growing(self, entries: Sequence["_Entry"]) -> Genes:
        """The same for a list that mostly grows at its end: only what is new is copied."""
        ids = [_id(entry.trial) for entry in entries]
        known = len(self._ids)
        if ids[:known] != self._ids:
            known, self._rows = 0, self._rows[:0]
        self._rows = np.concatenate([self._rows, self.rows(entries[known:])])
        self._ids = ids
        return self._rows


class _Entry(NamedTuple):
    """A trial as the archive sees it.

    Attributes
    ----------
    values : list of float or None
        Larger is better, the last ones of a stopped trial; None if they are not finite or the
        trial failed.
    curve : mapping of step -> value
        Larger is better; of the first objective.
    stopped : int or None
        Step at which it was stopped early.
    aside : bool
        Whether it never ran, and so tells nothing about its configuration.
    """

    trial: FrozenTrial
    genes: Genes
    values: list[float] | None
    curve: Mapping[int, float]
    stopped: int | None
    aside: bool


def _enter(trial: FrozenTrial, signs: Sequence[float], space: GenomeSpace) -> _Entry:
    curve = {step: signs[0] * value for step, value in trial.intermediate_values.items()}
    values, stopped = None, None
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
    entries = [entry for entry in encoder.entries(trials, signs) if not entry.aside]
    good = [entry for entry in entries if entry.values is not None]
    rest = [entry for entry in entries if entry.values is None]
    found, errors = _projected(good)
    return Archive(
        space=encoder.space,
        trials=tuple(entry.trial for entry in good),
        genes=encoder.growing(good),
        values=found.reshape(len(good), len(signs)),
        errors=errors,
        failed=encoder.rows([e for e in rest if e.trial.state.is_finished()]),
        running=encoder.rows([e for e in rest if not e.trial.state.is_finished()]),
    )


def _projected(entries: Sequence[_Entry]) -> tuple[Genes, Genes]:
    """Values, with stopped trials at their projected end; and the variances of the projections.

    No stopped trial is expected to end above everything that did end.
    """
    found = np.array([entry.values for entry in entries], dtype=np.float64)
    errors = np.zeros(len(entries))
    steps = {i: e.stopped for i, e in enumerate(entries) if e.stopped is not None}
    complete = [i for i, e in enumerate(entries) if e.stopped is None]
    if not steps:
        return found, errors
    finals = [float(found[i, 0]) for i in complete]
    curves = [entries[i].curve for i in complete]
    relations = {step: relate(step, finals, curves) for step in set(steps.values())}
    most = max(finals, default=math.inf)
    for i, step in steps.items():
        guess, errors[i] = relations[step](float(found[i, 0]))
        found[i, 0] = min(guess, most)
    return found, errors
