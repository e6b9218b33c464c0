"""Database servers: what they are asked for, and how their faults are told; no password is."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy
import sqlalchemy.exc
from optuna.storages import RDBStorage
from sqlalchemy.pool import NullPool

from evolve.errors import StoreError
from evolve.masks import shown

CONNECT_TIMEOUT_S = 5
_SILENCE_S = 30  # a server that says nothing for so long is taken for gone

_PASSWORDS: dict[str, str] = {}  # by URL without it

_MENDS = (
    (
        r"password|authentication|fe_sendauth",
        "set PGPASSWORD or write ~/.pgpass; 'evolve run' also takes the password in --storage",
    ),
    (r"database .* does not exist", "make the database first, with 'createdb NAME'"),
    (
        r"role .* does not exist",
        "give a user that the server knows: postgresql+psycopg://USER@...",
    ),
    (r"permission denied", "let the user make tables in that database"),
)


def keep_password(url: str) -> str:
    """A storage URL without its password, which this process remembers for `open_server`.

    The URL is written into the manifest, and from there into reports; a password must not be.
    Another process needs it from PGPASSWORD, from ~/.pgpass, or in `--storage` once more.
    """
    try:
        parsed = sqlalchemy.make_url(url)
    except sqlalchemy.exc.ArgumentError:
        return shown(url)
    given = parsed.password or parsed.query.get("password")
    if not given:
        return url
    rest = parsed.difference_update_query(["password"])
    plain = sqlalchemy.URL.create(  # `set` cannot take a password away
        rest.drivername, rest.username, None, rest.host, rest.port, rest.database, rest.query
    )
    public = str(plain.render_as_string(hide_password=False))
    _PASSWORDS[public] = str(given)
    return public


def open_server(url: str) -> RDBStorage:
    """Open an Optuna storage on a database server; its tables are made if they are missing.

    Raises
    ------
    StoreError
        Within about ten seconds, if the server does not answer or does not let us in, there is no
        such database, or the driver is not installed.
    """
    with _told(url) as parsed:
        return _opened(parsed)


def open_engine(url: str) -> sqlalchemy.Engine:
    """Connections to a database server, for reading; one at a time, and one has been made.

    Raises
    ------
    StoreError
        As `open_server`.
    """
    with _told(url) as parsed:
        engine = sqlalchemy.create_engine(
            parsed, poolclass=NullPool, connect_args=_connect_args(parsed)
        )
        engine.connect().close()
        return engine


@contextmanager
def _told(url: str) -> Iterator[sqlalchemy.URL]:
    """The URL with its password; what goes wrong with it is told without."""
    public = keep_password(url)
    try:
        parsed = sqlalchemy.make_url(public).set(password=_PASSWORDS.get(public))
        if parsed.drivername in ("postgres", "postgresql"):
            parsed = parsed.set(drivername="postgresql+psycopg")
        yield parsed
    except ImportError as error:
        raise StoreError(
            f"the driver of {public.split(':', 1)[0]} is not installed",
            shown(public),
            "pip install 'evolve-yolo[postgres]'",
        ) from error
    except (sqlalchemy.exc.SQLAlchemyError, RuntimeError, OSError, ValueError, KeyError) as error:
        reason = _reason(error, _PASSWORDS.get(public))
        raise StoreError(
            f"the study cannot be opened: {reason}", shown(public), _mend(reason)
        ) from None  # the cause's text may hold the password


def _opened(url: sqlalchemy.URL) -> RDBStorage:
    kwargs = {"pool_pre_ping": True, "connect_args": _connect_args(url)}
    rendered = url.render_as_string(hide_password=False)
    try:
        return RDBStorage(rendered, engine_kwargs=kwargs)
    except (sqlalchemy.exc.IntegrityError, sqlalchemy.exc.ProgrammingError):
        return RDBStorage(rendered, engine_kwargs=kwargs)  # another process made the tables


def _connect_args(url: sqlalchemy.URL) -> dict[str, Any]:
    """How long libpq waits; what the URL says itself goes before."""
    if not url.drivername.startswith("postgresql+psycopg"):
        return {}
    wanted = {
        "connect_timeout": CONNECT_TIMEOUT_S,
        "keepalives_idle": _SILENCE_S // 3,
        "keepalives_interval": _SILENCE_S // 6,
        "keepalives_count": 4,
        "tcp_user_timeout": 1000 * _SILENCE_S,
        "application_name": "evolve",
    }
    return {name: value for name, value in wanted.items() if name not in url.query}


def _reason(error: Exception, password: str | None) -> str:
    """The first line of what the driver says, without a password."""
    cause = getattr(error, "orig", None) or error
    lines = str(cause).strip().splitlines() or [type(cause).__name__]
    return lines[0].replace(password, "***") if password else lines[0]


def _mend(reason: str) -> str:
    for pattern, mend in _MENDS:
        if re.search(pattern, reason):
            return mend
    return "is the address right, and the server running?"
