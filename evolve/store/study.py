"""The Optuna study of a run: made, opened, and told the truth."""

import functools
import logging
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
import sqlalchemy.exc
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage, RDBStorage
from optuna.study._tell import _tell_with_warning
from optuna.trial import FrozenTrial, TrialState

from evolve.errors import StoreError
from evolve.objectives import Direction
from evolve.store.mirror import MirroredStorage, set_params
from evolve.store.servers import open_server
from evolve.store.trials import BUSY_TIMEOUT_S

STUDY_NAME = "evolve"

FAILURE_ATTR = "evolve:failure"
METRICS_ATTR = "evolve:metrics"
ATTEMPTS_ATTR = "evolve:attempts"  # failures that were followed by another try
COST_ATTR = "evolve:cost"  # figures of a trial's network, where there are two objectives
EPOCHS_ATTR = "evolve:epochs"  # how many it had, where the study does not hold their values

_NAMES_ATTR = "study:metric_names"  # Optuna's own, of which dashboards make headings

CONSTRAINT = "constraint"  # type of the failure of a trial that was proposed but never run


def sqlite_url(path: Path) -> str:
    """Optuna's URL of a SQLite file."""
    return f"sqlite:///{path.absolute()}"


def open_storage(url: str) -> RDBStorage:
    """Open (or make) an Optuna storage; SQLite files are put into write-ahead mode.

    A password is looked for in the URL, then among those that `servers.keep_password` was given,
    then where the driver does: PGPASSWORD and ~/.pgpass.

    Raises
    ------
    StoreError
        If the file is no database, or the server does not answer.
    """
    optuna.logging.set_verbosity(logging.WARNING)
    if not url.startswith("sqlite"):
        return open_server(url)
    try:
        file = sqlalchemy.make_url(url).database
        if file and file != ":memory:" and not Path(file).exists():
            _make_sqlite(Path(file))
        storage = _open_sqlite(url)
    except (sqlalchemy.exc.SQLAlchemyError, RuntimeError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise StoreError(
            f"the study cannot be opened: {reason}", url, "is it an Optuna study?"
        ) from error
    return storage


def open_own_storage(url: str) -> MirroredStorage:
    """Open (or make) a storage as the process that alone writes the run's studies.

    Put what belongs together into one transaction with `mirror.together`. Ten thousand trials
    beside hundreds of unfinished ones cost no more than ten.

    Raises
    ------
    StoreError
        As `open_storage`.
    """
    return MirroredStorage(open_storage(url))


def _open_sqlite(url: str) -> RDBStorage:
    """A SQLite file with a write-ahead log that is flushed at checkpoints alone.

    A transaction is in the operating system's hands when it ends: a process that is killed loses
    none. A power cut may lose the last ones, but leaves the file whole; the trials they were of
    are continued from their folders. (sqlite.org/pragma.html#pragma_synchronous)
    """
    storage = RDBStorage(url, engine_kwargs={"connect_args": {"timeout": BUSY_TIMEOUT_S}})
    storage.engine.dispose()  # its connections were made with other settings
    sqlalchemy.event.listen(storage.engine, "connect", _set_up)
    with storage.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    return storage


def _set_up(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA synchronous=NORMAL")


def _make_sqlite(path: Path) -> None:
    """Make an empty database that is whole from the moment it can be seen.

    Optuna makes its tables one by one: who opens the file meanwhile makes some of them too, and
    both fail; and a process that is killed meanwhile leaves a part of them.
    """
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        temporary = Path(folder) / path.name
        with temporary.open("wb") as file:
            file.write(_empty_database())
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(temporary)
        except FileExistsError:
            pass  # another process was faster
        except OSError:  # no hard links on this file system
            temporary.rename(path)


@functools.cache
def _empty_database() -> bytes:
    """A database with Optuna's tables and nothing in them.

    Making the tables takes half a second, whose most part is Alembic's, so it is done once.
    """
    with tempfile.TemporaryDirectory(prefix="evolve-study-") as folder:
        path = Path(folder) / "study.db"
        storage = _open_sqlite(sqlite_url(path))
        storage.remove_session()
        storage.engine.dispose()  # the last connection writes the log back into the file
        return path.read_bytes()


def open_study(
    storage: BaseStorage,
    sampler: BaseSampler | None = None,
    name: str = STUDY_NAME,
    *,
    directions: Sequence[Direction] = ("maximize",),
    names: Sequence[str] = (),
) -> optuna.Study:
    """The run's study, or another one beside it; made if missing.

    Parameters
    ----------
    storage : BaseStorage
    sampler : BaseSampler, optional
    name : str
    directions : sequence of Direction
        Of each objective; by default one that is maximised.
    names : sequence of str
        What they are, for those who look at the study with other programs.
    """
    study = optuna.create_study(
        storage=storage,
        sampler=sampler,
        study_name=name,
        directions=list(directions),
        load_if_exists=True,
    )
    if names and storage.get_study_system_attrs(study._study_id).get(_NAMES_ATTR) != list(names):
        storage.set_study_system_attr(study._study_id, _NAMES_ATTR, list(names))
    return study


def tell(
    study: optuna.Study,
    number: int,
    values: Sequence[float] | None = None,
    state: TrialState | None = None,
) -> None:
    """As `study.tell`, which makes a deep copy of the trial for its caller besides."""
    _tell_with_warning(study, number, values, state)


def first_value(trial: FrozenTrial) -> float | None:
    """Value of a trial; of several objectives that of the first."""
    return trial.values[0] if trial.values else None


def cost_value(trial: FrozenTrial) -> float | None:
    """Value of the second objective of a trial; None if there is none."""
    return trial.values[1] if trial.values and len(trial.values) > 1 else None


def epochs_of(trial: FrozenTrial) -> int:
    """Epochs of a trial that has ended.

    Optuna takes no intermediate values in a study of several objectives, and its samplers cannot
    read any: there they stand in the trial's folder and in the journal alone.
    """
    return len(trial.intermediate_values) or int(trial.user_attrs.get(EPOCHS_ATTR, 0))


def suggest(
    trial: optuna.trial.Trial,
    kinds: Mapping[str, BaseDistribution],
    existing: Callable[[Mapping[str, Any]], Iterable[str]],
) -> None:
    """Set all parameters of a trial as `trial.suggest_...` would, several in one step.

    Parameters
    ----------
    trial : optuna.trial.Trial
        What it has already stays.
    kinds : mapping of name -> distribution
    existing : callable
        Which parameters exist beside values, each after those that it depends on.
    """
    values: dict[str, Any] = {}
    ready: dict[str, Any] = {}
    while missing := next((name for name in existing(values) if name not in values), None):
        if _is_proposed_whole(trial, missing, kinds[missing]):
            values[missing] = ready[missing] = trial.relative_params[missing]
        else:  # it may depend on what the study has of this trial
            _set_params(trial, ready, kinds)
            values[missing] = trial._suggest(missing, kinds[missing])
            ready = {}
    _set_params(trial, ready, kinds)


def _is_proposed_whole(trial: optuna.trial.Trial, name: str, kind: BaseDistribution) -> bool:
    """Whether the sampler proposes a parameter together with others."""
    known = name in trial._cached_frozen_trial.params or name in trial._fixed_params
    return not known and not kind.single() and trial._is_relative_param(name, kind)


def _set_params(
    trial: optuna.trial.Trial, values: Mapping[str, Any], kinds: Mapping[str, BaseDistribution]
) -> None:
    if not values:
        return
    set_params(trial.storage, trial._trial_id, {n: (v, kinds[n]) for n, v in values.items()})
    trial._cached_frozen_trial.params.update(values)
    trial._cached_frozen_trial.distributions.update({name: kinds[name] for name in values})


def failure_of(trial: FrozenTrial) -> dict[str, Any]:
    """Type, message and place of a failure; empty for other trials."""
    return dict(trial.user_attrs.get(FAILURE_ATTR, {}))


def attempts_of(trial: FrozenTrial) -> tuple[dict[str, Any], ...]:
    """Failures after which a trial was tried again, oldest first, each with its remedy."""
    return tuple(trial.user_attrs.get(ATTEMPTS_ATTR, ()))


def rejection(violated: str) -> dict[str, Any]:
    """Failure of a trial whose values violate a constraint, in the form of the others."""
    return {"type": CONSTRAINT, "what": violated, "where": "", "mend": "", "log": []}


def is_rejected(trial: FrozenTrial) -> bool:
    """Whether a trial was only proposed: it violates a constraint, so it never ran."""
    return trial.state == TrialState.FAIL and failure_of(trial).get("type") == CONSTRAINT
