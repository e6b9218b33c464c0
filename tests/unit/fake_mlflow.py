"""As much of MLflow as evolve calls, in memory: what it is told stands in `Server`."""

import itertools
import sys
import types
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import NamedTuple

PAGE = 2


class Metric(NamedTuple):
    key: str
    value: float
    timestamp: int
    step: int


class Param(NamedTuple):
    key: str
    value: str


@dataclass
class Run:
    id: str
    name: str
    tags: dict
    status: str = "RUNNING"
    params: dict = field(default_factory=dict)
    metrics: list = field(default_factory=list)

    @property
    def info(self):
        return SimpleNamespace(run_id=self.id)

    @property
    def data(self):
        return SimpleNamespace(tags=self.tags)


class Page(list):
    token = None


class Server:
    """Where runs are kept; `broken` is called before each call, and may raise or wait."""

    def __init__(self):
        self.experiments, self.runs, self.calls = {}, {}, []
        self.broken = lambda _: None
        self._ids = (f"r{number}" for number in itertools.count())

    def client(self):
        return Client(self)


class Client:
    def __init__(self, server):
        self.server = server

    def __getattribute__(self, name):
        found = object.__getattribute__(self, name)
        if name == "server":
            return found
        self.server.calls.append(name)
        self.server.broken(name)
        return found

    def get_experiment_by_name(self, name):
        key = self.server.experiments.get(name)
        return None if key is None else SimpleNamespace(experiment_id=key)

    def create_experiment(self, name):
        self.server.experiments[name] = str(len(self.server.experiments))
        return self.server.experiments[name]

    def create_run(self, experiment_id, tags=None, run_name=None):
        assert experiment_id in self.server.experiments.values()
        run = Run(next(self.server._ids), run_name, dict(tags))
        self.server.runs[run.id] = run
        return run

    def search_runs(self, experiment_ids, filter_string="", max_results=1, page_token=None):
        key, value = filter_string.removeprefix("tags.`").removesuffix("'").split("` = '")
        found = [run for run in self.server.runs.values() if run.tags.get(key) == value]
        start = int(page_token or 0)
        page = Page(found[start : start + PAGE])
        page.token = str(start + PAGE) if start + PAGE < len(found) else None
        return page

    def update_run(self, run_id, status=None):
        self.server.runs[run_id].status = status

    def log_batch(self, run_id, metrics=(), params=()):
        self.server.runs[run_id].metrics += metrics
        self.server.runs[run_id].params |= dict(params)

    def log_metric(self, run_id, key, value, step=None):
        self.server.runs[run_id].metrics.append(Metric(key, value, 0, step))

    def set_tag(self, run_id, key, value):
        self.server.runs[run_id].tags[key] = value

    def set_terminated(self, run_id, status):
        self.server.runs[run_id].status = status


def install(monkeypatch):
    """Put the stand-in where `import mlflow.entities` finds it."""
    package = types.ModuleType("mlflow")
    package.entities = types.ModuleType("mlflow.entities")
    package.entities.Metric, package.entities.Param = Metric, Param
    monkeypatch.setitem(sys.modules, "mlflow", package)
    monkeypatch.setitem(sys.modules, "mlflow.entities", package.entities)
