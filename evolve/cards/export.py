"""From a run folder to a study card: what is told of a run, and what is kept back."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from optuna.trial import FrozenTrial, TrialState
from pydantic import ValidationError

from evolve.analysis.verdict import judge
from evolve.attributes import RECIPE
from evolve.cards.card import (
    FORMAT,
    CardDelta,
    CardFailure,
    CardSpace,
    CardTrial,
    CardWinner,
    DataFacts,
    StudyCard,
    name_from,
)
from evolve.errors import CardError, SpaceError, StoreError
from evolve.search.candidates import estimated_values
from evolve.space import Space
from evolve.space.constraints import Constraint
from evolve.store.comparison import ComparisonRecord, RowRecord, read_comparison
from evolve.store.folder import RunFolder
from evolve.store.manifest import RUN, check_kind, now
from evolve.store.read import read_manifest, stored_trials
from evolve.store.study import failure_of, first_value

BEST = 20
OTHERS = 40  # trials beyond the best, good and bad: contrast teaches a surrogate
FAILED = 40

_PATH_IN_TEXT = re.compile(r"""['"][^'"]*[/\\]""")  # within a constraint, where / also divides


def card_of_run(
    path: Path, *, best: int = BEST, name: str = "", data: DataFacts | None = None
) -> StudyCard:
    """The card of the run in a folder.

    Settings with a path among their values are left out, and so is why a setting is searched:
    a card is made to be shared. Trials that took over another's training are left out: what they
    began with is not what gave their values.

    Parameters
    ----------
    path : Path
    best : int
        The best trials; of the others, and of those that failed, at most 40 are told.
    name : str
        Of the study; by default the run's.
    data : DataFacts, optional

    Raises
    ------
    StoreError
        If the folder holds no run that this version can read.
    CardError
        If no trial is complete whose parameters stayed as they were.
    """
    folder = RunFolder.open(path)
    manifest = read_manifest(folder)
    space = _stored_space(folder, manifest)
    trials = stored_trials(folder, manifest)
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    if not complete:
        mend = "let one complete with 'evolve resume'"
        raise CardError("the run has no complete trial: there is nothing to tell", str(path), mend)
    steady = [trial for trial in complete if RECIPE not in trial.user_attrs]
    if not steady:
        what = "the parameters of every complete trial changed during its training"
        mend = "a card tells configurations that stay as they are: take another scheduler than pbt"
        raise CardError(what, str(path), mend)
    public = public_parameters(space)
    failed = [trial for trial in trials if trial.state == TrialState.FAIL]
    return StudyCard(
        format=FORMAT,
        name=name_from(name or manifest.get("name") or path.absolute().name),
        created=now(),
        evolve=str(manifest.get("versions", {}).get("evolve", "unknown")),
        objective=manifest["objective"],
        direction="maximize",
        model=name_from(space.base.model),
        epochs=space.base.epochs,
        image_size=space.base.image_size,
        data=data,
        confirmed=_confirmed(read_comparison(path), steady, space, public),
        space=_card_space(space, public),
        trials=tuple(_card_trial(t, public) for t in _worth_telling(steady, space, best)),
        failed=tuple(_card_failure(t, public) for t in _spread(failed, FAILED)),
    )


def _stored_space(folder: RunFolder, manifest: Mapping[str, Any]) -> Space:
    check_kind(manifest, RUN, folder.path)
    try:
        return Space.from_dict(manifest["space"])
    except (KeyError, TypeError, ValidationError, SpaceError) as error:
        raise StoreError(
            f"the space of this run cannot be understood ({type(error).__name__})",
            str(folder.manifest),
            "it may come from another version of evolve",
        ) from error


def _worth_telling(trials: Sequence[FrozenTrial], space: Space, best: int) -> list[FrozenTrial]:
    """The best by the estimate, and others evenly down to the worst; the best first."""
    estimates = estimated_values(trials, space)
    ordered = sorted(trials, key=lambda trial: (-estimates[trial.number], trial.number))
    return ordered[:best] + _spread(ordered[best:], OTHERS)


def _spread(trials: Sequence[FrozenTrial], most: int) -> list[FrozenTrial]:
    """So many of the trials at even distances, the first and the last among them."""
    if len(trials) <= most:
        return list(trials)
    return [trials[i] for i in np.linspace(0, len(trials) - 1, most).round().astype(int)]


def public_parameters(space: Space) -> set[str]:
    """Searched and fixed settings that name no path, nor depend on one that does."""
    entries = {p.path: (*p.probes(), p.default) for p in space.parameters}
    entries |= {entry.path: (entry.value,) for entry in space.fixed}
    public = {path for path, values in entries.items() if not any(map(_names_path, values))}
    conditions = {p.path: p.when for p in space.parameters}
    while hidden := {path for path in public if not public.issuperset(conditions.get(path, ()))}:
        public -= hidden
    return public


def _names_path(value: Any) -> bool:
    return isinstance(value, str) and ("/" in value or "\\" in value)


def _card_space(space: Space, public: set[str]) -> CardSpace:
    """The space without reasons, which are anybody's text."""
    entries = {entry.path: entry.to_dict() | {"why": ""} for entry in space.parameters}
    entries |= {entry.path: entry.to_dict() | {"why": ""} for entry in space.fixed}
    hidden = entries.keys() - public
    return CardSpace.model_validate(
        {
            "parameters": {path: entry for path, entry in entries.items() if path in public},
            "constraints": [text for text in space.constraints if _is_public(text, hidden)],
        }
    )


def _is_public(constraint: str, hidden: set[str]) -> bool:
    return hidden.isdisjoint(Constraint(constraint).paths) and not _PATH_IN_TEXT.search(constraint)


def _params(trial: FrozenTrial, public: set[str]) -> dict[str, Any]:
    return {path: value for path, value in trial.params.items() if path in public}


def _card_trial(trial: FrozenTrial, public: set[str]) -> CardTrial:
    value = first_value(trial)  # a card knows one objective
    assert value is not None
    return CardTrial(number=trial.number, value=value, params=_params(trial, public))


def _card_failure(trial: FrozenTrial, public: set[str]) -> CardFailure:
    """How it failed in a word: the message may name files."""
    reason = name_from(str(failure_of(trial).get("type", "error")))
    return CardFailure(number=trial.number, reason=reason, params=_params(trial, public))


def _confirmed(
    record: ComparisonRecord | None,
    trials: Sequence[FrozenTrial],
    space: Space,
    public: set[str],
) -> CardWinner | None:
    """The winner of a final comparison that has ended, unless it is none of these trials."""
    winner = record.winner() if record is not None and record.is_complete else None
    if record is None or winner is None:
        return None
    params = {trial.number: trial.params for trial in trials}
    if winner.trial is not None and winner.trial not in params:
        return None  # its parameters changed on the way
    values = space.complete({}) if winner.trial is None else params[winner.trial]
    rows = record.of_row(winner.key)
    return CardWinner(
        trial=winner.trial,
        params={path: value for path, value in values.items() if path in public},
        seeds=len(record.plan.seeds),
        judged_on="test" if record.judged_on == "test" else "val",
        mean_val=float(rows["value_val"].mean()),
        mean_judged=_mean(rows["value_test"]),
        delta=None if winner.trial is None else _delta(record, winner),
    )


def _mean(values: "pd.Series[float]") -> float | None:
    mean = float(values.mean())
    return None if np.isnan(mean) else mean


def _delta(record: ComparisonRecord, winner: RowRecord) -> CardDelta | None:
    delta = judge(record.trainings, winner.key, {}, split=record.judged_on).delta
    if not delta.pairs:
        return None
    ends = {} if np.isnan(delta.low) else {"low": delta.low, "high": delta.high}
    return CardDelta(mean=delta.mean, pairs=delta.pairs, **ends)
