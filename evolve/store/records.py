"""What a stored run looks like to everyone who reads it: plain frames, no engine."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ParameterRecord:
    """One searched parameter, as written in the manifest.

    `kind` is float, int, ordinal or categorical; `scale` linear or log; bounds are None where
    there are `choices`, which an ordinal has in their order. `default` is the value of trial 0,
    `why` one line. `when` has the values of each parent with which the parameter exists; trials
    in which it does not exist have no value of it.
    """

    path: str
    kind: str
    scale: str
    low: float | None
    high: float | None
    choices: tuple[Any, ...] | None
    default: Any
    why: str
    when: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class RunRecord:
    """A run read from its folder.

    Attributes
    ----------
    folder : Path
    manifest : dict
        The run's manifest.json: name, objective, seed, data, config, versions, hardware, ...
    parameters : tuple of ParameterRecord
    trials : DataFrame, one row a trial, ordered by `number`
        number (int), state (COMPLETE, PRUNED, FAIL, RUNNING), reason (text, empty if none),
        value (objective in [0, 1], NaN if none), epochs_done (int), epochs (int), seed (int),
        wall_time_s (float), started, finished (UTC timestamps, NaT if none),
        origin (default, random, crossover, mutation, ... as the sampler said; empty if it did
        not), parents (tuple of trial numbers), the metrics AP AP50 AP75 APs APm APl in [0, 1]
        or NaN, and one column ``params.<key path>`` for each parameter, None or NaN where the
        trial has no such parameter. With two objectives cost too, the second one (NaN if it was
        not measured). Trials that a constraint forbade never ran and have no row,
        so numbers may be missing.
    epochs : DataFrame, one row an epoch of a trial
        number, epoch (from 1), AP, AP50, loss, loss_box, loss_obj, loss_cls, lr, train_time_s,
        eval_time_s, wall_time_s (their sum).
    attempts : mapping of int -> tuple of dict
        Failures after which a trial was tried again, oldest first, by its number: type, what,
        where, mend, log (last lines), remedy (again, alone or smaller).
    failures : mapping of int -> dict
        What a failed trial failed with, in the same form without a remedy.
    recipes : mapping of int -> dict
        Trials that took over another's training: root, params, changes and lineage, as in
        `evolve.engine.recipes`.
    """

    folder: Path
    manifest: dict[str, Any]
    parameters: tuple[ParameterRecord, ...]
    trials: "pd.DataFrame"
    epochs: "pd.DataFrame"
    attempts: Mapping[int, tuple[dict[str, Any], ...]] = field(default_factory=dict)
    failures: Mapping[int, dict[str, Any]] = field(default_factory=dict)
    recipes: Mapping[int, dict[str, Any]] = field(default_factory=dict)
