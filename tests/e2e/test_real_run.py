"""A run on real pixels: a detector trained for seconds, on both engines."""

import contextlib
import gzip
import json
import os
import re
import subprocess
import sys
import time

import psutil
import pytest

from evolve.store.comparison import read_comparison
from evolve.store.folder import RunFolder
from evolve.store.read import read_run
from tests.e2e import forked
from tests.e2e.test_run import run_anew
from tests.thorough import ON_RAY
from tests.tiny_data import write_tiny_coco

SETTINGS = ("--set", "image_size=64", "--set", "batch_size=4", "--set", "epochs=3")
TIMES = ("images_per_s", "train_time_s", "eval_time_s", "wait_share")

pytestmark = pytest.mark.slow


def smoke(engine, out, *more):
    fixed = ("run", "--space", "smoke.yaml", "--data", "tiny", "--confirm", "0", *SETTINGS)
    fixed = (*fixed, "--model", "yolov4-tiny-nano")
    return (*fixed, "--engine", engine, "--out", out, *more)


def finish(arguments, cwd):
    done = forked.run(arguments, cwd, timeout=200)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    write_tiny_coco(home / "tiny", {"train": 8, "val": 4})
    return home


@pytest.fixture(scope="module")
def twin(home):
    """An undisturbed run in one process, with all cores for the one trial at a time."""
    finish(smoke("inline", "twin"), home)
    return home / "twin"


def numbers(out):
    """Every trial's epochs without the clock's share."""
    found = {}
    for number in read_run(out).trials["number"]:
        rows = RunFolder(out).trial(number).read_metrics()
        found[number] = [
            {k: v for k, v in row["metrics"].items() if k not in TIMES and v == v} for row in rows
        ]
    return found


def test_every_file_of_a_trial_is_there_and_tells_the_truth(twin):
    run = read_run(twin)
    assert list(run.trials["state"]) == ["COMPLETE"] * 3
    assert run.manifest["data"]["images"] == {"train": 8, "val": 4}
    assert run.manifest["train"]["image_size"] == 64
    for number, value in zip(run.trials["number"], run.trials["value"], strict=True):
        trial = RunFolder(twin).trial(number)
        assert trial.read_metrics()[-1]["metrics"]["AP50"] == value
        stored = json.loads(gzip.decompress(trial.detections.read_bytes()))
        assert len(stored["images"]) == 4
        assert stored["protocol"]["image_size"] == 64
        assert trial.best.is_file()
        assert trial.last.is_file()


def test_weights_of_a_trial_measure_as_the_run_said(home, twin):
    trial = RunFolder(twin).trial(0)
    done = finish(("eval", "--weights", str(trial.last), "--data", "tiny", "--json"), home)
    said = trial.read_metrics()[-1]["metrics"]["AP50"]
    assert json.loads(done.stdout)["metrics"]["AP50"] == pytest.approx(said, abs=1e-6)


@pytest.mark.ray
def test_ray_trains_the_same_numbers_as_one_process(home, twin):
    more = ("--no-probe", "--workers", "1")  # so it has as many threads
    assert run_anew(home, *smoke("ray", "on-ray", *more)).returncode == 0
    assert numbers(home / "on-ray")[0] == numbers(twin)[0]
    assert set(numbers(home / "on-ray")) == {0, 1, 2}


@pytest.mark.parametrize("engine", ["inline", ON_RAY])
def test_kill_in_the_middle_of_training_loses_nothing(home, engine):
    out = home / f"killed-{engine}"
    more = ("--no-probe", "--workers", "1", "--trials", "2")
    more = (*more, "--set", "epochs=8", "--model", "yolov4-nano")
    process = subprocess.Popen(
        [sys.executable, "-m", "evolve", *smoke(engine, out.name, *more)],
        cwd=home,
        env={**os.environ, "EVOLVE_CHECKPOINT_EVERY_S": "0"},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 200
    while len(RunFolder(out).trial(1).read_metrics()) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    for victim in (process, *psutil.Process(process.pid).children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            victim.kill()
    process.wait()
    assert run_anew(home, "resume", out.name, "--workers", "1").returncode == 0
    run = read_run(out)
    assert list(run.trials["state"]) == ["COMPLETE"] * 2
    trial = RunFolder(out).trial(1)
    begun = [int(epoch) for epoch in re.findall(r"begins with epoch=(\d+)", trial.log.read_text())]
    assert begun[0] == 1
    assert 1 < begun[1] <= 8  # it went on from a checkpoint
    assert [row["epoch"] for row in trial.read_metrics()] == list(range(1, 9))


def test_the_best_and_the_defaults_are_judged_on_test(home):
    write_tiny_coco(home / "three", {"train": 8, "val": 4, "test": 3})
    more = ("--data", "three", "--set", "epochs=2", "--trials", "2", "--confirm", "1x2")
    more = ("--no-probe", *more)
    done = finish(smoke("inline", "final", *more), home)
    assert "final comparison on test, AP50 in percent" in done.stdout
    record = read_comparison(home / "final")
    assert list(record.trainings["row"]) == ["default"] * 2 + ["trial-00001"] * 2
    assert set(record.trainings["state"]) == {"COMPLETE"}
    first = record.trainings.iloc[0]
    assert first["value_test"] == first["metrics"]["test/AP50"]
    stored = json.loads(
        gzip.decompress((first["folder"] / "detections-test.json.gz").read_bytes())
    )
    assert len(stored["images"]) == 3
    weights = ("--weights", str(first["folder"] / "last.pt"), "--data", "three")
    again = finish(("eval", *weights, "--split", "test", "--json"), home)
    said = json.loads(again.stdout)["metrics"]["AP50"]
    assert said == pytest.approx(first["value_test"], abs=1e-6)


def test_without_a_test_split_the_final_comparison_says_so(home):
    more = ("--no-probe", "--set", "epochs=1", "--trials", "2", "--confirm", "1x1")
    done = finish(smoke("inline", "on-val", *more), home)
    assert "final comparison on val, AP50 in percent" in done.stdout
    manifest = json.loads((home / "on-val" / "manifest.json").read_text())
    assert (manifest["judged_on"], manifest["test_opened"]) == ("val", False)
