"""What a table is expected to take, before any of its rows is trained."""

import dataclasses
from pathlib import Path

import pytest

from evolve.budget import Budget
from evolve.engine import table_outlook
from evolve.engine.placement import Asked, place
from evolve.engine.table_outlook import Load, allowed, cost_key, look_over
from evolve.errors import EvolveError
from evolve.testing.devices import GIB, MadeUpDevices, gpu
from model.config import TrainConfig
from tests.unit.engine.test_placement import A_PROBE

PROBE = dataclasses.replace(A_PROBE, epochs=50)  # 202 s a training
PLAIN = TrainConfig()
MISH = PLAIN.with_values({"backbone.activation": "mish"})
TUNED = PLAIN.with_values({"optimizer.lr": 0.1, "loss.box": "giou"})


class Site:
    """Measures nothing, and notes what it was asked to; Mish takes twice as long."""

    def __init__(self, devices):
        self.devices, self.asked = devices, []

    def place(self, probe, asked):
        return place(probe, self.devices, asked)

    def measure(self, config, *_):
        self.asked.append(config)
        slow = 2 if config.backbone.activation == "mish" else 1
        return dataclasses.replace(PROBE, step_s=slow * PROBE.step_s, start_s=slow * PROBE.start_s,
                                   eval_image_s=slow * PROBE.eval_image_s)  # fmt: skip


def look(loads, devices=None, **more):
    devices = devices or MadeUpDevices(of_cores=2)
    site = Site(devices)
    found = look_over(loads, Path(), 0, "detector", Asked(), devices, Path(), site=site, **more)
    return found, site.asked


def test_what_costs_the_same_is_measured_once():
    loads = [Load("base", PLAIN, 3), Load("tuned", TUNED, 3), Load("mish", MISH, 3)]
    found, asked = look(loads)
    assert asked == [PLAIN, MISH]
    work = (3 + 3 + 2 * 3) * 202
    assert found.seconds == pytest.approx(work / 2 + 404 / 4)
    assert found.device_s == pytest.approx(work)
    assert found.longest_s == pytest.approx(404)
    assert found.trainings == 9
    assert "9 trainings; about 21m53s on 2 at once, 40m24s of cores" in found.lines()[1]


def test_what_is_done_costs_nothing_more():
    found, asked = look([Load("base", PLAIN, 0), Load("mish", MISH, 2)])
    assert asked == [MISH]
    assert found.trainings == 2
    done, asked = look([Load("base", PLAIN, 0)])
    assert not asked
    assert len(done.lines()) == 1


def test_what_an_earlier_session_measured_is_known():
    found, asked = look([Load("base", PLAIN, 2)], known={cost_key(PLAIN): PROBE})
    assert not asked
    assert found.seconds == pytest.approx(202)


def test_nothing_is_measured_where_that_is_not_wanted():
    found, asked = look([Load("base", PLAIN, 2)], measures=False)
    assert not asked
    assert found.to_dict()["plan"]["total_s"] is None
    assert found.lines() == [f"place  {found.placement.why}"]


def test_rows_beyond_the_most_that_are_measured_are_named(monkeypatch):
    monkeypatch.setattr(table_outlook, "MOST_PROBES", 1)
    found, asked = look([Load("base", PLAIN, 1), Load("mish", MISH, 1)])
    assert asked == [PLAIN]
    assert found.unmeasured == ("mish",)
    assert "mish not measured" in found.lines()[-1]


def test_images_that_are_judged_on_take_their_time():
    (with_images, _), (without, _) = look([Load("a", PLAIN, 1, 100)]), look([Load("a", PLAIN, 1)])
    assert with_images.seconds - without.seconds == pytest.approx(100 * PROBE.eval_image_s)


def test_a_disk_that_is_too_small_is_refused_at_once():
    with pytest.raises(EvolveError, match="take fewer rows"):
        look([Load("base", PLAIN, 50)], MadeUpDevices(of_cores=2, disk_bytes=10**8))


def test_a_budget_tells_how_much_it_has_room_for():
    found, _ = look([Load("base", PLAIN, 20)])
    allowance, notes = allowed(Budget.parse("20m"), found)
    assert notes == ("budget 20m, which has room for about 10 of 20 trainings",)
    assert allowance.workers == 2
    assert allowed(Budget.parse("5h"), found)[1] == ("budget 5h",)
    assert allowed(None, found)[1] == ()


@pytest.mark.parametrize(
    ("budget", "told"),
    [("3m", "too little for two trainings of about 3m22s"), ("9gpuh", "has no GPU")],
)
def test_a_budget_that_cannot_do_is_refused(budget, told):
    found, _ = look([Load("base", PLAIN, 20)])
    with pytest.raises(EvolveError, match=told):
        allowed(Budget.parse(budget), found)


def test_a_gpu_is_packed_by_the_row_that_needs_most():
    devices = MadeUpDevices(of_gpus=(gpu(24),), of_cores=8)
    small = dataclasses.replace(PROBE, device_bytes=2 * GIB)
    large = dataclasses.replace(PROBE, device_bytes=9 * GIB)
    known = {cost_key(PLAIN): small, cost_key(MISH): large}
    found, _ = look([Load("a", PLAIN, 9), Load("b", MISH, 9)], devices, known=known)
    assert found.placement.trials_per_gpu == 2
    assert "of GPUs" in found.lines()[1]
