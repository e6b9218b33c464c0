"""The stand-in for a training: it changes, halts and continues as one does."""

import itertools
import json
import threading
import time
from pathlib import Path

import pytest

from evolve.engine.trainers import get_trainer
from evolve.testing.curves import follow_curve, plateau
from model.config import TrainConfig
from model.errors import CheckpointError, Diverged, Halted
from model.halt import Halt

AT_ONCE = Path("curve-0")


def curve(**values):
    return TrainConfig(**{"epochs": 4} | values)


def numbers(config, **options):
    return [(r.epoch, r.metrics) for r in follow_curve(config, AT_ONCE, **options)]


def halt_at(question, path):
    asked = itertools.count()
    return Halt(lambda: next(asked) >= question, path)


def test_each_epoch_has_the_plateau_of_what_holds():
    config = curve(changes={1: {"optimizer.lr": 0.02}, 3: {"optimizer.momentum": 0.5}})
    reports = list(follow_curve(config, AT_ONCE))
    plateaus = [plateau(config.at(epoch)) for epoch in range(4)]
    assert len(set(plateaus)) == 3
    reached = [report.reached for report in reports]
    for now, other in ((config.at(0), 0), (config.at(1), 1), (config.at(2), 2), (config.at(3), 3)):
        twin = list(follow_curve(now, AT_ONCE))[other]
        assert reached[other] == twin.reached
        assert reports[other].metrics == twin.metrics


def test_a_change_may_diverge():
    reports = follow_curve(curve(changes={2: {"optimizer.lr": 1}}), AT_ONCE)
    next(reports), next(reports)
    with pytest.raises(Diverged, match="epoch 3"):
        next(reports)


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_a_curve_goes_on_with_changes_that_it_did_not_know(tmp_path, stop):
    config = curve(changes={1: {"optimizer.lr": 0.02}, 3: {"optimizer.lr": 0.01}})
    known = {epoch: values for epoch, values in config.changes.items() if epoch < stop}
    before = config.with_values({"changes": known})
    for report in itertools.islice(follow_curve(before, AT_ONCE), stop):
        report.save(tmp_path / "last.pt")
    assert numbers(config, resume=tmp_path / "last.pt") == numbers(config)[stop:]


def test_a_curve_of_another_history_is_refused(tmp_path):
    config = curve(changes={1: {"optimizer.lr": 0.02}})
    for report in itertools.islice(follow_curve(config, AT_ONCE), 2):
        report.save(tmp_path / "last.pt")
    for values in ({"changes": {}}, {"seed": 1}, {"changes.1.optimizer.lr": 0.01}):
        with pytest.raises(CheckpointError, match="another configuration"):
            numbers(config.with_values(values), resume=tmp_path / "last.pt")


@pytest.mark.parametrize("text", ["", "[]", "3", '{"epoch": null}', "{}"])
def test_what_is_no_checkpoint_is_refused(tmp_path, text):
    (tmp_path / "last.pt").write_text(text)
    with pytest.raises(CheckpointError, match="not a curve's checkpoint"):
        numbers(curve(), resume=tmp_path / "last.pt")


def test_checkpoints_of_earlier_versions_are_continued(tmp_path):
    (tmp_path / "last.pt").write_text('{"epoch": 2}')
    assert numbers(curve(), resume=tmp_path / "last.pt") == numbers(curve())[2:]


@pytest.mark.parametrize("question", [0, 1, 2, 3])
def test_a_curve_of_no_length_is_halted_between_epochs(tmp_path, question):
    path, seen = tmp_path / "halt.pt", []
    with pytest.raises(Halted) as caught:
        seen.extend(
            (r.epoch, r.metrics)
            for r in follow_curve(curve(), AT_ONCE, halt=halt_at(question, path))
        )
    assert (caught.value.epoch, caught.value.done, caught.value.path) == (question, 0, str(path))
    assert seen + numbers(curve(), resume=path) == numbers(curve())


def slept(monkeypatch):
    """Lengths of all sleeps, none of which is slept."""
    naps = []
    monkeypatch.setattr(time, "sleep", naps.append)
    return naps


def test_an_epoch_is_slept_through_in_slices(tmp_path, monkeypatch):
    naps = slept(monkeypatch)
    halt = halt_at(99, tmp_path / "halt.pt")
    list(follow_curve(curve(), AT_ONCE, epoch_s=0.35, halt=halt))
    assert len(naps) == 4 * 4
    assert max(naps) <= 0.1
    assert sum(naps) == pytest.approx(4 * 0.35)
    naps.clear()
    list(follow_curve(curve(), AT_ONCE, epoch_s=0.35))
    assert naps == [0.35] * 4


def test_a_halt_within_an_epoch_keeps_what_was_slept(tmp_path, monkeypatch):
    naps, path = slept(monkeypatch), tmp_path / "halt.pt"
    reports = follow_curve(curve(), AT_ONCE, epoch_s=0.35, halt=halt_at(5 + 2, path))
    first = next(reports)
    with pytest.raises(Halted) as caught:
        next(reports)
    assert (caught.value.epoch, caught.value.done, caught.value.steps) == (1, 2, 4)
    assert json.loads(path.read_text())["slept_s"] == pytest.approx(0.2)
    naps.clear()
    rest = numbers(curve(), epoch_s=0.35, resume=path)
    assert sum(naps) == pytest.approx(0.15 + 2 * 0.35)
    assert [(1, first.metrics), *rest] == numbers(curve())
    with pytest.raises(CheckpointError):  # the second epoch has begun
        numbers(curve(changes={1: {"optimizer.lr": 1}}), resume=path)
    later = curve(changes={2: {"optimizer.lr": 0.1}})
    assert [epoch for epoch, _ in numbers(later, resume=path)] == [2, 3, 4]


def test_a_sleeping_curve_is_halted_at_once(tmp_path):
    event = threading.Event()
    threading.Timer(0.15, event.set).start()
    began = time.monotonic()
    train = get_trainer("curve")
    halt = Halt(event.is_set, tmp_path / "halt.pt")
    with pytest.raises(Halted):
        list(train(curve(), Path("curve-30"), data_seed=0, resume=None, halt=halt))
    assert time.monotonic() - began < 5
    assert 0 < json.loads((tmp_path / "halt.pt").read_text())["slept_s"] < 5
