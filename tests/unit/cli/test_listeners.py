"""Several listeners of one run."""

import pytest

from evolve.cli.listeners import Listeners
from evolve.cli.running import without
from tests.unit.engine.made_up import Killed, Notes


class Broken(Notes):
    """A listener that fails at the first epoch."""

    def on_epoch(self, number, row):
        raise RuntimeError("boom")


def _follow(listener):
    listener.on_begin({})
    listener.on_phase("phase")
    listener.on_start(3, {}, 0, 5)
    listener.on_epoch(3, {"epoch": 1})
    listener.on_epoch(3, {"epoch": 2})
    listener.on_end(3, "COMPLETE", 0.5, "")


def test_all_are_told_everything_in_order():
    alone, main, side = Notes(), Notes(), Notes()
    _follow(alone)
    _follow(Listeners(main, [side], pytest.fail))
    assert main == side == alone


def test_one_that_fails_is_told_of_and_left_out():
    main, broken, side, lines = Notes(), Broken(), Notes(), []
    _follow(Listeners(main, [broken, side], lines.append))
    assert lines == ["Broken is told no more: RuntimeError: boom"]
    assert main == side
    assert main.epochs == [(3, 1), (3, 2)]
    assert broken.ended == []


def test_errors_of_the_main_one_are_those_of_the_run():
    class Dies(Notes):
        def on_end(self, *_):
            raise Killed

    side = Notes()
    with pytest.raises(Killed):
        _follow(Listeners(Dies(), [side], pytest.fail))
    assert side.ended == []


def test_options_that_are_not_stored():
    given = [
        "run",
        "--on-end",
        "notify 'x'",
        "--trials",
        "3",
        "--mlflow=http://me:pw@host",
        "--on",
    ]
    assert without(given, ("--on-end", "--mlflow")) == ["run", "--trials", "3", "--on"]
    assert without(["run", "--on-end"], ("--on-end",)) == ["run"]
