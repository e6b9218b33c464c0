"""Weights files as subjects of a front."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evolve.data_source import find_weights
from evolve.pareto.subjects import Data, Source, Subject
from model.config import TrainConfig
from model.errors import CheckpointError

MEASURED = "measured.json"


def read_weights_files(paths: Sequence[Path]) -> list[Source]:
    """Sources of weights files, each of one subject named after its model, or its file.

    Raises
    ------
    CheckpointError
        If one cannot be read, is no detector, or is named twice.
    """
    read = [_read(find_weights(path)) for path in _distinct(paths)]
    models = [config.model for _, config, _, _ in read]
    tails = short_names([path for path, *_ in read])
    named = [
        model if models.count(model) == 1 else tail
        for model, tail in zip(models, tails, strict=True)
    ]
    return [_source(name, *one) for name, one in zip(named, read, strict=True)]


def _distinct(paths: Sequence[Path]) -> list[Path]:
    return list({path.resolve(): path for path in paths}.values())


def short_names(paths: Sequence[Path]) -> list[str]:
    """As many of the last parts of paths as tell them apart, two at least."""
    parts = [path.resolve().parts for path in paths]
    for count in range(2, max(map(len, parts), default=2) + 1):
        names = ["/".join(one[-count:]) for one in parts]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]


def _read(path: Path) -> tuple[Path, TrainConfig, tuple[str, ...], str]:
    """Path, configuration, classes, and the digest of the data that it was trained on."""
    from model.checkpoint import load_checkpoint
    from model.trained import read_classes, read_config

    state = load_checkpoint(path)
    config, classes = read_config(state, path), read_classes(state, path)
    if config.task != "detect":
        raise CheckpointError(
            f"this is a classifier ({config.model}), and has no AP", str(path), "take a detector"
        )
    return path, config, classes, str(state.get("data") or "")


def _source(
    name: str, path: Path, config: TrainConfig, classes: tuple[str, ...], digest: str
) -> Source:
    subject = Subject(name, "weights", config, (path,), path.parent / MEASURED)
    return Source(
        name=name,
        where=path,
        classes=classes,
        digest=digest,
        data=_origin(path, digest, classes),
        subjects=lambda *_: [subject],
    )


def _origin(path: Path, digest: str, classes: tuple[str, ...]) -> Data | None:
    """Data of the training whose folder a file lies in, or of the run above that."""
    try:
        tree = _json(path.parent / "origin.json")
        if tree:
            where = str(tree["data"])
            seed = int(tree["split_seed"])
            return Data(where, Path(where).name, digest, classes, seed)
        for folder in list(path.resolve().parents)[1:4]:
            if tree := _json(folder / "manifest.json"):
                data = tree["data"]
                return Data(str(data["path"]), str(data["name"]), digest, classes,
                            int(tree["seed"]))  # fmt: skip
    except (KeyError, TypeError, ValueError):
        pass
    return None


def _json(path: Path) -> dict[str, Any]:
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return tree if isinstance(tree, dict) else {}
