"""The `evolve ablate` command as a user types it: on learning curves, and once on pictures."""

import contextlib
import csv
import json
import os
import pty
import re
import signal

import psutil
import pytest

from evolve.store.comparison import TABLE, read_comparison
from evolve.store.folder import RunFolder
from tests.e2e.test_run import (
    EVOLVE,
    ROOT,
    descendants,
    run,
    run_anew,
    start,
    start_anew,
    wait_until,
)
from tests.tiny_data import write_tiny_coco

ROWS = """
title: Rates
model: yolov4-nano
base: {set: {epochs: 4}}
rows:
  - {key: plain}
  - {key: faster, set: {optimizer.lr: 0.02}}
  - {key: fastest, set: {optimizer.lr: 0.4}}
"""
PICTURES = """
title: Two losses
model: yolov4-nano
base: {set: {epochs: 1, image_size: 64, batch_size: 4}}
rows:
  - {key: squares, title: squared errors}
  - {key: ciou, title: CIoU, ingredients: [CIoU]}
"""
AFTER = """
title: Backbones
model: yolov4-nano
base: {set: {epochs: 1, image_size: 64, batch_size: 4}}
rows:
  - {key: nothing}
  - {key: started, pretrain: {model: csdarknet53-nano, set: {epochs: 1, batch_size: 4}}}
"""


@pytest.fixture
def work(tmp_path):
    """A folder with a table and data whose epochs last 0.2 s."""
    (tmp_path / "rates.yaml").write_text(ROWS)
    (tmp_path / "curve-0").mkdir()
    (tmp_path / "curve-0.2").mkdir()
    return tmp_path


def on_curves(*more, data="curve-0", engine="inline", out="out"):
    fixed = ("--table", "rates.yaml", "--trainer", "curve", "--no-probe", "--no-share")
    return ("ablate", *fixed, "--data", data, "--engine", engine, "--out", out, *more)


def outcome(out):
    """What must be equal between a disturbed table and its twin."""
    frame = read_comparison(out, TABLE).trainings
    keys = ["row", "seed_index", "seed", "state", "reason", "value_val", "value_test"]
    return frame[keys].astype(str).to_dict("records")


def complete(out):
    """Trainings that have ended well so far; 0 before there is a table."""
    if not RunFolder(out).comparison(TABLE).plan.is_file():
        return 0
    return int((read_comparison(out, TABLE).trainings["state"] == "COMPLETE").sum())


def test_a_table_is_printed_and_written_with_what_failed(work):
    done = run(work, *on_curves("--seeds", "2"))
    assert done.returncode == 0, done.stderr
    assert "helps" in done.stdout
    failed = next(line for line in done.stdout.splitlines() if "failed" in line)
    assert " 0/2 " in failed
    assert "2 × diverged: the loss is not finite" in done.stdout  # noqa: RUF001
    with (work / "out" / "report" / "tables" / "rates-seeds.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows].count("FAIL") == 2
    assert len(rows) == 6
    assert "| helps" in (work / "out" / "report" / "tables" / "rates.md").read_text()
    again = run(work, *on_curves("--seeds", "2"))
    assert again.stdout == done.stdout
    assert "[Rates" not in again.stderr
    tree = json.loads(run(work, *on_curves("--seeds", "2", "--json")).stdout)
    words = {row["row"]: row["word"] for row in tree["rows"]}
    assert words == {"plain": "baseline", "faster": "helps", "fastest": "failed"}


def test_a_plan_is_told_and_nothing_written(work):
    done = run(work, *on_curves("--plan-only", "--probe"))
    assert done.returncode == 0, done.stderr
    assert "9 trainings" in done.stdout
    assert "in 8 of 10 tables" in done.stdout
    assert not (work / "out").exists()
    tree = json.loads(run(work, *on_curves("--plan-only", "--probe", "--json")).stdout)
    assert tree["plan"]["trainings"] == 9


def test_killed_with_all_its_workers_a_table_ends_as_its_twin(work):
    twin = run(work, *on_curves(out="twin"))
    assert twin.returncode == 0, twin.stderr
    process = start_anew(work, *on_curves("--workers", "2", data="curve-0.2", engine="ray"))
    try:
        wait_until(lambda: complete(work / "out") >= 2)
    finally:
        children = descendants(process.pid)
        os.killpg(process.pid, signal.SIGKILL)
        for child in children:
            child.kill()
        process.wait(30)
        psutil.wait_procs(children, timeout=30)
    assert complete(work / "out") < 6
    status = run(work, "status", "out", "--json")
    tree = json.loads(status.stdout)
    assert (tree["kind"], tree["state"], tree["phase"]) == ("ablation", "interrupted", "table")
    done = run_anew(work, "resume", "out")
    assert done.returncode == 0, done.stderr
    assert outcome(work / "out") == outcome(work / "twin")
    assert "table    out, done" in run(work, "status", "out").stdout
    assert run(work, "report", "out").stdout.strip() == "out/report/index.html"


def test_a_table_whose_study_lies_elsewhere_ends_as_its_twin(work):
    twin = run(work, *on_curves("--seeds", "3", out="twin"))
    assert twin.returncode == 0, twin.stderr
    url = f"sqlite:///{work}/elsewhere.db"
    first = run(work, *on_curves("--seeds", "2", "--storage", url))
    assert first.returncode == 0, first.stderr
    assert not RunFolder(work / "out").study.exists()
    more = run(work, "resume", "out", "--seeds", "3")  # the folder knows where
    assert more.returncode == 0, more.stderr
    assert outcome(work / "out") == outcome(work / "twin")
    assert more.stdout.replace("out/", "twin/") == twin.stdout
    tree = json.loads(run(work, "status", "out", "--json").stdout)
    assert (tree["state"], tree["final"]["ended"]) == ("done", 9)
    (work / "elsewhere.db").unlink()
    lost = run(work, "report", "out")
    assert lost.returncode == 2
    assert "elsewhere.db" in lost.stderr


def test_ctrl_c_tells_how_to_go_on(work):
    process = start(work, *on_curves(data="curve-0.2"))
    wait_until(lambda: complete(work / "out") >= 1)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "evolve resume out" in said
    assert "Traceback" not in said


def test_wrong_input_is_refused_before_anything_runs(work, refused):
    (work / "twice.yaml").write_text(ROWS.replace("key: faster", "key: plain"))
    (work / "needs.yaml").write_text(
        ROWS.replace("set: {optimizer.lr: 0.02}", "ingredients: [CIoU, GIoU]")
    )
    (work / "pairs.yaml").write_text(
        "title: t\nplan: {design: pairs, ingredients: [S, M]}\nmodel: yolov4-nano\n"
    )
    cases = [
        (("--table", "twice.yaml"), "the row 'plain' is there twice"),
        (("--table", "needs.yaml"), "row 'faster'"),
        (("--table", "pairs.yaml", "--seeds", "1"), "pairs needs 2 seeds or more"),
        (("--table", "rates.yaml", "--seeds", "0"), "0 seeds train nothing"),
        (("--table", "rates.yaml", "--reuse", "nowhere"), "nowhere"),
        (("--table", "rates.yaml", "--budget", "soon"), "is no budget of time"),
        (("--table", "rates.yaml", "--region", "0"), "--region"),
    ]
    for arguments, told in cases:
        more = ("--data", "curve-0", "--trainer", "curve", "--out", "out", "--no-probe")
        assert told in refused("ablate", *arguments, *more), arguments
        assert not (work / "out").exists()
    assert "yolov9" in refused("ablate", "--table", "rates.yaml", "--model", "yolov9")


def test_evolutions_and_tables_are_told_apart(work, refused):
    run(work, *on_curves("--seeds", "1"))
    for arguments in (("explain", "out"), ("export-study", "out", "--out", "card.yaml")):
        assert "holds an ablation table, not an evolution" in refused(*arguments)
    assert "--trials is for evolutions" in refused("resume", "out", "--trials", "3")


def test_pictures_give_intervals_classes_and_costs(tmp_path):
    (tmp_path / "losses.yaml").write_text(PICTURES)
    write_tiny_coco(tmp_path / "data", {"train": 8, "val": 4, "test": 6})
    fixed = ("ablate", "--table", "losses.yaml", "--data", "data", "--engine", "inline")
    done = run(tmp_path, *fixed, "--seeds", "2", "--out", "runs/first")
    assert done.returncode == 0, done.stderr
    plan = next(line for line in done.stderr.splitlines() if line.startswith("plan"))
    assert "4 trainings; about" in plan
    said = " ".join(done.stdout.split())
    assert "6 images of test; 95 % intervals over seeds and images" in said
    assert "M parameters" in said
    found = tmp_path / "runs" / "first"
    with (found / "report" / "tables" / "losses-classes.csv").open(newline="") as file:
        assert {row["row"] for row in csv.DictReader(file)} == {"ciou"}
    costs = json.loads((found / "costs.json").read_text())["rows"]
    assert costs["squares"]["parameters"] == costs["ciou"]["parameters"] > 1e6
    assert costs["squares"]["latency_ms"] > 0
    # the same table elsewhere trains nothing anew
    again = run(tmp_path, *fixed, "--seeds", "2", "--out", "runs/second", "--no-probe")
    assert "4 trainings are done already, in other runs" in again.stderr
    assert outcome(tmp_path / "runs" / "second") == outcome(found)
    assert (tmp_path / "runs" / "second" / "table" / "ciou" / "1" / "best.pt").is_file()


def test_a_detector_starts_from_a_classifier_of_the_same_pictures(tmp_path):
    (tmp_path / "after.yaml").write_text(AFTER)
    write_tiny_coco(tmp_path / "data", {"train": 8, "val": 4, "test": 4})
    fixed = ("ablate", "--table", "after.yaml", "--data", "data", "--engine", "inline")
    done = run(tmp_path, *fixed, "--seeds", "1", "--out", "out", "--no-probe")
    assert done.returncode == 0, done.stderr
    assert "pre-training: 1 row, 1 fresh seed each, judged on val" in done.stderr
    frame = read_comparison(tmp_path / "out", TABLE).trainings.set_index("row")
    log = (frame.loc["started", "folder"] / "config.yaml").read_text()
    assert "pretrain/started/0/best.pt" in log
    assert (frame["state"] == "COMPLETE").all()


def test_on_a_terminal_the_table_fills_in(work):
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(work)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "118"}
        os.execvpe(EVOLVE[0], [*EVOLVE, *on_curves("--seeds", "2", data="curve-0.2")], environment)
    shown = b""
    with contextlib.suppress(OSError):  # which tells that the other end is closed
        while part := os.read(terminal, 1 << 16):
            shown += part
    _, status = os.waitpid(pid, 0)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert os.waitstatus_to_exitcode(status) == 0, text
    assert "1/2  baseline" in text
    assert "3 of 6 trainings of the table have ended" in text
    assert "+-95 %" not in text  # check marks and signs as the terminal has them
    assert "Traceback" not in text
