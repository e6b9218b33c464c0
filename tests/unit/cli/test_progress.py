"""What a watcher says of a run."""

import io
import math

import pytest
from rich.console import Console

from evolve.cli.progress import LiveWatcher, PlainWatcher, RunView, describe, percent
from evolve.engine.director import Phase


def _row(epoch, value):
    return {"epoch": epoch, "objective": value}


def _follow(watcher):
    watcher.on_start(0, {}, 0, 4)
    for epoch in (1, 2, 3, 4):
        watcher.on_epoch(0, _row(epoch, 0.1 * epoch))
    watcher.on_end(0, "COMPLETE", 0.4, "")
    watcher.on_start(1, {}, 2, 4)
    watcher.on_epoch(1, _row(3, 0.2))
    watcher.on_end(1, "FAIL", None, "diverged: the loss is not finite")
    watcher.on_start(2, {}, 0, 4)
    watcher.on_epoch(2, _row(1, 0.3))


def test_plain_lines(capsys):
    _follow(PlainWatcher(RunView(5, 1, "AP")))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("[1/5] trial 0 complete: AP 40.0; best 40.0, ")
    assert lines[1] == "trial 1 continues, 2 of 4 epochs reported before"
    assert "trial 1 fail: diverged: the loss is not finite" in lines[2]


def test_quiet_says_nothing(capsys):
    _follow(PlainWatcher(RunView(5, 1, "AP"), quiet=True))
    assert capsys.readouterr().err == ""


def test_table_shows_states_epochs_and_best():
    watcher = LiveWatcher(RunView(5, 2, "AP50"))
    _follow(watcher)
    console = Console(file=io.StringIO(), width=100)
    console.print(watcher._render())
    text = console.file.getvalue()
    assert "1 done  0 pruned  1 failed  1 running  of 5 trials" in text
    assert "best AP50 40.0" in text
    assert "diverged" in text


def test_a_table_does_not_count_what_cannot_be():
    view = RunView(5, 2, "AP50")
    view.on_begin({"kind": "ablation", "workers": 2})
    view.on_phase(Phase("Rates", "3 rows", 9, str, {}))
    watcher = LiveWatcher(view)
    _follow(watcher)
    console = Console(file=io.StringIO(), width=100)
    console.print(watcher._render())
    assert "1 done  1 failed  1 running  of 9 trainings" in console.file.getvalue()
    assert "pruned" not in console.file.getvalue()


def test_time_left_counts_epochs_of_running_and_coming_trials():
    view = RunView(5, 2, "AP")
    assert math.isnan(view.time_left_s())
    _follow(view)
    for one in view.views.values():
        one.epoch_s = 10.0
    # ended trials took (4 + 3) / 2 epochs; one runs with 1 done, two are to come
    assert view.time_left_s() == pytest.approx((2 * 3.5 + 2.5) * 10 / 2)


def test_trials_of_earlier_sessions_count():
    view = RunView(5, 1, "AP")
    view.remember("COMPLETE", 0.7)
    view.remember("PRUNED", 0.9)
    _follow(view)
    assert view.count("COMPLETE") == 2
    assert view.best() == 0.7


def test_percent():
    assert percent(0.4567) == "45.7"
    assert percent(math.nan) == "-"


def test_head_lines_tell_the_run_and_hide_terminal_codes():
    manifest = {
        "name": "ga-x",
        "trials": 3,
        "sampler": "genetic",
        "scheduler": "asha",
        "workers": 2,
        "space": {"parameters": {"optimizer.lr": {}}},
        "data": {
            "name": "x\x1b[31m",
            "images": {"train": 5, "val": 2},
            "classes": ["a"],
            "notes": ["odd"],
        },
        "train": {"model": "yolov4-nano", "image_size": 96, "epochs": 4},
    }
    lines = describe(manifest)
    assert lines[1] == "data   x?[31m: 5 train, 2 val images, 1 classes"
    assert lines[3] == "note   odd"


def test_a_trial_beyond_the_usual_length_is_expected_to_finish():
    view = RunView(2, 1, "AP")
    view.on_start(0, {}, 0, 20)
    view.on_epoch(0, _row(6, 0.1))
    view.on_end(0, "PRUNED", 0.1, "")
    view.on_start(1, {}, 0, 20)
    view.on_epoch(1, _row(10, 0.3))
    for one in view.views.values():
        one.epoch_s = 2.0
    assert view.time_left_s() == pytest.approx(20.0)


def test_view_follows_the_trials_and_workers_that_the_run_agreed_on():
    view = RunView(3, 1, "AP")
    view.on_begin({"trials": 9, "workers": 4})
    assert (view.trials, view.workers) == (9, 4)


def _phase(ended=None):
    names = {4: "the defaults, seed 1 of 2", 5: "trial\x1b 7, seed 1 of 2"}
    about = "2 rows, judged on test"
    return Phase("final comparison", about, 4, names.__getitem__, ended or {})


def test_a_phase_counts_its_own_trainings(capsys):
    watcher = PlainWatcher(RunView(1, 1, "AP"))
    _follow(watcher)
    capsys.readouterr()
    watcher.on_phase(_phase({"COMPLETE": 1, "FAIL": 1}))
    watcher.on_start(4, {}, 1, 4)
    watcher.on_epoch(4, _row(4, 0.3))
    watcher.on_end(4, "COMPLETE", 0.3, "")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "final comparison: 2 rows, judged on test"
    assert lines[1] == "the defaults, seed 1 of 2 continues, 1 of 4 epochs reported before"
    assert lines[2].startswith(
        "[final comparison 3/4] the defaults, seed 1 of 2 complete: AP 30.0"
    )
    assert "best" not in lines[2]


def test_the_table_shows_a_phase_by_its_names():
    watcher = LiveWatcher(RunView(5, 2, "AP50"))
    _follow(watcher)
    watcher.view.on_phase(_phase({"COMPLETE": 1}))
    watcher.on_start(5, {}, 0, 4)
    console = Console(file=io.StringIO(), width=100)
    console.print(watcher._render())
    text = console.file.getvalue()
    assert "1 done  0 pruned  0 failed  1 running  of 4 trainings   final comparison" in text
    assert "trial? 7, seed 1 of 2" in text
    assert "diverged" not in text


def test_the_final_comparison_is_announced():
    manifest = {
        "name": "x", "trials": 5, "sampler": "genetic", "scheduler": "asha", "workers": 1,
        "space": {"parameters": {}}, "data": {"name": "x"},
        "train": {"model": "yolov4-nano", "image_size": 96, "epochs": 4},
    }  # fmt: skip
    assert len(describe(manifest | {"confirm": "0"})) == 3
    assert describe(manifest | {"confirm": "3x2"})[3].startswith("then   3x2 final comparison")
