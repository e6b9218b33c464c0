"""Statements that are prepared once, against SQLAlchemy's own executions of them."""

from datetime import datetime
from enum import Enum

import pytest
import sqlalchemy
import sqlalchemy.exc
from sqlalchemy import Column, DateTime, Float, Integer, String

from evolve.store.statements import Statement


class Colour(Enum):
    RED = 1
    BLUE = 2


TABLE = sqlalchemy.Table(
    "things",
    sqlalchemy.MetaData(),
    Column("number", Integer, primary_key=True),
    Column("name", String(20)),
    Column("size", Float(53)),
    Column("colour", sqlalchemy.Enum(Colour)),
    Column("made", DateTime),
)
COLUMNS = ("number", "name", "size", "colour", "made")
THINGS = [
    {"number": 1, "name": "é?", "size": 0.1, "colour": Colour.RED, "made": datetime(2026, 1, 2)},
    {"number": 2, "name": "%s", "size": None, "colour": Colour.BLUE, "made": None},
]
NUMBER = sqlalchemy.bindparam("of_number")
RED = TABLE.c.colour == sqlalchemy.literal(Colour.RED, TABLE.c.colour.type)


@pytest.fixture
def connection():
    engine = sqlalchemy.create_engine("sqlite://")
    TABLE.create(engine)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def read(connection):
    return [dict(row._mapping) for row in connection.execute(sqlalchemy.select(TABLE))]


def test_writes_what_sqlalchemy_writes(connection):
    connection.execute(TABLE.insert(), THINGS)
    expected = connection.exec_driver_sql("SELECT * FROM things").all()
    connection.execute(TABLE.delete())
    insertion = Statement(TABLE.insert().inline(), COLUMNS)
    insertion.run(connection, THINGS[:1])
    insertion.run(connection, THINGS[1:])
    assert connection.exec_driver_sql("SELECT * FROM things").all() == expected
    connection.execute(TABLE.delete())
    insertion.run(connection, THINGS)
    assert connection.exec_driver_sql("SELECT * FROM things").all() == expected
    assert read(connection) == THINGS


def test_values_of_the_statement_itself_are_converted_too(connection):
    connection.execute(TABLE.insert(), THINGS)
    alteration = Statement(TABLE.update().where(TABLE.c.number == NUMBER, RED), ("size",))
    changed = [
        alteration.run(connection, [{"of_number": number, "size": 5.0}]).rowcount
        for number in (1, 2, 3)
    ]
    assert changed == [1, 0, 0]
    assert [thing["size"] for thing in read(connection)] == [5.0, None]


def test_a_selection_gives_its_result(connection):
    connection.execute(TABLE.insert(), THINGS)
    newest = Statement(sqlalchemy.select(TABLE.c.number).order_by(-TABLE.c.number).limit(1))
    assert newest.run(connection, [{}]).scalar() == 2


def test_faults_are_those_of_sqlalchemy(connection):
    insertion = Statement(TABLE.insert().inline(), COLUMNS)
    insertion.run(connection, THINGS)
    with pytest.raises(sqlalchemy.exc.IntegrityError):
        insertion.run(connection, THINGS[:1])
