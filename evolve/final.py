"""The final comparison of a run: its best candidates and the defaults on fresh seeds.

The highest value of a search is partly luck. So the best trials, by an estimate that allows for
noise, are trained in full once more, and so are the defaults, each with seeds that no trial had;
only then the test split is opened. Of a search with two objectives they are the non-dominated.
"""

import math
from collections.abc import Mapping
from typing import Any

import optuna
import yaml

from evolve.confirm import Confirm
from evolve.engine.comparison import Row, plan_comparison
from evolve.engine.recipes import config_of, recipe_of
from evolve.search.candidates import pick_candidates, pick_front
from evolve.seeds import fresh_seed
from evolve.space import Space
from evolve.store.comparison import FINAL, ComparisonRecord, PlanRecord, RowRecord
from evolve.store.folder import RunFolder
from evolve.store.study import first_value
from model.data.coco import Dataset
from model.files import write_text_atomically

DEFAULTS = "default"


def judged_split(dataset: Dataset) -> str:
    """The split that a final comparison is judged on: test if it has truths, else val."""
    for record in dataset.splits.get("test", ()):
        if (~record.crowd).any():
            return "test"
    return "val"


def plan_final(
    study: optuna.Study, space: Space, manifest: Mapping[str, Any], size: Confirm
) -> PlanRecord | None:
    """Rows of the final comparison, the defaults first; None if there is no candidate.

    Parameters
    ----------
    study : optuna.Study
        The search, finished.
    space : Space
    manifest : mapping
        With the run's seed, its data and `judged_on`.
    size : Confirm
    """
    if space.cost:
        candidates = pick_front(study, size.candidates)
    else:
        candidates = pick_candidates(study, space, size.candidates)
    if not candidates:
        return None
    rows = [Row(DEFAULTS, "the defaults", space.to_config(space.defaults()))]
    for trial in candidates:
        number, value = trial.number, first_value(trial)
        config = config_of(space, number, trial.params, recipe_of(trial), manifest["seed"])
        config = config.with_values({"seed": space.base.seed})  # every training has its own
        rows.append(Row(f"trial-{number:05d}", f"trial {number}", config, number, value))
    return plan_comparison(
        FINAL,
        "final comparison",
        rows,
        [fresh_seed(manifest["seed"], index) for index in range(size.seeds)],
        objective=space.objective,
        judged_on=manifest["judged_on"],
        data_digest=manifest["data"].get("digest", ""),
    )


def write_confirmed(folder: RunFolder, record: ComparisonRecord) -> None:
    """Put the winner of the final comparison into `best.yaml`; nothing if there is none."""
    winner = record.winner()
    if winner is None:
        return
    body = yaml.safe_dump(winner.config, sort_keys=False)
    write_text_atomically(
        folder.best_config, f"# {_head(folder.path.name, record, winner)}\n{body}"
    )


def _head(name: str, record: ComparisonRecord, winner: RowRecord) -> str:
    seeds, objective = len(record.plan.seeds), record.plan.objective
    over = f"over {seeds} fresh seed{'s' if seeds > 1 else ''} on {record.judged_on}"
    mean = f"mean {objective} {_mean(record, winner.key)} {over}"
    if winner.key == DEFAULTS:
        return f"the defaults of {name}: {mean}; no candidate had a higher mean on val"
    return f"confirmed: {winner.title} of {name}: {mean}, defaults {_mean(record, DEFAULTS)}"


def _mean(record: ComparisonRecord, key: str) -> str:
    value = float(record.of_row(key)["value_test"].mean())
    return "-" if math.isnan(value) else f"{100 * value:.1f}%"
