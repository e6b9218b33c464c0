"""All trials of a study as arrays: what selection, breeding and the surrogate work on."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from evolve.attributes import ORIGIN, PARENTS
from evolve.search.genome import SAME, Genes, GenomeSpace
from evolve.search.operators.dominance import scalarised
from evolve.search.operators.projection import relation

SIGMA = "evolve:sigma"
FITTED = "evolve:fitted"
SPARES = "evolve:spares"

_T = TypeVar("_T")
Lineage = tuple[Any, tuple[Any, ...]]

_RELATED = 1000  # complete trials, and stopped ones, that tell how early and final values relate


class Chosen(Sequence[_T]):
    """Some of many things, without a list of them."""

    def __init__(self, every: list[_T], rows: npt.NDArray[np.int64]) -> None:
        self._every, self._rows = every, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice | np.ndarray):
            return [self._every[row] for row in self._rows[index].tolist()]
        return self._every[self._rows[index]]


class Rows:
    """Some rows of an array, shape (N, D), gathered when they are asked for: few of them are.

    The array may grow meanwhile, as long as these rows stay as they are.
    """

    def __init__(self, every: Genes, rows: npt.NDArray[np.int64]) -> None:
        self._every, self._rows = every, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Genes:
        """Rows, or with (rows, column) one column of them."""
        rows, *column = index if isinstance(index, tuple) else (index,)
        return np.asarray(self._every[(self._rows[rows], *column)])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Genes:
        return np.asarray(self[:], dtype=dtype)


@dataclass(frozen=True)
class Archive:
    """Trials other than the one that is asked for, each group in the order of their numbers.

    Attributes
    ----------
    space : GenomeSpace
    trials : sequence of FrozenTrial
        With a value: complete or stopped early. N of them.
    lineages : sequence of (origin, parents)
        Of those, as they were noted: origin None where there is none, numbers of the parents.
    numbers : ndarray, shape (N,)
        Of those.
    genes : Rows, shape (N, D)
        Absent parameters count as `genome.ABSENT`.
    values : ndarray, shape (N, M)
        Larger is better in each of M objectives; a stopped trial's is its projected end.
    errors : ndarray, shape (N,)
        Variance of the projection; 0 for complete trials.
    failed, running : ndarray, shape (F, D), (R, D)
    fitted : mapping
        What the newest trial that says so noted of the surrogate; see `judge.Fitted`.
    """

    space: GenomeSpace
    trials: Chosen[FrozenTrial]
    lineages: Chosen[Lineage]
    numbers: npt.NDArray[np.int64]
    genes: Rows
    values: Genes
    errors: Genes
    failed: Genes
    running: Genes
    fitted: Mapping[str, Any] = field(default_factory=dict)

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


def _among(group: Genes | Rows, genome: Genes) -> bool:
    near = np.flatnonzero(np.abs(group[:, 0] - genome[0]) < SAME)  # few are left to compare
    return bool((np.abs(group[near] - genome) < SAME).all(axis=1).any())


def _id(trial: FrozenTrial) -> int:
    """Unique in a storage; outside of one, where trials have no id of their own, by number."""
    own: int = trial._trial_id
    return own if own >= 0 else -1 - trial.number


_ASIDE, _GOOD, _FAILED, _RUNNING = range(4)


class Encoder:
    """Keeps trials as rows of arrays, in the order of their numbers.

    An ended trial never changes, so it is looked at once. What a reading costs in Python depends
    on how many trials run or are new, not on how many there are.
    """

    def __init__(self, space: GenomeSpace) -> None:
        self.space = space
        self._lock = Lock()
        self._clear(())

    def _clear(self, signs: Sequence[float]) -> None:
        self._signs = tuple(signs)
        self._trials: list[FrozenTrial] = []
        self._lineages: list[Lineage] = []
        self._open: list[int] = []  # rows of trials that have not ended
        self._notes: dict[int, Mapping[str, Any]] = {}  # of the surrogate, by row
        self._numbers = np.empty(0, dtype=np.int64)
        self._kinds = np.empty(0, dtype=np.int8)
        self._stopped = np.empty(0, dtype=np.int64)  # step at which a trial was stopped, or -1
        self._genes = np.empty((0, len(self.space)))
        self._values = np.empty((0, len(signs)))  # last ones where a trial was stopped
        self._at_step: dict[int, Genes] = {}  # values at steps at which a trial was stopped

    def read(
        self, trials: Sequence[FrozenTrial], signs: Sequence[float], but: int = -1
    ) -> Archive:
        """Trials as an archive, without the one at the place `but`."""
        with self._lock:
            self._update(trials, signs)
            return self._archive(but)

    def _update(self, trials: Sequence[FrozenTrial], signs: Sequence[float]) -> None:
        known = len(self._trials)
        if (
            self._signs != tuple(signs)
            or known > len(trials)
            or (known and _id(self._trials[-1]) != _id(trials[known - 1]))
        ):
            self._clear(signs)
            known = 0
        self._grow(len(trials))
        self._trials += trials[known:]
        self._lineages += [(None, ())] * (len(trials) - known)
        changed = [row for row in self._open if trials[row] is not self._trials[row]]
        new = range(known, len(trials))
        for row in (*changed, *new):
            self._enter(row, trials[row])
        ended = {row for row in changed if trials[row].state.is_finished()}
        self._open = [row for row in self._open if row not in ended]
        self._open += [row for row in new if not trials[row].state.is_finished()]

    def _grow(self, count: int) -> None:
        size = len(self._numbers)
        if count <= size:
            return
        more = max(count, 2 * size) - size
        self._numbers = np.append(self._numbers, np.empty(more, dtype=np.int64))
        self._kinds = np.append(self._kinds, np.full(more, _ASIDE, dtype=np.int8))
        self._stopped = np.append(self._stopped, np.full(more, -1, dtype=np.int64))
        self._genes = np.concatenate([self._genes, np.empty((more, len(self.space)))])
        self._values = np.concatenate([self._values, np.empty((more, len(self._signs)))])
        for step, column in self._at_step.items():
            self._at_step[step] = np.append(column, np.full(more, np.nan))

    def _enter(self, row: int, trial: FrozenTrial) -> None:
        was, self._trials[row] = self._trials[row], trial
        if was is not trial and _only_went_on(was, trial):
            return
        if was is trial or was.params is not trial.params:
            self._numbers[row] = trial.number
            genes = self.space.encode(_same_ranges(trial, self.space))
            self._genes[row] = self.space.complete(genes[None])[0]
        self._kinds[row] = self._kind(row, trial)
        noted = trial.user_attrs
        self._lineages[row] = noted.get(ORIGIN), tuple(noted.get(PARENTS, ()))
        if FITTED in noted:
            self._notes[row] = noted[FITTED]

    def _kind(self, row: int, trial: FrozenTrial) -> int:
        """Which group a trial is of; the values of a good one are entered."""
        curve = trial.intermediate_values
        if not trial.params or (trial.state == TrialState.PRUNED and not curve):
            return _ASIDE  # it never ran, and so tells nothing about its configuration
        if not trial.state.is_finished():
            return _RUNNING
        values, stopped = None, -1
        if trial.state == TrialState.COMPLETE:
            values = [s * v for s, v in zip(self._signs, trial.values, strict=True)]
        elif trial.state == TrialState.PRUNED:
            stopped = max(curve)
            values = [self._signs[0] * curve[stopped]]
        if values is None or not all(map(math.isfinite, values)):
            return _FAILED
        self._values[row], self._stopped[row] = values, stopped
        if stopped >= 0 and stopped not in self._at_step:
            self._at_step[stopped] = self._column(stopped)
        for step, column in self._at_step.items():
            column[row] = self._signs[0] * curve.get(step, math.nan)
        return _GOOD

    def _column(self, step: int) -> Genes:
        """Values at a step, NaN where there is none."""
        curves = [trial.intermediate_values for trial in self._trials]
        column = np.full(len(self._numbers), np.nan)
        column[: len(curves)] = [self._signs[0] * curve.get(step, math.nan) for curve in curves]
        return column

    def _archive(self, but: int) -> Archive:
        kinds = self._kinds[: len(self._trials)].copy()
        if but >= 0:
            kinds[but] = _ASIDE
        good = np.flatnonzero(kinds == _GOOD)
        values, errors = self._projected(good)
        noted = max((row for row in self._notes if row != but), default=None)
        return Archive(
            space=self.space,
            trials=Chosen(self._trials, good),
            lineages=Chosen(self._lineages, good),
            numbers=self._numbers[good],
            genes=Rows(self._genes, good),
            values=values,
            errors=errors,
            failed=self._genes[np.flatnonzero(kinds == _FAILED)],
            running=self._genes[np.flatnonzero(kinds == _RUNNING)],
            fitted={} if noted is None else self._notes[noted],
        )

    def _projected(self, good: npt.NDArray[np.int64]) -> tuple[Genes, Genes]:
        """Values, with stopped trials at their projected end; and the projections' variances.

        The newest thousand trials of each sort tell how the two relate. No stopped trial is
        expected to end above everything that did end.
        """
        values, stopped = self._values[good], self._stopped[good]
        errors = np.zeros(len(good))
        complete, others = np.flatnonzero(stopped < 0), np.flatnonzero(stopped >= 0)
        finals = values[complete, 0]
        highest = finals.max() if len(finals) else math.inf
        complete, others, finals = complete[-_RELATED:], others[-_RELATED:], finals[-_RELATED:]
        for step, column in self._at_step.items():
            rows = np.flatnonzero(stopped == step)
            if len(rows):
                line = relation(column[good[complete]], finals, column[good[others]])
                guesses, errors[rows] = line(values[rows, 0])
                values[rows, 0] = np.minimum(guesses, highest)
        return values, errors


def _only_went_on(was: FrozenTrial, now: FrozenTrial) -> bool:
    """Whether a trial differs by epochs alone, which count when it has ended."""
    under_way = bool(now.params) and not now.state.is_finished()
    return under_way and was.params is now.params and was.user_attrs is now.user_attrs


def _same_ranges(trial: FrozenTrial, space: GenomeSpace) -> dict[str, Any]:
    """Parameters of a trial that the space has, with the same distribution."""
    return {
        name: value
        for name, value in trial.params.items()
        if space.distributions.get(name) == trial.distributions[name]
    }


def read_archive(study: Study, number: int, encoder: Encoder) -> Archive:
    """All trials of the study but one."""
    trials = study.get_trials(deepcopy=False)  # in the order of their numbers
    return encoder.read(trials, _signs(study), _place(trials, number))


def since(study: Study, number: int) -> tuple[FrozenTrial | None, Sequence[FrozenTrial]]:
    """A trial of the study, None if there is none of the number, and those that follow it."""
    trials = study.get_trials(deepcopy=False)
    place = _place(trials, number)
    return (None, ()) if place < 0 else (trials[place], trials[place + 1 :])


def holds(trials: Sequence[FrozenTrial], genome: Genes, space: GenomeSpace) -> bool:
    """Whether one of some trials has the genome, shape (D,), up to rounding."""
    genes = [space.encode(_same_ranges(trial, space)) for trial in trials]
    return bool(genes) and _among(space.complete(np.array(genes)), space.complete(genome[None])[0])


def _signs(study: Study) -> list[float]:
    return [1.0 if one == StudyDirection.MAXIMIZE else -1.0 for one in study.directions]


def _place(trials: Sequence[FrozenTrial], number: int) -> int:
    """Where a trial is, -1 if it is not; a part of a study has its numbers elsewhere."""
    if number < len(trials) and trials[number].number == number:
        return number
    return next((place for place, trial in enumerate(trials) if trial.number == number), -1)


def archive_of(trials: Sequence[FrozenTrial], signs: Sequence[float], encoder: Encoder) -> Archive:
    """Trials as an archive; `signs` is -1 for each objective that is minimised, else 1.

    A trial counts as failed if its state says so or its value is not finite.
    """
    return encoder.read(trials, signs)
