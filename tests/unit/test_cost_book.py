"""Costs of a run's networks: measured once, kept, and told apart."""

from dataclasses import replace

import pytest

from evolve import cost_process
from evolve.cost_book import CostBook, Counting, Pretending, Timing, changing, meter_for
from evolve.cost_process import measure_apart
from evolve.costs import known_costs
from evolve.errors import TrialError
from evolve.space import find_space_file, load_space
from model.config import TrainConfig

TINY = TrainConfig().with_values({"model": "yolov4-tiny-nano", "image_size": 64})


def settled(name):
    space = load_space(find_space_file(name))
    return replace(space, base=space.base.with_values({"image_size": 160}))


def test_a_trainer_has_its_meter():
    assert isinstance(meter_for("curve", "latency", 0), Pretending)
    assert isinstance(meter_for("detector", "latency", 3), Timing)
    assert type(meter_for("detector", "BFLOPs", 3)) is Counting


def test_counted_costs_are_kept_and_shared_by_equal_networks(tmp_path):
    book = CostBook(tmp_path / "costs.json", "parameters", Counting(3))
    assert not book.has(TINY)
    book.measure(TINY)
    assert book.has(TINY.with_values({"optimizer.lr": 0.01, "augment.mosaic": 0.0}))
    assert not book.has(TINY.with_values({"image_size": 96}))
    again = CostBook(tmp_path / "costs.json", "parameters", Counting(3))
    assert again.figures(TINY) == book.figures(TINY)
    assert again.value(TINY) == book.figures(TINY)["parameters"] > 100_000
    assert known_costs(tmp_path / "costs.json")["rows"].keys() == {Counting(3).network(TINY)}


def test_operations_grow_with_the_size_and_parameters_do_not(tmp_path):
    wide = TINY.with_values({"image_size": 128})
    for cost, factor in (("BFLOPs", 4.0), ("parameters", 1.0)):
        book = CostBook(tmp_path / f"{cost}.json", cost, Counting(3))
        for config in (TINY, wide):
            book.measure(config)
        assert book.value(wide) == pytest.approx(factor * book.value(TINY), rel=1e-6)


def test_a_network_that_cannot_be_built_has_no_cost_and_is_not_kept(tmp_path):
    broken = TINY.with_values({"neck.attention": "sam"})
    book = CostBook(tmp_path / "costs.json", "BFLOPs", Counting(3))
    book.measure(broken)
    assert book.has(broken)
    assert "no block that attention could close" in book.why_not(broken)
    assert not (tmp_path / "costs.json").exists()


def test_which_parameters_change_a_cost():
    space = settled("pareto.yaml")
    all_but_lr = [p.path for p in space.parameters if p.path != "optimizer.lr"]
    assert changing(space, Counting(3)) == all_but_lr
    fewer = [path for path in all_but_lr if path != "image_size"]
    assert changing(replace(space, cost="parameters"), Counting(3)) == fewer
    assert changing(replace(settled("ga.yaml"), cost="latency"), Counting(3)) == []


def test_what_a_process_says_of_its_failure_is_told(monkeypatch):
    with pytest.raises(TrialError, match="no block that attention could close"):
        measure_apart(TINY.with_values({"neck.attention": "sam"}), 3)
    with pytest.raises(TrialError, match=r"it took longer than 0\.01 s"):
        measure_apart(TINY, 3, time_limit_s=0.01)
    monkeypatch.setattr(cost_process.sys, "executable", "/bin/false")
    with pytest.raises(TrialError, match="ended with code 1 and said: nothing"):
        measure_apart(TINY, 3)


def test_latency_is_measured_in_a_process_of_its_own(tmp_path):
    book = CostBook(tmp_path / "costs.json", "latency", Timing(3))
    book.measure(TINY)
    assert 0.05 < book.value(TINY) < 5000
    tree = known_costs(tmp_path / "costs.json")
    assert "200 timed passes" in tree["protocol"]
    assert tree["device"]
