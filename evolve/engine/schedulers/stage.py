"""What a scheduler of Ray Tune's works with here: trials without Ray, known by their numbers.

Ray's schedulers pause trials, let one go on, clone another's checkpoint: they ask all of that of
Ray's controller and write it into Ray's trials. A `Stage` is such a controller and a `StageTrial`
such a trial, as far as schedulers look; nothing runs in them. So one and the same scheduler serves
every engine, and a restart rebuilds it from what is stored.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import getstate, seed, setstate
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

from ray.tune.experiment import Trial

if TYPE_CHECKING:
    from evolve.engine.schedulers.kinds import Kind


class Saved(NamedTuple):
    """A checkpoint that a scheduler asked for: of which trial, after how many epochs."""

    number: int
    epoch: int


def _run_metadata() -> SimpleNamespace:
    keeps = SimpleNamespace(num_to_keep=None)
    manager = SimpleNamespace(checkpoint_config=keeps, _latest_checkpoint_result=None)
    return SimpleNamespace(checkpoint_manager=manager)


@dataclass(eq=False)
class StageTrial:
    """A trial as a scheduler of Ray's sees it; until it is asked for, a place for one.

    Attributes
    ----------
    trial_id : str
        The same in every session.
    number : int or None
        None while it is only a place.
    config : dict
        Parameters; a scheduler may change them.
    reached : int
        Epochs whose results the scheduler has seen.
    paused : int
        Which pause of all this was, from 1; 0 if it never paused.
    """

    trial_id: str
    number: int | None = None
    config: dict[str, Any] = field(default_factory=dict)
    status: str = Trial.PENDING
    reached: int = 0
    paused: int = 0
    is_saving: bool = False
    experiment_tag: str = ""
    checkpoint: Saved | None = None
    evaluated_params: dict[str, Any] = field(default_factory=dict)
    run_metadata: SimpleNamespace = field(default_factory=_run_metadata)

    def is_finished(self) -> bool:
        """Whether it has ended, well or not."""
        return self.status in (Trial.TERMINATED, Trial.ERROR)

    def set_config(self, config: dict[str, Any]) -> None:
        """Change the parameters."""
        self.config = config

    def set_experiment_tag(self, tag: str) -> None:
        """Take a name for people, which nobody reads here."""
        self.experiment_tag = tag

    def cloned(self) -> Saved | None:
        """Checkpoint that the scheduler has put in the place of its own; forgotten by the call."""
        manager = self.run_metadata.checkpoint_manager
        found, manager._latest_checkpoint_result = manager._latest_checkpoint_result, None
        return None if found is None else found.checkpoint


class Stage:
    """What stands for Ray's controller.

    Attributes
    ----------
    inner : kinds.Kind
        Who decides.
    trials : list of StageTrial
        In the order in which the scheduler heard of them, places included.
    places : deque of StageTrial
        Those that wait for a trial.
    stopped : list of int
        Paused trials that the scheduler has stopped; whoever tells the study empties it.
    """

    search_alg = None

    def __init__(self, inner: "Kind") -> None:
        self.inner = inner
        self.trials: list[StageTrial] = []
        self.places: deque[StageTrial] = deque()
        self.stopped: list[int] = []

    def add_place(self, config: dict[str, Any]) -> None:
        """Tell the scheduler of a trial that is not asked for yet; `config` has its keys."""
        trial = StageTrial(f"{len(self.trials):05d}", config=config)
        self.trials.append(trial)
        self.places.append(trial)
        self.inner.on_trial_add(self, trial)

    def drop(self, place: StageTrial) -> None:
        """Take back a place that no trial will fill."""
        place.status = Trial.TERMINATED
        self.inner.on_trial_remove(self, place)

    # -- what Ray's schedulers call --------------------------------------------------------

    def get_trials(self) -> list[StageTrial]:
        """All that the scheduler knows."""
        return self.trials

    def get_live_trials(self) -> list[StageTrial]:
        """Those that have not ended."""
        return [trial for trial in self.trials if not trial.is_finished()]

    def pause_trial(self, trial: StageTrial, should_checkpoint: bool = True) -> None:  # noqa: ARG002
        """Pause a trial; its checkpoint is written before its result is told."""
        trial.status = Trial.PAUSED

    def stop_trial(self, trial: StageTrial) -> None:
        """Stop a paused trial."""
        self.inner.on_trial_remove(self, trial)
        trial.status = Trial.TERMINATED
        if trial.number is not None:
            self.stopped.append(trial.number)

    def _schedule_trial_save(self, trial: StageTrial, result: dict[str, Any]) -> Saved:
        assert trial.number is not None
        return Saved(trial.number, result["epoch"])


@contextmanager
def drawn_from(*entropy: int) -> Iterator[None]:
    """Seed the module `random`, which Ray's schedulers draw from, and leave it as it was."""
    before = getstate()
    seed("-".join(map(str, entropy)))
    try:
        yield
    finally:
        setstate(before)
