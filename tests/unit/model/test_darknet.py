"""Darknet's weights files: what is taken, what is refused, and that nothing is half loaded."""

import struct

import numpy as np
import pytest
import torch

from model.blocks.conv import ConvBlock
from model.build import Classifier, Detector, build_classifier, build_detector
from model.darknet import LoadedWeights, file_classes, file_size, load_weights, save_weights
from model.darknet_parts import network_parts
from model.errors import CheckpointError
from model.geometry import Geometry
from model.heads.yolo import YoloHead

GEOMETRY = Geometry((32,), ((0, 1, 2),), (1.0,), ((10, 10), (20, 20), (30, 30)))
STEM, BODY = 4 * 2 + 3 * 2, 4 * 4 + 2 * 4 * 9  # numbers of layers 0 and 1


def small(classes=1):
    """Two convolutions with BN, of 2 and 4 channels, and a head: 14, 88 and 90 numbers."""
    backbone, neck = ConvBlock(3, 2, 1), ConvBlock(2, 4, 3, activation="leaky")
    return Detector(backbone, neck, YoloHead((4,), classes, GEOMETRY))


def counting(network):
    """Every number of the network in the order of the file: 1, 2, 3, ..."""
    floats = sum(part.floats for part in network_parts(network))
    return np.arange(1, floats + 1, dtype="<f4")


def write(path, numbers, head=None):
    path.write_bytes((head or struct.pack("<3iQ", 0, 2, 5, 6400)) + numbers.tobytes())
    return path


def state(network):
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.weights"


def test_a_layer_is_biases_scales_means_variances_weights(path):
    network = small()
    loaded = load_weights(network, write(path, counting(network)))
    assert loaded == LoadedWeights(0, 2, 5, 6400, 3, 3, 0, 1, partial=False)
    stem = network.backbone
    assert stem.norm.bias.tolist() == [1, 2]
    assert stem.norm.weight.tolist() == [3, 4]
    assert stem.norm.running_mean.tolist() == [5, 6]
    assert stem.norm.running_var.tolist() == [7, 8]
    assert stem.conv.weight.flatten().tolist() == [9, 10, 11, 12, 13, 14]
    (prediction,) = network.head.predictions
    first = 1 + STEM + BODY
    assert prediction.conv.bias.tolist() == list(range(first, first + 18))
    assert prediction.conv.weight[0].flatten().tolist() == list(range(first + 18, first + 22))


def test_saving_gives_the_bytes_that_were_loaded(path, tmp_path):
    network = small()
    load_weights(network, write(path, counting(network)))
    save_weights(network, tmp_path / "again.weights", seen=6400)
    assert (tmp_path / "again.weights").read_bytes() == path.read_bytes()
    assert file_size(network) == path.stat().st_size


def test_old_files_have_a_header_of_16_bytes(path):
    network, other = small(), small()
    load_weights(other, write(path, counting(network)))
    old = struct.pack("<3iI", 0, 1, 0, 77)
    loaded = load_weights(network, write(path, counting(network), old))
    assert (loaded.minor, loaded.seen) == (1, 77)
    assert same(state(network), state(other))


@pytest.mark.parametrize(("layers", "floats"), [(1, STEM), (2, STEM + BODY)])
def test_a_file_may_end_after_any_layer(path, layers, floats):
    network = small()
    before = state(network)
    loaded = load_weights(network, write(path, counting(network)[:floats]))
    assert (loaded.layers, loaded.layers_known, loaded.partial) == (layers, 3, True)
    assert loaded.classes is None
    assert network.backbone.norm.bias.tolist() == [1, 2]
    after = state(network)
    kept = [name for name in before if name.startswith("head") or (layers == 1 and "neck" in name)]
    assert kept
    assert same({name: before[name] for name in kept}, after)
    assert file_classes(network, path) is None


def test_heads_of_other_classes_are_skipped(path):
    network = small(classes=1)
    head = state(network.head)
    loaded = load_weights(network, write(path, counting(small(classes=80))))
    assert (loaded.layers, loaded.heads_skipped, loaded.classes) == (2, 1, 80)
    assert not loaded.partial
    assert network.neck.norm.bias.tolist() == [15, 16, 17, 18]
    assert same(head, state(network.head))
    assert file_classes(network, path) == 80


def test_a_layer_between_heads_of_other_classes_is_found(path):
    """What lies behind the first head must be read from the right place."""
    theirs, ours = (build_detector("yolov4-tiny-nano", classes) for classes in (7, 2))
    save_weights(theirs, path)
    loaded = load_weights(ours, path)
    assert (loaded.heads_skipped, loaded.classes, loaded.layers) == (2, 7, 19)
    assert same(state(theirs.backbone), state(ours.backbone))
    assert same(state(theirs.neck), state(ours.neck))


def test_a_classifiers_backbone_fills_that_of_a_detector(path):
    classifier = build_classifier("csdarknet53-nano", 10, backbone={"activation": "mish"})
    save_weights(classifier, path)
    loaded = load_weights(build_classifier("csdarknet53-nano", 4), path)
    assert (loaded.heads_skipped, loaded.classes) == (1, 10)
    floats = sum(part.floats for part in network_parts(classifier)[:-1])
    path.write_bytes(path.read_bytes()[: 20 + 4 * floats])
    detector = build_detector("yolov4-nano", 3)
    assert load_weights(detector, path).partial
    assert same(state(classifier.backbone), state(detector.backbone))


@pytest.mark.parametrize(
    ("classes", "size"), [(80, 257_717_640), (3, 257_717_640 - 4 * 3 * 77 * (257 + 513 + 1025))]
)
def test_size_of_yolov4(classes, size):
    with torch.device("meta"):
        assert file_size(build_detector("yolov4", classes)) == size


REFUSED = {
    "empty": (b"", "0 bytes are too few"),
    "half a header": (struct.pack("<3iI", 0, 2, 5, 0), "ends in its header"),
    "header alone": (struct.pack("<3iQ", 0, 2, 5, 0), "holds no weights"),
    "negative version": (struct.pack("<3iQf", 0, -2, 5, 0, 1.0), r"version 0\.-2\.5 is none"),
    "transposed": (struct.pack("<3iQf", 1001, 2, 5, 0, 1.0), "transposed"),
    "odd bytes": (struct.pack("<3iQf", 0, 2, 5, 0, 1.0) + b"abc", "3 bytes into a number"),
}


@pytest.mark.parametrize(("raw", "words"), REFUSED.values(), ids=REFUSED)
def test_no_weights_file_is_refused(path, raw, words):
    path.write_bytes(raw)
    network = small()
    before = state(network)
    with pytest.raises(CheckpointError, match=words):
        load_weights(network, path)
    assert same(before, state(network))


def spoilt(number, value):
    numbers = counting(small())
    numbers[number] = value
    return numbers


DAMAGED = {
    "cut": (counting(small())[:30], r"ends inside layer 1 \(neck\): 16 of its 88", "byte 76"),
    "long": (np.ones(STEM + BODY + 91, "<f4"), r"1 numbers after .*last layer, layer 2", "788"),
    "nan": (spoilt(20, np.nan), r"number 2 of the scales of layer 1 \(neck\) is nan", "byte 92"),
    "inf": (spoilt(191, np.inf), r"weights of layer 2 \(head.scales.0.0\) is inf", "byte 500"),
    "variance": (spoilt(7, -1), r"number 1 of the rolling variances of layer 0", "byte 44"),
}


@pytest.mark.parametrize(("numbers", "what", "where"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_changes_nothing(path, numbers, what, where):
    network = small()
    before = state(network)
    with pytest.raises(CheckpointError, match=what) as refused:
        load_weights(network, write(path, numbers))
    assert refused.value.where.endswith(where)
    assert refused.value.mend
    assert same(before, state(network))


def test_a_missing_file_is_told(path):
    with pytest.raises(CheckpointError, match="no such weights file"):
        load_weights(small(), path)


UNKNOWN = {
    "frn": ({"norm": "frn"}, "FilterResponseNorm"),
    "prelu": ({"backbone": {"activation": "prelu"}}, "PReLU"),
    "tlu": ({"neck": {"activation": "tlu"}}, "ThresholdedLinear"),
}


@pytest.mark.parametrize(("options", "what"), UNKNOWN.values(), ids=UNKNOWN)
def test_what_has_no_place_in_the_file_is_refused(path, options, what):
    network = build_detector("yolov4-tiny-nano", 1, **options)
    with pytest.raises(CheckpointError, match=f"no place for the weights of a {what}"):
        save_weights(network, path)
    assert not path.exists()
    write(path, np.ones(10, "<f4"))
    with pytest.raises(CheckpointError, match=what):
        load_weights(network, path)


PLUG_INS = {
    "weighted sums": {"backbone": {"residual": "softmax"}, "norm": "cmbn"},
    "bifpn": {"neck": {"fusion": "bifpn"}},
    "asff and rfb": {"neck": {"asff": True}, "head": {"rfb": "rfb"}},
    "se": {"neck": {"attention": "se"}},
    "cbam": {"backbone": {"attention": "cbam"}},
    "gaussian": {"head": {"box": "gaussian"}},
}


@pytest.mark.parametrize("options", PLUG_INS.values(), ids=PLUG_INS)
def test_plug_ins_made_of_convolutions_come_back(path, options):
    one, other = (build_detector("yolov4-nano", 2, **options) for _ in range(2))
    save_weights(one, path)
    loaded = load_weights(other, path)
    assert loaded.layers == loaded.layers_known
    weights = dict(one.named_parameters())
    assert same(weights, dict(other.named_parameters()))


def test_biases_for_a_convolution_without_are_refused(path):
    network = build_detector("yolov4-tiny-nano", 1)
    first = network.backbone.stem[0]
    first.norm = torch.nn.Identity()
    save_weights(network, path)
    load_weights(network, path)
    raw = bytearray(path.read_bytes())
    raw[20:24] = struct.pack("<f", 1.0)
    path.write_bytes(raw)
    with pytest.raises(CheckpointError, match=r"layer 0 .* has no biases"):
        load_weights(network, path)


def test_weights_that_are_not_finite_are_not_saved(path):
    network = small()
    with torch.no_grad():
        network.neck.conv.weight[0, 0, 0, 0] = torch.nan
    path.write_bytes(b"older")
    with pytest.raises(CheckpointError, match="number 0 of the weights of layer 1"):
        save_weights(network, path)
    assert path.read_bytes() == b"older"


def test_a_classifiers_last_layer_depends_on_its_classes(path):
    def classifier(classes):
        backbone = ConvBlock(3, 4, 1)
        backbone.channels = (4,)
        return Classifier(_Listed(backbone), classes)

    save_weights(classifier(5), path)
    loaded = load_weights(classifier(2), path)
    assert (loaded.layers, loaded.heads_skipped, loaded.classes) == (1, 1, 5)
    assert load_weights(classifier(5), path).heads_skipped == 0


class _Listed(torch.nn.Module):
    """A backbone of one map."""

    def __init__(self, block):
        super().__init__()
        self.block = block
        self.channels = (4, 4, 4)

    def forward(self, x):
        return (self.block(x),)
