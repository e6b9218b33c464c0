"""Darknet's cfg files: read with their lines, recognised, and written."""

import pytest
import torch

from model.build import build_from_config
from model.config import TrainConfig
from model.darknet_cfg.layers import describe_cfg
from model.darknet_cfg.read import LIMIT_BYTES, read_cfg
from model.darknet_cfg.recognise import recognise
from model.darknet_cfg.write import write_cfg
from model.errors import ConfigurationError
from model.zoo import FAMILIES
from tests.thorough import quick


def cfg_of(path, text):
    path.write_text(text)
    return read_cfg(path)


def written(path, values, classes=2, **options):
    """Configuration and the cfg file of a network without weights."""
    config = TrainConfig().with_values({"image_size": 96, **values})
    with torch.device("meta"):
        network = build_from_config(config, classes)
    write_cfg(network, config, path, **options)
    return config


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.cfg"


@pytest.fixture
def tiny(path):
    """Text of a small cfg file, to be spoilt."""
    written(path, {"model": "yolov4-tiny-nano"})
    return path.read_text()


def test_sections_have_values_and_lines(path):
    cfg = cfg_of(
        path,
        "# a comment\n[net]\nwidth = 96 # inline\n; another\nhue=.1\n\n[conv]\n"
        "steps = 1, 2,3\r\nfilters=-4\n",
    )
    assert (cfg.net.line, cfg.net.integer("width", 0), cfg.net.number("hue", 0)) == (2, 96, 0.1)
    (layer,) = cfg.layers
    assert (layer.name, layer.line) == ("convolutional", 7)
    assert layer.integers("steps") == (1, 2, 3)
    assert layer.numbers("steps") == (1.0, 2.0, 3.0)
    assert (layer.integer("filters", 1), layer.integer("size", 1)) == (-4, 1)
    assert layer.where("filters") == f"{path}:9"
    assert layer.where("absent") == f"{path}:7"
    assert cfg.notes == ()


def test_of_two_equal_keys_the_first_counts(path):
    cfg = cfg_of(path, "[net]\nbatch=64\nbatch=1\n")
    assert cfg.net.integer("batch", 1) == 64
    assert cfg.notes == ("line 3: 'batch' is given again; line 2 counts (64), not 1",)


REFUSED = {
    "empty": ("", "no section", ""),
    "no net": ("[convolutional]\n", r"first section is \[convolutional\]", ":1"),
    "two nets": ("[net]\n\n[network]\n", r"second \[net\]", ":3"),
    "key first": ("batch=1\n[net]\n", "'batch' stands before", ":1"),
    "no value": ("[net]\nbatch\n", "'batch' is neither", ":2"),
    "bad head": ("[net\n", r"'\[net' is no head", ":1"),
    "zero byte": ("[net]\nbatch=\0\n", "no text", ":2"),
    "sections": ("[net]\n" + "[conv]\n" * 2000, "more than 2,000", ":2001"),
    "size": ("#" * (LIMIT_BYTES + 1), "larger than", ""),
}


@pytest.mark.parametrize(("text", "what", "line"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_cfg_file_is_refused(path, text, what, line):
    with pytest.raises(ConfigurationError, match=what) as refused:
        cfg_of(path, text)
    assert refused.value.where == f"{path}{line}"


@pytest.mark.parametrize("value", ["", "x", "1e3", "1_0", "٣", "9" * 13, "nan"])
def test_what_is_no_whole_number_is_refused(path, value):
    cfg = cfg_of(path, f"[net]\n\nbatch={value}\n")
    with pytest.raises(
        ConfigurationError, match=r"'batch' of \[net\] is .* not a whole"
    ) as refused:
        cfg.net.integer("batch", 1)
    assert refused.value.where == f"{path}:3"


@pytest.mark.parametrize("value", ["inf", "1e400", "1e13", "0x1", "1.2.3"])
def test_what_is_no_number_is_refused(path, value):
    with pytest.raises(ConfigurationError, match="not a number"):
        cfg_of(path, f"[net]\nhue={value}\n").net.number("hue", 0.0)


def test_a_missing_file_is_told(path):
    with pytest.raises(ConfigurationError, match="no such cfg file"):
        read_cfg(path)


def test_layers_are_described_with_defaults_and_relative_sources(path):
    cfg = cfg_of(
        path,
        "[net]\n[convolutional]\n[convolutional]\nsize=3\npad=1\nstride_x=2\nstride_y=2\ncbn=1\n"
        "[route]\nlayers=-1,0\n[maxpool]\nstride=2\n[shortcut]\nfrom=-3\n"
        "weights_type=per_layer\nweights_normalization=avg_relu\n[unheard]\nkey=1\n",
    )
    first, second, route, pool, shortcut, unheard = describe_cfg(cfg)
    assert first.values["activation"] == "logistic"
    assert (first.values["size"], first.values["padding"]) == ("1", "0")
    assert (second.values["padding"], second.values["stride"]) == ("1", "2")
    assert second.values["batch_normalize"] == "1"
    assert route.values["layers"] == "-1,-2"
    assert (pool.values["size"], pool.values["padding"]) == ("2", "1")
    assert shortcut.values["weights_type"] == "per_feature"
    assert shortcut.values["weights_normalization"] == "relu"
    assert (unheard.kind, unheard.values) == ("unheard", {})


@pytest.mark.parametrize("source", ["5", "1", "-2", "", "-1,1", "x"])
def test_a_source_that_is_not_before_is_refused(path, source):
    cfg = cfg_of(path, f"[net]\n[convolutional]\n[route]\nlayers={source}\n")
    with pytest.raises(ConfigurationError, match="'layers' of") as refused:
        describe_cfg(cfg)
    assert refused.value.where == f"{path}:4"


VARIANTS = [
    {"model": "yolov4-tiny-3l-nano"},
    {"model": "yolov4-nano", "backbone.residual": "softmax", "backbone.attention": "sam"},
    {"model": "yolov4-small", "neck.fusion": "pan-add", "neck.fusion_weights": "relu"},
    {"model": "yolov4-nano", "neck.fusion": "fpn", "neck.pooling": "none"},
    {"model": "yolov4-nano", "head.box": "gaussian", "scale_xy": False},
    {"model": "yolov3-spp-nano", "backbone.activation": "hard-mish", "neck.activation": "swish"},
    *({"model": family + "-nano"} for family in FAMILIES if family != "yolov4-tiny-3l"),
    *({"model": f"{f}-nano", "neck.attention": "sam"} for f in FAMILIES if "tiny" not in f),
]


@pytest.mark.parametrize(
    "values", quick(6, VARIANTS), ids=lambda v: " ".join(map(str, v.values()))
)
def test_what_is_written_is_recognised(path, values):
    written(path, values)
    found = recognise(read_cfg(path))
    assert (found.model, found.num_classes) == (values["model"], 2)
    assert (found.width, found.height) == (96, 96)
    parts = ("backbone.", "neck.", "head.", "scale_xy")
    changes = {key: v for key, v in found.values.items() if key.startswith(parts)}
    assert changes == {key: v for key, v in values.items() if key != "model"}


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_recognised_at_full_size(path, family):
    written(path, {"model": family}, classes=80)
    found = recognise(read_cfg(path))
    assert (found.model, found.num_classes, found.values["anchors"]) == (family, 80, "auto")


TRAINING = {
    "model": "yolov4-tiny-nano", "batch_size": 64, "subdivisions": 16, "optimizer.lr": 0.00261,
    "optimizer.momentum": 0.949, "optimizer.weight_decay": 0.0005, "optimizer.clip_norm": 0.0,
    "ema.decay": 0.0, "schedule.kind": "steps", "schedule.steps": [0.8, 0.9],
    "schedule.scale": 0.1, "schedule.warmup": 0.002, "schedule.warmup_power": 4.0,
    "augment.mosaic": 0.5, "augment.flip": 0.0, "augment.jitter": 0.3, "augment.hue": 0.05,
    "augment.saturation": 1.25, "augment.exposure": 1.75, "data.letter_box": True,
    "loss.box": "giou", "loss.gradient": "darknet", "loss.iou_threshold": 0.213,
    "loss.ignore_threshold": 0.65, "loss.iou_normalizer": 0.07, "loss.obj_normalizer": 0.9,
    "loss.label_smoothing": 0.1, "loss.focal": True, "loss.objectness_smooth": True,
    "loss.max_delta": 5.0, "nms.kind": "diou", "nms.beta": 0.7, "image_size": 128,
    "anchors": "auto",
}  # fmt: skip


def test_training_settings_come_back(path):
    written(path, TRAINING, max_batches=500_500)
    found = recognise(read_cfg(path))
    config = TrainConfig().with_values(found.values)
    assert config == TrainConfig().with_values(
        TRAINING | {"schedule.warmup": 1001 / 500_500, "schedule.steps": [400400 / 500500, 0.9]}
    )
    (note,) = found.notes
    assert "max_batches=500500 is epochs" in note


def test_a_cosine_comes_back(path):
    values = {"model": "yolov4-tiny-nano", "schedule.final": 0.25, "schedule.warmup": 0.5}
    written(path, values)
    found = recognise(read_cfg(path)).values
    assert (found["schedule.kind"], found["schedule.final"]) == ("cosine", 0.25)
    assert (found["schedule.warmup"], found["schedule.warmup_power"]) == (0.5, 1.0)


def test_absent_keys_have_darknets_defaults(path, tiny):
    lines = [line for line in tiny.split("\n") if not line.startswith((
        "batch=", "decay=", "policy=", "iou_", "ignore_", "nms_", "mosaic", "hue", "saturation",
        "ema_alpha", "jitter", "power", "flip",
    ))]  # fmt: skip
    found = recognise(cfg_of(path, "\n".join(lines))).values
    assert found["batch_size"] == 1
    assert found["optimizer.weight_decay"] == 0.0001
    assert found["schedule.kind"] == "constant"
    assert found["schedule.warmup_power"] == 4.0
    assert found["loss.iou_normalizer"] == 0.75
    assert found["loss.iou_threshold"] == 1.0
    assert found["loss.ignore_threshold"] == 0.5
    assert found["loss.box"] == "mse"
    assert found["nms.kind"] == "greedy"
    assert (found["augment.mosaic"], found["augment.hue"], found["augment.jitter"]) == (0, 0, 0.2)
    assert (found["augment.saturation"], found["augment.flip"]) == (1.0, 0.5)
    assert found["ema.decay"] == 0.0


NOTED = [
    ("policy=sgdr", "policy=poly", "policy=poly has no counterpart; schedule.kind is constant"),
    ("policy=sgdr", "policy=steps\nsteps=3000,9000\nscales=.1,.2", "marks behind max_batches"),
    ("policy=sgdr", "policy=steps\nsteps=3000,4000\nscales=.1,.2", "the first of 0.1, 0.2"),
    ("policy=sgdr", "policy=sgdr\nsgdr_cycle=1000", "one cycle here"),
    ("hue=0.1", "hue=0.1\nangle=7", "angle=7 of [net]: no counterpart here"),
    ("hue=0.1", "hue=0.1\nmystery=x", "mystery=x of [net]: no counterpart here"),
    ("hue=0.1", "hue=0.9", "augment.hue cannot be 0.9 here"),
    ("batch=8", "batch=1", "batch=1 is what files for testing have"),
    ("height=96", "height=64", "96x64; it is square here"),
    ("cls_normalizer=1.0", "cls_normalizer=0.5", "cls_normalizer does nothing in darknet"),
    ("truth_thresh=1", "random=1", "random=1 of [yolo]: sizes of the input are not varied"),
    ("truth_thresh=1", "counters_per_class=1,2", "classes are counted in the data"),
    ("nms_kind=default", "nms_kind=cornersnms", "nms_kind=cornersnms becomes"),
    ("10,14, 23,27", "10,14, 23,28", "anchors 10x14, 23x28"),
    ("activation=leaky", "activation=leaky\nstopbackward=1", "stopbackward=1 of [convolutional]"),
]


@pytest.mark.parametrize(("old", "new", "note"), NOTED, ids=[new[:30] for _, new, _ in NOTED])
def test_what_has_no_counterpart_is_noted(path, tiny, old, new, note):
    assert old in tiny
    found = recognise(cfg_of(path, tiny.replace(old, new)))
    assert any(note in one for one in found.notes), found.notes
    assert found.model == "yolov4-tiny-nano"


def test_keys_that_do_nothing_are_not_noted(path, tiny):
    idle = "hue=0.1\nangle=0\naspect=1\nadam=0\nmixup=0"
    before = recognise(cfg_of(path, tiny)).notes
    after = recognise(cfg_of(path, tiny.replace("hue=0.1", idle))).notes
    assert len(before) == len(after)


def test_one_value_for_scales_that_differ_is_the_median(path):
    written(path, {"model": "yolov4-nano"})
    parts = path.read_text().split("obj_normalizer=1.0")
    text = "obj_normalizer=4.0".join(parts[:2]) + "obj_normalizer=1.0" + parts[2]
    text += "obj_normalizer=0.4" + parts[3]
    found = recognise(cfg_of(path, text))
    assert found.values["loss.obj_normalizer"] == 1.0
    assert any("the median of 4, 1, 0.4" in note for note in found.notes)


def test_anchors_of_another_model_are_named(path):
    written(path, {"model": "yolov4-nano", "anchors": "yolov3"})
    assert recognise(read_cfg(path)).values["anchors"] == "yolov3"
    written(path, {"model": "yolov3-spp-nano", "anchors": "yolov4"})
    assert recognise(read_cfg(path)).values["anchors"] == "yolov4"


def test_batch_normalize_2_is_cmbn(path, tiny):
    found = recognise(cfg_of(path, tiny.replace("batch_normalize=1", "batch_normalize=2")))
    assert found.values["norm"] == "cmbn"


def line_of(text, number):
    """Line of the head of a layer, from 1."""
    heads = [line for line, words in enumerate(text.split("\n"), 1) if words.startswith("[")]
    return heads[number + 1]


DIFFERENT = [
    ("filters=8", "filters=12", 0, "filters=12 in the file and filters=32 in yolov4-tiny$"),
    ("filters=64", "filters=72", 18, "filters=72 in the file and filters=64 in yolov4-tiny-nano"),
    ("[upsample]\nstride=2", "[upsample]\nstride=4", 33, "stride=4 in the file and stride=2"),
    ("[upsample]\nstride=2", "[reorg3d]\nstride=2", 33, r"is \[reorg3d\] in the file and"),
    ("groups=2\ngroup_id=1", "groups=2", 3, "group_id=0 in the file and group_id=1"),
    ("mask=1,2,3", "mask=0,1,2", 37, "mask=0,1,2 in the file and mask=1,2,3"),
    ("scale_x_y=1.05", "scale_x_y=1.1", 30, "scale_x_y=1.1 in the file and scale_x_y=1.05"),
    ("size=3", "size=3\nantialiasing=1", 0, "antialiasing=1 in the file and no antialiasing"),
]


@pytest.mark.parametrize(("old", "new", "layer", "what"), DIFFERENT, ids=[d[1] for d in DIFFERENT])
def test_the_first_difference_is_told(path, tiny, old, new, layer, what):
    assert old in tiny
    text = tiny.replace(old, new)
    with pytest.raises(ConfigurationError, match=f"(?m)nearest is .*{what}") as refused:
        recognise(cfg_of(path, text))
    assert f"layer {layer} " in refused.value.what
    assert refused.value.where == f"{path}:{line_of(text, layer)}"


def test_too_few_and_too_many_layers_are_told(path, tiny):
    with pytest.raises(ConfigurationError, match=r"ends before layer 38, which is \[route\]"):
        recognise(cfg_of(path, tiny + "\n[route]\nlayers=-1\n"))
    short = tiny[: tiny.rindex("[route]")]
    with pytest.raises(ConfigurationError, match="the file ends before layer 34"):
        recognise(cfg_of(path, short))


SENSELESS = [
    ("width=96", "width=100", "width is 100, not a multiple of 32"),
    ("channels=3", "channels=1", "1 channels, networks here take 3"),
    ("classes=2", "classes=0", "classes is 0"),
    ("num=6", "num=5", "anchors are 12 numbers, num is 5"),
    ("filters=8", "filters=many", "'filters' of .convolutional. is many"),
    ("[yolo]", "[region]", r"no \[yolo\] layer"),
]


@pytest.mark.parametrize(("old", "new", "what"), SENSELESS, ids=[one[1] for one in SENSELESS])
def test_senseless_files_are_refused(path, tiny, old, new, what):
    assert old in tiny
    with pytest.raises(ConfigurationError, match=what) as refused:
        recognise(cfg_of(path, tiny.replace(old, new)))
    assert refused.value.where.startswith(f"{path}:")


UNWRITABLE = [
    ({"neck.fusion": "bifpn"}, "darknet has no layer for what is computed here"),
    ({"neck.asff": True}, "darknet has no layer"),
    ({"head.rfb": "rfbn"}, "darknet has no layer"),
    ({"neck.attention": "cbam"}, "darknet has no layer"),
    ({"backbone.attention": "se"}, "darknet has no layer"),
    ({"backbone.activation": "hard-swish"}, "no activation 'hard-swish'"),
    ({"norm": "frn"}, "batch statistics"),
    ({"anchors": "optimised"}, "optimised anchors"),
    ({"image_size": "auto"}, "size of the input"),
]


@pytest.mark.parametrize(("values", "what"), UNWRITABLE, ids=[str(one[0]) for one in UNWRITABLE])
def test_what_darknet_lacks_is_not_written(path, values, what):
    with pytest.raises(ConfigurationError, match=what):
        written(path, {"model": "yolov4-nano", **values})
    assert not path.exists()


def test_optimised_anchors_are_written_when_given(path):
    anchors = [(float(n), n + 0.5) for n in range(1, 7)]
    written(path, {"model": "yolov4-tiny-nano", "anchors": "optimised"}, anchors_wh_px=anchors)
    assert recognise(read_cfg(path)).anchors_wh_px == tuple(anchors)
    with pytest.raises(ConfigurationError, match="6 anchors, not 1"):
        written(path, {"model": "yolov4-tiny-nano"}, anchors_wh_px=anchors[:1])


def test_what_the_file_cannot_say_stands_in_its_comments(path):
    written(path, {
        "model": "yolov4-nano", "norm": "cbn", "loss.box": "smooth-l1", "nms.kind": "soft",
        "drop.kind": "dropblock", "backbone.residual": "relu",
    })  # fmt: skip
    comments = [line for line in path.read_text().split("\n") if line.startswith("#")]
    for word in ("norm cbn", "smooth-l1", "Soft-NMS", "dropblock", "weights_type"):
        assert any(word in line for line in comments), word
