"""`pareto` as a user calls it."""

import json

import pytest
import torch

from evolve.cli.main import main
from model.build import build_detector
from model.checkpoint import save_checkpoint
from model.config import TrainConfig
from tests.tiny_data import CLASSES, write_tiny_coco

pytestmark = pytest.mark.slow


def save(path, model, classes=CLASSES):
    """Weights of an untrained detector."""
    torch.manual_seed(0)
    network = build_detector(model, len(classes))
    state = {
        "config": TrainConfig(model=model, image_size=64, precision="fp32").to_dict(),
        "data": "abc",
        "classes": list(classes),
        "anchors_wh": torch.full((6, 2), 0.3),
        "epoch": 1,
        "weights": network.state_dict(),
    }
    path.parent.mkdir(exist_ok=True)
    save_checkpoint(path, state)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Give a folder with a tiny data set, and weights of two detectors and of other classes."""
    home = tmp_path_factory.mktemp("home")
    write_tiny_coco(home / "set", {"train": 2, "val": 2, "test": 3})
    save(home / "a" / "best.pt", "yolov4-tiny-nano")
    save(home / "b" / "best.pt", "yolov4-tiny-nano")
    save(home / "cats" / "best.pt", "yolov4-tiny-nano", ("cat", "dog"))
    (home / "bad.pt").write_text("no weights")
    return home


GIVEN = ("pareto", "--weights", "a/best.pt", "--weights", "b/best.pt", "--data", "set",
         "--size", "64,96", "--repeats", 3, "--device", "cpu", "--no-anchors")  # fmt: skip


@pytest.fixture
def call(home, monkeypatch, capsys):
    """Call the command in this process, for speed; its exit code, stdout and stderr."""
    monkeypatch.chdir(home)

    def call(*arguments):
        with pytest.raises(SystemExit) as left:
            main(list(map(str, arguments)))
        said = capsys.readouterr()
        return left.value.code, said.out, said.err

    return call


def test_weights_at_two_sizes_become_a_front_and_are_measured_once(home, call):
    code, out, error = call(*GIVEN, "--out", "front")
    assert code == 0, error
    assert out.splitlines()[0].split()[:2] == ["Detector", "Size,"]
    assert "AP on test of set, 3 images; latency on " in out
    assert "was trained on other data, or another split" in out
    assert out.splitlines()[-1] == "front/index.html"
    assert error.count("latency of") == 2  # the two have the same network
    assert error.count("AP of") == 4
    assert (home / "front/figures/pareto.svg").is_file()
    code, out, error = call(*GIVEN, "--out", "front", "--max-latency", "0.001ms", "--json")
    assert code == 1  # none is as fast
    assert error == ""
    tree = json.loads(out)
    assert tree["sentence"].startswith("None fits within 0.001 ms: the fastest, ")
    assert len(tree["points"]) == 4
    assert len({(one["size"], one["network"]) for one in tree["points"]}) == 2
    assert {one["seeds"] for one in tree["points"]} == {1}


BEST = ["pareto", "--weights", "a/best.pt", "--data", "set"]
BAD = [
    (["pareto"], "give a run folder or --weights"),
    (["pareto", "nowhere"], "no such run folder"),
    (["pareto", "set"], "this folder holds no run"),
    (["pareto", "--weights", "bad.pt"], "not a readable checkpoint"),
    (["pareto", "--weights", "a/bst.pt"], "did you mean 'best.pt'"),
    ([*BEST, "--max-latency", "8"], "'8' has no unit"),
    ([*BEST, "--size", "100"], "take 96 or 128"),
    ([*BEST, "--size", "big"], "is no list of sizes"),
    ([*BEST, "--weights", "cats/best.pt"], "cannot be compared"),
    (["pareto", "--weights", "cats/best.pt", "--data", "set"], "knows 2 classes (cat, dog)"),
    ([*BEST, "--device", "abacus"], "'abacus' is no device"),
    ([*BEST, "--out", "set"], "holds something else"),
]


@pytest.mark.parametrize(
    ("arguments", "words"), BAD, ids=lambda v: v if isinstance(v, str) else ""
)
def test_bad_input_is_told_without_a_traceback(call, arguments, words):
    code, _, error = call(*arguments)
    assert code == 2, error
    assert words in error
    assert "Traceback" not in error
