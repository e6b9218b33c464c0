"""The verdict of a run and its key numbers, as data."""

import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, Literal

import pandas as pd

from evolve.findings import Final, Findings
from evolve.store.records import RunRecord
from reports.text import TIMES, clean, duration, listed, percent, plural, points

STATES = ("COMPLETE", "PRUNED", "FAIL", "RUNNING")
STATE_WORDS = {
    "COMPLETE": "complete",
    "PRUNED": "pruned",
    "FAIL": "failed",
    "RUNNING": "running",
}
METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl")
DEFAULT_NUMBER = 0

Outcome = Literal["gain", "default best", "no baseline", "no result", "compared"]
Role = Literal["best", "winner"]


@dataclass(frozen=True)
class Score:
    """One trial as the verdict sees it; `metrics` are in [0, 1] or NaN."""

    number: int
    state: str
    reason: str
    value: float
    metrics: dict[str, float]
    epochs_done: int
    epochs: int
    seed: int

    @property
    def is_valid(self) -> bool:
        """Whether the trial ran to its end and has a value."""
        return self.state == "COMPLETE" and not math.isnan(self.value)


@dataclass(frozen=True)
class Summary:
    """What the first screen says.

    Attributes
    ----------
    outcome : Outcome
        Which kind of verdict it is; compared if there is a final comparison.
    verdict, caveat : str
        One sentence each or a few; `caveat` is empty where there is no result to doubt.
    unfinished : str
        What is missing from a run that has not ended; empty for a finished one.
    best, default : Score or None
        The complete trial with the highest value (the first of equals), and trial 0. With a final
        comparison `best` is the trial that its winner comes from.
    difference : float
        Best minus default in [-1, 1]; NaN unless both are complete and not the same trial.
    counts : dict of state -> number of trials, in the order of `STATES`
    trial_time_s, elapsed_s : float
        Sum over all trials; last end minus first start. NaN where unknown.
    role : Role
        What `best` is called.
    """

    title: str
    objective: str
    outcome: Outcome
    verdict: str
    caveat: str
    unfinished: str
    best: Score | None
    default: Score | None
    difference: float
    counts: dict[str, int]
    trial_time_s: float
    elapsed_s: float
    role: Role = "best"


def summarise(run: RunRecord, found: Findings | None = None) -> Summary:
    """Reach the verdict on `run`; needs at least one trial.

    With a final comparison in `found` the verdict is its own.
    """
    summary = _summarise_search(run, "" if found is None else found.closed)
    if found is None or found.final is None:
        return summary
    final = found.final
    best = _winner_score(run, final) or summary.best
    return replace(
        summary,
        outcome="compared",
        verdict=clean(final.sentence),
        caveat=_compared_caveat(final),
        unfinished=" ".join(
            text for text in (summary.unfinished, clean(final.unfinished)) if text
        ),
        best=best,
        difference=math.nan,
        role="winner" if final.winner else "best",
    )


def _winner_score(run: RunRecord, final: Final) -> Score | None:
    if not final.winner:
        return None
    trial = final.row(final.winner).trial
    if trial is None:
        return default_score(run)
    found = run.trials[run.trials["number"] == trial]
    return None if found.empty else _score(run, found.iloc[0])


def _compared_caveat(final: Final) -> str:
    """How the winner was chosen, and what the intervals leave out."""
    if not final.winner:
        return ""
    chosen = "The winner is the row with the highest mean on val over the fresh seeds"
    if final.judged_on == "val":
        chosen += ", on the same images that it is judged on."
    else:
        chosen += f"; {clean(final.judged_on)} took no part in the search or in the choice."
    if not final.no_images:
        return chosen
    return f"{chosen} Intervals allow for seeds alone: {clean(final.no_images)}."


def _summarise_search(run: RunRecord, closed: str) -> Summary:
    """What the search alone says."""
    objective = clean(run.manifest.get("objective", "AP"))
    best, default = best_score(run), default_score(run)
    outcome = _outcome(best, default)
    return Summary(
        title=clean(run.manifest.get("name") or run.folder.name),
        objective=objective,
        outcome=outcome,
        verdict=_verdict(run, objective, best, default),
        caveat=_caveat(run, outcome),
        unfinished=_unfinished(run, closed),
        best=best,
        default=default,
        difference=_difference(outcome, best, default),
        counts={state: int((run.trials["state"] == state).sum()) for state in STATES},
        trial_time_s=float(run.trials["wall_time_s"].sum(min_count=1)),
        elapsed_s=_elapsed_s(run.trials),
    )


def best_score(run: RunRecord) -> Score | None:
    """Find the complete trial with the highest value, the first of equals; None without one."""
    complete = _complete(run.trials)
    if complete.empty:
        return None
    return _score(run, complete.iloc[int(complete["value"].to_numpy().argmax())])


def default_score(run: RunRecord) -> Score | None:
    """Trial 0 in whatever state it is; None where the run does not hold it."""
    found = run.trials[run.trials["number"] == DEFAULT_NUMBER]
    return None if found.empty else _score(run, found.iloc[0])


def reasons(trials: pd.DataFrame) -> list[tuple[str, int]]:
    """Count the kinds of failure, most frequent first; a kind ends at its colon."""
    failed = trials.loc[trials["state"] == "FAIL", "reason"]
    kinds = Counter(clean(str(text).split(":")[0], longest=60) or "no reason" for text in failed)
    return sorted(kinds.items(), key=lambda item: (-item[1], item[0]))


def _complete(trials: pd.DataFrame) -> pd.DataFrame:
    return trials[(trials["state"] == "COMPLETE") & trials["value"].notna()]


def _score(run: RunRecord, row: "pd.Series[Any]") -> Score:
    metrics = {name: float(row.get(name, math.nan)) for name in METRICS}
    objective = run.manifest.get("objective", "AP")
    if objective in metrics and math.isnan(metrics[objective]):
        metrics[objective] = float(row["value"])
    return Score(
        number=int(row["number"]),
        state=str(row["state"]),
        reason=clean(row["reason"], longest=120),
        value=float(row["value"]),
        metrics=metrics,
        epochs_done=int(row["epochs_done"]),
        epochs=int(row["epochs"]),
        seed=int(row["seed"]),
    )


def _outcome(best: Score | None, default: Score | None) -> Outcome:
    if best is None:
        return "no result"
    if default is None or not default.is_valid:
        return "no baseline"
    return "default best" if best.number == default.number else "gain"


def _difference(outcome: Outcome, best: Score | None, default: Score | None) -> float:
    if outcome != "gain" or best is None or default is None:
        return math.nan
    return best.value - default.value


def _verdict(run: RunRecord, objective: str, best: Score | None, default: Score | None) -> str:
    if best is None:
        return _say_no_result(run)
    if default is None or not default.is_valid:
        return _say_no_baseline(run, objective, best, default)
    if best.number == default.number:
        return _say_default(run, objective, best)
    return _say_gain(objective, best, default)


def _say_gain(objective: str, best: Score, default: Score) -> str:
    delta = points(best.value - default.value).removeprefix("+")
    size = "less than 0.1 points" if delta == "0.0" else f"{delta} points"
    return (
        f"Trial {best.number} reached {objective} {percent(best.value)} on val, {size} above "
        f"the defaults (trial {default.number}, {percent(default.value)}); each is one training "
        "with one seed, so this is a difference found by searching, not a confirmed gain."
    )


def _say_default(run: RunRecord, objective: str, best: Score) -> str:
    count = len(_complete(run.trials))
    reached = f"{objective} {percent(best.value)} on val"
    if count == 1:
        return (
            f"Only the defaults (trial {best.number}) have completed: {reached}, from one "
            "training with one seed, and nothing to compare it with yet."
        )
    return (
        f"No trial beat the defaults: trial {best.number} has the highest {objective} on val, "
        f"{percent(best.value)}, of {plural(count, 'complete trial')}, each one training with "
        "one seed."
    )


def _say_no_baseline(run: RunRecord, objective: str, best: Score, default: Score | None) -> str:
    count = len(_complete(run.trials))
    place = f"the highest of {count:,} complete trials" if count > 1 else "the only complete trial"
    return (
        f"Trial {best.number} reached {objective} {percent(best.value)} on val, {place}, in one "
        f"training with one seed; {_fate(objective, default)}, so there is no baseline and no "
        "difference to give."
    )


def _fate(objective: str, default: Score | None) -> str:
    if default is None:
        return "the defaults (trial 0) are not in this run"
    subject = f"the defaults (trial {default.number})"
    done = f"{default.epochs_done} of {plural(default.epochs, 'epoch')}"
    if default.state == "FAIL":
        return f"{subject} failed after {done} ({default.reason or 'no reason stored'})"
    if default.state == "PRUNED":
        at = "" if math.isnan(default.value) else f" at {objective} {percent(default.value)}"
        return f"{subject} were stopped early after {done}{at}"
    if default.state == "RUNNING":
        return f"{subject} have not ended ({done} done)"
    return f"{subject} completed without a value"


def _say_no_result(run: RunRecord) -> str:
    total = len(run.trials)
    if (run.trials["state"] == "FAIL").all():
        kinds = listed([f"{kind} {count:,}{TIMES}" for kind, count in reasons(run.trials)])
        start = "All trials" if total > 1 else "The only trial"
        return f"{start} failed ({kinds}), so this run has no result."
    counts = _counted(run.trials)
    return f"No trial has completed with a value, so this run has no result yet: {counts}."


def _counted(trials: pd.DataFrame) -> str:
    counts = {state: int((trials["state"] == state).sum()) for state in STATES}
    return listed([f"{count:,} {STATE_WORDS[state]}" for state, count in counts.items() if count])


def _caveat(run: RunRecord, outcome: Outcome) -> str:
    if outcome == "no result":
        return ""
    count = len(_complete(run.trials))
    picked = (
        f"The best is the highest of {count:,} values taken on the same validation images, "
        "and being picked for that flatters it. "
        if count > 1
        else ""
    )
    return (
        f"{picked}There is no confidence interval yet: it takes more trainings of both "
        "configurations, on fresh seeds."
    )


def _unfinished(run: RunRecord, closed: str) -> str:
    running = run.trials[run.trials["state"] == "RUNNING"]
    ended = len(run.trials) - len(running)
    asked = run.manifest.get("trials")
    lacking = max(0, asked - len(run.trials)) if isinstance(asked, int) and not closed else 0
    if running.empty and not lacking:
        return ""
    of_all = f" of the {asked:,} asked for" if isinstance(asked, int) else ""
    parts = [f"{plural(ended, 'trial')}{of_all} {'has' if ended == 1 else 'have'} ended"]
    if not running.empty:
        parts.append(f"{_running(running)} running or interrupted")
    if lacking:
        parts.append(f"{lacking:,} {'has' if lacking == 1 else 'have'} not started")
    return f"{'; '.join(parts)}. Everything here can still change."


def _running(running: pd.DataFrame) -> str:
    numbers = [str(n) for n in running["number"]]
    shown = numbers if len(numbers) <= 8 else [*numbers[:8], f"{len(numbers) - 8:,} more"]
    if len(numbers) > 1:
        return f"trials {listed(shown)} are"
    row = running.iloc[0]
    return f"trial {shown[0]} (epoch {int(row['epochs_done'])} of {int(row['epochs'])}) is"


def _elapsed_s(trials: pd.DataFrame) -> float:
    span = trials["finished"].max() - trials["started"].min()
    return math.nan if pd.isna(span) else float(span.total_seconds())


def time_text(summary: Summary) -> str:
    """Time spent in trials, and from the first start to the last end."""
    total = duration(summary.trial_time_s)
    if math.isnan(summary.elapsed_s):
        return total
    return f"{total} in trials, {duration(summary.elapsed_s)} from first start to last end"
