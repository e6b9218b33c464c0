"""From darknet's files to a training configuration and to a checkpoint, as a user does it."""

import json

import numpy as np
import pytest
import torch

from evolve.cli.main import main
from evolve.train_one import build_config
from model.build import build_from_config
from model.config import TrainConfig
from model.darknet import save_weights
from model.darknet_cfg.write import write_cfg
from model.darknet_import import read_names
from model.detect import load_detector
from model.errors import DataError

ANCHORS = [(8.0, 9.0), (12.0, 16.0), (20.0, 24.0), (32.0, 36.0), (48.0, 40.0), (64.0, 72.0)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Give a cfg and a weights file of one network, and the network."""
    monkeypatch.chdir(tmp_path)
    values = {"model": "yolov4-tiny-nano", "image_size": 64, "nms.kind": "diou"}
    config = TrainConfig().with_values(values)
    network = build_from_config(config, 3)
    write_cfg(network, config, tmp_path / "net.cfg", anchors_wh_px=ANCHORS)
    save_weights(network, tmp_path / "net.weights", seen=6400)
    (tmp_path / "net.names").write_text("cat\nold dog\nÄhre\n", encoding="utf-8")
    return tmp_path, network


def run(*arguments, code=0):
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    assert left.value.code == code


def test_import_cfg_writes_what_train_reads(folder, capsys):
    path, _ = folder
    run("import-cfg", "net.cfg", "--out", "net.yaml")
    config = build_config(path / "net.yaml", {})
    assert (config.model, config.image_size, config.nms.kind) == ("yolov4-tiny-nano", 64, "diou")
    assert config.loss.gradient == "darknet"
    notes = [line for line in (path / "net.yaml").read_text().split("\n") if "# note: " in line]
    assert any("max_batches" in note for note in notes)
    assert f"{len(notes)} notes in net.yaml" in capsys.readouterr().out
    run("import-cfg", "net.cfg")
    assert capsys.readouterr().out == (path / "net.yaml").read_text()


def test_import_cfg_as_json(folder, capsys):
    run("import-cfg", "net.cfg", "--json")
    facts = json.loads(capsys.readouterr().out)
    assert (facts["model"], facts["classes"], facts["width"]) == ("yolov4-tiny-nano", 3, 64)
    assert facts["anchors"] == [list(wh) for wh in ANCHORS]
    assert TrainConfig().with_values(facts["config"]).batch_size == 8


def test_import_cfg_needs_a_folder_to_write_to(folder, capsys):
    run("import-cfg", "net.cfg", "--out", "lost/net.yaml", code=2)
    assert "no such folder: lost" in capsys.readouterr().err


def test_a_comment_cannot_break_the_yaml(folder):
    path, _ = folder
    text = (path / "net.cfg").read_text()
    (path / "odd.cfg").write_text(text.replace("hue=0.1", "hue=0.1\nx=\x07epochs:1"))
    run("import-cfg", "odd.cfg", "--out", "odd.yaml")
    assert build_config(path / "odd.yaml", {}).epochs == TrainConfig().epochs


def test_import_weights_by_cfg_gives_a_detector(folder, capsys):
    path, network = folder
    run("import-weights", "net.weights", "--cfg", "net.cfg", "--names", "net.names",
        "--out", "net.pt")  # fmt: skip
    assert "3 classes, 21 layers, trained on 6,400 images: net.pt" in capsys.readouterr().out
    detector = load_detector(path / "net.pt", "cpu")
    assert detector.classes == ("cat", "old dog", "Ähre")
    assert (detector.config.image_size, detector.config.nms.kind) == (64, "diou")
    np.testing.assert_allclose(detector.anchors_wh.numpy(), np.array(ANCHORS) / 64, rtol=1e-6)
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        pairs = zip(detector.network(images), network.eval()(images), strict=True)
        for one, other in pairs:  # laid out differently in memory, so rounded differently
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_import_weights_by_name_counts_the_classes(folder):
    path, _ = folder
    run("import-weights", "net.weights", "--model", "yolov4-tiny-nano", "--size", 96,
        "--out", "net.pt")  # fmt: skip
    detector = load_detector(path / "net.pt", "cpu")
    assert detector.classes == ("class 0", "class 1", "class 2")
    assert detector.config.image_size == 96


REFUSED = {
    "neither": ([], "give either --model or --cfg"),
    "both": (["--model", "yolov4", "--cfg", "net.cfg"], "give either --model or --cfg"),
    "size": (["--cfg", "net.cfg", "--size", "65"], "not a multiple of 32"),
    "model": (["--model", "yolov4-tinny-nano"], "did you mean 'yolov4-tiny-nano'"),
    "other model": (["--model", "yolov4-tiny-3l-nano"], "ends inside layer"),
    "names": (["--cfg", "net.cfg", "--names", "two.names"], "3 classes, and 2 have names"),
    "classes": (["--cfg", "two.cfg"], "for 3 classes, the cfg file is for 2"),
    "lost": (["--cfg", "lost.cfg"], "no such cfg file"),
    "folder": (["--cfg", "net.cfg", "--out", "lost/net.pt"], "no such folder: lost"),
    "square": (["--cfg", "wide.cfg"], "size of its input"),
}


@pytest.mark.parametrize(("options", "words"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_refused(folder, capsys, options, words):
    path, _ = folder
    (path / "two.names").write_text("a\nb\n")
    text = (path / "net.cfg").read_text()
    (path / "two.cfg").write_text(
        text.replace("classes=3", "classes=2").replace("filters=24", "filters=21")
    )
    (path / "wide.cfg").write_text(text.replace("height=64", "height=32"))
    run("import-weights", "net.weights", "--out", "net.pt", *options, code=2)
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error
    assert not (path / "net.pt").exists()


def test_a_partial_file_is_no_detector(folder, capsys):
    path, network = folder
    floats = sum(p.numel() for p in network.backbone.stem[0].parameters()) + 2 * 8
    raw = (path / "net.weights").read_bytes()
    (path / "net.weights").write_bytes(raw[: 20 + 4 * floats])
    run("import-weights", "net.weights", "--cfg", "net.cfg", "--out", "net.pt", code=2)
    assert "ends before the heads, without which nothing is detected" in capsys.readouterr().err


NAMES = {
    "empty line": ("cat\n\ndog\n", "the line is empty", ":2"),
    "twice": ("cat\ndog\ncat\n", "'cat' is on line 1, too", ":3"),
    "nothing": ("\n", "the line is empty", ":1"),
}


@pytest.mark.parametrize(("text", "what", "line"), NAMES.values(), ids=NAMES)
def test_names_are_one_a_line(tmp_path, text, what, line):
    path = tmp_path / "some.names"
    path.write_text(text)
    with pytest.raises(DataError, match=what) as refused:
        read_names(path)
    assert refused.value.where == f"{path}{line}"


def test_names_must_be_text(tmp_path):
    path = tmp_path / "some.names"
    with pytest.raises(DataError, match="no such file of names"):
        read_names(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="not UTF-8"):
        read_names(path)
    path.write_bytes(b"\xef\xbb\xbfcat\r\ndog")
    assert read_names(path) == ("cat", "dog")
