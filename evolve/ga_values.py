"""What a stored run has found: the values that the ingredient GA is put in with."""

from pathlib import Path
from typing import Any

from evolve.analysis.ledger import devices_of, make_ledger
from evolve.errors import StoreError, nearest
from evolve.store.folder import RunFolder
from evolve.store.journal import read_journal
from evolve.store.manifest import RUN, check_kind
from evolve.store.read import read_manifest
from evolve.yaml_marks import load_yaml, undotted, validate
from model.config import TrainConfig, key_paths


def read_ga_values(run: Path) -> dict[str, Any]:
    """Searched settings of a run and their best values, read from its folder.

    Parameters
    ----------
    run : Path
        Folder of a run that has completed at least one trial.

    Returns
    -------
    dict of key path -> value
        In the order of the space; of JSON types.

    Raises
    ------
    StoreError
        If there is no such run, it has no winner yet, or its files cannot be understood by this
        version.
    """
    folder = RunFolder.open(run)
    check_kind(read_manifest(folder), RUN, run)
    searched = _searched(folder)
    if not folder.best_config.is_file():
        raise StoreError(
            "this run has no best trial yet (no best.yaml)",
            str(run),
            "let a trial complete with 'evolve resume'",
        )
    best = validate(undotted(load_yaml(folder.best_config, StoreError)), TrainConfig, StoreError)
    if best.changes:
        raise StoreError(
            "the best trial of this run changed its settings during the training",
            str(folder.best_config),
            "take a run of another scheduler than pbt, or train best.yaml itself",
        )
    values = key_paths(best)
    return {path: values[path] for path in searched}


def tuning_cost(run: Path) -> dict[str, Any]:
    """What a run took to find its values: its search, without the final comparison.

    Returns
    -------
    dict
        run (name), trials (ended), held_s (seconds of all trainings together), device_s (of GPUs
        or cores; None where unknown), unit (GPU or core), wall_s.
    """
    folder = RunFolder.open(run)
    manifest = read_manifest(folder)
    devices = devices_of(manifest)
    ledger = make_ledger(read_journal(folder.journal), devices)
    device_s = ledger.device_s if devices else None
    return {
        "run": str(manifest.get("name", folder.path.name)),
        "trials": len(ledger.trials),
        "held_s": round(ledger.held_s, 1),
        "device_s": None if device_s is None or device_s != device_s else round(device_s, 1),
        "unit": devices.kind if devices else "core",
        "wall_s": round(ledger.wall_s, 1),
    }


def _searched(folder: RunFolder) -> list[str]:
    """Key paths of the run's space, all of which the training configuration has."""
    space = read_manifest(folder).get("space")
    parameters = space.get("parameters") if isinstance(space, dict) else None
    if not isinstance(parameters, dict) or not parameters:
        raise StoreError(
            "the manifest names no searched settings", str(folder.manifest), "restore it"
        )
    known = key_paths()
    for path in parameters:
        if path not in known:
            raise StoreError(
                f"the run searched '{path}', which the training configuration does not have",
                str(folder.manifest),
                nearest(path, known),
            )
    return list(parameters)
