"""The `evolve run` command as a user types it, on learning curves instead of images."""

import contextlib
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from wsgiref.simple_server import make_server

import optuna
import pandas as pd
import psutil
import pytest

from evolve.store.comparison import read_comparison
from evolve.store.folder import RunFolder
from evolve.store.study import STUDY_NAME, sqlite_url
from tests.e2e import forked
from tests.thorough import ON_RAY, thorough
from tests.tiny_data import write_tiny_coco

EVOLVE = [sys.executable, "-m", "evolve"]
ROOT = Path(__file__).parents[2]
SPACE = """
objective: AP
trials: 6
sampler: genetic
scheduler: asha
train: {epochs: 5, image_size: 96}
parameters:
  optimizer.lr: {type: float, low: 1.0e-3, high: 0.1, scale: log, default: 2.0e-3, why: step}
  optimizer.momentum: {type: float, low: 0.8, high: 0.98, default: 0.9, why: memory}
"""


@pytest.fixture
def work(tmp_path):
    """A folder with a space file and data whose epochs last 0.2 s."""
    fill(tmp_path)
    return tmp_path


def fill(folder):
    (folder / "my.yaml").write_text(SPACE)
    (folder / "curve-0").mkdir()
    (folder / "curve-0.2").mkdir()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder of work with an undisturbed run of six trials in one process, to be copied."""
    folder = tmp_path_factory.mktemp("whole")
    fill(folder)
    assert run(folder, *on_curves("inline")).returncode == 0
    return folder


@pytest.fixture
def ran(whole, tmp_path):
    """A folder of work of one's own, with that run."""
    return shutil.copytree(whole, tmp_path, dirs_exist_ok=True)


def run(work, *arguments, **environment):
    done = forked.run(arguments, work, **environment)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def run_anew(work, *arguments, **environment):
    """Run a command in a process that is not forked off another."""
    done = subprocess.run(
        [*EVOLVE, *arguments],
        cwd=work,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def start(work, *arguments, every_s="0"):
    """Start a command in a process group of its own, with a checkpoint every so often."""
    return forked.start(arguments, work, EVOLVE_CHECKPOINT_EVERY_S=every_s)


def start_anew(work, *arguments, every_s="0"):
    """As `start`, in a process that is not forked off another."""
    return subprocess.Popen(
        [*EVOLVE, *arguments],
        cwd=work,
        env={**os.environ, "PYTHONPATH": str(ROOT), "EVOLVE_CHECKPOINT_EVERY_S": every_s},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def on_curves(engine, *more, data="curve-0"):
    fixed = ("--space", "my.yaml", "--trainer", "curve", "--out", "out", "--confirm", "0")
    return ("run", *fixed, "--data", data, "--engine", engine, *more)


def trials(work):
    storage = optuna.storages.RDBStorage(sqlite_url(work / "out" / "study.db"))
    study = optuna.load_study(study_name=STUDY_NAME, storage=storage)
    found = study.get_trials()
    storage.remove_session()
    storage.engine.dispose()
    return found


def told(work):
    return {t.number: (t.state.name, t.params, t.value) for t in trials(work)}


def wait_until(condition, seconds=240):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


def finished(work):
    if not (work / "out" / "study.db").exists():
        return 0
    with contextlib.suppress(Exception):  # the tables may be half made
        return sum(t.state.is_finished() for t in trials(work))
    return 0


def descendants(pid):
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).children(recursive=True)
    return []


def test_inline_run_writes_the_whole_folder_and_says_what_it_found(work):
    done = run_anew(work, *on_curves("inline"))
    assert done.returncode == 0, done.stderr
    assert "not a confirmed gain" in done.stdout or "No trial beat" in done.stdout
    out = work / "out"
    for name in (
        "manifest.json",
        "study.db",
        "best.yaml",
        "report/index.html",
        "report/report.md",
    ):
        assert (out / name).is_file(), name
    with (out / "report" / "tables" / "trials.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 6
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["seed"] == 0
    assert manifest["train"]["epochs"] == 5
    assert manifest["test_opened"] is False
    assert "[6/6]" in done.stderr


def test_same_command_again_adds_nothing_and_more_trials_extend(ran):
    before = told(ran)
    again = run(ran, *on_curves("inline"))
    assert again.returncode == 0
    assert told(ran) == before
    run(ran, *on_curves("inline", "--trials", "8"))
    after = told(ran)
    assert len(after) == 8
    assert {n: after[n] for n in before} == before


def test_other_configuration_is_refused_with_the_difference(ran):
    before = told(ran)
    done = run(ran, *on_curves("inline", "--seed", "1", "--set", "epochs=7"))
    assert done.returncode == 2
    assert "seed: 0 in the folder, 1 asked for" in done.stderr
    assert "train.epochs: 5 in the folder, 7 asked for" in done.stderr
    assert told(ran) == before


def test_folder_in_use_is_refused(ran):
    with RunFolder(ran / "out").lock():
        done = run(ran, "resume", "out")
    assert done.returncode == 2
    assert "in use by another process" in done.stderr


@pytest.mark.ray
def test_ray_run_reaches_the_end_and_leaves_no_process(work):
    done = run_anew(work, *on_curves("ray", "--workers", "2"), EVOLVE_TEST_MARK=str(work))
    assert done.returncode == 0, done.stderr
    states = [state for state, *_ in told(work).values()]
    assert len(states) == 6
    assert set(states) <= {"COMPLETE", "PRUNED"}
    assert (work / "out" / "report" / "index.html").is_file()
    assert [p for p in psutil.process_iter() if mark(p) == str(work)] == []


def mark(process):
    """What a test has put into a process's environment: others have a Ray of their own."""
    with contextlib.suppress(psutil.Error):
        return process.environ().get("EVOLVE_TEST_MARK")
    return None


@thorough
@pytest.mark.ray
def test_killed_tree_is_resumed_without_loss(work):
    process = start_anew(work, *on_curves("ray", "--workers", "2", data="curve-0.2"))
    wait_until(lambda: finished(work) >= 2)
    tree = descendants(process.pid)
    for victim in (process, *tree):
        with contextlib.suppress(psutil.NoSuchProcess):
            victim.kill()
    process.communicate()
    before = {n: t for n, t in told(work).items() if t[0] != "RUNNING"}
    interrupted = [t.number for t in trials(work) if t.state.name == "RUNNING"]
    assert len(before) >= 2

    done = run_anew(work, "resume", "out")
    assert done.returncode == 0, done.stderr
    after = told(work)
    assert len(after) == 6
    assert {n: after[n] for n in before} == before
    assert all(state != "RUNNING" for state, *_ in after.values())
    for number in interrupted:
        rows = RunFolder(work / "out").trial(number).read_metrics()
        assert [row["epoch"] for row in rows] == list(range(1, len(rows) + 1))


@pytest.mark.ray
def test_ctrl_c_stops_cleanly_and_says_how_to_resume(work):
    process = start_anew(work, *on_curves("ray", "--workers", "2", data="curve-0.2"))
    wait_until(lambda: finished(work) >= 1)
    tree = descendants(process.pid)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "evolve resume out" in errors
    assert "Traceback" not in errors
    wait_until(lambda: not any(p.is_running() and p.status() != "zombie" for p in tree), 20)
    kept = {n: t for n, t in told(work).items() if t[0] != "RUNNING"}
    done = run(work, "resume", "out", "--engine", "inline")
    assert done.returncode == 0, done.stderr
    after = told(work)
    assert {n: after[n] for n in kept} == kept
    assert len(after) == 6


def test_inline_run_killed_twice_equals_its_undisturbed_twin(work, whole):
    for count in (1, 3):
        process = start_anew(work, *on_curves("inline", data="curve-0.2"))
        wait_until(lambda count=count: finished(work) >= count)
        process.kill()
        process.communicate()
    done = run(work, "resume", "out")
    assert done.returncode == 0, done.stderr
    assert told(work) == told(whole)


def compared(work):
    """What was found in the comparison, without the places of its files."""
    return read_comparison(work / "out").trainings.drop(columns="folder")


@pytest.mark.parametrize("engine", ["inline", ON_RAY])
def test_a_killed_final_comparison_goes_on_where_it_was(work, engine):
    more = ("--trials", "3", "--set", "scheduler=none", "--confirm", "1x2")
    more += ("--workers", "2") if engine == "ray" else ()
    process = start_anew(work, *on_curves(engine, *more, data="curve-0.2"))
    wait_until(lambda: (work / "out" / "final" / "default" / "1" / "metrics.jsonl").exists())
    for victim in (process, *descendants(process.pid)):
        with contextlib.suppress(psutil.NoSuchProcess):
            victim.kill()
    process.communicate()
    before = compared(work)
    ended = before["state"] == "COMPLETE"
    assert not ended.all()
    status = run(work, "status", "out").stdout
    assert "out, final comparison" in status
    assert f"{ended.sum()} of 4 trainings, judged on test" in status

    done = run_anew(work, "resume", "out")
    assert done.returncode == 0, done.stderr
    after = compared(work)
    assert list(after["state"]) == ["COMPLETE"] * 4
    assert after[ended].to_dict("records") == before[ended].to_dict("records")
    assert set(after["epochs_done"]) == {5}
    assert "[final comparison 4/4]" in done.stderr
    assert "final comparison on test, AP in percent" in done.stdout
    assert (work / "out" / "best.yaml").read_text().startswith(("# confirmed: ", "# the defaults"))
    assert json.loads((work / "out" / "manifest.json").read_text())["test_opened"] is True
    again = run_anew(work, "resume", "out")
    assert "[final comparison" not in again.stderr
    pd.testing.assert_frame_equal(compared(work), after)


def test_status_and_report_read_a_copied_run(work, whole, tmp_path_factory):
    copied = shutil.copytree(whole / "out", tmp_path_factory.mktemp("elsewhere") / "copy")
    status = json.loads(run(work, "status", str(copied), "--json").stdout)
    assert status["asked"] == 6
    assert sum(status["states"].values()) == 6
    done = run(work, "report", str(copied), "--out", "elsewhere")
    assert done.returncode == 0, done.stderr
    assert (work / "elsewhere" / "index.html").is_file()


def test_optuna_dashboard_opens_the_study(whole):
    from optuna_dashboard import wsgi

    storage = optuna.storages.RDBStorage(sqlite_url(whole / "out" / "study.db"))
    with make_server("127.0.0.1", 0, wsgi(storage)) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/api/studies"
        with urllib.request.urlopen(url, timeout=30) as answer:
            body = json.load(answer)
        thread.join()
    assert [s["study_name"] for s in body["study_summaries"]] == [STUDY_NAME]
    storage.engine.dispose()


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("--space", "mi.yaml"), "my.yaml"),
        (("--set", "optimizer.lrr=1"), "optimizer.lr"),
        (("--sampler", "genetics"), "genetic"),
        (("--scheduler", "ashe"), "asha"),
        (("--out", "my.yaml"), "a file stands where"),
        (("--trials", "0"), "--trials"),
        (("--confirm", "3"), "write candidates x seeds"),
        (("--gpus-per-trial", "0"), "--gpus-per-trial"),
    ],
)
def test_bad_input_is_refused_with_code_2_and_a_hint(work, refused, arguments, what):
    assert what in refused(*on_curves("inline"), *arguments)
    assert not (work / "out" / "study.db").exists()


def test_missing_data_and_model_are_named(work, refused):
    assert "curve-0" in refused("run", "--space", "my.yaml", "--data", "curv-0")
    error = refused("run", "--space", "my.yaml", "--model", "yolov4-nan", "--out", "out")
    assert "did you mean 'yolov4-nano'" in error
    assert not (work / "out").exists()


def test_configuration_that_cannot_be_trained_is_refused_before_anything_is_made(work, refused):
    write_tiny_coco(work / "tiny")
    arguments = ("--data", "tiny", "--out", "out", "--set", "subdivisions=3")
    assert "subdivisions" in refused("run", "--space", "smoke.yaml", *arguments)
    assert not (work / "out").exists()


LR = "optimizer.lr: {type: float, low: 1.0e-3, high: 0.1, scale: log, default: 2.0e-3}"


@pytest.mark.parametrize(
    ("text", "what", "where"),
    [
        ("", "empty", "bad.yaml"),
        ("parameters:\n  " + LR + "\n  " + LR, "twice", "bad.yaml:3:3"),
        ("parameters:\n  " + LR.replace("lr:", "lrr:"), "optimizer.lr", "bad.yaml:2:3"),
        ("trails: 3\nparameters:\n  " + LR, "did you mean 'trials'", "bad.yaml:1:1"),
        ("parameters:\n  " + LR.replace("high: 0.1", "high: 1.0e-4"), "high", "bad.yaml:2:"),
        ("parameters:\n  " + LR.replace("low: 1.0e-3", "low: 0"), "log", "bad.yaml:2:"),
        ("parameters:\n  " + LR.replace("1.0e-3", "1e-3"), "1.0e-3", "bad.yaml:2:"),
        ("parameters: [", "", "bad.yaml:1:"),
    ],
)
def test_bad_space_is_refused_with_line_and_mend(work, refused, text, what, where):
    (work / "bad.yaml").write_text(text)
    error = refused("run", "--space", "bad.yaml", "--trainer", "curve", "--data", "curve-0")
    assert what in error
    assert where in error
    assert not (work / "runs").exists()


def broken_coco(work, change):
    """A data set whose train.json was changed by `change(content)`."""
    root = write_tiny_coco(work / "tiny")
    path = root / "annotations" / "train.json"
    content = json.loads(path.read_text())
    text = change(content)
    path.write_text(text if isinstance(text, str) else json.dumps(content))
    return root


def _no_annotations(content):
    content["annotations"].clear()


def _unknown_image(content):
    content["annotations"][0]["image_id"] = 999


def _unknown_category(content):
    content["annotations"][0]["category_id"] = 77


def _missing_image(content):
    content["images"][0]["file_name"] = "gone.png"


def _escaping_image(content):
    content["images"][0]["file_name"] = "../../../etc/passwd"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda _: "{", "train.json"),
        (_no_annotations, "annotation"),
        (_unknown_image, "999"),
        (_unknown_category, "77"),
        (_missing_image, "gone.png"),
        (_escaping_image, "passwd"),
    ],
)
def test_bad_data_is_refused_before_anything_is_made(work, refused, change, what):
    broken_coco(work, change)
    error = refused("run", "--space", "smoke.yaml", "--data", "tiny", "--out", "out")
    assert what in error
    assert not (work / "out").exists()
