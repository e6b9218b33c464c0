"""Trainings whose parameters changed on the way: lineage, and values over epochs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from evolve.store.records import ParameterRecord, RunRecord
from reports.summary import STATE_WORDS, Summary
from reports.tables import Column, Row, Table, parameter_value, trial_row
from reports.text import EN_DASH, clean, number, percent, plural

MOST_LINEAGES = 50


@dataclass(frozen=True)
class Stretch:
    """Epochs that were trained with the same values, from the first to the last.

    `trial` is the one that trained them.
    """

    first: int
    last: int
    trial: int
    values: Mapping[str, Any]


def stretches(run: RunRecord, trial: int, epochs: int) -> list[Stretch]:
    """The training behind a trial, stretch by stretch; one stretch for most trials."""
    own = trial_row(run, trial)
    recipe = run.recipes.get(trial)
    if recipe is None:
        values = {p.path: parameter_value(p, own) for p in run.parameters}
        return [Stretch(1, epochs, trial, values)]
    values = {p.path: recipe["params"].get(p.path) for p in run.parameters}
    found, first = [], 1
    for one in sorted(recipe["lineage"], key=lambda one: int(one["epoch"])):
        epoch = int(one["epoch"])
        found.append(Stretch(first, epoch, int(one["number"]), dict(values)))
        values |= recipe["changes"].get(str(epoch), {})
        first = epoch + 1
    return [*found, Stretch(first, epochs, trial, values)]


def changed(run: RunRecord, found: list[Stretch]) -> list[ParameterRecord]:
    """Parameters that did not keep their first value."""
    first = found[0].values
    return [p for p in run.parameters if any(s.values[p.path] != first[p.path] for s in found)]


def schedule_of(run: RunRecord, summary: Summary) -> list[Stretch]:
    """Stretches of the winner, or of the best trial; empty if nothing changed on its way."""
    best = summary.best
    if best is None or best.number not in run.recipes:
        return []
    return stretches(run, best.number, best.epochs)


def schedules_context(run: RunRecord, summary: Summary) -> dict[str, Any]:
    """What templates need of changes during trainings."""
    schedule = schedule_of(run, summary)
    return {
        "schedule": schedule_table(run, schedule) if schedule else None,
        "lineages": lineage_table(run) if run.recipes else None,
        "lineage_sentence": lineage_sentence(run, summary),
    }


def lineage_sentence(run: RunRecord, summary: Summary) -> str:
    """How many trainings were taken over, and whether the best one was."""
    if not run.recipes:
        return ""
    best = summary.best
    said = f"{plural(len(run.recipes), 'trial')} went on from another's checkpoint with changed "
    said += "parameters. "
    if best is not None and best.number in run.recipes:
        chain = [str(s.trial) for s in schedule_of(run, summary)]
        said += f"The {summary.role}, trial {best.number}, is one: its training went through the "
        said += f"hands of trials {', '.join(chain)}. "
    elif best is not None:
        said += f"The {summary.role}, trial {best.number}, is none of them. "
    return said + (
        "The whole schedule of a trial is in the config.yaml of its folder, under “changes”, with "
        "the seed that it began with: evolve train --config replays it from nothing. "
        "tables/schedules.json has all of them."
    )


def schedule_table(run: RunRecord, found: list[Stretch]) -> Table:
    """Each stretch of a training: epochs, whose it was, and the values that changed."""
    parameters = changed(run, found)
    columns = (
        Column("epochs", "Epochs"),
        Column("trial", "Trained by trial", "number"),
        *(Column(p.path, clean(p.path), "name number") for p in parameters),
    )
    rows = (
        Row((span(one), str(one.trial), *(number(one.values[p.path]) for p in parameters)))
        for one in found
    )
    return Table(columns, tuple(rows))


def span(one: Stretch) -> str:
    """First and last epoch."""
    return str(one.first) if one.first == one.last else f"{one.first} {EN_DASH} {one.last}"


def lineage_table(run: RunRecord) -> Table:
    """Whose training each moved trial took over, and when; of many the best."""
    columns = (
        Column("trial", "Trial", "number"),
        Column("state", "State", "state"),
        Column("value", "Value", "number"),
        Column("lineage", "Trained by trial (epochs)"),
    )
    moved = run.trials[run.trials["number"].isin(list(run.recipes))]
    moved = moved.assign(whole=moved["state"] == "COMPLETE")
    moved = moved.sort_values(["whole", "value"], ascending=False, kind="stable")
    rows = []
    for one in moved.head(MOST_LINEAGES).to_dict("records"):
        found = stretches(run, int(one["number"]), int(one["epochs"]))
        chain = ", ".join(f"{s.trial} ({span(s)})" for s in found)
        state = STATE_WORDS[str(one["state"])]
        rows.append(Row((str(one["number"]), state, percent(one["value"]), chain)))
    return Table(columns, tuple(rows))


def schedules_file(run: RunRecord) -> str:
    """All recipes as JSON, by trial."""
    seeds = dict(zip(run.trials["number"], run.trials["seed"], strict=True))
    numbers = sorted(n for n in run.recipes if n in seeds)
    tree = [
        {"number": n, "seed": _seed(seeds.get(run.recipes[n]["root"])), **run.recipes[n]}
        for n in numbers
    ]
    return json.dumps(tree, indent=1) + "\n"


def _seed(found: Any) -> int | None:
    return None if found is None or pd.isna(found) else int(found)
