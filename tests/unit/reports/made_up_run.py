"""A made-up run with every state, from a seed, without any training."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evolve.store.records import ParameterRecord, RunRecord
from model.config import TrainConfig

METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl")
EPOCHS = 10
STATES = (
    *("COMPLETE", "COMPLETE", "PRUNED", "COMPLETE", "FAIL", "COMPLETE"),
    *("PRUNED", "COMPLETE", "PRUNED", "COMPLETE", "FAIL", "RUNNING"),
)
PARAMETERS = (
    ParameterRecord(
        "optimizer.lr", "float", "log", 1e-4, 0.1, None, 0.01, "the setting that matters most"
    ),
    ParameterRecord(
        "optimizer.momentum", "float", "linear", 0.6, 0.98, None, 0.9, "smooths the updates"
    ),
    ParameterRecord(
        "optimizer.weight_decay", "float", "log", 1e-5, 1e-2, None, 5e-4, "keeps weights small"
    ),
    ParameterRecord(
        "augment.mosaic", "float", "linear", 0.0, 1.0, None, 0.5, "four images in one"
    ),
    ParameterRecord("batch_size", "int", "log", 4, 64, None, 16, "images per update"),
    ParameterRecord(
        "loss.box",
        "categorical",
        "linear",
        None,
        None,
        ("mse", "iou", "giou", "diou", "ciou"),
        "ciou",
        "which overlap the box loss measures",
    ),
)


def make_manifest(trials: int = 12) -> dict[str, Any]:
    return {
        "name": "digits-ga",
        "command": ["evolve", "run", "--space", "ga.yaml", "--trials", str(trials)],
        "created": "2026-05-09T10:00:00+00:00",
        "objective": "AP",
        "seed": 0,
        "sampler": "genetic",
        "scheduler": "asha",
        "engine": "inline",
        "workers": 1,
        "trials": trials,
        "data": {
            "path": "digits",
            "name": "digits",
            "digest": "sha256:0f4ac1d2b3",
            "classes": [str(n) for n in range(10)],
            "images": {"train": 480, "val": 120, "test": 120},
            "notes": ["2 images hold no box", "val was split off train with seed 0"],
        },
        "train": TrainConfig(epochs=EPOCHS).to_dict(),
        "versions": {"evolve": "0.1.0", "python": "3.11.7", "torch": "2.9.0", "optuna": "5.0.0"},
        "hardware": {"cpu": "Xeon", "cores": 2, "memory_gb": 15.6, "gpus": []},
        "git": {"commit": "1913f0f2c55a", "dirty": True},
    }


def make_run(
    states: tuple[str, ...] = STATES,
    *,
    seed: int = 0,
    parameters: tuple[ParameterRecord, ...] = PARAMETERS,
    folder: Path = Path("runs/digits-ga"),
) -> RunRecord:
    """A run whose trials end as `states` says; trial 0 is the default configuration."""
    rng = np.random.default_rng(seed)
    trials = [_make_trial(rng, n, state, parameters) for n, state in enumerate(states)]
    epochs = [row for trial, rows in trials for row in rows]
    return RunRecord(
        folder=folder,
        manifest=make_manifest(len(states)),
        parameters=parameters,
        trials=pd.DataFrame([trial for trial, _ in trials]),
        epochs=pd.DataFrame(epochs, columns=_EPOCH_COLUMNS),
    )


_EPOCH_COLUMNS = [
    *("number", "epoch", "AP", "AP50", "loss", "loss_box", "loss_obj", "loss_cls"),
    *("lr", "wall_time_s"),
]


def _make_trial(
    rng: np.random.Generator, number: int, state: str, parameters: tuple[ParameterRecord, ...]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    values = {p.path: p.default if number == 0 else _draw(rng, p) for p in parameters}
    top = 0.30 + 0.12 * rng.random() if number else 0.33
    done = EPOCHS if state == "COMPLETE" else int(rng.integers(2, 6))
    curve = top * (1 - np.exp(-np.arange(1, done + 1) / 3)) + 0.008 * rng.standard_normal(done)
    curve = np.clip(curve, 0, 1)
    ap = float(curve[-1]) if state in {"COMPLETE", "PRUNED"} else math.nan
    started = pd.Timestamp("2026-05-09T10:00:00Z") + pd.Timedelta(minutes=3 * number)
    finished = pd.NaT if state == "RUNNING" else started + pd.Timedelta(seconds=17.5 * done)
    trial = {
        "number": number,
        "state": state,
        "reason": _reason(state, done),
        "value": ap,
        "epochs_done": done,
        "epochs": EPOCHS,
        "seed": 1000 + number,
        "wall_time_s": 17.5 * done,
        "started": started,
        "finished": finished,
        "origin": "default" if number == 0 else "random" if number < 4 else "crossover",
        "parents": () if number < 4 else (number - 4, number - 3),
    }
    factors = (1.0, 1.8, 0.9, 0.5, 1.1, math.nan)
    trial |= {name: ap * factor for name, factor in zip(METRICS, factors, strict=True)}
    trial |= {f"params.{path}": value for path, value in values.items()}
    return trial, [_make_epoch(number, e + 1, float(v)) for e, v in enumerate(curve)]


def _make_epoch(number: int, epoch: int, ap: float) -> dict[str, Any]:
    losses = {
        "loss": 9 / epoch,
        "loss_box": 4 / epoch,
        "loss_obj": 3 / epoch,
        "loss_cls": 2 / epoch,
    }
    row = {"number": number, "epoch": epoch, "AP": ap, "AP50": 1.8 * ap}
    return row | losses | {"lr": 0.01, "wall_time_s": 17.5 * epoch}


def _reason(state: str, done: int) -> str:
    if state == "FAIL":
        return f"diverged: loss is nan at epoch {done}, step 12"
    return f"asha: below the top third at epoch {done}" if state == "PRUNED" else ""


def _draw(rng: np.random.Generator, parameter: ParameterRecord) -> Any:
    if parameter.choices is not None:
        return parameter.choices[int(rng.integers(len(parameter.choices)))]
    assert parameter.low is not None
    assert parameter.high is not None
    if parameter.scale == "log":
        value = math.exp(rng.uniform(math.log(parameter.low), math.log(parameter.high)))
    else:
        value = float(rng.uniform(parameter.low, parameter.high))
    return round(value) if parameter.kind == "int" else value


def with_trials(run: RunRecord, **columns: dict[int, Any]) -> RunRecord:
    """`run` with some cells replaced: column name (``__`` for ``.``) -> row -> value."""
    trials = run.trials.copy()
    for name, cells in columns.items():
        for row, value in cells.items():
            trials.loc[row, name.replace("__", ".")] = value
    return replace(run, trials=trials)
