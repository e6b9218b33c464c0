import copy
import importlib
import itertools
import json

import pytest
import torch

from model.blocks.activations import activations
from model.blocks.conv import ConvBlock
from model.build import build_from_config
from model.config import TrainConfig
from model.detect import LoadedDetector
from model.errors import ConfigurationError
from model.export import ExportError, Ready, export_onnx
from model.predict import predict
from model.zoo import FAMILIES
from tests.thorough import quick, thorough

CPU = torch.device("cpu")
CLASSES = ("cat", "dög", "fish")
PLUG_INS = {
    "sam, asff, rfbn, cmbn": {
        "neck.attention": "sam", "neck.asff": True, "head.rfb": "rfbn", "norm": "cmbn",
        "backbone.residual": "relu",
    },
    "bifpn, gaussian, cbn": {
        "neck.fusion": "bifpn", "head.box": "gaussian", "norm": "cbn", "backbone.attention": "se",
    },
    "pan-add, softmax, cbam, rfb": {
        "neck.fusion": "pan-add", "neck.fusion_weights": "softmax", "neck.attention": "cbam",
        "head.rfb": "rfb", "backbone.residual": "softmax",
    },
}  # fmt: skip


def make_detector(**values) -> LoadedDetector:
    """Untrained, 64 px; anchors are not those of the network."""
    config = TrainConfig().with_values({"model": "yolov4-tiny-nano", "image_size": 64} | values)
    torch.manual_seed(0)
    network = build_from_config(config, len(CLASSES)).eval()
    anchors = torch.rand(len(network.geometry.anchors_wh_px), 2) * 0.4 + 0.1
    return LoadedDetector(network, CLASSES, anchors, config, CPU, 1, "abc")


def run(path, images):
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return [torch.from_numpy(out) for out in session.run(None, {"images": images.numpy()})]


def check_equal(path, detector, tolerance=1e-4):
    ready = Ready(detector.network, detector.anchors_wh).eval()
    for batch in (1, 3):
        images = torch.rand(batch, 3, 64, 64)
        with torch.inference_mode():
            for ours, expected in zip(run(path, images), ready(images), strict=True):
                torch.testing.assert_close(ours, expected, atol=tolerance, rtol=tolerance)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Give a detector and what its export says."""
    detector = make_detector(**{"data.letter_box": True})
    return detector, export_onnx(detector, tmp_path_factory.mktemp("export") / "x.onnx")


@pytest.fixture
def translated(exported, monkeypatch):
    """Give the detector of `exported`; whatever is exported, its translation is taken."""
    model = pytest.importorskip("onnx").load(exported[1].path)
    monkeypatch.setattr("model.export._translate", lambda *_: model)
    return exported[0]


@pytest.mark.slow
@pytest.mark.parametrize("family", quick(1, sorted(FAMILIES, key=lambda f: f != "yolov4-tiny")))
def test_every_family_is_exported(family, request, tmp_path):
    if family == "yolov4-tiny":  # a network is translated in ten seconds and more, and this one is
        detector, done = request.getfixturevalue("exported")
    else:
        detector = make_detector(model=f"{family}-nano")
        done = export_onnx(detector, tmp_path / "x.onnx")
    assert detector.config.model == f"{family}-nano"
    assert done.difference is not None
    assert done.difference < 1e-4
    check_equal(done.path, detector)


@pytest.mark.slow
@pytest.mark.parametrize("name", quick(1, reversed(PLUG_INS)))
def test_every_plug_in_is_exported(name, tmp_path):
    detector = make_detector(model="yolov4-nano", **PLUG_INS[name])
    check_equal(export_onnx(detector, tmp_path / "x.onnx").path, detector)


@thorough
@pytest.mark.slow
def test_frn_is_exported_with_pytorchs_own_rounding(tmp_path, monkeypatch):
    monkeypatch.setattr("model.export.TOLERANCE", 1e-8)
    detector = make_detector(norm="frn")
    done = export_onnx(detector, tmp_path / "x.onnx")
    assert done.difference > 1e-8
    check_equal(done.path, detector)


@pytest.mark.slow
def test_every_activation_is_exported(tmp_path):
    detector = make_detector()
    blocks = [part for part in detector.network.modules() if isinstance(part, ConvBlock)]
    names = tuple(activations)
    assert len(blocks) >= len(names) > 10
    for block, name in zip(blocks, itertools.cycle(names), strict=False):
        block.set_activation(name)
        block.norm.weight.data.fill_(2.3)  # so that each of them shows in what comes out
    detector.network.eval()
    check_equal(export_onnx(detector, tmp_path / "x.onnx").path, detector)


@pytest.mark.slow
def test_the_file_tells_all_that_detecting_needs(exported):
    onnx = pytest.importorskip("onnx")
    detector, done = exported
    model = onnx.load(done.path)
    told = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(told["classes"]) == list(CLASSES)
    assert json.loads(told["image_size"]) == [64, 64]
    assert json.loads(told["letter_box"]) is True
    assert json.loads(told["strides"]) == [16, 32]
    px = torch.tensor(json.loads(told["anchors_wh_px"]))
    torch.testing.assert_close(px, detector.anchors_wh * 64)
    assert model.producer_name == "evolve"
    assert done.inputs == {"images": ("batch", 3, 64, 64)}
    assert done.outputs == {"boxes": ("batch", 60, 4), "scores": ("batch", 60, 3)}
    assert done.size_bytes == done.path.stat().st_size
    assert [file.name for file in done.path.parent.iterdir()] == ["x.onnx"]
    assert b"/model/" not in done.path.read_bytes()  # no path of the machine it was made on


@pytest.mark.slow
def test_boxes_are_those_that_predict_gives(exported):
    detector, done = exported
    images = torch.rand(1, 3, 64, 64)
    boxes, scores = run(done.path, images)
    rule = detector.config.nms.model_copy(update={"score_threshold": 0.0})
    (best,) = predict(detector.network, images, detector.anchors_wh, rule)
    place = int(scores[0].amax(1).argmax())
    torch.testing.assert_close(scores[0].max(), best.scores[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(boxes[0, place], best.boxes_xyxy[0], atol=1e-5, rtol=0)


@pytest.mark.slow
def test_a_fixed_batch_and_raw_maps(tmp_path):
    detector = make_detector()
    done = export_onnx(detector, tmp_path / "x.onnx", raw=True, batch=1, opset=18)
    assert done.inputs == {"images": (1, 3, 64, 64)}
    assert done.outputs == {"map_stride16": (1, 24, 4, 4), "map_stride32": (1, 24, 2, 2)}
    assert done.opset == 18
    images = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        for ours, expected in zip(run(done.path, images), detector.network(images), strict=True):
            torch.testing.assert_close(ours, expected, atol=1e-4, rtol=0)


@pytest.mark.slow
def test_with_a_dynamic_size_anchors_keep_their_pixels(tmp_path):
    detector = make_detector()
    done = export_onnx(detector, tmp_path / "x.onnx", dynamic_size=True)
    assert done.inputs == {"images": ("batch", 3, "height", "width")}
    images = torch.rand(2, 3, 96, 128)
    anchors = detector.anchors_wh * 64 / torch.tensor([128.0, 96.0])
    with torch.inference_mode():
        expected = Ready(detector.network, anchors)(images)
        for ours, theirs in zip(run(done.path, images), expected, strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)


@pytest.mark.slow
def test_a_file_that_differs_is_not_written(translated, tmp_path):
    pytest.importorskip("onnxruntime")
    (tmp_path / "x.onnx").write_text("as it was")
    other = copy.deepcopy(translated)
    other.network.head.predictions[0].conv.bias.data += 0.01
    with pytest.raises(ExportError, match=r"would differ from PyTorch by .*, more than 1e-04"):
        export_onnx(other, tmp_path / "x.onnx")
    assert (tmp_path / "x.onnx").read_text() == "as it was"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch": 0}, "a batch of 0 images"),
        ({"opset": 17}, "opset 17 cannot be written"),
        ({"opset": 99}, "opset 99 cannot be written"),
        ({"path": "."}, "a folder is given for a file"),
        ({"path": "lost/x.onnx"}, "there is no such folder"),
    ],
)
def test_arguments_that_make_no_sense(options, words, tmp_path):
    path = tmp_path / options.pop("path", "x.onnx")
    with pytest.raises(ConfigurationError, match=words):
        export_onnx(make_detector(), path, **options)
    assert list(tmp_path.iterdir()) == []


def test_weights_beyond_the_format_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("model.export.LARGEST_BYTES", 1000)
    with pytest.raises(ExportError, match="exceed the 2 GB"):
        export_onnx(make_detector(), tmp_path / "x.onnx")


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_a_missing_package_is_named_with_its_extra(package, tmp_path, monkeypatch):
    real = importlib.import_module

    def without(name, *args):
        if name == package:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
        return real(name, *args)

    monkeypatch.setattr(importlib, "import_module", without)
    with pytest.raises(ConfigurationError, match=f"'{package}'") as raised:
        export_onnx(make_detector(), tmp_path / "x.onnx")
    assert "evolve-yolo[onnx]" in raised.value.mend


@pytest.mark.slow
def test_without_onnxruntime_nothing_is_compared(translated, tmp_path, monkeypatch):
    real = importlib.import_module

    def without(name, *args):
        if name == "onnxruntime":
            raise ModuleNotFoundError(name=name)
        return real(name, *args)

    monkeypatch.setattr(importlib, "import_module", without)
    done = export_onnx(translated, tmp_path / "x.onnx")
    assert done.difference is None
    assert done.path.is_file()
