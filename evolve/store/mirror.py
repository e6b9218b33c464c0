"""A study that one process writes: read from memory, written to its database in groups."""

import logging
import math
import threading
import time
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy.exc
from optuna.distributions import BaseDistribution, check_distribution_compatibility
from optuna.storages import BaseStorage, RDBStorage
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState

from evolve.errors import StoreError, WriteError
from evolve.store.rows import Change, ForeignWriteError, write_changes
from evolve.store.trials import read_study

logger = logging.getLogger(__name__)

PATIENCE_S = 60.0  # how long a write is tried again
FULL = "disk is full"  # what SQLite says
COMPANY_S = 1.0  # how long after another a write that may wait does so
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 5.0
_DICTS = ("params", "distributions", "user_attrs", "system_attrs", "intermediate_values")


@dataclass
class _Study:
    """A study in memory.

    Attributes
    ----------
    trials : list of FrozenTrial
        By number. A trial that changes is replaced, so that who holds the old one sees no change.
    waiting : set of int
        Numbers of trials that were enqueued.
    best : int or None
        Number of the best complete trial of a study with one objective.
    kinds : dict of name -> distribution
    """

    name: str
    directions: list[StudyDirection]
    trials: list[FrozenTrial] = field(default_factory=list)
    waiting: set[int] = field(default_factory=set)
    best: int | None = None
    kinds: dict[str, BaseDistribution] = field(default_factory=dict)

    def place(self, trial: FrozenTrial) -> None:
        """Put a trial at its number, new or in place of what it was."""
        if trial.number == len(self.trials):
            self.trials.append(trial)
        else:
            self.trials[trial.number] = trial
        (self.waiting.add if trial.state == TrialState.WAITING else self.waiting.discard)(
            trial.number
        )
        if trial.state == TrialState.COMPLETE and self._is_best(trial):
            self.best = trial.number

    def _is_best(self, trial: FrozenTrial) -> bool:
        if len(self.directions) > 1:
            return False
        return self.best is None or self._above(trial, self.trials[self.best])

    def _above(self, one: FrozenTrial, other: FrozenTrial) -> bool:
        larger = self.directions[0] == StudyDirection.MAXIMIZE
        first, second = float(one.values[0]), float(other.values[0])
        return first > second if larger else first < second


class MirroredStorage(BaseStorage):
    """An Optuna storage for the process that alone writes a study.

    Optuna's own storage reads every unfinished trial again whenever a trial is asked for, and
    writes each parameter, attribute and value in a transaction of its own. This one reads the
    database once, answers from memory, and writes what has changed in a trial in one transaction:
    at once, or at the end of `together`. Other processes may read meanwhile.

    - What a call has written is in the database when the call, or the outermost `together` around
      it, returns. If it raises, nothing of it is: neither there nor in memory.
    - What `unhurried` groups write may wait for the next write, unless none was in the second
      before. A kill loses it; whoever calls must have it elsewhere.
    - A connection that breaks is tried again for `patience_s`, then a StoreError is raised. A
      transaction whose end got lost is not written twice.
    - Trials that another process adds meanwhile are a StoreError at the next new trial: two runs
      must not share a study.

    Identifiers of trials are this object's own. Threads may share it; they wait for each other.

    Parameters
    ----------
    backend : RDBStorage
    patience_s : float
    sleep, clock : callable
        For tests.
    """

    def __init__(
        self,
        backend: RDBStorage,
        patience_s: float = PATIENCE_S,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.backend = backend
        self._patience_s, self._sleep, self._clock = patience_s, sleep, clock
        self._lock = threading.RLock()
        self._studies: dict[int, _Study] = {}
        self._places: list[tuple[int, int]] = []  # of each trial: study and number
        self._ids: dict[tuple[int, int], int] = {}
        self._keys: dict[int, int] = {}  # of each trial that is in the database: its row there
        self._pending: dict[int, FrozenTrial | None] = {}  # trials as they are in the database
        self._kept: dict[int, FrozenTrial] = {}  # of those, what waits to be written
        self._written = -math.inf
        self._depth = 0

    # -- groups of writes ------------------------------------------------------------------

    @contextmanager
    def together(self, *, unhurried: bool = False) -> Iterator[None]:
        """Everything written inside is one transaction; an exception undoes it."""
        with self._lock:
            self._depth += 1
            try:
                yield
                if self._depth == 1 and self._pending:
                    if unhurried and self._clock() < self._written + COMPANY_S:
                        self._keep()
                    else:
                        self._flush()
            except Exception:
                if self._depth == 1:
                    self._undo()
                raise
            except BaseException:  # an interrupt may come when all is written, or before
                self._forget()
                raise
            finally:
                self._depth -= 1

    def _keep(self) -> None:
        """Let what is pending wait; what is undone later does not undo it."""
        self._kept = {trial_id: self._at(trial_id) for trial_id in self._pending}

    def _flush(self) -> None:
        changes = [self._change(trial_id) for trial_id in self._pending]
        pause_s, end = _FIRST_PAUSE_S, self._clock() + self._patience_s
        again = False
        while True:
            try:
                keys = write_changes(self.backend.engine, changes, again=again)
                break
            except ForeignWriteError as error:
                raise StoreError(
                    f"another process writes to this study: {error}",
                    _shown(self.backend),
                    "let one run at a time write to a study; 'evolve resume' goes on from it",
                ) from error
            except sqlalchemy.exc.DBAPIError as error:
                if not _passing(error) or self._clock() + pause_s > end:
                    raise WriteError(
                        f"the study cannot be written: {_reason(error)}",
                        _shown(self.backend),
                        "nothing stored is damaged; see to the database or make room, then "
                        "'evolve resume'",
                    ) from error
                logger.warning("store=waiting pause_s=%.2f reason=%s", pause_s, _reason(error))
            self._sleep(pause_s)
            pause_s, again = min(2.0 * pause_s, _LONGEST_PAUSE_S), True
        self._keys.update(zip(self._pending, keys, strict=True))
        self._pending.clear()
        self._kept.clear()
        self._written = self._clock()

    def _change(self, trial_id: int) -> Change:
        study_id, number = self._places[trial_id]
        trial = self._studies[study_id].trials[number]
        return Change(study_id, self._keys.get(trial_id), self._pending[trial_id], trial)

    def _undo(self) -> None:
        """Memory as the database is, and what waits to be written."""
        touched = {self._places[trial_id][0] for trial_id in self._pending}
        for trial_id, before in reversed(self._pending.items()):
            study_id, number = self._places[trial_id]
            study, was = self._studies[study_id], self._kept.get(trial_id, before)
            if was is None:
                study.trials.pop()
            else:
                study.trials[number] = was
        self._pending = {key: self._pending[key] for key in self._kept}
        for study_id in touched:
            self._recount(self._studies[study_id])

    def _forget(self) -> None:
        """Let what was touched be read anew."""
        for trial_id in self._pending:
            self._studies.pop(self._places[trial_id][0], None)
        self._pending.clear()
        self._kept.clear()

    @staticmethod
    def _recount(study: _Study) -> None:
        trials, study.trials = study.trials, []
        study.waiting, study.best = set(), None
        for trial in trials:
            study.place(trial)

    # -- studies ---------------------------------------------------------------------------

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        """A new study; see `BaseStorage`."""
        study_id = self.backend.create_new_study(directions, study_name)
        self._study(study_id)
        return study_id

    def delete_study(self, study_id: int) -> None:
        """Delete a study."""
        with self._lock:
            self.backend.delete_study(study_id)
            self._studies.pop(study_id, None)

    def get_study_id_from_name(self, study_name: str) -> int:
        """Identifier of a study, which is read if it was not yet."""
        for study_id, study in self._studies.items():
            if study.name == study_name:
                return study_id
        study_id = self.backend.get_study_id_from_name(study_name)
        self._study(study_id)
        return study_id

    def _study(self, study_id: int) -> _Study:
        """A study by its identifier; the first time it is read."""
        with self._lock:
            if study_id not in self._studies:
                name = self.backend.get_study_name_from_id(study_id)
                study = _Study(name, self.backend.get_study_directions(study_id))
                for key, trial in read_study(self.backend.engine, study_id):
                    trial._trial_id = self._enter(study_id, trial.number)
                    self._keys[trial._trial_id] = key
                    study.kinds.update(trial.distributions)
                    study.place(trial)
                self._studies[study_id] = study
            return self._studies[study_id]

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """Set an attribute of a study, at once."""
        self.backend.set_study_user_attr(study_id, key, value)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Set an attribute of a study, at once."""
        self.backend.set_study_system_attr(study_id, key, value)

    def get_study_name_from_id(self, study_id: int) -> str:
        """Name of a study."""
        return self._study(study_id).name

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """Directions of a study."""
        return self._study(study_id).directions

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """Attributes of a study."""
        return self.backend.get_study_user_attrs(study_id)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """Attributes of a study."""
        return self.backend.get_study_system_attrs(study_id)

    def get_all_studies(self) -> list[FrozenStudy]:
        """All studies of the database."""
        return self.backend.get_all_studies()

    # -- trials ----------------------------------------------------------------------------

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """A new trial, running or as the template is."""
        with self.together():
            study = self._study(study_id)
            trial = _running() if template_trial is None else deepcopy(template_trial)
            for name, kind in trial.distributions.items():
                self._check_kind(study, name, kind)
            trial.number = len(study.trials)
            trial._trial_id = self._enter(study_id, trial.number)
            self._pending[trial._trial_id] = None
            study.place(trial)
            return trial._trial_id

    def _enter(self, study_id: int, number: int) -> int:
        """Identifier of the trial at a place."""
        if (study_id, number) not in self._ids:
            self._places.append((study_id, number))
            self._ids[study_id, number] = len(self._places) - 1
        return self._ids[study_id, number]

    @staticmethod
    def _check_kind(study: _Study, name: str, kind: BaseDistribution) -> None:
        if name in study.kinds:
            check_distribution_compatibility(study.kinds[name], kind)
        study.kinds[name] = kind

    def _changed(self, trial_id: int) -> FrozenTrial:
        """A copy of an unfinished trial, to be changed and placed."""
        trial = self._at(trial_id)
        self.check_trial_is_updatable(trial_id, trial.state)
        self._pending.setdefault(trial_id, trial)
        return _copy(trial)

    def _place(self, trial: FrozenTrial) -> None:
        study_id, _ = self._places[trial._trial_id]
        self._studies[study_id].place(trial)

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        """Set a parameter of an unfinished trial."""
        self.set_trial_params(trial_id, {param_name: (param_value_internal, distribution)})

    def set_trial_params(
        self, trial_id: int, params: Mapping[str, tuple[float, BaseDistribution]]
    ) -> None:
        """Set parameters of an unfinished trial: internal value and distribution of each."""
        with self.together():
            trial = self._changed(trial_id)
            study = self._studies[self._places[trial_id][0]]
            for name, (_, kind) in params.items():
                self._check_kind(study, name, kind)
            values = {name: kind.to_external_repr(value) for name, (value, kind) in params.items()}
            trial.params = trial.params | values
            kinds = {name: kind for name, (_, kind) in params.items()}
            trial.distributions = trial.distributions | kinds
            self._place(trial)

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Set state and values of an unfinished trial; False if it runs already."""
        with self.together():
            trial = self._changed(trial_id)
            if state == TrialState.RUNNING and trial.state != TrialState.WAITING:
                return False
            trial.state = state
            if values is not None:
                trial.values = list(values)
            if state == TrialState.RUNNING:
                trial.datetime_start = datetime.now()
            elif state.is_finished():
                trial.datetime_complete = datetime.now()
            self._place(trial)
            return True

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        """Set the value of an unfinished trial at a step."""
        with self.together():
            trial = self._changed(trial_id)
            trial.intermediate_values = {**trial.intermediate_values, step: intermediate_value}
            self._place(trial)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Set an attribute of an unfinished trial."""
        with self.together():
            trial = self._changed(trial_id)
            trial.user_attrs = {**trial.user_attrs, key: _own(value)}
            self._place(trial)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Set an attribute of Optuna's own."""
        with self.together():
            trial = self._changed(trial_id)
            trial.system_attrs = {**trial.system_attrs, key: _own(value)}
            self._place(trial)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """A trial, its own to change: Optuna writes into that of a trial that is asked for."""
        trial = _copy(self._at(trial_id))
        for name in _DICTS:
            setattr(trial, name, dict(getattr(trial, name)))
        return trial

    def _at(self, trial_id: int) -> FrozenTrial:
        try:
            study_id, number = self._places[trial_id]
            return self._study(study_id).trials[number]
        except (IndexError, KeyError) as error:
            raise KeyError(f"no trial has the identifier {trial_id}") from error

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        """Identifier of a trial."""
        self._study(study_id)
        return self._ids[study_id, trial_number]

    def get_trial_number_from_id(self, trial_id: int) -> int:
        """Number of a trial in its study."""
        return self._at(trial_id).number

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """Trials by number; with `deepcopy` false they are not to be changed."""
        study = self._study(study_id)
        if states is None:
            found = list(study.trials)
        elif states == (TrialState.WAITING,):  # asked for with every new trial
            found = [study.trials[number] for number in sorted(study.waiting)]
        else:
            found = [trial for trial in study.trials if trial.state in states]
        return _deepcopy(found) if deepcopy else found

    def get_best_trial(self, study_id: int) -> FrozenTrial:
        """The complete trial with the best value."""
        study = self._study(study_id)
        if len(study.directions) > 1:
            raise RuntimeError("a study with several objectives has no best trial")
        if study.best is None:
            raise ValueError("No trials are completed yet.")
        return self.get_trial(study.trials[study.best]._trial_id)

    def remove_session(self) -> None:
        """Write what waits, and close this thread's connection."""
        with self._lock, suppress(StoreError):  # who let it wait has it elsewhere
            if self._pending and not self._depth:
                self._flush()
        self.backend.remove_session()


def together(storage: BaseStorage, *, unhurried: bool = False) -> AbstractContextManager[None]:
    """One transaction for all that is written inside, where the storage knows how.

    See `MirroredStorage` for what is `unhurried`.
    """
    if isinstance(storage, MirroredStorage):
        return storage.together(unhurried=unhurried)
    return nullcontext()


def set_params(
    storage: BaseStorage, trial_id: int, values: Mapping[str, tuple[Any, BaseDistribution]]
) -> None:
    """Set parameters of an unfinished trial, at once where the storage knows how."""
    params = {name: (kind.to_internal_repr(value), kind) for name, (value, kind) in values.items()}
    if isinstance(storage, MirroredStorage):
        storage.set_trial_params(trial_id, params)
        return
    for name, (value, kind) in params.items():
        storage.set_trial_param(trial_id, name, value, kind)


def _copy(trial: FrozenTrial) -> FrozenTrial:
    """As `copy.copy`, several times as fast: a trial is copied for everything set in it."""
    new = object.__new__(FrozenTrial)
    new.__dict__.update(trial.__dict__)
    return new


def _own(value: Any) -> Any:
    """As `deepcopy`, several times as fast for what JSON knows."""
    if type(value) is dict:
        return {key: _own(inner) for key, inner in value.items()}
    if type(value) is list:
        return [_own(inner) for inner in value]
    return value if isinstance(value, _PLAIN) else deepcopy(value)


_PLAIN = (str, int, float, type(None))
_deepcopy = deepcopy  # a parameter of Optuna's has the name


def _running() -> FrozenTrial:
    return FrozenTrial(
        number=-1,
        trial_id=-1,
        state=TrialState.RUNNING,
        value=None,
        datetime_start=datetime.now(),
        datetime_complete=None,
        params={},
        distributions={},
        user_attrs={},
        system_attrs={},
        intermediate_values={},
    )


def _passing(error: sqlalchemy.exc.DBAPIError) -> bool:
    """Whether a fault is one of the connection or of a lock, which may pass."""
    if FULL in str(error.orig):
        return False
    kinds = (sqlalchemy.exc.OperationalError, sqlalchemy.exc.InterfaceError)
    return bool(error.connection_invalidated) or isinstance(error, kinds)


def _reason(error: sqlalchemy.exc.DBAPIError) -> str:
    """The driver's first line; SQLAlchemy's own has the whole statement."""
    return (str(error.orig).strip().splitlines() or [type(error.orig).__name__])[0]


def _shown(backend: RDBStorage) -> str:
    return str(backend.engine.url.render_as_string(hide_password=True))
