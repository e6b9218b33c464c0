"""Join what a run stored with what statistics say of it.

What takes long is kept in ``findings.json`` of the run folder. Neither torch nor ray is needed.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from optuna.trial import FrozenTrial
from pydantic import ValidationError

from evolve.analysis.contrasts import row_delta
from evolve.analysis.deltas import Delta
from evolve.analysis.importance import (
    MOST_TRIALS,
    Importances,
    measure_importance,
    trials_of,
)
from evolve.analysis.path import Step
from evolve.analysis.phrases import plural
from evolve.analysis.verdict import Luck, RowValues, Verdict, judge, judge_luck
from evolve.analysis.words import apart, explain
from evolve.errors import SpaceError
from evolve.findings.cache import Cache, plain
from evolve.findings.driven import with_journals
from evolve.findings.front import Front, front_of
from evolve.findings.images import Resampled, resample
from evolve.findings.pairs import interactions_of
from evolve.findings.records import AblationPath, Final, Findings, RowFinding
from evolve.findings.seen import look
from evolve.findings.spent import with_spending
from evolve.findings.steps import FEWEST_TRIALS, VERSIONS, row_key, steps_to, told
from evolve.space import Space
from evolve.store.comparison import PATH, ComparisonRecord, RowRecord, read_comparison
from evolve.store.folder import RunFolder
from evolve.store.read import read_run
from evolve.store.records import RunRecord

_DEFAULTS = 0  # number of the trial
_UNCONFIRMED = (
    "The comparison confirms no gain, so this tells what the search suggests and no more."
)


def find(folder: Path, data: str | None = None, run: RunRecord | None = None) -> Findings:
    """All that can be said of a run, finished or not.

    Parameters
    ----------
    folder : Path
        Of the run.
    data : str, optional
        Where its data lie now, as for ``--data``.
    run : RunRecord, optional
        The run as it was read, if it was.

    Raises
    ------
    StoreError
        If the folder holds no run, or what it holds cannot be read.
    """
    run = read_run(folder) if run is None else run
    record, path = read_comparison(folder), read_comparison(folder, PATH)
    cache = Cache(RunFolder(folder).findings)
    found = join(run, record, path, cache, data)
    winner = "" if found.final is None else found.final.winner
    found = replace(found, seen=look(run, record, winner, cache, data))
    cache.write()
    return with_spending(with_journals(found, folder, run), run, record)


def join(
    run: RunRecord,
    record: ComparisonRecord | None,
    path: ComparisonRecord | None,
    cache: Cache,
    data: str | None = None,
) -> Findings:
    """Findings of a run, its final comparison, and the trainings of its path, where there are."""
    begun = [one for one in (record, path) if one is not None]
    images = resample(begun, run.manifest, data, cache)
    final = None if record is None else _final(record, run, images)
    front = _front(run, record, images)
    try:
        space = Space.from_dict(run.manifest["space"])
    except (KeyError, TypeError, ValidationError, SpaceError):
        nothing = Importances(pd.DataFrame(), 0, "the run does not say what it searched")
        return Findings(_objective(run), final, nothing, None, nothing.reason, "", front=front)
    moved = run.trials["number"].isin(list(run.recipes))
    trials = trials_of(run.trials[~moved], space.distributions())
    aside = int((moved & _is_complete(run)).sum())
    importances = _importances(trials, cache)
    end, why_not = _end(run, record, final, trials)
    if why_not:
        found = Findings(
            _objective(run), final, importances, None, why_not, "", aside, front=front
        )
        return replace(found, interactions=interactions_of(trials, cache))
    evolved = space.complete({}) if end is None else _params_of(run, end, space)
    steps = steps_to(evolved, space, trials, cache)
    if not apart(steps, len(trials)):  # the surrogate's own doubt knows nothing of that
        steps = tuple(replace(step, gain_sd=math.nan) for step in steps)
    ablation = _path(steps, end, len(trials), space, path, images)
    words = _words(ablation, importances, final)
    found = Findings(_objective(run), final, importances, ablation, "", words, aside, front=front)
    return replace(found, interactions=interactions_of(trials, cache))


def _front(run: RunRecord, record: ComparisonRecord | None, images: Resampled) -> Front | None:
    if record is None:
        return front_of(run)
    return front_of(run, _settled(record), images.by_row(record.trainings), images.images)


def _is_complete(run: RunRecord) -> "pd.Series[bool]":
    return (run.trials["state"] == "COMPLETE") & run.trials["value"].notna()


def _objective(run: RunRecord) -> str:
    return str(run.manifest.get("objective", "AP"))


# -- the comparison ------------------------------------------------------------------------


def _final(record: ComparisonRecord, run: RunRecord, images: Resampled) -> Final:
    settled = _settled(record)
    winner = settled.winner()
    values = images.by_row(record.trainings)
    rows = tuple(_row(row, record, run, values, images.images) for row in record.rows)
    verdict = _judge(settled, winner, values, images.images) if winner else None
    luck = _luck(settled, winner, rows) if winner else None
    return Final(
        judged_on=record.judged_on,
        seeds=len(record.plan.seeds),
        rows=rows,
        winner=winner.key if winner else "",
        verdict=verdict,
        luck=luck,
        sentence=verdict.sentence if verdict else _nothing_yet(record),
        unfinished=_unfinished(record),
        no_images=images.why_not,
        folders=_folders(record, run.folder),
        trainings=record.trainings,
    )


def _settled(record: ComparisonRecord) -> ComparisonRecord:
    """The part of a comparison with the seeds that every row has ended: a fair choice needs it."""
    ended = record.trainings["state"].isin(("COMPLETE", "FAIL"))
    whole = ended.groupby(record.trainings["seed_index"]).transform("all")
    return replace(record, trainings=record.trainings[whole])


def _luck(record: ComparisonRecord, winner: RowRecord, rows: Sequence[RowFinding]) -> Luck:
    searched = {row.key: None if math.isnan(v := row.search_value) else v for row in rows}
    return judge_luck(record.trainings, winner.key, searched, baseline=rows[0].key)


def _judge(
    record: ComparisonRecord, winner: RowRecord, values: Mapping[Any, Any], images: int | None
) -> Verdict:
    return judge(
        record.trainings,
        winner.key,
        {row.key: row.title for row in record.rows},
        baseline=record.rows[0].key,
        metric=record.plan.objective,
        split=record.judged_on,
        image_values=values,
        images=images,
    )


def _row(
    row: RowRecord,
    record: ComparisonRecord,
    run: RunRecord,
    image_values: Mapping[Any, Any],
    images: int | None,
) -> RowFinding:
    own = record.of_row(row.key)
    own = own.assign(value_test=own["value_test"].where(own["state"] == "COMPLETE"))
    default = record.rows[0].key
    delta = None if row.key == default else row_delta(
        record.trainings, default, row.key, image_values=image_values, images=images
    )  # fmt: skip
    value = _searched(run, _DEFAULTS) if row.key == default else row.search_value
    return RowFinding(
        key=row.key,
        title=row.title,
        trial=row.trial,
        search_value=math.nan if value is None else value,
        values=tuple(float(v) for v in own["value_test"]),
        judged=_spread(own["value_test"]),
        val=_spread(own["value_val"]),
        metrics=_means(own, record.judged_on),
        delta=delta,
    )


def _searched(run: RunRecord, number: int) -> float | None:
    """Value of a complete trial."""
    trials = run.trials
    found = trials[(trials["number"] == number) & (trials["state"] == "COMPLETE")]
    return None if found.empty else float(found["value"].iloc[0])


def _spread(values: "pd.Series[float]") -> RowValues:
    return RowValues(int(values.count()), float(values.mean()), float(values.std()))


def _means(trainings: pd.DataFrame, split: str) -> dict[str, float]:
    """Mean of each metric of a split over the complete trainings; theirs on val have no prefix."""
    prefix = "" if split == "val" else f"{split}/"
    complete = trainings.loc[trainings["state"] == "COMPLETE", "metrics"]
    rows = [
        {
            key.removeprefix(prefix): value
            for key, value in metrics.items()
            if key.startswith(prefix)
        }
        for metrics in complete
    ]
    frame = pd.DataFrame(rows, dtype=float)
    return {str(name): float(frame[name].mean()) for name in frame if "/" not in str(name)}


def _nothing_yet(record: ComparisonRecord) -> str:
    if record.is_complete:
        return "Undecided: every training of the final comparison failed."
    return "Undecided: no fresh seed has been trained with every row yet."


def _unfinished(record: ComparisonRecord) -> str:
    """How far a comparison is; rows may share a training."""
    if record.is_complete:
        return ""
    states = record.trainings.drop_duplicates("training")["state"]
    ended = int(states.isin(("COMPLETE", "FAIL")).sum())
    return f"{ended} of {plural(len(states), 'training')} of the {record.plan.title} have ended."


def _folders(record: ComparisonRecord, run: Path) -> dict[str, str]:
    done = record.trainings[record.trainings["state"] == "COMPLETE"].drop_duplicates("row")
    return {
        str(key): Path(folder).relative_to(run).as_posix()
        for key, folder in zip(done["row"], done["folder"], strict=True)
    }


# -- what mattered -------------------------------------------------------------------------


def _importances(trials: Sequence[FrozenTrial], cache: Cache) -> Importances:
    def compute() -> Any:
        found = measure_importance(trials)
        rows = [plain(row) for row in found.frame.to_dict("records")]
        return {
            "rows": rows,
            "trials": found.trials,
            "reason": found.reason,
            "of": found.of,
        }

    stored = cache.get("importance", [told(trials), MOST_TRIALS, VERSIONS], compute)
    frame = pd.DataFrame(stored["rows"])
    for name in ("importance", "low", "high", "chance"):
        if name in frame:
            frame[name] = frame[name].astype(float)
    return Importances(frame, stored["trials"], stored["reason"], stored["of"])


def _end(
    run: RunRecord,
    record: ComparisonRecord | None,
    final: Final | None,
    trials: Sequence[FrozenTrial],
) -> tuple[int | None, str]:
    """Trial at the end of the path, None for the defaults; and why there is no path."""
    end = _last(run, record, final)
    if end in run.recipes:
        return None, f"the parameters of trial {end} changed during its training"
    if len(trials) < FEWEST_TRIALS:
        steady = " whose parameters stayed as they were" if run.recipes else ""
        return (
            None,
            f"it takes {FEWEST_TRIALS} complete trials{steady}, and there are {len(trials)}",
        )
    return (None if end == _DEFAULTS else end), ""


def _last(run: RunRecord, record: ComparisonRecord | None, final: Final | None) -> int | None:
    """The winner's trial, or the best of the search; None for the defaults, or for none."""
    if record is not None and final is not None and final.winner:
        return final.row(final.winner).trial
    complete = run.trials[_is_complete(run)]
    if complete.empty:
        return None
    return int(complete["number"].iloc[int(complete["value"].to_numpy().argmax())])


def _params_of(run: RunRecord, number: int, space: Space) -> dict[str, Any]:
    own = run.trials[run.trials["number"] == number]
    (trial,) = trials_of(own, space.distributions())
    return dict(trial.params)


def _path(
    steps: tuple[Step, ...],
    end: int | None,
    trials: int,
    space: Space,
    record: ComparisonRecord | None,
    images: Resampled,
) -> AblationPath:
    start = steps[0].predicted - steps[0].gain if steps else math.nan
    configs = [space.to_config(step.config) for step in steps]
    keys = [row_key(number, config) for number, config in enumerate(configs, start=1)]
    if record is None or not steps or not {row.key for row in record.rows} >= set(keys):
        return AblationPath(steps, start, end, trials)
    trained, split = _trained(record, keys, images)
    return AblationPath(steps, start, end, trials, trained, split, _unfinished(record))


def _trained(
    record: ComparisonRecord, keys: Sequence[str], images: Resampled
) -> tuple[tuple[Delta, ...], str]:
    """Gain of each row over the row before, and the split: val where it alone was measured."""
    own = record.trainings[record.trainings["row"].isin([record.rows[0].key, *keys])]
    done = own[own["state"] == "COMPLETE"]
    judged = bool(done["value_test"].notna().all())
    column = "value_test" if judged else "value_val"
    split = record.judged_on if judged else "val"
    values = images.by_row(own) if judged else {}
    pairs = zip([record.rows[0].key, *keys], keys, strict=False)
    deltas = (
        row_delta(own, before, after, column, image_values=values, images=images.images)
        for before, after in pairs
    )
    return tuple(deltas), split


def _words(path: AblationPath, importances: Importances, final: Final | None) -> str:
    trained = path.trained if path.is_trained else None
    said = explain(path.steps, path.trials, importances, trained)
    verdict = final.verdict if final is not None else None
    told = trained is not None or apart(path.steps, path.trials)
    if verdict is None or not path.steps or not told or verdict.word in ("gain", "undecided"):
        return said
    return f"{_UNCONFIRMED} {said}"
