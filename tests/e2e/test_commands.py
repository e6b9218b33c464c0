"""`train`, `eval`, `detect`, `data` and `spaces` as a user calls them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e import forked
from tests.thorough import quick
from tests.tiny_data import write_tiny_coco

QUICK = ["--set", "image_size=64", "--set", "batch_size=4", "--threads", "1"]
TIMES = ("images_per_s", "train_time_s", "eval_time_s", "wait_share")
EAGER = (
    "import sys, evolve.engine.trial as t; t.CHECKPOINT_EVERY_S = -1; "
    "from evolve.cli.main import main; main(sys.argv[1:])"
)  # a checkpoint each epoch

pytestmark = pytest.mark.slow


def evolve(*arguments, cwd, code=0):
    """Run the command; its stdout, or its stderr if it is expected to fail."""
    done = forked.run(arguments, cwd, timeout=100)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr if code else done.stdout


def read_rows(folder):
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for row in rows:
        row.pop("time")
        for name in TIMES:
            row["metrics"].pop(name)
    return rows


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Give a folder with tiny data and a training of two epochs."""
    home = tmp_path_factory.mktemp("home")
    write_tiny_coco(home / "tiny", {"train": 8, "val": 4, "test": 3})
    printed = evolve("train", "--data", "tiny", "--epochs", 2, *QUICK, "--json", cwd=home)
    (home / "printed.json").write_text(printed)
    return home


@pytest.fixture
def trained(home):
    return home / "runs" / "train-tiny"


def test_training_leaves_its_files_and_prints_its_metrics(home, trained):
    names = {path.name for path in trained.iterdir()}
    assert names >= {"config.yaml", "metrics.jsonl", "last.pt", "best.pt", "log.txt",
                     "detections.json.gz", "origin.json"}  # fmt: skip
    rows = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2]
    assert json.loads((home / "printed.json").read_text())["last"] == rows[-1]


def test_eval_gives_what_the_last_epoch_reported(home, trained):
    printed = evolve(
        "eval", "--weights", trained / "last.pt", "--data", "tiny", "--json", cwd=home
    )
    result, last = json.loads(printed), read_rows(trained)[-1]
    assert result["images"] == 4
    for name, value in result["metrics"].items():
        assert value == pytest.approx(last["metrics"][name], abs=1e-6), name
    assert result["class_ap"] == pytest.approx(last["class_ap"], abs=1e-6)
    test = evolve(
        "eval", "--weights", trained / "best.pt", "--data", "tiny", "--split", "test", cwd=home
    )
    assert "3 images" in test
    assert "AP50" in test
    assert "green" in test


def test_detect_finds_what_the_training_stored(home, trained, tmp_path):
    """The same boxes on val as those of the last epoch."""
    import gzip

    out = evolve("detect", "--weights", trained / "last.pt", home / "tiny" / "images",
                 "--out", tmp_path / "out", "--score", 0.001, "--json", cwd=home)  # fmt: skip
    found = {Path(row["file"]).name: row for row in json.loads(out)["images"]}
    stored = json.loads(gzip.decompress((trained / "detections.json.gz").read_bytes()))
    assert sum(len(image["scores"]) for image in stored["images"]) > 0
    for image in stored["images"]:
        row = found[f"val_{image['image_id']}.png"]
        scores = sorted(image["scores"], reverse=True)
        assert [d["score"] for d in row["detections"]] == pytest.approx(scores, abs=1e-3)
        assert (tmp_path / "out" / row["drawn"]).is_file()
    assert len(found) == 15


def test_an_unreadable_image_is_named_and_the_others_are_done(home, trained, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no image")
    good = home / "tiny" / "images" / "val_1.png"
    error = evolve("detect", "--weights", trained / "best.pt", tmp_path / "bad.png", good,
                   "--out", tmp_path / "out", cwd=home, code=1)  # fmt: skip
    assert "bad.png" in error
    tree = json.loads((tmp_path / "out" / "detections.json").read_text())
    assert [row["drawn"] for row in tree["images"]] == ["val_1.png"]
    assert "bad.png" in tree["failed"][0]["file"]


def test_a_finished_training_is_not_done_again(home, trained):
    before = (trained / "last.pt").stat().st_mtime_ns
    printed = evolve("train", "--data", "tiny", "--epochs", 2, *QUICK, cwd=home)
    assert (trained / "last.pt").stat().st_mtime_ns == before
    assert "last.pt" in printed
    assert "best.pt" in printed


def test_its_own_configuration_is_taken_again(home, trained):
    config = trained / "config.yaml"
    evolve("train", "--data", "tiny", "--config", config, "--threads", 1, cwd=home)


def test_another_configuration_is_refused_with_the_differences(home):
    error = evolve("train", "--data", "tiny", "--epochs", 3, *QUICK, cwd=home, code=2)
    assert "epochs: 2 -> 3" in error
    assert "batch_size" not in error


@pytest.mark.parametrize("how", quick(1, [signal.SIGKILL, signal.SIGINT]))
def test_a_stopped_training_continues_to_the_same_end(home, tmp_path, how):
    arguments = ["train", "--data", str(home / "tiny"), "--epochs", "5", *QUICK, "--model",
                 "yolov4-tiny-nano", "--set", "precision=fp32", "--out"]  # fmt: skip
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
    os.kill(process.pid, how)
    rest = process.stderr.read()
    process.stderr.close()
    code = process.wait(20)
    if how == signal.SIGINT:
        assert code == 130
        assert "the same command continues" in rest
    evolve(*arguments, tmp_path / "stopped", cwd=tmp_path)
    evolve(*arguments, tmp_path / "straight", cwd=tmp_path)
    assert "begins with epoch=1" in (tmp_path / "straight" / "log.txt").read_text()
    begun = (tmp_path / "stopped" / "log.txt").read_text().count("begins with epoch=1\n")
    assert begun == 1
    assert read_rows(tmp_path / "stopped") == read_rows(tmp_path / "straight")


BAD = [
    (["train", "--model", "yolo4-nano"], "did you mean 'yolov4-nano'"),
    (["train", "--data", "tinny"], "did you mean 'tiny'"),
    (["train", "--set", "optimizer.lrr=1"], "did you mean 'optimizer.lr'"),
    (["train", "--set", "optimizer.lr"], "must be key=value"),
    (["train", "--set", "optimizer.lr=-1"], "cannot be -1"),
    (["train", "--set", "subdivisions=3"], "cannot be cut into 3"),
    (["train", "--config", "bad.yaml"], "bad.yaml:1:1"),
    (["train", "--config", "lost.yaml"], "there is no file 'lost.yaml'"),
    (["train", "--config", "space.yaml"], "this is a search space"),
    (["train", "--out", "tiny"], "something else than a training"),
    (["train", "--out", "bad.yaml"], "a file stands where"),
    (["train", "--epochs", "0"], "epochs"),
    (["eval", "--weights", "runs/train-tiny/lost.pt"], "did you mean 'last.pt'"),
    (["eval", "--weights", "bad.yaml"], "not a readable checkpoint"),
    (["eval", "--weights", "runs/train-tiny/best.pt", "--data", "other"], "(red, green), the"),
    (["eval", "--weights", "runs/train-tiny/best.pt", "--split", "tset"], "'tset'"),
    (["detect", "--weights", "runs/train-tiny/best.pt", "tiny/image"], "did you mean 'images'"),
    (["detect", "--weights", "runs/train-tiny/best.pt", "tiny/images", "--out", "tiny"],
     "holds other files"),
    (["data", "make", "digits", "--out", "tiny"], "there is something already"),
    (["data", "show", "tinny"], "did you mean 'tiny'"),
    (["spaces", "gaa"], "did you mean 'ga.yaml'"),
]  # fmt: skip


@pytest.fixture(scope="module")
def spoilt(home):
    (home / "bad.yaml").write_text("optimiser: {lr: 1}\n")
    (home / "space.yaml").write_text("parameters: {}\n")
    write_tiny_coco(home / "other")
    for split in ("train", "val"):
        file = home / "other" / "annotations" / f"{split}.json"
        file.write_text(file.read_text().replace('"green"', '"blue"'))
    return home


@pytest.mark.parametrize(
    ("arguments", "words"), BAD, ids=lambda v: v if isinstance(v, str) else ""
)
def test_bad_input_is_told_without_a_traceback(spoilt, monkeypatch, capsys, arguments, words):
    """In this process, for speed; the entry point is the same."""
    from evolve.cli.main import main

    monkeypatch.chdir(spoilt)
    named = any(option in arguments for option in ("--data", "spaces", "data", "detect"))
    with pytest.raises(SystemExit) as left:
        main([*arguments, *([] if named else ["--data", "tiny"])])
    error = capsys.readouterr().err
    assert left.value.code == 2, error
    assert words in error
    assert "Traceback" not in error


def test_data_show_counts(home):
    facts = json.loads(evolve("data", "show", "tiny", "--json", cwd=home))
    assert facts["classes"] == ["red", "green"]
    assert {name: split["images"] for name, split in facts["splits"].items()} == {
        "train": 8, "val": 4, "test": 3,
    }  # fmt: skip
    boxes = facts["splits"]["train"]
    assert sum(boxes["boxes_by_class"].values()) == boxes["boxes"]


def test_spaces_are_listed_and_shown(home):
    names = [space["name"] for space in json.loads(evolve("spaces", "--json", cwd=home))]
    assert {"ga", "smoke"} <= set(names)
    shown = evolve("spaces", "ga", cwd=home)
    assert "optimizer.lr" in shown
    assert "step size" in shown


@pytest.mark.parametrize(
    "verb", ["train", "eval", "detect", "data", "spaces", "export-study", "run"]
)
def test_help_imports_nothing_heavy(verb):
    code = (
        "import sys\nfrom evolve.cli.main import main\n"
        f"try: main(['{verb}', '--help'])\nexcept SystemExit: pass\n"
        "assert not {'torch', 'ray', 'optuna', 'cv2', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=20)
