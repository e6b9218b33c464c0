"""A run as MLflow shows it: a parent run, and a child run for each trial. An extra, opt-in.

Whatever the server does, no trial waits for it and none fails of it: the driver leaves a note in
a bounded queue and goes on, and one thread does what the notes say.
"""

import importlib.util
import logging
import math
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from evolve.errors import EvolveError

if TYPE_CHECKING:
    from evolve.engine.director import Phase

MOST_NOTES = 2_000
FLUSH_S = 10.0
GIVE_UP_AFTER = 3  # failures in a row
EXPERIMENT = "evolve"
RUN_TAG, TRIAL_TAG, PHASE_TAG = "evolve.run", "evolve.trial", "evolve.phase"
_PARENT = "mlflow.parentRunId"
WIDEST = 200  # of what is told of a failure
_SETTINGS = {  # MLflow's own defaults keep a dead server company for minutes
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_FILE_STORE": "true",  # who gives file: has asked for it
}

Warn = Callable[[str], object]
_Key = tuple[str, int]  # phase and number


def check_mlflow() -> None:
    """Refuse to begin without the package; it is not imported here, for that takes seconds."""
    if importlib.util.find_spec("mlflow") is None:
        raise EvolveError(
            "mlflow is not installed", "--mlflow", "pip install 'evolve-yolo[mlflow]', or leave it"
        )


def connect(uri: str) -> Any:
    """MLflow's client for a tracking URI."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    import mlflow

    for name in ("mlflow", "urllib3", "alembic"):  # what they have to say comes as errors
        logging.getLogger(name).setLevel(logging.ERROR)
    return mlflow.MlflowClient(tracking_uri=uri)


class Background:
    """Does what it is asked to in a thread of its own, one thing after the other.

    The first failure is told, later ones are not; after some in a row nothing more is done.

    Parameters
    ----------
    warn : callable
        Takes one line.
    most : int
        Things that may wait; what comes when so many do is left out.
    """

    def __init__(self, warn: Warn, most: int = MOST_NOTES) -> None:
        self._warn, self._told = warn, False
        self._waiting: queue.Queue[Callable[[], object] | None] = queue.Queue(most)
        self._given_up = threading.Event()
        self._thread = threading.Thread(target=self._work, name="evolve-mlflow", daemon=True)
        self._thread.start()

    def do(self, action: Callable[[], object]) -> None:
        """Ask for something; never waits."""
        if self._given_up.is_set():
            return
        try:
            self._waiting.put_nowait(action)
        except queue.Full:
            self._tell("it is slower than the run; what does not fit is left out")

    def close(self, limit_s: float = FLUSH_S) -> None:
        """Wait until all is done, but not longer than the limit."""
        deadline = time.monotonic() + limit_s
        try:
            self._waiting.put(None, timeout=limit_s)
        except queue.Full:
            pass
        else:
            self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._thread.is_alive() and not self._given_up.is_set():
            self._given_up.set()
            self._tell(f"it did not take the rest within {limit_s:g} s")

    def _work(self) -> None:
        failures = 0
        while (action := self._waiting.get()) is not None:
            if self._given_up.is_set():
                continue  # so that nobody waits for room
            try:
                action()
                failures = 0
            except Exception as error:  # whatever it is, the run is worth more
                failures += 1
                lines = str(error).strip().splitlines()
                self._tell(f"{type(error).__name__}: {lines[0][:WIDEST] if lines else ''}")
                if failures >= GIVE_UP_AFTER:
                    self._given_up.set()

    def _tell(self, what: str) -> None:
        if not self._told:
            self._told = True
            self._warn(f"MLflow: {what}; the run goes on without")


class MlflowListener:
    """A `Listener` that notes a run in MLflow.

    A run that goes on is found again by its name and the time of its beginning.

    Parameters
    ----------
    client : callable
        Gives an `MlflowClient`; called in the thread.
    background : Background
    """

    def __init__(self, client: Callable[[], Any], background: Background) -> None:
        self._connect, self._background = client, background
        self._client: Any = None
        self._manifest: dict[str, Any] = {}
        self._phase: Phase | None = None
        # used by the thread alone
        self._experiment = ""
        self._parent = ""
        self._children: dict[_Key, str] = {}
        self._best = -math.inf

    def on_begin(self, manifest: dict[str, Any]) -> None:
        """Begin the parent run, or find it again."""
        self._manifest = dict(manifest)
        self._background.do(self._begin)

    def on_phase(self, phase: "Phase") -> None:
        """Note what trainings belong to from here on."""
        self._phase = phase

    def on_start(self, number: int, params: dict[str, Any], done: int, epochs: int) -> None:  # noqa: ARG002
        """Begin a child run, or find it again."""
        key, name = self._key(number), self._name(number)
        self._background.do(partial(self._child, key, name, dict(params)))

    def on_epoch(self, number: int, row: dict[str, Any]) -> None:
        """Log the metrics of an epoch."""
        metrics = {k: float(v) for k, v in row["metrics"].items() if math.isfinite(v)}
        moment = int(1000 * row.get("time", time.time()))
        key, name = self._key(number), self._name(number)
        self._background.do(partial(self._log, key, name, metrics, row["epoch"], moment))

    def on_pause(self, number: int) -> None:
        """Nothing: the child run goes on."""

    def on_retry(self, number: int, reason: str, remedy: str) -> None:  # noqa: ARG002
        """Note why a trial had to be tried again."""
        key, name = self._key(number), self._name(number)
        self._background.do(partial(self._note_retry, key, name, reason))

    def on_end(self, number: int, state: str, value: float | None, reason: str) -> None:
        """End a child run with its state, and why it failed if it did."""
        key, name = self._key(number), self._name(number)
        self._background.do(partial(self._end, key, name, state, value, reason))

    def finish(self, status: str) -> None:
        """End the parent run as FINISHED, FAILED or KILLED, and wait a moment for the server."""
        self._background.do(partial(self._finish, status))
        self._background.close()

    def _key(self, number: int) -> _Key:
        return (self._phase.title if self._phase else "search", number)

    def _name(self, number: int) -> str:
        return self._phase.name_of(number) if self._phase else f"trial {number}"

    # -- in the thread ---------------------------------------------------------------------

    def _begin(self) -> None:
        """Find or make the parent; a later note tries again if that failed."""
        if self._parent:
            return
        if self._client is None:
            self._client = self._connect()
        client, manifest = self._client, self._manifest
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        known = client.get_experiment_by_name(name)
        self._experiment = known.experiment_id if known else client.create_experiment(name)
        identity = _plain(f"{manifest.get('name')} {manifest.get('created')}")
        found = self._search(f"tags.`{RUN_TAG}` = '{identity}'")
        if not found:
            tags = {RUN_TAG: identity, **_about(manifest)}
            run = client.create_run(
                self._experiment, tags=tags, run_name=str(manifest.get("name"))
            )
            self._parent = run.info.run_id
            return
        self._parent = found[0].info.run_id
        client.update_run(self._parent, status="RUNNING")
        for run in self._search(f"tags.`{_PARENT}` = '{self._parent}'"):
            tags = run.data.tags
            if TRIAL_TAG in tags:
                key = (tags.get(PHASE_TAG, "search"), int(tags[TRIAL_TAG]))
                self._children[key] = run.info.run_id

    def _search(self, condition: str) -> list[Any]:
        found, token = [], None
        while True:
            page = self._client.search_runs(
                [self._experiment], condition, max_results=1000, page_token=token
            )
            found += list(page)
            token = getattr(page, "token", None)
            if not token:
                return found

    def _child(self, key: _Key, name: str, params: dict[str, Any] | None = None) -> str:
        """Id of the run of a trial, begun if it has none."""
        self._begin()
        if key in self._children:
            if params is not None:
                self._client.update_run(self._children[key], status="RUNNING")
            return self._children[key]
        phase, number = key
        tags = {_PARENT: self._parent, TRIAL_TAG: str(number), PHASE_TAG: phase}
        run = self._client.create_run(self._experiment, tags=tags, run_name=name)
        self._children[key] = str(run.info.run_id)
        if params:
            from mlflow.entities import Param

            given = [Param(path, str(value)) for path, value in params.items()]
            self._client.log_batch(self._children[key], params=given)
        return self._children[key]

    def _log(
        self, key: _Key, name: str, metrics: dict[str, float], epoch: int, moment: int
    ) -> None:
        from mlflow.entities import Metric

        given = [Metric(metric, value, moment, epoch) for metric, value in metrics.items()]
        self._client.log_batch(self._child(key, name), metrics=given)

    def _note_retry(self, key: _Key, name: str, reason: str) -> None:
        self._client.set_tag(self._child(key, name), "evolve.retried", reason[:500])

    def _end(self, key: _Key, name: str, state: str, value: float | None, reason: str) -> None:
        run = self._child(key, name)
        self._client.set_tag(run, "evolve.state", state)
        if state == "FAIL":
            kind, _, what = reason.partition(": ")
            self._client.set_tag(run, "evolve.failure", kind)
            self._client.set_tag(run, "evolve.reason", what[:500])
        self._client.set_terminated(run, "FAILED" if state == "FAIL" else "FINISHED")
        phase, number = key
        better = state == "COMPLETE" and value is not None and value > self._best
        if better and phase == "search" and value is not None:
            self._best = value
            self._client.log_metric(self._parent, "best", value, step=number)

    def _finish(self, status: str) -> None:
        if self._parent:
            self._client.set_terminated(self._parent, status)


def _plain(text: str) -> str:
    """Text without what ends a text in MLflow's filters."""
    return text.replace("\\", "").replace("'", "")


def _about(manifest: dict[str, Any]) -> dict[str, str]:
    keys = ("objective", "sampler", "scheduler", "seed", "trials")
    return {f"evolve.{key}": str(manifest[key]) for key in keys if key in manifest}


@contextmanager
def tracked(uri: str | None, warn: Warn) -> Iterator[tuple[MlflowListener, ...]]:
    """The listener that notes a run at a tracking URI; none without one."""
    if uri is None:
        yield ()
        return
    check_mlflow()
    listener = MlflowListener(partial(connect, uri), Background(warn))
    status = "FAILED"
    try:
        yield (listener,)
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        listener.finish(status)
