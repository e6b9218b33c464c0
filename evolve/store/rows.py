"""Trials as rows of Optuna's tables: changes written in one transaction, all read in a few.

The tables are those of Optuna's `RDBStorage` (schema 12, unchanged since Optuna 3.0), which has no
call that writes more than one thing, and reads a trial at a time. They are private to Optuna, so
this is the only file that knows them; the tests compare what it writes and reads with what
Optuna's storage does.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple

import sqlalchemy
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState

from evolve.store.statements import Statement

_STUDIES = models.StudyModel.__table__
_TRIALS = models.TrialModel.__table__
_PARAMS = models.TrialParamModel.__table__
_VALUES = models.TrialValueModel.__table__
_STEPS = models.TrialIntermediateValueModel.__table__
_USER = models.TrialUserAttributeModel.__table__
_SYSTEM = models.TrialSystemAttributeModel.__table__


# statements are made once: making one takes as long as the database takes to run it
_STUDY = sqlalchemy.bindparam("of_study")
_LOCK = sqlalchemy.select(_STUDIES.c.study_id).where(_STUDIES.c.study_id == _STUDY)
_LOCK = _LOCK.with_for_update()
_NEWEST = Statement(
    sqlalchemy.select(_TRIALS.c.number)
    .where(_TRIALS.c.study_id == _STUDY)
    .order_by(_TRIALS.c.trial_id.desc())
    .limit(1)
)
_NEW = _TRIALS.insert()
_RUNNING, _WAITING = (
    _TRIALS.c.state == sqlalchemy.literal(state, _TRIALS.c.state.type)
    for state in (TrialState.RUNNING, TrialState.WAITING)
)
_ENDED = Statement(
    _TRIALS.update().where(
        _TRIALS.c.trial_id == sqlalchemy.bindparam("of_trial"), _RUNNING | _WAITING
    ),
    ("state", "datetime_start", "datetime_complete"),
)


class ForeignWriteError(Exception):
    """Another process has written trials of the study."""


class Change(NamedTuple):
    """A trial to be written.

    Attributes
    ----------
    study_id : int
    key : int or None
        Its row; None if it is new.
    before : FrozenTrial or None
        As it is stored.
    now : FrozenTrial
    """

    study_id: int
    key: int | None
    before: FrozenTrial | None
    now: FrozenTrial


def write_changes(engine: Any, changes: Sequence[Change], again: bool = False) -> list[int]:
    """Write changes in one transaction; the row of each trial.

    Parameters
    ----------
    again : bool
        Whether this was tried before: the connection may have broken after the transaction was
        done, so that it is there already.

    Raises
    ------
    ForeignWriteError
        If a new trial's number is taken, or a trial was ended elsewhere. Nothing is written.
    """
    with engine.begin() as connection:
        keys, rows = [], _Rows(again)
        for change in changes:
            key = change.key
            if key is None:
                key, stored = _new_row(connection, change, again)
                if not stored:
                    rows.add(key, None, change.now)
            else:
                _update_row(connection, change, key, again)
                rows.add(key, change.before, change.now)
            keys.append(key)
        rows.write(connection)
    return keys


def _new_row(connection: Any, change: Change, again: bool) -> tuple[int, bool]:
    """The row of a new trial, and whether it was written before, with all that belongs to it."""
    now, study_id = change.now, change.study_id
    if connection.dialect.name != "sqlite":  # which locks the whole file
        connection.execute(_LOCK, {"of_study": study_id})
    if again:
        same = sqlalchemy.select(_TRIALS.c.trial_id).where(
            _TRIALS.c.study_id == study_id,
            _TRIALS.c.number == now.number,
            _TRIALS.c.datetime_start == _utc(now.datetime_start),
        )
        if (found := connection.execute(same).scalar()) is not None:
            return int(found), True
    last = _NEWEST.run(connection, [{"of_study": study_id}]).scalar()
    if (-1 if last is None else last) != now.number - 1:
        raise ForeignWriteError(f"it holds a trial {last} before this one's {now.number}")
    row = {"study_id": study_id, "number": now.number, **_own_columns(now)}
    return int(connection.execute(_NEW, row).inserted_primary_key[0]), False


def _update_row(connection: Any, change: Change, key: int, again: bool) -> None:
    before, now = change.before, change.now
    if before is not None and before.state == now.state:
        return
    done = _ENDED.run(connection, [{"of_trial": key, **_own_columns(now)}])
    if done.rowcount != 1 and not again:
        raise ForeignWriteError(f"trial {now.number} has been ended elsewhere")


def _own_columns(trial: FrozenTrial) -> dict[str, Any]:
    return {
        "state": trial.state,
        "datetime_start": _utc(trial.datetime_start),
        "datetime_complete": _utc(trial.datetime_complete),
    }


def _utc(moment: datetime | None) -> datetime | None:
    """Trials have local times, their rows naive ones in UTC."""
    return None if moment is None else moment.astimezone(UTC).replace(tzinfo=None)


class _Part(NamedTuple):
    """A table of what trials have, several of each.

    Attributes
    ----------
    table : sqlalchemy.Table
    name : str
        Column that tells them apart within a trial.
    of : callable
        What a trial has of it, by name.
    columns : callable
        Other columns of one, from the trial and the name.
    others : tuple of str
        What those are called.
    """

    table: Any
    name: str
    of: Callable[[FrozenTrial], Mapping[Any, Any]]
    columns: Callable[[FrozenTrial, Any], dict[str, Any]]
    others: tuple[str, ...]


def _param(trial: FrozenTrial, name: str) -> dict[str, Any]:
    kind = trial.distributions[name]
    return {
        "param_value": kind.to_internal_repr(trial.params[name]),
        "distribution_json": _kind_text(kind),
    }


def _value(trial: FrozenTrial, objective: int) -> dict[str, Any]:
    value, kind = models.TrialValueModel.value_to_stored_repr(trial.values[objective])
    return {"value": value, "value_type": kind}


def _step(trial: FrozenTrial, step: int) -> dict[str, Any]:
    to_row = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr
    value, kind = to_row(trial.intermediate_values[step])
    return {"intermediate_value": value, "intermediate_value_type": kind}


def _user_attr(trial: FrozenTrial, key: str) -> dict[str, Any]:
    return {"value_json": json.dumps(trial.user_attrs[key])}


def _system_attr(trial: FrozenTrial, key: str) -> dict[str, Any]:
    return {"value_json": json.dumps(trial.system_attrs[key])}


_PARTS = (
    _Part(_PARAMS, "param_name", lambda t: t.params, _param, ("param_value", "distribution_json")),
    _Part(
        _VALUES,
        "objective",
        lambda t: dict(enumerate(t.values or ())),
        _value,
        ("value", "value_type"),
    ),
    _Part(
        _STEPS,
        "step",
        lambda t: t.intermediate_values,
        _step,
        ("intermediate_value", "intermediate_value_type"),
    ),
    _Part(_USER, "key", lambda t: t.user_attrs, _user_attr, ("value_json",)),
    _Part(_SYSTEM, "key", lambda t: t.system_attrs, _system_attr, ("value_json",)),
)


@cache
def _kind_text(kind: BaseDistribution) -> str:
    return distribution_to_json(kind)


class _Rows:
    """Rows of the parts of several trials, to be written by few statements."""

    def __init__(self, again: bool) -> None:
        self._again = again
        self._new: list[list[dict[str, Any]]] = [[] for _ in _PARTS]
        self._changed: list[list[dict[str, Any]]] = [[] for _ in _PARTS]

    def add(self, key: int, before: FrozenTrial | None, now: FrozenTrial) -> None:
        """What differs between a trial as it is stored and as it is now."""
        for part, new, changed in zip(_PARTS, self._new, self._changed, strict=True):
            had, has = {} if before is None else part.of(before), part.of(now)
            if had is has:  # the mirror replaces what it changes
                continue
            for name, value in has.items():
                if name not in had:
                    new.append({"trial_id": key, part.name: name, **part.columns(now, name)})
                elif had[name] is not value:
                    of = {"of_trial": key, "of_name": name}
                    changed.append({**of, **part.columns(now, name)})

    def write(self, connection: Any) -> None:
        """Write them; what may be there from the time before is taken out first."""
        for part, new, changed in zip(_PARTS, self._new, self._changed, strict=True):
            if new and self._again:
                old = [{"of_trial": row["trial_id"], "of_name": row[part.name]} for row in new]
                connection.execute(part.table.delete().where(*_named(part)), old)
            if new:
                _insertion(part).run(connection, new)
            if changed:
                _alteration(part).run(connection, changed)


def _named(part: _Part) -> tuple[Any, Any]:
    own = part.table.c.trial_id == sqlalchemy.bindparam("of_trial")
    return own, part.table.c[part.name] == sqlalchemy.bindparam("of_name")


@cache
def _insertion(part: _Part) -> Statement:
    return Statement(part.table.insert().inline(), ("trial_id", part.name, *part.others))


@cache
def _alteration(part: _Part) -> Statement:
    return Statement(part.table.update().where(*_named(part)), part.others)
