"""Darknet's cfg file of a network, so that darknet and its readers can use it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from model.anchors import YOLOV3_ANCHORS_WH_PX, YOLOV4_ANCHORS_WH_PX
from model.build import Detector
from model.config import TrainConfig
from model.darknet_cfg.layers import YOLO_KINDS, Described, describe_network
from model.darknet_cfg.settings import NMS_KINDS
from model.errors import ConfigurationError
from model.files import write_text_atomically
from model.geometry import Anchors

BOX_LOSSES = {"smooth-l1": "mse", "iou-log": "iou"}  # darknet's nearest; the others are its own
POLICIES = {"cosine": "sgdr"}
DEFAULTS = {
    "groups": "1", "group_id": "0", "dilation": "1", "weights_type": "none",
    "weights_normalization": "none", "new_coords": "0",
}  # fmt: skip


def write_cfg(
    detector: Detector,
    config: TrainConfig,
    path: Path,
    *,
    anchors_wh_px: Sequence[tuple[float, float]] | None = None,
    max_batches: int | None = None,
) -> None:
    """Write the cfg file of a detector, in one step.

    Parameters
    ----------
    detector : Detector
    config : TrainConfig
        Of its training; `image_size` must be a number.
    path : Path
        An older file is replaced.
    anchors_wh_px : sequence of (float, float), optional
        In pixels of the input; needed where `config.anchors` is "optimised".
    max_batches : int, optional
        Updates of a training by darknet; by default its rule of thumb, 2000 for each class and
        at least 6000.

    Raises
    ------
    ConfigurationError
        If darknet lacks a layer or an activation of the network, or something is missing.
    """
    layers = describe_network(detector)
    if config.image_size == "auto":
        raise ConfigurationError(
            "the cfg file needs the size of the input", "image_size", "set it to a number"
        )
    anchors = tuple(anchors_wh_px) if anchors_wh_px is not None else _anchors(detector, config)
    if len(anchors) != len(detector.geometry.anchors_wh_px):
        raise ConfigurationError(
            f"the network has {len(detector.geometry.anchors_wh_px)} anchors, not {len(anchors)}",
            "anchors",
        )
    total = max_batches or max(6000, 2000 * detector.num_classes)
    blocks = ["\n".join(f"# {line}" for line in _remarks(config)), _net(config, total)]
    heads = dict(_head(config, anchors))
    for layer in layers:
        extra = heads if layer.kind in YOLO_KINDS else {}
        blocks.append(_section(layer.kind, dict(_written(layer)) | extra))
    write_text_atomically(Path(path), "\n\n".join(blocks) + "\n")


def _anchors(detector: Detector, config: TrainConfig) -> Anchors:
    if config.anchors == "optimised":
        raise ConfigurationError(
            "optimised anchors are numbers that the configuration does not have",
            "anchors",
            "give anchors_wh_px",
        )
    named = {"yolov3": YOLOV3_ANCHORS_WH_PX, "yolov4": YOLOV4_ANCHORS_WH_PX}
    return named.get(config.anchors, detector.geometry.anchors_wh_px)


def _remarks(config: TrainConfig) -> Iterator[str]:
    """What a reader of the file should know, and darknet has no key for."""
    yield f"{config.model}, written by evolve for use by darknet and its readers"
    if config.norm != "bn":
        yield f"trained with norm {config.norm}, which in use is batch_normalize=1"
    if config.backbone.residual != "plain" or config.neck.fusion_weights not in ("auto", "none"):
        yield "has weighted sums (weights_type), which darknet knows and OpenCV passes over"
    loss = config.loss
    if loss.box in BOX_LOSSES:
        yield f"trained with the box loss {loss.box}"
    if loss.gradient == "autograd" and loss.box not in ("mse", "smooth-l1"):
        yield "trained with exact gradients of the IoU, for which iou_normalizer is meant"
    if config.drop.kind != "none":
        yield f"trained with drop {config.drop.kind}"
    if config.nms.kind == "soft":
        yield "used with Soft-NMS"


def _net(config: TrainConfig, total: int) -> str:
    optimizer, augment = config.optimizer, config.augment
    values = {
        "batch": config.batch_size,
        "subdivisions": config.subdivisions,
        "width": config.image_size,
        "height": config.image_size,
        "channels": 3,
        "momentum": optimizer.momentum,
        "decay": optimizer.weight_decay,
        "saturation": augment.saturation,
        "exposure": augment.exposure,
        "hue": augment.hue,
        "flip": int(augment.flip > 0),
        "mosaic": int(augment.mosaic > 0),
        "letter_box": int(config.data.letter_box),
        "learning_rate": optimizer.lr,
        "burn_in": round(config.schedule.warmup * total),
        "power": config.schedule.warmup_power,
        "max_batches": total,
        **dict(_policy(config, total)),
    }
    if config.ema.decay:
        values["ema_alpha"] = config.ema.decay
    return _section("net", {key: str(value) for key, value in values.items()})


def _policy(config: TrainConfig, total: int) -> Iterator[tuple[str, str | float]]:
    schedule = config.schedule
    yield "policy", POLICIES.get(schedule.kind, schedule.kind)
    if schedule.kind == "steps":
        yield "steps", ",".join(str(round(mark * total)) for mark in schedule.steps)
        yield "scales", ",".join(str(schedule.scale) for _ in schedule.steps)
    elif schedule.kind == "cosine":
        yield "learning_rate_min", schedule.final * config.optimizer.lr


def _written(layer: Described) -> Iterator[tuple[str, str]]:
    """Keys of a layer; defaults of darknet are left out, except what every file has."""
    for key, value in layer.values.items():
        if key == "padding":
            if layer.kind == "convolutional":
                yield "pad", str(int(value != "0"))
            continue
        if key == "batch_normalize" and value == "0":
            continue
        if DEFAULTS.get(key) != value:
            yield key, value


def _head(config: TrainConfig, anchors: Anchors) -> Iterator[tuple[str, str]]:
    loss, nms = config.loss, config.nms
    kinds = {ours: darknet for darknet, ours in NMS_KINDS.items()}
    yield "anchors", ", ".join(f"{w:g},{h:g}" for w, h in anchors)
    yield "jitter", str(config.augment.jitter)
    yield "ignore_thresh", str(loss.ignore_threshold)
    yield "truth_thresh", "1"
    yield "iou_thresh", str(loss.iou_threshold)
    yield "iou_loss", BOX_LOSSES.get(loss.box, loss.box)
    yield "iou_normalizer", str(loss.iou_normalizer)
    yield "cls_normalizer", str(loss.cls_normalizer)
    yield "obj_normalizer", str(loss.obj_normalizer)
    if loss.uc_normalizer != 1:
        yield "uc_normalizer", str(loss.uc_normalizer)
    yield "label_smooth_eps", str(loss.label_smoothing)
    yield "focal_loss", str(int(loss.focal))
    yield "objectness_smooth", str(int(loss.objectness_smooth))
    if loss.max_delta:
        yield "max_delta", str(loss.max_delta)
    yield "nms_kind", kinds.get(nms.kind, "default")
    yield "beta_nms", str(nms.beta)


def _section(name: str, values: dict[str, str]) -> str:
    return "\n".join([f"[{name}]", *(f"{key}={value}" for key, value in values.items())])
