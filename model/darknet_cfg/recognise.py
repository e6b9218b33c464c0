"""Which network of the zoo a darknet cfg file describes."""

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from model.anchors import YOLOV3_ANCHORS_WH_PX, YOLOV4_ANCHORS_WH_PX
from model.blocks.conv import scaled_width
from model.build import Detector, build_detector
from model.darknet_cfg.layers import (
    ACTIVATIONS,
    YOLO_KINDS,
    Described,
    describe_cfg,
    describe_network,
    first_difference,
    likeness,
)
from model.darknet_cfg.read import Cfg, Section
from model.darknet_cfg.settings import read_settings
from model.errors import ConfigurationError
from model.geometry import Anchors, Geometry
from model.zoo import FAMILIES, SIZES

LARGEST_CLASSES = 100_000
STRIDE = 32
KEPT = 64  # networks on the meta device, for the next file


@dataclass(frozen=True)
class Recognised:
    """A cfg file in our terms.

    Attributes
    ----------
    model : str
        Name in the zoo.
    num_classes : int
    width, height : int
        Of the input, in pixels.
    anchors_wh_px : tuple of (float, float)
        As in the file.
    values : dict of key path -> value
        For `TrainConfig.with_values`; `model` and changes to it are among them.
    notes : tuple of str
        What of the file has no counterpart, with its line.
    """

    model: str
    num_classes: int
    width: int
    height: int
    anchors_wh_px: Anchors
    values: dict[str, Any]
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Candidate:
    """A network on the meta device that a file might describe.

    `options` are the key paths that change the model.
    """

    model: str
    options: dict[str, Any]
    detector: Detector

    @property
    def title(self) -> str:
        changes = ", ".join(f"{path}: {value}" for path, value in self.options.items())
        return f"{self.model} with {changes}" if changes else self.model


def recognise(cfg: Cfg) -> Recognised:
    """Name the network of a cfg file, and read its training settings.

    The file's layers are compared with those of every family at full size, or at the size that
    its first convolution tells, with the activations and plug-ins that the file has.

    Raises
    ------
    ConfigurationError
        If the network is none of the zoo's: the nearest is named and the first difference. Or
        if the file makes no sense. Both with file:line.
    """
    heads = _heads(cfg)
    width, height = _input_size(cfg)
    anchors, classes = _anchors(heads), _classes(heads)
    theirs = describe_cfg(cfg)
    candidate = _find(cfg, theirs, classes)
    settings = read_settings(cfg)
    values = {"model": candidate.model, **candidate.options, **settings.values}
    notes = [*cfg.notes, *settings.notes]
    if width == height:
        values["image_size"] = width
    else:
        notes.append(
            f"line {cfg.net.line}: the input is {width}x{height}; it is square here, "
            "so image_size is left open"
        )
    _name_anchors(anchors, candidate.detector.geometry, values, notes)
    return Recognised(
        candidate.model, classes, width, height, anchors, values, tuple(notes)
    )  # fmt: skip


def _heads(cfg: Cfg) -> list[Section]:
    heads = [section for section in cfg.layers if section.name in YOLO_KINDS]
    if not heads:
        raise ConfigurationError(
            "the file has no [yolo] layer", cfg.net.where(), "give the cfg of a detector"
        )
    return heads


def _input_size(cfg: Cfg) -> tuple[int, int]:
    sides = []
    for key in ("width", "height"):
        side = cfg.net.integer(key, 0)
        if side < STRIDE or side % STRIDE:
            raise ConfigurationError(
                f"{key} is {side}, not a multiple of {STRIDE}", cfg.net.where(key),
                f"take {max(1, round(side / STRIDE)) * STRIDE}",
            )  # fmt: skip
        sides.append(side)
    channels = cfg.net.integer("channels", 3)
    if channels != 3:
        raise ConfigurationError(
            f"the input has {channels} channels, networks here take 3",
            cfg.net.where("channels"),
            "set channels=3 if the pictures have colours",
        )
    return sides[0], sides[1]


def _classes(heads: list[Section]) -> int:
    counts = [head.integer("classes", 20) for head in heads]
    for head, count in zip(heads, counts, strict=True):
        if count != counts[0] or not 0 < count <= LARGEST_CLASSES:
            raise ConfigurationError(
                f"classes is {count}, in the first [{heads[0].name}] {counts[0]}",
                head.where("classes"),
                f"give all heads one count, from 1 to {LARGEST_CLASSES:,}",
            )
    return counts[0]


def _anchors(heads: list[Section]) -> Anchors:
    first = heads[0].numbers("anchors")
    for head in heads:
        numbers, total = head.numbers("anchors"), head.integer("num", 1)
        if len(numbers) != 2 * total or numbers != first or min(numbers, default=0) <= 0:
            raise ConfigurationError(
                f"anchors are {len(numbers)} numbers, num is {total}",
                head.where("anchors"),
                "give all heads the same anchors: num pairs of positive width and height",
            )
    return tuple(zip(first[::2], first[1::2], strict=True))


def _name_anchors(
    anchors: Anchors, geometry: Geometry, values: dict[str, Any], notes: list[str]
) -> None:
    named = {
        YOLOV3_ANCHORS_WH_PX: "yolov3",
        YOLOV4_ANCHORS_WH_PX: "yolov4",
        geometry.anchors_wh_px: "auto",
    }
    if anchors in named:
        values["anchors"] = named[anchors]
        return
    listed = ", ".join(f"{w:g}x{h:g}" for w, h in anchors)
    notes.append(
        f"anchors {listed} have no name here; a training takes those of the model, "
        "or anchors: optimised finds its own"
    )


def _find(cfg: Cfg, theirs: list[Described], classes: int) -> _Candidate:
    """The network with the file's layers, or an error that names the nearest."""
    seen = []
    for candidate in _candidates(theirs, classes):
        try:
            ours = _describe(candidate.detector)
        except ConfigurationError:  # a plug-in that darknet does not have
            continue
        if first_difference(ours, theirs) is None:
            return candidate
        seen.append((likeness(ours, theirs), candidate, ours))
    _, nearest, ours = max(seen, key=lambda one: one[0])
    raise _unknown(cfg, theirs, nearest, ours)


_describe = functools.lru_cache(maxsize=KEPT)(describe_network)


def _candidates(theirs: list[Described], classes: int) -> Iterator[_Candidate]:
    """Networks that begin as the file does, full-sized ones first; if there are none, all."""
    hints = _hints(theirs)
    filters = theirs[0].values.get("filters")
    count = sum(layer.kind == "convolutional" for layer in theirs)

    def built(names: Iterable[tuple[str, str]]) -> Iterator[_Candidate]:
        """The likeliest first; each is built when it is asked for."""
        for family, suffix in sorted(names, key=lambda one: abs(_plain(*one)[1] - count)):
            candidate = _candidate(family, suffix, theirs, hints, classes)
            if candidate is not None:
                yield candidate

    stems = {family: _plain(family, "")[0] for family in FAMILIES}
    fitting = [(family, "") for family, stem in stems.items() if str(stem) == filters]
    yield from built(fitting)
    smaller = [
        (family, suffix)
        for family, stem in stems.items()
        for suffix, size in SIZES.items()
        if suffix and str(scaled_width(stem, size.width)) == filters
    ]
    yield from built(smaller)
    if not fitting and not smaller:
        yield from built((family, "") for family in FAMILIES)


@functools.cache
def _plain(family: str, suffix: str) -> tuple[int, int]:
    """Channels of the first convolution of a model as it is, and its convolutions."""
    modules = _build(family + suffix, (), 1).modules()
    found = [module for module in modules if isinstance(module, nn.Conv2d)]
    return found[0].out_channels, len(found)


def _hints(theirs: list[Described]) -> dict[str, Any]:
    """Plug-ins that the file's layers tell: what follows the first upsampling is the neck's."""
    kinds = [layer.kind for layer in theirs]
    neck = kinds.index("upsample") if "upsample" in kinds else len(kinds)
    hints: dict[str, Any] = {}
    if "Gaussian_yolo" in kinds:
        hints["head.box"] = "gaussian"
    for one, after in zip(kinds, [*kinds[1:], ""], strict=True):
        if one == "sam":
            hints["backbone.attention" if after == "shortcut" else "neck.attention"] = "sam"
    for kind in sorted(_weights(theirs[:neck])):
        hints["backbone.residual"] = kind
    if "shortcut" in kinds[neck:]:
        hints["neck.fusion"] = "pan-add"
        hints["neck.fusion_weights"] = next(iter(_weights(theirs[neck:])), "none")
    elif not any(layer.values.get("stride") == "2" and layer.kind == "convolutional"
                 for layer in theirs[neck:]):  # fmt: skip
        hints["neck.fusion"] = "fpn"
    if not any(layer.kind == "maxpool" and layer.values["size"] == "5" for layer in theirs):
        hints["neck.pooling"] = "none"
    return hints


def _weights(layers: list[Described]) -> set[str]:
    """Normalisations of the weighted sums."""
    return {layer.values.get("weights_normalization", "none") for layer in layers} - {"none"}


def _candidate(
    name: str, suffix: str, theirs: list[Described], hints: dict[str, Any], classes: int
) -> _Candidate | None:
    """A model with the file's plug-ins, activations and scaling; None if it cannot have them."""
    family = FAMILIES[name]
    options = {path: value for path, value in hints.items() if not _is_own(name, path, value)}
    options |= dict(_activations(theirs, family.activation, family.neck_activation))
    plain = all(layer.values["scale_x_y"] == "1" for layer in theirs if layer.kind in YOLO_KINDS)
    if plain and family.geometry != family.geometry.without_scaling():
        options["scale_xy"] = False
    for kept in (options, {path: v for path, v in options.items() if path not in _PATHS}):
        try:
            detector = _build(name + suffix, tuple(kept.items()), classes)
        except ConfigurationError:
            continue
        return _Candidate(name + suffix, kept, detector)
    return None


_PATHS = ("neck.pooling", "neck.fusion", "neck.fusion_weights")


def _is_own(family: str, path: str, value: str) -> bool:
    """Whether a family has what is hinted at without being told."""
    return path == "neck.fusion" and value == "fpn" and family.startswith("yolov3")


@functools.lru_cache(maxsize=KEPT)
def _build(model: str, options: tuple[tuple[str, Any], ...], classes: int) -> Detector:
    sections: dict[str, dict[str, Any]] = {"backbone": {}, "neck": {}, "head": {}}
    for path, value in options:
        section, dot, key = path.partition(".")
        if dot:
            sections[section][key] = value
    with torch.device("meta"):  # layers, no weights
        return build_detector(
            model,
            classes,
            backbone=sections["backbone"],
            neck=sections["neck"],
            head=sections["head"],
            scale_xy=dict(options).get("scale_xy", True),
        )


def _activations(theirs: list[Described], own: str, neck: str) -> Iterator[tuple[str, str]]:
    """The file's activations where they are not the model's own.

    The first convolution has the backbone's, the last one with a normalisation the neck's.
    """
    words = {darknet: ours for ours, darknet in ACTIVATIONS.items()}
    normed = [
        words.get(layer.values["activation"])
        for layer in theirs
        if layer.values.get("batch_normalize") == "1"
    ]
    if normed and normed[0] in _SETTABLE and normed[0] != own:
        yield "backbone.activation", normed[0]
    if normed and normed[-1] in _SETTABLE and normed[-1] != neck:
        yield "neck.activation", normed[-1]


_SETTABLE = frozenset(ACTIVATIONS) - {"linear", "logistic"}


def _unknown(
    cfg: Cfg, theirs: list[Described], nearest: _Candidate, ours: list[Described]
) -> ConfigurationError:
    number = first_difference(ours, theirs)
    assert number is not None
    title = nearest.title
    if number >= len(theirs):
        what = f"the file ends before layer {number}, which is {ours[number]} in {title}"
        where = cfg.layers[-1].where()
    else:
        where = cfg.layers[number].where()
        if number >= len(ours):
            what = f"{title} ends before layer {number}, which is {theirs[number]} in the file"
        else:
            what = f"layer {number} {_contrast(theirs[number], ours[number], title)}"
    return ConfigurationError(
        f"the file describes no network known here; the nearest is {title}, and the first "
        f"difference: {what}",
        where,
        "give the cfg of a network of the zoo: " + ", ".join(FAMILIES),
    )


def _contrast(theirs: Described, ours: Described, title: str) -> str:
    if theirs.kind != ours.kind:
        return f"is [{theirs.kind}] in the file and {ours} in {title}"
    keys = [
        k for k in {**theirs.values, **ours.values} if theirs.values.get(k) != ours.values.get(k)
    ]
    told = [_pair(theirs, keys), _pair(ours, keys)]
    return f"[{theirs.kind}] has {told[0]} in the file and {told[1]} in {title}"


def _pair(layer: Described, keys: list[str]) -> str:
    return ", ".join(f"{key}={layer.values[key]}" if key in layer.values else f"no {key}"
                     for key in keys)  # fmt: skip
