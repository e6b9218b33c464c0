"""Training settings of darknet's cfg files as key paths of `TrainConfig`.

What has no counterpart becomes a note; no key of a file is passed over in silence.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from model.config import TrainConfig
from model.darknet_cfg.layers import STRUCTURE_KEYS, YOLO_KINDS
from model.darknet_cfg.read import Cfg, Section

MOSAIC_SHARE = 0.5  # darknet makes mosaics of half of its data
FLIP_SHARE = 0.5
NMS_KINDS = {"default": "greedy", "greedynms": "darknet-greedy", "diounms": "diou"}
BOX_LOSSES = {"mse": "mse", "giou": "giou", "diou": "diou", "ciou": "ciou", "iou": "iou"}

# values of keys without counterpart with which they do nothing
IDLE = {
    "angle": 0.0, "aspect": 1.0, "blur": 0.0, "gaussian_noise": 0.0, "mixup": 0.0, "cutmix": 0.0,
    "mosaic_bound": 0.0, "adversarial_lr": 0.0, "attention": 0.0, "dynamic_minibatch": 0.0,
    "adam": 0.0, "loss_scale": 1.0, "contrastive": 0.0, "random": 0.0, "resize": 1.0,
    "truth_thresh": 1.0, "delta_normalizer": 1.0, "stopbackward": 0.0, "dontload": 0.0,
}  # fmt: skip
IDLE_WORDS = {"iou_thresh_kind": "iou", "yolo_point": "center"}
LATER = {
    "random": "sizes of the input are not varied here",
    "resize": "images are not zoomed here",
    "adversarial_lr": "self-adversarial training is not done here",
    "dynamic_minibatch": "mini-batches have one size here",
}


@dataclass
class Settings:
    """What was found: values by key path, and notes."""

    values: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


# keys that darknet takes from the last head, whatever the others have
OF_LAST_HEAD = ("jitter", "random", "resize", "max", "nms_kind", "beta_nms")


class _Reader:
    """A section that remembers which of its keys were asked for."""

    def __init__(self, section: Section, known: Sequence[str] = ()) -> None:
        self.section = section
        self.read = set(known)

    def number(self, key: str, default: float) -> float:
        self.read.add(key)
        return self.section.number(key, default)

    def integer(self, key: str, default: int) -> int:
        self.read.add(key)
        return self.section.integer(key, default)

    def flag(self, key: str) -> bool:
        return self.number(key, 0.0) != 0

    def text(self, key: str, default: str) -> str:
        self.read.add(key)
        return self.section.text(key, default)

    def numbers(self, key: str) -> tuple[float, ...]:
        self.read.add(key)
        return self.section.numbers(key)

    def has(self, key: str) -> bool:
        self.read.add(key)
        return key in self.section.entries

    def line(self, key: str) -> str:
        entry = self.section.entries.get(key)
        return f"line {entry.line if entry else self.section.line}: "

    def left(self) -> list[str]:
        """Notes on the keys that nobody asked for and that do something."""
        return [
            _without_counterpart(self.section, key)
            for key in self.section.entries
            if key not in self.read and not _is_idle(self.section, key)
        ]


def read_settings(cfg: Cfg) -> Settings:
    """Training settings of a file, each checked against `TrainConfig`.

    Raises
    ------
    ConfigurationError
        If a value cannot be read; with file:line.
    """
    found = Settings()
    net = _Reader(cfg.net, ("width", "height", "channels"))
    heads = [
        _Reader(section, STRUCTURE_KEYS[section.name])
        for section in cfg.layers
        if section.name in YOLO_KINDS
    ]
    _read_optimizer(net, found)
    _read_schedule(net, found)
    _read_augmentation(net, heads[-1], found)
    _read_loss(heads, found)
    _read_nms(heads[-1], found)
    _read_norm(cfg, found)
    _read_differing(heads, found)
    others = [
        _Reader(section, STRUCTURE_KEYS.get(section.name, ()))
        for section in cfg.layers
        if section.name not in YOLO_KINDS
    ]
    for reader in (net, *others, *heads):
        found.notes += reader.left()
    return Settings(*_acceptable(found))


def _read_optimizer(net: _Reader, found: Settings) -> None:
    batch = net.integer("batch", 1)
    found.values |= {
        "batch_size": batch,
        "subdivisions": net.integer("subdivisions", 1),
        "optimizer.lr": net.number("learning_rate", 0.001),
        "optimizer.momentum": net.number("momentum", 0.9),
        "optimizer.weight_decay": net.number("decay", 0.0001),
        "optimizer.clip_norm": 0.0,  # darknet bounds single deltas, never the whole gradient
        "ema.decay": net.number("ema_alpha", 0.0),
    }
    if batch == 1:
        found.notes.append(
            f"{net.line('batch')}batch=1 is what files for testing have; training wants 64"
        )
    if found.values["ema.decay"]:
        found.notes.append(
            f"{net.line('ema_alpha')}darknet averages in the second half of a training, "
            "ema.decay from its start"
        )


def _read_schedule(net: _Reader, found: Settings) -> None:
    """Iterations become fractions of max_batches; how many epochs those are the data must say."""
    total = net.integer("max_batches", 0)
    burn_in, power = net.integer("burn_in", 0), net.number("power", 4.0)
    policy = net.text("policy", "constant")
    if total <= 0:
        found.notes.append(
            f"{net.line('max_batches')}without max_batches warm-up and marks stay as they are here"
        )
        return
    found.notes.append(
        f"{net.line('max_batches')}max_batches={total} is epochs = {total} * batch_size / "
        "training images; set epochs for your data"
    )
    found.values |= {"schedule.warmup": burn_in / total, "schedule.warmup_power": power}
    found.values["schedule.kind"] = {"steps": "steps", "sgdr": "cosine"}.get(policy, "constant")
    if policy == "steps":
        _read_steps(net, total, found)
    elif policy == "sgdr":
        lowest = net.number("learning_rate_min", 1e-5)
        found.values["schedule.final"] = lowest / (net.number("learning_rate", 0.001) or 1.0)
        if net.integer("sgdr_cycle", total) != total:
            found.notes.append(
                f"{net.line('sgdr_cycle')}the cosine has one cycle here, and no restart"
            )
    elif policy != "constant":
        found.notes.append(
            f"{net.line('policy')}policy={policy} has no counterpart; schedule.kind is constant"
        )


def _read_steps(net: _Reader, total: int, found: Settings) -> None:
    marks, scales = net.numbers("steps"), net.numbers("scales")
    found.values["schedule.steps"] = [mark / total for mark in marks if mark <= total]
    if any(mark > total for mark in marks):
        found.notes.append(f"{net.line('steps')}marks behind max_batches are left out")
    if scales:
        found.values["schedule.scale"] = scales[0]
    if len(set(scales)) > 1:
        found.notes.append(
            f"{net.line('scales')}all marks have one scale here, the first of "
            f"{', '.join(f'{scale:g}' for scale in scales)}"
        )


def _read_augmentation(net: _Reader, last: _Reader, found: Settings) -> None:
    found.values |= {
        "augment.mosaic": MOSAIC_SHARE * net.flag("mosaic"),
        "augment.flip": FLIP_SHARE * (net.number("flip", 1.0) != 0),
        "augment.jitter": last.number("jitter", 0.2),
        "augment.hue": net.number("hue", 0.0),
        "augment.saturation": _factor(net.number("saturation", 1.0)),
        "augment.exposure": _factor(net.number("exposure", 1.0)),
        "data.letter_box": net.flag("letter_box"),
    }


def _factor(value: float) -> float:
    """A largest factor; darknet takes it or its inverse, so that .75 is 4/3."""
    return 1 / value if 0 < value < 1 else value


def _read_loss(heads: Sequence[_Reader], found: Settings) -> None:
    _shared(heads, "loss.iou_threshold", lambda h: h.number("iou_thresh", 1.0), found)
    _shared(heads, "loss.ignore_threshold", lambda h: h.number("ignore_thresh", 0.5), found)
    _shared(heads, "loss.iou_normalizer", lambda h: h.number("iou_normalizer", 0.75), found)
    _shared(heads, "loss.obj_normalizer", lambda h: h.number("obj_normalizer", 1.0), found)
    _shared(heads, "loss.label_smoothing", lambda h: h.number("label_smooth_eps", 0.0), found)
    _shared(heads, "loss.max_delta", lambda h: h.number("max_delta", 0.0), found)
    _shared(heads, "loss.focal", lambda h: h.flag("focal_loss"), found)
    _shared(heads, "loss.objectness_smooth", lambda h: h.flag("objectness_smooth"), found)
    _shared(heads, "loss.class_counters", lambda h: h.has("counters_per_class"), found)
    _shared(heads, "loss.uc_normalizer", lambda h: h.number("uc_normalizer", 1.0), found)
    _shared(heads, "loss.cls_normalizer", lambda h: h.number("cls_normalizer", 1.0), found)
    words = [head.text("iou_loss", "mse") for head in heads]
    # any other word is plain IoU to darknet
    found.values["loss.box"] = BOX_LOSSES.get(words[-1], "iou")
    found.values["loss.gradient"] = "darknet"
    if len(set(words)) > 1:
        found.notes.append(f"{heads[-1].line('iou_loss')}all scales have one iou_loss here")
    if found.values["loss.class_counters"]:
        found.notes.append(
            f"{heads[-1].line('counters_per_class')}classes are counted in the data here"
        )
    elif found.values["loss.cls_normalizer"] != 1:
        found.values["loss.cls_normalizer"] = 1.0
        found.notes.append(
            f"{heads[-1].line('cls_normalizer')}cls_normalizer does nothing in darknet without "
            "counters_per_class; here it would weigh the class loss, so it is 1"
        )


def _shared(
    heads: Sequence[_Reader], path: str, read: Callable[[_Reader], Any], found: Settings
) -> None:
    """A setting that darknet has for each scale and we have once: the median."""
    own = [read(head) for head in heads]
    found.values[path] = statistics.median_low(own)
    if len(set(own)) > 1:
        listed = ", ".join(f"{value:g}" for value in own)
        found.notes.append(
            f"{path} is one value for all scales here: {found.values[path]:g}, the median of "
            f"{listed}"
        )


def _read_nms(last: _Reader, found: Settings) -> None:
    kind, beta = last.text("nms_kind", "default"), last.number("beta_nms", 0.6)
    found.values["nms.kind"] = NMS_KINDS.get(kind, "greedy")
    if kind == "diounms":
        found.values["nms.beta"] = beta
    if kind not in NMS_KINDS:
        found.notes.append(f"{last.line('nms_kind')}nms_kind={kind} becomes nms.kind greedy")


def _read_differing(heads: Sequence[_Reader], found: Settings) -> None:
    """What the other heads say where the last one's word counts."""
    last = heads[-1].section
    for head in heads[:-1]:
        for key in OF_LAST_HEAD:
            own = head.text(key, "")
            if own and own != last.text(key, ""):
                found.notes.append(f"{head.line(key)}{key}={own} is not that of the last head")


def _read_norm(cfg: Cfg, found: Settings) -> None:
    kinds = {
        2 if section.integer("cbn", 0) else section.integer("batch_normalize", 0)
        for section in cfg.layers
        if section.name == "convolutional"
    } - {0}
    if 2 in kinds:
        found.values["norm"] = "cmbn"
        if len(kinds) > 1:
            found.notes.append("norm is cmbn in all layers here; in the file it is in some")


def _is_idle(section: Section, key: str) -> bool:
    text = section.text(key, "")
    try:
        return float(text) == IDLE.get(key)
    except ValueError:
        return text == IDLE_WORDS.get(key)


def _without_counterpart(section: Section, key: str) -> str:
    entry = section.entries[key]
    reason = LATER.get(key, "no counterpart here")
    return f"line {entry.line}: {key}={entry.text} of [{section.name}]: {reason}"


def _acceptable(found: Settings) -> tuple[dict[str, Any], list[str]]:
    """Leave out, with a note, what is out of our range."""
    values, notes = {}, list(found.notes)
    for path, value in found.values.items():
        try:
            TrainConfig().with_values({path: value})
        except ValidationError as refused:
            reason = refused.errors()[0]["msg"]
            notes.append(f"{path} cannot be {value!r} here: {reason}; it is left as it is")
        else:
            values[path] = value
    return values, notes
