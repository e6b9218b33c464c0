"""The engine on Ray Tune: trials side by side, in processes that are used again.

Ray holds nothing that must last. Its own results and experiment files go to a temporary folder
that is deleted in the end; whatever is killed, the run goes on from the store.
"""

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray import tune
from ray.tune.search import Searcher

from evolve.engine.director import Director
from evolve.engine.resources import Resources
from evolve.engine.schedulers import decisive
from evolve.engine.trial import TrialTask, run_trial
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


class EpochSteps(tune.Trainable):
    """One trial as Ray Tune sees it: a step is an epoch.

    A finished actor takes the next trial without a new process: torch, the data set and the
    decoded images stay where they are.
    """

    def setup(self, config: dict[str, Any]) -> None:
        """Begin the trial in `config`."""
        self._rows = run_trial(TrialTask(**config["task"]))

    def step(self) -> dict[str, Any]:
        """Train an epoch; its row, as text because Ray takes dictionaries apart."""
        row = next(self._rows)
        done = "failure" in row or row["epoch"] == row["epochs"]
        return {"row": to_line(row), "done": done, **decisive(row)}

    def cleanup(self) -> None:
        """Close the trial's files."""
        self._rows.close()

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Leave the old trial and begin another in this process."""
        self._rows.close()
        self.setup(new_config)
        return True


class StoreSearcher(Searcher):
    """Ray Tune's view of a director: suggestions from it, results to it.

    Ray tells a searcher of a trial's end in the same words whether it was stopped early or ran
    to its end; the director knows from the epochs.
    """

    def __init__(self, director: Director) -> None:
        super().__init__()
        self._director = director
        self._numbers: dict[str, int] = {}
        self._rows: dict[str, dict[str, Any]] = {}

    def set_search_properties(
        self,
        metric: str | None,  # noqa: ARG002  (Ray's signature)
        mode: str | None,  # noqa: ARG002
        config: Any,  # noqa: ARG002
        **spec: Any,  # noqa: ARG002
    ) -> bool:
        """Accept: objective and direction are the director's."""
        return True

    def suggest(self, trial_id: str) -> dict[str, Any] | str:
        """The next trial's task, or the end."""
        task = self._director.next_task()
        if task is None:
            return str(Searcher.FINISHED)
        self._numbers[trial_id] = task.number
        return {"number": task.number, "task": task.to_dict()}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Store an epoch."""
        row = self._rows[trial_id] = from_line(result["row"])
        self._director.record(self._numbers[trial_id], row)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Close a trial."""
        number = self._numbers.pop(trial_id)
        row = self._rows.pop(trial_id, None)
        if error:
            self._director.finish(number, row, died="its process ended unexpectedly")
            return
        if result is not None and "row" in result:
            last = from_line(result["row"])
            if row is None or last != row:  # Ray tells of a trial's last result only here
                row = last
                self._director.record(number, row)
        self._director.finish(number, row)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the store is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the store is the state."""


@contextmanager
def local_ray(resources: Resources) -> Iterator[None]:
    """A Ray of this process's own, gone at the end."""
    os.environ.update({name: os.environ.get(name, value) for name, value in QUIET.items()})
    ray.init(
        num_cpus=max(resources.cpus, resources.workers),
        num_gpus=resources.gpus,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        configure_logging=True,
    )
    try:
        yield
    finally:
        ray.shutdown()


def is_running() -> bool:
    """Whether this process has a Ray."""
    return bool(ray.is_initialized())


def run_on_ray(director: Director, resources: Resources) -> None:
    """Run all trials of a director on a Ray of `local_ray`; an interrupt leaves them resumable."""
    with tempfile.TemporaryDirectory(prefix="evolve-ray-") as scratch:
        cpus = max(1, resources.cpus // resources.workers)
        share = {"cpu": cpus, "gpu": resources.gpus_per_trial}
        tuner = tune.Tuner(
            tune.with_resources(EpochSteps, {k: v for k, v in share.items() if v}),
            tune_config=tune.TuneConfig(
                search_alg=StoreSearcher(director),
                scheduler=director.scheduler,
                num_samples=-1,
                max_concurrent_trials=resources.workers,
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
        tuner.fit()
