"""What the networks of a table cost on this machine: parameters, operations, latency.

What makes a network is read off a training configuration as a `Recipe`, and the network is built
from that alone. So rows that differ in freebies, of which nothing is left after the training, have
the same recipe, and share one measurement.
"""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evolve.ablation.costs import stored_costs
from evolve.store.folder import write_json
from model.config import TrainConfig
from model.errors import ModelError

if TYPE_CHECKING:
    from model.build import Classifier, Detector
    from model.speed import Speed, Wanted

logger = logging.getLogger(__name__)

REPEATS = 200
DIGEST_LENGTH = 12
SEED = 0

_NUMBER = (int, float)
_FIGURES = {
    "parameters": (int,),
    "bflops": _NUMBER,
    "latency_ms": (*_NUMBER, type(None)),
    "latency_p95_ms": (*_NUMBER, type(None)),
    "network": (str,),
}

LATENCIES = ("latency_ms", "latency_p95_ms")
Recipe = dict[str, Any]


def measure_costs(
    rows: Mapping[str, TrainConfig],
    classes: int,
    *,
    measured: Mapping[str, Any] | None = None,
    repeats: int = REPEATS,
    device: str | None = None,
) -> dict[str, Any]:
    """What the network of every row costs; each network is measured once.

    Latency is that of `evolve speed` without torch.compile: on the GPU if there is one, of which
    this process then holds a context until it ends, else with as many threads as torch has at the
    time. Trainings at the same time would be timed with it. Nothing of torch's state changes.

    Parameters
    ----------
    rows : mapping of key -> TrainConfig
        Resolved for the data: `image_size` is a number.
    classes : int
        Of the data.
    measured : mapping, optional
        An earlier result, as `evolve.ablation.costs.stored_costs` reads it. What it has of the
        same networks on the same device by the same protocol is taken over; anything else counts
        for nothing.
    repeats : int
        Timed passes.
    device : str, optional
        Such as cpu; default: a GPU where there is one.

    Returns
    -------
    dict of JSON types
        device, its name; protocol, a sentence; rows, for each key parameters (learnable ones),
        bflops (of one image, by darknet's rule), latency_ms and latency_p95_ms (median and 95th
        percentile of a pass over one image, NMS of the row's kind included), network (equal where
        two rows share one). Where a network cannot be run both latencies are None, and reason
        says why.

    Raises
    ------
    ConfigurationError
        If a network cannot be built.
    """
    recipes = {key: _recipe(config, classes) for key, config in rows.items()}
    with _undisturbed():
        header = costs_header(repeats, device)
        known = _known(measured, header)
        for recipe in recipes.values():
            digest = _digest(recipe)
            if digest not in known:
                known[digest] = _cost(recipe, repeats, device)
                logger.info("network=%s %s", digest, _in_words(known[digest]))
    found = {key: dict(known[_digest(recipe)]) for key, recipe in recipes.items()}
    return {**header, "rows": found}


def network_of(config: TrainConfig, classes: int) -> str:
    """Equal for configurations that have the same network at the same size."""
    return _digest(_recipe(config, classes))


def count_costs(config: TrainConfig, classes: int) -> dict[str, Any]:
    """What the network of one configuration costs without being run, as a row of a result.

    Raises
    ------
    ConfigurationError
        If it cannot be built.
    """
    recipe = _recipe(config, classes)
    with _undisturbed():
        counted = _counted(_build(recipe), recipe["size"])
    return {**counted, **dict.fromkeys(LATENCIES), "network": _digest(recipe)}


def known_costs(path: Path) -> dict[str, Any] | None:
    """Costs as `write_costs` left them; None if there are none that can be read."""
    tree = stored_costs(path)
    return tree if _are_costs(tree) else None


def write_costs(path: Path, costs: Mapping[str, Any]) -> None:
    """Write a result of `measure_costs` in one step."""
    write_json(path, costs)


def _are_costs(tree: Any) -> bool:
    """Whether a value has the form of a result of `measure_costs`."""
    if not isinstance(tree, Mapping) or not isinstance(tree.get("rows"), Mapping):
        return False
    texts = all(isinstance(tree.get(name), str) for name in ("device", "protocol"))
    return texts and all(map(_is_cost, tree["rows"].values()))


def _is_cost(row: Any) -> bool:
    return isinstance(row, Mapping) and all(
        name in row and isinstance(row[name], kinds) for name, kinds in _FIGURES.items()
    )


def _known(measured: Any, header: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Costs of networks, by their digest, that need no second measurement."""
    if not _are_costs(measured) or any(measured[name] != header[name] for name in header):
        return {}
    rows = map(dict, measured["rows"].values())
    return {row["network"]: row for row in rows if row["latency_ms"] is not None}


# --- networks --------------------------------------------------------------------------------


def _recipe(config: TrainConfig, classes: int) -> Recipe:
    """What a configuration says of the network that is left after the training.

    Drops rest then, all batch normalisations are one, and scaled sigmoids and anchors of any
    value take the same operations.
    """
    assert config.image_size != "auto", "resolve the configuration for its data first"
    detects = config.task == "detect"
    sections = {"neck": config.neck, "head": config.head} if detects else {}
    backbone = config.backbone.model_dump(exclude={"weights", "weights_sha256"})
    options = {name: section.model_dump() for name, section in sections.items()}
    return {
        "task": config.task,
        "model": config.model,
        "classes": classes,
        "size": config.image_size,
        "nms": config.nms.kind if detects else None,
        "options": {
            "norm": "frn" if config.norm == "frn" else "bn",
            "backbone": backbone,
            **options,
        },
    }


def _digest(recipe: Recipe) -> str:
    text = json.dumps(recipe, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]


def _cost(recipe: Recipe, repeats: int, device: str | None = None) -> dict[str, Any]:
    """Figures of one network."""
    network = _build(recipe)
    speed, reason = _timed(network, recipe, repeats, device)
    return {
        **_counted(network, recipe["size"]),
        "latency_ms": speed.latency_ms if speed else None,
        "latency_p95_ms": speed.latency_p95_ms if speed else None,
        "network": _digest(recipe),
        **({"reason": reason} if reason else {}),
    }


def _counted(network: "Detector | Classifier", side: int) -> dict[str, Any]:
    from model.build import count_learnable
    from model.graph import bflops, trace_layers

    return {
        "parameters": count_learnable(network),
        "bflops": bflops(trace_layers(network, side, side)),
    }


def _build(recipe: Recipe) -> "Detector | Classifier":
    """The network in evaluation mode, with the same random weights every time."""
    import torch

    from model.build import build_classifier, build_detector

    torch.default_generator.manual_seed(SEED)
    build = build_detector if recipe["task"] == "detect" else build_classifier
    return build(recipe["model"], recipe["classes"], **recipe["options"]).eval()


def _timed(
    network: "Detector | Classifier", recipe: Recipe, repeats: int, device_name: str | None
) -> tuple["Speed | None", str]:
    """Speed of a network; None, and why, where it cannot be run."""
    import torch

    from model.build import Detector
    from model.speed import measure_classifier_speed, measure_speed
    from model.training import pick_device

    side, device = recipe["size"], pick_device(device_name)
    try:
        if not isinstance(network, Detector):
            return measure_classifier_speed(network, side, _wanted(repeats), device), ""
        anchors = torch.tensor(network.geometry.anchors_wh_px)
        wanted = _wanted(repeats, recipe["nms"])
        return measure_speed(network, anchors, side, wanted, device), ""
    except ModelError as error:
        return None, error.what


# --- protocol --------------------------------------------------------------------------------


def _wanted(repeats: int, nms: Any = "greedy") -> "Wanted":
    from model.speed import Wanted

    return Wanted(batch=1, precision="auto", compile=False, repeats=repeats, nms=nms)


def costs_header(repeats: int = REPEATS, device: str | None = None) -> dict[str, str]:
    """Device and protocol, without which figures cannot be compared."""
    from model.speed import describe_protocol
    from model.training import pick_device

    told = describe_protocol(pick_device(device), _wanted(repeats))
    return {"device": told["device"], "protocol": _sentence(told)}


def _sentence(told: Mapping[str, Any]) -> str:
    nms = told["nms"]
    threads = f"{told['threads']} thread{'' if told['threads'] == 1 else 's'}"
    return (
        f"{told['repeats']} timed passes over one picture of noise that lies on the device, after "
        f"{told['warm_up']} to warm up: forward, decoding and NMS at IoU {nms['iou_threshold']} "
        f"of the {nms['candidates_per_image']} best boxes (of a classifier forward alone), random "
        f"weights, mode: {told['mode']}, torch {told['torch']}, "
        f"{'CUDA ' + told['cuda'] if told['cuda'] else threads}"
    )


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Leave torch's random state as it was, and a GPU's memory to others."""
    import torch

    with torch.random.fork_rng(devices=[]):  # that of a GPU is not drawn from
        try:
            yield
        finally:
            torch.cuda.empty_cache()


def _in_words(cost: Mapping[str, Any]) -> str:
    counts = f"parameters={cost['parameters']} bflops={cost['bflops']:.3f}"
    if cost["latency_ms"] is None:
        return f"{counts} failed={cost['reason']}"
    return (
        f"{counts} latency_ms={cost['latency_ms']:.2f} latency_p95_ms={cost['latency_p95_ms']:.2f}"
    )
