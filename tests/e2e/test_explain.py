"""The end of `evolve run` and `evolve explain` as a user types them, on learning curves."""

import json

import pandas as pd

from evolve.store.comparison import PATH, read_comparison
from tests.e2e.test_run import run, start_anew, wait_until, work

__all__ = ["work"]  # a fixture

RUN = ("run", "--space", "my.yaml", "--trainer", "curve", "--engine", "inline", "--out", "out")
MORE = ("--trials", "5", "--set", "scheduler=none", "--confirm", "1x2")


def trained(work):
    return read_comparison(work / "out", PATH).trainings


def test_a_run_ends_with_its_verdict_and_a_killed_path_is_trained_to_its_end(work):
    done = run(work, *RUN, *MORE, "--data", "curve-0.2")
    assert done.returncode == 0, done.stderr
    for words in (
        " AP points on test (95 % interval ",
        "points seen in the search",
        "of the gain",
    ):
        assert words in done.stdout
    assert "not a confirmed gain" not in done.stdout
    page = (work / "out" / "report" / "index.html").read_text()
    assert "What mattered" in page
    assert "not a confirmed gain" not in page

    retrain = ("explain", "out", "--retrain", "--seeds", "3", "--engine", "inline")
    process = start_anew(work, *retrain)
    wait_until(lambda: any((work / "out" / "path").rglob("metrics.jsonl")))
    process.kill()
    process.communicate()
    before = trained(work)
    ended = before["state"] == "COMPLETE"
    assert not ended.all()

    done = run(work, *retrain)
    assert done.returncode == 0, done.stderr
    assert "measured on test" in done.stdout
    after = trained(work)
    assert (after["state"] == "COMPLETE").all()
    pd.testing.assert_frame_equal(after[ended], before[ended])
    assert set(after["epochs_done"]) == {5}
    tree = json.loads(run(work, "explain", "out", "--json").stdout)
    assert [step["measured"]["pairs"] for step in tree["path"]["steps"]] == [3, 3]
    assert "filled bars" in (work / "out" / "report" / "report.md").read_text()


def test_bad_input_is_refused_with_code_2(work):
    done = run(work, "explain", "nowhere")
    assert done.returncode == 2
    assert "no such run folder" in done.stderr
    run(work, *RUN, "--trials", "2", "--confirm", "0", "--data", "curve-0")
    done = run(work, "explain", "out", "--retrain")
    assert done.returncode == 2
    assert "it takes 4 complete trials" in done.stderr
    assert run(work, "explain", "out").returncode == 0
