"""The training configuration: one frozen, checked tree of settings.

A key path such as ``optimizer.lr`` names one setting everywhere: in a space file, in ``--set``,
in the manifest and in a report. Nothing here imports torch, so spaces are checked in no time.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, ValidationError, ValidationInfo, create_model, field_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from model.errors import nearest
from model.ingredient import effects
from model.section import Fraction, NonNegative, Positive, Section


class OptimizerConfig(Section):
    """SGD with momentum; weight decay acts on convolution weights only, as in darknet."""

    lr: Positive = Field(
        0.002, description="peak learning rate, per update of `batch_size` images"
    )
    momentum: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(0.9, description="SGD momentum")
    weight_decay: NonNegative = Field(5e-4, description="L2 on convolution weights only")
    clip_norm: NonNegative = Field(
        100.0, description="largest norm of the whole gradient; 0 turns clipping off"
    )


class ScheduleConfig(Section):
    """Learning rate over the training, as a multiple of `optimizer.lr`."""

    kind: Literal["cosine", "steps", "poly", "constant"] = Field(
        "cosine",
        description="cosine to `final`; steps: times `scale` at each mark; poly: (1 - t)^power",
    )
    warmup: Fraction = Field(0.1, description="fraction of the training spent warming up")
    warmup_power: Positive = Field(1.0, description="lr ~ progress^power; darknet uses 4")
    final: Fraction = Field(0.01, description="last multiple of the cosine")
    cycle: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        1.0, description="cosine: first cycle, as a fraction of training; then warm restarts"
    )
    cycle_factor: Annotated[float, Field(ge=1.0)] = Field(
        2.0, description="each cycle is so many times as long as the one before"
    )
    power: Positive = Field(4.0, description="of poly")
    steps: tuple[Fraction, ...] = Field((0.8, 0.9), description="marks, as fractions of training")
    scale: Fraction = Field(0.1, description="multiplier at each mark")


class LossConfig(Section):
    """Loss and assignment of a YOLOv4 detector (darknet's `[yolo]` keys)."""

    box: Literal["mse", "smooth-l1", "iou", "iou-log", "giou", "diou", "ciou"] = Field(
        "ciou", description="box loss; iou-log is -ln(IoU), the others of the family 1 - overlap"
    )
    gradient: Literal["autograd", "darknet"] = Field(
        "autograd", description="of the IoU family; darknet's is much larger (iou_normalizer 0.07)"
    )
    max_delta: NonNegative = Field(
        0.0, description="bound on each of a box's four darknet gradients; 0: none; yolov4.cfg 5"
    )
    iou_threshold: Fraction = Field(
        0.213, description="further anchors with a wh-IoU above this are positive; 1 = best only"
    )
    ignore_threshold: Fraction = Field(
        0.7, description="a negative whose box overlaps a truth above this is left out"
    )
    iou_normalizer: NonNegative = Field(1.0, description="weight of the box loss")
    cls_normalizer: NonNegative = Field(1.0, description="weight of the class loss")
    obj_normalizer: NonNegative = Field(1.0, description="weight of the objectness loss")
    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(
        0.0,
        description="eps of the class targets: y(1 - eps) + eps/2; a classifier's other classes "
        "share eps",
    )
    focal: bool = Field(False, description="focal class loss, alpha 0.5, gamma 2")
    objectness_smooth: bool = Field(
        False, description="objectness learns the IoU with the truth instead of 1 (darknet's key)"
    )
    class_counters: bool = Field(
        False, description="weigh classes by their rarity (darknet's counters_per_class)"
    )
    uc_normalizer: NonNegative = Field(
        1.0, description="weight of the variances of a Gaussian head"
    )
    ohem: Annotated[int, Field(ge=0)] = Field(
        0, description="only so many hardest slots per image teach the objectness; 0: all"
    )
    ohem_iou: Fraction = Field(
        0.7, description="of slots whose boxes overlap more than this only the hardest counts"
    )
    ohem_ratio: NonNegative = Field(
        0.0, description="most negatives for each positive among the hardest; 0: any number"
    )


class BaseAugmentConfig(Section):
    """What is done to a training image, besides effects: crop, flip, colour, mixing."""

    mosaic: Fraction = Field(0.5, description="probability that an image is a mosaic")
    mosaic_images: Literal[4, 9] = Field(4, description="pictures of a mosaic")
    mixup: Fraction = Field(0.0, description="probability that two images are blended, half each")
    cutmix: Fraction = Field(
        0.0, description="classifier: probability that a part is another image's"
    )
    flip: Fraction = Field(0.5, description="probability of a left-right flip")
    jitter: Annotated[float, Field(ge=0.0, lt=0.5)] = Field(
        0.2, description="each border moves by up to this fraction of the size"
    )
    resize: Annotated[float, Field(gt=0.0)] = Field(
        1.0, description="zoom out or in by up to this factor, below 1 out only (darknet's key)"
    )
    rotate: Annotated[float, Field(ge=0.0, le=180.0)] = Field(
        0.0, description="largest angle to either side, in degrees"
    )
    hue: Annotated[float, Field(ge=0.0, le=0.5)] = Field(
        0.1, description="largest hue shift, as a fraction of the colour circle"
    )
    saturation: Positive = Field(1.5, description="largest factor, or 1/it")
    exposure: Positive = Field(1.5, description="largest factor, or 1/it")
    aspect: Positive = Field(1.0, description="classifier: largest change of the aspect, or 1/it")
    zoom_min: Positive = Field(
        0.5, description="classifier: least size of the shorter side, network size = 1"
    )
    zoom_max: Positive = Field(
        1.75, description="classifier: greatest size of the shorter side, network size = 1"
    )


if TYPE_CHECKING:

    class AugmentConfig(BaseAugmentConfig):
        """As below; a type checker cannot know the catalogue."""

else:
    AugmentConfig = create_model(
        "AugmentConfig",
        __base__=BaseAugmentConfig,
        __doc__="What is done to a training image, with a subsection for each effect.",
        **{effect.key: (effect.settings, effect.settings()) for effect in effects()},
    )


class SatConfig(Section):
    """Self-adversarial training: the network changes the image, then learns from it."""

    kind: Literal["none", "darknet", "fgsm"] = Field(
        "none", description="darknet: hides all objects by raw gradient; fgsm: sign, true loss"
    )
    probability: Fraction = Field(0.5, description="share of the mini-batches")
    strength: NonNegative = Field(
        1.0, description="darknet: adversarial_lr, times progress, times the gradient"
    )
    epsilon: Fraction = Field(4 / 255, description="fgsm: step, of a range of 1")


class DistillConfig(Section):
    """Label refinement: class targets are mixed with what a trained teacher sees."""

    teacher: str = Field("", description="checkpoint of the teacher; empty: none")
    teacher_sha256: str = Field("", description="digest of that file, filled in when it is read")
    weight: Fraction = Field(0.5, description="share of the teacher in a class target")
    iou: Fraction = Field(0.5, description="a teacher's box must overlap a truth by this")


class ShapesConfig(Section):
    """Random training shapes (darknet's `random`)."""

    range: Annotated[float, Field(ge=1.0)] = Field(
        1.0, description="network size varies by up to this factor; darknet 1.4; 1: it does not"
    )
    every: Annotated[int, Field(ge=1)] = Field(10, description="updates between two draws")
    last: Fraction = Field(0.1, description="end of the training at the largest size")


class EmaConfig(Section):
    """Exponential moving average of the weights, used for evaluation and checkpoints."""

    decay: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(
        0.998, description="upper bound of the decay (1 + n)/(10 + n) after n updates; 0: no EMA"
    )


class NmsConfig(Section):
    """Non-maximum suppression at evaluation."""

    kind: Literal["greedy", "diou", "darknet-greedy", "soft"] = Field(
        "greedy", description="criterion of suppression"
    )
    beta: Positive = Field(
        0.6, description="diou: exponent of the distance; 1 is the paper's, 0.6 darknet's"
    )
    sigma: Positive = Field(0.5, description="soft: width of the Gaussian decay")
    iou_threshold: Fraction = Field(0.6, description="overlap above which a box is suppressed")
    score_threshold: Fraction = Field(0.001, description="lowest score that is kept")
    max_detections: Annotated[int, Field(ge=1)] = Field(100, description="kept per image")


Activation = Literal[
    "relu", "leaky", "relu6", "prelu", "selu", "swish", "hard-swish", "mish", "hard-mish", "tlu"
]


class BackboneConfig(Section):
    """Changes to the backbone of the named model."""

    activation: Activation | Literal["auto"] = Field("auto", description="auto: the model's own")
    csp: Literal["auto", "none"] = Field(
        "auto", description="none: Darknet53 in place of CSPDarknet53"
    )
    residual: Literal["plain", "relu", "softmax"] = Field(
        "plain", description="residual sums with learned weights so normalised (MiWRC)"
    )
    attention: Literal["none", "sam", "cbam", "se"] = Field(
        "none", description="attention at the end of every residual branch"
    )
    weights: str = Field("", description="checkpoint to start from, of a classifier or detector")
    weights_sha256: str = Field("", description="digest of that file, filled in when it is read")


class NeckConfig(Section):
    """Changes to the neck of the named model; `auto` leaves what the model has."""

    activation: Activation | Literal["auto"] = Field("auto", description="of neck and head")
    pooling: Literal["auto", "none", "spp"] = Field(
        "auto", description="block on the coarsest map"
    )
    fusion: Literal["auto", "fpn", "pan-add", "pan", "bifpn"] = Field(
        "auto", description="paths between the scales; pan joins by concatenation as YOLOv4 does"
    )
    fusion_weights: Literal["auto", "none", "relu", "softmax"] = Field(
        "auto",
        description="learned weights of sums (MiWRC); auto: relu for bifpn, none for pan-add",
    )
    attention: Literal["none", "sam", "cbam", "se"] = Field(
        "none", description="attention on the three outputs; sam is point-wise, cbam the original"
    )
    asff: bool = Field(False, description="adaptively spatial feature fusion before the head")


class HeadConfig(Section):
    """Changes to the head of the named model."""

    box: Literal["point", "gaussian"] = Field(
        "point", description="gaussian: every coordinate has a variance that lowers the score"
    )
    rfb: Literal["none", "rfb", "rfbn"] = Field(
        "none", description="receptive field block before each prediction; rfbn: with BN"
    )


class DropConfig(Section):
    """Random removal while training, on the outputs of the last two backbone stages."""

    kind: Literal["none", "dropout", "spatial", "dropblock", "dropblock-darknet", "path"] = Field(
        "none", description="path drops whole residual branches, in all stages"
    )
    probability: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(
        0.1, description="share that is dropped"
    )
    block: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        0.2, description="side of a DropBlock, as a fraction of the map's"
    )
    ramp: Fraction = Field(
        0.85, description="fraction of the training over which DropBlock grows to its full extent"
    )


class DataConfig(Section):
    """How images are held and fed."""

    letter_box: bool = Field(False, description="keep the aspect; darknet's default is to stretch")
    cache_mb: Annotated[int, Field(ge=0)] = Field(1024, description="bound on decoded images")
    workers: Annotated[int, Field(ge=0, le=1024)] | Literal["auto"] = Field(
        "auto", description="loader processes; auto: none on CPU, up to 8 with a GPU"
    )
    backend: Literal["auto", "opencv", "device"] = Field(
        "auto",
        description="who paints training images; auto: a GPU that holds the pictures, else OpenCV",
    )


FILES = ("backbone.weights", "distill.teacher")
"""Key paths that name files; a digest of each follows in ``..._sha256``."""

CHANGES = "changes"
CHANGEABLE = (
    "optimizer", "schedule", "loss", "augment", "sat", "nms", "ema", "bn_momentum",
    "drop.probability", "drop.block", "drop.ramp", "distill.weight", "distill.iou",
)  # fmt: skip
"""Sections and settings that may change during a training.

Neither the network's tensors, nor the plan of an epoch's mini-batches, nor what a checkpoint holds
depends on them.
"""


class TrainConfig(Section):
    """Everything one training depends on, besides the data."""

    task: Literal["detect", "classify"] = Field(
        "detect", description="train a detector, or a backbone as a classifier"
    )
    model: str = Field("yolov4-nano", description="name in the model zoo")
    image_size: Annotated[int, Field(ge=32)] | Literal["auto"] = Field(
        "auto", description="network width and height in pixels, a multiple of 32; auto: from data"
    )
    epochs: Annotated[int, Field(ge=1)] = Field(20, description="passes over the training images")
    batch_size: Annotated[int, Field(ge=1)] = Field(8, description="images per update")
    subdivisions: Annotated[int, Field(ge=1)] = Field(
        1, description="mini-batches per update (gradient accumulation), darknet's word"
    )
    batch_policy: Literal["fixed", "dynamic"] = Field(
        "fixed", description="dynamic: larger mini-batches at smaller random shapes"
    )
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(
        0, description="seed of weights, order and augmentation"
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="auto: bf16 where processor or GPU gains from it"
    )
    anchors: Literal["auto", "yolov3", "yolov4", "optimised"] = Field(
        "auto", description="auto: the model's own; optimised: k-means on the training boxes"
    )
    scale_xy: bool = Field(
        True, description="the model's scaled sigmoid of box centres; yolov4 1.2, 1.1, 1.05"
    )
    norm: Literal["bn", "cmbn", "cbn", "frn"] = Field(
        "bn", description="normalisation; cmbn gathers over the mini-batches of one update"
    )
    bn_momentum: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        0.1, description="weight of a new batch in BN's rolling statistics; darknet 0.01"
    )
    backbone: BackboneConfig = BackboneConfig()
    neck: NeckConfig = NeckConfig()
    head: HeadConfig = HeadConfig()
    drop: DropConfig = DropConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    loss: LossConfig = LossConfig()
    augment: AugmentConfig = AugmentConfig()
    shapes: ShapesConfig = ShapesConfig()
    sat: SatConfig = SatConfig()
    distill: DistillConfig = DistillConfig()
    ema: EmaConfig = EmaConfig()
    nms: NmsConfig = NmsConfig()
    data: DataConfig = DataConfig()
    # the last field: its check looks at all the others
    changes: dict[int, dict[str, Any]] = Field(
        {}, description="settings that change: {finished epochs: {key path: value from then on}}"
    )

    def __hash__(self) -> int:
        return hash(self.digest())

    @field_validator("image_size")
    @classmethod
    def _stride_divides(cls, value: int | str) -> int | str:
        if isinstance(value, int) and value % 32:
            below = value // 32 * 32
            raise ValueError(f"{value} is not a multiple of 32; take {below} or {below + 32}")
        return value

    @field_validator("changes", mode="before")
    @classmethod
    def _by_key_path(cls, value: Any) -> Any:
        """Sections that are written out become key paths."""
        if not isinstance(value, dict):
            return value  # which its type refuses
        flat: dict[Any, Any] = {}
        for key, tree in value.items():
            epoch = int(key) if isinstance(key, str) and key.isdecimal() else key  # JSON's keys
            if not isinstance(tree, dict):
                flat[epoch] = tree
                continue
            values = flat.setdefault(epoch, {})
            for path, one in _leaves(tree, ""):
                if path in values:
                    what = f"'{path}' is set twice after epoch {epoch}"
                    raise _refusal([((str(epoch), path), what, "remove one of the two")])
                values[path] = one
        return flat

    @field_validator("changes")
    @classmethod
    def _can_be_made(
        cls, value: dict[int, dict[str, Any]], info: ValidationInfo
    ) -> dict[int, dict[str, Any]]:
        """All of them at their time, and their values as the settings themselves take them."""
        changes = {epoch: value[epoch] for epoch in sorted(value) if value[epoch]}
        faults = list(_misplaced(changes, info.data.get("epochs")))
        if faults:
            raise _refusal(faults)
        if cls.model_fields.keys() - info.data.keys() != {CHANGES}:
            return changes  # the others are at fault, and told of
        tree = cls.model_construct(**info.data).to_dict()
        for epoch, values in changes.items():
            for path, one in values.items():
                set_value(tree, path, one)
            try:
                if info.mode == "json":  # of a file, where text is never taken for a number
                    now = cls.model_validate_json(json.dumps(tree), strict=True)
                else:
                    now = cls.model_validate(tree)
            except ValidationError as refused:
                raise _below(refused, str(epoch)) from refused
            holds = key_paths(now)
            changes[epoch] = {path: holds[path] for path in sorted(values)}
        return changes

    def to_dict(self) -> dict[str, Any]:
        """Plain nested dictionary of JSON types.

        Without changes it has no entry for them, so that digests are those of before there were
        any. With some their epochs are text, as JSON has it, and their settings nested as all are.
        """
        tree = self.model_dump(mode="json", exclude={CHANGES})
        self._set_changes(tree)
        return tree

    def _set_changes(self, tree: dict[str, Any]) -> None:
        for epoch, values in self.changes.items():
            for path, value in values.items():
                set_value(tree, f"{CHANGES}.{epoch}.{path}", value)

    def at(self, epoch: int) -> "TrainConfig":
        """What holds after `epoch` finished epochs, with no changes of its own.

        So epoch `n`, counted from 0, is trained and measured with ``at(n)``.
        """
        if not self.changes:
            return self
        values: dict[str, Any] = {}
        for after, some in self.changes.items():  # in order
            if after <= epoch:
                values |= some
        return self.with_values({CHANGES: {}, **values})

    def history(self, epochs: int) -> tuple[str, ...]:
        """Digests of what the first `epochs` epochs are trained with, each told once.

        Two configurations with the same history give the same training until then.
        """
        turns = [0, *(after for after in self.changes if after < epochs)]
        digests = [self.at(turn).digest() for turn in turns]
        return tuple(
            f"{turn} {digest}"
            for turn, digest, before in zip(turns, digests, ["", *digests], strict=False)
            if digest != before
        )

    def with_values(self, values: dict[str, Any]) -> "TrainConfig":
        """Copy with some key paths set, checked again.

        Parameters
        ----------
        values : dict of key path -> value
            For example ``{"optimizer.lr": 0.01}``, or ``{"changes.4.optimizer.lr": 0.001}`` for
            one from the fifth epoch on. One that names a file drops the digest of the file before.

        Raises
        ------
        pydantic.ValidationError
            If a path is unknown or a value is out of range.
        """
        # a section in which nothing is set is taken as it is: it cannot change, and was checked
        tree = {name: value for name, value in self if name != CHANGES}
        self._set_changes(tree)
        # a digest belongs to one file: another one's is found anew
        stale = {f"{path}_sha256": "" for path in values if path in FILES}
        for path, value in (stale | values).items():
            set_value(tree, path, value)
        return TrainConfig.model_validate(tree)

    def digest(self) -> str:
        """SHA-256 of the canonical JSON: equal for equal configurations, in any process."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def key_paths(config: TrainConfig | None = None) -> dict[str, Any]:
    """Every settable key path with its value in `config` (the defaults if not given).

    A change is among them only where the configuration has it, as ``changes.4.optimizer.lr``.
    """
    return dict(_leaves((config or TrainConfig()).to_dict(), ""))


@cache
def changeable(path: str) -> bool:
    """Whether a setting may change during a training, as in `TrainConfig.changes`.

    Parameters
    ----------
    path : str
        Key path; one that is no setting may not.
    """
    section = any(path == one or path.startswith(f"{one}.") for one in CHANGEABLE)
    return section and path in key_paths()


def is_key(path: str) -> bool:
    """Whether a key path may be set: that of a setting, or of a change.

    Whether there can be such a change is told when it is set, with the reason.
    """
    return path == CHANGES or without_epoch(path) in key_paths()


def without_epoch(path: str) -> str:
    """Setting that a change is of: ``optimizer.lr`` for ``changes.4.optimizer.lr``.

    Any other key path stays as it is.
    """
    first, *rest = path.split(".", 2)
    return rest[1] if first == CHANGES and len(rest) == 2 else path


def _leaves(tree: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def set_value(tree: dict[str, Any], path: str, value: Any) -> None:
    """Set the value at a key path of a nested dictionary, which is changed.

    Sections on the way become dictionaries.
    """
    *parents, leaf = path.split(".")
    for name in parents:
        inner = tree.setdefault(name, {})
        if isinstance(inner, Section):
            inner = tree[name] = dict(inner)
        tree = inner
    tree[leaf] = value


_Fault = tuple[tuple[str, ...], str, str]
"""Place below `changes`, what is wrong, and how to mend it."""


def _misplaced(changes: Mapping[int, Mapping[str, Any]], epochs: int | None) -> Iterator[_Fault]:
    """Changes at no time of the training, and those of settings that stay as they are."""
    for epoch, values in changes.items():
        if epochs is not None and not 1 <= epoch < epochs:
            what = f"a change after {epoch} epochs is none of a training of {epochs}"
            mend = f"take a whole number from 1 to {epochs - 1}" if epochs > 1 else "raise epochs"
            yield (str(epoch),), what, mend
        for path in values:
            place = (str(epoch), *path.split("."))
            if path not in key_paths():
                yield (
                    place,
                    f"unknown key '{path}'",
                    nearest(path, filter(changeable, key_paths())),
                )
            elif not changeable(path):
                yield (
                    place,
                    f"'{path}' cannot change during a training",
                    (f"set it for the whole training; these can: {', '.join(CHANGEABLE)}"),
                )


def _refusal(faults: list[_Fault]) -> ValidationError:
    """Error of a validator for several faults; `mend` reaches the user beside what is wrong."""
    details = [
        InitErrorDetails(
            type=PydanticCustomError("refused", "{what}", {"what": what, "mend": mend}),
            loc=place,
            input=None,
        )
        for place, what, mend in faults
    ]
    return ValidationError.from_exception_data(CHANGES, details)


def _below(refused: ValidationError, epoch: str) -> ValidationError:
    """The same faults, placed in the changes after an epoch."""
    details = [
        InitErrorDetails(
            type=detail["type"], loc=(epoch, *detail["loc"]), input=detail["input"],
            ctx=detail.get("ctx", {}),
        )
        for detail in refused.errors()
    ]  # fmt: skip
    return ValidationError.from_exception_data(CHANGES, details)
