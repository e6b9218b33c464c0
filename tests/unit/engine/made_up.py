"""A run on learning curves, put together by hand."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from evolve.cost_book import CostBook, Pretending
from evolve.engine.coordinator import Coordinator, Settings
from evolve.objectives import directions_of, names_of
from evolve.runs import build_run_scheduler
from evolve.search.factory import build_sampler
from evolve.space import load_space
from evolve.store.folder import RunFolder
from evolve.store.study import open_own_storage, open_study, sqlite_url

SPACE = """
name: made-up
objective: AP
trials: 8
sampler: genetic
scheduler: {scheduler}
train: {{epochs: {epochs}, image_size: 96}}
parameters:
  optimizer.lr: {{type: float, low: 1.0e-4, high: {high}, scale: log, default: 2.0e-3}}
  optimizer.momentum: {{type: float, low: 0.8, high: 0.98, default: 0.9}}
"""


@dataclass
class Notes:
    """A listener that writes everything down."""

    phases: list = field(default_factory=list)
    started: list = field(default_factory=list)
    epochs: list = field(default_factory=list)
    ended: list = field(default_factory=list)
    retried: list = field(default_factory=list)

    def on_begin(self, manifest):
        pass

    def on_phase(self, phase):
        self.phases.append(phase)

    def on_start(self, number, params, done, epochs):
        self.started.append((number, done))

    def on_epoch(self, number, row):
        self.epochs.append((number, row["epoch"]))

    def on_pause(self, number):
        pass

    def on_retry(self, number, reason, remedy):
        self.retried.append((number, reason, remedy))

    def on_end(self, number, state, value, reason):
        self.ended.append((number, state, value, reason))


class Killed(BaseException):
    """The end of a process, as far as the code under test can tell."""


class Fragile(Notes):
    """A listener that ends the process after so many epochs."""

    def __init__(self, epochs):
        super().__init__()
        self.left = epochs

    def on_epoch(self, number, row):
        self.left -= 1
        if self.left < 0:
            raise Killed


def make_space(tmp_path, scheduler="none", epochs=4, high=0.1):
    path = tmp_path / "made-up.yaml"
    path.write_text(SPACE.format(scheduler=scheduler, epochs=epochs, high=high))
    return load_space(path)


def make_coordinator(
    out, space, *, trials=8, seed=0, notes=None, trainer="curve", journal=None, allowance=None,
    meter=None, **settings,
):  # fmt: skip
    """A coordinator on the run in `out`, new or not."""
    folder = RunFolder.create(out)
    names = names_of(space.objective, space.cost) if space.cost else ()
    study = open_study(
        open_own_storage(sqlite_url(folder.study)),
        directions=directions_of(space.cost),
        names=names,
    )
    costs = CostBook(folder.costs, space.cost, meter or Pretending()) if space.cost else None
    study.sampler = build_sampler(space.sampler, seed, space)
    return Coordinator(
        study,
        space,
        folder,
        build_run_scheduler(replace(space, trials=trials), seed),
        Settings(trials, seed, Path("curve-0"), trainer, threads=1, **settings),
        notes or Notes(),
        journal,
        allowance,
        costs=costs,
    )


def with_trials(space, trials):
    return replace(space, trials=trials)


def outcome(coordinator):
    """What must be equal between a disturbed run and its twin."""
    return [
        (t.number, t.state.name, t.params, t.values, t.intermediate_values)
        for t in coordinator.study.get_trials()
    ]
