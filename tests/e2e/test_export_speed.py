"""`export` and `speed` as a user calls them."""

import json
import subprocess
import sys

import pytest
import torch

from model.build import build_detector
from model.checkpoint import save_checkpoint
from model.config import TrainConfig
from tests.e2e import forked

pytestmark = pytest.mark.slow

CONFIG = TrainConfig(model="yolov4-tiny-nano", image_size=64, precision="fp32")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Give a folder with the weights of an untrained detector."""
    home = tmp_path_factory.mktemp("home")
    torch.manual_seed(0)
    state = {
        "config": CONFIG.to_dict(),
        "data": "abc",
        "classes": ["cat", "dog"],
        "anchors_wh": torch.full((6, 2), 0.3),
        "epoch": 1,
        "weights": build_detector("yolov4-tiny-nano", 2).state_dict(),
    }
    save_checkpoint(home / "best.pt", state)
    (home / "bad.pt").write_text("no weights")
    return home


def evolve(*arguments, cwd):
    """Run the command; its stdout, where nothing but progress may be on stderr."""
    done = forked.run(arguments, cwd, timeout=200)
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stderr.splitlines() if not line.startswith("measuring at")]
    assert told == []
    return done.stdout


def test_export_writes_one_file_and_says_what_is_in_it(home):
    out = evolve("export", "--weights", "best.pt", "--onnx", "x.onnx", cwd=home)
    assert "batch x 3 x 64 x 64" in out
    assert "boxes   batch x 60 x 4" in out
    assert "differs from PyTorch by at most" in out
    assert sorted(path.name for path in home.glob("x*")) == ["x.onnx"]


def test_export_as_json(home, tmp_path):
    path = tmp_path / "raw.onnx"
    out = evolve("export", "--weights", "best.pt", "--onnx", path, "--raw", "--batch", 2,
                 "--json", cwd=home)  # fmt: skip
    told = json.loads(out)
    assert told["path"] == str(path)
    assert told["inputs"] == {"images": [2, 3, 64, 64]}
    assert told["outputs"]["map_stride16"] == [2, 21, 4, 4]
    assert told["difference"] < 1e-4
    assert told["size_bytes"] == path.stat().st_size


def test_speed_of_a_model_as_a_table(home):
    out = evolve("speed", "--model", "yolov4-tiny-nano", "--size", "64,96", "--repeats", 2,
                 "--classes", 3, "--precision", "fp32", cwd=home)  # fmt: skip
    heading, table = out.split("\n\n")
    assert heading.startswith("yolov4-tiny-nano, random weights, 3 classes, batch 1\non ")
    assert "2 timed (fewer than the 200 of the protocol)" in heading
    lines = table.splitlines()
    assert lines[0].split()[:2] == ["size", "parameters"]
    assert [line.split()[0] for line in lines[1:]] == ["64", "96"]
    at = lines[0].index("fastest mode")
    assert all(line[at : at + 4] == "fp32" for line in lines[1:])


def test_speed_of_weights_as_a_file(home, tmp_path):
    out = evolve("speed", "--weights", "best.pt", "--repeats", 3, "--precision", "fp32",
                 "--out", tmp_path / "speed.json", "--json", cwd=home)  # fmt: skip
    stored = json.loads((tmp_path / "speed.json").read_text())
    assert stored == json.loads(out)
    assert stored["protocol"]["weights"] == "best.pt"
    assert stored["protocol"]["classes"] == 2
    assert stored["protocol"]["repeats"] == 3
    (row,) = stored["results"]
    assert row["size"] == 64
    assert 0 < row["latency_ms"] <= row["latency_p95_ms"]


NANO = ["speed", "--model", "yolov4-nano"]
BEST = ["export", "--weights", "best.pt"]
BAD = [
    ([*NANO[:2], "yolov4-nanno"], "did you mean 'yolov4-nano'"),
    ([*NANO, "--size", "416,100"], "take 96 or 128"),
    ([*NANO, "--size", "big"], "'big' is no list of sizes"),
    ([*NANO, "--size", ""], "is no list of sizes"),
    ([*NANO, "--batch", "0"], "--batch"),
    ([*NANO, "--repeats", "0"], "--repeats"),
    ([*NANO, "--weights", "best.pt"], "either --model or --weights"),
    (["speed"], "either --model or --weights"),
    (["speed", "--weights", "best.pt", "--classes", "3"], "their own classes"),
    (["speed", "--weights", "bst.pt"], "did you mean 'best.pt'"),
    (["speed", "--weights", "bad.pt"], "not a readable checkpoint"),
    ([*NANO, "--out", "lost/x.json"], "there is no folder 'lost'"),
    ([*BEST[:2], "bst.pt", "--onnx", "x.onnx"], "did you mean 'best.pt'"),
    ([*BEST, "--onnx", "lost/x.onnx"], "there is no such folder"),
    ([*BEST, "--onnx", "."], "a folder is given for a file"),
    ([*BEST, "--onnx", "x.onnx", "--batch", "0"], "neither a number from 1 on nor 'dynamic'"),
    ([*BEST, "--onnx", "x.onnx", "--opset", "9"], "opset 9 cannot be written"),
    (BEST, "--onnx"),
]


@pytest.mark.parametrize(
    ("arguments", "words"), BAD, ids=lambda v: v if isinstance(v, str) else ""
)
def test_bad_input_is_told_without_a_traceback(home, monkeypatch, capsys, arguments, words):
    """In this process, for speed; the entry point is the same."""
    from evolve.cli.main import main

    monkeypatch.chdir(home)
    with pytest.raises(SystemExit) as left:
        main(arguments)
    error = capsys.readouterr().err
    assert left.value.code == 2, error
    assert words in error
    assert "Traceback" not in error


@pytest.mark.parametrize("verb", ["export", "speed"])
def test_help_imports_nothing_heavy(verb):
    code = (
        "import sys\nfrom evolve.cli.main import main\n"
        f"try: main(['{verb}', '--help'])\nexcept SystemExit: pass\n"
        "assert not {'torch', 'onnx', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=20)
