"""Statements as a database's driver takes them.

SQLAlchemy goes through every statement and its types again whenever it is executed, which takes
several times as long as SQLite takes to run a small one. Here that is done once a database.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy


class _Prepared(NamedTuple):
    """A statement of one dialect.

    Attributes
    ----------
    text : str
    given : dict of name -> value
        Of those that the statement has itself, as the driver takes them.
    converters : dict of name -> callable or None
        What makes of a value what the driver takes; None where it takes the value itself.
    order : tuple of str or None
        Names in the order of the places; None where places have names.
    """

    text: str
    given: dict[str, Any]
    converters: dict[str, Callable[[Any], Any] | None]
    order: tuple[str, ...] | None

    def values(self, row: Mapping[str, Any]) -> Any:
        """Values of a row for the driver."""
        found = dict(self.given)
        for name, value in row.items():
            found[name] = _converted(value, self.converters[name])
        return found if self.order is None else tuple(found[name] for name in self.order)


def _converted(value: Any, convert: Callable[[Any], Any] | None) -> Any:
    return value if convert is None else convert(value)


class Statement:
    """A statement that is executed very often.

    Parameters
    ----------
    clause : sqlalchemy.ClauseElement
    columns : sequence of str, optional
        Those that an insertion or an update sets.
    """

    def __init__(self, clause: Any, columns: Sequence[str] | None = None) -> None:
        self._clause, self._columns = clause, columns
        self._prepared = lru_cache(maxsize=8)(self._prepare)  # of each database that is open

    def run(self, connection: sqlalchemy.Connection, rows: Sequence[Mapping[str, Any]]) -> Any:
        """Execute it for rows that all have the same names; the result, if it is one row."""
        prepared = self._prepared(connection.dialect)
        values = [prepared.values(row) for row in rows]
        return connection.exec_driver_sql(prepared.text, values if len(values) > 1 else values[0])

    def _prepare(self, dialect: sqlalchemy.Dialect) -> _Prepared:
        compiled = self._clause.compile(dialect=dialect, column_keys=self._columns)
        bound = {name: compiled.binds[name] for name in compiled.params}
        converters = {
            name: one.type.dialect_impl(dialect).bind_processor(dialect)
            for name, one in bound.items()
        }
        own = {
            name: one.value
            for name, one in bound.items()
            if not one.required and one.value is not None
        }
        given = {name: _converted(value, converters[name]) for name, value in own.items()}
        order = None if compiled.positiontup is None else tuple(compiled.positiontup)
        return _Prepared(str(compiled), given, converters, order)
