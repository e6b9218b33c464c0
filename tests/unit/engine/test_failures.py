"""What is done about each kind of failure."""

import pytest
from optuna.trial import TrialState

from evolve.engine.failures import POLICIES, failure, remedy_for
from evolve.engine.inline import run_inline
from evolve.engine.schedulers import Decision
from tests.unit.engine.made_up import Notes, make_coordinator, make_space


def before(*kinds):
    return [{"type": kind} for kind in kinds]


@pytest.mark.parametrize(
    ("kind", "earlier", "shares", "remedy"),
    [
        ("diverged", (), True, "none"),
        ("data", (), True, "none"),
        ("error", (), True, "again"),
        ("error", ("error",), True, "none"),
        ("killed", ("killed", "killed"), True, "again"),
        ("killed", ("killed", "killed", "killed"), True, "none"),
        ("killed", ("oom", "error", "lost-node"), True, "again"),
        ("lost-node", ("lost-node",) * 9, True, "again"),
        ("lost-node", ("lost-node",) * 10, True, "none"),
        ("oom", (), True, "alone"),
        ("oom", (), False, "smaller"),
        ("oom", ("oom",), True, "smaller"),
        ("disk", (), True, "halt"),
        ("something new", (), True, "again"),
    ],
)
def test_each_kind_has_its_remedies_in_order(kind, earlier, shares, remedy):
    assert remedy_for(kind, before(*earlier), shares=shares) == remedy


def test_every_kind_says_what_it_means():
    assert all(policy.about for policy in POLICIES.values())


def began(tmp_path, trials=1, workers=1, notes=None, **settings):
    from dataclasses import replace

    from evolve.engine.allowance import Allowance

    space = make_space(tmp_path)
    space = replace(space, base=space.base.with_values({"batch_size": 8}))
    coordinator = make_coordinator(tmp_path / "run", space, trials=trials, notes=notes)
    coordinator.allowance = Allowance(None, workers)
    for name, value in settings.items():
        setattr(coordinator, name, value)
    return coordinator


def test_a_trial_out_of_memory_is_tried_alone_and_then_in_smaller_mini_batches(tmp_path):
    notes = Notes()
    coordinator = began(tmp_path, workers=2, notes=notes)
    tasks = []
    for _ in range(5):
        task = coordinator.next_task()
        tasks.append((task.alone, task.config["batch_size"], task.config["subdivisions"]))
        assert not coordinator.over()
        coordinator.finish(task.number, {"failure": failure("oom", "no memory")})
    assert tasks == [(False, 8, 1), (True, 8, 1), (True, 8, 2), (True, 8, 4), (True, 8, 8)]
    assert coordinator.over()
    (trial,) = coordinator.study.get_trials()
    assert trial.state == TrialState.FAIL
    attempts = trial.user_attrs["evolve:attempts"]
    assert [one["remedy"] for one in attempts] == ["alone", "smaller", "smaller", "smaller"]
    assert {one["what"] for one in attempts} == {"no memory"}
    assert notes.retried[0] == (0, "oom: no memory", "alone")


def test_what_failures_have_taught_is_known_after_a_restart(tmp_path):
    coordinator = began(tmp_path)
    for _ in range(2):
        number = coordinator.next_task().number
        coordinator.finish(number, {"failure": failure("oom", "no memory")})
    again = began(tmp_path)
    task = again.next_task()
    assert (task.alone, task.config["subdivisions"]) == (True, 4)


def test_a_killed_trial_goes_on_from_its_checkpoint(tmp_path, monkeypatch):
    from evolve.engine import trial as trial_module

    monkeypatch.setattr(trial_module, "CHECKPOINT_EVERY_S", -1.0)
    coordinator = began(tmp_path)
    task = coordinator.next_task()
    rows = trial_module.run_trial(task)
    for _ in range(2):
        row = next(rows)
        assert coordinator.take(task.number, row) is Decision.GO
    rows.close()
    coordinator.finish(task.number, row, failure("killed", "its process ended unexpectedly"))
    run_inline(coordinator)
    (trial,) = coordinator.study.get_trials()
    assert trial.state == TrialState.COMPLETE
    epochs = [row["epoch"] for row in coordinator.files(0).read_metrics()]
    assert epochs == [1, 2, 3, 4]
    assert "begins with epoch=3" in coordinator.files(0).log.read_text()


def test_a_full_disk_stops_the_run_and_fails_no_trial(tmp_path):
    coordinator = began(tmp_path, trials=4, workers=2)
    first, second = coordinator.next_task(), coordinator.next_task()
    coordinator.finish(first.number, {"failure": failure("disk", "No space left on device")})
    assert coordinator.next_task() is None
    row = {"number": second.number, "epoch": 1, "epochs": 4, "objective": 0.1, "metrics": {}}
    assert coordinator.take(second.number, row) is Decision.PAUSE
    coordinator.finish(second.number, row)
    assert coordinator.over()
    assert "No space left" in str(coordinator.fatal)
    states = {t.state for t in coordinator.study.get_trials(deepcopy=False)}
    assert states == {TrialState.RUNNING}
    again = began(tmp_path, trials=4)
    run_inline(again)
    assert {t.state for t in again.study.get_trials()} == {TrialState.COMPLETE}


@pytest.mark.parametrize("kind", ["data", "diverged"])
def test_more_failures_than_allowed_stop_the_run(tmp_path, kind):
    coordinator = began(tmp_path, trials=6, _max_failures=2)
    for _ in range(3):
        if coordinator.over():
            break
        number = coordinator.next_task().number
        coordinator.finish(number, {"failure": failure(kind, "what it was")})
    if kind == "diverged":  # parameters that do not train are what a search finds out
        assert not coordinator.over()
        assert coordinator.fatal is None
        return
    assert coordinator.over()
    assert "3 trials have failed, the last with data: what it was" in str(coordinator.fatal)


@pytest.mark.parametrize(
    ("metrics", "objective", "kind"),
    [
        ({"loss": float("nan")}, 0.1, "diverged"),
        ({"loss": float("inf")}, 0.1, "diverged"),
        ({"loss": 1.0}, float("inf"), "diverged"),
    ],
)
def test_numbers_that_are_not_finite_stop_a_trial_at_once(tmp_path, metrics, objective, kind):
    coordinator = began(tmp_path)
    number = coordinator.next_task().number
    row = {"number": 0, "epoch": 1, "epochs": 4, "objective": objective, "metrics": metrics}
    assert coordinator.take(number, row) is Decision.STOP
    coordinator.finish(number, row)
    (trial,) = coordinator.study.get_trials()
    assert trial.state == TrialState.FAIL
    assert trial.user_attrs["evolve:failure"]["type"] == kind
    assert trial.value is None


def test_one_failing_trial_never_ends_a_run(tmp_path):
    coordinator = began(tmp_path, trials=3)
    number = coordinator.next_task().number
    coordinator.finish(number, {"failure": failure("data", "gone")})
    run_inline(coordinator)
    states = [t.state for t in coordinator.study.get_trials()]
    assert states == [TrialState.FAIL, TrialState.COMPLETE, TrialState.COMPLETE]
