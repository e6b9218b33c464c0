"""Runs as subjects of a front: the rows of a comparison or table, and trials worth measuring."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from pydantic import ValidationError

from evolve.analysis.contrasts import contrast, is_complete
from evolve.analysis.pareto import on_front
from evolve.costs import count_costs, network_of
from evolve.errors import StoreError
from evolve.findings.cache import Cache
from evolve.findings.images import Resampled, resample
from evolve.pareto.subjects import Accuracy, Data, Source, Subject, text_of
from evolve.store.comparison import FINAL, TABLE, ComparisonRecord, RowRecord, read_comparison
from evolve.store.folder import RunFolder, TrialFolder
from evolve.store.manifest import ABLATION, kind_of
from evolve.store.read import read_manifest, read_run
from model.config import TrainConfig

DEFAULTS = "default"
MOST_TRIALS = 6

Manifest = dict[str, Any]


def read_run_source(path: Path) -> Source:
    """The source of a run folder.

    Raises
    ------
    StoreError
        If the folder holds no run, or one without detectors.
    """
    folder = RunFolder.open(path)
    manifest = read_manifest(folder)
    _check_detectors(manifest, path)
    data = _data_of(manifest)
    notes: list[str] = []
    opened = manifest.get("judged_on") == "test" and bool(manifest.get("test_opened"))
    is_table = kind_of(manifest) == ABLATION

    def subjects(split: str, metric: str, where: str | None) -> Sequence[Subject]:
        reader = _Reader(folder, manifest, split, metric, where, notes)
        return reader.rows(TABLE) if is_table else reader.evolution()

    return Source(
        name=str(manifest.get("name") or path.resolve().name),
        where=path,
        classes=data.classes,
        digest=data.digest,
        data=data,
        subjects=subjects,
        is_run=True,
        judged_on="test" if opened else "val",
        objective=text_of(manifest, "objective") or "AP",
        notes=notes,
    )


def _check_detectors(manifest: Mapping[str, Any], path: Path) -> None:
    train = manifest.get("train")
    task = train.get("task", "detect") if isinstance(train, dict) else "detect"
    if manifest.get("trainer", "detector") != "detector" or task != "detect":
        raise StoreError(
            "this run trained no detectors, so there is no AP to set against latency",
            str(path),
            "give runs that detect",
        )


def _data_of(manifest: Mapping[str, Any]) -> Data:
    tree = manifest.get("data")
    names = tree.get("classes") if isinstance(tree, dict) else None
    seed = manifest.get("seed")
    return Data(
        argument=text_of(tree, "path"),
        name=text_of(tree, "name") or "the data",
        digest=text_of(tree, "digest"),
        classes=tuple(map(str, names)) if isinstance(names, list) else (),
        seed=seed if isinstance(seed, int) else 0,
    )


class _Reader:
    """Reads the subjects of one run."""

    def __init__(
        self,
        folder: RunFolder,
        manifest: Manifest,
        split: str,
        metric: str,
        data: str | None,
        notes: list[str],
    ) -> None:
        self.folder, self.manifest = folder, manifest
        self.split, self.metric, self.data = split, metric, data
        self.notes = notes
        self.cache = Cache(folder.measured, keeps=True)

    # -- rows of comparisons -------------------------------------------------------------------

    def rows(self, name: str) -> list[Subject]:
        """A subject for each row of a comparison that has been trained or measured."""
        record = read_comparison(self.folder.path, name)
        if record is None:
            return []
        wanted = retarget(record, self.split, self.metric)
        images = resample([wanted], self.manifest, self.data, self.cache)
        self.cache.write()
        winner = record.winner() if name == FINAL else None
        found = (self._row(row, wanted, images, winner) for row in record.rows)
        return [subject for subject in found if subject is not None]

    def _row(
        self,
        row: RowRecord,
        record: ComparisonRecord,
        images: Resampled,
        winner: RowRecord | None,
    ) -> Subject | None:
        stored = _stored(row.key, record, images)
        done = record.of_row(row.key)
        folders = done.loc[done["state"] == "COMPLETE", "folder"]
        weights = [file for one in folders if (file := _weights_in(TrialFolder(Path(one))))]
        if stored is None and not weights:
            self.notes.append(f"{row.title} has no finished training")
            return None
        is_winner = winner is not None and row.key == winner.key
        return Subject(
            title=f"{row.title} (winner)" if is_winner else row.title,
            role=_role(row, record, is_winner),
            config=_config(row.config, f"row '{row.key}'", self.folder.path),
            weights=tuple(weights),
            home=self.folder.measured,
            stored=stored,
            costs=self.folder.costs,
        )

    # -- evolutions ----------------------------------------------------------------------------

    def evolution(self) -> list[Subject]:
        """The final comparison, and the trials that are on the front of AP on val and BFLOPs."""
        final = self.rows(FINAL)
        classes = len(_data_of(self.manifest).classes)
        known = {network_of(one.config, classes) for one in final}
        return [*final, *self._trials(known, classes, defaults=not final)]

    def _trials(self, known: set[str], classes: int, *, defaults: bool) -> Iterator[Subject]:
        """Complete trials of other networks than are `known`, the best few."""
        trials = list(self._complete())
        digests = [network_of(config, classes) for _, _, config, _ in trials]
        cost = {
            digest: count_costs(one[2], classes)["bflops"]
            for digest, one in dict(zip(digests, trials, strict=True)).items()
        }
        bflops, values = [cost[digest] for digest in digests], [value for _, value, *_ in trials]
        front = on_front(bflops, values)
        picked = [one for one, is_best, digest in zip(trials, front, digests, strict=True)
                  if is_best and digest not in known]  # fmt: skip
        picked = sorted(picked, key=lambda one: -one[1])[:MOST_TRIALS]
        if defaults:
            picked = [*(one for one in trials if one[0] == 0 and one not in picked), *picked]
        for number, _, config, weights in picked:
            title = "the defaults (trial 0)" if number == 0 else f"trial {number}"
            role = "defaults" if number == 0 else "trial"
            yield Subject(title, role, config, (weights,), self.folder.measured)

    def _complete(self) -> Iterator[tuple[int, float, TrainConfig, Path]]:
        """Number, value on val, configuration and weights of the complete trials."""
        frame = read_run(self.folder.path).trials
        done = frame[(frame["state"] == "COMPLETE") & frame["value"].notna()]
        for number, value in zip(done["number"].tolist(), done["value"].tolist(), strict=True):
            files = self.folder.trial(number)
            if (weights := _weights_in(files)) and files.config.is_file():
                tree = _yaml(files.config)
                yield number, value, _config(tree, f"trial {number}", self.folder.path), weights


def _role(row: RowRecord, record: ComparisonRecord, is_winner: bool) -> str:
    if is_winner:
        return "winner"
    if record.plan.name == TABLE:
        return "row"
    return "defaults" if row.key == DEFAULTS else "candidate"


def _weights_in(folder: TrialFolder) -> Path | None:
    """Weights of the last epoch, after which AP was stored; else of the best one."""
    return next((file for file in (folder.last, folder.best) if file.is_file()), None)


def _yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return None


def _config(tree: Any, name: str, where: Path) -> TrainConfig:
    try:
        config = TrainConfig.model_validate(tree)
    except ValidationError as error:
        what = f"the configuration of {name} is not understood"
        raise StoreError(what, str(where), "use the version of evolve that wrote it") from error
    if config.image_size == "auto":
        raise StoreError(
            f"the configuration of {name} names no image_size",
            str(where),
            "restore the configuration beside the weights, or give --size",
        )
    return config


# -- what a comparison has measured ------------------------------------------------------------


def retarget(record: ComparisonRecord, split: str, metric: str) -> ComparisonRecord:
    """A comparison with another metric or split in `value_test`; NaN where it was not measured."""
    key = metric if split == "val" else f"{split}/{metric}"
    values = [float(metrics.get(key, np.nan)) for metrics in record.trainings["metrics"]]
    plan = replace(record.plan, judged_on=split, objective=metric)
    return replace(record, plan=plan, trainings=record.trainings.assign(value_test=values))


def _stored(row: str, record: ComparisonRecord, images: Resampled) -> Accuracy | None:
    """AP of a row over its complete trainings; None if none was measured."""
    own, by_row = record.of_row(row), images.by_row(record.trainings)
    delta = contrast(own, {row: 1.0}, image_values=by_row, images=images.images)
    if not delta.pairs:
        return None
    seeds = own.loc[is_complete(own, "value_test"), "seed_index"]
    each = [by_row.get((row, int(seed))) for seed in seeds]
    known = [one for one in each if one is not None]
    whole = np.mean(known, axis=0) if len(known) == len(each) else None
    return Accuracy(delta, whole, images.images, is_stored=True)
