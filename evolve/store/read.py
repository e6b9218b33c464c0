"""A stored run as plain frames: no engine, no torch, no ray."""

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna.trial import FrozenTrial, TrialState

from evolve.attributes import ORIGIN, PARENTS, RECIPE
from evolve.errors import StoreError
from evolve.objectives import COSTS, cost_of
from evolve.seeds import trial_seed
from evolve.store.bulk import no_garbage
from evolve.store.folder import RunFolder
from evolve.store.manifest import RUN, check_kind, check_version
from evolve.store.records import ParameterRecord, RunRecord
from evolve.store.shape import check_manifest, check_trial
from evolve.store.study import (
    COST_ATTR,
    METRICS_ATTR,
    STUDY_NAME,
    attempts_of,
    cost_value,
    failure_of,
    first_value,
    is_rejected,
    sqlite_url,
)
from evolve.store.trials import read_trials

if TYPE_CHECKING:
    import pandas as pd

METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl")
EPOCH_COLUMNS = (
    *("AP", "AP50", "loss", "loss_box", "loss_obj", "loss_cls", "lr"),
    *("train_time_s", "eval_time_s"),
)


def read_manifest(folder: RunFolder) -> dict[str, Any]:
    """The manifest of a run; a StoreError if it cannot be read."""
    try:
        manifest = json.loads(folder.manifest.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(
            f"the manifest cannot be read: {error}", str(folder.manifest), "restore it"
        ) from error
    if not isinstance(manifest, dict):
        raise StoreError("the manifest is not a JSON object", str(folder.manifest), "restore it")
    check_manifest(manifest, folder.manifest)
    check_version(manifest, folder.path)
    return manifest


def storage_url(folder: RunFolder, manifest: dict[str, Any]) -> str:
    """Where the run's study lies: the URL in the manifest, else the folder's own file."""
    return str(manifest.get("storage") or sqlite_url(folder.study))


def study_name(manifest: dict[str, Any], comparison: str = "") -> str:
    """Name of the study of a run's search, or of one of its comparisons, in the run's storage."""
    search = str(manifest.get("study", STUDY_NAME))
    return f"{search}-{comparison}" if comparison else search


def read_run(path: Path) -> RunRecord:
    """Read a run, finished or not, from its folder.

    Raises
    ------
    StoreError
        If the folder holds no evolution, or its study cannot be opened.
    """
    folder = RunFolder.open(path)
    manifest = read_manifest(folder)
    check_kind(manifest, RUN, path)
    with no_garbage():
        return _read_run(folder, manifest)


def _read_run(folder: RunFolder, manifest: dict[str, Any]) -> RunRecord:
    trials = stored_trials(folder, manifest)
    rows = {trial.number: folder.trial(trial.number).read_metrics() for trial in trials}
    parameters = _parameters(manifest)
    return RunRecord(
        folder=folder.path,
        manifest=manifest,
        parameters=parameters,
        trials=_trial_frame(trials, rows, manifest, parameters),
        epochs=_epoch_frame(rows),
        attempts={t.number: attempts for t in trials if (attempts := attempts_of(t))},
        failures={t.number: failure for t in trials if (failure := failure_of(t))},
        recipes={t.number: dict(t.user_attrs[RECIPE]) for t in trials if t.user_attrs.get(RECIPE)},
    )


def stored_trials(
    folder: RunFolder,
    manifest: dict[str, Any],
    comparison: str = "",
    *,
    whole: bool = True,
    first: int = 0,
) -> list[FrozenTrial]:
    """Trials of a run's search, or of a comparison of it, without those only proposed.

    They are read and not touched; `whole` and `first` as in `read_trials`.
    """
    if not manifest.get("storage") and not folder.study.is_file():
        return []
    name = study_name(manifest, comparison)
    url = storage_url(folder, manifest)
    trials = read_trials(url, name, whole=whole, first=first)
    for trial in trials:
        check_trial(trial, url)
    return [trial for trial in trials if not is_rejected(trial)]


def _parameters(manifest: dict[str, Any]) -> tuple[ParameterRecord, ...]:
    stored = manifest.get("space", {}).get("parameters", {})
    return tuple(
        ParameterRecord(
            path=path,
            kind=spec["type"],
            scale=spec.get("scale", "linear"),
            low=spec.get("low"),
            high=spec.get("high"),
            choices=tuple(spec["choices"]) if "choices" in spec else None,
            default=spec["default"],
            why=spec.get("why", ""),
            when={parent: tuple(values) for parent, values in spec.get("when", {}).items()},
        )
        for path, spec in stored.items()
        if spec["type"] != "fixed"
    )


def _trial_frame(
    trials: list[FrozenTrial],
    rows: dict[int, list[dict[str, Any]]],
    manifest: dict[str, Any],
    parameters: tuple[ParameterRecord, ...],
) -> "pd.DataFrame":
    import pandas as pd  # half a second, which who reads no frame is spared

    records = [_trial_row(trial, rows[trial.number], manifest, parameters) for trial in trials]
    columns = [
        *("number", "state", "reason", "value", "epochs_done", "epochs", "seed", "wall_time_s"),
        *("started", "finished", "origin", "parents", *METRICS),
        *(("cost",) if cost_of(manifest) else ()),
        *(f"params.{parameter.path}" for parameter in parameters),
    ]
    frame = pd.DataFrame(records, columns=columns)
    for parameter in parameters:
        if parameter.choices is not None:  # a gap would turn whole numbers into fractions
            name = f"params.{parameter.path}"
            frame[name] = pd.Series([record[name] for record in records], dtype=object)
    frame["started"] = pd.to_datetime(frame["started"], utc=True)
    frame["finished"] = pd.to_datetime(frame["finished"], utc=True)
    return frame


def _trial_row(
    trial: FrozenTrial,
    rows: list[dict[str, Any]],
    manifest: dict[str, Any],
    parameters: tuple[ParameterRecord, ...],
) -> dict[str, Any]:
    failure = failure_of(trial)
    stored = trial.user_attrs.get(METRICS_ATTR) or (rows[-1]["metrics"] if rows else {})
    complete = trial.state == TrialState.COMPLETE
    value = first_value(trial) if complete else _last_value(trial, rows)
    return {
        "number": trial.number,
        "state": trial.state.name,
        "reason": f"{failure['type']}: {failure['what']}" if failure else "",
        "value": math.nan if value is None else value,
        "epochs_done": len(rows),
        "epochs": int(manifest.get("train", {}).get("epochs", 0)),
        "seed": trial_seed(int(manifest.get("seed", 0)), trial.number),
        "wall_time_s": _seconds(trial, rows),
        "started": _utc(trial.datetime_start),
        "finished": _utc(trial.datetime_complete),
        "origin": trial.user_attrs.get(ORIGIN, ""),
        "parents": tuple(trial.user_attrs.get(PARENTS, ())),
        **{name: _number(stored.get(name)) for name in METRICS},
        "cost": _cost(trial, cost_of(manifest)),
        **{f"params.{p.path}": trial.params.get(p.path) for p in parameters},
    }


def _last_value(trial: FrozenTrial, rows: list[dict[str, Any]]) -> float | None:
    """Value after the last epoch; with several objectives the trial's folder has it."""
    values = trial.intermediate_values
    if not values and COST_ATTR in trial.user_attrs and rows:
        return float(rows[-1]["objective"])
    return values[max(values)] if values else None


def _cost(trial: FrozenTrial, name: str) -> float:
    """Second objective of a trial, NaN if it has none; it is known before the trial ends."""
    if not name:
        return math.nan
    value = cost_value(trial)
    known = trial.user_attrs.get(COST_ATTR, {})
    return _number(known.get(COSTS[name].figure) if value is None else value)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _utc(moment: datetime | None) -> datetime | None:
    """Optuna stores local times without a zone."""
    return None if moment is None else moment.astimezone(UTC)


def _seconds(trial: FrozenTrial, rows: list[dict[str, Any]]) -> float:
    """Seconds spent on epochs; a pause between two sessions does not count."""
    spent = [
        _number(row["metrics"].get("train_time_s", 0.0))
        + _number(row["metrics"].get("eval_time_s", 0.0))
        for row in rows
    ]
    if any(spent):
        return float(sum(spent))
    return trial.duration.total_seconds() if trial.duration else 0.0


def _epoch_frame(rows: dict[int, list[dict[str, Any]]]) -> "pd.DataFrame":
    import pandas as pd

    records = [
        {
            "number": number,
            "epoch": row["epoch"],
            **{name: _number(row["metrics"].get(name)) for name in EPOCH_COLUMNS},
            "wall_time_s": _number(row["metrics"].get("train_time_s"))
            + _number(row["metrics"].get("eval_time_s")),
        }
        for number, several in rows.items()
        for row in several
    ]
    return pd.DataFrame(records, columns=["number", "epoch", *EPOCH_COLUMNS, "wall_time_s"])
