"""What to do next with a run, in a sentence and a command."""

import shlex
from dataclasses import dataclass

from evolve.analysis.decisions import ALPHA, REGION
from evolve.analysis.outlook import Aim, more_seeds
from evolve.findings import Final, Findings
from evolve.store.records import RunRecord
from reports.method import data_path, run_path
from reports.summary import Summary
from reports.text import clean, plural

MOST_SEEDS = 30  # more than that nobody trains for one answer
_CONFIRM = "3x3"


@dataclass(frozen=True)
class NextStep:
    """What is best done next, and how; both clean and not yet escaped."""

    sentence: str
    command: str


def next_step(run: RunRecord, summary: Summary, found: Findings | None = None) -> NextStep:
    """The next step after `run` as it stands."""
    folder = shlex.quote(run_path(run))
    resume = f"evolve resume {folder}"
    final = None if found is None else found.final
    if summary.unfinished:
        return NextStep("Let the run end; it goes on where it stands.", resume)
    if summary.best is None:
        return NextStep(
            "No trial has a value: look at the reasons below, then let more trials run.",
            f"{resume} --trials {2 * len(run.trials)}",
        )
    if final is None:
        return NextStep(
            "Train the best and the defaults with fresh seeds, which tells a gain from luck.",
            f"{resume} --confirm {_CONFIRM}",
        )
    return _after(run, final, resume)


def _after(run: RunRecord, final: Final, resume: str) -> NextStep:
    """What to do after a final comparison that has ended."""
    verdict = final.verdict
    more_trials = f"{resume} --trials {2 * len(run.trials)}"
    if verdict is None or final.winner == final.rows[0].key:
        return NextStep("Search on: nothing beat the defaults yet.", more_trials)
    if verdict.word == "gain":
        config = shlex.quote(f"{run_path(run)}/best.yaml")
        return NextStep(
            "Use it: train the winner's configuration for longer, or with all of your data.",
            clean(f"evolve train --config {config} --data {shlex.quote(data_path(run))}"),
        )
    if verdict.word == "worse":
        return NextStep("Search on: what the search found is worse.", more_trials)
    return _more_seeds(final, resume, more_trials)


def _more_seeds(final: Final, resume: str, more_trials: str) -> NextStep:
    verdict = final.verdict
    assert verdict is not None
    candidates = len(final.rows) - 1
    count = more_seeds(verdict.delta, Aim(ALPHA, ALPHA, REGION))
    if count is None or count > MOST_SEEDS:
        return NextStep(
            "Search on: if the difference stays as small as it is, no affordable number of seeds "
            "will tell it from none.",
            more_trials,
        )
    return NextStep(
        f"About {plural(count, 'more seed')} would decide, if mean and spread stay as they are.",
        f"{resume} --confirm {candidates}x{final.seeds + count}",
    )
