import pytest
import torch

from model.build import build_from_config
from model.config import TrainConfig
from model.darknet import load_weights
from model.darknet_cfg.read import read_cfg
from model.darknet_cfg.recognise import recognise
from model.darknet_export import export_darknet
from model.detect import LoadedDetector
from model.errors import CheckpointError, ConfigurationError

CPU = torch.device("cpu")


def make_detector(**values):
    config = TrainConfig().with_values({"model": "yolov4-tiny-nano", "image_size": 64} | values)
    network = build_from_config(config, 2).eval()
    anchors = torch.arange(1, 13).view(6, 2) / 64
    return LoadedDetector(network, ("cat", "two\nlines"), anchors, config, CPU, 1, "abc")


def test_what_is_exported_is_read_back(tmp_path):
    detector = make_detector()
    cfg, weights, names = export_darknet(detector, tmp_path / "mine.cfg")
    assert [f.name for f in (cfg, weights, names)] == ["mine.cfg", "mine.weights", "mine.names"]
    found = recognise(read_cfg(cfg))
    assert (found.model, found.num_classes, found.width) == ("yolov4-tiny-nano", 2, 64)
    assert found.anchors_wh_px == ((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12))
    again = build_from_config(detector.config, 2)
    assert not load_weights(again, weights).partial
    theirs = again.state_dict()
    for name, tensor in detector.network.state_dict().items():
        assert name.endswith("num_batches_tracked") or torch.equal(tensor, theirs[name])
    assert names.read_text() == "cat\ntwo lines\n"


def test_what_darknet_lacks_leaves_no_file(tmp_path):
    with pytest.raises((CheckpointError, ConfigurationError)):
        export_darknet(make_detector(norm="frn"), tmp_path / "x.cfg")
    assert list(tmp_path.iterdir()) == []


def test_missing_folder(tmp_path):
    with pytest.raises(ConfigurationError, match="no such folder"):
        export_darknet(make_detector(), tmp_path / "gone" / "x.cfg")
