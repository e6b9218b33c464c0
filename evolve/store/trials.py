"""Trials of a study, read in bulk and without touching it.

Optuna's reader makes an object of every row it meets, some twenty a trial, and copies each once
more: 16 seconds for 10,000 trials. Here the columns are fetched as they are, table by table, with
the same result.
"""

import json
import math
import os
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy
import sqlalchemy.exc
from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial
from sqlalchemy.pool import NullPool

from evolve.errors import StoreError
from evolve.store.bulk import no_garbage
from evolve.store.servers import open_engine

BUSY_TIMEOUT_S = 30
_ATTEMPTS = 3
_ODD = (
    ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError,
    AssertionError,
)  # fmt: skip
_JOURNAL = slice(18, 20)  # bytes of a SQLite file that tell its journal; 2 is a log beside it
_WRITE_AHEAD = b"\x02\x02"

_Values = models.TrialValueModel
_Steps = models.TrialIntermediateValueModel
_ByTrial = dict[int, dict[Any, Any]]


def read_trials(url: str, name: str, *, whole: bool = True, first: int = 0) -> list[FrozenTrial]:
    """Trials of a study, by number; none if it was not begun.

    Parameters
    ----------
    url : str
        Of an Optuna storage; a SQLite file must exist, and is opened for reading only.
    name : str
        Of the study.
    whole : bool
        Whether with parameters and the sampler's notes, which are most of it.
    first : int
        Number from which on trials are read.

    Raises
    ------
    StoreError
        If it is no Optuna storage, or the server does not answer.
    """
    for attempt in range(_ATTEMPTS):
        try:
            with _reading(url) as connection, no_garbage():
                return _read(connection, name, whole, first)
        except (sqlalchemy.exc.SQLAlchemyError, sqlite3.Error, OSError, ImportError) as error:
            # a writer may have begun between the look at the file and its opening
            if attempt < _ATTEMPTS - 1 and isinstance(error, sqlalchemy.exc.OperationalError):
                continue
            reason = str(error).splitlines()[0]
            what = f"the study cannot be opened: {reason}"
            raise StoreError(what, url, "is it an Optuna study?") from error
        except _ODD as error:
            said = str(error)[:200] or type(error).__name__
            what = f"the study holds a row that Optuna never writes: {said}"
            raise StoreError(what, url, "restore the file from a copy") from error
    raise AssertionError("unreachable")


@contextmanager
def _reading(url: str) -> Iterator[Any]:
    file = sqlalchemy.make_url(url).database if url.startswith("sqlite") else None
    if file is None:
        engine = open_engine(url)
    else:
        engine = sqlalchemy.create_engine(
            "sqlite://", creator=lambda: _open_for_reading(Path(file)), poolclass=NullPool
        )
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _open_for_reading(path: Path) -> sqlite3.Connection:
    mode = "immutable=1" if _is_at_rest(path) else "mode=ro"
    return sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?{mode}", uri=True, timeout=BUSY_TIMEOUT_S
    )


def _is_at_rest(path: Path) -> bool:
    """Whether nobody has the file open, by the log that is gone then.

    Asked to look for one, SQLite would leave a new log behind, and could not read from a
    read-only folder at all.
    """
    with path.open("rb") as file:
        journal = file.read(_JOURNAL.stop)[_JOURNAL]
    return journal == _WRITE_AHEAD and not os.path.lexists(f"{path}-wal")


def read_study(engine: Any, study_id: int) -> list[tuple[int, FrozenTrial]]:
    """All trials of a study by number, each after its row, in a consistent state."""
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin(), no_garbage():
            found = _read_study(connection, study_id, True, 0)
    return sorted(((t._trial_id, t) for t in found), key=lambda item: item[1].number)


def _read(connection: Any, name: str, whole: bool, first: int) -> list[FrozenTrial]:
    studies = models.StudyModel
    asked = sqlalchemy.select(studies.study_id).where(studies.study_name == name)
    study = connection.execute(asked).scalar()
    return [] if study is None else _read_study(connection, study, whole, first)


def _read_study(connection: Any, study: int, whole: bool, first: int) -> list[FrozenTrial]:
    """The trials first: what their parts say may be newer, never older."""
    trials = models.TrialModel
    own = sqlalchemy.and_(trials.study_id == study, trials.number >= first)
    heads = connection.execute(
        sqlalchemy.select(*_HEAD).where(own).order_by(trials.trial_id)
    ).all()

    def rows(model: Any, *columns: Any) -> Sequence[Any]:
        asked = sqlalchemy.select(model.trial_id, *columns).join(trials).where(own)
        order = model.__table__.primary_key.columns[0]
        # all at once: one by one takes twice as long
        found: Sequence[Any] = connection.execute(asked.order_by(order)).all()
        return found

    params, notes = models.TrialParamModel, models.TrialSystemAttributeModel
    attrs = models.TrialUserAttributeModel
    values = _grouped(rows(_Values, _Values.objective, _Values.value, _Values.value_type))
    steps = _grouped(
        rows(_Steps, _Steps.step, _Steps.intermediate_value, _Steps.intermediate_value_type)
    )
    given: Sequence[Any] = ()
    system: Sequence[Any] = ()
    if whole:
        given = rows(params, params.param_name, params.param_value, params.distribution_json)
        system = rows(notes, notes.key, notes.value_json)
    return _frozen(
        heads,
        values={t: {k: _value(*v) for k, v in one.items()} for t, one in values.items()},
        steps={t: {k: _step(*v) for k, v in one.items()} for t, one in steps.items()},
        params=_grouped(given),
        attrs=_attrs(rows(attrs, attrs.key, attrs.value_json)),
        system=_attrs(system),
    )


_HEAD = (
    models.TrialModel.trial_id,
    models.TrialModel.number,
    models.TrialModel.state,
    models.TrialModel._datetime_start_utc,
    models.TrialModel._datetime_complete_utc,
)


def _grouped(rows: Sequence[Any]) -> _ByTrial:
    """Rows of (trial, key, value, ...) as values by key by trial; keys in the order of rows."""
    found: _ByTrial = defaultdict(dict)
    for trial, key, *rest in rows:
        found[trial][key] = rest
    return found


def _attrs(rows: Sequence[Any]) -> _ByTrial:
    grouped = _grouped(rows)
    return {t: {k: json.loads(text) for k, (text,) in one.items()} for t, one in grouped.items()}


def _frozen(
    heads: Sequence[Any],
    *,
    values: _ByTrial,
    steps: _ByTrial,
    params: _ByTrial,
    attrs: _ByTrial,
    system: _ByTrial,
) -> list[FrozenTrial]:
    trials = []
    for trial, number, state, start, complete in heads:
        kinds = {name: _distribution(text) for name, (_, text) in params.get(trial, {}).items()}
        own = values.get(trial)
        trials.append(
            FrozenTrial(
                number=number,
                state=state,
                value=None,
                values=[own[index] for index in sorted(own)] if own else None,
                datetime_start=_local(start),
                datetime_complete=_local(complete),
                params={
                    name: kinds[name].to_external_repr(stored)
                    for name, (stored, _) in params.get(trial, {}).items()
                },
                distributions=kinds,
                user_attrs=attrs.get(trial, {}),
                system_attrs=system.get(trial, {}),
                intermediate_values=steps.get(trial, {}),
                trial_id=trial,
            )
        )
    return trials


@lru_cache(maxsize=1000)
def _distribution(text: str) -> BaseDistribution:
    """The distribution of a text; trials share it, for nothing changes one."""
    return json_to_distribution(text)


def _value(stored: float | None, kind: Any) -> float:
    return float(_Values.stored_repr_to_value(stored, kind))


def _step(stored: float | None, kind: Any) -> float:
    found = _Steps.stored_repr_to_intermediate_value(stored, kind)
    return math.nan if found is None else float(found)


def _local(moment: datetime | None) -> datetime | None:
    """As Optuna gives times: local, without a zone."""
    return None if moment is None else moment.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)
