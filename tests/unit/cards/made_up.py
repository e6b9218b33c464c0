"""Runs on learning curves, and cards of them."""

from dataclasses import replace
from pathlib import Path

from evolve.data_source import DataSource
from evolve.runs import RunRequest, start_run
from tests.unit.engine.made_up import Notes, make_space


def curve_request(home, out="earlier", trials=8, **more):
    """A run of learning curves, to be started in the folder `home`."""
    space = replace(make_space(home, epochs=2), trials=trials, confirm=more.pop("confirm", "0"))
    source = DataSource(argument="curve-0", path=Path("curve-0"), name="curve-0")
    given = {"space": space, "data": source, "engine": "inline", "trainer": "curve"} | more
    return RunRequest(out=home / out, **given)


def finish(request):
    """Start a run, or go on with it, to its end; its folder."""
    start_run(request, Notes())
    return request.out
