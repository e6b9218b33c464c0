"""Runs and ablations from Python: what the command line does, with results to work with.

`from evolve import run, ablate` gives these functions. Their errors are `EvolveError`s that say
what is wrong, where, and how to mend it. The same call again continues what was interrupted.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from evolve.errors import EvolveError, nearest
from evolve.results import RunResult, TableResult
from model.errors import ModelError

if TYPE_CHECKING:
    from evolve.engine.director import Listener
    from evolve.session import EngineName, Request

ENGINES: tuple[str, ...] = ("ray", "inline")
Files = str | Path | Sequence[str | Path]


def run(
    space: str | Path = "ga",
    data: str | Path | None = None,
    *,
    model: str | None = None,
    trials: int | None = None,
    settings: Mapping[str, Any] | None = None,
    confirm: str | None = None,
    sampler: str | None = None,
    scheduler: str | None = None,
    fidelity: float | None = None,
    promote: int | None = None,
    budget: str | None = None,
    until_no_gain: int | None = None,
    max_failures: int | None = None,
    warm_start: Files = (),
    seed: int = 0,
    engine: "EngineName" = "ray",
    workers: int | None = None,
    gpus_per_trial: float | Literal["auto"] = "auto",
    address: str | None = None,
    ship_data: bool = False,
    probe: bool = True,
    storage: str | None = None,
    out: str | Path | None = None,
    progress: bool = True,
    trainer: str = "detector",
) -> RunResult:
    """Evolve the hyperparameters of a detector on a data set, as `evolve run` does.

    Parameters
    ----------
    space : str or Path
        Space file, or the name of one that comes with evolve.
    data : str or Path, optional
        Folder or annotations file in COCO format; default: the embedded digits.
    model : str, optional
        Of the zoo; default: the space's.
    trials : int, optional
        In all; default: the space's.
    settings : mapping, optional
        Values of the training configuration by key path, such as ``{"epochs": 5}``.
    confirm : str, optional
        Size of the final comparison, such as ``"3x3"``; ``"0"`` leaves it out.
    sampler, scheduler : str, optional
        Default: the space's.
    fidelity : float, optional
        Part of each training to search with, in (0, 1); it takes the scheduler promote.
    promote : int, optional
        How many are trained in full then.
    budget : str, optional
        Time for all of it: ``"45m"``, ``"12h"``, ``"24gpuh"``.
    until_no_gain, max_failures : int, optional
        When the run stops early.
    warm_start : path or sequence of paths
        Earlier runs or study cards to begin with.
    seed : int
    engine : {"ray", "inline"}
        Ray Tune, or one trial at a time in this process.
    workers : int, optional
        Trials at once.
    gpus_per_trial : float or "auto"
    address : str, optional
        Of a Ray cluster that is there.
    ship_data : bool
        Whether the data are sent to its machines.
    probe : bool
        Whether a few steps are measured first, to tell time and memory.
    storage : str, optional
        Optuna storage URL; default: study.db in the run folder.
    out : str or Path, optional
        Run folder; default: runs/SPACE-DATA. One that holds the same run is continued.
    progress : bool
        Whether a line is written to stdout for every trial.
    trainer : str
        For tests.

    Returns
    -------
    RunResult

    Raises
    ------
    EvolveError
        For all that is wrong with what was asked for, before any trial begins.
    KeyboardInterrupt
        After an orderly stop; the same call goes on.

    Examples
    --------
    >>> from evolve import run
    >>> result = run("ga", "mydata", trials=30, budget="2h")  # doctest: +SKIP
    >>> result.best.params                                    # doctest: +SKIP
    """
    from evolve.requests import run_request
    from evolve.runs import start_run

    with _told_as_ours():
        _check_counts(trials=trials, promote=promote, workers=workers)
        _check_counts(0, until_no_gain=until_no_gain, max_failures=max_failures, seed=seed)
        given = {
            "budget": budget,
            "until_no_gain": until_no_gain,
            "max_failures": max_failures,
            "fidelity": _part(fidelity),
            "promote": promote,
        }
        request = run_request(
            space,
            None if data is None else str(data),
            named={"model": model, "trials": trials, "sampler": sampler, "scheduler": scheduler},
            overrides=_items(settings),
            confirm=confirm,
            given=given,
            warm_start=_paths(warm_start),
            out=None if out is None else Path(out),
            trainer=trainer,
            seed=seed,
            **_machines(engine, workers, gpus_per_trial, address, ship_data, probe, storage),
            command="evolve.run(...) in Python",
        )
        folder = _started(
            request, request.space.objective, progress, lambda told: start_run(request, told)
        )
        result = _loaded(folder, request)
        assert isinstance(result, RunResult)
        return result


def ablate(
    table: str | Path = "bof",
    data: str | Path | None = None,
    *,
    model: str | None = None,
    epochs: int | None = None,
    settings: Mapping[str, Any] | None = None,
    seeds: int | Literal["auto"] = 3,
    region: float | None = None,
    ga: str | Path | None = None,
    teacher: str | Path | None = None,
    reuse: Files = (),
    share: bool = True,
    budget: str | None = None,
    max_failures: int | None = None,
    seed: int = 0,
    engine: "EngineName" = "ray",
    workers: int | None = None,
    gpus_per_trial: float | Literal["auto"] = "auto",
    address: str | None = None,
    ship_data: bool = False,
    probe: bool = True,
    storage: str | None = None,
    out: str | Path | None = None,
    progress: bool = True,
    trainer: str = "detector",
) -> TableResult:
    """Train the rows of an ablation table and judge them, as `evolve ablate` does.

    Parameters
    ----------
    table : str or Path
        Table file, or the name of one that comes with evolve.
    data, model, settings, max_failures, seed, trainer
        As for `run`.
    epochs : int, optional
        Passes over the training images; default: the table's, else 20.
    seeds : int or "auto"
        Trainings of every row; auto adds some row by row until the verdicts stand.
    region : float, optional
        Differences in [0, 1] that are as good as none; default: 0.002.
    ga : str or Path, optional
        Run whose winner gives the ingredient GA its values.
    teacher : str or Path, optional
        Weights of the teacher of the ingredient KD.
    reuse : path or sequence of paths
        Runs whose trainings are taken over where they are the same.
    share : bool
        Whether runs beside this one are looked through for such trainings, too.
    budget : str, optional
        Time for all of it.
    engine, workers, gpus_per_trial, address, ship_data, probe, storage
        As for `run`.
    out : str or Path, optional
        Run folder; default: runs/TABLE-DATA. One that holds the same table is continued.
    progress : bool
        Whether a line is written to stdout for every training.

    Returns
    -------
    TableResult

    Raises
    ------
    EvolveError
        For all that is wrong with what was asked for, before anything is trained.
    KeyboardInterrupt
        After an orderly stop; the same call goes on.

    Examples
    --------
    >>> from evolve import ablate
    >>> print(ablate("bof", "mydata", epochs=40))  # doctest: +SKIP
    """
    from evolve.ablations import start_ablation
    from evolve.requests import ablation_request, items_of

    with _told_as_ours():
        _check_counts(epochs=epochs, workers=workers, seeds=None if seeds == "auto" else seeds)
        _check_counts(0, max_failures=max_failures, seed=seed)
        if reuse and not share:
            raise EvolveError("share=False takes nothing from other runs", "reuse", "leave it out")
        request, _ = ablation_request(
            table,
            None if data is None else str(data),
            model=model,
            overrides=[*items_of(epochs=epochs), *_items(settings)],
            seeds=seeds,
            region=_part(region, "region"),
            budget=budget,
            ga=None if ga is None else Path(ga),
            teacher=None if teacher is None else Path(teacher),
            out=None if out is None else Path(out),
            trainer=trainer,
            max_failures=max_failures,
            donors=tuple(_paths(reuse)),
            shares=share,
            seed=seed,
            **_machines(engine, workers, gpus_per_trial, address, ship_data, probe, storage),
            command="evolve.ablate(...) in Python",
        )
        folder = _started(
            request, request.table.objective, progress, lambda told: start_ablation(request, told)
        )
        result = _loaded(folder, request)
        assert isinstance(result, TableResult)
        return result


# -- how it is watched and stopped -----------------------------------------------------------


def _started(
    request: "Request",
    objective: str,
    progress: bool,
    start: "Callable[[Listener], Any]",
) -> Path:
    """Start or continue what is asked for, under a watcher; its folder."""
    from evolve.cli.progress import PlainWatcher, RunView, remember_earlier
    from evolve.engine.interrupt import signals
    from evolve.store.folder import RunFolder
    from evolve.store.manifest import ABLATION, kind_of
    from evolve.store.read import read_manifest

    view = RunView(0, request.workers or 1, objective)
    place = RunFolder(request.out)
    if place.manifest.is_file() and kind_of(read_manifest(place)) != ABLATION:
        remember_earlier(request.out, view)
    watcher = PlainWatcher(view, quiet=not progress, say=_say)
    try:
        with signals(None):
            start(watcher)
    except KeyboardInterrupt:
        words = f"interrupted; nothing finished is lost: the same call continues {request.out}"
        raise KeyboardInterrupt(words) from None
    return request.out


def _say(line: str) -> None:
    """Write a line to stdout: a notebook shows stderr as if something were wrong."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _loaded(folder: Path, request: "Request") -> RunResult | TableResult:
    from evolve.results import load

    return load(folder, request.data.argument)


@contextmanager
def _told_as_ours() -> Iterator[None]:
    """Let errors of the detector be errors of evolve, so that one `except` is enough."""
    try:
        yield
    except EvolveError:
        raise
    except ModelError as error:
        raise EvolveError(error.what, error.where, error.mend) from error


# -- what is given ---------------------------------------------------------------------------


def _machines(
    engine: str,
    workers: int | None,
    gpus_per_trial: float | Literal["auto"],
    address: str | None,
    ship_data: bool,
    probe: bool,
    storage: str | None,
) -> dict[str, Any]:
    """Where trials run, as keywords of a request."""
    from evolve.store.servers import keep_password

    if engine not in ENGINES:
        raise EvolveError(f"no engine '{engine}'", "engine", nearest(str(engine), ENGINES))
    return {
        "engine": engine,
        "workers": workers,
        "gpus_per_trial": gpus_per_trial,
        "address": address,
        "ship_data": ship_data,
        "probes": probe,
        "storage": None if storage is None else keep_password(storage),
    }


def _items(settings: Mapping[str, Any] | None) -> list[str]:
    """``key=value`` items, values as YAML."""
    import yaml

    def text(value: Any) -> str:
        try:
            dumped = yaml.safe_dump(value, default_flow_style=True, width=10**6)
        except yaml.YAMLError as error:
            what = f"a setting cannot be of type {type(value).__name__}"
            raise EvolveError(what, "settings", "give numbers, texts, or lists of them") from error
        return str(dumped).removesuffix("...\n").strip()

    return [f"{key}={text(value)}" for key, value in (settings or {}).items()]


def _paths(given: Files) -> list[Path]:
    return [Path(given)] if isinstance(given, (str, Path)) else [Path(one) for one in given]


def _check_counts(least: int = 1, **counts: Any) -> None:
    mend = f"take {least} or more"
    for name, count in counts.items():
        if count is None:
            continue
        if isinstance(count, bool) or not isinstance(count, int):
            raise EvolveError(f"{name} is no whole number: {count!r}", name, mend)
        if count < least:
            raise EvolveError(f"{name} cannot be {count}", name, mend)


def _part(value: float | None, name: str = "fidelity") -> float | None:
    """A part of one, if it is given."""
    if value is not None and not 0 < value < 1:
        raise EvolveError(f"{name} cannot be {value}", name, "take a number between 0 and 1")
    return value
