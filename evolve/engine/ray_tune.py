"""The engine on Ray Tune: trials side by side, in processes that are used again.

Ray holds nothing that must last. Its own results and experiment files go to a temporary folder
that is deleted in the end; whatever is killed, the run goes on from the store.
"""

import logging
import os
import re
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import ray
from ray import tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from evolve.engine.director import Director
from evolve.engine.failures import failure
from evolve.engine.offspring import children, end_with
from evolve.engine.placement import Placement
from evolve.engine.schedulers import Decision
from evolve.engine.trial import TrialTask, run_trial
from evolve.errors import RunError
from evolve.store.folder import from_line, to_line

# Read by Ray when it starts and when a search begins. Nothing is sent anywhere, nothing is
# printed over our progress, and an interrupt is ours to handle.
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "100000",
    "TUNE_MAX_PENDING_TRIALS_PG": "1",
    "TUNE_WARN_THRESHOLD_S": "60",
}


LOST_NODE = re.compile(
    r"node (has died|is dead|was (terminated|preempted|forcibly))|NodeDiedError"
    r"|node it was running on is dead"
    r"|Owner's node has crashed|actor is temporarily unavailable"
)
"""What Ray says when a machine is gone; the last of it before it knows so itself."""


class Shipped(Protocol):
    """Data that were sent to the machines of a cluster."""

    def here(self) -> Path:
        """Where they are on this machine."""


class EpochSteps(tune.Trainable):
    """One trial as Ray Tune sees it: a step is an epoch.

    A finished actor takes the next trial without a new process: torch, the data set and the
    decoded images stay where they are.
    """

    def setup(self, config: dict[str, Any], shipped: Shipped | None = None) -> None:
        """Begin the trial in `config`, on the data that were sent if there are any."""
        self._shipped = shipped
        self._begin(TrialTask(**config["task"]))

    def _begin(self, task: TrialTask) -> None:
        if self._shipped is not None:
            task = replace(task, data=str(self._shipped.here()))
        self._rows = run_trial(task)

    def step(self) -> dict[str, Any]:
        """Train an epoch; its row, as text because Ray takes dictionaries apart."""
        row = next(self._rows)
        done = "failure" in row or "halted" in row or row["epoch"] == row["epochs"]
        return {"row": to_line(row), "done": done}

    def cleanup(self) -> None:
        """Close the trial's files."""
        self._rows.close()

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Leave the old trial and begin another in this process."""
        self._rows.close()
        self._begin(TrialTask(**new_config["task"]))
        return True


class DirectedSearch(Searcher):
    """Ray Tune's view of a director: suggestions from it, ends to it.

    A trial that is paused ends here; when it goes on it is another trial of Ray's. So Ray's
    trials are parts of trials, and nothing but the director knows a trial as a whole.
    """

    def __init__(self, director: Director) -> None:
        super().__init__()
        self._director = director
        self._numbers: dict[str, int] = {}
        self._rows: dict[str, dict[str, Any]] = {}
        self._deaths: dict[str, dict[str, Any]] = {}

    def set_search_properties(
        self,
        metric: str | None,  # noqa: ARG002  (Ray's signature)
        mode: str | None,  # noqa: ARG002
        config: Any,  # noqa: ARG002
        **spec: Any,  # noqa: ARG002
    ) -> bool:
        """Accept: objective and direction are the director's."""
        return True

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next trial's task; None to be asked again later, or the end."""
        task = self._director.next_task()
        if task is None:
            return str(Searcher.FINISHED) if self._director.over() else None
        self._numbers[trial_id] = task.number
        return {"task": task.to_dict()}

    def take(self, trial_id: str, result: dict[str, Any]) -> Decision:
        """Tell the director of an epoch."""
        row = self._rows[trial_id] = from_line(result["row"])
        return self._director.take(self._numbers[trial_id], row)

    def note_death(self, trial_id: str, text: str) -> None:
        """Remember why the process of a trial has died."""
        self._deaths[trial_id] = death_of(text)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell the director that a part of a trial is over."""
        number = self._numbers.pop(trial_id)
        row = self._rows.pop(trial_id, None)
        death = self._deaths.pop(trial_id, None)
        if error:
            self._director.finish(number, row, death or death_of(""))
            return
        if result is not None and "row" in result:
            last = from_line(result["row"])
            if row is None or last != row:  # Ray tells of a trial's last result only here
                row = last
                self._director.take(number, row)
        self._director.finish(number, row)

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Ray writes searchers down when a search begins, and never reads this one."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the store is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the store is the state."""


class Directed(FIFOScheduler):
    """Ray Tune's scheduler, which only passes on what the director decides.

    Parameters
    ----------
    search : DirectedSearch
    """

    def __init__(self, search: DirectedSearch) -> None:
        super().__init__()
        self._search = search

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:  # noqa: ARG002
        """Go on or stop; a paused trial is stopped here, and begun again when it goes on."""
        goes_on = self._search.take(trial.trial_id, result) is Decision.GO
        return str(TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:  # noqa: ARG002
        """Learn why the process of a trial has died, from the text that Ray keeps of it."""
        text = Path(trial.error_file).read_text(encoding="utf-8", errors="replace")
        self._search.note_death(trial.trial_id, text)


def death_of(text: str) -> dict[str, Any]:
    """Failure of a process from what Ray says of its end; empty if it says nothing."""
    if "low on memory" in text or "OutOfMemoryError" in text or "memory pressure" in text:
        return failure("oom", "the machine ran out of memory, and its process was killed")
    if LOST_NODE.search(text):
        return failure("lost-node", "its machine is gone")
    if "RayTaskError" in text or "Traceback" in text:
        lines = text.strip().splitlines()
        return failure("error", lines[-1], lines[-20:])
    return failure("killed", "its process ended unexpectedly")


def set_up_environment(**more: str) -> None:
    """Set what Ray reads, `QUIET` and more; what the user has set stays."""
    for name, value in {**QUIET, **more}.items():
        os.environ.setdefault(name, value)


@contextmanager
def local_ray(placement: Placement) -> Iterator[None]:
    """A Ray of this process's own, gone at the end; whatever else runs here is left alone."""
    # here there is a place for each trial at once: all their processes may start together
    set_up_environment(TUNE_MAX_PENDING_TRIALS_PG=str(placement.workers))
    others = children([os.getpid()])
    try:
        with signals_kept():
            ray.init(
                address="local",
                num_cpus=max(placement.cpus, placement.workers),
                num_gpus=placement.gpus,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                configure_logging=True,
            )
    except Exception as error:  # a bare one where a busy machine is too slow for it
        end_with(ray.shutdown, children([os.getpid()]) - others)
        raise RunError(
            f"Ray did not start: {str(error).split('. ')[0].rstrip('.')}",
            "this machine",
            "go on with 'evolve resume' when it has less to do, or add --engine inline",
        ) from error
    own = children([os.getpid()]) - others
    try:
        yield
    finally:
        # its workers see by themselves that it is gone, a moment later
        end_with(ray.shutdown, own)


@contextmanager
def signals_kept() -> Iterator[None]:
    """Take signals back from Ray, whose handlers end the process at once."""
    handlers = {kind: signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for kind, handler in handlers.items():
                signal.signal(kind, handler)


def is_running() -> bool:
    """Whether this process has a Ray."""
    return bool(ray.is_initialized())


def run_on_ray(director: Director, placement: Placement, shipped: Shipped | None = None) -> None:
    """Run all trials of a director on the Ray of this process.

    An interrupt leaves them resumable. Trials read the data that were `shipped`, if any were.
    """
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # the director tells of every end
    search = DirectedSearch(director)
    steps = tune.with_parameters(EpochSteps, shipped=shipped) if shipped else EpochSteps
    with tempfile.TemporaryDirectory(prefix="evolve-ray-") as scratch:
        fit = _fit_as_client if ray.util.client.ray.is_connected() else _fit
        fit(
            trainable=tune.with_resources(steps, lambda config: demands(config, placement)),
            tune_config=tune.TuneConfig(
                search_alg=search,
                scheduler=Directed(search),
                num_samples=-1,
                max_concurrent_trials=placement.workers,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name="run",
                storage_path=scratch,
                verbose=0,
                checkpoint_config=tune.CheckpointConfig(
                    checkpoint_frequency=0, checkpoint_at_end=False
                ),
                failure_config=tune.FailureConfig(max_failures=0),
            ),
        )


def _fit(**settings: Any) -> None:
    tune.Tuner(**settings).fit()


def _fit_as_client(**settings: Any) -> None:
    """Let Tune's loop stay in this process, where the study is.

    With Ray's client it would move to the cluster. It only goes there for the folder of a
    session, of which a client has none.
    """
    from ray.train._internal import storage
    from ray.tune.impl.tuner_internal import TunerInternal

    with tempfile.TemporaryDirectory(prefix="evolve-session-") as session:
        before = storage._get_ray_train_session_dir
        storage._get_ray_train_session_dir = lambda: session
        try:
            TunerInternal(**settings, _tuner_kwargs={"_remote": False}).fit()
        finally:
            storage._get_ray_train_session_dir = before


def demands(config: dict[str, Any], placement: Placement) -> tune.PlacementGroupFactory:
    """What a trial needs of a machine: its share, or all of a device if it must be alone."""
    alone = config["task"]["alone"]
    all_cpus = placement.cpus_alone or placement.cpus
    cpus = all_cpus if alone and not placement.gpus else placement.threads
    gpus = 1.0 if alone and 0 < placement.gpus_per_trial < 1 else placement.gpus_per_trial
    share = {"CPU": float(cpus), "GPU": gpus, "memory": float(placement.memory_bytes)}
    return tune.PlacementGroupFactory([{k: v for k, v in share.items() if v}])
