"""`evolve train --task classify` as a user calls it, and what is done with its weights."""

import json
import os
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from tests.e2e import forked
from tests.e2e.test_commands import EAGER, evolve, read_rows
from tests.thorough import thorough
from tests.tiny_data import write_tiny_coco

QUICK = ["--set", "image_size=64", "--set", "batch_size=8", "--set", "subdivisions=1",
         "--set", "precision=fp32", "--threads", "1"]  # fmt: skip

pytestmark = pytest.mark.slow


def write_classes(root, count=8):
    """Six colours, so that top-5 is not always right."""
    rng = np.random.default_rng(0)
    for number in range(6):
        colour = np.array([255 * (number & 1), 255 * (number >> 1 & 1), 255 * (number >> 2)])
        for split in ("train", "val"):
            folder = root / split / f"colour{number}"
            folder.mkdir(parents=True)
            for index in range(count if split == "train" else 2):
                pixels = colour * 0.7 + rng.integers(0, 60, (48, 64, 3))
                cv2.imwrite(str(folder / f"{index}.png"), pixels.astype(np.uint8))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Give class folders, detection data, and a classifier of two epochs."""
    home = tmp_path_factory.mktemp("home")
    write_classes(home / "colours")
    write_tiny_coco(home / "tiny", {"train": 8, "val": 4})
    printed = evolve("train", "--task", "classify", "--data", "colours", "--epochs", 2, *QUICK,
                     "--ingredients", "CutMix,M,LS", cwd=home)  # fmt: skip
    (home / "printed.txt").write_text(printed)
    return home


@pytest.fixture
def trained(home):
    return home / "runs" / "classify-colours"


def test_a_training_leaves_its_files_and_a_table(home, trained):
    names = {path.name for path in trained.iterdir()}
    assert names >= {"config.yaml", "metrics.jsonl", "last.pt", "best.pt", "log.txt",
                     "detections.json.gz", "origin.json"}  # fmt: skip
    lines = (home / "printed.txt").read_text().splitlines()
    assert lines[0].split() == ["weights", "epoch", "top-1", "top-5"]
    assert lines[1].startswith("last.pt")
    last = read_rows(trained)[-1]
    assert last["objective"] == last["metrics"]["top1"]
    assert set(last["class_ap"]) == {f"colour{number}" for number in range(6)}


def test_eval_gives_what_the_last_epoch_reported(home, trained):
    printed = evolve("eval", "--weights", trained / "last.pt", "--data", "colours", "--json",
                     cwd=home)  # fmt: skip
    result, last = json.loads(printed), read_rows(trained)[-1]
    assert result["images"] == 12
    assert result["metrics"] == {name: last["metrics"][name] for name in ("top1", "top5")}
    assert result["class_recall"] == last["class_ap"]


def test_detect_says_that_it_is_a_classifier(home, trained):
    error = evolve("detect", "--weights", trained / "best.pt", "colours", cwd=home, code=2)
    assert "this is a classifier (csdarknet53-nano)" in error


def test_a_detector_starts_from_it_and_tells_of_other_activations(home, trained):
    arguments = ["train", "--data", "tiny", "--epochs", 1, *QUICK, "--set", "batch_size=4",
                 "--backbone-weights", trained / "best.pt"]  # fmt: skip
    done = forked.run([*arguments, "--out", "mish"], home, timeout=100)
    assert done.returncode == 0, done.stderr
    assert "trained with leaky activations and goes on with mish" in done.stderr
    assert "waiting" in done.stderr
    config = (home / "mish" / "config.yaml").read_text()
    assert str(trained / "best.pt") in config
    error = evolve(*arguments, "--model", "yolov4-tiny-nano", "--out", "tinynet", cwd=home, code=2)
    assert "does not fit" in error


def test_a_folder_of_another_task_is_refused(home, trained):
    error = evolve("train", "--data", "tiny", "--out", trained, cwd=home, code=2)
    assert "task: 'classify' -> 'detect'" in error


def test_a_training_that_never_began_leaves_its_folder_to_another(home):
    picture = home / "colours" / "train" / "colour0" / "0.png"
    whole = picture.read_bytes()
    arguments = ["train", "--task", "classify", "--data", "colours", "--epochs", 1, *QUICK,
                 "--out", "begun"]  # fmt: skip
    try:
        picture.write_bytes(whole[: len(whole) // 2])
        error = evolve(*arguments, cwd=home, code=2)
        assert "cut short" in error
    finally:
        picture.write_bytes(whole)
    evolve(*arguments, "--seed", 3, cwd=home)


BAD = [
    (["--task", "classify", "--model", "yolov4-nano"], "yolov4-nano"),
    (["--task", "classify", "--ingredients", "CIoU"], "CIoU is not for task classify"),
    (["--task", "classify", "--set", "sat.kind=fgsm"], "only a detector has sat.kind = fgsm"),
    (["--ingredients", ""], "no ingredient is named"),
    (["--ingredients", "Mosaik"], "there is no ingredient 'Mosaik'"),
    (["--ga", "runs/x"], "--ga gives its values to the ingredient GA"),
    (["--ingredients", "GA", "--ga", "tiny"], "this folder holds no run"),
    (["--ingredients", "KD"], "KD needs the checkpoint"),
    (["--ingredients", "KD", "--teacher", "lost.pt"], "no such weights file"),
    (["--backbone-weights", "lost.pt"], "no such weights file"),
    (["--backbone-weights", "printed.txt"], "printed.txt"),
    (["--ingredients", "KD", "--teacher", "printed.txt"], "printed.txt cannot be used"),
    (["--ingredients", "CBN", "--set", "norm=bn"], "--set undoes the ingredient CBN"),
    (["--set", "data.workers=900"], "900 loader processes are too many"),
    (["--task", "classify", "--data", "colours/train/colour1"], "neither folders of classes nor"),
    (["--task", "segment"], "'segment' is none of them"),
]


@pytest.mark.parametrize(
    ("arguments", "words"), BAD, ids=lambda v: v if isinstance(v, str) else ""
)
def test_bad_input_is_told_without_a_traceback(home, monkeypatch, capsys, arguments, words):
    """In this process, for speed; the entry point is the same."""
    from evolve.cli.main import main

    monkeypatch.chdir(home)
    data = [] if "--data" in arguments else ["--data", "tiny"]
    with pytest.raises(SystemExit) as left:
        main(["train", *arguments, *data])
    error = capsys.readouterr().err
    assert left.value.code == 2, error
    assert words in error
    assert "Traceback" not in error


@thorough
def test_a_stopped_training_continues_to_the_same_end(home, tmp_path):
    arguments = ["train", "--task", "classify", "--data", str(home / "tiny"), "--epochs", "5",
                 *QUICK, "--out"]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-c", EAGER, *arguments, str(tmp_path / "stopped")],
        stderr=subprocess.PIPE, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert process.stderr is not None
    while "epoch 2 of 5" not in (line := process.stderr.readline()):
        assert line, "it ended before its second epoch"
    deadline = time.monotonic() + 20
    while not (tmp_path / "stopped" / "last.pt").is_file() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGINT)
    rest = process.stderr.read()
    process.stderr.close()
    assert process.wait(20) == 130
    assert "the same command continues" in rest
    evolve(*arguments, tmp_path / "stopped", cwd=tmp_path)
    evolve(*arguments, tmp_path / "straight", cwd=tmp_path)
    begun = (tmp_path / "stopped" / "log.txt").read_text().count("begins with epoch=1\n")
    assert begun == 1
    assert read_rows(tmp_path / "stopped") == read_rows(tmp_path / "straight")
