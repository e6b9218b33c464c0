"""One training in a folder of its own, continued if it was interrupted."""

import dataclasses
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from evolve.errors import StoreError, TrialError
from evolve.store.folder import RunFolder, TrialFolder
from evolve.train_config import build_config as build_config
from model.config import FILES, TrainConfig, key_paths
from model.errors import ConfigurationError, DataError, ModelError
from model.files import write_text_atomically

if TYPE_CHECKING:
    from model.build import Classifier, Detector
    from model.data.classes import ClassDataset
    from model.data.coco import Dataset

OBJECTIVES = {"detect": "AP", "classify": "top1"}
_OTHER_FOLDER = "give the same settings to continue it, or another folder with --out"


@dataclass(frozen=True)
class Origin:
    """Where the data of a training come from; kept in `origin.json` of its folder.

    Attributes
    ----------
    data : str
        Absolute path.
    digest : str
        Of the data set.
    split_seed : int
        Of the split of a single annotations file.
    """

    data: str
    digest: str
    split_seed: int


def check_trainable(config: TrainConfig, dataset: "Dataset") -> None:
    """Raise a ConfigurationError now that would else come from inside a detector's training."""
    import torch

    from model.build import build_from_config
    from model.data.batch_plan import fixed_mini_batch
    from model.distill import load_teacher
    from model.feeding import loader_workers
    from model.from_data import choose_anchors
    from model.tasks import check_task
    from model.training import pick_device

    check_task(config, "detect")
    with torch.device("meta"):  # refuses what cannot be built, and takes no time
        network = build_from_config(config, len(dataset.classes))
    choose_anchors(config, network.geometry, dataset, 32)
    fixed_mini_batch(config)
    loader_workers(config, pick_device())
    _check_backbone(config, network)
    if config.distill.teacher:
        load_teacher(config.distill, dataset.classes, "cpu")


def check_classifier(config: TrainConfig, dataset: "ClassDataset") -> None:
    """Raise a ConfigurationError now that would else come from inside a classifier's training."""
    import torch

    from model.classifier import classifier_from_config, load_class_teacher
    from model.data.batch_plan import fixed_mini_batch
    from model.feeding import loader_workers
    from model.tasks import check_task
    from model.training import pick_device

    check_task(config, "classify")
    count = len(dataset.classes)
    with torch.device("meta"):
        network = classifier_from_config(config, count)
    fixed_mini_batch(config)
    loader_workers(config, pick_device())
    _check_backbone(config, network)
    if config.distill.teacher:
        load_class_teacher(config.distill, dataset.classes, "cpu")


def _check_backbone(config: TrainConfig, network: "Detector | Classifier") -> None:
    """Whether the weights to start from fit."""
    from model.transfer import load_backbone

    if config.backbone.weights:
        digest = config.backbone.weights_sha256
        load_backbone(network, Path(config.backbone.weights), sha256=digest, warn=False)


def open_for(
    config: TrainConfig, data: str | None, split_seed: int
) -> tuple[TrainConfig, str, Origin]:
    """Open the data of a training and check that it can be trained.

    Returns
    -------
    config : TrainConfig
        With paths and digests of the files that it names, so that another file is another
        training.
    name : str
        Of the data.
    origin : Origin

    Raises
    ------
    ModelError
        For all that is wrong with data and configuration.
    """
    from evolve.data_source import open_class_data, open_data

    if config.task == "classify":
        from model.classify import resolve_classifier

        path, name, samples = open_class_data(data, split_seed)
        check_classifier(config, samples)
        settled, digest = resolve_classifier(config, samples), samples.digest
    else:
        from model.train import resolve

        path, name, dataset = open_data(data, split_seed)
        check_trainable(config, dataset)
        settled, digest = resolve(config, dataset), dataset.digest
    known, names = key_paths(settled), [*FILES, *(f"{key}_sha256" for key in FILES)]
    config = config.with_values({key: known[key] for key in names})
    return config, name, Origin(str(path), digest, split_seed)


def prepare_folder(out: Path, config: TrainConfig, origin: Origin) -> TrialFolder:
    """Folder of a training, made if it is not there; its `origin.json` is written.

    Raises
    ------
    StoreError
        If the folder cannot be written, is in use, or holds something else: the settings that
        differ are named.
    """
    _make_folder(out)
    folder = TrialFolder(out)
    file = out / "origin.json"
    with RunFolder(out).lock():
        if file.is_file():
            if _has_begun(folder):
                _check_same(folder, file, config, origin)
                return folder
        else:
            _check_empty(out)
        write_text_atomically(file, json.dumps(dataclasses.asdict(origin), indent=1) + "\n")
    return folder


def _has_begun(folder: TrialFolder) -> bool:
    """Whether there is anything that a training of other settings would spoil."""
    return folder.last.is_file() or bool(folder.read_metrics())


def _check_empty(out: Path) -> None:
    others = sorted(item.name for item in out.iterdir() if item.name != ".lock")
    if others:
        listed = ", ".join(others[:5])
        raise StoreError(
            f"the folder holds something else than a training ({listed})",
            str(out),
            "give a new folder with --out",
        )


def _make_folder(out: Path) -> None:
    mend = "give another folder with --out"
    try:
        out.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise StoreError("a file stands where the folder should be", str(out), mend) from error
    except OSError as error:
        raise StoreError(f"cannot make the folder: {error.strerror}", str(out), mend) from error
    if not os.access(out, os.W_OK | os.X_OK):
        raise StoreError("the folder is not writable", str(out), mend)


def _check_same(folder: TrialFolder, file: Path, config: TrainConfig, origin: Origin) -> None:
    try:
        theirs = Origin(**json.loads(file.read_text(encoding="utf-8")))
        stored = yaml.safe_load(folder.config.read_text()) if folder.config.is_file() else None
        before = config if stored is None else TrainConfig.model_validate(stored)
    except (ValueError, TypeError, yaml.YAMLError) as error:
        what = f"the files of this training are damaged ({type(error).__name__})"
        raise StoreError(what, str(folder.path), "give a new folder with --out") from error
    old, new = key_paths(before), key_paths(config)
    changed = [
        f"{key}: {old.get(key)!r} -> {new.get(key)!r}"
        for key in old | new  # a change of one may be none of the other
        if old.get(key) != new.get(key)
    ]
    if theirs.digest != origin.digest:
        changed.append(f"data: {_shown(theirs)} -> {_shown(origin)}")
    if changed:
        listed = "\n       ".join(changed)
        raise StoreError(
            f"this folder holds another training; these settings differ:\n       {listed}",
            str(folder.path),
            _OTHER_FOLDER,
        )


def _shown(origin: Origin) -> str:
    return f"{origin.data} ({origin.digest[:8]})"


def train(
    folder: TrialFolder, config: TrainConfig, origin: Origin, threads: int | None = None
) -> Iterator[dict[str, Any]]:
    """Train, or go on with what is in the folder; a row of `run_trial` after each epoch.

    A training that is finished gives its last row again.

    Parameters
    ----------
    folder : TrialFolder
        From `prepare_folder`.
    config : TrainConfig
    origin : Origin
    threads : int, optional
        Of torch and OpenCV; default: one for each core of this process.

    Raises
    ------
    TrialError
        If the training fails.
    ModelError
        If it cannot go on with such data or settings.
    """
    from evolve.engine.trial import TrialTask, run_trial

    task = TrialTask(
        number=0,
        folder=str(folder.path),
        config=config.to_dict(),
        data=origin.data,
        objective=OBJECTIVES[config.task],
        trainer="detector",
        data_seed=origin.split_seed,
        threads=threads or len(os.sched_getaffinity(0)),
    )
    for row in run_trial(task):
        if "failure" in row:
            raise _as_error(row["failure"], folder)
        yield row


def _as_error(failure: dict[str, Any], folder: TrialFolder) -> ModelError:
    """The failure of a trial as an error; what came from bad input is told as that."""
    where = failure["where"] or str(folder.log)
    mend = failure["mend"]
    if failure["bad_input"]:
        kind = DataError if failure["type"] == "data" else ConfigurationError
        return kind(failure["what"], where, mend)
    if failure["type"] == "oom":
        mend = "lower batch_size or image_size, or raise subdivisions"
    return TrialError(f"{failure['type']}: {failure['what']}", where, mend or f"see {folder.log}")


def best_row(folder: TrialFolder) -> dict[str, Any]:
    """Row of the epoch whose weights are in best.pt."""
    rows = folder.read_metrics()
    best = rows[0]
    for row in rows[1:]:
        if row["objective"] > best["objective"] or best["objective"] != best["objective"]:
            best = row
    return best
