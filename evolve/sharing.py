"""Trainings that are done already: taken over, from this run or another, and not done again.

What makes two trainings one and the same are configuration, seed and data (their id, see
`evolve.engine.comparison.training_id`), and between runs the code and the machine too.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from evolve.errors import EvolveError, StoreError
from evolve.store.comparison import (
    FINAL,
    FOLDER_ATTR,
    PATH,
    PRETRAIN,
    ROW_ATTR,
    SEED_ATTR,
    SEED_INDEX_ATTR,
    TABLE,
    TAKEN_ATTR,
    TRAINING_ATTR,
    PlanRecord,
    RowRecord,
    folder_of,
    stored_trainings,
)
from evolve.store.folder import RunFolder, TrialFolder
from evolve.store.manifest import flatten
from evolve.store.read import read_manifest
from evolve.store.study import METRICS_ATTR
from model.files import link_or_copy

COMPARISONS = (TABLE, PRETRAIN, FINAL, PATH)
NAMED = 6  # differences that are told

_PROTOCOL = {
    "trainer": "trainer",
    "data.digest": "data",
    "judged_on": "split that is judged on",
    "code": "code or versions",
    "hardware.cpu": "processor",
    "hardware.gpus": "GPUs",
}


def adopt(study: optuna.Study, plan: PlanRecord, run: RunFolder, name: str) -> None:
    """Take over what another comparison of the run has trained; its files stay where they are.

    Parameters
    ----------
    study : optuna.Study
        Of the comparison that takes over.
    plan : PlanRecord
        Of it.
    run : RunFolder
    name : str
        Of the other one.
    """
    for row, index, trial in _common(study, plan, stored_trainings(run, name)):
        place = folder_of(trial, run.comparison(name)).path.relative_to(run.path)
        _add(study, plan, row, index, trial, {FOLDER_ATTR: place.as_posix()})


def adopt_from(study: optuna.Study, plan: PlanRecord, run: RunFolder, donor: RunFolder) -> None:
    """Take over what another run has trained, with its files.

    Files are linked where the file system can, else copied, so that the run stays whole without
    the other.
    """
    for name in begun(donor):
        for row, index, trial in _common(study, plan, stored_trainings(donor, name)):
            place = folder_of(trial, donor.comparison(name))
            if not place.metrics.is_file():  # of a run that was cut down to what is told of it
                continue
            _take_files(place, run.comparison(plan.name).training(row.key, index))
            origin = trial.user_attrs.get(TAKEN_ATTR, donor.path.name)
            _add(study, plan, row, index, trial, {TAKEN_ATTR: str(origin)})


def _common(
    study: optuna.Study, plan: PlanRecord, others: Mapping[str, FrozenTrial]
) -> Iterator[tuple[RowRecord, int, FrozenTrial]]:
    """Places of the plan that lack a training which others have, complete and judged alike."""
    judged = f"{plan.judged_on}/{plan.objective}"
    known = {trial.user_attrs[TRAINING_ATTR] for trial in study.get_trials(deepcopy=False)}
    for row, index in plan.cells():
        trial = others.get(row.trainings[index])
        if trial is None or trial.state != TrialState.COMPLETE or row.trainings[index] in known:
            continue
        metrics = trial.user_attrs[METRICS_ATTR]
        if metrics.get(plan.objective) != trial.value:
            continue  # its value is of another metric
        if plan.judged_on != "val" and metrics.get(judged) is None:
            continue
        known.add(row.trainings[index])
        yield row, index, trial


def _add(
    study: optuna.Study,
    plan: PlanRecord,
    row: RowRecord,
    index: int,
    trial: FrozenTrial,
    origin: dict[str, str],
) -> None:
    attrs = {
        TRAINING_ATTR: row.trainings[index],
        ROW_ATTR: row.key,
        SEED_INDEX_ATTR: index,
        SEED_ATTR: plan.seeds[index],
        METRICS_ATTR: trial.user_attrs[METRICS_ATTR],
    }
    study.add_trial(create_trial(value=trial.value, user_attrs=attrs | origin))


def _take_files(donor: TrialFolder, place: TrialFolder) -> None:
    place.path.mkdir(parents=True, exist_ok=True)
    for file in sorted(donor.path.iterdir()):
        if file.is_file() and not file.is_symlink() and not file.name.startswith("."):
            link_or_copy(file, place.path / file.name)


def begun(run: RunFolder) -> list[str]:
    """Comparisons of a run whose plans are there."""
    return [name for name in COMPARISONS if run.comparison(name).plan.is_file()]


def trained(run: RunFolder, *, failed: bool = False) -> set[str]:
    """All trainings that a run has completed in comparisons; with those that failed, if wanted."""
    states = (TrialState.COMPLETE, *((TrialState.FAIL,) if failed else ()))
    return {
        training
        for name in begun(run)
        for training, trial in stored_trainings(run, name).items()
        if trial.state in states
    }


# -- which runs ----------------------------------------------------------------------------


def neighbours(run: RunFolder, manifest: Mapping[str, Any]) -> list[RunFolder]:
    """Runs beside this one, of the same protocol, that have compared something; by name.

    Nobody asked for them: one that cannot be read is passed over, and so is one whose study lies
    on a server.
    """
    found = []
    for path in sorted(run.path.absolute().parent.iterdir()):
        other = RunFolder(path)
        if path.name == run.path.name or path.is_symlink() or not other.manifest.is_file():
            continue
        try:
            theirs = read_manifest(other)
            alike = not theirs.get("storage") and not mismatches(theirs, manifest)
            plans = [PlanRecord.read(other.comparison(name)) for name in begun(other)]
            if alike and plans and trained(other):
                found.append(other)
        except EvolveError:
            continue
    return found


def named_donors(
    paths: Iterable[Path], manifest: Mapping[str, Any], plans: Sequence[PlanRecord]
) -> list[RunFolder]:
    """Runs that a user named to take trainings from.

    Raises
    ------
    StoreError
        If one is no run, was made by another protocol, or has nothing in common.
    """
    return [_checked(path, manifest, plans) for path in paths]


def _checked(path: Path, manifest: Mapping[str, Any], plans: Sequence[PlanRecord]) -> RunFolder:
    donor = RunFolder.open(path)
    wrong = mismatches(read_manifest(donor), manifest)
    if wrong:
        told = "".join(f"\n       {line}" for line in wrong)
        raise StoreError(
            f"this run was made by another protocol{told}",
            str(path),
            "leave it out, or train both alike",
        )
    wanted = {training for plan in plans for row in plan.rows for training in row.trainings}
    theirs = {
        training
        for name in begun(donor)
        for row in PlanRecord.read(donor.comparison(name)).rows
        for training in row.trainings
    }
    if not wanted & theirs:
        raise StoreError(
            "no training of this run is one of this table" + _apart(donor, plans),
            str(path),
            "leave it out, or train both alike",
        )
    return donor


def mismatches(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> list[str]:
    """Where the protocols of two runs differ, a line each."""
    there, here = flatten(dict(theirs)), flatten(dict(ours))
    return [
        f"{title}: {there.get(key)!r} there, {here.get(key)!r} here"
        for key, title in _PROTOCOL.items()
        if there.get(key) != here.get(key)
    ]


def _apart(donor: RunFolder, plans: Sequence[PlanRecord]) -> str:
    """Settings in which the nearest rows of two runs differ."""
    ours = [(row, plan) for plan in plans for row in plan.rows]
    rows = [
        (row, plan)
        for name in begun(donor)
        for plan in [PlanRecord.read(donor.comparison(name))]
        for row in plan.rows
    ]
    least: list[str] = []
    fewest = math.inf
    for own, plan in ours:
        for other, of in rows:
            found = _differences(own, plan, other, of)
            if len(found) < fewest:
                least, fewest = found, len(found)
    shown = [*least[:NAMED], *([f"and {len(least) - NAMED} more"] if len(least) > NAMED else [])]
    return "".join(f"\n       {line}" for line in shown)


def _differences(own: RowRecord, plan: PlanRecord, other: RowRecord, of: PlanRecord) -> list[str]:
    here, there = flatten(own.config), flatten(other.config)
    lines = [
        f"{key}: {there.get(key)!r} there, {here.get(key)!r} here"
        for key in sorted(here.keys() | there.keys())
        if here.get(key) != there.get(key)
    ]
    if not set(plan.seeds) & set(of.seeds):
        lines.append(f"seeds: those of --seed differ ({of.seeds[0]} there, {plan.seeds[0]} here)")
    return lines
