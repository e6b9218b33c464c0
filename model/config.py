"""The training configuration: one frozen, checked tree of settings.

A key path such as ``optimizer.lr`` names one setting everywhere: in a space file, in ``--set``,
in the manifest and in a report. Nothing here imports torch, so spaces are checked in no time.
"""

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
NonNegative = Annotated[float, Field(ge=0.0)]


class Section(BaseModel):
    """Base of all sections: frozen, finite, and no unknown key."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


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

    kind: Literal["cosine", "steps", "constant"] = Field(
        "cosine", description="cosine to `final`; `steps` multiplies by `scale` at each mark"
    )
    warmup: Fraction = Field(0.1, description="fraction of the training spent warming up")
    warmup_power: Positive = Field(1.0, description="lr ~ progress^power; darknet uses 4")
    final: Fraction = Field(0.01, description="last multiple of the cosine")
    steps: tuple[Fraction, ...] = Field((0.8, 0.9), description="marks, as fractions of training")
    scale: Fraction = Field(0.1, description="multiplier at each mark")


class LossConfig(Section):
    """Loss and assignment of a YOLOv4 detector (darknet's `[yolo]` keys)."""

    box: Literal["iou", "giou", "diou", "ciou"] = Field("ciou", description="box loss")
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
        0.0, description="eps of the class targets: y(1 - eps) + eps/2"
    )


class AugmentConfig(Section):
    """What is done to a training image."""

    mosaic: Fraction = Field(0.5, description="probability that an image is a mosaic of four")
    flip: Fraction = Field(0.5, description="probability of a left-right flip")
    jitter: Annotated[float, Field(ge=0.0, lt=0.5)] = Field(
        0.2, description="each border moves by up to this fraction of the size"
    )
    hue: Annotated[float, Field(ge=0.0, le=0.5)] = Field(
        0.1, description="largest hue shift, as a fraction of the colour circle"
    )
    saturation: Annotated[float, Field(ge=1.0)] = Field(1.5, description="largest factor, or 1/it")
    exposure: Annotated[float, Field(ge=1.0)] = Field(1.5, description="largest factor, or 1/it")


class EmaConfig(Section):
    """Exponential moving average of the weights, used for evaluation and checkpoints."""

    decay: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(
        0.998, description="upper bound of the decay (1 + n)/(10 + n) after n updates; 0: no EMA"
    )


class NmsConfig(Section):
    """Non-maximum suppression at evaluation."""

    kind: Literal["greedy", "diou"] = Field("greedy", description="criterion of suppression")
    iou_threshold: Fraction = Field(0.6, description="overlap above which a box is suppressed")
    score_threshold: Fraction = Field(0.001, description="lowest score that is kept")
    max_detections: Annotated[int, Field(ge=1)] = Field(100, description="kept per image")


class DataConfig(Section):
    """How images are held and fed."""

    letter_box: bool = Field(False, description="keep the aspect; darknet's default is to stretch")
    cache_mb: Annotated[int, Field(ge=0)] = Field(1024, description="bound on decoded images")
    workers: Annotated[int, Field(ge=0)] | Literal["auto"] = Field(
        "auto", description="loader threads; auto: none on CPU, up to 8 with a GPU"
    )


class TrainConfig(Section):
    """Everything one training depends on, besides the data."""

    model: str = Field("yolov4-nano", description="name in the model zoo")
    image_size: Annotated[int, Field(ge=32)] | Literal["auto"] = Field(
        "auto", description="network width and height in pixels, a multiple of 32; auto: from data"
    )
    epochs: Annotated[int, Field(ge=1)] = Field(20, description="passes over the training images")
    batch_size: Annotated[int, Field(ge=1)] = Field(8, description="images per update")
    subdivisions: Annotated[int, Field(ge=1)] = Field(
        1, description="mini-batches per update (gradient accumulation), darknet's word"
    )
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(
        0, description="seed of weights, order and augmentation"
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="auto: bf16 where processor or GPU gains from it"
    )
    anchors: Literal["yolov4", "optimised"] = Field(
        "yolov4", description="the nine of yolov4.cfg, or k-means on the training boxes"
    )
    scale_xy: bool = Field(True, description="scaled sigmoid 1.2, 1.1, 1.05 of the box centre")
    bn_momentum: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        0.1, description="weight of a new batch in BN's rolling statistics; darknet 0.01"
    )
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    loss: LossConfig = LossConfig()
    augment: AugmentConfig = AugmentConfig()
    ema: EmaConfig = EmaConfig()
    nms: NmsConfig = NmsConfig()
    data: DataConfig = DataConfig()

    @field_validator("image_size")
    @classmethod
    def _stride_divides(cls, value: int | str) -> int | str:
        if isinstance(value, int) and value % 32:
            below = value // 32 * 32
            raise ValueError(f"{value} is not a multiple of 32; take {below} or {below + 32}")
        return value

    def to_dict(self) -> dict[str, Any]:
        """Plain nested dictionary of JSON types."""
        return self.model_dump(mode="json")

    def with_values(self, values: dict[str, Any]) -> "TrainConfig":
        """Copy with some key paths set, checked again.

        Parameters
        ----------
        values : dict of key path -> value
            For example ``{"optimizer.lr": 0.01}``.

        Raises
        ------
        pydantic.ValidationError
            If a path is unknown or a value is out of range.
        """
        tree = self.to_dict()
        for path, value in values.items():
            *parents, leaf = path.split(".")
            node = tree
            for name in parents:
                node = node.setdefault(name, {})
            node[leaf] = value
        return TrainConfig.model_validate(tree)

    def digest(self) -> str:
        """SHA-256 of the canonical JSON: equal for equal configurations, in any process."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def key_paths(config: TrainConfig | None = None) -> dict[str, Any]:
    """Every settable key path with its value in `config` (the defaults if not given)."""
    flat: dict[str, Any] = {}
    for name, value in (config or TrainConfig()).to_dict().items():
        if isinstance(value, dict):
            flat.update({f"{name}.{leaf}": inner for leaf, inner in value.items()})
        else:
            flat[name] = value
    return flat
